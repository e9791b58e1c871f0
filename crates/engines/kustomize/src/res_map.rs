//! The objects that came together so far, in order, with an index by name.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::error::{Error, Gathered};
use crate::id::IdRef;
use crate::parallel;
use crate::resource::{Behavior, Resource, list_ids};
use crate::schema::Schema;

/// Objects in order. No two of them have the same identity.
#[derive(Debug, Clone)]
pub(crate) struct ResMap {
    resources: Vec<Resource>,
    schema: Rc<Schema>,
    /// Positions by every name an object has or had; `None` once something may have changed it.
    by_name: Option<Index>,
    /// Whether names may have changed since the last look for identities that objects share.
    may_clash: Cell<bool>,
    /// How many threads may change the objects.
    threads: usize,
}

impl ResMap {
    pub(crate) fn new(schema: &Rc<Schema>, threads: usize) -> Self {
        Self {
            resources: Vec::new(),
            schema: Rc::clone(schema),
            by_name: Some(HashMap::new()),
            may_clash: Cell::new(false),
            threads,
        }
    }

    pub(crate) fn schema(&self) -> &Rc<Schema> {
        &self.schema
    }

    pub(crate) fn len(&self) -> usize {
        self.resources.len()
    }

    pub(crate) fn get(&self, at: usize) -> &Resource {
        &self.resources[at]
    }

    pub(crate) fn as_slice(&self) -> &[Resource] {
        &self.resources
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Resource> {
        self.resources.iter()
    }

    /// Gives the objects for change of anything, names included.
    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Resource> {
        self.names_changed();
        self.resources.iter_mut()
    }

    /// Gives one object for change of anything but names; see [`Self::names_changed`].
    pub(crate) fn get_mut(&mut self, at: usize) -> &mut Resource {
        &mut self.resources[at]
    }

    /// Gives the objects for change of anything but names.
    pub(crate) fn content_mut(&mut self) -> std::slice::IterMut<'_, Resource> {
        self.resources.iter_mut()
    }

    /// Gives how many threads may look at the objects.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Changes each object, anything but names; one that cannot be changed does not keep the others from being tried.
    ///
    /// # Errors
    /// What is wrong with all of them.
    pub(crate) fn change(
        &mut self,
        change: impl Fn(&mut Resource) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        gather(parallel::change(&mut self.resources, self.threads, change))
    }

    /// Changes the objects at these positions, which come in order, as [`Self::change`] does.
    ///
    /// # Errors
    /// What is wrong with all of them.
    pub(crate) fn change_at(
        &mut self,
        positions: &[usize],
        change: impl Fn(&mut Resource) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        let mut positions = positions.iter().peekable();
        let mut chosen: Vec<&mut Resource> = Vec::with_capacity(positions.len());
        for (at, resource) in self.resources.iter_mut().enumerate() {
            if positions.next_if(|position| **position == at).is_some() {
                chosen.push(resource);
            }
        }
        let threads = self.threads;
        gather(parallel::change(&mut chosen, threads, |resource| {
            change(resource)
        }))
    }

    /// Says that names may have changed.
    pub(crate) fn names_changed(&mut self) {
        self.by_name = None;
        self.may_clash.set(true);
    }

    pub(crate) fn into_vec(self) -> Vec<Resource> {
        self.resources
    }

    /// Adds an object at the end.
    ///
    /// # Errors
    /// Where an object of its identity is there.
    pub(crate) fn append(&mut self, resource: Resource) -> Result<(), Error> {
        let clash = {
            let id = resource.id();
            self.schema.note_kind(id.group, id.version, id.kind);
            let index = index(&mut self.by_name, &self.resources);
            let mut positions = index.get(id.name).into_iter().flatten().copied();
            positions.find(|at| self.resources[*at].id().same(&id, &self.schema))
        };
        if let Some(at) = clash {
            return Err(Error::new(format!(
                "may not add resource with an already registered id: {}",
                resource.id()
            ))
            .with_place(resource.place())
            .with_place(self.resources[at].place()));
        }
        let at = self.resources.len();
        if let Some(index) = &mut self.by_name {
            note(index, &resource, at);
        }
        self.resources.push(resource);
        Ok(())
    }

    /// Adds objects at the end; every clash is named.
    ///
    /// # Errors
    /// Where an object of the identity of one of them is there.
    pub(crate) fn append_all(
        &mut self,
        resources: impl IntoIterator<Item = Resource>,
    ) -> Result<(), Error> {
        let mut faults = Gathered::default();
        for resource in resources {
            faults.note(self.append(resource));
        }
        faults.end()
    }

    /// Gives the positions of the objects that have or had a name, in order.
    pub(crate) fn named(&mut self, name: &str) -> Vec<usize> {
        let index = index(&mut self.by_name, &self.resources);
        index.get(name).cloned().unwrap_or_default()
    }

    /// Finds the objects that have or had an identity.
    pub(crate) fn find_any(&mut self, id: &IdRef<'_>) -> Vec<usize> {
        let mut found = self.named(id.name);
        found.retain(|at| {
            let resource = &self.resources[*at];
            !resource.is_empty() && resource.any_ids().any(|own| own.same(id, &self.schema))
        });
        found
    }

