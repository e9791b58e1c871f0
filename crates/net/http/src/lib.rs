//! The one HTTP client of all adapters: TLS with own CAs and client certificates, proxies, redirects without
//! credentials, bounded bodies, and errors that name the cause and never a credential.
//!
//! [`Clients`] hands out one [`Client`] per [`ClientConfig`] and keeps the last few; [`Request`] and [`Response`]
//! are one exchange.

mod client;
mod destination;
mod error;
mod exchange;
mod hosts;
mod proxy;
mod redact;
mod tls;

pub use client::{Client, ClientConfig, Clients, Redirects};
pub use destination::{Destinations, is_metadata_address};
pub use error::{ConfigError, Error, chain};
pub use exchange::{Auth, Request, Response};
pub use hosts::{Hosts, Turn};
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
pub use proxy::{Environment, Proxy};
pub use redact::{Redactor, without_credentials};
pub use tls::Identity;
