//! The URLs of submodules.
//!
//! Source: <https://git-scm.com/docs/git-submodule>, Git 2.47, on relative URLs.

use crate::{Error, SshAddress};

/// Returns the URL of a submodule as the repository at `parent` names it: http, https, ssh or Git's short form of it.
pub(super) fn resolve(parent: &str, url: &str) -> Result<String, Error> {
    let refused = || Error::Url(net_http::without_credentials(url));
    if url.chars().any(char::is_control) {
        return Err(refused());
    }
    let url = if url.starts_with("./") || url.starts_with("../") {
        relative(parent, url).ok_or_else(refused)?
    } else {
        url.to_owned()
    };
    if let Some(rest) = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
    {
        return if rest.is_empty() || rest.starts_with(['/', '-']) {
            Err(refused())
        } else {
            Ok(url)
        };
    }
    SshAddress::parse(&url).map(|_| url)
}

/// Applies `./` and `../` to the path of the parent's URL; `None` where they lead out of it.
fn relative(parent: &str, url: &str) -> Option<String> {
    let parent = parent.trim_end_matches('/');
    // In a URL the host is no part of the path; in the short form the path starts behind the colon.
    let start = match parent.find("://") {
        Some(at) => at + 3 + parent[at + 3..].find('/')? + 1,
        None => parent.find(':')? + 1,
    };
    let (front, path) = parent.split_at(start);
    let mut parts: Vec<&str> = path.split('/').collect();
    let mut rest = url;
    loop {
        if let Some(after) = rest.strip_prefix("./") {
            rest = after;
        } else if let Some(after) = rest.strip_prefix("../") {
            parts.pop().filter(|part| !part.is_empty())?;
            rest = after;
        } else {
            break;
        }
    }
    let rest = rest.trim_end_matches('/');
    if rest.is_empty() || rest.split('/').any(|part| part == "..") {
        return None;
    }
    parts.push(rest);
    Some(format!("{front}{}", parts.join("/")))
}

/// Returns scheme, host and port.
pub(super) fn origin(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    let authority = &url[start..end];
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{}{host}", &url[..start]).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_urls_count_from_the_parent() {
        for (parent, url, expected) in [
            (
                "https://host/org/app.git",
                "../lib.git",
                "https://host/org/lib.git",
            ),
            (
                "https://host/org/app.git/",
                "../lib.git",
                "https://host/org/lib.git",
            ),
            ("https://host/org/app", "../../x/lib", "https://host/x/lib"),
            ("https://host/org/app", "./lib", "https://host/org/app/lib"),
            ("https://host/org/app", ".././lib", "https://host/org/lib"),
            (
                "ssh://git@host:22/org/app",
                "../lib",
                "ssh://git@host:22/org/lib",
            ),
            ("git@host:org/app.git", "../lib.git", "git@host:org/lib.git"),
            ("git@host:app.git", "../lib.git", "git@host:lib.git"),
            ("https://host/org/app", "https://other/x", "https://other/x"),
            ("https://host/org/app", "git@other:x", "git@other:x"),
        ] {
            assert_eq!(resolve(parent, url).unwrap(), expected, "{parent} {url}");
        }
    }

    /// What is neither HTTP nor SSH, or could be taken for an option or another path, is refused.
    #[test]
    fn urls_that_lead_elsewhere_are_refused() {
        for url in [
            "../../../lib",
            "../a/../../../x",
            "..",
            "/etc/passwd",
            "file:///etc/passwd",
            "ext::sh -c x",
            "-u./payload",
            "ssh://-oProxyCommand=x/y",
            "git://host/x",
            "https://",
            "https:///x",
            "https://-x/y",
            "../x\ny",
            "",
        ] {
            assert!(resolve("https://host/org/app", url).is_err(), "{url}");
        }
    }

    proptest::proptest! {
        #[test]
        fn relative_urls_stay_on_the_host(url in "(\\.\\./|\\./|/|[a-z]{1,3}|\\.\\.){0,8}") {
            if let Ok(found) = resolve("https://host/a/b/c", &url) {
                proptest::prop_assert!(found.starts_with("https://host/"), "{found}");
            }
        }
    }
}
