//! Git repositories of CodeCommit: a login that is a signature.
//!
//! Source: <https://github.com/aws/git-remote-codecommit> 1.17.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Keys;
use super::sign::{Place, encoded_path};
use crate::Error;
use crate::exchange::Lasting;

const LIVES: SignedDuration = SignedDuration::from_mins(15);

/// Reads the region of a repository's address.
///
/// # Errors
/// [`Error::Invalid`], in upstream's words.
pub fn region_of_repository(url: &str) -> Result<&str, Error> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(Error::Invalid(format!(
            "invalid AWS CodeCommit Git URL: {url}"
        )));
    };
    if !scheme.eq_ignore_ascii_case("https") {
        return Err(Error::Invalid(
            "AWS CodeCommit authentication requires an HTTPS Git URL".into(),
        ));
    }
    let host = host(rest);
    let region = || {
        let rest = host.strip_prefix("git-codecommit")?;
        let rest = rest.strip_prefix("-fips").unwrap_or(rest);
        let rest = rest.strip_prefix('.')?;
        let rest = rest.strip_suffix(".cn").unwrap_or(rest);
        let region = rest.strip_suffix(".amazonaws.com")?;
        let is_label = region
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (is_label && !region.is_empty()).then_some(region)
    };
    region().ok_or_else(|| Error::Invalid(format!("invalid AWS CodeCommit Git URL: {host}")))
}

fn host(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, it)| it)
}

/// Makes a user name and a password for a repository. No request is made.
///
/// # Errors
/// [`Error::Invalid`].
pub fn git_login(
    url: &str,
    keys: &Keys,
    now: Timestamp,
) -> Result<Lasting<(String, String)>, Error> {
    let region = region_of_repository(url)?;
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    let path = path.split(['?', '#']).next().unwrap_or("/");
    let time = now.to_zoned(TimeZone::UTC);
    let (day, stamp) = (
        time.strftime("%Y%m%d").to_string(),
        time.strftime("%Y%m%dT%H%M%S").to_string(),
    );
    let place = Place {
        region,
        service: "codecommit",
        day: &day,
        stamp: &stamp,
    };
    let host = host(rest);
    // There is no such method, and no digest of a body: so it is defined.
    let canonical = format!("GIT\n{}\n\nhost:{host}\n\nhost\n", encoded_path(path));
    let signature = place.signature(&canonical, keys);
    let user = match &keys.session {
        Some(session) => format!("{}%{session}", keys.access),
        None => keys.access.clone(),
    };
    Ok(Lasting {
        value: (user, format!("{stamp}Z{signature}")),
        until: now.checked_add(LIVES).unwrap_or(now),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: IA-139
    #[test]
    fn repositories_of_code_commit_are_known() {
        let region = |url| region_of_repository(url).map_err(|error| error.to_string());
        for (url, expected) in [
            (
                "https://git-codecommit.us-east-1.amazonaws.com/v1/repos/x",
                "us-east-1",
            ),
            (
                "https://git-codecommit-fips.us-gov-west-1.amazonaws.com/v1/repos/x",
                "us-gov-west-1",
            ),
            (
                "https://git-codecommit.cn-north-1.amazonaws.com.cn/v1/repos/x",
                "cn-north-1",
            ),
        ] {
            assert_eq!(region(url).unwrap(), expected);
        }
        assert_eq!(
            region("https://github.com/a/b").unwrap_err(),
            "invalid AWS CodeCommit Git URL: github.com"
        );
        assert_eq!(
            region("ssh://git-codecommit.us-east-1.amazonaws.com/x").unwrap_err(),
            "AWS CodeCommit authentication requires an HTTPS Git URL"
        );
        for evil in [
            "https://git-codecommit.us-east-1.amazonaws.com.evil.example/x",
            "https://git-codecommit.us-east-1.amazonaws.com@evil.example/x",
            "https://git-codecommit.evil.example/.amazonaws.com",
        ] {
            assert!(region(evil).is_err(), "{evil}");
        }
    }

    /// The signature was computed with Python's hmac, as git-remote-codecommit does it.
    #[test]
    fn login_is_a_signature() {
        let keys = Keys {
            access: "ASIAEXAMPLE".into(),
            secret: "secret".into(),
            session: Some("token".into()),
        };
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let url = "https://git-codecommit.us-east-1.amazonaws.com/v1/repos/app";
        let login = git_login(url, &keys, now).unwrap();
        assert_eq!(login.value.0, "ASIAEXAMPLE%token");
        assert_eq!(
            login.value.1,
            "20260101T000000Z12c80d6ee3242fb9d132993d548289c03f0cb86d3f6e3ef975fe4499c36f9100"
        );
        assert_eq!((login.until - now).get_seconds(), 900);
    }
}
