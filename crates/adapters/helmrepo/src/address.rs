//! Addresses of repositories and of charts within them.

use url::Url;

/// Why an address cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It is no URL.
    #[error("parse \"{url}\": {why}")]
    Parse {
        /// The address, without credentials.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// Its scheme is none of http, https and oci.
    #[error("scheme \"{0}\" not supported")]
    Scheme(String),
}

/// Returns the address in the form that addresses are compared in: http ones end in exactly one slash before the query,
/// oci ones in none. An empty one stays empty.
///
/// # Errors
/// [`AddressError::Parse`].
pub fn normalize(address: &str) -> Result<String, AddressError> {
    if address.is_empty() {
        return Ok(String::new());
    }
    parse(address)?;
    let (before, query) = match address.find(['?', '#']) {
        Some(at) => address.split_at(at),
        None => (address, ""),
    };
    let trimmed = before.trim_end_matches('/');
    if address.starts_with("oci://") {
        Ok(format!("{trimmed}{query}"))
    } else {
        Ok(format!("{trimmed}/{query}"))
    }
}

/// Returns the address of a repository's index.
pub(crate) fn index(repository: &str) -> Result<String, AddressError> {
    let mut url = parse(repository)?;
    let path = format!("{}/index.yaml", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url.into())
}

/// Returns the address of a chart that an index names: as it is, or relative to the repository and with its query.
pub(crate) fn chart(repository: &str, reference: &str) -> Result<String, AddressError> {
    if let Ok(absolute) = Url::parse(reference) {
        return Ok(absolute.into());
    }
    let mut base = parse(repository)?;
    let path = format!("{}/", base.path().trim_end_matches('/'));
    base.set_path(&path);
    let mut url = base
        .join(reference)
        .map_err(|error| wrong(reference, error))?;
    url.set_query(base.query());
    Ok(url.into())
}

/// Returns whether two addresses are of the same server.
pub(crate) fn same_server(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => {
            one.scheme() == other.scheme()
                && one.host_str() == other.host_str()
                && one.port_or_known_default() == other.port_or_known_default()
        }
        _ => false,
    }
}

fn parse(address: &str) -> Result<Url, AddressError> {
    Url::parse(address).map_err(|error| wrong(address, error))
}

fn wrong(address: &str, error: url::ParseError) -> AddressError {
    AddressError::Parse {
        url: net_http::without_credentials(address),
        why: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: SC-154
    #[test]
    fn addresses_are_compared_in_one_form() {
        for (address, expected) in [
            ("http://h.example/x", "http://h.example/x/"),
            ("http://h.example/x///", "http://h.example/x/"),
            ("http://h.example", "http://h.example/"),
            ("http://h.example/a%2Fb?k=v", "http://h.example/a%2Fb/?k=v"),
            ("oci://h.example/x//", "oci://h.example/x"),
            ("", ""),
        ] {
            assert_eq!(normalize(address).unwrap(), expected);
        }
        assert!(normalize("://x").is_err());
    }

    /// covers: SC-173
    #[test]
    fn charts_are_found_relative_to_their_repository() {
        let base = "https://h.example/charts/?token=x";
        for (reference, expected) in [
            (
                "demo-1.0.0.tgz",
                "https://h.example/charts/demo-1.0.0.tgz?token=x",
            ),
            (
                "../charts/demo.tgz",
                "https://h.example/charts/demo.tgz?token=x",
            ),
            ("/demo.tgz", "https://h.example/demo.tgz?token=x"),
            (
                "https://other.example/demo.tgz",
                "https://other.example/demo.tgz",
            ),
        ] {
            assert_eq!(chart(base, reference).unwrap(), expected);
        }
        assert_eq!(
            index(base).unwrap(),
            "https://h.example/charts/index.yaml?token=x"
        );
    }

    #[test]
    fn servers_are_the_same_with_scheme_host_and_port() {
        assert!(same_server(
            "https://a.example/x",
            "https://a.example:443/y"
        ));
        assert!(!same_server("https://a.example/x", "http://a.example/x"));
        assert!(!same_server("https://a.example/x", "https://b.example/x"));
        assert!(!same_server(
            "https://a.example/x",
            "https://a.example:8443/x"
        ));
    }
}
