//! Looks after the stored artifact, reads Secrets, downloads the index.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use api::meta::Artifact;
use api::source::HelmRepository;
use artifact::Algorithm;
use artifact::digest::Hasher;
use helmrepo::{AddressError, Download, Everywhere, HttpRepository, Validators};
use runtime::{Failure, Progress};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::access::HelmAccess;
use super::{HelmRepositories, Known};
use crate::failure::{AUTH_FAILED, chain, fetch, stalled, storage};

pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);

/// What the decision needs.
#[derive(Debug)]
pub struct Inputs {
    /// The artifact of the status, if it is there and intact, with today's address.
    pub(super) artifact: Option<Artifact>,
    /// The index; absent where the server says that it is what is published.
    pub(super) index: Option<Index>,
}

/// A downloaded index.
#[derive(Debug)]
pub(crate) struct Index {
    /// Its bytes.
    pub(super) file: File,
    /// The digest of its bytes.
    pub(super) revision: String,
    pub(super) url: String,
    pub(super) validators: Validators,
}

impl HelmRepositories {
    pub(super) async fn gather_inputs(
        &self,
        object: &HelmRepository,
        progress: &Progress,
    ) -> Result<Inputs, Failure> {
        let setup = &self.setup;
        let published = object
            .status
            .as_ref()
            .and_then(|status| status.artifact.as_ref());
        let artifact = setup.shelf.current(published, progress).await?;
        refuse_registry(&object.spec.url)?;
        let access = HelmAccess::read(&setup.reader, object).await;
        let access = access.map_err(|why| fetch(AUTH_FAILED, why))?;
        let repository = repository(&setup.clients, object, &access)?;
        let timeout = object.spec.timeout.map_or(DEFAULT_TIMEOUT, Into::into);
        let deadline = Instant::now() + timeout;
        let known = self.known(repository.url(), artifact.as_ref()).await;
        let mut file = scratch_file(&setup.scratch)?;
        let downloaded = repository
            .index(&known, &mut file, self.max_index_bytes, deadline)
            .await;
        let index = match downloaded.map_err(|error| not_fetched(&error, &access))? {
            Download::NotModified => None,
            Download::Written(validators) => {
                let algorithm = setup.shelf.algorithm(artifact.as_ref());
                let (file, revision) = digest(file, algorithm).await?;
                Some(Index {
                    file,
                    revision,
                    url: repository.url().to_owned(),
                    validators,
                })
            }
        };
        if let (Some(index), Some(artifact)) = (&index, &artifact)
            && index.revision == artifact.revision
            && index.validators != known
        {
            setup.shelf.remember(artifact, &Known::of(index)).await;
        }
        Ok(Inputs { artifact, index })
    }
}

impl Known {
    pub(super) fn address(url: &str) -> String {
        hex::encode(Sha256::digest(url))
    }

    pub(super) fn of(index: &Index) -> Self {
        Self {
            address: Self::address(&index.url),
            revision: index.revision.clone(),
            validators: index.validators.clone(),
        }
    }
}

fn refuse_registry(url: &str) -> Result<(), Failure> {
    if url.starts_with("oci://") {
        return Err(stalled(
            "URLInvalid",
            "'oci' URL scheme cannot be used with 'default' HelmRepository type",
        ));
    }
    Ok(())
}

/// Makes the repository of an object, or says what of its address is wrong.
pub(crate) fn repository(
    clients: &net_http::Clients,
    object: &HelmRepository,
    access: &HelmAccess,
) -> Result<HttpRepository, Failure> {
    let client = clients
        .get(&access.http)
        .map_err(|error| fetch(AUTH_FAILED, chain(&error)))?;
    let everywhere = Everywhere(object.spec.pass_credentials.unwrap_or_default());
    HttpRepository::new(client, &object.spec.url, access.auth(), everywhere)
        .map_err(|error| wrong_address(&error))
}

/// Says what of an address is wrong.
pub(crate) fn wrong_address(error: &AddressError) -> Failure {
    match error {
        AddressError::Scheme(_) => stalled(
            "Failed",
            format!("failed to construct Helm client: {error}"),
        ),
        error => stalled(
            "URLInvalid",
            format!("invalid Helm repository URL: {error}"),
        ),
    }
}

fn not_fetched(error: &helmrepo::Error, access: &HelmAccess) -> Failure {
    let words = format!(
        "failed to fetch Helm repository index: failed to cache index to temporary file: {}",
        chain(error)
    );
    fetch("Failed", access.redactor.redact(&words))
}

pub(crate) fn scratch_file(directory: &Path) -> Result<File, Failure> {
    tempfile::tempfile_in(directory).map_err(|error| {
        let words = format!("failed to create temporary working directory: {error}");
        storage("DirectoryCreationFailed", words)
    })
}

async fn digest(mut file: File, algorithm: Algorithm) -> Result<(File, String), Failure> {
    let hashed = tokio::task::spawn_blocking(move || {
        let mut hasher = Hasher::new(algorithm);
        let mut buffer = vec![0; 64 << 10];
        file.seek(SeekFrom::Start(0))?;
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                count => hasher.update(&buffer[..count]),
            }
        }
        Ok::<_, std::io::Error>((file, hasher.finish().to_string()))
    });
    let hashed = hashed.await.map_err(|error| error.to_string());
    let hashed = hashed.and_then(|done| done.map_err(|error| error.to_string()));
    hashed.map_err(|why| storage("ReadOperationFailed", why))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: SC-143
    #[test]
    fn addresses_that_cannot_be_used_stall() {
        let clients = net_http::Clients::new("test", net_http::Environment::default());
        let refused = |url: &str| {
            let spec = api::source::HelmRepositorySpec {
                url: url.into(),
                ..Default::default()
            };
            let object = HelmRepository::new("x", spec);
            let failure = refuse_registry(url)
                .and_then(|()| repository(&clients, &object, &HelmAccess::none()).map(drop));
            let failure = failure.unwrap_err();
            assert_eq!(failure.class, runtime::Class::Stall);
            (failure.reason, failure.message)
        };
        let (reason, words) = refused("oci://h.example/x");
        assert_eq!(reason, "URLInvalid");
        assert_eq!(
            words,
            "'oci' URL scheme cannot be used with 'default' HelmRepository type"
        );
        let (reason, words) = refused("ftp://h.example/x");
        assert_eq!(reason, "Failed");
        assert_eq!(
            words,
            "failed to construct Helm client: scheme \"ftp\" not supported"
        );
        let (reason, words) = refused("http://user:s3cret@:80/x");
        assert_eq!(reason, "URLInvalid");
        assert!(
            words.starts_with("invalid Helm repository URL: parse"),
            "{words}"
        );
        assert!(!words.contains("s3cret"));
    }
}
