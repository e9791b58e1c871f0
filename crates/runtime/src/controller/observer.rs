//! What each watch event means: an object to reconcile, a run to stop, an object to forget.
//!
//! It sees every event after the store has it. Objects of a new listing are only in the store once
//! the listing is complete, so what changed is announced then: a run begun earlier would act on
//! the old copy, and nothing would begin another one.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::channel::mpsc::UnboundedSender;
use kube::{
    ResourceExt,
    runtime::{
        reflector::{ObjectRef, Store},
        watcher::Event,
    },
};

use crate::{
    Reconciler,
    drive::{Driver, wishes},
};

/// Follows the events of one kind.
pub(super) struct Observer<R: Reconciler> {
    driver: Arc<Driver<R>>,
    store: Store<R::Object>,
    wake: UnboundedSender<ObjectRef<R::Object>>,
    /// What each object's user wished when it was last announced.
    known: HashMap<ObjectRef<R::Object>, u64>,
    /// The objects of a listing that is not complete yet.
    listed: HashSet<ObjectRef<R::Object>>,
    changed: Vec<ObjectRef<R::Object>>,
}

impl<R: Reconciler> Observer<R> {
    pub(super) fn new(
        driver: Arc<Driver<R>>,
        store: Store<R::Object>,
        wake: UnboundedSender<ObjectRef<R::Object>>,
    ) -> Self {
        Self {
            driver,
            store,
            wake,
            known: HashMap::new(),
            listed: HashSet::new(),
            changed: Vec::new(),
        }
    }

    pub(super) fn observe(&mut self, event: &Event<R::Object>) {
        match event {
            Event::Init => {
                self.listed.clear();
                self.changed.clear();
            }
            Event::InitApply(object) => {
                let reference = ObjectRef::from_obj(object);
                if self.known.get(&reference) != Some(&wishes(object)) {
                    self.changed.push(reference.clone());
                }
                self.listed.insert(reference);
                self.driver.running().observe(object);
            }
            Event::InitDone => self.complete(),
            Event::Apply(object) => {
                self.driver.running().observe(object);
                self.announce(ObjectRef::from_obj(object), wishes(object));
            }
            Event::Delete(object) => {
                let reference = ObjectRef::from_obj(object);
                self.known.remove(&reference);
                let version = object.resource_version();
                let running = self.driver.running();
                running.vanish(&reference, version.as_deref());
                self.driver.forget(&reference);
            }
        }
    }

    /// A listing says more than its objects: what is not in it is gone.
    fn complete(&mut self) {
        let listed = std::mem::take(&mut self.listed);
        let (driver, known) = (&self.driver, &mut self.known);
        known.retain(|reference, _| {
            let stays = listed.contains(reference);
            if !stays {
                driver.forget(reference);
            }
            stays
        });
        for reference in std::mem::take(&mut self.changed) {
            if let Some(object) = self.store.get(&reference) {
                self.announce(reference, wishes(&*object));
            }
        }
        let store = &self.store;
        self.driver.running().review(|object| store.get(object));
    }

    fn announce(&mut self, object: ObjectRef<R::Object>, wishes: u64) {
        if self.known.insert(object.clone(), wishes) != Some(wishes) {
            // Nobody listens any more only while the kind stops.
            drop(self.wake.unbounded_send(object));
        }
    }
}
