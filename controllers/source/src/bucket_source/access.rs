//! How a bucket is reached: the Secrets that the object names, checked.

mod identity;

use std::sync::Arc;
use std::time::Duration;

use access::{Asker, AwsPlace, Certificates, IdentityError, ReadError};
use api::meta::LocalReference;
use api::source::{Bucket, BucketProvider, TokenService, TokenServiceProvider};
use bucket::{Azure, AzureIdentity, Gcs, GcsIdentity, S3, Settings, Store, keys_of_ldap_user};
use cloud::aws::Keys;
use cloud::azure::{AUTHORITY, Application, Certificate, STORAGE};
use kube::ResourceExt;
use net_http::{Client, Proxy};
use runtime::Failure;
use runtime::secrets::SecretView;
use tokio::time::Instant;

use self::identity::{AzureLogin, Certified};
use super::Buckets;
use super::gather::FAILED;
use crate::failure::{AUTH_FAILED, chain, fetch, gate_closed, stalled};
use crate::provider::asker;

const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);
/// Where an emulator of Google Cloud Storage listens, as Google's own clients read it.
const GCS_EMULATOR: &str = "STORAGE_EMULATOR_HOST";

/// What it takes to reach a bucket, as the object says it.
struct Asked<'a> {
    object: &'a Bucket,
    namespace: &'a str,
    name: &'a str,
    secret: Option<&'a SecretView>,
    proxy: &'a Proxy,
    deadline: Instant,
}

impl<'a> Asked<'a> {
    /// On whose behalf a cloud is asked for an identity.
    fn asker(&self) -> Asker<'a> {
        let account = self.object.spec.service_account_name.as_deref();
        asker(
            super::KIND,
            (self.namespace, self.name),
            account,
            self.proxy,
        )
    }
}

impl Buckets {
    /// Reads everything that it takes to reach the bucket.
    pub(super) async fn store(&self, object: &Bucket) -> Result<Store, Failure> {
        check(object)?;
        self.check_gates(object)?;
        let spec = &object.spec;
        let namespace = object.namespace().unwrap_or_default();
        let secret = match &spec.secret_ref {
            Some(reference) => {
                let read = self.setup.reader.secret(&namespace, &reference.name).await;
                Some(read.map_err(|error| fetch(AUTH_FAILED, chain(&error)))?)
            }
            None => None,
        };
        let secret = secret.as_ref();
        let proxy = self.proxy(object).await?;
        let deadline = Instant::now() + spec.timeout.map_or(DEFAULT_TIMEOUT, Into::into);
        let asked = Asked {
            object,
            namespace: &namespace,
            name: &object.name_any(),
            secret,
            proxy: &proxy,
            deadline,
        };
        match spec.provider.unwrap_or_default() {
            BucketProvider::Generic | BucketProvider::Aws => self.s3(&asked).await.map(Store::S3),
            BucketProvider::Gcp => self.gcs(&asked).await.map(Store::Gcs),
            BucketProvider::Azure => self.azure(&asked).await.map(Store::Azure),
        }
    }

    async fn s3(&self, asked: &Asked<'_>) -> Result<S3, Failure> {
        let spec = &asked.object.spec;
        let keys = asked.secret.map(keys).transpose().map_err(bad_secret)?;
        let keys = match (keys, &spec.sts) {
            (Some(keys), _) => Some(keys),
            (None, sts) if spec.provider == Some(BucketProvider::Aws) => {
                let place = AwsPlace {
                    region: spec.region.as_deref(),
                    token_service: sts.as_ref().map(|sts| &*sts.endpoint),
                };
                let identities = &self.setup.identities;
                let keys = identities.aws_keys(&asked.asker(), place).await;
                Some(keys.map_err(|error| no_identity(&error))?)
            }
            (None, Some(sts)) => Some(self.token_service(asked, sts).await?),
            (None, None) => None,
        };
        let insecure = spec.insecure.unwrap_or_default();
        let reference = spec.cert_secret_ref.as_ref().filter(|_| !insecure);
        let client = self.certified(asked, reference).await;
        let client =
            client.map_err(|why| fetch(AUTH_FAILED, format!("failed to get TLS config: {why}")))?;
        let own = || self.setup.identities.aws_region().map(str::to_owned);
        let region = spec.region.clone().filter(|region| !region.is_empty());
        let settings = Settings {
            endpoint: spec.endpoint.clone(),
            insecure,
            bucket: spec.bucket_name.clone(),
            region: match spec.provider {
                Some(BucketProvider::Aws) => region.or_else(own),
                _ => region,
            },
            keys,
        };
        Ok(S3::new(client, settings, asked.deadline))
    }

