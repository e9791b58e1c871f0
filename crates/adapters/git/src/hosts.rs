//! How many requests go to one host at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Remote;

/// The hosts that requests go to.
#[derive(Debug)]
pub(crate) struct Hosts {
    at_once: usize,
    known: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Hosts {
    pub(crate) fn new(at_once: usize) -> Self {
        Self {
            at_once: at_once.max(1),
            known: Mutex::default(),
        }
    }

    /// Waits for a turn at the remote's host, kept until it is dropped.
    pub(crate) async fn turn(&self, remote: &Remote) -> Option<OwnedSemaphorePermit> {
        let host = host(&remote.url).to_lowercase();
        let turns = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() > 1000 {
                // Those that nobody waits for or holds.
                known.retain(|_, turns| Arc::strong_count(turns) > 1);
            }
            let fresh = || Arc::new(Semaphore::new(self.at_once));
            Arc::clone(known.entry(host).or_insert_with(fresh))
        };
        // The semaphore is never closed.
        turns.acquire_owned().await.ok()
    }
}

fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(url: &str) -> Remote {
        Remote {
            url: url.to_owned(),
            ..Remote::default()
        }
    }

    #[tokio::test]
    async fn turns_are_limited_for_each_host_alone() {
        let hosts = Hosts::new(2);
        let first = hosts.turn(&remote("https://a.example/x")).await;
        let second = hosts.turn(&remote("https://u@A.example/y")).await;
        assert!(first.is_some() && second.is_some());
        let third = remote("https://a.example/z");
        let mut third = std::pin::pin!(hosts.turn(&third));
        assert!(
            futures_poll(third.as_mut()).is_none(),
            "both turns are taken"
        );
        let other = remote("ssh://git@b.example/x");
        assert!(hosts.turn(&other).await.is_some());
        drop(first);
        assert!(third.await.is_some());
    }

    /// Polls once.
    fn futures_poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.poll(&mut context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        }
    }
}
