//! Gives freed memory back to the system: glibc keeps what a big run used, for ever.
//!
//! Threads share two arenas. Of twenty releases that are installed side by side each renders on a thread of its own, and
//! what is free in the arena of one is of no use to another.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// How often it is looked at most.
const PAUSE: Duration = Duration::from_secs(2);
/// By how much the process has to have grown since the last time. Less is not worth a walk through the heap: the next run asks
/// for the same pages again.
const WORTH_BYTES: u64 = 256 << 10;
/// After this long it is done without having grown: kernels tell what a process holds by and by.
const LONG: Duration = Duration::from_mins(10);

static LAST: Mutex<Last> = Mutex::new(Last {
    looked: None,
    trimmed: None,
});
static PLANNED: AtomicBool = AtomicBool::new(false);

/// When it was looked at last, and when memory was given back last, with how much the process held then.
struct Last {
    looked: Option<Instant>,
    trimmed: Option<(Instant, u64)>,
}

impl Last {
    /// Whether giving back is worth it, for a process that holds so much.
    fn is_outdated(&self, now: Instant, held: Option<u64>) -> bool {
        let Some((at, after)) = self.trimmed else {
            return true;
        };
        let grown = held.is_none_or(|held| held >= after.saturating_add(WORTH_BYTES));
        grown || now.duration_since(at) >= LONG
    }
}

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

/// Gives freed memory back where there is much of it: now, or once after the pause since the last time. Cheap to call after
/// every run.
pub fn tidy() {
    if PLANNED.swap(true, Ordering::AcqRel) {
        return;
    }
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        PLANNED.store(false, Ordering::Release);
        return;
    };
    let looked = last().looked;
    let wait = looked.map_or(Duration::ZERO, |at| PAUSE.saturating_sub(at.elapsed()));
    runtime.spawn(async move {
        tokio::time::sleep(wait).await;
        PLANNED.store(false, Ordering::Release);
        let now = Instant::now();
        last().looked = Some(now);
        if last().is_outdated(now, held()) {
            trim();
            last().trimmed = held().map(|held| (now, held));
        }
    });
}

fn last() -> MutexGuard<'static, Last> {
    LAST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns how many bytes of memory the process holds; none where the system does not say.
fn held() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    // What a page is elsewhere is a multiple: more is trimmed for it, not less.
    Some(pages * 4096)
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
        // Small enough to come from the heap, and the last one keeps the heap's end in use.
        let mut pieces: Vec<_> = (0..PIECES).map(|_| vec![1_u8; 50_000]).collect();
        let last = pieces.pop();
        drop(pieces);
        let before = held().unwrap();
        trim();
        let given_back = before.saturating_sub(held().unwrap());
        assert!(given_back > 50_000 * PIECES as u64 / 2, "{given_back}");
        drop(last);
    }

    #[tokio::test(start_paused = true)]
    async fn many_calls_make_one_look_a_pause() {
        for _ in 0..100 {
            tidy();
        }
        assert!(PLANNED.load(Ordering::Acquire));
        tokio::time::sleep(PAUSE).await;
        assert!(!PLANNED.load(Ordering::Acquire));
        assert!(last().looked.is_some());
    }

    #[test]
    fn memory_is_given_back_where_there_is_more_or_after_long() {
        let now = Instant::now();
        let never = Last {
            looked: None,
            trimmed: None,
        };
        assert!(never.is_outdated(now, Some(0)));
        let last = Last {
            looked: None,
            trimmed: Some((now, 10 << 20)),
        };
        let soon = now + Duration::from_secs(3);
        assert!(!last.is_outdated(soon, Some((10 << 20) + WORTH_BYTES - 1)));
        assert!(
            !last.is_outdated(soon, Some(1)),
            "somebody else gave it back"
        );
        assert!(last.is_outdated(soon, Some((10 << 20) + WORTH_BYTES)));
        assert!(last.is_outdated(soon, None));
        assert!(last.is_outdated(now + LONG, Some(10 << 20)));
    }
}
