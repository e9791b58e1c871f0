//! Clusters: their address, and a token for them.
//!
//! Source: <https://docs.aws.amazon.com/eks/latest/APIReference/API_DescribeCluster.html>,
//! <https://github.com/kubernetes-sigs/aws-iam-authenticator#api-authorization-from-outside-a-cluster>.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use net_http::Client;
use serde::Deserialize;

use super::{Keys, Unsigned, domain, host_of, sign, sts::is_partition, with_headers};
use crate::Error;
use crate::exchange::{Exchange, Lasting, base};

const WHAT: &str = "failed to describe EKS cluster";
const TOKEN_SECONDS: u32 = 900;

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eks {
    /// Its region.
    pub region: String,
    /// Its name.
    pub name: String,
}

impl Eks {
    /// Reads `arn:aws:eks:<region>:<account>:cluster/<name>`.
    ///
    /// # Errors
    /// [`Error::Invalid`], in upstream's words.
    pub fn parse(arn: &str) -> Result<Self, Error> {
        const PATTERN: &str = r"^arn:aws[\w-]*:eks:([^:]{1,100}):[0-9]{1,30}:cluster/(.{1,200})$";
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let found = match parts[..] {
            ["arn", partition, "eks", region, account, name] if is_partition(partition) => {
                let name = name.strip_prefix("cluster/").unwrap_or_default();
                let is_label = |text: &str, most: usize| {
                    (1..=most).contains(&text.len())
                        && text
                            .bytes()
                            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
                };
                let fits = is_label(region, 100)
                    && is_label(name, 200)
                    && (1..=30).contains(&account.len())
                    && account.bytes().all(|byte| byte.is_ascii_digit());
                fits.then(|| Self {
                    region: region.to_owned(),
                    name: name.to_owned(),
                })
            }
            _ => None,
        };
        found.ok_or_else(|| {
            Error::Invalid(format!(
                "invalid EKS cluster ARN: '{arn}'. must match {PATTERN}"
            ))
        })
    }
}

/// Asks for a cluster's address and its authority's certificate in PEM.
///
/// # Errors
/// [`Error`].
pub async fn describe_cluster(
    client: &Client,
    endpoint: Option<&str>,
    cluster: &Eks,
    keys: &Keys,
) -> Result<(String, Vec<u8>), Error> {
    #[derive(Deserialize)]
    struct Answer {
        cluster: Described,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Described {
        endpoint: String,
        certificate_authority: Authority,
    }
    #[derive(Deserialize)]
    struct Authority {
        data: String,
    }
    let region = cluster.region.as_str();
    let url = base(
        endpoint,
        &format!("https://eks.{region}.{}", domain(region)),
    );
    let path = format!("/clusters/{}", cluster.name);
    let request = Unsigned {
        method: "GET",
        host: host_of(&url),
        path: &path,
        query: &[],
        region,
        service: "eks",
    };
    let signed = sign::sign_body(&request, &[], "", keys, Timestamp::now());
    let exchange = Exchange::new(client, WHAT, Method::GET, format!("{url}{path}"));
    let exchange = super::hide_keys(with_headers(exchange, &signed)?, keys);
    let Answer { cluster } = exchange.answer().await?;
    let authority = STANDARD.decode(cluster.certificate_authority.data.trim());
    let authority = authority.map_err(|_| Error::Shape {
        what: WHAT,
        why: "failed to decode EKS CA certificate",
    })?;
    Ok((cluster.endpoint, authority))
}

/// Makes a token: an address, signed, at which the cluster asks who that is. No request is made.
pub fn cluster_token(
    endpoint: Option<&str>,
    cluster: &Eks,
    keys: &Keys,
    now: Timestamp,
) -> Lasting<String> {
    let region = cluster.region.as_str();
    let url = base(
        endpoint,
        &format!("https://sts.{region}.{}", domain(region)),
    );
    let request = Unsigned {
        method: "GET",
        host: host_of(&url),
        path: "/",
        query: &[("Action", "GetCallerIdentity"), ("Version", "2011-06-15")],
        region,
        service: "sts",
    };
    let header = ("x-k8s-aws-id", cluster.name.as_str());
    let query = sign::presign(&request, header, TOKEN_SECONDS, keys, now);
    let token = URL_SAFE_NO_PAD.encode(format!("{url}/?{query}"));
    let lives = SignedDuration::from_secs(i64::from(TOKEN_SECONDS));
    Lasting {
        value: format!("k8s-aws-v1.{token}"),
        until: now.checked_add(lives).unwrap_or(now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_named_by_arn() {
        let cluster = Eks::parse("arn:aws:eks:us-east-1:012345678901:cluster/prod").unwrap();
        assert_eq!((&*cluster.region, &*cluster.name), ("us-east-1", "prod"));
        for wrong in [
            "prod",
            "arn:aws:eks:us-east-1:x:cluster/prod",
            "arn:aws:eks:us/evil:1:cluster/prod",
            "arn:aws:eks:us-east-1:1:cluster/../x",
        ] {
            assert!(Eks::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn token_is_a_signed_question_for_the_caller() {
        let cluster = Eks::parse("arn:aws:eks:us-east-1:012345678901:cluster/prod").unwrap();
        let keys = Keys {
            access: "ASIA".into(),
            secret: "s".into(),
            session: Some("t/+=".into()),
        };
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let token = cluster_token(None, &cluster, &keys, now);
        let url = token.value.strip_prefix("k8s-aws-v1.").unwrap();
        let url = String::from_utf8(URL_SAFE_NO_PAD.decode(url).unwrap()).unwrap();
        let head = "https://sts.us-east-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&\
                    X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIA%2F20260101%2Fus-east-1%2Fsts%2Faws4_request&\
                    X-Amz-Date=20260101T000000Z&X-Amz-Expires=900&X-Amz-Security-Token=t%2F%2B%3D&\
                    X-Amz-SignedHeaders=host%3Bx-k8s-aws-id&X-Amz-Signature=";
        let signature = url.strip_prefix(head).unwrap_or_else(|| panic!("{url}"));
        assert_eq!(signature.len(), 64);
        assert_eq!((token.until - now).get_seconds(), 900);
    }
}
