//! A bucket, whoever keeps it.

use crate::{Azure, Error, Gcs, S3};

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub key: String,
    /// What changes with its content, without quotes.
    pub etag: String,
    /// Its size in bytes.
    pub size: u64,
}

/// An object's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The content.
    pub content: Vec<u8>,
    /// What changes with it, without quotes, in the form of a listing's.
    pub etag: String,
}

/// One bucket, as one object may see it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Store {
    /// A store that speaks S3.
    S3(S3),
    /// Google Cloud Storage.
    Gcs(Gcs),
    /// Azure Blob Storage.
    Azure(Azure),
}

impl Store {
    /// Says whether the bucket is there.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn exists(&self) -> Result<bool, Error> {
        let found = match self {
            Self::S3(store) => store.find().await,
            Self::Gcs(store) => store.find().await,
            Self::Azure(store) => store.find().await,
        };
        match found {
            Ok(()) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Lists the objects whose names begin with `prefix`, in the store's order.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn list(&self, prefix: &str) -> Result<Vec<Object>, Error> {
        match self {
            Self::S3(store) => store.list(prefix).await,
            Self::Gcs(store) => store.list(prefix).await,
            Self::Azure(store) => store.list(prefix).await,
        }
    }

    /// Reads an object.
    ///
    /// # Errors
    /// [`Error`]; one that is not there answers [`Error::is_not_found`].
    pub async fn get(&self, key: &str, max_bytes: u64) -> Result<Found, Error> {
        let got = match self {
            Self::S3(store) => store.get(key, max_bytes).await,
            Self::Gcs(store) => store.get(key, max_bytes).await,
            Self::Azure(store) => store.get(key, max_bytes).await,
        };
        got.map_err(|error| match error {
            Error::Exchange(net_http::Error::TooLarge { .. }) => Error::TooLarge {
                key: key.to_owned(),
                max_bytes,
            },
            error => error,
        })
    }
}

/// Returns the tag of an answer, without quotes and the mark of a weak one.
pub(crate) fn unquoted(etag: &str) -> String {
    etag.trim_start_matches("W/").trim_matches('"').to_owned()
}
