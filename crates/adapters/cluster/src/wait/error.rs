//! Waits that failed, in the words that users and scripts know.

use std::fmt;

use manifest::{ObjectId, health::Status};

use super::Target;

/// One object that was not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unready {
    /// The object.
    pub id: ObjectId,
    /// Its last known status; `None` when it was never seen.
    pub status: Option<Status>,
    /// Why, as far as known; may be empty.
    pub message: String,
}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            status,
            message,
        } = self;
        match status {
            None => write!(f, "can't determine status for {id}")?,
            Some(status) => write!(f, "{id} status: '{status}'")?,
        }
        if message.is_empty() {
            Ok(())
        } else {
            write!(f, ": {message}")
        }
    }
}

/// A wait that ended without all objects being ready. Lists objects by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitError {
    /// Time was up.
    Timeout(Vec<Unready>),
    /// These have failed.
    Stalled(Vec<Unready>),
}

impl WaitError {
    /// Returns the objects that were not ready.
    pub fn unready(&self) -> &[Unready] {
        match self {
            Self::Timeout(list) | Self::Stalled(list) => list,
        }
    }
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, list) = match self {
            Self::Timeout(list) => ("timeout waiting for", list),
            Self::Stalled(list) => ("failed early due to stalled resources", list),
        };
        let texts: Vec<String> = list.iter().map(ToString::to_string).collect();
        write!(f, "{what}: [{}]", texts.join(", "))
    }
}

impl std::error::Error for WaitError {}

/// Lists targets by id.
pub(super) fn sorted(targets: &[Target]) -> Vec<Unready> {
    let mut list: Vec<Unready> = targets.iter().map(Target::to_unready).collect();
    list.sort_by_cached_key(|unready| unready.id.to_string());
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unready(name: &str, status: Option<Status>, message: &str) -> Unready {
        let id = ObjectId {
            namespace: "a".into(),
            name: name.into(),
            group: "apps".into(),
            kind: "Deployment".into(),
        };
        Unready {
            id,
            status,
            message: message.into(),
        }
    }

    /// covers: KC-112
    #[test]
    fn texts_name_objects_and_states() {
        let list = vec![
            unready("web", Some(Status::InProgress), "Replicas: 0/1"),
            unready("gone", Some(Status::NotFound), ""),
            unready("lost", None, ""),
        ];
        assert_eq!(
            WaitError::Timeout(list).to_string(),
            "timeout waiting for: [Deployment/a/web status: 'InProgress': Replicas: 0/1, \
             Deployment/a/gone status: 'NotFound', can't determine status for Deployment/a/lost]"
        );
        assert_eq!(
            WaitError::Stalled(vec![unready("web", Some(Status::Failed), "")]).to_string(),
            "failed early due to stalled resources: [Deployment/a/web status: 'Failed']"
        );
    }
}
