//! The container registry: a login for keys.
//!
//! Source: <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html>,
//! <https://docs.aws.amazon.com/AmazonECRPublic/latest/APIReference/API_GetAuthorizationToken.html>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use net_http::Client;
use serde::Deserialize;

use super::{Call, Keys, domain};
use crate::Error;
use crate::exchange::{Lasting, base};

const WHAT: &str = "ECR GetAuthorizationToken";
const PUBLIC: &str = "public.ecr.aws";
const PATTERN: &str = r"([0-9+]*).dkr[.-]ecr(?:-fips)?\.([^/.]*)\.(amazonaws\.com[.cn]*|amazonaws\.eu|sc2s\.sgov\.gov|c2s\.ic\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov|on\.aws)";
const DOMAINS: [&str; 8] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "sc2s.sgov.gov",
    "c2s.ic.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
    "on.aws",
];

/// A registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registry {
    /// One of an account, in this region.
    Private {
        /// `us-east-1`.
        region: String,
        /// The domain of its services.
        domain: String,
    },
    /// The public one.
    Public,
}

impl Registry {
    /// Reads a host such as `012345678901.dkr.ecr.us-east-1.amazonaws.com`. The whole of it counts: a host that merely
    /// begins like one would be given the login.
    ///
    /// # Errors
    /// [`Error::Invalid`], in upstream's words.
    pub fn parse(host: &str) -> Result<Self, Error> {
        if host == PUBLIC {
            return Ok(Self::Public);
        }
        let private = || {
            let (account, rest) = host.split_once(".dkr")?;
            let rest = rest.strip_prefix(['.', '-'])?.strip_prefix("ecr")?;
            let rest = rest.strip_prefix("-fips").unwrap_or(rest);
            let (region, own) = rest.strip_prefix('.')?.split_once('.')?;
            let fits = account.bytes().all(|byte| byte.is_ascii_digit())
                && !account.is_empty()
                && !region.is_empty()
                && region
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && DOMAINS.contains(&own);
            // The services of registries with both kinds of addresses have the region's own domain.
            let own = if own == "on.aws" { domain(region) } else { own };
            fits.then(|| Self::Private {
                region: region.to_owned(),
                domain: own.to_owned(),
            })
        };
        private().ok_or_else(|| {
            Error::Invalid(format!(
                "invalid AWS registry: '{host}'. must match {PATTERN}"
            ))
        })
    }

    /// Returns the region whose keys are needed.
    pub fn region(&self) -> &str {
        match self {
            Self::Private { region, .. } => region,
            Self::Public => "us-east-1",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    authorization_token: String,
    /// Seconds, with a fraction.
    expires_at: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Private {
    authorization_data: Vec<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Public {
    authorization_data: Data,
}

/// Asks for a user name and a password.
///
/// # Errors
/// [`Error`].
pub async fn registry_login(
    client: &Client,
    endpoint: Option<&str>,
    registry: &Registry,
    keys: &Keys,
) -> Result<Lasting<(String, String)>, Error> {
    let region = registry.region();
    let shape = |why| Error::Shape { what: WHAT, why };
    let (service, target, real) = match registry {
        Registry::Private { domain, .. } => (
            "ecr",
            "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
            format!("https://api.ecr.{region}.{domain}"),
        ),
        Registry::Public => (
            "ecr-public",
            "SpencerFrontendService.GetAuthorizationToken",
            format!("https://api.ecr-public.{region}.amazonaws.com"),
        ),
    };
    let url = base(endpoint, &real);
    let call = Call {
        what: WHAT,
        service,
        region,
        url: &url,
        target,
        body: "{}".to_owned(),
    };
    let data = match registry {
        Registry::Private { .. } => {
            let answer: Private = call.send(client, keys).await?;
            let first = answer.authorization_data.into_iter().next();
            first.ok_or(shape("no authorization data returned"))?
        }
        Registry::Public => {
            let answer: Public = call.send(client, keys).await?;
            answer.authorization_data
        }
    };
    login(&data)
}

fn login(data: &Data) -> Result<Lasting<(String, String)>, Error> {
    let shape = |why| Error::Shape { what: WHAT, why };
    let text = STANDARD.decode(&data.authorization_token).ok();
    let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or(shape("failed to parse authorization token"))?;
    let (user, password) = text
        .split_once(':')
        .filter(|(user, password)| !user.is_empty() && !password.is_empty())
        .ok_or(shape("invalid authorization token format"))?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates, and is checked next"
    )]
    let seconds = data.expires_at as i64;
    let until = Timestamp::from_second(seconds).map_err(|_| shape("the token's end is no time"))?;
    Ok(Lasting {
        value: (user.to_owned(), password.to_owned()),
        until,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: IA-043
    #[test]
    fn hosts_of_registries_are_known() {
        let region = |host: &str| Registry::parse(host).map(|it| it.region().to_owned());
        for (host, expected) in [
            ("012345678901.dkr.ecr.us-east-1.amazonaws.com", "us-east-1"),
            (
                "012345678901.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
                "us-gov-west-1",
            ),
            (
                "012345678901.dkr.ecr.cn-north-1.amazonaws.com.cn",
                "cn-north-1",
            ),
            ("012345678901.dkr-ecr.eu-west-1.on.aws", "eu-west-1"),
            ("public.ecr.aws", "us-east-1"),
        ] {
            assert_eq!(region(host).unwrap(), expected, "{host}");
        }
        for host in [
            "ghcr.io",
            "gcr.io",
            "012345678901.dkr.ecr.us-east-1.amazonaws.com.evil.example",
            "evil.example/012345678901.dkr.ecr.us-east-1.amazonaws.com",
            "x.dkr.ecr.us-east-1.amazonaws.com",
            "012345678901.dkr.ecr.us-east-1.evil.example",
        ] {
            let error = region(host).unwrap_err().to_string();
            assert!(error.starts_with("invalid AWS registry: '"), "{host}");
        }
    }
}
