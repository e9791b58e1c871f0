//! What goes wrong with keys. No text shows a secret.

/// An entry of a decryption Secret that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    Text,
    /// It holds no age identities.
    #[error(transparent)]
    Age(#[from] sops::age::IdentityError),
    /// It holds no OpenPGP keys.
    #[error(transparent)]
    Pgp(#[from] sops::pgp::PgpError),
    /// It is not the YAML or JSON that its name asks for.
    #[error("{0}")]
    Shape(String),
}

/// One master key that did not give the data key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is no credential or private key for it.
    #[error("no key or credential for it")]
    NoCredential,
    /// There is no token to log in with.
    #[error("{0}")]
    Identity(String),
    /// An age file cannot be opened.
    #[error(transparent)]
    Age(#[from] sops::age::AgeError),
    /// An OpenPGP message cannot be opened.
    #[error(transparent)]
    Pgp(#[from] sops::pgp::PgpError),
    /// The cloud gives no token, or does not decrypt.
    #[error(transparent)]
    Cloud(#[from] cloud::Error),
    /// The service cannot be reached.
    #[error("the request failed")]
    Request(#[source] net_http::Error),
    /// The service refused.
    #[error("the service answered {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The beginning of its answer.
        message: String,
    },
    /// The answer, or what the file says of the key, cannot be understood.
    #[error("{0}")]
    Shape(&'static str),
    /// This service is not known.
    #[error("{0} is not supported")]
    Unknown(&'static str),
}

/// A file whose data key cannot be had: every key of each group, with its reason.
#[derive(Debug)]
pub struct DataKeyError {
    /// Key and reason.
    pub tried: Vec<(String, KeyError)>,
}

impl std::fmt::Display for DataKeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cannot get sops data key")?;
        for (name, error) in &self.tried {
            write!(f, "; {name}: {}", net_http::chain(error))?;
        }
        Ok(())
    }
}

impl std::error::Error for DataKeyError {}
