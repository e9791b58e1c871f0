//! Other clusters, reached by a cloud's identity or by a token of this one.
//!
//! Source: fluxcd/pkg `auth` v0.46 as kustomize-controller v1.9.4 uses it; the keys are those of its ConfigMap.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::cluster::{AddressError, TokenSource};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cloud::{Lasting, aws, azure, gcp};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::config::Kubeconfig;
use serde::Deserialize;

use super::aws::AwsPlace;
use super::{Account, Asker, Cloud, Identities, IdentityError, file};

const OWN_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// What a ConfigMap says about a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Whose cluster it is; absent: anybody's.
    pub provider: Option<Cloud>,
    /// What the cloud calls it.
    pub cluster: String,
    /// Where its API server is; absent: as the cloud says.
    pub address: String,
    /// Its authority's certificate in PEM; absent: as the cloud says.
    pub authority: String,
    /// The ServiceAccount whose identity counts.
    pub account: Option<String>,
    /// Whom a token is for; absent: the address.
    pub audiences: Vec<String>,
}

/// A cluster that can be reached.
#[derive(Clone)]
pub struct RemoteCluster {
    /// `https://<host>:<port>`, and a path where the cloud says one.
    pub server: String,
    /// The authority's certificate in PEM; absent: the system's authorities.
    pub authority: Option<Vec<u8>>,
    /// The token.
    pub token: String,
}

impl std::fmt::Debug for RemoteCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RemoteCluster({})", self.server)
    }
}

