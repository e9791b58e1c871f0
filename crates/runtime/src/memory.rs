//! Gives freed memory back to the system: glibc keeps what a big run used, for ever.
//!
//! Threads share two arenas. Of twenty releases that are installed side by side each renders on a thread of its own, and
//! what is free in the arena of one is of no use to another.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// How often at most.
const PAUSE: Duration = Duration::from_secs(2);

static LAST: Mutex<Option<Instant>> = Mutex::new(None);
static PLANNED: AtomicBool = AtomicBool::new(false);

/// Lets threads share arenas; before there are any.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "glibc's allocator has no safe interface")]
pub(crate) fn share_arenas() {
    const ARENAS: libc::c_int = 2;
    // SAFETY: mallopt takes no pointer; with an option or a value that it does not know it does nothing.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}

#[cfg(not(target_env = "gnu"))]
pub(crate) fn share_arenas() {}

/// Gives freed memory back: now, or once after the pause since the last time. Cheap to call after
/// every run.
pub fn tidy() {
    let wait = {
        let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        last.map_or(Duration::ZERO, |at| PAUSE.saturating_sub(at.elapsed()))
    };
    if PLANNED.swap(true, Ordering::AcqRel) {
        return;
    }
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        PLANNED.store(false, Ordering::Release);
        return;
    };
    runtime.spawn(async move {
        tokio::time::sleep(wait).await;
        PLANNED.store(false, Ordering::Release);
        *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        trim();
    });
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "glibc's allocator has no safe interface")]
fn trim() {
    // SAFETY: malloc_trim takes no pointer and locks the allocator itself.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(not(target_env = "gnu"))]
fn trim() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_env = "gnu")]
    #[test]
    fn trim_gives_back_what_lies_below_memory_in_use() {
        const PIECES: usize = 2000;
        let resident = || -> usize {
            let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
            statm.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        // Small enough to come from the heap, and the last one keeps the heap's end in use.
        let mut pieces: Vec<_> = (0..PIECES).map(|_| vec![1_u8; 50_000]).collect();
        let last = pieces.pop();
        drop(pieces);
        let before = resident();
        trim();
        let given_back = before.saturating_sub(resident()) * 4096;
        assert!(given_back > 50_000 * PIECES / 2, "{given_back}");
        drop(last);
    }

    #[tokio::test(start_paused = true)]
    async fn many_calls_make_one_trim_a_pause() {
        for _ in 0..100 {
            tidy();
        }
        assert!(PLANNED.load(Ordering::Acquire));
        tokio::time::sleep(PAUSE).await;
        assert!(!PLANNED.load(Ordering::Acquire));
        assert!(LAST.lock().unwrap().is_some());
    }
}
