//! Signature Version 4 of Amazon Web Services, which every store that speaks S3 knows.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::collections::BTreeMap;
use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Keys, and the token that belongs to temporary ones.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// The access key.
    pub access: String,
    /// The secret key.
    pub secret: String,
    /// The token of temporary keys.
    pub session: Option<String>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// A request without body that is to be signed.
#[derive(Clone, Debug)]
pub struct Unsigned<'a> {
    /// The method.
    pub method: &'a str,
    /// Host, and port where it is not the scheme's own.
    pub host: &'a str,
    /// The path, not encoded.
    pub path: &'a str,
    /// The query, not encoded.
    pub query: &'a [(&'a str, &'a str)],
    /// The region, such as `us-east-1`.
    pub region: &'a str,
    /// The service, such as `s3`.
    pub service: &'a str,
}

/// Returns the headers that a signed request carries, by lower-case name.
pub fn sign(request: &Unsigned<'_>, keys: &Keys, now: Timestamp) -> BTreeMap<String, String> {
    let time = now.to_zoned(TimeZone::UTC);
    let (day, stamp) = (
        time.strftime("%Y%m%d").to_string(),
        time.strftime("%Y%m%dT%H%M%SZ").to_string(),
    );
    let content = hex::encode(Sha256::digest(b""));
    let mut headers = BTreeMap::from([
        ("host".to_owned(), request.host.to_owned()),
        ("x-amz-content-sha256".to_owned(), content.clone()),
        ("x-amz-date".to_owned(), stamp.clone()),
    ]);
    if let Some(session) = &keys.session {
        headers.insert("x-amz-security-token".to_owned(), session.clone());
    }
    let names: Vec<&str> = headers.keys().map(String::as_str).collect();
    let names = names.join(";");
    let mut canonical = format!(
        "{}\n{}\n{}\n",
        request.method,
        encoded_path(request.path),
        encoded_query(request.query)
    );
    for (name, value) in &headers {
        // Writing to a String cannot fail.
        let _ = writeln!(canonical, "{name}:{}", value.trim());
    }
    let _ = write!(canonical, "\n{names}\n{content}");
    let scope = format!("{day}/{}/{}/aws4_request", request.region, request.service);
    let digest = hex::encode(Sha256::digest(canonical.as_bytes()));
    let text = format!("{ALGORITHM}\n{stamp}\n{scope}\n{digest}");
    let mut key = mac(format!("AWS4{}", keys.secret).as_bytes(), &day);
    for part in [request.region, request.service, "aws4_request"] {
        key = mac(&key, part);
    }
    let signature = hex::encode(mac(&key, &text));
    headers.insert(
        "authorization".to_owned(),
        format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            keys.access
        ),
    );
    headers.remove("host");
    headers
}

/// Encodes a path; slashes stay.
pub fn encoded_path(path: &str) -> String {
    encode(path, b"/")
}

/// Encodes a query, sorted by name as it is signed.
pub fn encoded_query(query: &[(&str, &str)]) -> String {
    let mut pairs: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name, b""), encode(value, b"")))
        .collect();
    pairs.sort();
    pairs.join("&")
}

fn encode(text: &str, kept: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    // A key of any length is one.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the S3 documentation ("Examples: Signature Calculations").
    #[test]
    fn signatures_are_those_of_the_documentation() {
        let keys = Keys {
            access: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            session: None,
        };
        let signature = |query: &[(&str, &str)]| {
            let request = Unsigned {
                method: "GET",
                host: "examplebucket.s3.amazonaws.com",
                path: "/",
                query,
                region: "us-east-1",
                service: "s3",
            };
            let now = "2013-05-24T00:00:00Z".parse().unwrap();
            sign(&request, &keys, now)["authorization"].clone()
        };
        let expected = |signature: &str| {
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
                 SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"
            )
        };
        assert_eq!(
            signature(&[("lifecycle", "")]),
            expected("fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
        );
        assert_eq!(
            signature(&[("max-keys", "2"), ("prefix", "J")]),
            expected("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
        );
    }

    #[test]
    fn secrets_are_not_printed_and_paths_are_encoded() {
        let keys = Keys {
            access: "a".into(),
            secret: "s3cret".into(),
            session: None,
        };
        assert_eq!(format!("{keys:?}"), "Keys(..)");
        assert_eq!(encoded_path("/b/ü x+y.txt"), "/b/%C3%BC%20x%2By.txt");
        assert_eq!(encoded_query(&[("b", "x/y"), ("a", "")]), "a=&b=x%2Fy");
    }
}
