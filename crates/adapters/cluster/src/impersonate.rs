//! Acts as a tenant's service account.

use http::{HeaderValue, Request, Response};
use kube::{Client, client::Body};

use crate::Cluster;

/// A namespace or name that cannot stand in a request header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the service account '{namespace}/{name}' is not a valid name")]
pub struct InvalidServiceAccount {
    namespace: String,
    name: String,
}

impl Cluster {
    /// Returns the same API server, seen by a service account.
    ///
    /// Requests go through this cluster's connections with impersonation headers; the user and the
    /// groups are those that the service account's own token would have.
    ///
    /// # Errors
    /// [`InvalidServiceAccount`] for names that no service account can have.
    pub fn impersonate(&self, namespace: &str, name: &str) -> Result<Self, InvalidServiceAccount> {
        let client =
            impersonating(&self.client, namespace, name).ok_or_else(|| InvalidServiceAccount {
                namespace: namespace.into(),
                name: name.into(),
            })?;
        Ok(self.with_client(client))
    }
}

fn impersonating(base: &Client, namespace: &str, name: &str) -> Option<Client> {
    // A colon would end the namespace or the name early and make it another account.
    if [namespace, name]
        .iter()
        .any(|part| part.is_empty() || part.contains(':'))
    {
        return None;
    }
    let value = |text: &str| HeaderValue::from_str(text).ok();
    let user = value(&format!("system:serviceaccount:{namespace}:{name}"))?;
    let groups = [
        value("system:serviceaccounts")?,
        value(&format!("system:serviceaccounts:{namespace}"))?,
        value("system:authenticated")?,
    ];
    let base = base.clone();
    let default_namespace = base.default_namespace().to_string();
    let service = tower::service_fn(move |mut request: Request<Body>| {
        let headers = request.headers_mut();
        headers.insert("impersonate-user", user.clone());
        for group in &groups {
            headers.append("impersonate-group", group.clone());
        }
        let base = base.clone();
        async move {
            base.send(request)
                .await
                .map(|response: Response<Body>| response)
        }
    });
    Some(Client::new(service, default_namespace))
}
