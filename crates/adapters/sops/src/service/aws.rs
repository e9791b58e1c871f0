//! AWS KMS, with keys of the tenant or of an identity, and as the role that the file names.

use base64::{Engine, engine::general_purpose::STANDARD};
use cloud::aws::{AssumeRole, Ciphertext, Keys, assume_role_with_keys};
use net_http::Client;
use zeroize::Zeroizing;

use crate::{Endpoints, KeyError};

/// How a session is called in the cloud's logs.
const SESSION: &str = "sops";

/// Returns the region of a key.
pub(crate) fn region(arn: &str) -> Result<&str, KeyError> {
    cloud::aws::region_of_key(arn).ok_or(KeyError::Shape("the ARN names no region"))
}

/// Decrypts, as a role unless its name is empty.
pub(crate) async fn decrypt(
    client: &Client,
    endpoints: &Endpoints,
    keys: Keys,
    role: &str,
    what: &Ciphertext<'_>,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let keys = if role.is_empty() {
        keys
    } else {
        let asked = AssumeRole {
            region: region(what.arn)?,
            endpoint: endpoints.aws_sts.as_deref(),
            role,
            session: SESSION,
        };
        assume_role_with_keys(client, &asked, &keys).await?.value
    };
    let endpoint = endpoints.aws_kms.as_deref();
    let plain = cloud::aws::decrypt(client, endpoint, &keys, what).await?;
    let bytes = STANDARD.decode(Zeroizing::new(plain).as_bytes());
    bytes
        .map(Zeroizing::new)
        .map_err(|_| KeyError::Shape("the answer's plaintext is no Base64"))
}
