//! Names of repositories.

use std::fmt;

/// Where short names belong to.
const DOCKER_HUB: &str = "index.docker.io";
const NAME_CHARACTERS: &str = "abcdefghijklmnopqrstuvwxyz0123456789_-./";
const TAG_CHARACTERS: &str = "abcdefghijklmnopqrstuvwxyz0123456789_-.ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// A repository of a registry, without tag or digest. Shape: `ghcr.io/org/app`, `localhost:5000/app`.
///
/// Short names are those of Docker Hub: `podinfo` is `index.docker.io/library/podinfo`.
/// Source: google/go-containerregistry v0.20 `pkg/name`, whose words users know.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository {
    registry: String,
    name: String,
}

/// Why a text names no repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// Nothing was given.
    #[error("a repository name must be specified")]
    Empty,
    /// The name of the repository is too short or too long.
    #[error("repository must be between 2 and {MAX_NAME} characters in length: {0}")]
    Length(String),
    /// The name of the repository holds other characters than it may.
    #[error("repository can only contain the characters `{NAME_CHARACTERS}`: {0}")]
    Characters(String),
    /// A part of the name is empty, or a separator stands where none may.
    #[error("could not parse reference: {0}")]
    Format(String),
    /// The registry is no host, or host and port.
    #[error("registries must be valid RFC 3986 URI authorities: {0}")]
    Registry(String),
    /// The tag is empty or too long.
    #[error("tag must be between 1 and {MAX_TAG} characters in length: {0}")]
    TagLength(String),
    /// The tag holds other characters than it may.
    #[error("tag can only contain the characters `{TAG_CHARACTERS}`: {0}")]
    TagCharacters(String),
}

impl Repository {
    /// Reads `[<host>[:<port>]/]<name>`.
    ///
    /// # Errors
    /// [`RepositoryError`]; a tag or digest in it is one.
    pub fn parse(text: &str) -> Result<Self, RepositoryError> {
        if text.is_empty() {
            return Err(RepositoryError::Empty);
        }
        let (registry, name) = match text.split_once('/') {
            Some((host, name)) if is_host(host) => (host, name),
            _ => (DOCKER_HUB, text),
        };
        let registry = if registry == "docker.io" {
            DOCKER_HUB
        } else {
            registry
        };
        let length = name.chars().count();
        if !(2..=MAX_NAME).contains(&length) {
            return Err(RepositoryError::Length(name.to_owned()));
        }
        if !name.chars().all(|each| NAME_CHARACTERS.contains(each)) {
            return Err(RepositoryError::Characters(name.to_owned()));
        }
        if !is_authority(registry) {
            return Err(RepositoryError::Registry(registry.to_owned()));
        }
        let name = if registry == DOCKER_HUB && !name.contains('/') {
            format!("library/{name}")
        } else {
            name.to_owned()
        };
        if name.len() > MAX_NAME || !name.split('/').all(is_component) {
            return Err(RepositoryError::Format(format!("{registry}/{name}")));
        }
        Ok(Self {
            registry: registry.to_owned(),
            name,
        })
    }

    /// Reads a reference that may end in `:<tag>` or `@<digest>`: the repository and what ends it.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub fn parse_reference(text: &str) -> Result<(Self, Option<String>), RepositoryError> {
        if let Some((before, digest)) = text.split_once('@') {
            return Ok((Self::parse(before)?, Some(digest.to_owned())));
        }
        let start = text.rfind('/').map_or(0, |at| at + 1);
        match text[start..].rfind(':') {
            Some(colon) => {
                let (before, tag) = (&text[..start + colon], &text[start + colon + 1..]);
                check_tag(tag)?;
                Ok((Self::parse(before)?, Some(tag.to_owned())))
            }
            None => Ok((Self::parse(text)?, None)),
        }
    }

    /// Returns the host, with its port where one was given.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the name within the registry.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether the registry is on this machine or the local network, where plain HTTP is tried too.
    pub(crate) fn is_local(&self) -> bool {
        let host = host_of(&self.registry);
        host == "localhost"
            || matches!(host.rsplit_once('.'), Some((_, "localhost" | "local")))
            || host == "::1"
            || host
                .parse::<std::net::Ipv4Addr>()
                .is_ok_and(|address| address.is_loopback() || address.is_private())
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.name)
    }
}

/// Checks a tag.
fn check_tag(tag: &str) -> Result<(), RepositoryError> {
    let length = tag.chars().count();
    if !(1..=MAX_TAG).contains(&length) {
        return Err(RepositoryError::TagLength(tag.to_owned()));
    }
    if !tag.chars().all(|each| TAG_CHARACTERS.contains(each)) {
        return Err(RepositoryError::TagCharacters(tag.to_owned()));
    }
    Ok(())
}

