//! Room for deep expressions: parser and evaluator call themselves once for each level.

/// How many marks an expression may have to be handled on the caller's own stack.
const SHALLOW: usize = 48;
/// The stack for deeper ones, in bytes; only what is used of it becomes memory.
const DEEP_STACK: usize = 128 << 20;

/// Runs `work` where an expression with this many marks has room enough. None where there is none.
pub(crate) fn with_room<T: Send>(marks: usize, work: impl FnOnce() -> T + Send) -> Option<T> {
    if marks <= SHALLOW {
        return Some(work());
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(DEEP_STACK);
        thread.spawn_scoped(scope, work).ok()?.join().ok()
    })
}
