//! What the Git services share: addresses of repositories, commits of revisions, states.

use std::fmt::Write;

use super::{BuildError, SendError};
use crate::event::Event;

/// A repository of a Git service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Repository {
    /// Scheme, host and port.
    pub base: String,
    /// The host alone.
    pub host: String,
    /// The path, without slash before and `.git` behind.
    pub id: String,
}

/// Reads the address of a repository as Git takes it: https, ssh, or `user@host:path`. What is
/// reached by ssh has its API at https.
///
/// # Errors
/// None of these.
pub(super) fn repository(address: &str) -> Result<Repository, BuildError> {
    let wrong = || {
        let shown = net_http::without_credentials(address);
        BuildError::new(format!("failed to parse repository address '{shown}'"))
    };
    let full = match address.split_once(':') {
        Some((host, path)) if !address.contains("://") && !host.contains('/') => {
            format!("ssh://{host}/{}", path.trim_start_matches('/'))
        }
        _ => address.to_owned(),
    };
    let url = url::Url::parse(&full).map_err(|_| wrong())?;
    let scheme = match url.scheme() {
        "http" => "http",
        "https" | "ssh" => "https",
        _ => return Err(wrong()),
    };
    let host = url.host_str().filter(|h| !h.is_empty()).ok_or_else(wrong)?;
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    let id = url.path().trim_start_matches('/');
    Ok(Repository {
        base: format!("{scheme}://{host}{port}"),
        host: host.to_owned(),
        id: id.strip_suffix(".git").unwrap_or(id).to_owned(),
    })
}

/// Splits `owner/name`.
///
/// # Errors
/// Another number of parts.
pub(super) fn owner_and_name(id: &str) -> Result<(&str, &str), BuildError> {
    let parts = id
        .split_once('/')
        .filter(|(owner, name)| !owner.is_empty() && !name.is_empty() && !name.contains('/'));
    parts.ok_or_else(|| BuildError::new(format!("invalid repository id '{id}'")))
}

/// Returns the commit that an event is about.
///
/// # Errors
/// There is no revision, or no commit in it.
pub(super) fn commit(event: &Event) -> Result<&str, SendError> {
    let revision = event
        .revision()
        .ok_or_else(|| SendError::rejected("missing revision metadata"))?;
    hash_of(revision).ok_or_else(|| {
        SendError::rejected(format!(
            "failed to extract commit hash from '{revision}' revision"
        ))
    })
}

/// `main@sha1:<hash>`, or as old versions wrote it `main/<hash>`.
fn hash_of(revision: &str) -> Option<&str> {
    let after = |c| revision.rsplit_once(c).map(|(_, hash)| hash);
    let hash = after(':').or_else(|| after('/'))?;
    let is_hash = hash.len() == 40 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    is_hash.then_some(hash)
}

/// What a commit status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Success,
    Failure,
}

/// Returns the state of an event.
///
/// # Errors
/// The severity is neither `info` nor `error`; `service` names whose state it cannot become.
pub(super) fn state(event: &Event, service: &str) -> Result<State, SendError> {
    match event.severity.as_str() {
        "info" => Ok(State::Success),
        "error" => Ok(State::Failure),
        _ => Err(SendError::rejected(format!(
            "can't convert to {service} state"
        ))),
    }
}

/// Whether an event says nothing of a commit: something is going on.
pub(super) fn is_progress(event: &Event) -> bool {
    event.reason == "Progressing"
}

/// Encodes one segment of a path.
pub(super) fn segment(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// Returns the number of the pull request that an event is about.
///
/// # Errors
/// There is none, or it is no number.
pub(super) fn change_request(event: &Event) -> Result<u64, SendError> {
    let key = crate::event::CHANGE_REQUEST;
    let value = event.metadata.get(key).map(String::as_str);
    let value = value.unwrap_or_default();
    value.parse().map_err(|error| {
        SendError::rejected(format!(
            "invalid \"{key}\" metadata value {value:?}: {error}"
        ))
    })
}

/// Returns the body of a comment, and the marker by which it is found again.
pub(super) fn comment(event: &Event, prefix: &str, uid: &str) -> (String, String) {
    // Names of objects have no blanks and no brackets: none can end the remark.
    let marker = format!("<!-- {prefix}:{uid}/{} -->", event.involved_object.id());
    (format!("{marker}\n\n{}", super::markdown(event)), marker)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: NC-104
    #[test]
    fn addresses_are_read_as_git_reads_them() {
        for (address, base, id) in [
            (
                "https://github.com/foo/bar",
                "https://github.com",
                "foo/bar",
            ),
            (
                "https://github.com/foo/bar.git",
                "https://github.com",
                "foo/bar",
            ),
            (
                "https://my.host:8443/a/b/c.git",
                "https://my.host:8443",
                "a/b/c",
            ),
            ("http://my.host/a/b", "http://my.host", "a/b"),
            (
                "git@github.com:foo/bar.git",
                "https://github.com",
                "foo/bar",
            ),
            (
                "ssh://git@my.host:2222/foo/bar",
                "https://my.host:2222",
                "foo/bar",
            ),
            (
                "git@gitlab.com:foo/sub/bar.git",
                "https://gitlab.com",
                "foo/sub/bar",
            ),
        ] {
            let got = repository(address).unwrap();
            assert_eq!(
                (got.base.as_str(), got.id.as_str()),
                (base, id),
                "{address}"
            );
        }
        for bad in ["", "foo", "ftp://x/y", "https://"] {
            assert!(repository(bad).is_err(), "{bad}");
        }
    }

    /// covers: NC-105
    #[test]
    fn commit_is_found_in_every_form_of_revision() {
        let hash = "69b59063470310ebbd88a9156325322a124e55a3";
        for form in [
            "main@sha1:",
            "feature/x@sha1:",
            "main/",
            "feature/x/",
            "HEAD/",
        ] {
            assert_eq!(hash_of(&format!("{form}{hash}")), Some(hash), "{form}");
        }
        for bad in ["master", "main@sha1:abc", "v1.0.0", &format!("{hash}0")] {
            assert_eq!(hash_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn comment_is_found_by_a_marker_that_no_name_can_break() {
        let mut event = crate::event::tests::sample("error");
        event.metadata.insert("change_request".into(), "7".into());
        let (body, marker) = comment(&event, "flux-pr-comment-key", "uid");
        let expect = "<!-- flux-pr-comment-key:uid/GitRepository/gitops-system/webapp -->";
        assert_eq!(marker, expect);
        let text =
            "⚠️ GitRepository/gitops-system/webapp\n\nmessage\n\nMetadata:\n* `test`: metadata\n";
        assert_eq!(body, format!("{expect}\n\n## Flux Status\n\n{text}"));
        assert_eq!(change_request(&event).unwrap(), 7);
        event.metadata.insert("change_request".into(), "x".into());
        assert!(
            change_request(&event)
                .unwrap_err()
                .to_string()
                .contains("invalid \"change_request\"")
        );
    }
}