    async fn gcs(&self, asked: &Asked<'_>) -> Result<Gcs, Failure> {
        let service = emulator();
        let identity = match asked.secret {
            Some(secret) => {
                let account = identity::google(secret).map_err(bad_secret)?;
                GcsIdentity::ServiceAccount(Arc::new(account))
            }
            // An emulator knows nobody.
            None if service.is_some() => GcsIdentity::Anonymous,
            None => {
                let token = self.setup.identities.google_token(&asked.asker()).await;
                GcsIdentity::Token(token.map_err(|error| no_identity(&error))?)
            }
        };
        let client = self.client(asked.proxy)?;
        let name = &asked.object.spec.bucket_name;
        Ok(Gcs::new(
            client,
            service.as_deref(),
            name,
            identity,
            asked.deadline,
        ))
    }

    async fn azure(&self, asked: &Asked<'_>) -> Result<Azure, Failure> {
        let login = asked.secret.map(identity::azure).transpose();
        let (identities, asker) = (&self.setup.identities, asked.asker());
        let token = match login.map_err(bad_secret)? {
            Some(AzureLogin::Known(identity)) => Ok(identity),
            Some(AzureLogin::Machine(id)) => {
                let token = identities.azure_managed_token(&asker, &id, STORAGE);
                token.await.map(AzureIdentity::Token)
            }
            Some(AzureLogin::Certified(login)) => {
                let login = login.opened().await.map_err(bad_secret)?;
                let token = self.token_for_certificate(&asker, &login);
                token.await.map(AzureIdentity::Token)
            }
            None => {
                let token = identities.azure_token(&asker, STORAGE);
                token.await.map(AzureIdentity::Token)
            }
        };
        let identity = token.map_err(|error| no_identity(&error))?;
        let client = self.client(asked.proxy)?;
        let spec = &asked.object.spec;
        let store = Azure::new(
            client,
            &spec.endpoint,
            &spec.bucket_name,
            identity,
            asked.deadline,
        );
        store.map_err(|error| fetch(FAILED, chain(&error)))
    }

    async fn token_for_certificate(
        &self,
        asker: &Asker<'_>,
        login: &Certified,
    ) -> Result<String, IdentityError> {
        let application = Application {
            authority: login.authority.as_deref().unwrap_or(AUTHORITY),
            tenant: &login.tenant,
            client: &login.client,
        };
        let certificate = Certificate {
            pem: &login.certificate,
            send_chain: login.send_chain,
        };
        let identities = &self.setup.identities;
        identities
            .azure_certificate_token(asker, &application, &certificate, STORAGE)
            .await
    }

    /// Refuses what is behind a gate that is closed.
    fn check_gates(&self, object: &Bucket) -> Result<(), Failure> {
        let of_cloud = object.spec.provider.unwrap_or_default() != BucketProvider::Generic;
        let account = object.spec.service_account_name.as_deref();
        if of_cloud && self.setup.identities.needs_gate(account) {
            return Err(gate_closed());
        }
        Ok(())
    }

    async fn proxy(&self, object: &Bucket) -> Result<Proxy, Failure> {
        let namespace = object.namespace().unwrap_or_default();
        let named = object.spec.proxy_secret_ref.as_ref();
        let named = named.map(|reference| reference.name.as_str());
        let proxy = self.setup.reader.proxy(&namespace, named).await;
        proxy.map_err(|error| {
            let why = chain(&error);
            fetch(AUTH_FAILED, format!("failed to get proxy URL: {why}"))
        })
    }

    /// Returns a client with the certificates of a Secret, or says why there is none.
    async fn certified(
        &self,
        asked: &Asked<'_>,
        reference: Option<&LocalReference>,
    ) -> Result<Client, String> {
        let name = reference.map(|reference| reference.name.as_str());
        let reader = &self.setup.reader;
        let certificates = reader.certificates(asked.namespace, name).await;
        let certificates = certificates.map_err(|error: ReadError| chain(&error))?;
        let config = reader.config(certificates, asked.proxy.clone());
        let config = config.map_err(|error| chain(&error))?;
        let client = self.setup.clients.get(&config);
        client.map_err(|error| chain(&error))
    }

    fn client(&self, proxy: &Proxy) -> Result<Client, Failure> {
        let config = Certificates::default().into_config(proxy.clone());
        let client = self.setup.clients.get(&config);
        client.map_err(|error| fetch(AUTH_FAILED, chain(&error)))
    }

    /// Asks the token service of a store for the keys of a user.
    async fn token_service(&self, asked: &Asked<'_>, sts: &TokenService) -> Result<Keys, Failure> {
        let (object, namespace) = (asked.object, asked.namespace);
        let (user, password) = match &sts.secret_ref {
            Some(reference) => {
                let read = self.setup.reader.secret(namespace, &reference.name).await;
                let read = read.map_err(|error| {
                    let name = format!("{namespace}/{}", reference.name);
                    let why = chain(&error);
                    fetch(
                        AUTH_FAILED,
                        format!("failed to get STS secret '{name}': {why}"),
                    )
                })?;
                identity::directory(&read).map_err(|why| fetch(AUTH_FAILED, why))?
            }
            None => Default::default(),
        };
        let client = self.certified(asked, sts.cert_secret_ref.as_ref());
        let client = client
            .await
            .map_err(|why| fetch(AUTH_FAILED, format!("failed to get STS TLS config: {why}")))?;
        let given = keys_of_ldap_user(&client, &sts.endpoint, (&user, &password), asked.deadline);
        given.await.map_err(|error| {
            let name = &object.spec.bucket_name;
            let why = chain(&error);
            fetch(
                FAILED,
                format!("failed to confirm existence of '{name}' bucket: {why}"),
            )
        })
    }
}

