//! Data keys that were found, kept for a while for the tenant that found them: many units of a namespace are encrypted
//! to the same keys, and key services count and bill every request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use sops::{DataKey, Metadata};

/// How long a data key is kept: whoever takes a right away at a key service waits no longer for it to count.
const LIFE: Duration = Duration::from_hours(1);
/// The most data keys that are kept.
const MOST: usize = 1_000;

/// Whose keys are used: a namespace, its credentials and its account. Others never get a data key that was found with
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tenant([u8; 32]);

impl Tenant {
    /// Returns the tenant that has all of these, in this order.
    pub(super) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// Returns what its data key for a file goes by.
    pub(super) fn name(self, metadata: &Metadata) -> KeyName {
        // What else the metadata has, MAC and rules, is each file's own.
        let keys = format!("{} {:?}", metadata.threshold, metadata.groups);
        KeyName(Self::of([self.0.as_slice(), keys.as_bytes()]).0)
    }
}

/// A tenant, and the encrypted keys of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct KeyName([u8; 32]);

/// What came of asking last, and when.
#[derive(Debug, Default)]
struct Answered(Option<(Result<DataKey, String>, Instant)>);

impl Answered {
    /// Returns what counts for somebody who asks since then; `fresh`: who wants no older answer.
    fn standing(&self, since: Instant, fresh: bool) -> Option<Result<DataKey, String>> {
        let (answer, at) = self.0.as_ref()?;
        // Whoever waited for the same answer takes it as it is.
        let is_kept = answer.is_ok() && !fresh && at.elapsed() < LIFE;
        (*at >= since || is_kept).then(|| answer.clone())
    }
}

/// Who holds the lock asks, and the others wait for the answer.
type Slot = Arc<tokio::sync::Mutex<Answered>>;

/// The data keys of all tenants.
#[derive(Debug, Default)]
pub(crate) struct DataKeys(Mutex<HashMap<KeyName, (Slot, Instant)>>);

impl DataKeys {
    /// Returns the data key of a file, kept or asked for.
    ///
    /// # Errors
    /// What asking says; that is not kept.
    pub(super) async fn get<F>(
        &self,
        name: KeyName,
        fresh: bool,
        ask: impl FnOnce() -> F,
    ) -> Result<DataKey, String>
    where
        F: Future<Output = Result<DataKey, String>>,
    {
        let since = Instant::now();
        let slot = self.slot(name);
        let mut answered = slot.lock().await;
        if let Some(standing) = answered.standing(since, fresh) {
            return standing;
        }
        // Nothing is left of it where whoever asks gives up.
        answered.0 = None;
        let answer = ask().await;
        answered.0 = Some((answer.clone(), Instant::now()));
        answer
    }

    fn slot(&self, name: KeyName) -> Slot {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What nobody used for so long is over: it was found before that.
        all.retain(|_, (slot, used)| Arc::strong_count(slot) > 1 || used.elapsed() < LIFE);
        if !all.contains_key(&name) && all.len() >= MOST {
            let idle = all
                .iter()
                .filter(|(_, (slot, _))| Arc::strong_count(slot) == 1);
            let oldest = idle.min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(name, _)| *name) {
                all.remove(&oldest);
            }
        }
        let entry = all
            .entry(name)
            .or_insert_with(|| (Slot::default(), Instant::now()));
        entry.1 = Instant::now();
        Arc::clone(&entry.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;

    fn metadata(ciphertext: &str) -> Metadata {
        let object = json!({ "sops": { "kms": [{ "arn": "arn:aws:kms:eu-west-1:1:key/1", "enc": ciphertext }],
            "lastmodified": "2026-01-01T00:00:00Z", "mac": "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]",
            "version": "3.9.0" } });
        sops::metadata_of(&object).unwrap()
    }

    struct Service {
        keys: DataKeys,
        asked: AtomicUsize,
    }

    impl Service {
        async fn get(&self, tenant: &str, file: &str, fresh: bool) -> Result<DataKey, String> {
            let tenant = Tenant::of([tenant.as_bytes()]);
            let ask = || async {
                self.asked.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                match file {
                    "bad" => Err("no".to_owned()),
                    _ => Ok(DataKey::new(vec![7; 32].into()).unwrap()),
                }
            };
            let name = tenant.name(&metadata(file));
            self.keys.get(name, fresh, ask).await
        }

        fn asked(&self) -> usize {
            self.asked.swap(0, Ordering::Relaxed)
        }
    }

    fn service() -> Service {
        Service {
            keys: DataKeys::default(),
            asked: AtomicUsize::default(),
        }
    }

    #[tokio::test]
    async fn data_key_is_asked_for_once_by_each_tenant_unless_a_fresh_one_is_wanted() {
        let service = service();
        for (tenant, file, fresh, asked) in [
            ("a", "x", false, 1),
            ("a", "x", false, 0),
            ("b", "x", false, 1),
            ("a", "y", false, 1),
            ("a", "x", true, 1),
            ("a", "x", false, 0),
        ] {
            service.get(tenant, file, fresh).await.unwrap();
            assert_eq!(service.asked(), asked, "{tenant} {file} {fresh}");
        }
    }

    #[tokio::test]
    async fn those_who_ask_at_once_get_one_answer_and_a_refusal_is_not_kept() {
        let service = service();
        for (file, fresh) in [("x", false), ("x", true), ("bad", false)] {
            let all = (0..8).map(|_| service.get("a", file, fresh));
            let all = futures::future::join_all(all).await;
            assert!(all.iter().all(|one| one.is_err() == (file == "bad")));
            assert_eq!(service.asked(), 1, "{file} {fresh}");
        }
        service.get("a", "bad", false).await.unwrap_err();
        assert_eq!(service.asked(), 1);
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded() {
        let service = service();
        for n in 0..=MOST {
            service.get(&n.to_string(), "x", false).await.unwrap();
        }
        assert_eq!(service.keys.0.lock().unwrap().len(), MOST);
        service.asked();
        service.get("0", "x", false).await.unwrap();
        assert_eq!(service.asked(), 1, "it made room");
    }

    #[test]
    fn parts_of_a_tenant_do_not_run_together() {
        let of = |parts: &[&str]| Tenant::of(parts.iter().map(|part| part.as_bytes()));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
    }
}