impl ClusterConfig {
    /// Reads the data of a ConfigMap: `provider`, `cluster`, `address`, `ca.crt`, `serviceAccountName`, `audiences`
    /// (one a line).
    ///
    /// # Errors
    /// A provider that is none, in upstream's words.
    pub fn read(data: &BTreeMap<String, String>) -> Result<Self, String> {
        let text = |key: &str| data.get(key).cloned().unwrap_or_default();
        let provider = match text("provider").as_str() {
            "generic" => None,
            "aws" => Some(Cloud::Aws),
            "azure" => Some(Cloud::Azure),
            "gcp" => Some(Cloud::Gcp),
            other => return Err(format!("provider '{other}' not implemented")),
        };
        let audiences = text("audiences");
        let audiences = audiences.lines().map(str::trim);
        Ok(Self {
            provider,
            cluster: text("cluster"),
            address: text("address"),
            authority: text("ca.crt"),
            account: Some(text("serviceAccountName")).filter(|name| !name.is_empty()),
            audiences: audiences
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    }

    fn is_whole(&self) -> bool {
        !self.address.is_empty() && !self.authority.is_empty()
    }

    /// Joins what the cloud says with what stands here, which counts first.
    fn with(&self, server: String, authority: Vec<u8>, token: String) -> RemoteCluster {
        RemoteCluster {
            server: if self.address.is_empty() {
                server
            } else {
                self.address.clone()
            },
            authority: Some(if self.authority.is_empty() {
                authority
            } else {
                self.authority.clone().into_bytes()
            })
            .filter(|pem| !pem.is_empty()),
            token,
        }
    }
}

/// Reads the address of an API server: https, with a port, without a path.
///
/// # Errors
/// In upstream's words.
fn parse_address(address: &str) -> Result<String, cloud::Error> {
    let invalid = |why: String| Err(cloud::Error::Invalid(why));
    if address.is_empty() {
        return invalid("empty address".into());
    }
    let rest = match address.split_once("://") {
        Some(("https", rest)) => rest,
        Some(_) => {
            return invalid(format!(
                "the Kubernetes API server address '{address}' must use https scheme"
            ));
        }
        None => address,
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    if host.is_empty() || !host.bytes().all(plain) {
        return invalid(format!(
            "failed to parse Kubernetes API server address '{address}'"
        ));
    }
    let has_port = host.rsplit_once(':').is_some_and(|(name, port)| {
        !port.is_empty()
            && port.bytes().all(|b| b.is_ascii_digit())
            && (!name.contains(':') || name.ends_with(']'))
    });
    let host = host.to_ascii_lowercase();
    Ok(if has_port {
        format!("https://{host}")
    } else {
        format!("https://{host}:443")
    })
}

impl Identities {
    /// Returns how to reach a cluster, with a token that counts now.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub async fn cluster(
        &self,
        config: &ClusterConfig,
        asker: &Asker<'_>,
    ) -> Result<RemoteCluster, IdentityError> {
        let asker = Asker {
            account: config.account.as_deref(),
            ..*asker
        };
        let within = |error: IdentityError| error.within(IdentityError::Cluster);
        let account = self.account(&asker).await.map_err(within)?;
        let name = config.provider.map_or("generic", Cloud::name);
        let audiences = config.audiences.join("\n");
        let words = [
            "cluster",
            name,
            &config.cluster,
            &config.address,
            &config.authority,
            &audiences,
        ];
        let ask = || async {
            let account = account.as_ref();
            let mut made = match config.provider {
                None => self.any_cluster(config, account).await?,
                Some(Cloud::Aws) => self.eks(config, &asker, account).await?,
                Some(Cloud::Azure) => self.aks(config, &asker, account).await?,
                Some(Cloud::Gcp) => self.gke(config, &asker, account).await?,
            };
            if !made.value.server.contains("://") {
                made.value.server = format!("https://{}", made.value.server);
            }
            Ok(made)
        };
        let made = self.kept(&asker, account.as_ref(), &words, ask).await;
        made.map_err(within)
    }

    /// A cluster that trusts the tokens of this one.
    async fn any_cluster(
        &self,
        config: &ClusterConfig,
        account: Option<&Account>,
    ) -> Result<Lasting<RemoteCluster>, IdentityError> {
        let invalid = |why: &str| IdentityError::Cloud(cloud::Error::Invalid(why.to_owned()));
        if config.address.is_empty() {
            return Err(invalid(
                "cluster address is required to create a REST config",
            ));
        }
        let server = parse_address(&config.address)?;
        let audiences = if config.audiences.is_empty() {
            vec![config.address.clone()]
        } else {
            config.audiences.clone()
        };
        let own = match account {
            Some(_) => None,
            None => Some(own_account().await?),
        };
        let account = account.or(own.as_ref());
        let account = account.ok_or_else(|| invalid("there is no service account"))?;
        let token = self.token_request(account, audiences).await?;
        let until = cloud::expiry(&token)
            .ok_or_else(|| invalid("failed to get expiration time from service account token"))?;
        let authority = Some(config.authority.clone().into_bytes());
        Ok(Lasting {
            value: RemoteCluster {
                server,
                authority: authority.filter(|pem| !pem.is_empty()),
                token,
            },
            until,
        })
    }

    async fn eks(
        &self,
        config: &ClusterConfig,
        asker: &Asker<'_>,
        account: Option<&Account>,
    ) -> Result<Lasting<RemoteCluster>, IdentityError> {
        let cluster = aws::Eks::parse(&config.cluster)?;
        let place = AwsPlace {
            region: Some(&cluster.region),
            token_service: None,
        };
        let keys = self.keys_of(asker, account, place).await?;
        let endpoints = &self.0.endpoints;
        let (server, authority) = if config.is_whole() {
            Default::default()
        } else {
            let client = self.outside(asker.proxy)?;
            aws::describe_cluster(&client, endpoints.eks.as_deref(), &cluster, &keys).await?
        };
        let sts = endpoints.sts.as_deref();
        let token = aws::cluster_token(sts, &cluster, &keys, Timestamp::now());
        Ok(token.map(|token| config.with(server, authority, token)))
    }

    async fn aks(
        &self,
        config: &ClusterConfig,
        asker: &Asker<'_>,
        account: Option<&Account>,
    ) -> Result<Lasting<RemoteCluster>, IdentityError> {
        let token = self.azure_token_of(asker, account, azure::CLUSTERS).await?;
        let (server, authority) = if config.is_whole() {
            Default::default()
        } else {
            let (manager, scope) = azure::manager(self.azure_authority());
            let manager = self.0.endpoints.azure_manager.as_deref().unwrap_or(manager);
            let management = self.azure_token_of(asker, account, scope).await?;
            let client = self.outside(asker.proxy)?;
            let cluster = &config.cluster;
            let texts =
                azure::cluster_kubeconfigs(&client, manager, cluster, &management.value).await?;
            chosen(&texts, config)?
        };
        Ok(token.map(|token| config.with(server, authority, token)))
    }

    async fn gke(
        &self,
        config: &ClusterConfig,
        asker: &Asker<'_>,
        account: Option<&Account>,
    ) -> Result<Lasting<RemoteCluster>, IdentityError> {
        let token = self.google_token_of(asker, account).await?;
        let (server, authority) = if config.is_whole() {
            Default::default()
        } else {
            let client = self.outside(asker.proxy)?;
            let endpoint = self.0.endpoints.gke.as_deref();
            gcp::describe_cluster(&client, endpoint, &config.cluster, &token.value).await?
        };
        Ok(token.map(|token| config.with(server, authority, token)))
    }
}

/// Why a cluster that a ConfigMap describes cannot be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The ConfigMap could not be read.
    #[error("failed to get configmap {name}")]
    ConfigMap {
        /// `<namespace>/<name>`.
        name: String,
        /// The API server's answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// It says nothing of use.
    #[error("{0}")]
    Config(String),
    /// There is no token.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Its address or its authority makes no client.
    #[error(transparent)]
    Address(#[from] AddressError),
}

impl Identities {
    /// Connects to the cluster that a ConfigMap of the asker's namespace describes; each request carries a token that
    /// counts then.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub async fn connect(
        &self,
        config_map: &str,
        asker: &Asker<'_>,
    ) -> Result<::cluster::Cluster, RemoteError> {
        let (remote, tokens) = self.remote_cluster(config_map, asker).await?;
        let authority = remote.authority.as_deref();
        Ok(::cluster::Cluster::at_address(
            &remote.server,
            authority,
            tokens,
        )?)
    }

    async fn remote_cluster(
        &self,
        config_map: &str,
        asker: &Asker<'_>,
    ) -> Result<(RemoteCluster, TokenSource), RemoteError> {
        let maps: Api<ConfigMap> = Api::namespaced(self.0.client.clone(), asker.namespace);
        let map = maps.get(config_map).await;
        let map = map.map_err(|source| RemoteError::ConfigMap {
            name: format!("{}/{config_map}", asker.namespace),
            source: Box::new(source),
        })?;
        let config = ClusterConfig::read(&map.data.unwrap_or_default());
        let config = config.map_err(RemoteError::Config)?;
        let first = self.cluster(&config, asker).await?;
        let words = [asker.kind, asker.namespace, asker.name, asker.operation];
        let words = words.map(str::to_owned);
        let (identities, proxy) = (self.clone(), asker.proxy.clone());
        let source: TokenSource = Arc::new(move || {
            let (identities, config) = (identities.clone(), config.clone());
            let (words, proxy) = (words.clone(), proxy.clone());
            Box::pin(async move {
                let [kind, namespace, name, operation] = &words;
                let asker = Asker {
                    kind,
                    namespace,
                    name,
                    operation,
                    account: None,
                    proxy: &proxy,
                };
                let cluster = identities.cluster(&config, &asker).await?;
                Ok(cluster.token)
            })
        });
        Ok((first, source))
    }
}

/// Returns address and authority of the kubeconfig that fits the address, where one is given.
fn chosen(texts: &[String], config: &ClusterConfig) -> Result<(String, Vec<u8>), IdentityError> {
    let wanted = if config.address.is_empty() {
        None
    } else {
        Some(parse_address(&config.address)?)
    };
    for text in texts {
        let invalid = |why: &str| cloud::Error::Invalid(why.to_owned());
        let read = Kubeconfig::from_yaml(text);
        let read = read.map_err(|_| invalid("failed to parse the cluster's kubeconfig"))?;
        let entry = read.clusters.into_iter().find_map(|named| named.cluster);
        let Some(entry) = entry else { continue };
        let server = entry.server.unwrap_or_default();
        if wanted.is_none() || wanted == parse_address(&server).ok() {
            let data = entry.certificate_authority_data.unwrap_or_default();
            let authority = STANDARD.decode(data.trim());
            let authority =
                authority.map_err(|_| invalid("the cluster's certificate is no Base64"))?;
            return Ok((server, authority));
        }
    }
    let cluster = &config.cluster;
    Err(cloud::Error::Invalid(match wanted {
        None => format!("no kubeconfig found for AKS cluster {cluster}"),
        Some(_) => format!(
            "no kubeconfig found for AKS cluster {cluster} matching the specified address '{}'",
            config.address
        ),
    })
    .into())
}

/// Returns the ServiceAccount of this process, as its token names it.
async fn own_account() -> Result<Account, IdentityError> {
    #[derive(Deserialize)]
    struct Claims {
        sub: String,
    }
    let token = file("service account token", OWN_TOKEN).await?;
    let claims = token.split('.').nth(1).unwrap_or_default();
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok();
    let claims = claims.and_then(|json| serde_json::from_slice::<Claims>(&json).ok());
    let sub = claims.map(|claims| claims.sub).unwrap_or_default();
    match sub.split(':').collect::<Vec<_>>()[..] {
        ["system", "serviceaccount", namespace, name] => Ok(Account {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            annotations: BTreeMap::new(),
        }),
        _ => Err(
            cloud::Error::Invalid("invalid subject format in service account token".into()).into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_https_with_a_port() {
        for (address, expected) in [
            ("api.example", "https://api.example:443"),
            ("https://API.example/x", "https://api.example:443"),
            ("https://api.example:6443", "https://api.example:6443"),
            ("https://[::1]:6443", "https://[::1]:6443"),
            ("https://[::1]", "https://[::1]:443"),
        ] {
            assert_eq!(parse_address(address).unwrap(), expected);
        }
        for wrong in ["", "http://api.example", "https://u@h", "https://"] {
            assert!(parse_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn config_map_is_read() {
        let data = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>()
        };
        let read = ClusterConfig::read(&data(&[
            ("provider", "generic"),
            ("address", "https://api.example"),
            ("audiences", " a \n\nb"),
            ("serviceAccountName", "sa"),
        ]))
        .unwrap();
        assert_eq!(read.audiences, ["a", "b"]);
        assert_eq!(read.account.as_deref(), Some("sa"));
        assert_eq!(
            ClusterConfig::read(&data(&[("provider", "ibm")])).unwrap_err(),
            "provider 'ibm' not implemented"
        );
    }
}
