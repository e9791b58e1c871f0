//! Who changes what again and again.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use manifest::ObjectId;

use super::{MAX_FIELDS, Name};
use crate::Drift;

/// How often one manager may change the same field back before it is left alone until the interval.
const FIGHTS: usize = 3;
/// Within how long.
const FIGHT_WINDOW: Duration = Duration::from_mins(5);

/// What is known of all owners that look for drift.
#[derive(Debug, Default)]
pub struct DriftBook {
    units: Mutex<HashMap<Name, Unit>>,
}

#[derive(Debug, Default)]
struct Unit {
    taken_back: Vec<(ObjectId, String, String, Instant)>,
    /// Objects that are left alone, and until when.
    muted: HashMap<ObjectId, Instant>,
}

impl DriftBook {
    fn units(&self) -> MutexGuard<'_, HashMap<Name, Unit>> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether to look at once at a change that others made to an object.
    pub fn looks_at(&self, owner: &Name, id: &ObjectId) -> bool {
        let mut units = self.units();
        let Some(unit) = units.get_mut(owner) else {
            return true;
        };
        let now = Instant::now();
        unit.muted.retain(|_, until| *until > now);
        !unit.muted.contains_key(id)
    }

    /// Notes what was taken back from others by an owner with this interval. Returns what to tell of those who change
    /// the same field again and again: their objects are left to the interval from here on.
    pub fn taken_back(&self, owner: &Name, interval: Duration, drifts: &[Drift]) -> Option<String> {
        let mut units = self.units();
        let unit = units.entry(owner.clone()).or_default();
        let now = Instant::now();
        let is_recent = |at: &Instant| now.duration_since(*at) < FIGHT_WINDOW;
        unit.taken_back.retain(|(.., at)| is_recent(at));
        let mut told = Vec::new();
        for drift in drifts {
            let manager = drift.manager().unwrap_or_default();
            for field in drift.fields.iter().take(MAX_FIELDS) {
                let own = (
                    drift.id.clone(),
                    field.path.clone(),
                    manager.to_owned(),
                    now,
                );
                let is_same = |other: &&(ObjectId, String, String, Instant)| {
                    other.0 == own.0 && other.1 == own.1 && other.2 == own.2
                };
                let before = unit.taken_back.iter().filter(is_same).count();
                if before + 1 >= FIGHTS && !unit.muted.contains_key(&drift.id) {
                    unit.muted.insert(drift.id.clone(), now + interval);
                    told.push(format!(
                        "{} keeps changing {} of {}: it is taken back at the interval only",
                        if manager.is_empty() {
                            "somebody"
                        } else {
                            manager
                        },
                        field.path,
                        drift.id
                    ));
                }
                unit.taken_back.push(own);
            }
        }
        (!told.is_empty()).then(|| format!("Drift detected in {}\n{}", owner.1, told.join("\n")))
    }

    /// Forgets an owner that is gone.
    pub fn forget(&self, owner: &Name) {
        self.units().remove(owner);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::words::tests::{drift, id},
        *,
    };

    fn owner() -> Name {
        ("ns".to_owned(), "app".to_owned())
    }

    #[test]
    fn third_time_in_a_row_is_left_to_the_interval() {
        let book = DriftBook::default();
        let drifts = [drift("/spec/replicas")];
        let taken = || book.taken_back(&owner(), Duration::from_mins(10), &drifts);
        assert_eq!(taken(), None);
        assert_eq!(taken(), None);
        let told = taken().unwrap();
        assert!(
            told.starts_with("Drift detected in app\nkubectl-scale keeps changing"),
            "{told}"
        );
        assert_eq!(taken(), None);
        assert!(!book.looks_at(&owner(), &id("web")));
        assert!(book.looks_at(&owner(), &id("other")));
    }
}
