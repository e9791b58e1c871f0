//! Requests for tokens: a form that is posted to an authority.

use std::fmt::Write;

/// A form to post, `application/x-www-form-urlencoded`.
#[derive(Clone, PartialEq, Eq)]
pub struct Form {
    /// Where it goes.
    pub url: String,
    /// What it says; it holds a secret.
    pub body: String,
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Form")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Form {
    /// Returns a form of fields, each of them escaped.
    pub fn new(url: impl Into<String>, fields: &[(&str, &str)]) -> Self {
        let pairs = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", escaped(value)));
        Self {
            url: url.into(),
            body: pairs.collect::<Vec<_>>().join("&"),
        }
    }
}

/// Escapes everything but unreserved characters.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_escaped_and_do_not_show() {
        let form = Form::new("https://h.example/t", &[("a", "x y&z"), ("b", "ä/~")]);
        assert_eq!(form.body, "a=x%20y%26z&b=%C3%A4%2F~");
        assert!(!format!("{form:?}").contains("x%20y"));
    }
}
