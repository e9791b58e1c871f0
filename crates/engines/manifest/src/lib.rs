//! What Lockgate knows about Kubernetes objects without asking a cluster.
//!
//! Objects are plain `serde_json::Value` maps. The flow of an apply through these modules:
//! `substitute` (variables) → `metadata` (owner labels, common metadata) → `normalize` → `order`
//! (stages and sorting) → `managed_fields` and `ignore` (what to take over, what to leave alone) →
//! `diff` (is anything different) → `change_set` and `inventory` (what was done, what is owned) →
//! `health` (is it ready).

pub mod change_set;
pub mod diff;
pub mod health;
pub mod ignore;
pub mod inventory;
pub mod managed_fields;
pub mod metadata;
pub mod normalize;
pub mod object;
pub mod object_id;
pub mod order;
pub mod selector;
pub mod substitute;
pub mod unknown_fields;

pub use change_set::{Action, ChangeSet};
pub use inventory::Inventory;
pub use object::GroupVersionKind;
pub use object_id::ObjectId;
