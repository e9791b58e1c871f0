//! Pure rules that choose: which files of a source belong to its artifact.
//!
//! The shell lists the files of a source (a Git tree, a bucket, a directory), hands the text of each
//! `.sourceignore` to [`IgnoreRules`], and asks for every path whether it is left out.

mod glob;
pub mod ignore;

pub use ignore::{IGNORE_FILE, IgnoreRules};
