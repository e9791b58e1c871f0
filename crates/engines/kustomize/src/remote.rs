//! Which entries of a kustomization name a git repository, and what part of it.

use crate::options::RemoteSource;

/// How long a fetch may take where the URL says nothing.
const DEFAULT_TIMEOUT_SECONDS: u64 = 27;

/// A git repository and a directory in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepoSpec {
    /// The entry as it was written.
    pub(crate) raw: String,
    /// What to clone.
    pub(crate) repository: String,
    /// The directory of the kustomization, without slashes around it.
    pub(crate) directory: String,
    /// Branch, tag or commit.
    pub(crate) reference: String,
    pub(crate) submodules: bool,
    pub(crate) timeout_seconds: u64,
}

impl RepoSpec {
    /// Gives what the caller has to fetch.
    pub(crate) fn source(&self) -> RemoteSource {
        RemoteSource::Git {
            repository: self.repository.clone(),
            reference: (!self.reference.is_empty()).then(|| self.reference.clone()),
            submodules: self.submodules,
            timeout_seconds: self.timeout_seconds,
        }
    }
}

/// Tells whether an entry is a file on a web server.
pub(crate) fn is_http(entry: &str) -> bool {
    let scheme = entry
        .split_once("://")
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https"))
}

/// Reads an entry as a git repository.
///
/// # Errors
/// Why it is none: then it is a local path.
///
/// Behaviours KE-145 and KE-146.
pub(crate) fn parse(entry: &str) -> Result<RepoSpec, String> {
    if entry.starts_with('/') {
        return Err(format!("uri looks like abs path: {entry}"));
    }
    let (url, query) = entry.split_once('?').unwrap_or((entry, ""));
    let (host, rest) = split_host(url)?;
    let all_segments = host.starts_with("file://");
    let (repo, directory) = split_repo(rest, all_segments)
        .filter(|(repo, _)| !repo.is_empty())
        .ok_or("failed to parse repo path segment")?;
    let cleaned = crate::file_tree::join("", directory.trim_start_matches('/'));
    let directory = cleaned.ok_or_else(|| format!("url path exits repo: {rest}"))?;
    let mut spec = RepoSpec {
        raw: entry.to_owned(),
        repository: format!("{host}{repo}"),
        directory,
        reference: String::new(),
        submodules: true,
        timeout_seconds: DEFAULT_TIMEOUT_SECONDS,
    };
    read_query(&mut spec, query);
    Ok(spec)
}

fn read_query(spec: &mut RepoSpec, query: &str) {
    let value = |wanted: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter(|(key, value)| *key == wanted && !value.is_empty());
        values.next().map(|(_, value)| percent_decoded(value))
    };
    spec.reference = value("ref")
        .or_else(|| value("version"))
        .unwrap_or_default();
    if let Some(seconds) = value("timeout").as_deref().and_then(seconds) {
        spec.timeout_seconds = seconds;
    }
    match value("submodules").as_deref() {
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => spec.submodules = false,
        _ => spec.submodules = true,
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = hex {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(if *first == b'+' { b' ' } else { *first });
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads a positive number of seconds, or a duration such as `1m30s`, rounded up.
fn seconds(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse::<u64>() {
        return (seconds > 0).then_some(seconds);
    }
    let mut millis: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1000,
            "ms" => 1,
            _ => return None,
        };
        millis = millis.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[end..];
    }
    (millis > 0).then(|| millis.div_ceil(1000))
}

/// Splits scheme, user and host off an URL; the host keeps the separator behind it.
fn split_host(url: &str) -> Result<(String, &str), String> {
    let url = strip_prefix(url, "git::").unwrap_or(url);
    let schemes = ["ssh://", "https://", "http://", "file://"];
    let found = schemes
        .iter()
        .find_map(|s| strip_prefix(url, s).map(|rest| (*s, rest)));
    let (scheme, rest) = found.unwrap_or(("", url));
    let (user, rest) = split_user(rest);
    let lower = rest.to_ascii_lowercase();
    let is_github = lower.starts_with("github.com/") || lower.starts_with("github.com:");
    let is_scp = scheme.is_empty() && (!user.is_empty() || is_github);
    if scheme.is_empty() && !is_scp {
        return Err("failed to parse scheme".to_owned());
    }
    if scheme == "file://" {
        return Ok((
            scheme.to_owned(),
            &url[url.len() - rest.len() - user.len()..],
        ));
    }
    let slash = rest.find('/');
    let colon = rest.find(':').filter(|at| is_scp && *at > 0);
    let separator = match (slash, colon) {
        (Some(slash), Some(colon)) => Some(slash.min(colon)),
        (slash, colon) => slash.or(colon),
    };
    let (host, path) = separator.map_or((rest, ""), |at| rest.split_at(at + 1));
    if is_github {
        let over_ssh = scheme == "ssh://" || !user.is_empty();
        let host = if over_ssh {
            format!("{user}github.com:")
        } else {
            "https://github.com/".into()
        };
        return Ok((host, path));
    }
    if host.is_empty() {
        return Err("failed to parse host segment".to_owned());
    }
    Ok((format!("{scheme}{user}{host}"), path))
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix)
        .then(|| &text[prefix.len()..])
}

