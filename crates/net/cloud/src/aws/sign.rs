//! Signature Version 4, which every store that speaks S3 knows.
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
    let (day, stamp) = times(now);
    let content = digest("");
    let mut headers = BTreeMap::from([
        ("host".to_owned(), request.host.to_owned()),
        ("x-amz-content-sha256".to_owned(), content.clone()),
        ("x-amz-date".to_owned(), stamp.clone()),
    ]);
    if let Some(session) = &keys.session {
        headers.insert("x-amz-security-token".to_owned(), session.clone());
    }
    let (canonical, names) = canonical(request, &headers, &content);
    let at = Place {
        region: request.region,
        service: request.service,
        day: &day,
        stamp: &stamp,
    };
    headers.insert(
        "authorization".to_owned(),
        at.authorization(&canonical, &names, keys),
    );
    headers.remove("host");
    headers
}

/// Returns the headers of a signed request with a body, by lower-case name; `headers` are signed too.
pub(crate) fn sign_body(
    request: &Unsigned<'_>,
    headers: &[(&str, &str)],
    body: &str,
    keys: &Keys,
    now: Timestamp,
) -> BTreeMap<String, String> {
    let (day, stamp) = times(now);
    let mut signed = BTreeMap::from([
        ("host".to_owned(), request.host.to_owned()),
        ("x-amz-date".to_owned(), stamp.clone()),
    ]);
    for (name, value) in headers {
        signed.insert((*name).to_owned(), (*value).to_owned());
    }
    if let Some(session) = &keys.session {
        signed.insert("x-amz-security-token".to_owned(), session.clone());
    }
    let (canonical, names) = canonical(request, &signed, &digest(body));
    let at = Place {
        region: request.region,
        service: request.service,
        day: &day,
        stamp: &stamp,
    };
    let authorization = at.authorization(&canonical, &names, keys);
    signed.insert("authorization".to_owned(), authorization);
    signed.remove("host");
    signed
}

/// Returns the query of a request that is signed in its address, and holds for so many seconds.
pub(crate) fn presign(
    request: &Unsigned<'_>,
    header: (&str, &str),
    seconds: u32,
    keys: &Keys,
    now: Timestamp,
) -> String {
    let (day, stamp) = times(now);
    let at = Place {
        region: request.region,
        service: request.service,
        day: &day,
        stamp: &stamp,
    };
    let headers = BTreeMap::from([
        ("host".to_owned(), request.host.to_owned()),
        (header.0.to_owned(), header.1.to_owned()),
    ]);
    let names = headers.keys().cloned().collect::<Vec<_>>().join(";");
    let credential = format!("{}/{}", keys.access, at.scope());
    let seconds = seconds.to_string();
    let mut query = request.query.to_vec();
    query.extend([
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", &credential),
        ("X-Amz-Date", &stamp),
        ("X-Amz-Expires", &seconds),
        ("X-Amz-SignedHeaders", &names),
    ]);
    if let Some(session) = &keys.session {
        query.push(("X-Amz-Security-Token", session));
    }
    let request = Unsigned {
        query: &query,
        ..request.clone()
    };
    let (canonical, _) = canonical(&request, &headers, &digest(""));
    let signature = at.signature(&canonical, keys);
    format!("{}&X-Amz-Signature={signature}", encoded_query(&query))
}

fn times(now: Timestamp) -> (String, String) {
    let time = now.to_zoned(TimeZone::UTC);
    (
        time.strftime("%Y%m%d").to_string(),
        time.strftime("%Y%m%dT%H%M%SZ").to_string(),
    )
}

pub(crate) fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// Returns what is signed of a request, and the names of its headers.
fn canonical(
    request: &Unsigned<'_>,
    headers: &BTreeMap<String, String>,
    content: &str,
) -> (String, String) {
    let names = headers.keys().map(String::as_str).collect::<Vec<_>>();
    let names = names.join(";");
    let mut text = format!(
        "{}\n{}\n{}\n",
        request.method,
        encoded_path(request.path),
        encoded_query(request.query)
    );
    for (name, value) in headers {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}:{}", value.trim());
    }
    let _ = write!(text, "\n{names}\n{content}");
    (text, names)
}

/// Where and when a signature counts.
pub(crate) struct Place<'a> {
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) day: &'a str,
    pub(crate) stamp: &'a str,
}

impl Place<'_> {
    fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.day, self.region, self.service)
    }

    pub(crate) fn signature(&self, canonical: &str, keys: &Keys) -> String {
        let (stamp, scope) = (self.stamp, self.scope());
        let text = format!("{ALGORITHM}\n{stamp}\n{scope}\n{}", digest(canonical));
        let mut key = mac(format!("AWS4{}", keys.secret).as_bytes(), self.day);
        for part in [self.region, self.service, "aws4_request"] {
            key = mac(&key, part);
        }
        hex::encode(mac(&key, &text))
    }

    fn authorization(&self, canonical: &str, names: &str, keys: &Keys) -> String {
        format!(
            "{ALGORITHM} Credential={}/{}, SignedHeaders={names}, Signature={}",
            keys.access,
            self.scope(),
            self.signature(canonical, keys)
        )
    }
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
