//! Pure work over many items, spread over threads.

use std::iter;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Less text than this is read sooner than a thread is started.
pub(crate) const LEAST_BYTES: usize = 64 << 10;

/// Fewer items than this a thread are changed sooner than one is started.
const LEAST_ITEMS: usize = 64;

/// Applies a function to every item, on so many threads at most; gives the results in the order of
/// the items, so that nobody sees how many threads there were.
pub(crate) fn map<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let threads = threads.min(items.len());
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    share(threads, || {
        let at = next.fetch_add(1, Ordering::Relaxed);
        items.get(at).map(|item| (at, work(item)))
    })
}

/// Changes every item, on so many threads at most where there are many; gives the results in the order of the items.
pub(crate) fn change<T: Send, R: Send>(
    items: &mut [T],
    threads: usize,
    work: impl Fn(&mut T) -> R + Sync,
) -> Vec<R> {
    /// So many items are taken at once.
    const RUN: usize = 16;
    let threads = threads.min(items.len() / LEAST_ITEMS);
    if threads < 2 {
        return items.iter_mut().map(work).collect();
    }
    let runs = Mutex::new(items.chunks_mut(RUN).enumerate());
    let next = || runs.lock().unwrap_or_else(PoisonError::into_inner).next();
    let changed = share(threads, || {
        let (at, run) = next()?;
        Some((at, run.iter_mut().map(&work).collect::<Vec<R>>()))
    });
    changed.into_iter().flatten().collect()
}

/// Does pieces of work on so many threads until there are none; gives the results by their numbers.
fn share<R: Send>(threads: usize, next: impl Fn() -> Option<(usize, R)> + Sync) -> Vec<R> {
    let run = || iter::from_fn(&next).collect::<Vec<_>>();
    let mut all = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mut all = run();
        for other in others {
            match other.join() {
                Ok(done) => all.extend(done),
                Err(panic) => resume_unwind(panic),
            }
        }
        all
    });
    all.sort_unstable_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for (count, threads) in [(0, 4), (1, 4), (100, 0), (100, 1), (1000, 3), (3, 8)] {
            let items: Vec<usize> = (0..count).collect();
            let doubled: Vec<usize> = items.iter().map(|item| item * 2).collect();
            assert_eq!(map(&items, threads, |item| item * 2), doubled);
            let mut changed = items.clone();
            let before = change(&mut changed, threads, |item| {
                *item *= 2;
                *item / 2
            });
            assert_eq!((before, changed), (items, doubled));
        }
    }
}
