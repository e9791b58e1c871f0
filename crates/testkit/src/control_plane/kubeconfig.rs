//! Kubeconfigs for a control plane.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::Kubeconfig;
use serde_json::{Value, json};

use crate::authority::Identity;

/// How a kubeconfig's user proves who they are.
#[derive(Debug)]
pub(super) enum User<'a> {
    Certificate(&'a Identity),
    Token(&'a str),
}

/// Returns a kubeconfig for the API server at `url`, with everything inline.
pub(super) fn build(url: &str, authority: &str, user: &User<'_>) -> Result<Kubeconfig> {
    let user: Value = match user {
        User::Certificate(identity) => json!({
            "client-certificate-data": STANDARD.encode(&identity.certificate),
            "client-key-data": STANDARD.encode(&identity.key),
        }),
        User::Token(token) => json!({ "token": token }),
    };
    serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lockgate",
        "clusters": [{
            "name": "lockgate",
            "cluster": { "server": url, "certificate-authority-data": STANDARD.encode(authority) },
        }],
        "users": [{ "name": "lockgate", "user": user }],
        "contexts": [{
            "name": "lockgate",
            "context": { "cluster": "lockgate", "user": "lockgate", "namespace": "default" },
        }],
    }))
    .context("building a kubeconfig")
}
