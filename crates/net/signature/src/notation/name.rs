//! Distinguished names, as policies write them and certificates have them.
//!
//! Source: RFC 4514; which attributes must be there: Notary Project, trust-store-trust-policy.

use std::collections::BTreeMap;

use der::asn1::{Ia5StringRef, PrintableStringRef, TeletexStringRef, Utf8StringRef};
use x509_cert::attr::AttributeTypeAndValue;

use crate::certificate::Certificate;

/// The attributes of a name, each at most once.
pub(super) type Name = BTreeMap<String, String>;

/// Reads a name. Shape: `C=DE, ST=Berlin, O=Example\, Ltd, CN=signer`.
pub(super) fn parse(text: &str) -> Result<Name, String> {
    if text.contains("=#") {
        return Err(format!(
            "unsupported distinguished name (DN) {text:?}: notation does not support x509.subject identities containing \"=#\""
        ));
    }
    let mut pairs = Vec::new();
    for part in split(text, ',').ok_or_else(|| malformed(text))? {
        if split(&part, '+').is_none_or(|values| values.len() > 1) {
            return Err(format!(
                "distinguished name (DN) {text:?} has multi-valued RDN attributes, remove multi-valued RDN attributes as they are not supported"
            ));
        }
        let (key, value) = part.split_once('=').ok_or_else(|| malformed(text))?;
        let value = unescaped(value.trim()).ok_or_else(|| malformed(text))?;
        pairs.push((key.trim().to_owned(), value));
    }
    collect(text, pairs)
}

/// Returns the name of who a certificate is for.
pub(super) fn of_certificate(certificate: &Certificate) -> Result<Name, String> {
    let subject = &certificate.parsed.tbs_certificate.subject;
    let text = subject.to_string();
    let mut pairs = Vec::new();
    for set in &subject.0 {
        for each in set.0.iter() {
            let key = short(&each.oid.to_string());
            let key = key.ok_or_else(|| {
                format!(
                    "unsupported distinguished name (DN) {text:?}: unknown attribute {}",
                    each.oid
                )
            })?;
            let value = value(each).ok_or_else(|| malformed(&text))?;
            pairs.push((key.to_owned(), value));
        }
    }
    collect(&text, pairs)
}

/// Says whether every attribute of one name is in another.
pub(super) fn is_part(part: &Name, whole: &Name) -> bool {
    part.iter()
        .all(|(key, value)| whole.get(key) == Some(value))
}

fn collect(text: &str, pairs: Vec<(String, String)>) -> Result<Name, String> {
    let mut name = Name::new();
    for (key, value) in pairs {
        let key = if key == "S" { "ST".to_owned() } else { key };
        if name.insert(key.clone(), value).is_some() {
            return Err(format!(
                "distinguished name (DN) {text:?} has duplicate RDN attribute for {key:?}, DN can only have unique RDN attributes"
            ));
        }
    }
    for key in ["C", "ST", "O"] {
        if name.get(key).is_none_or(String::is_empty) {
            return Err(format!(
                "distinguished name (DN) {text:?} has no mandatory RDN attribute for {key:?}, it must contain 'C', 'ST' or 'S', and 'O' RDN attributes at a minimum"
            ));
        }
    }
    Ok(name)
}

fn malformed(text: &str) -> String {
    format!(
        "parsing distinguished name (DN) {text:?} failed. A valid DN must contain 'C', 'ST' or 'S', and 'O' RDN attributes at a minimum, and follow RFC 4514 standard"
    )
}

/// Splits at a character that no backslash precedes.
fn split(text: &str, at: char) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars();
    while let Some(each) = characters.next() {
        if each == at {
            parts.push(String::new());
            continue;
        }
        let part = parts.last_mut()?;
        part.push(each);
        if each == '\\' {
            part.push(characters.next()?);
        }
    }
    Some(parts)
}

/// Reads what a backslash stands for: the character behind it, or a byte in two digits.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let first = rest.next()?;
        match char::from(first).to_digit(16) {
            Some(high) => {
                let low = char::from(rest.next()?).to_digit(16)?;
                bytes.push(u8::try_from(high << 4 | low).ok()?);
            }
            None => bytes.push(first),
        }
    }
    String::from_utf8(bytes).ok()
}

fn short(id: &str) -> Option<&'static str> {
    Some(match id {
        "2.5.4.3" => "CN",
        "2.5.4.5" => "SERIALNUMBER",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.17" => "POSTALCODE",
        _ => return None,
    })
}

fn value(attribute: &AttributeTypeAndValue) -> Option<String> {
    let value = &attribute.value;
    let utf8 = value.decode_as::<Utf8StringRef<'_>>();
    let printable = || value.decode_as::<PrintableStringRef<'_>>();
    let ia5 = || value.decode_as::<Ia5StringRef<'_>>();
    let teletex = || value.decode_as::<TeletexStringRef<'_>>();
    if let Ok(text) = utf8 {
        return Some(text.as_str().to_owned());
    }
    if let Ok(text) = printable() {
        return Some(text.as_str().to_owned());
    }
    if let Ok(text) = ia5() {
        return Some(text.as_str().to_owned());
    }
    teletex().ok().map(|text| text.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_with_what_is_escaped() {
        let name = parse(r" C=DE, S=Berlin,O=Example\, Ltd, CN=a\+b\C3\BC ").unwrap();
        let pairs: Vec<(&str, &str)> = name.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("C", "DE"),
                ("CN", "a+bü"),
                ("O", "Example, Ltd"),
                ("ST", "Berlin")
            ]
        );
        for bad in [
            "",
            "C=DE,ST=x",
            "C=DE,ST=x,O=y,O=z",
            "C=DE,ST=x,O=y+CN=z",
            "C=DE,ST=x,O=#0102",
            r"C=DE,ST=x,O=y\",
            r"C=DE,ST=x,O=\F",
            "DE,ST,O",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
