//! What the reconcilers of all kinds of sources are the same in.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use access::Reader;
use kube::Client;
use kube::runtime::reflector::{Lookup, ObjectRef};
use net_http::Clients;

use crate::shelf::Shelf;

/// Writes what is the same in each implementation of `Reconciler`: each stage is in the kind's file of that name, and
/// the conditions are those of all sources, with the kind's own `failures` and what signatures are `vouched` for by.
///
/// A macro, since the stages' types differ and only their names are the same. `plan` stays with the kinds.
macro_rules! stages {
    ($Object:ty, failures: [$($failure:expr)?], vouched: [$($vouched:expr)?]) => {
        type Object = $Object;
        type Inputs = gather::Inputs;
        type Plan = plan::Plan;
        type Outcome = act::Outcome;

        const CONDUCT: runtime::Conduct = runtime::Conduct {
            owned: &[
                $crate::conditions::STORAGE_OPERATION_FAILED,
                $crate::conditions::FETCH_FAILED,
                $($failure,)?
                $crate::conditions::ARTIFACT_OUTDATED,
                $crate::conditions::ARTIFACT_IN_STORAGE,
                $($vouched,)?
            ],
            summary: runtime::Summary::Ranked(&[
                ($crate::conditions::STORAGE_OPERATION_FAILED, runtime::Polarity::Negative),
                ($crate::conditions::FETCH_FAILED, runtime::Polarity::Negative),
                $(($failure, runtime::Polarity::Negative),)?
                ($crate::conditions::ARTIFACT_OUTDATED, runtime::Polarity::Negative),
                ($crate::conditions::ARTIFACT_IN_STORAGE, runtime::Polarity::Positive),
                $(($vouched, runtime::Polarity::Bipolar),)?
                ("Stalled", runtime::Polarity::Negative),
                ("Reconciling", runtime::Polarity::Negative),
            ]),
            retry: runtime::conduct::Retry::Exponential,
            closes_suspended: true,
            begin: runtime::conduct::Begin::AtOnce,
        };

        async fn gather(
            &self,
            object: &$Object,
            progress: &runtime::Progress,
        ) -> Result<gather::Inputs, runtime::Failure> {
            self.gather_inputs(object, progress).await
        }

        async fn act(
            &self,
            object: &$Object,
            plan: plan::Plan,
            progress: &runtime::Progress,
        ) -> Result<act::Outcome, runtime::Failure> {
            self.publish(object, plan, progress).await
        }

        fn report(
            object: &$Object,
            outcome: &act::Outcome,
            _moment: runtime::Moment,
        ) -> runtime::Report {
            report::report(object, outcome)
        }

        async fn cleanup(
            &self,
            object: &$Object,
            _progress: &runtime::Progress,
        ) -> Result<Vec<runtime::Note>, runtime::Failure> {
            self.setup.shelf.cleanup(object)
        }
    };
}
pub(crate) use stages;

/// What each kind works with.
#[derive(Clone)]
pub struct Setup {
    pub(crate) client: Client,
    pub(crate) clients: Arc<Clients>,
    /// Reads what objects name.
    pub(crate) reader: Reader,
    pub(crate) shelf: Shelf,
    /// Where files are put aside.
    pub(crate) scratch: PathBuf,
    /// Whether objects may name the ServiceAccount whose cloud identity they use.
    pub(crate) object_identity: bool,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("shelf", &self.shelf)
            .finish_non_exhaustive()
    }
}

/// What this process knows of objects until they go.
pub(crate) struct Memory<K: Lookup, T>(Mutex<HashMap<ObjectRef<K>, T>>)
where
    K::DynamicType: Eq + std::hash::Hash;

impl<K: Lookup, T> Default for Memory<K, T>
where
    K::DynamicType: Eq + std::hash::Hash,
{
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Lookup, T> std::fmt::Debug for Memory<K, T>
where
    K::DynamicType: Eq + std::hash::Hash,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl<K: Lookup, T: Clone> Memory<K, T>
where
    K::DynamicType: Eq + std::hash::Hash + Default + Clone,
{
    /// Returns what is known of an object, where `counts` says that it still holds.
    pub(crate) fn recall(&self, object: &K, counts: impl FnOnce(&T) -> bool) -> Option<T> {
        let all = self.lock();
        let known = all.get(&ObjectRef::from_obj(object));
        known.filter(|known| counts(known)).cloned()
    }

    pub(crate) fn remember(&self, object: &K, known: T) {
        self.lock().insert(ObjectRef::from_obj(object), known);
    }

    pub(crate) fn forget(&self, object: &ObjectRef<K>) {
        self.lock().remove(object);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef<K>, T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
