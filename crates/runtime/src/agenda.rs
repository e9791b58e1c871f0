//! What is run when: each object at the earliest time that was asked for, and never twice at once.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    future::poll_fn,
    hash::Hash,
    task::Poll,
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::time::{DelayQueue, delay_queue::Key};

/// The longest wait: queues of timers have an end.
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// The times at which runs begin. What it does for one object does not depend on how many others wait or run.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    /// What may begin, in the order in which it was asked for.
    due: VecDeque<T>,
    later: DelayQueue<T>,
    states: HashMap<T, State>,
}

#[derive(Debug)]
enum State {
    /// It is in `due`.
    Due,
    /// It is in `later`.
    Later { at: Instant, key: Key },
    /// It goes on, and is run once more from then on if that was asked for meanwhile.
    Running { again: Option<Instant> },
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self {
            due: VecDeque::new(),
            later: DelayQueue::new(),
            states: HashMap::new(),
        }
    }
}

impl<T: Clone + Eq + Hash> Agenda<T> {
    /// Asks for a run from `at` on. Of several times the earliest counts; while one goes on, the next one waits for its end.
    pub(crate) fn ask(&mut self, object: T, at: Instant) {
        let now = Instant::now();
        let at = at.min(now + LONGEST);
        match self.states.entry(object) {
            Entry::Vacant(entry) => {
                let object = entry.key().clone();
                if at <= now {
                    self.due.push_back(object);
                    entry.insert(State::Due);
                } else {
                    let key = self.later.insert_at(object, at);
                    entry.insert(State::Later { at, key });
                }
            }
            Entry::Occupied(mut entry) => match entry.get_mut() {
                State::Later { at: before, key } if at < *before && at > now => {
                    self.later.reset_at(key, at);
                    *before = at;
                }
                State::Later { at: before, key } if at < *before => {
                    self.later.remove(key);
                    self.due.push_back(entry.key().clone());
                    entry.insert(State::Due);
                }
                State::Due | State::Later { .. } => {}
                State::Running { again } => {
                    *again = Some(again.map_or(at, |before| before.min(at)));
                }
            },
        }
    }

    /// Waits for the next object that is due. It counts as running until [`Agenda::ended`]. Nothing is lost where the wait
    /// is given up; what is asked for meanwhile is found by the next one.
    pub(crate) async fn next(&mut self) -> T {
        poll_fn(|context| {
            while let Poll::Ready(Some(expired)) = self.later.poll_expired(context) {
                let object = expired.into_inner();
                self.states.insert(object.clone(), State::Due);
                self.due.push_back(object);
            }
            let Some(object) = self.due.pop_front() else {
                return Poll::Pending;
            };
            let running = State::Running { again: None };
            self.states.insert(object.clone(), running);
            Poll::Ready(object)
        })
        .await
    }

    /// Takes note that a run ended; the next one is due `again`, or when it is asked for.
    pub(crate) fn ended(&mut self, object: T, again: Option<Instant>) {
        let asked = match self.states.remove(&object) {
            Some(State::Running { again }) => again,
            _ => None,
        };
        if let Some(at) = asked.into_iter().chain(again).min() {
            self.ask(object, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(number: u64) -> Instant {
        Instant::now() + Duration::from_secs(number)
    }

    /// What is due at once, in its order.
    async fn at_once(agenda: &mut Agenda<&'static str>) -> Vec<&'static str> {
        let mut found = Vec::new();
        while let Ok(next) = tokio::time::timeout(Duration::ZERO, agenda.next()).await {
            found.push(next);
        }
        found
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_first_begins_first_and_only_once() {
        let mut agenda = Agenda::default();
        for name in ["c", "a", "b", "a", "c"] {
            agenda.ask(name, Instant::now());
        }
        assert_eq!(at_once(&mut agenda).await, ["c", "a", "b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn earliest_time_counts() {
        let mut agenda = Agenda::default();
        let began = Instant::now();
        agenda.ask("sooner", seconds(60));
        agenda.ask("sooner", seconds(20));
        agenda.ask("not later", seconds(10));
        agenda.ask("not later", seconds(90));
        agenda.ask("now", seconds(3600));
        agenda.ask("now", Instant::now());
        assert_eq!(agenda.next().await, "now");
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(agenda.next().await, "not later");
        assert_eq!(began.elapsed().as_secs(), 10);
        assert_eq!(agenda.next().await, "sooner");
        assert_eq!(began.elapsed().as_secs(), 20);
        tokio::time::advance(Duration::from_hours(2)).await;
        assert!(at_once(&mut agenda).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn run_that_goes_on_is_followed_by_one_that_was_asked_for_meanwhile() {
        let mut agenda = Agenda::default();
        agenda.ask("a", Instant::now());
        assert_eq!(agenda.next().await, "a");
        agenda.ask("a", seconds(30));
        agenda.ask("a", Instant::now());
        assert!(at_once(&mut agenda).await.is_empty(), "it goes on");
        agenda.ended("a", Some(seconds(60)));
        assert_eq!(at_once(&mut agenda).await, ["a"]);
        agenda.ended("a", None);
        assert!(agenda.states.is_empty(), "nothing is kept of it");
    }

    #[tokio::test(start_paused = true)]
    async fn run_that_ended_is_due_at_the_earlier_of_its_own_time_and_the_one_asked_for() {
        for (asked, own, due) in [(30, 60, 30), (60, 30, 30)] {
            let mut agenda = Agenda::default();
            agenda.ask("a", Instant::now());
            agenda.next().await;
            agenda.ask("a", seconds(asked));
            agenda.ended("a", Some(seconds(own)));
            let began = Instant::now();
            assert_eq!(agenda.next().await, "a");
            assert_eq!(began.elapsed().as_secs(), due);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn wait_that_is_given_up_loses_nothing() {
        let mut agenda = Agenda::default();
        agenda.ask("a", seconds(5));
        let short = Duration::from_secs(1);
        assert!(tokio::time::timeout(short, agenda.next()).await.is_err());
        agenda.ask("b", seconds(1));
        assert_eq!(agenda.next().await, "b");
        assert_eq!(agenda.next().await, "a");
    }

    #[tokio::test(start_paused = true)]
    async fn interval_of_centuries_is_no_panic() {
        let mut agenda = Agenda::default();
        agenda.ask(
            "a",
            Instant::now() + Duration::from_secs(u64::from(u32::MAX) * 10),
        );
        assert!(at_once(&mut agenda).await.is_empty());
    }
}
