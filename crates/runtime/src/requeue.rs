//! When an object is reconciled again.

use std::{collections::HashMap, hash::Hash, sync::Mutex, time::Duration};

/// Spreads a delay by up to this many per cent in both directions.
#[derive(Clone, Copy, Debug)]
pub struct Jitter {
    per_cent: u8,
}

impl Jitter {
    /// Creates a jitter of 0 to 99 per cent.
    #[must_use]
    pub fn new(per_cent: u8) -> Self {
        Self {
            per_cent: per_cent.min(99),
        }
    }

    /// Returns the delay times `1 ± random × per cent`; `random` lies in -1.0..=1.0.
    #[must_use]
    pub fn spread(self, delay: Duration, random: f64) -> Duration {
        delay.mul_f64(1.0 + random.clamp(-1.0, 1.0) * f64::from(self.per_cent) / 100.0)
    }

    /// Returns the delay, spread by chance.
    #[must_use]
    pub fn apply(self, delay: Duration) -> Duration {
        self.spread(delay, rand::random_range(-1.0..=1.0))
    }
}

/// Doubling delays per object, from `min` to `max`.
#[derive(Debug)]
pub struct Backoff<Key> {
    min: Duration,
    max: Duration,
    failures: Mutex<HashMap<Key, u32>>,
}

impl<Key: Hash + Eq> Backoff<Key> {
    /// Creates a backoff.
    #[must_use]
    pub fn new(min: Duration, max: Duration) -> Self {
        Self {
            min,
            max,
            failures: Mutex::default(),
        }
    }

    /// Counts a failure and returns the delay after it.
    pub fn next(&self, key: Key) -> Duration {
        let mut failures = self
            .failures
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let count = failures.entry(key).or_insert(0);
        let delay = self
            .min
            .saturating_mul(1_u32.checked_shl(*count).unwrap_or(u32::MAX))
            .min(self.max);
        *count = count.saturating_add(1).min(31);
        delay
    }

    /// Forgets an object's failures.
    pub fn reset(&self, key: &Key) {
        let mut failures = self
            .failures
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        failures.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_limit_and_resets() {
        let backoff = Backoff::new(Duration::from_millis(750), Duration::from_mins(15));
        let delays: Vec<_> = (0..12).map(|_| backoff.next("a").as_millis()).collect();
        assert_eq!(&delays[..4], [750, 1500, 3000, 6000]);
        assert_eq!(delays[11], 900_000);
        assert_eq!(backoff.next("b").as_millis(), 750);
        backoff.reset(&"a");
        assert_eq!(backoff.next("a").as_millis(), 750);
    }

    #[test]
    fn jitter_stays_within_its_share() {
        let jitter = Jitter::new(5);
        assert_eq!(
            jitter.spread(Duration::from_secs(100), 1.0),
            Duration::from_secs(105)
        );
        assert_eq!(
            jitter.spread(Duration::from_secs(100), -1.0),
            Duration::from_secs(95)
        );
        assert_eq!(
            Jitter::new(0).apply(Duration::from_secs(7)),
            Duration::from_secs(7)
        );
    }
}
