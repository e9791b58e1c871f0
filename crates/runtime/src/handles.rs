//! How many files and connections the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit to what the process may have. Container runtimes start with 1,024 for programs that keep handles in bit
/// sets, and a higher bound for all others; Go's programs raise it themselves.
///
/// Source: Go 1.19 `os` (`rlimit.go`).
pub(crate) fn allow_all() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_the_system_allows_may_be_open() {
        let before = getrlimit(Resource::Nofile);
        let lowered = Rlimit {
            current: before.maximum.map(|most| most / 2),
            maximum: before.maximum,
        };
        setrlimit(Resource::Nofile, lowered).unwrap();
        allow_all();
        let after = getrlimit(Resource::Nofile);
        assert_eq!(after.current, before.maximum);
    }
}
