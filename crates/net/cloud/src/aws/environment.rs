//! The keys that a process has by where it runs.
//!
//! Source: <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>.

use http::Method;
use jiff::Timestamp;
use net_http::Client;
use serde::Deserialize;

use super::Keys;
use crate::Error;
use crate::exchange::{Exchange, Lasting, base};

const CONTAINER: &str = "container credentials";
const MACHINE: &str = "EC2 instance credentials";
/// Where the container agent of ECS is.
const AGENT: &str = "http://169.254.170.2";
const METADATA: &str = "http://169.254.169.254";
/// Hosts that may be asked without TLS: this machine, the agents of ECS and EKS.
const PLAIN: [&str; 6] = [
    "localhost",
    "127.0.0.1",
    "[::1]",
    "169.254.170.2",
    "169.254.170.23",
    "[fd00:ec2::23]",
];

/// What a process is told about itself, as variables.
#[derive(Clone, Default)]
pub struct Environment {
    /// `AWS_ACCESS_KEY_ID` and what belongs to it.
    pub keys: Option<Keys>,
    /// `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`.
    pub web_identity: Option<(String, String)>,
    /// `AWS_ROLE_SESSION_NAME`.
    pub session: Option<String>,
    /// `AWS_CONTAINER_CREDENTIALS_FULL_URI`, or what `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` makes of it.
    pub container: Option<String>,
    /// `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`.
    pub container_token_file: Option<String>,
    /// `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
    pub container_token: Option<String>,
    /// `AWS_EC2_METADATA_SERVICE_ENDPOINT`; none where `AWS_EC2_METADATA_DISABLED`.
    pub metadata: Option<String>,
    /// `AWS_REGION`.
    pub region: Option<String>,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl Environment {
    /// Reads the variables.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let both = |one: &str, other: &str| Some((variable(one)?, variable(other)?));
        let keys = both("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
        let relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
        let disabled = variable("AWS_EC2_METADATA_DISABLED");
        let metadata = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        Self {
            keys: keys.map(|(access, secret)| Keys {
                access,
                secret,
                session: variable("AWS_SESSION_TOKEN"),
            }),
            web_identity: both("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"),
            session: variable("AWS_ROLE_SESSION_NAME"),
            container: match relative {
                Some(path) => Some(format!("{AGENT}{path}")),
                None => variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
            },
            container_token_file: variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
            container_token: variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
            metadata: disabled
                .is_none_or(|text| !text.eq_ignore_ascii_case("true"))
                .then(|| metadata.unwrap_or_else(|| METADATA.to_owned())),
            region: variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    access_key_id: String,
    secret_access_key: String,
    token: String,
    expiration: Timestamp,
}

impl Answer {
    fn keys(self) -> Lasting<Keys> {
        Lasting {
            value: Keys {
                access: self.access_key_id,
                secret: self.secret_access_key,
                session: Some(self.token),
            },
            until: self.expiration,
        }
    }
}

/// Asks the agent of a container (ECS, or EKS Pod Identity).
///
/// # Errors
/// [`Error`]; an address that is neither TLS nor an agent's is [`Error::Invalid`].
pub async fn from_container(
    client: &Client,
    url: &str,
    token: Option<&str>,
) -> Result<Lasting<Keys>, Error> {
    let plain = url.strip_prefix("http://").map(|rest| {
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => authority,
        }
    });
    if !url.starts_with("https://") && !plain.is_some_and(|host| PLAIN.contains(&host)) {
        return Err(Error::Invalid(
            "the address of the container credentials is neither https nor that of an agent".into(),
        ));
    }
    let mut exchange = Exchange::new(client, CONTAINER, Method::GET, url);
    if let Some(token) = token {
        exchange = exchange.hide(token).header("authorization", token)?;
    }
    Ok(exchange.answer::<Answer>().await?.keys())
}

/// Asks the metadata service of a machine, in its second version only.
///
/// # Errors
/// [`Error`].
pub async fn from_machine(client: &Client, endpoint: &str) -> Result<Lasting<Keys>, Error> {
    const CREDENTIALS: &str = "/latest/meta-data/iam/security-credentials/";
    let url = base(Some(endpoint), METADATA);
    let token = Exchange::new(
        client,
        MACHINE,
        Method::PUT,
        format!("{url}/latest/api/token"),
    )
    .header("x-aws-ec2-metadata-token-ttl-seconds", "300")?
    .text()
    .await?;
    let ask = |path: String| {
        Exchange::new(client, MACHINE, Method::GET, format!("{url}{path}"))
            .hide(&token)
            .header("x-aws-ec2-metadata-token", &token)
    };
    let role = ask(CREDENTIALS.to_owned())?.text().await?;
    let role = role.lines().next().unwrap_or_default().trim();
    if role.is_empty() || role.contains(['/', '?', '#']) {
        return Err(Error::Shape {
            what: MACHINE,
            why: "the instance has no role",
        });
    }
    let answer: Answer = ask(format!("{CREDENTIALS}{role}"))?.answer().await?;
    Ok(answer.keys())
}
