//! What is done about the state of a release. Pure.

use std::collections::BTreeSet;

use super::spec::Remedy;

/// The state of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// There is none.
    Absent,
    /// An action was left half-done.
    Locked,
    /// Its uninstallation was left half-done.
    Leaving,
    /// There is one that this object did not make, or not like this.
    Unmanaged(&'static str),
    /// It belongs to another HelmRelease, named here.
    Taken(String),
    /// It is not what it should be.
    OutOfSync(&'static str),
    /// Objects of it were changed.
    Drifted,
    /// Its tests have not been run.
    Untested,
    /// It failed.
    Failed,
    /// It is as it should be.
    InSync,
}

/// What decides besides the state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// What is done about failures of the action tried last.
    pub remedy: Option<Remedy>,
    /// What is done about failed installations.
    pub install: Remedy,
    /// What is done about failed upgrades.
    pub upgrade: Remedy,
    /// Failures are tried again rather than undone.
    pub retries: bool,
    /// An upgrade was asked for.
    pub forced: bool,
    /// Changed objects are put right.
    pub corrects: bool,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing.
    Done,
    /// It is unlocked.
    Unlock,
    /// It is installed.
    Install,
    /// It is upgraded.
    Upgrade,
    /// What was remembered of others is forgotten, and it is upgraded.
    Adopt,
    /// Its objects are put right.
    Correct,
    /// Its tests are run.
    Test,
    /// It is rolled back.
    RollBack,
    /// It is uninstalled, to be installed again.
    Uninstall,
    /// No try is left.
    Exhausted,
}

/// Decides.
pub(super) fn decide(state: &State, facts: Facts) -> Next {
    let exhausted = |remedy: Remedy| remedy.is_exhausted() && !facts.forced && !facts.retries;
    match state {
        State::Absent if exhausted(facts.install) => Next::Exhausted,
        State::Absent => Next::Install,
        State::Locked => Next::Unlock,
        State::Leaving => Next::Uninstall,
        State::Unmanaged(_) => Next::Adopt,
        State::OutOfSync(_) if exhausted(facts.upgrade) => Next::Exhausted,
        State::OutOfSync(_) => Next::Upgrade,
        State::Drifted if facts.corrects => Next::Correct,
        State::Untested => Next::Test,
        State::InSync if facts.forced => Next::Upgrade,
        State::Drifted | State::InSync | State::Taken(_) => Next::Done,
        State::Failed => failed(facts),
    }
}

fn failed(facts: Facts) -> Next {
    let Some(remedy) = facts.remedy else {
        return Next::Upgrade;
    };
    if facts.retries || facts.forced || remedy.failures <= 0 {
        return Next::Upgrade;
    }
    if remedy.is_exhausted() && !remedy.last {
        return Next::Exhausted;
    }
    if remedy.uninstall {
        Next::Uninstall
    } else {
        Next::RollBack
    }
}

/// Actions that may be carried out once in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Installations and upgrades.
    Release,
    /// What undoes failures.
    Remedy,
    /// Tests.
    Test,
    /// Unlocking.
    Unlock,
    /// Putting objects right.
    Correction,
}

/// The actions that a run has carried out so far.
#[derive(Debug, Default)]
pub(super) struct Rounds(BTreeSet<Class>);

impl Rounds {
    /// Whether an action of a class may follow: each class has one.
    pub(super) fn admit(&self, class: Class) -> bool {
        !self.0.contains(&class)
    }

    /// Remembers an action. Returns whether another may follow: nothing follows what undoes a failure.
    pub(super) fn go_on_after(&mut self, class: Class) -> bool {
        self.0.insert(class);
        class != Class::Remedy
    }
}