    /// Finds the one object that has or had an identity.
    ///
    /// # Errors
    /// Where there is none, or several.
    pub(crate) fn find_one(&mut self, id: &IdRef<'_>) -> Result<usize, Error> {
        let found = self.find_any(id);
        let problem = match found.as_slice() {
            [one] => return Ok(*one),
            [] => "no matches for Id",
            _ => "multiple matches for Id",
        };
        let error = Error::new(format!(
            "{problem} {id}; failed to find unique target for patch {id}"
        ));
        Err(found.iter().fold(error, |error, at| {
            error.with_place(self.resources[*at].place())
        }))
    }

    /// Adds a generated object as its behavior says: beside, over or instead of the one there is.
    ///
    /// # Errors
    /// Where the behavior does not fit what is there.
    pub(crate) fn absorb(&mut self, mut resource: Resource) -> Result<(), Error> {
        let found = self.find_any(&resource.id());
        let merges = matches!(resource.behavior, Behavior::Merge | Behavior::Replace);
        match found.as_slice() {
            [] if merges => Err(Error::at(
                resource.place(),
                format!(
                    "id {} does not exist; cannot merge or replace",
                    resource.id()
                ),
            )),
            [] => self.append(resource),
            [_] if !merges => Err(Error::at(
                resource.place(),
                format!(
                    "id {} exists; can not use behavior: '{}', behavior must be merge or replace",
                    resource.id(),
                    resource.behavior.name()
                ),
            )),
            [at] => {
                let old = &self.resources[*at];
                let merge = resource.behavior == Behavior::Merge;
                resource.inherit(old);
                if merge {
                    resource.merge_data(old);
                    if old.origin.is_some() {
                        resource.origin.clone_from(&old.origin);
                    }
                }
                self.resources[*at] = resource;
                self.by_name = None;
                Ok(())
            }
            _ => {
                let several = found.iter().map(|at| &self.resources[*at]);
                let error = Error::at(
                    resource.place(),
                    format!(
                        "found multiple objects [{}] that could accept merge of {}",
                        list_ids(several.clone()),
                        resource.id()
                    ),
                );
                Err(several.fold(error, |error, r| error.with_place(r.place())))
            }
        }
    }

    /// Drops the objects of which nothing is left.
    pub(crate) fn drop_empty(&mut self) {
        if self.resources.iter().any(Resource::is_empty) {
            self.retain(|resource| !resource.is_empty());
        }
    }

    pub(crate) fn retain(&mut self, keep: impl FnMut(&Resource) -> bool) {
        self.resources.retain(keep);
        self.by_name = None;
    }

    pub(crate) fn sort_by_key<K: Ord>(&mut self, key: impl FnMut(&Resource) -> K) {
        self.resources.sort_by_cached_key(key);
        self.by_name = None;
    }

    /// Refuses objects that came to share an identity.
    ///
    /// # Errors
    /// All of them.
    pub(crate) fn check_unique(&self) -> Result<(), Error> {
        if !self.may_clash.get() {
            return Ok(());
        }
        let clashes = self.clashes();
        let Some(first) = clashes.first().and_then(|group| group.first()) else {
            self.may_clash.set(false);
            return Ok(());
        };
        let text = format!(
            "may not add resource with an already registered id: {}",
            first.id()
        );
        let all = clashes.iter().flatten();
        Err(all.fold(Error::new(text), |error, resource| {
            error.with_place(resource.place())
        }))
    }

    /// Groups the objects that share an identity; each group has at least two.
    pub(crate) fn clashes(&self) -> Vec<Vec<&Resource>> {
        let mut groups: BTreeMap<(&str, &str, &str, &str, &str), Vec<&Resource>> = BTreeMap::new();
        for resource in self
            .resources
            .iter()
            .filter(|resource| !resource.is_empty())
        {
            let id = resource.id();
            let key = (
                id.name,
                id.kind,
                id.group,
                id.version,
                id.effective_namespace(&self.schema),
            );
            groups.entry(key).or_default().push(resource);
        }
        groups
            .into_values()
            .filter(|group| group.len() > 1)
            .collect()
    }
}

fn gather(changed: Vec<Result<(), Error>>) -> Result<(), Error> {
    let mut faults = Gathered::default();
    for result in changed {
        faults.note(result);
    }
    faults.end()
}

type Index = HashMap<String, Vec<usize>>;

/// Gives the index, made anew where names have changed.
fn index<'i>(by_name: &'i mut Option<Index>, resources: &[Resource]) -> &'i mut Index {
    by_name.get_or_insert_with(|| {
        let mut index = HashMap::with_capacity(resources.len());
        for (at, resource) in resources.iter().enumerate() {
            note(&mut index, resource, at);
        }
        index
    })
}

fn note(index: &mut Index, resource: &Resource, at: usize) {
    let mut add = |name: &str| match index.get_mut(name) {
        Some(positions) if positions.last() == Some(&at) => {}
        Some(positions) => positions.push(at),
        None => {
            index.insert(name.to_owned(), vec![at]);
        }
    };
    add(resource.name());
    for previous in &resource.history {
        add(&previous.name);
    }
}
