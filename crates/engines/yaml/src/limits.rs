//! Budgets that bound what one parse may cost.

/// The budgets of one parse.
///
/// Memory is bounded by about 100 bytes a node plus the text itself. The defaults fit any file a
/// Kubernetes repository holds; a caller that reads less trusted input sets them lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest input, in bytes.
    pub max_bytes: usize,
    /// Deepest nesting of collections. Go's reader stops at 10,000; the default is lower so that
    /// code which walks the tree recursively is safe on small stacks.
    pub max_depth: usize,
    /// Most nodes of one parse, keys and expanded aliases included.
    pub max_nodes: usize,
}

impl Limits {
    /// The deepest nesting Go's reader accepts, and the most this crate is tested with.
    pub const GO_MAX_DEPTH: usize = 10_000;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 32 << 20,
            max_depth: 512,
            max_nodes: 2_000_000,
        }
    }
}
