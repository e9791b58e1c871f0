//! Repositories of charts: the entries of an index, and which version is meant.
//!
//! [`Splitter`] cuts an index into pieces that are read one by one, [`ChartVersion`] is such a piece, [`choose`] finds
//! the version that a range asks for.

mod choose;
mod entry;
mod split;

pub use choose::{Candidate, ChooseError, choose, choose_tag};
pub use entry::ChartVersion;
pub use split::{Piece, SplitError, Splitter};
