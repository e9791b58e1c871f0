//! What is sent next: a lane per Provider, so that one that is down holds up no other.
//!
//! A lane sends several notifications at once, but never two of one object. Once one cannot be
//! delivered, the lane pauses, longer each time, and tries one at a time until one goes through.
//! Pure: time comes in, decisions come out.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use super::spool::Id;

/// How far a lane looks for a notification of an object that is free.
const LOOK_AHEAD: usize = 64;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// After so many failures one notification lets others go before it: it may be at fault itself.
const STEP_BACK: u32 = 3;

/// A notification that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Its record.
    pub id: Id,
    /// A hash of the object that it is about.
    pub object: u64,
    /// Until when it is tried.
    pub deadline: Instant,
    /// How often it was tried.
    pub attempts: u32,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Pending>,
    busy: HashSet<u64>,
    failures: u32,
    resumes: Option<Instant>,
}

/// How an attempt ended that is worth another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Again {
    /// How long the service asks to be left alone.
    pub after: Option<Duration>,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this one, of this lane.
    Send(String, Pending),
    /// Give this one, of this lane, up: its time is over.
    GiveUp(String, Pending),
}

/// All lanes.
#[derive(Debug)]
pub struct Queue {
    lanes: BTreeMap<String, Lane>,
    per_lane: usize,
    in_all: usize,
    flying: usize,
}

impl Queue {
    /// Returns an empty queue that lets so many be sent at once, per lane and in all.
    #[must_use]
    pub fn new(per_lane: usize, in_all: usize) -> Self {
        Self {
            lanes: BTreeMap::new(),
            per_lane: per_lane.max(1),
            in_all: in_all.max(1),
            flying: 0,
        }
    }

    /// Adds a notification.
    pub fn push(&mut self, lane: &str, pending: Pending) {
        let lane = self.lanes.entry(lane.to_owned()).or_default();
        lane.waiting.push_back(pending);
    }

    /// Takes a notification out that waits.
    pub fn remove(&mut self, lane: &str, id: Id) {
        if let Some(lane) = self.lanes.get_mut(lane)
            && let Some(at) = lane.waiting.iter().position(|p| p.id == id)
        {
            lane.waiting.remove(at);
        }
    }

    /// Returns everything that can be done now.
    pub fn steps(&mut self, now: Instant) -> Vec<Step> {
        let mut steps = Vec::new();
        for (name, lane) in &mut self.lanes {
            // They came in the order of their deadlines, near enough.
            while lane.waiting.front().is_some_and(|p| p.deadline <= now) {
                let late = lane.waiting.pop_front();
                steps.extend(late.map(|pending| Step::GiveUp(name.clone(), pending)));
            }
            if lane.resumes.is_some_and(|at| at > now) {
                continue;
            }
            let limit = if lane.failures > 0 { 1 } else { self.per_lane };
            while lane.busy.len() < limit && self.flying < self.in_all {
                let free = |p: &Pending| !lane.busy.contains(&p.object);
                let next = lane.waiting.iter().take(LOOK_AHEAD).position(free);
                let Some(mut pending) = next.and_then(|at| lane.waiting.remove(at)) else {
                    break;
                };
                pending.attempts += 1;
                lane.busy.insert(pending.object);
                self.flying += 1;
                steps.push(Step::Send(name.clone(), pending));
            }
        }
        let empty = |lane: &Lane| lane.waiting.is_empty() && lane.busy.is_empty();
        self.lanes.retain(|_, lane| !empty(lane));
        steps
    }

    /// Returns when [`Queue::steps`] has something to do without anything having changed.
    #[must_use]
    pub fn wakes(&self) -> Option<Instant> {
        let lanes = self.lanes.values().filter(|l| !l.waiting.is_empty());
        lanes
            .flat_map(|lane| {
                let first = lane.waiting.front().map(|p| p.deadline);
                [first, lane.resumes]
            })
            .flatten()
            .min()
    }

    /// Says that a notification went through, or never will.
    pub fn finished(&mut self, lane: &str, pending: &Pending, delivered: bool) {
        self.flying = self.flying.saturating_sub(1);
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.busy.remove(&pending.object);
            if delivered {
                lane.failures = 0;
                lane.resumes = None;
            }
        }
    }

    /// Puts a notification back that could not be delivered. Returns how long the lane pauses.
    pub fn failed(&mut self, name: &str, pending: Pending, again: Again, now: Instant) -> Duration {
        self.flying = self.flying.saturating_sub(1);
        let lane = self.lanes.entry(name.to_owned()).or_default();
        lane.busy.remove(&pending.object);
        // Those sent at once fail at once: that is one failure of the service.
        if lane.resumes.is_none_or(|at| at <= now) {
            let pause = again.after.unwrap_or_else(|| pause(lane.failures));
            lane.failures = lane.failures.saturating_add(1);
            lane.resumes = Some(now + pause);
        }
        if pending.attempts.is_multiple_of(STEP_BACK) && lane.waiting.len() > 1 {
            let at = LOOK_AHEAD.min(lane.waiting.len());
            lane.waiting.insert(at, pending);
        } else {
            lane.waiting.push_front(pending);
        }
        let resumes = lane.resumes.unwrap_or(now);
        resumes.saturating_duration_since(now)
    }
}

