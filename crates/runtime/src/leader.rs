//! Leader election by a Lease, as client-go does it: expiry is judged by our own clock since we
//! last saw the record change, never by the times that another process wrote.
//!
//! Source: client-go v0.34 `tools/leaderelection`.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::Lease,
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use tokio_util::sync::CancellationToken;

use crate::args::LeaderElection;

/// How long giving the lease up may take.
const RELEASE: Duration = Duration::from_secs(5);

/// A candidate for leadership.
#[derive(Debug)]
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    flags: LeaderElection,
    observed: Option<(Lease, Instant)>,
}

/// What came of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// This process holds the lease.
    Held,
    /// Someone wrote the lease in between; nobody knows yet who holds it.
    Raced,
    /// Another process holds it.
    Taken,
}

impl Candidate {
    /// Creates a candidate for `<controller>-leader-election` in a namespace.
    ///
    /// With a label selector the name carries the first 8 hex digits of its SHA-256, so that each
    /// shard has a leader of its own.
    #[must_use]
    pub fn new(
        client: Client,
        namespace: &str,
        controller: &str,
        selector: &str,
        flags: LeaderElection,
    ) -> Self {
        let identity = format!("{}_{}", crate::env::hostname(), uuid::Uuid::new_v4());
        let api = Api::namespaced(client, namespace);
        Self {
            api,
            name: lease_name(controller, selector),
            identity,
            flags,
            observed: None,
        }
    }

    /// Returns the name of the lease.
    #[must_use]
    pub fn lease(&self) -> &str {
        &self.name
    }

    /// Waits until this process leads, or the token is cancelled (false).
    pub async fn lead(&mut self, stop: &CancellationToken) -> bool {
        tracing::info!(lease = %self.name, "attempting to acquire leader lease");
        loop {
            let step = tokio::select! {
                biased;
                () = stop.cancelled() => return false,
                step = self.step_within(self.flags.leader_election_renew_deadline) => step,
            };
            match step {
                Ok(Step::Held) => {
                    tracing::info!(lease = %self.name, "became leader");
                    return true;
                }
                Ok(Step::Raced | Step::Taken) => {}
                Err(cause) => {
                    tracing::warn!(error = cause, "leader lease cannot be acquired");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return false,
                () = tokio::time::sleep(self.flags.leader_election_retry_period) => {}
            }
        }
    }

    /// Renews the lease for as long as that works; returns when it is lost.
    pub async fn hold(&mut self) {
        let deadline = self.flags.leader_election_renew_deadline;
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(self.flags.leader_election_retry_period).await;
            let began = Instant::now();
            let left = deadline.saturating_sub(renewed.elapsed());
            match self.step_within(left.max(Duration::from_millis(1))).await {
                // What others judge by is when the request was sent, at the latest.
                Ok(Step::Held) => renewed = began,
                Ok(Step::Taken) => return,
                Ok(Step::Raced) => {}
                Err(cause) => tracing::warn!(error = cause, "leader lease cannot be renewed"),
            }
            if renewed.elapsed() >= deadline {
                return;
            }
        }
    }

    /// Gives the lease up, so that another replica need not wait for it to expire.
    pub async fn release(&mut self) {
        if !self.flags.leader_election_release_on_cancel {
            return;
        }
        let cause = match tokio::time::timeout(RELEASE, self.give_up()).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => crate::failure::chain(&error),
            Err(_) => "the API server does not answer".into(),
        };
        tracing::warn!(error = cause, "leader lease not released");
    }

    /// The last renewal may have been cut off, so the lease is read anew.
    async fn give_up(&mut self) -> kube::Result<()> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            return Ok(());
        };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            return Ok(());
        }
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        let params = PostParams::default();
        self.api
            .replace(&self.name, &params, &lease)
            .await
            .map(drop)
    }

    /// One step, with a time limit; an error is told in words.
    async fn step_within(&mut self, limit: Duration) -> Result<Step, String> {
        match tokio::time::timeout(limit, self.step()).await {
            Ok(step) => step.map_err(|error| crate::failure::chain(&error)),
            Err(_) => Err("the API server does not answer".into()),
        }
    }

    /// Acquires or renews the lease once.
    async fn step(&mut self) -> kube::Result<Step> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            return self.create().await;
        };
        if self
            .observed
            .as_ref()
            .is_none_or(|(seen, _)| seen.spec != lease.spec)
        {
            self.observed = Some((lease.clone(), Instant::now()));
        }
        let since = self
            .observed
            .as_ref()
            .map_or(Duration::ZERO, |(_, at)| at.elapsed());
        let spec = lease.spec.get_or_insert_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let mine = holder == self.identity;
        let seconds = u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
        if !holder.is_empty() && !mine && since < Duration::from_secs(seconds) {
            return Ok(Step::Taken);
        }
        let now = MicroTime(Timestamp::now());
        if !mine {
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0) + 1);
            spec.acquire_time = Some(now.clone());
            spec.holder_identity = Some(self.identity.clone());
        }
        spec.renew_time = Some(now);
        spec.lease_duration_seconds = Some(self.seconds());
        // The resource version in the copy makes a race a conflict.
        match self
            .api
            .replace(&self.name, &PostParams::default(), &lease)
            .await
        {
            Ok(lease) => {
                self.observed = Some((lease, Instant::now()));
                Ok(Step::Held)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Step::Raced),
            Err(error) => Err(error),
        }
    }

    async fn create(&mut self) -> kube::Result<Step> {
        let now = MicroTime(Timestamp::now());
        let mut lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            ..Lease::default()
        };
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = Some(self.seconds());
        spec.acquire_time = Some(now.clone());
        spec.renew_time = Some(now);
        spec.lease_transitions = Some(0);
        match self.api.create(&PostParams::default(), &lease).await {
            Ok(lease) => {
                self.observed = Some((lease, Instant::now()));
                Ok(Step::Held)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Step::Raced),
            Err(error) => Err(error),
        }
    }

    fn seconds(&self) -> i32 {
        i32::try_from(self.flags.leader_election_lease_duration.as_secs()).unwrap_or(i32::MAX)
    }
}

fn lease_name(controller: &str, selector: &str) -> String {
    use sha2::{Digest, Sha256};
    if selector.is_empty() {
        return format!("{controller}-leader-election");
    }
    let sum = hex::encode(Sha256::digest(selector.as_bytes()));
    format!("{controller}-leader-election-{}", &sum[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shard_has_a_lease_of_its_own() {
        assert_eq!(
            lease_name("source-controller", ""),
            "source-controller-leader-election"
        );
        let sharded = lease_name("source-controller", "sharding.fluxcd.io/key=shard1");
        assert_eq!(
            sharded.len(),
            "source-controller-leader-election-".len() + 8
        );
    }
}