fn is_host(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost"
}

fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    authority.split(':').next().unwrap_or(authority)
}

fn is_authority(text: &str) -> bool {
    let allowed = |each: char| each.is_ascii_alphanumeric() || "-._~[]:".contains(each);
    let port = match text.rsplit_once(':') {
        Some((_, port)) if !port.contains(']') => Some(port),
        _ => None,
    };
    !host_of(text).is_empty()
        && text.chars().all(allowed)
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// Returns whether a part of a name is one by the grammar of the distribution specification: letters and digits, and
/// between them one dot, one or two underscores, or dashes. The specification's own library says the same with a regular
/// expression that holds 8 MB for as long as the process lives.
fn is_component(part: &str) -> bool {
    let is_separator =
        |run: &str| matches!(run, "" | "." | "_" | "__") || run.bytes().all(|byte| byte == b'-');
    let is_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = part.as_bytes();
    is_word(bytes.first())
        && is_word(bytes.last())
        && part
            .split(|c: char| c.is_ascii_alphanumeric())
            .all(is_separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match Repository::parse(text) {
            Ok(repository) => repository.to_string(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn names_are_completed_as_docker_does() {
        for (text, expected) in [
            ("podinfo", "index.docker.io/library/podinfo"),
            ("org/app", "index.docker.io/org/app"),
            ("docker.io/org/app", "index.docker.io/org/app"),
            ("ghcr.io/org/app/charts", "ghcr.io/org/app/charts"),
            ("localhost/app", "localhost/app"),
            ("127.0.0.1:5000/app", "127.0.0.1:5000/app"),
            ("[::1]:5000/app", "[::1]:5000/app"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn what_is_no_repository_is_refused_in_known_words() {
        for (text, expected) in [
            ("", "a repository name must be specified"),
            (
                "127.0.0.1:5000/app:1.0",
                "repository can only contain the characters `abcdefghijklmnopqrstuvwxyz0123456789_-./`: app:1.0",
            ),
            (
                "ghcr.io/a",
                "repository must be between 2 and 255 characters in length: a",
            ),
            (
                "ghcr.io/Org/app",
                "repository can only contain the characters `abcdefghijklmnopqrstuvwxyz0123456789_-./`: Org/app",
            ),
            (
                "ghcr.io:x/app",
                "registries must be valid RFC 3986 URI authorities: ghcr.io:x",
            ),
            ("ghcr.io/a//b", "could not parse reference: ghcr.io/a//b"),
            ("ghcr.io/../b", "could not parse reference: ghcr.io/../b"),
        ] {
            assert_eq!(shown(text), format!("error: {expected}"));
        }
    }

    #[test]
    fn references_are_split() {
        let split = |text| {
            let (repository, rest) = Repository::parse_reference(text).unwrap();
            (repository.to_string(), rest)
        };
        let host = "127.0.0.1:5000/app".to_owned();
        assert_eq!(split("127.0.0.1:5000/app"), (host.clone(), None));
        assert_eq!(
            split("127.0.0.1:5000/app:V1"),
            (host.clone(), Some("V1".into()))
        );
        assert_eq!(
            split("127.0.0.1:5000/app@sha256:ab"),
            (host, Some("sha256:ab".into()))
        );
        assert!(Repository::parse_reference("ghcr.io/app:").is_err());
        assert!(Repository::parse_reference("ghcr.io/app:a+b").is_err());
    }

    #[test]
    fn local_registries_are_known() {
        let local = |text| Repository::parse(text).unwrap().is_local();
        assert!(
            local("localhost:5000/app") && local("127.0.0.1:1/app") && local("10.0.0.1:5000/app")
        );
        assert!(local("registry.local/app") && local("[::1]:5000/app"));
        assert!(!local("ghcr.io/app") && !local("8.8.8.8:443/app"));
    }

    #[test]
    fn names_are_read_as_the_specifications_library_reads_them() {
        let letters = ['a', '0', '.', '_', '-', '/'];
        for number in 0..letters.len().pow(5) {
            let mut rest = number;
            let name: String = (0..5)
                .map(|_| {
                    let letter = letters[rest % letters.len()];
                    rest /= letters.len();
                    letter
                })
                .collect();
            let theirs = oci_distribution::Reference::try_from(format!("host.example/{name}:v"));
            let ours = Repository::parse(&format!("host.example/{name}"));
            assert_eq!(ours.is_ok(), theirs.is_ok(), "{name}");
        }
    }
}
