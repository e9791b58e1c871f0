//! Base64 and PEM as signers write them.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const CONFIG: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const ENGINE: GeneralPurpose = GeneralPurpose::new(&STANDARD, CONFIG);
const URL_ENGINE: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, CONFIG);
const CERTIFICATE: &str = "CERTIFICATE-----";

/// Decodes Base64 of either alphabet, padded or not, with line breaks.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let text: String = text.split_ascii_whitespace().collect();
    if text.contains(['-', '_']) {
        return URL_ENGINE.decode(text).ok();
    }
    ENGINE.decode(text).ok()
}

/// Encodes as Base64 with padding.
pub(crate) fn to_base64(data: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(data)
}

/// Decodes Base64 as JOSE writes it: of the URL's alphabet, without padding.
pub(crate) fn base64_url(text: &str) -> Option<Vec<u8>> {
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(text)
        .ok()
}

/// Returns the certificates of a text, in DER.
pub(crate) fn pem_certificates(text: &str) -> Option<Vec<Vec<u8>>> {
    let begin = format!("-----BEGIN {CERTIFICATE}");
    let end = format!("-----END {CERTIFICATE}");
    let blocks = text.split(&begin).skip(1);
    blocks
        .map(|block| base64(block.split_once(&end)?.0))
        .collect()
}

/// Base64 in JSON.
pub(crate) mod bytes {
    use serde::{Deserialize, Deserializer, de};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        super::base64(&text).ok_or_else(|| de::Error::custom("invalid base64"))
    }
}

/// Numbers that JSON holds as text, as protocol buffers have it, or as numbers.
pub(crate) mod number {
    use serde::{Deserialize, Deserializer, de};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(i64),
        Text(String),
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
        match Either::deserialize(from)? {
            Either::Number(number) => Ok(number),
            Either::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}

/// Moments in JSON, where they are.
pub(crate) mod moment {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, de};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(de::Error::custom))
            .transpose()
    }
}
