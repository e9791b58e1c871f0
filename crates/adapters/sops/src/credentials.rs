//! Credentials for key services, as decryption Secrets hold them.

use serde::{Deserialize, de::DeserializeOwned};

use crate::ImportError;

/// Keys of AWS: `sops.aws-kms`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct AwsCredentials {
    /// `aws_access_key_id`.
    pub aws_access_key_id: String,
    /// `aws_secret_access_key`.
    pub aws_secret_access_key: String,
    /// `aws_session_token`.
    pub aws_session_token: String,
}

impl AwsCredentials {
    /// Returns what requests are signed with.
    pub(crate) fn keys(&self) -> cloud::aws::Keys {
        let session = Some(self.aws_session_token.clone());
        cloud::aws::Keys {
            access: self.aws_access_key_id.clone(),
            secret: self.aws_secret_access_key.clone(),
            session: session.filter(|token| !token.is_empty()),
        }
    }
}

/// A service account of Google Cloud: `sops.gcp-kms`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct GcpCredentials {
    /// Who it is.
    pub client_email: String,
    /// Its RSA key, in PEM.
    pub private_key: String,
    /// The key's id.
    pub private_key_id: String,
    /// Where tokens are had; absent: Google's own address.
    pub token_uri: Option<String>,
}

/// A service principal of Azure, or with a client id alone a managed identity: `sops.azure-kv`, in either spelling.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AzureCredentials {
    /// The tenant.
    #[serde(alias = "tenant")]
    pub tenant_id: String,
    /// The application.
    #[serde(alias = "appId")]
    pub client_id: String,
    /// Its secret.
    #[serde(alias = "password")]
    pub client_secret: String,
    /// Its certificate and the key of that, in PEM.
    pub client_certificate: String,
    /// What the certificate's key is encrypted with.
    pub client_certificate_password: String,
    /// Whether the certificate's chain is sent.
    pub client_certificate_send_chain: bool,
    /// Where tokens are had; absent: the public cloud.
    pub authority_host: Option<String>,
}

macro_rules! opaque {
    ($($type:ty),*) => {$(
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($type), "(..)"))
            }
        }
    )*};
}
opaque!(AwsCredentials, GcpCredentials, AzureCredentials);

/// Reads YAML, of which JSON is a part.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ImportError> {
    let shape = |text: String| ImportError::Shape(text);
    let reader = yaml::Reader::new(yaml::Schema::Legacy);
    let node = reader
        .read_first(bytes, "")
        .map_err(|_| shape("it is no YAML".into()))?
        .ok_or_else(|| shape("it is empty".into()))?;
    let json = yaml::to_json(&node).map_err(|_| shape("it is no YAML".into()))?;
    // The parser's words could show a value.
    serde_json::from_value(json).map_err(|_| shape("its fields have the wrong types".into()))
}
