//! Identities that come from a cloud instead of from a Secret.

use access::{Asker, Cloud};
use api::source::RegistryProvider;
use net_http::Proxy;

/// What is said where an object names a ServiceAccount for its identity and the gate for that is closed.
pub(crate) const NO_GATE: &str = "to use spec.serviceAccountName for provider authentication please enable the \
                                  ObjectLevelWorkloadIdentity feature gate in the controller";

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
