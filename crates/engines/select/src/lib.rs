//! Pure rules that choose: which commit of a repository, and which of its files belong to the artifact.
//!
//! The shell lists what a source offers (references, files, the text of each `.sourceignore`); [`reference`] picks the
//! commit, and [`IgnoreRules`] says of every path whether it is left out.

mod glob;
pub mod ignore;
pub mod reference;

pub use ignore::{IGNORE_FILE, IgnoreRules};
