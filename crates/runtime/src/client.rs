//! The client of the Kubernetes API that controllers share.

mod connection;

use std::{sync::Arc, time::Duration};

use kube::{Api, Client, Config, Resource, ResourceExt};

use crate::metrics::Metrics;

/// How fast a controller may call the API server.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Requests a second, in the long run.
    pub qps: f32,
    /// Requests at once.
    pub burst: u32,
}

/// Connects with the configuration that `kubectl` would use, or the one of the pod.
///
/// kube's own retries (up to 1,000 s) are off: a run fails, says so and is tried again.
///
/// # Errors
/// No configuration, or one that cannot be used.
pub async fn connect(rate: Rate, metrics: &Metrics) -> anyhow::Result<Client> {
    let mut config = Config::infer().await?;
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(10));
    from_config(config, rate, metrics).await
}

/// Connects with a given configuration.
///
/// The rate only counts where the API server has no priority and fairness of its own, as
/// upstream's controllers do it.
///
/// # Errors
/// A configuration that cannot be used.
pub async fn from_config(config: Config, rate: Rate, metrics: &Metrics) -> anyhow::Result<Client> {
    let client = connection::client(config, metrics.clone())?;
    if has_fairness(&client).await {
        Ok(client)
    } else {
        Ok(limited(&client, rate))
    }
}

/// Returns true where the API server orders requests by priority and fairness.
async fn has_fairness(client: &Client) -> bool {
    let Ok(request) = http::Request::head("/livez/ping").body(kube::client::Body::empty()) else {
        return false;
    };
    match tokio::time::timeout(Duration::from_secs(10), client.send(request)).await {
        Ok(Ok(answer)) => answer
            .headers()
            .contains_key("x-kubernetes-pf-flowschema-uid"),
        // An API server that does not answer yet is not one without fairness.
        Ok(Err(_)) | Err(_) => true,
    }
}

fn limited(client: &Client, rate: Rate) -> Client {
    let namespace = client.default_namespace().to_owned();
    let bucket = Arc::new(Bucket::new(rate));
    let inner = client.clone();
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let (bucket, inner) = (Arc::clone(&bucket), inner.clone());
        async move {
            bucket.take().await;
            inner.send(request).await
        }
    });
    Client::new(service, namespace)
}

/// A bucket of requests that fills at a steady rate.
#[derive(Debug)]
struct Bucket {
    rate: Rate,
    state: tokio::sync::Mutex<(f32, tokio::time::Instant)>,
}

impl Bucket {
    #[expect(clippy::cast_precision_loss, reason = "bursts are small numbers")]
    fn new(rate: Rate) -> Self {
        let full = (rate.burst as f32, tokio::time::Instant::now());
        Self {
            rate,
            state: tokio::sync::Mutex::new(full),
        }
    }

    /// Waits for the next free request.
    #[expect(clippy::cast_precision_loss, reason = "bursts are small numbers")]
    async fn take(&self) {
        let mut state = self.state.lock().await;
        let now = tokio::time::Instant::now();
        let qps = self.rate.qps.max(0.001);
        let filled = state.0 + now.duration_since(state.1).as_secs_f32() * qps;
        let mut left = filled.min(self.rate.burst as f32) - 1.0;
        if left < 0.0 {
            tokio::time::sleep(Duration::from_secs_f32(-left / qps)).await;
            left = 0.0;
        }
        *state = (left, tokio::time::Instant::now());
    }
}

/// Returns the API of an object's kind in the object's namespace.
pub fn api_of<K>(client: Client, object: &K) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    Api::namespaced(client, &object.namespace().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bucket_lets_a_burst_through_and_then_one_each_interval() {
        let bucket = Bucket::new(Rate { qps: 2.0, burst: 3 });
        let start = tokio::time::Instant::now();
        for _ in 0..5 {
            bucket.take().await;
        }
        assert_eq!(start.elapsed().as_millis(), 1000);
    }
}
