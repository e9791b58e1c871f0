//! What clouds want to see in a request.

pub mod aws;
pub mod form;
pub mod service_account;
pub mod shared_key;