fn no_identity(error: &IdentityError) -> Failure {
    fetch(AUTH_FAILED, chain(error))
}

fn bad_secret(why: String) -> Failure {
    fetch(AUTH_FAILED, why)
}

/// Returns the address of an emulator, where the environment names one.
fn emulator() -> Option<String> {
    let host = runtime::env::variable(GCS_EMULATOR)?;
    Some(if host.contains("://") {
        host
    } else {
        format!("http://{host}")
    })
}

/// Refuses by name what is not supported, and settings that contradict each other.
fn check(object: &Bucket) -> Result<(), Failure> {
    let spec = &object.spec;
    let provider = spec.provider.unwrap_or_default();
    if let Some(sts) = &spec.sts {
        check_token_service(provider, sts)?;
    }
    let speaks_s3 = matches!(provider, BucketProvider::Generic | BucketProvider::Aws);
    let odd = |each: char| each.is_control() || each == ' ' || (speaks_s3 && each == '/');
    if spec.endpoint.chars().any(odd) {
        return Err(stalled(
            "URLInvalid",
            "endpoint must be a host with an optional port",
        ));
    }
    Ok(())
}

fn check_token_service(provider: BucketProvider, sts: &TokenService) -> Result<(), Failure> {
    let (wanted, name) = match provider {
        BucketProvider::Generic => (TokenServiceProvider::Ldap, "generic"),
        BucketProvider::Aws => (TokenServiceProvider::Aws, "aws"),
        BucketProvider::Gcp | BucketProvider::Azure => {
            return Err(stalled(
                "InvalidSTSConfiguration",
                "STS configuration is only supported for the 'aws' and 'generic' Bucket providers",
            ));
        }
    };
    let asked = match sts.provider {
        TokenServiceProvider::Aws => "aws",
        TokenServiceProvider::Ldap => "ldap",
    };
    if sts.provider != wanted {
        return Err(stalled(
            "InvalidSTSConfiguration",
            format!("STS provider '{asked}' is not supported for '{name}' bucket provider"),
        ));
    }
    Ok(())
}

fn keys(secret: &SecretView) -> Result<Keys, String> {
    match (
        identity::text(secret, "accesskey"),
        identity::text(secret, "secretkey"),
    ) {
        (Some(access), Some(secret)) => Ok(Keys {
            access,
            secret,
            session: None,
        }),
        _ => Err(format!(
            "invalid '{}' secret data: required fields 'accesskey' and 'secretkey'",
            identity::short(secret)
        )),
    }
}

#[cfg(test)]
mod tests {
    use api::source::{BucketSpec, TokenService};

    use super::*;

    fn refused(spec: BucketSpec) -> (String, String) {
        let failure = check(&Bucket::new("x", spec)).unwrap_err();
        assert_eq!(failure.class, runtime::Class::Stall);
        (failure.reason, failure.message)
    }

    /// covers: SC-104
    #[test]
    fn token_service_has_to_fit_the_provider() {
        let spec = BucketSpec {
            endpoint: "h.example".into(),
            sts: Some(TokenService {
                provider: TokenServiceProvider::Aws,
                ..TokenService::default()
            }),
            ..BucketSpec::default()
        };
        let (reason, words) = refused(spec.clone());
        assert_eq!(reason, "InvalidSTSConfiguration");
        assert_eq!(
            words,
            "STS provider 'aws' is not supported for 'generic' bucket provider"
        );
        let control = BucketSpec {
            endpoint: "h.exam\nple".into(),
            sts: None,
            ..spec
        };
        assert_eq!(refused(control).0, "URLInvalid");
    }

    #[test]
    fn keys_come_together() {
        let view = |pairs: &[(&str, &str)]| SecretView {
            name: "ns/half".into(),
            kind: String::new(),
            data: pairs
                .iter()
                .map(|(key, value)| {
                    let value = k8s_openapi::ByteString(value.as_bytes().to_vec());
                    ((*key).to_owned(), value)
                })
                .collect(),
        };
        assert!(keys(&view(&[("accesskey", "a"), ("secretkey", "b\n")])).is_ok());
        assert_eq!(
            keys(&view(&[("accesskey", "a")])).unwrap_err(),
            "invalid 'half' secret data: required fields 'accesskey' and 'secretkey'"
        );
    }
}
