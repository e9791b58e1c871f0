use super::*;

const HOST: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJRB3kzz0NH/rwA4uflI2tI3MqcK16qzMt7NIXGOsbYy";
const OTHER: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGeKvH4Lb0lJdArUo1KlJw8Wb6wXBYSmCWYmIE5VLh6y";
const CURVE: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBCgX7XO+CNe9AlIV3jkBkNYszUrhxt4intbyzMWPu9FvaXm02+edIswz0UYjfmqTjKm9R5Mkz9hC6/uBsn6tgPM=";
/// Of example.org and the key of `HOST`, by the authority whose key is `OTHER`; made by ssh-keygen 9.2.
const CERTIFICATE: &str = "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIEmVVmJW3TKfIIGNMgH7PPGoIO9mY2GSmGXrmcRsc7VzAAAAIJRB3kzz0NH/rwA4uflI2tI3MqcK16qzMt7NIXGOsbYyAAAAAAAAAAAAAAACAAAAB2hvc3QtaWQAAAAPAAAAC2V4YW1wbGUub3JnAAAAAAAAAAD//////////wAAAAAAAAAAAAAAAAAAADMAAAALc3NoLWVkMjU1MTkAAAAgZ4q8fgtvSUl0CtSjUqUnDxZvrBcFhKYJZiYgTlUuHrIAAABTAAAAC3NzaC1lZDI1NTE5AAAAQL1zYpNPYl9hFPwt3skLGyC6yaz5U3qMN/1c+rFN2jYwviO/9jcA2WUGGsXtRXnw2l8IZJv+BIdZ0OZhK61khQ4=";

fn key(text: &str) -> PublicKey {
    PublicKey::from_openssh(text).unwrap()
}

fn judge(file: &str, host: &str, port: u16, shown: &str) -> Result<(), HostKeyError> {
    KnownHosts::parse(file)?.judge(host, port, &key(shown))
}

#[test]
fn hosts_fit_by_name_pattern_port_and_hash() {
    for (hosts, host, port, known) in [
        ("example.org", "example.org", 22, true),
        ("example.org", "example.org", 2222, false),
        ("[example.org]:2222", "example.org", 2222, true),
        ("[example.org]:2222", "example.org", 22, false),
        ("a,example.org", "example.org", 22, true),
        ("*.example.org", "git.example.org", 22, true),
        (
            "*.example.org,!git.example.org",
            "git.example.org",
            22,
            false,
        ),
        (
            "!git.example.org,*.example.org",
            "git.example.org",
            22,
            false,
        ),
        ("ex?mple.org", "example.org", 22, true),
        ("[*.example.org]:22", "a.example.org", 22, true),
        ("::1", "::1", 22, true),
        ("[::1]:2222", "::1", 2222, true),
        // Made by `ssh-keygen -H`.
        (
            "|1|Qt6E8gwTwVBJBLNGS46Z/N7enLE=|S9LP8W3gu47fWJNBZgRVRNlCSko=",
            "example.org",
            22,
            true,
        ),
        (
            "|1|Qt6E8gwTwVBJBLNGS46Z/N7enLE=|S9LP8W3gu47fWJNBZgRVRNlCSko=",
            "example.com",
            22,
            false,
        ),
        (
            "|1|bAfKdGekyU0tewZX5fmiPkMWz9w=|YYjgRbkq3a8stlTwaOsDCUmuKAo=",
            "example.org",
            2222,
            true,
        ),
    ] {
        let expected = if known {
            Ok(())
        } else {
            Err(HostKeyError::Unknown)
        };
        let seen = judge(
            &format!("# comment\n\n{hosts} {HOST} me@here"),
            host,
            port,
            HOST,
        );
        assert_eq!(seen, expected, "{hosts} {host} {port}");
    }
}

#[test]
fn other_keys_and_revoked_ones_are_refused() {
    let known = format!("example.org {HOST}");
    assert_eq!(
        judge(&known, "example.org", 22, OTHER),
        Err(HostKeyError::Mismatch)
    );
    let revoked = format!("{known}\n@revoked * {HOST}");
    assert_eq!(
        judge(&revoked, "example.org", 22, HOST),
        Err(HostKeyError::Revoked)
    );
    for file in [
        "example.org",
        "example.org ssh-ed25519",
        "@what example.org x y",
        "h ssh-ed25519 AAAA",
    ] {
        assert_eq!(
            judge(file, "example.org", 22, HOST),
            Err(HostKeyError::Malformed(1)),
            "{file}"
        );
    }
}

#[test]
fn algorithms_are_those_of_the_known_keys() {
    let file = format!("a {HOST}\nb {CURVE}\nb {HOST}\nc ssh-dss AAAA");
    let known = KnownHosts::parse(&file).unwrap();
    let names = |host: &str| {
        let found = known.algorithms(host, 22);
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(names("a"), ["ssh-ed25519"]);
    assert_eq!(names("b"), ["ecdsa-sha2-nistp256", "ssh-ed25519"]);
    assert_eq!(names("c"), [""; 0]);
}

#[test]
fn certificate_needs_its_authority_and_its_host() {
    let certificate: Certificate = CERTIFICATE.parse().unwrap();
    let judge = |file: &str, host: &str| {
        KnownHosts::parse(file)
            .unwrap()
            .judge_certificate(host, 22, &certificate)
    };
    let trusted = format!("@cert-authority * {OTHER}");
    assert_eq!(judge(&trusted, "example.org"), Ok(()));
    assert_eq!(
        judge(&trusted, "example.com"),
        Err(HostKeyError::Certificate)
    );
    let other = format!("@cert-authority * {CURVE}");
    assert_eq!(judge(&other, "example.org"), Err(HostKeyError::Certificate));
    // A plain line makes nobody an authority.
    assert_eq!(
        judge(&format!("* {OTHER}"), "example.org"),
        Err(HostKeyError::Unknown)
    );
    let revoked = format!("{trusted}\n@revoked * {OTHER}");
    assert_eq!(judge(&revoked, "example.org"), Err(HostKeyError::Revoked));
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(.{0,40}\n){0,4}", host in ".{0,20}") {
        if let Ok(known) = KnownHosts::parse(&text) {
            known.judge(&host, 22, &key(HOST)).ok();
        }
        fits(&text, &host, 22);
    }
}
