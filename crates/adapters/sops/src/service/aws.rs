//! AWS KMS, with Signature Version 4.
//!
//! Source: <https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html>,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderName, HeaderValue, Method, header};
use jiff::Timestamp;
use net_http::{Client, Request};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{AwsCredentials, KeyError};

const TARGET: &str = "TrentService.Decrypt";
const CONTENT: &str = "application/x-amz-json-1.1";

pub(crate) struct Key<'a> {
    pub(crate) arn: &'a str,
    pub(crate) context: &'a BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Plaintext")]
    plaintext: String,
}

pub(crate) async fn decrypt(
    client: &Client,
    endpoint: Option<&str>,
    credentials: &AwsCredentials,
    key: &Key<'_>,
    encrypted: &str,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let region = region(key.arn).ok_or(KeyError::Shape("the ARN names no region"))?;
    let url = match endpoint {
        Some(endpoint) => format!("{}/", endpoint.trim_end_matches('/')),
        None => format!("https://kms.{region}.amazonaws.com{}/", suffix(key.arn)),
    };
    let host = url
        .split_once("://")
        .map_or("", |(_, rest)| rest.trim_end_matches('/'));
    let mut body = serde_json::json!({ "CiphertextBlob": encrypted, "KeyId": key.arn });
    if !key.context.is_empty() {
        body["EncryptionContext"] = serde_json::json!(key.context);
    }
    let body = body.to_string();
    let signed = Signed::new(credentials, region, host, &body, Timestamp::now());
    let value = |text: &str| {
        HeaderValue::from_str(text).map_err(|_| KeyError::Shape("a credential is no header"))
    };
    let mut authorization = value(&signed.authorization)?;
    authorization.set_sensitive(true);
    let mut request = Request::new(Method::POST, &url)
        .timeout(super::TIMEOUT)
        .header(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT))
        .header(
            HeaderName::from_static("x-amz-target"),
            HeaderValue::from_static(TARGET),
        )
        .header(HeaderName::from_static("x-amz-date"), value(&signed.time)?)
        .header(header::AUTHORIZATION, authorization);
    if !credentials.aws_session_token.is_empty() {
        let mut token = value(&credentials.aws_session_token)?;
        token.set_sensitive(true);
        request = request.header(HeaderName::from_static("x-amz-security-token"), token);
    }
    let answer: Answer = super::answer(client, request.body(body)).await?;
    let bytes = STANDARD.decode(Zeroizing::new(answer.plaintext).as_bytes());
    bytes
        .map(Zeroizing::new)
        .map_err(|_| KeyError::Shape("the answer's plaintext is no Base64"))
}

/// `arn:aws:kms:<region>:…`.
fn region(arn: &str) -> Option<&str> {
    let mut parts = arn.split(':');
    let is_kms = parts.next() == Some("arn") && parts.next()?.starts_with("aws");
    let is_kms = is_kms && parts.next() == Some("kms");
    parts.next().filter(|region| is_kms && !region.is_empty())
}

fn suffix(arn: &str) -> &'static str {
    if arn.starts_with("arn:aws-cn:") {
        ".cn"
    } else {
        ""
    }
}

struct Signed {
    time: String,
    authorization: String,
}

impl Signed {
    fn new(
        credentials: &AwsCredentials,
        region: &str,
        host: &str,
        body: &str,
        now: Timestamp,
    ) -> Self {
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = time.get(..8).unwrap_or_default().to_owned();
        let mut headers = BTreeMap::from([
            ("content-type", CONTENT),
            ("host", host),
            ("x-amz-date", time.as_str()),
            ("x-amz-target", TARGET),
        ]);
        if !credentials.aws_session_token.is_empty() {
            headers.insert("x-amz-security-token", &credentials.aws_session_token);
        }
        let names = headers.keys().copied().collect::<Vec<_>>().join(";");
        let lines: String = headers
            .iter()
            .fold(String::new(), |mut all, (name, value)| {
                all.push_str(&[name, ":", value, "\n"].concat());
                all
            });
        let digest = |text: &str| hex::encode(Sha256::digest(text.as_bytes()));
        let request = format!("POST\n/\n\n{lines}\n{names}\n{}", digest(body));
        let scope = format!("{day}/{region}/kms/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", digest(&request));
        let secret = Zeroizing::new(format!("AWS4{}", credentials.aws_secret_access_key));
        let mut key = secret.as_bytes().to_vec();
        for part in [day.as_str(), region, "kms", "aws4_request", &text] {
            key = keyed(&key, part);
        }
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
            credentials.aws_access_key_id,
            hex::encode(key)
        );
        Self {
            time,
            authorization,
        }
    }
}

/// HMAC-SHA256; a key may have any length.
fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(text.as_bytes());
            mac.finalize().into_bytes().to_vec()
        }
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_is_that_of_the_arn() {
        let arn = "arn:aws-us-gov:kms:us-gov-west-1:612345678901:key/9006a8aa";
        assert_eq!(region(arn), Some("us-gov-west-1"));
        assert_eq!(region("arn:aws:s3:::bucket"), None);
        assert_eq!(region("alias/key"), None);
    }

    #[test]
    fn signing_key_is_that_of_the_documentation() {
        // The example of "Create a signed AWS API request".
        let mut key = b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec();
        for part in ["20150830", "us-east-1", "iam", "aws4_request"] {
            key = keyed(&key, part);
        }
        let expected = "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9";
        assert_eq!(hex::encode(key), expected);
    }
}
