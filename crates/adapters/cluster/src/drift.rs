//! Changes that others make to applied objects: watched, told, and left alone where somebody insists.
//!
//! [`follow`] watches the kinds that [`Owners`] name and says whose object was changed; [`DriftBook`] remembers who
//! changes the same field again and again; [`field_words`] words one change.

mod book;
mod follow;
mod words;

pub use book::DriftBook;
pub use follow::{Followed, Kind, Owners, follow};
pub use words::field_words;

/// The namespace and the name of an owner.
pub type Name = (String, String);

/// The most fields that are told of one object.
pub const MAX_FIELDS: usize = 20;
