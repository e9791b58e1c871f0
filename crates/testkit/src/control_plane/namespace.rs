//! A namespace of a test's own.

use std::fmt;

use k8s_openapi::api::core::v1::{self, ServiceAccount};
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};

use super::ready::until;

/// A namespace that one test has to itself. It stays until the control plane goes.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    #[expect(clippy::panic, reason = "a test without its namespace cannot go on")]
    pub(super) async fn create(client: &Client, prefix: &str) -> Self {
        let name = format!("{prefix}-{:06x}", rand::random::<u32>() & 0x00ff_ffff);
        let namespace = v1::Namespace {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                ..ObjectMeta::default()
            },
            ..v1::Namespace::default()
        };
        let namespaces: Api<v1::Namespace> = Api::all(client.clone());
        if let Err(error) = namespaces.create(&PostParams::default(), &namespace).await {
            panic!("cannot make the namespace {name}: {error}");
        }
        // Pods are refused before the controller-manager made this account.
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &name);
        let made = until("the namespace's service account", &[], || async {
            Ok(accounts.get_opt("default").await?.is_some())
        });
        if let Err(error) = made.await {
            panic!("the namespace {name} is not usable: {error:#}");
        }
        Self { name }
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl AsRef<str> for Namespace {
    fn as_ref(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}
