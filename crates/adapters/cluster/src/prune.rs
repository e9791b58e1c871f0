//! Deletes objects that are no longer wanted.

use std::fmt;

use futures::{FutureExt, StreamExt, stream};
use kube::api::{DeleteParams, Preconditions, PropagationPolicy};
use manifest::{
    ChangeSet, GroupVersionKind, Inventory, ObjectId,
    change_set::{Action, Change},
    inventory::Entry,
    metadata::{Owner, Strategy},
    object, order,
};

use crate::{
    Cluster,
    discovery::ResolveError,
    error::{RequestError, chain_text},
    request::Location,
};

/// How to prune.
#[derive(Clone, Debug)]
pub struct PruneOptions {
    /// Only objects that carry this owner's labels are deleted.
    pub owner: Owner,
    /// How many requests run at once among objects of one rank; at least one does.
    pub concurrency: usize,
}

/// What a prune did; prints nothing itself, its changes do.
#[derive(Clone, Debug, Default)]
pub struct Pruned {
    /// Every object and what happened to it, in the order of deletion.
    pub changes: ChangeSet,
}

/// A prune in which some deletions failed; the others were made.
#[derive(Debug)]
pub struct PruneError {
    /// The texts of the failures, in the order of deletion.
    pub errors: Vec<String>,
    /// What was tried and what happened to it; failed ones are `unknown`.
    pub changes: ChangeSet,
}

impl fmt::Display for PruneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("delete failed, errors: ")?;
        for error in &self.errors {
            write!(f, "{error};")?;
        }
        Ok(())
    }
}

impl std::error::Error for PruneError {}

impl Cluster {
    /// Deletes objects in reverse apply order, with background propagation. Does not wait until
    /// they are gone.
    ///
    /// Left alone, as `skipped`: objects that another owner has, and those whose live labels or
    /// annotations opt out (`prune`, `reconcile`: disabled; `ssa: Ignore`). An object whose type is
    /// no longer served counts as deleted.
    ///
    /// # Errors
    /// [`PruneError`] after all objects were tried, or once the API server does not answer; an object
    /// without a change was not tried.
    pub async fn prune(
        &self,
        stale: &Inventory,
        options: &PruneOptions,
    ) -> Result<Pruned, PruneError> {
        let mut entries: Vec<&Entry> = stale.entries().iter().collect();
        entries.sort_by(|a, b| order::compare(&b.id, &a.id));
        let mut changes = ChangeSet::default();
        let mut errors = Vec::new();
        let mut pending = entries.into_iter().peekable();
        while let Some(first) = pending.next() {
            let rank = order::rank(&first.id.kind);
            let mut batch = vec![first];
            while let Some(next) = pending.next_if(|next| order::rank(&next.id.kind) == rank) {
                batch.push(next);
            }
            // Boxed and collected first: a closure in the stream would tie this future to a thread.
            let work: Vec<_> = batch
                .into_iter()
                .map(|entry| {
                    self.prune_one(entry, options)
                        .map(move |it| (entry, it))
                        .boxed()
                })
                .collect();
            let mut results = stream::iter(work).buffered(options.concurrency.max(1));
            while let Some((entry, result)) = results.next().await {
                let gone = result.as_ref().is_err_and(ObjectPruneError::is_unreachable);
                let action = result.unwrap_or_else(|error| {
                    errors.push(chain_text(&error));
                    Action::Unknown
                });
                let (id, version) = (entry.id.clone(), entry.version.clone());
                changes.push(Change {
                    id,
                    version,
                    action,
                });
                if gone {
                    // The others would only fail the same way, seconds later.
                    return Err(PruneError { errors, changes });
                }
            }
        }
        if errors.is_empty() {
            Ok(Pruned { changes })
        } else {
            Err(PruneError { errors, changes })
        }
    }

    async fn prune_one(
        &self,
        entry: &Entry,
        options: &PruneOptions,
    ) -> Result<Action, ObjectPruneError> {
        let id = &entry.id;
        let gvk = GroupVersionKind {
            group: id.group.clone(),
            version: entry.version.clone(),
            kind: id.kind.clone(),
        };
        let resource = match self.resolve_any_version(&gvk).await {
            Ok(resource) => resource,
            Err(error) if error.is_no_match() => return Ok(Action::Deleted),
            Err(error) => {
                return Err(ObjectPruneError::Resolve {
                    id: id.clone(),
                    source: error,
                });
            }
        };
        let at = Location {
            resource: &resource,
            namespace: &id.namespace,
            name: &id.name,
        };
        let live = self
            .get(&at)
            .await
            .map_err(|source| ObjectPruneError::Query {
                id: id.clone(),
                source,
            })?;
        let Some(live) = live else {
            return Ok(Action::Deleted);
        };
        let owner = &options.owner;
        if !owner.owns(&live)
            || owner.is_kept(&live)
            || owner.is_disabled(&live)
            || owner.has_strategy(&live, Strategy::Ignore)
        {
            return Ok(Action::Skipped);
        }
        let uid = object::str_at(&live, &["metadata", "uid"]).map(Into::into);
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            // Someone may have replaced the object since it was read.
            preconditions: Some(Preconditions {
                uid,
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match self.delete(&at, &params).await {
            Ok(()) => Ok(Action::Deleted),
            Err(error) if error.is_not_found() => Ok(Action::Deleted),
            Err(source) => Err(ObjectPruneError::Delete {
                id: id.clone(),
                source,
            }),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum ObjectPruneError {
    #[error("{id} query failed")]
    Resolve {
        id: ObjectId,
        #[source]
        source: ResolveError,
    },
    #[error("{id} query failed")]
    Query {
        id: ObjectId,
        #[source]
        source: RequestError,
    },
    #[error("{id} delete failed")]
    Delete {
        id: ObjectId,
        #[source]
        source: RequestError,
    },
}

impl ObjectPruneError {
    fn is_unreachable(&self) -> bool {
        match self {
            Self::Query { source, .. }
            | Self::Delete { source, .. }
            | Self::Resolve {
                source: ResolveError::Request { source, .. },
                ..
            } => source.is_unreachable(),
            Self::Resolve { .. } => false,
        }
    }
}
