//! What clouds want to see in a request.

pub mod aws;
