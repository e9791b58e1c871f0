//! How much of the stored packs lies in memory at once. Source: `GIT_OPT_SET_MWINDOW_*` of libgit2 1.9, `include/git2/common.h`.

use std::sync::Once;

/// Bytes of one piece of a pack.
const WINDOW: usize = 2 << 20;
/// Bytes of all pieces of all packs. Left alone it is 8 GiB, so that the memory of a process grows with the largest
/// repository that it has seen.
const MAPPED: usize = 32 << 20;

static BOUND: Once = Once::new();

/// Bounds what is mapped of packs, for the whole process. For the begin of `main`: before there are threads, and before
/// anything of a repository is read.
#[expect(unsafe_code, reason = "libgit2's options have no safe interface")]
pub fn bound_windows() {
    BOUND.call_once(|| {
        // SAFETY: each writes one number of libgit2's, which is not read before a pack is opened; nothing has been opened
        // yet, and `Once` lets nobody else write.
        let done = unsafe {
            git2::opts::set_mwindow_size(WINDOW)
                .and_then(|()| git2::opts::set_mwindow_mapped_limit(MAPPED))
        };
        // Only a libgit2 that does not know the options refuses them: packs are then mapped as they were without them.
        done.ok();
    });
}
