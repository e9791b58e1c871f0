//! Changes that others make to applied objects: watched, told, and left alone where somebody insists.
//!
//! [`follow`] watches the kinds that [`Owners`] name, which [`OwnedKinds`] knows from their inventories, and says whose
//! object was changed; [`DriftBook`] remembers who
//! changes the same field again and again; [`field_words`] words one change.

mod book;
mod follow;
mod kinds;
mod words;

pub use book::DriftBook;
pub use follow::{Followed, Kind, Owners, follow};
pub use kinds::{Kinds, OwnedKinds, kinds_of};
pub use words::field_words;

/// The namespace and the name of an owner.
pub type Name = (String, String);

/// The most fields that are told of one object.
pub const MAX_FIELDS: usize = 20;