impl Next {
    /// Returns the class and the name of an action; none for what is none.
    pub(super) fn action(self) -> Option<(Class, &'static str)> {
        Some(match self {
            Self::Done | Self::Exhausted => return None,
            Self::Unlock => (Class::Unlock, "unlock"),
            Self::Install => (Class::Release, "install"),
            Self::Upgrade | Self::Adopt => (Class::Release, "upgrade"),
            Self::Correct => (Class::Correction, "correct cluster drift"),
            Self::Test => (Class::Test, "test"),
            Self::RollBack => (Class::Remedy, "rollback"),
            Self::Uninstall => (Class::Remedy, "uninstall"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REMEDY: Remedy = Remedy {
        retries: 0,
        ignore_tests: false,
        last: false,
        uninstall: false,
        failures: 0,
    };

    fn facts() -> Facts {
        Facts {
            remedy: None,
            install: REMEDY,
            upgrade: REMEDY,
            retries: false,
            forced: false,
            corrects: false,
        }
    }

    const EXHAUSTED: Remedy = Remedy {
        failures: 1,
        ..REMEDY
    };

    /// covers: HC-001, HC-002, HC-003, HC-004, HC-005
    #[test]
    fn each_class_of_actions_has_one_turn_and_a_remedy_is_the_last() {
        let all = [
            Class::Release,
            Class::Remedy,
            Class::Test,
            Class::Unlock,
            Class::Correction,
        ];
        for class in all {
            let mut rounds = Rounds::default();
            assert!(all.iter().all(|c| rounds.admit(*c)), "nothing was done yet");
            assert_eq!(rounds.go_on_after(class), class != Class::Remedy);
            for other in all {
                assert_eq!(
                    rounds.admit(other),
                    other != class,
                    "{other:?} after {class:?}"
                );
            }
        }
    }

    /// covers: HC-041, HC-042, HC-046, HC-047, HC-050, HC-051, HC-052, HC-053, HC-056
    #[test]
    fn each_state_has_its_action() {
        let plain = facts();
        for (state, next) in [
            (State::InSync, Next::Done),
            (State::Locked, Next::Unlock),
            (State::Leaving, Next::Uninstall),
            (State::Absent, Next::Install),
            (State::Unmanaged(""), Next::Adopt),
            (State::Drifted, Next::Done),
            (State::OutOfSync(""), Next::Upgrade),
            (State::Untested, Next::Test),
        ] {
            assert_eq!(decide(&state, plain), next, "{state:?}");
        }
        let corrects = Facts {
            corrects: true,
            ..plain
        };
        assert_eq!(decide(&State::Drifted, corrects), Next::Correct);
        let forced = Facts {
            forced: true,
            ..plain
        };
        assert_eq!(decide(&State::InSync, forced), Next::Upgrade);
    }

    /// covers: HC-048, HC-049, HC-054, HC-055
    #[test]
    fn nothing_is_tried_again_without_retries_unless_forced() {
        let spent = Facts {
            install: EXHAUSTED,
            upgrade: EXHAUSTED,
            ..facts()
        };
        for (state, next) in [
            (State::Absent, Next::Install),
            (State::OutOfSync(""), Next::Upgrade),
        ] {
            assert_eq!(decide(&state, spent), Next::Exhausted);
            assert_eq!(
                decide(
                    &state,
                    Facts {
                        forced: true,
                        ..spent
                    }
                ),
                next
            );
            assert_eq!(
                decide(
                    &state,
                    Facts {
                        retries: true,
                        ..spent
                    }
                ),
                next
            );
        }
    }

    /// covers: HC-058, HC-059, HC-060, HC-061, HC-062, HC-063, HC-064, HC-065
    #[test]
    fn failed_release_is_remedied_as_its_strategy_says() {
        let with = |remedy| Facts {
            remedy: Some(remedy),
            ..facts()
        };
        let failed = |facts| decide(&State::Failed, facts);
        assert_eq!(failed(facts()), Next::Upgrade);
        assert_eq!(failed(with(REMEDY)), Next::Upgrade);
        assert_eq!(failed(with(EXHAUSTED)), Next::Exhausted);
        assert_eq!(
            failed(Facts {
                forced: true,
                ..with(EXHAUSTED)
            }),
            Next::Upgrade
        );
        assert_eq!(
            failed(Facts {
                retries: true,
                ..with(EXHAUSTED)
            }),
            Next::Upgrade
        );
        let again = Remedy {
            retries: 1,
            ..EXHAUSTED
        };
        assert_eq!(failed(with(again)), Next::RollBack);
        assert_eq!(
            failed(with(Remedy {
                uninstall: true,
                ..again
            })),
            Next::Uninstall
        );
        let last = Remedy {
            last: true,
            ..EXHAUSTED
        };
        assert_eq!(failed(with(last)), Next::RollBack);
    }
}
