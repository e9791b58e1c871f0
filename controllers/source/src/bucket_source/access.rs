//! How a bucket is reached: the Secrets that the object names, checked.

use std::time::Duration;

use access::Certificates;
use api::source::{Bucket, BucketProvider, TokenServiceProvider};
use bucket::{S3, Settings};
use cloud::aws::Keys;
use kube::ResourceExt;
use runtime::Failure;
use runtime::secrets::SecretView;
use tokio::time::Instant;

use super::Buckets;
use crate::failure::{AUTH_FAILED, chain, fetch, stalled};

const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);

impl Buckets {
    /// Reads everything that it takes to reach the bucket.
    pub(super) async fn store(&self, object: &Bucket) -> Result<S3, Failure> {
        check(object)?;
        let spec = &object.spec;
        let namespace = object.namespace().unwrap_or_default();
        let reader = &self.setup.reader;
        let keys = match &spec.secret_ref {
            Some(reference) => {
                let read = reader.secret(&namespace, &reference.name).await;
                let read = read.map_err(|error| fetch(AUTH_FAILED, chain(&error)))?;
                Some(keys(&read).map_err(|why| fetch(AUTH_FAILED, why))?)
            }
            None => None,
        };
        let proxy = spec.proxy_secret_ref.as_ref();
        let proxy = reader.proxy(&namespace, proxy.map(|reference| reference.name.as_str()));
        let proxy = proxy.await.map_err(|error| {
            let why = chain(&error);
            fetch(AUTH_FAILED, format!("failed to get proxy URL: {why}"))
        })?;
        let no_tls = |error: &(dyn std::error::Error + 'static)| {
            let why = chain(error);
            fetch(AUTH_FAILED, format!("failed to get TLS config: {why}"))
        };
        let insecure = spec.insecure.unwrap_or_default();
        let certificates = match &spec.cert_secret_ref {
            Some(reference) if !insecure => {
                let read = reader.certificates(&namespace, Some(&reference.name)).await;
                read.map_err(|error| no_tls(&error))?
            }
            _ => Certificates::default(),
        };
        let http = reader
            .config(certificates, proxy)
            .map_err(|error| no_tls(&error))?;
        let http = self.setup.clients.get(&http);
        let http = http.map_err(|error| no_tls(&error))?;
        let timeout = spec.timeout.map_or(DEFAULT_TIMEOUT, Into::into);
        let settings = Settings {
            endpoint: spec.endpoint.clone(),
            insecure,
            bucket: spec.bucket_name.clone(),
            region: spec.region.clone(),
            keys,
        };
        Ok(S3::new(http, settings, Instant::now() + timeout))
    }
}

/// Refuses by name what is not supported, and settings that contradict each other.
fn check(object: &Bucket) -> Result<(), Failure> {
    let spec = &object.spec;
    let provider = spec.provider.unwrap_or_default();
    let refused = |what: &str| {
        Err(stalled(
            "UnsupportedFeature",
            format!("{what} is not supported"),
        ))
    };
    if let Some(sts) = &spec.sts {
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
        return refused("spec.sts");
    }
    if spec
        .endpoint
        .chars()
        .any(|each| each.is_control() || each == ' ' || each == '/')
    {
        return Err(stalled(
            "URLInvalid",
            "endpoint must be a host with an optional port",
        ));
    }
    match provider {
        BucketProvider::Generic => Ok(()),
        BucketProvider::Aws if spec.secret_ref.is_some() => Ok(()),
        BucketProvider::Aws => refused("spec.provider 'aws' without spec.secretRef"),
        BucketProvider::Gcp => refused("spec.provider 'gcp'"),
        BucketProvider::Azure => refused("spec.provider 'azure'"),
    }
}

fn keys(secret: &SecretView) -> Result<Keys, String> {
    let text = |key: &str| {
        let text = secret.text(key).map(str::trim);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let short = secret.name.rsplit('/').next().unwrap_or_default();
    match (text("accesskey"), text("secretkey")) {
        (Some(access), Some(secret)) => Ok(Keys {
            access,
            secret,
            session: None,
        }),
        _ => Err(format!(
            "invalid '{short}' secret data: required fields 'accesskey' and 'secretkey'"
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