/// Splits `user@` off.
fn split_user(text: &str) -> (&str, &str) {
    let is_user = |user: &str| {
        user.starts_with(|c: char| c.is_ascii_alphabetic())
            && user.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    match text.find('@') {
        Some(at) if is_user(&text[..at]) => text.split_at(at + 1),
        _ => ("", text),
    }
}

/// Splits the repository from the directory in it.
fn split_repo(path: &str, all_segments: bool) -> Option<(String, &str)> {
    if let Some(at) = path.find("_git/") {
        let after = at + "_git/".len();
        let end = path[after..]
            .find('/')
            .map_or(path.len(), |slash| after + slash);
        return Some((path[..end].to_owned(), &path[end..]));
    }
    if let Some((repo, directory)) = path.split_once("//") {
        return Some((repo.to_owned(), directory));
    }
    if let Some(at) = path.find(".git") {
        let (repo, directory) = path.split_at(at + ".git".len());
        return Some((repo.to_owned(), directory));
    }
    if all_segments {
        return Some((path.to_owned(), ""));
    }
    let first = path.find('/')?;
    let end = path[first + 1..]
        .find('/')
        .map_or(path.len(), |slash| first + 1 + slash);
    Some((path[..end].to_owned(), &path[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: KE-015, KE-145, KE-146
    #[test]
    fn entries_split_into_repository_directory_and_reference() {
        let cases = [
            (
                "github.com/org/repo/dir?ref=v1",
                "https://github.com/org/repo",
                "dir",
                "v1",
            ),
            (
                "https://github.com/org/repo//a/b?version=x&ref=y",
                "https://github.com/org/repo",
                "a/b",
                "y",
            ),
            (
                "git@github.com:org/repo.git//d",
                "git@github.com:org/repo.git",
                "d",
                "",
            ),
            (
                "ssh://git@host.io/org/repo.git/d?ref=m",
                "ssh://git@host.io/org/repo.git",
                "d",
                "m",
            ),
            (
                "https://h.io/p/_git/repo/sub/dir",
                "https://h.io/p/_git/repo",
                "sub/dir",
                "",
            ),
            ("file:///srv/repo.git//x", "file:///srv/repo.git", "x", ""),
            ("git::https://h.io/o/r", "https://h.io/o/r", "", ""),
        ];
        for (entry, repository, directory, reference) in cases {
            let spec = parse(entry).unwrap();
            assert_eq!(
                (
                    spec.repository.as_str(),
                    spec.directory.as_str(),
                    spec.reference.as_str()
                ),
                (repository, directory, reference),
                "{entry}"
            );
        }
    }

    #[test]
    fn local_paths_are_no_repositories() {
        for entry in [
            "../base",
            "base",
            "/abs",
            "a.yaml",
            "https://h.io/o/r//../x",
        ] {
            assert!(parse(entry).is_err(), "{entry}");
        }
    }

    /// covers: KE-145
    #[test]
    fn timeout_is_seconds_or_a_duration_and_submodules_default_to_on() {
        let of = |query: &str| parse(&format!("https://h.io/o/r?{query}")).unwrap();
        assert_eq!(of("").timeout_seconds, 27);
        assert!(of("").submodules);
        assert_eq!(of("timeout=120").timeout_seconds, 120);
        assert_eq!(of("timeout=1m30s").timeout_seconds, 90);
        assert_eq!(of("timeout=-1").timeout_seconds, 27);
        assert!(!of("submodules=false").submodules);
    }
}
