//! Files that the real sops encrypted, against what it decrypts itself.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that reads its golden files"
)]

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use sops::{
    DataKey, File, FileError, Format, Master, Metadata, age, decrypt_object, is_encrypted,
    metadata_of, pgp::SecretKeys, shamir,
};
use zeroize::Zeroizing;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn read(path: &str) -> Vec<u8> {
    fs::read(folder().join(path)).unwrap()
}

struct Keys {
    age: Vec<age::Identity>,
    pgp: SecretKeys,
}

fn keys(files: &[&str]) -> Keys {
    let mut keys = Keys {
        age: Vec::new(),
        pgp: SecretKeys::default(),
    };
    for file in files {
        let bytes = read(&format!("keys/{file}"));
        if file.contains(".asc") {
            keys.pgp.add(&bytes).unwrap();
        } else {
            let text = String::from_utf8(bytes).unwrap();
            keys.age.extend(age::identities(&text).unwrap());
        }
    }
    keys
}

const ALL: &[&str] = &["age.agekey", "pq.agekey", "rsa.asc", "curve.asc"];

fn share(group: &[Master], keys: &Keys) -> Option<Zeroizing<Vec<u8>>> {
    group.iter().find_map(|master| match master {
        Master::Age { encrypted, .. } => age::decrypt(encrypted.as_bytes(), &keys.age).ok(),
        Master::Pgp { encrypted, .. } => keys.pgp.decrypt(encrypted).ok(),
        _ => None,
    })
}

fn data_key(metadata: &Metadata, keys: &Keys) -> Option<DataKey> {
    let shares: Vec<_> = metadata
        .groups
        .iter()
        .filter_map(|g| share(g, keys))
        .collect();
    match metadata.groups.len() {
        1 => DataKey::new(shares.into_iter().next()?),
        _ if shares.len() < metadata.threshold => None,
        _ => DataKey::new(shamir::combine(&shares)?),
    }
}

fn decrypt(bytes: &[u8], format: Format) -> Result<Vec<u8>, FileError> {
    let file = File::read(bytes, format)?;
    file.decrypt(&data_key(file.metadata(), &keys(ALL)).unwrap())
}

/// covers: KC-071, KC-078
#[test]
fn every_file_decrypts_to_what_sops_prints() {
    let mut names: Vec<_> = fs::read_dir(folder().join("encrypted")).unwrap().collect();
    assert!(names.len() > 12);
    names.sort_by_key(|entry| entry.as_ref().unwrap().file_name());
    let mut wrong = Vec::new();
    for entry in names {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let bytes = read(&format!("encrypted/{name}"));
        let format = Format::of_path(&name);
        assert!(sops::detect(&bytes).is_some(), "{name}");
        let expected = read(&format!("decrypted/{name}"));
        match decrypt(&bytes, format) {
            Ok(plain) if plain == expected => {}
            Ok(plain) => wrong.push(format!(
                "{name}:\n{}\n-- instead of\n{}",
                String::from_utf8_lossy(&plain),
                String::from_utf8_lossy(&expected)
            )),
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n=====\n"));
}

#[test]
fn changed_files_are_refused() {
    let bytes = String::from_utf8(read("encrypted/regex.yaml")).unwrap();
    let renamed = bytes.replace("name: s\n", "name: t\n");
    assert_eq!(
        decrypt(renamed.as_bytes(), Format::Yaml),
        Err(FileError::Mac)
    );
    // Its MAC covers encrypted values only.
    let bytes = String::from_utf8(read("encrypted/only-encrypted.yaml")).unwrap();
    let renamed = bytes.replace("name: s\n", "name: t\n");
    assert!(decrypt(renamed.as_bytes(), Format::Yaml).is_ok());
    let moved = bytes.replace("user: ENC", "other: ENC");
    let error = decrypt(moved.as_bytes(), Format::Yaml).unwrap_err();
    assert!(matches!(error, FileError::Value { .. }), "{error}");
}

#[test]
fn wrong_keys_open_nothing_and_two_of_three_groups_suffice() {
    let groups = read("encrypted/groups.yaml");
    let file = File::read(&groups, Format::Yaml).unwrap();
    assert_eq!(file.metadata().groups.len(), 3);
    assert!(data_key(file.metadata(), &keys(&["age.agekey"])).is_none());
    assert!(data_key(file.metadata(), &keys(&["rsa.asc", "other.agekey"])).is_some());
    let app = read("encrypted/app.yaml");
    let file = File::read(&app, Format::Yaml).unwrap();
    assert!(data_key(file.metadata(), &keys(&["other.agekey", "pq.agekey"])).is_none());
}

/// covers: KC-072
#[test]
fn objects_are_decrypted_after_a_build_changed_them() {
    let text = String::from_utf8(read("encrypted/regex.yaml")).unwrap();
    let node = yaml::parse(
        text.as_bytes(),
        "",
        yaml::Schema::Core,
        &yaml::Limits::default(),
    );
    let mut object: Value = yaml::to_json(&node.unwrap()[0]).unwrap();
    object["metadata"]["namespace"] = json!("added");
    assert!(is_encrypted(&object));
    let metadata = metadata_of(&object).unwrap();
    let key = data_key(&metadata, &keys(ALL)).unwrap();
    decrypt_object(&mut object, &metadata, &key).unwrap();
    assert_eq!(object["stringData"]["user"], "admin");
    assert_eq!(object["stringData"]["config"], "a = 1\nb = 2\n");
    assert!(object.get("sops").is_none());
}

/// covers: KC-079
#[test]
fn errors_show_no_content() {
    let text = String::from_utf8(read("encrypted/regex.yaml")).unwrap();
    let start = text.find("ENC[").unwrap();
    let end = start + text[start..].find(']').unwrap();
    let leaked = format!("{}not-encrypted{}", &text[..start], &text[end + 1..]);
    let error = decrypt(leaked.as_bytes(), Format::Yaml).unwrap_err();
    let shown = format!(
        "{error} {error:?} {}",
        std::error::Error::source(&error).unwrap()
    );
    assert!(
        shown.contains("Input string <redacted> does not match"),
        "{shown}"
    );
    assert!(!shown.contains("not-encrypted"), "{shown}");
}
