//! Gives freed memory back to the system: glibc keeps what a big run used, for ever.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// How often at most.
const PAUSE: Duration = Duration::from_secs(10);

static LAST: Mutex<Option<Instant>> = Mutex::new(None);
static PLANNED: AtomicBool = AtomicBool::new(false);

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

/// Settles how the allocator works; to be called before any thread is started.
pub fn settle() {
    limit_arenas();
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "glibc's allocator has no safe interface")]
fn trim() {
    // SAFETY: malloc_trim takes no pointer and locks the allocator itself.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "glibc's allocator has no safe interface")]
fn limit_arenas() {
    // An arena per thread keeps as much again of freed memory; few threads gain nothing from it.
    // SAFETY: mallopt takes no pointer; no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

#[cfg(not(target_env = "gnu"))]
fn trim() {}

#[cfg(not(target_env = "gnu"))]
fn limit_arenas() {}

#[cfg(test)]
mod tests {
    use super::*;

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
