//! How a source, a registry, a bucket or a cluster is reached on behalf of an object: Secrets, certificates, proxies and
//! docker keychains, read where the object names them and checked before anything is sent, and the identities that
//! clouds give.
//!
//! [`Reader`] reads them; [`GitAccess`], [`RegistryAccess`] and [`Clusters`] join them; [`Identities`] asks clouds. What is said of a
//! mistake is said here once; which condition it becomes, and what stands before it, is the controllers' own.

mod certificates;
mod clusters;
mod git;
mod identity;
mod proxy;
mod reader;
mod registry;
mod tokens;

pub use certificates::{Certificates, TlsError};
pub use clusters::{Clusters, Destination};
pub use git::{Address, GitAccess, GitAccessError};
pub use identity::{
    AppError, Asker, AwsPlace, Cloud, Endpoints, Identities, IdentityError, OBJECT_LEVEL,
    RemoteError, Rules, refuse_ungated,
};
pub use proxy::{ProxyError, proxy};
pub use reader::{ReadError, Reader};
pub use registry::{LoginError, RegistryAccess, RegistryError, keychain, redactor, redactor_of};

#[cfg(test)]
mod secrets {
    use k8s_openapi::ByteString;
    use runtime::secrets::SecretView;

    /// Makes a Secret of texts.
    pub(crate) fn view(name: &str, pairs: &[(&str, &str)]) -> SecretView {
        let bytes = |value: &str| ByteString(value.as_bytes().to_vec());
        SecretView {
            name: name.to_owned(),
            kind: String::new(),
            data: pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), bytes(value)))
                .collect(),
        }
    }
}
