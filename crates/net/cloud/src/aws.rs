//! Amazon Web Services: keys, and what is had for them.

mod code_commit;
mod ecr;
mod eks;
mod environment;
mod kms;
mod sign;
mod sts;

use jiff::Timestamp;
use net_http::Client;
use serde::de::DeserializeOwned;

pub use code_commit::{git_login, region_of_repository};
pub use ecr::{Registry, registry_login};
pub use eks::{Eks, cluster_token, describe_cluster};
pub use environment::{Environment, from_container, from_machine};
pub use kms::{Ciphertext, decrypt, region_of_key};
pub use sign::{Keys, Unsigned, encoded_path, encoded_query, sign};
pub use sts::{AssumeRole, assume_role, assume_role_with_keys, check_role, check_token_service};

use crate::{Error, exchange::Exchange};

/// Returns the domain of a region's services.
fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else if region.starts_with("eusc-") {
        "amazonaws.eu"
    } else {
        "amazonaws.com"
    }
}

/// Returns the host of an address, with its port where that is not the scheme's own.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or(rest)
}

/// A call of a service that speaks JSON.
struct Call<'a> {
    what: &'static str,
    service: &'static str,
    region: &'a str,
    /// The address, without a path.
    url: &'a str,
    target: &'static str,
    /// The question, in JSON.
    body: String,
}

impl Call<'_> {
    async fn send<T: DeserializeOwned>(self, client: &Client, keys: &Keys) -> Result<T, Error> {
        let request = Unsigned {
            method: "POST",
            host: host_of(self.url),
            path: "/",
            query: &[],
            region: self.region,
            service: self.service,
        };
        let content = ("content-type", "application/x-amz-json-1.1");
        let headers = [content, ("x-amz-target", self.target)];
        let signed = sign::sign_body(&request, &headers, &self.body, keys, Timestamp::now());
        let url = format!("{}/", self.url);
        let exchange = Exchange::new(client, self.what, http::Method::POST, url);
        let exchange = with_headers(exchange.body(content.1, self.body), &signed)?;
        hide_keys(exchange, keys).answer().await
    }
}

/// Adds the headers of a signature.
fn with_headers<'a>(
    mut exchange: Exchange<'a>,
    signed: &std::collections::BTreeMap<String, String>,
) -> Result<Exchange<'a>, Error> {
    const SENT: [&str; 4] = [
        "authorization",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-target",
    ];
    for name in SENT {
        if let Some(value) = signed.get(name) {
            exchange = exchange.header(name, value)?;
        }
    }
    Ok(exchange)
}

fn hide_keys<'a>(exchange: Exchange<'a>, keys: &Keys) -> Exchange<'a> {
    exchange
        .hide(&keys.secret)
        .hide(keys.session.as_deref().unwrap_or_default())
}
