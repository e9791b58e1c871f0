//! The key service: a data key that one of its keys encrypted.
//!
//! Source: <https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html>.

use std::collections::BTreeMap;

use net_http::Client;
use serde::Deserialize;
use serde_json::json;

use super::{Call, Keys, domain};
use crate::Error;
use crate::exchange::base;

const WHAT: &str = "AWS KMS";

/// What is to be decrypted, and by which key.
#[derive(Clone, Copy, Debug)]
pub struct Ciphertext<'a> {
    /// `arn:aws:kms:<region>:<account>:key/<id>`, or an alias's.
    pub arn: &'a str,
    /// What was said of it as it was encrypted.
    pub context: &'a BTreeMap<String, String>,
    /// The encrypted data, in Base64.
    pub blob: &'a str,
}

/// Returns the region of a key; none where the text is no key's ARN.
pub fn region_of_key(arn: &str) -> Option<&str> {
    let mut parts = arn.split(':');
    let is_kms = parts.next() == Some("arn")
        && super::sts::is_partition(parts.next()?)
        && parts.next() == Some("kms");
    // It becomes a part of a host's name.
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let region = parts.next().filter(|_| is_kms)?;
    (!region.is_empty() && region.bytes().all(plain)).then_some(region)
}

/// Asks for the data in the clear. Returns it in Base64.
///
/// # Errors
/// [`Error`]; [`Error::Invalid`] where the ARN is none of a key.
pub async fn decrypt(
    client: &Client,
    endpoint: Option<&str>,
    keys: &Keys,
    what: &Ciphertext<'_>,
) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "Plaintext")]
        plaintext: String,
    }
    let no_region = || Error::Invalid("the ARN names no region".to_owned());
    let region = region_of_key(what.arn).ok_or_else(no_region)?;
    let url = base(
        endpoint,
        &format!("https://kms.{region}.{}", domain(region)),
    );
    let mut body = json!({ "CiphertextBlob": what.blob, "KeyId": what.arn });
    if !what.context.is_empty() {
        body["EncryptionContext"] = json!(what.context);
    }
    let call = Call {
        what: WHAT,
        service: "kms",
        region,
        url: &url,
        target: "TrentService.Decrypt",
        body: body.to_string(),
    };
    let answer: Answer = call.send(client, keys).await?;
    Ok(answer.plaintext)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_is_that_of_the_key_and_nothing_else() {
        let arn = "arn:aws-us-gov:kms:us-gov-west-1:612345678901:key/9006a8aa";
        assert_eq!(region_of_key(arn), Some("us-gov-west-1"));
        for wrong in [
            "arn:aws:s3:::bucket",
            "alias/key",
            "arn:aws:kms::1:key/a",
            "arn:aws:kms:evil.example/x:1:key/a",
            "arn:aws:kms:a@evil.example#:1:key/a",
        ] {
            assert_eq!(region_of_key(wrong), None, "{wrong}");
        }
    }
}
