//! Buckets: what is in them, and single objects. Every listing and answer is bounded.

mod s3;
mod xml;

pub use s3::{Error, Found, Object, S3, Settings};
