//! Identities that come from a cloud instead of from a Secret.

use access::{Asker, Cloud};
use api::source::RegistryProvider;
use net_http::Proxy;

/// What tokens are for, as the metrics name it.
pub(crate) const OPERATION: &str = "reconcile";

/// Returns the cloud behind a provider; none where it is none's.
pub(crate) fn cloud(provider: RegistryProvider) -> Option<Cloud> {
    match provider {
        RegistryProvider::Generic => None,
        RegistryProvider::Aws => Some(Cloud::Aws),
        RegistryProvider::Azure => Some(Cloud::Azure),
        RegistryProvider::Gcp => Some(Cloud::Gcp),
    }
}

/// Says on whose behalf a token is asked for.
pub(crate) fn asker<'a>(
    kind: &'a str,
    (namespace, name): (&'a str, &'a str),
    account: Option<&'a str>,
    proxy: &'a Proxy,
) -> Asker<'a> {
    Asker {
        kind,
        namespace,
        name,
        operation: OPERATION,
        account,
        proxy,
    }
}
