//! How the Git server of a GitRepository is reached.

use access::{Address, GitAccess, proxy};
use net_http::Proxy;
use runtime::secrets::SecretView;

/// Joins a URL with the Secrets that the GitRepository names.
///
/// # Errors
/// What is wrong, in upstream's words.
pub(super) fn access(
    url: &str,
    secret: Option<&SecretView>,
    through: Option<&SecretView>,
) -> Result<GitAccess, String> {
    let address = Address::parse(url).map_err(|error| {
        let shown = net_http::without_credentials(url);
        format!("failed to parse URL '{shown}': {error}")
    })?;
    let through = through.map_or(Ok(Proxy::default()), proxy);
    let through = through.map_err(|error| format!("failed to configure proxy options: {error}"))?;
    GitAccess::new(&address, secret, through)
        .map_err(|error| format!("failed to configure authentication options: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;
    use net_http::Auth;

    fn secret(pairs: &[(&str, &str)]) -> SecretView {
        let data = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), ByteString(v.as_bytes().to_vec())));
        SecretView {
            name: "ns/s".into(),
            kind: "Opaque".into(),
            data: data.collect(),
        }
    }

    /// covers: IA-138
    #[test]
    fn secrets_are_checked_before_a_connection_is_made() {
        let make = |url: &str, pairs: &[(&str, &str)]| {
            access(url, Some(&secret(pairs)), None).map(|access| access.remote)
        };
        let url = "https://git.example/app.git";
        let basic = make(url, &[("username", "u"), ("password", "p")]).unwrap();
        assert!(matches!(basic.auth, Some(Auth::Basic { .. })));
        assert_eq!(
            make(url, &[("password", "p")]).unwrap_err(),
            "failed to configure authentication options: invalid 'https' auth option: 'password' requires 'username' to be set"
        );
        assert!(make(url, &[("tls.crt", "x")]).is_err());
        assert_eq!(
            make("ssh://git@h/a", &[]).unwrap_err(),
            "failed to configure authentication options: invalid 'ssh' auth option: 'identity' is required"
        );
        assert_eq!(
            make("git.example/app", &[]).unwrap_err(),
            "failed to parse URL 'git.example/app': missing protocol scheme"
        );
        assert_eq!(
            make("ftp://x/y", &[]).unwrap_err(),
            "failed to configure authentication options: unknown transport 'ftp'"
        );
        let of_url = access("https://u:p@h/app", None, None).unwrap().remote;
        assert_eq!(of_url.url, "https://h/app");
        assert!(of_url.auth.is_some());
        let through = access(url, None, Some(&secret(&[])));
        assert_eq!(
            through.unwrap_err(),
            "failed to configure proxy options: secret 'ns/s': key 'address' not found"
        );
    }
}