/// 1 s, doubled at each failure, a minute at most, spread by a fifth.
fn pause(failures: u32) -> Duration {
    let full = FIRST_PAUSE.saturating_mul(1 << failures.min(10));
    full.min(LONGEST_PAUSE)
        .mul_f64(rand::random_range(0.8..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(id: Id, object: u64, now: Instant) -> Pending {
        Pending {
            id,
            object,
            deadline: now + Duration::from_mins(10),
            attempts: 0,
        }
    }

    fn sent(steps: &[Step]) -> Vec<Id> {
        let id = |step: &Step| match step {
            Step::Send(_, pending) => Some(pending.id),
            Step::GiveUp(..) => None,
        };
        steps.iter().filter_map(id).collect()
    }

    fn take(steps: Vec<Step>) -> (String, Pending) {
        match steps.into_iter().next() {
            Some(Step::Send(lane, pending)) => (lane, pending),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_object_is_told_of_one_thing_at_a_time_and_in_order() {
        let now = Instant::now();
        let mut queue = Queue::new(8, 100);
        for (id, object) in [(1, 7), (2, 7), (3, 8)] {
            queue.push("a", pending(id, object, now));
        }
        let steps = queue.steps(now);
        assert_eq!(sent(&steps), [1, 3]);
        assert!(queue.steps(now).is_empty());
        let (lane, first) = take(steps);
        queue.finished(&lane, &first, true);
        assert_eq!(sent(&queue.steps(now)), [2]);
    }

    #[test]
    fn lane_that_fails_pauses_probes_and_goes_on_while_others_are_sent() {
        let now = Instant::now();
        let mut queue = Queue::new(2, 100);
        for id in 1..=4 {
            queue.push("down", pending(id, id, now));
        }
        let steps = queue.steps(now);
        assert_eq!(sent(&steps), [1, 2]);
        for step in steps {
            let Step::Send(lane, pending) = step else {
                panic!("given up");
            };
            let pause = queue.failed(&lane, pending, Again::default(), now);
            assert!(pause <= FIRST_PAUSE, "{pause:?}");
        }
        queue.push("up", pending(9, 9, now));
        assert_eq!(sent(&queue.steps(now)), [9]);
        let later = queue.wakes().unwrap();
        assert!(later > now && later <= now + FIRST_PAUSE);
        let probe = queue.steps(later);
        assert_eq!(probe.len(), 1, "one at a time");
        let (lane, probe) = take(probe);
        queue.finished(&lane, &probe, true);
        assert_eq!(queue.steps(later).len(), 2, "all at once again");
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_the_service_may_ask_for_more() {
        let mut now = Instant::now();
        let mut queue = Queue::new(1, 1);
        queue.push("a", pending(1, 1, now));
        let mut last = Duration::ZERO;
        for _ in 0..9 {
            let (lane, pending) = take(queue.steps(now));
            last = queue.failed(&lane, pending, Again::default(), now);
            now += last;
        }
        assert!(
            last > Duration::from_secs(47) && last <= LONGEST_PAUSE,
            "{last:?}"
        );
        let (lane, pending) = take(queue.steps(now));
        let asked = Duration::from_mins(3);
        let again = Again { after: Some(asked) };
        assert_eq!(queue.failed(&lane, pending, again, now), asked);
    }

    #[test]
    fn what_waited_too_long_is_given_up_even_where_the_lane_pauses() {
        let now = Instant::now();
        let mut queue = Queue::new(1, 100);
        queue.push("a", pending(1, 1, now));
        queue.push("a", pending(2, 2, now + Duration::from_secs(5)));
        let (lane, first) = take(queue.steps(now));
        let again = Again {
            after: Some(Duration::from_hours(1)),
        };
        queue.failed(&lane, first, again, now);
        let late = queue.wakes().unwrap();
        assert_eq!(late, now + Duration::from_mins(10));
        let steps = queue.steps(late);
        assert!(
            matches!(&steps[..], [Step::GiveUp(_, p)] if p.id == 1),
            "{steps:?}"
        );
    }

    #[test]
    fn one_that_fails_again_and_again_lets_others_go_first() {
        let mut now = Instant::now();
        let mut queue = Queue::new(1, 100);
        for id in 1..=3 {
            queue.push("a", pending(id, id, now));
        }
        let mut tried = Vec::new();
        for _ in 0..4 {
            let (lane, pending) = take(queue.steps(now));
            tried.push(pending.id);
            now += queue.failed(&lane, pending, Again::default(), now);
        }
        assert_eq!(tried, [1, 1, 1, 2]);
    }
}
