//! Keeps credentials out of texts that people see.

use base64::Engine;

/// Stands where a credential was.
const MASK: &str = "*****";

/// Returns a URL without its user name and password.
///
/// A text that is no URL is cut the same way: everything between `://` and the last `@` of the authority goes.
pub fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

/// Replaces known secrets in a text.
///
/// Finds each secret as it is, in base64, and percent-encoded; a pair of user and password also as the `user:password`
/// of basic authentication.
#[derive(Clone, Default)]
pub struct Redactor {
    needles: Vec<String>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} needles)", self.needles.len())
    }
}

impl Redactor {
    /// Adds a secret. Empty ones are not looked for.
    pub fn add(&mut self, secret: &str) {
        if secret.is_empty() {
            return;
        }
        let base64 = base64::engine::general_purpose::STANDARD.encode(secret);
        for needle in [secret.to_owned(), base64, percent_encoded(secret)] {
            if !self.needles.contains(&needle) {
                self.needles.push(needle);
            }
        }
        // The longest first, so that no part of one is left beside the mask of another.
        self.needles
            .sort_by_key(|needle| std::cmp::Reverse(needle.len()));
    }

    /// Adds the parts of an authentication.
    pub fn add_auth(&mut self, auth: &crate::Auth) {
        match auth {
            crate::Auth::Basic { username, password } => {
                self.add(password);
                self.add(&format!("{username}:{password}"));
            }
            crate::Auth::Bearer(token) => self.add(token),
        }
    }

    /// Returns the text with every known secret replaced.
    pub fn redact(&self, text: &str) -> String {
        self.needles.iter().fold(text.to_owned(), |text, needle| {
            text.replace(needle.as_str(), MASK)
        })
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                use std::fmt::Write;
                // Writing to a String cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
            out
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Auth;

    #[test]
    fn url_loses_its_user_and_password() {
        for (url, expected) in [
            ("https://u:p@host/x@y", "https://host/x@y"),
            ("https://token@host:8443", "https://host:8443"),
            ("https://u:p@ss@host/x", "https://host/x"),
            ("https://host/a?b=c@d", "https://host/a?b=c@d"),
            ("https://host?x=a@b", "https://host?x=a@b"),
            ("not a url", "not a url"),
        ] {
            assert_eq!(without_credentials(url), expected);
        }
    }

    #[test]
    fn secrets_are_replaced_in_every_form() {
        let mut redactor = Redactor::default();
        redactor.add_auth(&Auth::Basic {
            username: "user".into(),
            password: "p@ss".into(),
        });
        redactor.add("");
        for form in ["p@ss", "p%40ss", "cEBzcw==", "dXNlcjpwQHNz", "user:p@ss"] {
            let text = redactor.redact(&format!("server said <{form}>"));
            assert_eq!(text, "server said <*****>", "{form}");
        }
        assert_eq!(redactor.redact("nothing here"), "nothing here");
        assert!(!format!("{redactor:?}").contains("p@ss"));
    }
}
