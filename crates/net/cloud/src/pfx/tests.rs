use super::*;

const PASSWORD: &str = "s3cret-ä";
const MODERN: &[u8] = include_bytes!("../../tests/data/application.pfx");
const LEGACY: &[u8] = include_bytes!("../../tests/data/application-legacy.pfx");
const OPEN: &[u8] = include_bytes!("../../tests/data/application-open.pfx");
const SLOW: &[u8] = include_bytes!("../../tests/data/application-slow.pfx");
const PEM: &str = include_str!("../../tests/data/application.pem");

/// Returns the bytes of each section of a text in PEM, with its name.
fn sections(text: &str) -> Vec<(String, String)> {
    let begin = "-----BEGIN ";
    let parts = text.split(begin).skip(1).map(|part| {
        let (name, rest) = part.split_once("-----\n").unwrap();
        let (body, _) = rest.split_once("-----END").unwrap();
        (name.to_owned(), body.split_whitespace().collect())
    });
    parts.collect()
}

#[test]
fn key_and_certificates_come_out_as_they_went_in() {
    let given = sections(PEM);
    let (key, certificate) = (
        given
            .iter()
            .find(|(name, _)| name == "PRIVATE KEY")
            .unwrap(),
        given
            .iter()
            .find(|(name, _)| name == "CERTIFICATE")
            .unwrap(),
    );
    for (file, password, certificates) in
        [(MODERN, PASSWORD, 2), (LEGACY, PASSWORD, 1), (OPEN, "", 1)]
    {
        let read = sections(&to_pem(file, password).unwrap());
        assert_eq!((&read[0], &read[1]), (key, certificate));
        assert_eq!(read.len(), 1 + certificates);
    }
}

#[test]
fn wrong_password_and_damage_are_told() {
    let told = "the password is wrong or the file is damaged";
    for file in [MODERN, LEGACY] {
        for password in ["", "s3cret"] {
            assert_eq!(to_pem(file, password).unwrap_err().to_string(), told);
        }
        let mut damaged = file.to_vec();
        damaged[file.len() / 2] ^= 1;
        assert!(to_pem(&damaged, PASSWORD).is_err());
    }
}

#[test]
fn other_formats_are_no_pkcs_12() {
    for file in [PEM.as_bytes(), b"", &MODERN[..MODERN.len() - 1]] {
        let error = to_pem(file, PASSWORD).unwrap_err();
        assert_eq!(error.to_string(), "it is no PKCS #12 in DER");
    }
}

#[test]
fn rounds_are_bounded() {
    let error = to_pem(SLOW, "x").unwrap_err();
    assert!(matches!(error, PfxError::Rounds), "{error}");
}

#[test]
fn any_change_gives_a_result_or_an_error() {
    for at in (0..OPEN.len()).step_by(7) {
        let mut changed = OPEN.to_vec();
        changed[at] = changed[at].wrapping_add(1);
        to_pem(&changed, "").ok();
    }
}
