//! Requests to Azure's storage that are signed with the key of an account.
//!
//! Source: <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The key of a storage account.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountKey {
    account: String,
    key: Vec<u8>,
}

impl std::fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountKey")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// A key is no Base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the account key is no Base64")]
pub struct NotBase64;

impl AccountKey {
    /// Reads the key of an account.
    ///
    /// # Errors
    /// [`NotBase64`].
    pub fn new(account: impl Into<String>, key: &str) -> Result<Self, NotBase64> {
        Ok(Self {
            account: account.into(),
            key: STANDARD.decode(key.trim()).map_err(|_| NotBase64)?,
        })
    }

    /// Returns the value of `Authorization` for a request without body. `path` is encoded as it is sent, `query` is not;
    /// `headers` are those that begin with `x-ms-`, by lower-case name.
    pub fn authorization(
        &self,
        method: &str,
        path: &str,
        query: &[(String, String)],
        headers: &BTreeMap<&str, String>,
    ) -> String {
        // Eleven headers that such a request does not have.
        let mut text = format!("{method}{}", "\n".repeat(12));
        for (name, value) in headers {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name}:{}", value.trim());
        }
        let _ = write!(text, "/{}{path}", self.account);
        let mut sorted: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (name, value) in query {
            sorted.entry(name.to_lowercase()).or_default().push(value);
        }
        for (name, mut values) in sorted {
            values.sort_unstable();
            let _ = write!(text, "\n{name}:{}", values.join(","));
        }
        format!("SharedKey {}:{}", self.account, self.signature(&text))
    }

    fn signature(&self, text: &str) -> String {
        // A key of any length is a key of this construction.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else {
            return String::new();
        };
        mac.update(text.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signature was computed with Python's hmac from the text that the documentation gives for such a request.
    #[test]
    fn request_is_signed_as_documented() {
        let key = AccountKey::new("myaccount", &STANDARD.encode("0123456789abcdef")).unwrap();
        let headers = BTreeMap::from([
            ("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT".to_owned()),
            ("x-ms-version", "2015-02-21".to_owned()),
        ]);
        let query = [
            ("restype", "container"),
            ("comp", "metadata"),
            ("timeout", "20"),
        ];
        let query = query.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(
            key.authorization("GET", "/mycontainer", &query, &headers),
            "SharedKey myaccount:qN+w4DH2Z0eIswxyglB15ZUPn9tSJtHnql0GJQ63rtM="
        );
        assert_eq!(
            format!("{key:?}"),
            "AccountKey { account: \"myaccount\", .. }"
        );
        assert_eq!(AccountKey::new("a", "%").unwrap_err(), NotBase64);
    }
}
