//! Where a repository lies on an SSH host.

use crate::Error;

const DEFAULT_PORT: u16 = 22;
const DEFAULT_USER: &str = "git";

/// A repository on an SSH host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshAddress {
    /// Who to log in as.
    pub user: String,
    /// The host, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path as the host is asked for it: from the root, or from the user's home where it starts without a slash.
    pub path: String,
}

impl SshAddress {
    /// Reads `ssh://[user@]host[:port]/path`, or Git's short form `[user@]host:path`.
    ///
    /// # Errors
    /// [`Error::Url`], also for a host or a path that could be taken for an option.
    pub fn parse(url: &str) -> Result<Self, Error> {
        Self::read(url)
            .filter(Self::is_harmless)
            .ok_or_else(|| Error::Url(net_http::without_credentials(url)))
    }

    fn read(url: &str) -> Option<Self> {
        let Some(rest) = url.strip_prefix("ssh://") else {
            return Self::read_short(url);
        };
        let (authority, path) = rest.split_at(rest.find('/')?);
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (user.split(':').next().unwrap_or_default(), host),
            None => (DEFAULT_USER, authority),
        };
        let (host, port) = match host.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                (host, port.strip_prefix(':'))
            }
            None => match host.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (host, None),
            },
        };
        let port = match port.filter(|port| !port.is_empty()) {
            Some(port) => port.parse().ok()?,
            None => DEFAULT_PORT,
        };
        // A home is named from the root in a URL, and to the host without it.
        let path = path
            .strip_prefix('/')
            .filter(|path| path.starts_with('~'))
            .unwrap_or(path);
        Some(Self {
            user: if user.is_empty() { DEFAULT_USER } else { user }.to_owned(),
            host: host.to_owned(),
            port,
            path: path.to_owned(),
        })
    }

    fn read_short(text: &str) -> Option<Self> {
        let (front, path) = text.split_once(':')?;
        if front.contains('/') || path.starts_with("//") || path.starts_with(':') || path.is_empty()
        {
            return None;
        }
        let (user, host) = front.rsplit_once('@').unwrap_or((DEFAULT_USER, front));
        Some(Self {
            user: user.to_owned(),
            host: host.to_owned(),
            port: DEFAULT_PORT,
            path: path.to_owned(),
        })
    }

    fn is_harmless(&self) -> bool {
        let clean = |text: &str| {
            !text.is_empty() && !text.starts_with('-') && !text.chars().any(char::is_control)
        };
        clean(&self.user)
            && clean(&self.host)
            && !self.host.contains([' ', '\'', '"', '/', '\\'])
            && clean(&self.path)
    }

    /// Returns `host:port`.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Returns the command that serves the repository, its path quoted for the host's shell.
    pub(crate) fn command(&self, service: &str) -> String {
        format!("{service} '{}'", self.path.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, user: &str, authority: &str, path: &str) {
        let address = SshAddress::parse(url).unwrap();
        let seen = (address.user.as_str(), address.authority());
        assert_eq!(seen, (user, authority.to_owned()), "{url}");
        assert_eq!(address.path, path, "{url}");
    }

    #[test]
    fn urls_and_the_short_form_are_read() {
        check(
            "ssh://git@host/org/app.git",
            "git",
            "host:22",
            "/org/app.git",
        );
        check("ssh://host:2222/app", "git", "host:2222", "/app");
        check("ssh://me:pw@[::1]:22/app", "me", "[::1]:22", "/app");
        check("ssh://me@host/~you/app", "me", "host:22", "~you/app");
        check("git@host:org/app.git", "git", "host:22", "org/app.git");
        check("host:/srv/app.git", "git", "host:22", "/srv/app.git");
    }

    /// What could reach a shell or be taken for an option of a program never leaves this process.
    #[test]
    fn what_is_no_address_or_could_be_an_option_is_refused() {
        for url in [
            "ssh://host",
            "ssh://-oProxyCommand=touch/x",
            "ssh://-oProxyCommand=x@host/x",
            "ssh://host:99999/x",
            "git@host:-u./payload",
            "-oProxyCommand=x:y",
            "file:///etc/passwd",
            "ext::sh -c touch%20x",
            "ssh://ho st/x",
            "ssh://host/x\ny",
            "/etc/passwd",
            "",
        ] {
            assert!(SshAddress::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn quotes_in_a_path_do_not_end_the_argument() {
        let address = SshAddress::parse("ssh://host/a'; touch b; 'c").unwrap();
        assert_eq!(
            address.command("git-upload-pack"),
            r"git-upload-pack '/a'\''; touch b; '\''c'"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_an_address_or_an_error(text: String) {
            drop(SshAddress::parse(&text));
            drop(SshAddress::parse(&format!("ssh://{text}")));
        }
    }
}
