//! References across namespaces.

/// Why a reference is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("can't access '{kind}/{namespace}/{name}', cross-namespace references have been blocked")]
pub struct Denied {
    kind: String,
    namespace: String,
    name: String,
}

/// Whether references may leave their namespace (`--no-cross-namespace-refs`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Access {
    /// True where they may not.
    pub no_cross_namespace: bool,
}

impl Access {
    /// Checks a reference from an object in namespace `from`.
    ///
    /// # Errors
    /// [`Denied`] where the reference leaves the namespace and must not.
    pub fn check(&self, from: &str, kind: &str, namespace: &str, name: &str) -> Result<(), Denied> {
        if self.no_cross_namespace && from != namespace {
            return Err(Denied {
                kind: kind.into(),
                namespace: namespace.into(),
                name: name.into(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_to_another_namespace_is_refused_only_when_asked() {
        let open = Access::default();
        assert_eq!(open.check("a", "GitRepository", "b", "x"), Ok(()));
        let closed = Access {
            no_cross_namespace: true,
        };
        assert_eq!(closed.check("a", "GitRepository", "a", "x"), Ok(()));
        assert_eq!(
            closed
                .check("a", "GitRepository", "b", "x")
                .unwrap_err()
                .to_string(),
            "can't access 'GitRepository/b/x', cross-namespace references have been blocked"
        );
    }
}
