//! Looks after the stored artifact, reads Secrets, lists the remote's references.

use std::time::Duration;

use access::{Address, AppError, Cloud, GitAccess, GitAccessError};
use api::Reconciled;
use api::meta::Artifact;
use api::source::{GitProvider, GitReference, GitRepository, GitRepositorySpec};
use git::Listing;
use kube::ResourceExt;
use net_http::Proxy;
use runtime::secrets::SecretView;
use runtime::{Failure, Progress};
use select::reference::{Wanted, same_revision};
use tokio::time::Instant;

use super::act::checkout;
use super::verify::Trust;
use super::{GitRepositories, plan};
use crate::conditions::{ARTIFACT_IN_STORAGE, FETCH_FAILED};
use crate::failure::{AUTH_FAILED, chain, fetch, gate_closed, had_failed, stalled};
use crate::provider::asker;
use crate::shelf::is_requested;

const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);
/// The part of an interval that polls of one remote may be joined over: what intervals are spread by.
const SPREAD: u32 = 20;

/// What the decision needs.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// What the object asks for.
    pub(super) wanted: Wanted,
    /// How the repository is reached.
    pub(super) access: GitAccess,
    /// The artifact of the status, if it is there and intact, with today's address.
    pub(super) artifact: Option<Artifact>,
    /// The artifacts to include, in the order of `spec.include`.
    pub(super) included: Vec<Artifact>,
    /// Whose signatures count, where one has to be there.
    pub(super) trust: Option<Trust>,
    /// What the server has; absent where the commit is fixed and already published.
    pub(super) listing: Option<Listing>,
    /// When the time for Git is over.
    pub(super) deadline: Instant,
}

impl GitRepositories {
    pub(super) async fn gather_inputs(
        &self,
        object: &GitRepository,
        progress: &Progress,
    ) -> Result<Inputs, Failure> {
        let published = object.status.as_ref();
        let published = published.and_then(|status| status.artifact.as_ref());
        let artifact = self.setup.shelf.current(published, progress).await?;
        let access = self.access(object).await?;
        let trust = self.trust(object).await?;
        let included = self.included(object).await?;
        let timeout = object.spec.timeout.map_or(DEFAULT_TIMEOUT, Into::into);
        let deadline = Instant::now() + timeout;
        let wanted = wanted(object.spec.reference.as_ref());
        let published = artifact.as_ref().map(|artifact| artifact.revision.as_str());
        let settled = wanted.is_pinned()
            && published.is_some_and(|revision| plan::pinned_is(&wanted, revision))
            && !plan::settings_changed(object)
            && !plan::includes_changed(object, &included)
            && !plan::trust_changed(object, trust.as_ref());
        let listing = if settled {
            None
        } else {
            let prefixes = wanted.prefixes();
            let times = (Self::since(object), deadline);
            let listing = self.git.list_since(&access.remote, &prefixes, times);
            let listed = self.while_wanted(object, progress, listing).await?;
            let probing = artifact.is_some() && is_in_storage(object);
            Some(listed.map_err(|error| cannot_list(&error, &access, &wanted, probing))?)
        };
        Ok(Inputs {
            wanted,
            access,
            artifact,
            included,
            trust,
            listing,
            deadline,
        })
    }

    /// Returns since when a listing that others asked for is new enough. Polls are spread over time anyway: an answer
    /// within that spread is as good as an own one, unless somebody asked for this run or the last one failed.
    fn since(object: &GitRepository) -> Instant {
        let now = Instant::now();
        if is_requested(object) || had_failed(object.conditions(), &[FETCH_FAILED]) {
            return now;
        }
        let interval: Duration = object.spec.interval.into();
        now.checked_sub(interval / SPREAD).unwrap_or(now)
    }

    /// Reads the URL and the Secrets.
    async fn access(&self, object: &GitRepository) -> Result<GitAccess, Failure> {
        let spec = &object.spec;
        let proxy = self.proxy(object).await?;
        let shown = net_http::without_credentials(&spec.url);
        let address = Address::parse(&spec.url).map_err(|error| {
            stalled(
                "URLInvalid",
                format!("failed to parse url '{shown}': {error}"),
            )
        })?;
        let provider = spec.provider.unwrap_or_default();
        self.check_provider(spec, provider)?;
        let secret = match &spec.secret_ref {
            Some(reference) => Some(self.secret(object, &reference.name).await?),
            None => None,
        };
        if provider != GitProvider::Github {
            refuse_app_data(secret.as_ref())?;
        }
        let access = GitAccess::new(&address, secret.as_ref(), proxy.clone());
        let access = access.map_err(|error| match error {
            GitAccessError::Transport(_) => stalled("URLInvalid", error.to_string()),
            error => not_configured(&error),
        })?;
        let identities = &self.setup.identities;
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let account = spec.service_account_name.as_deref();
        let asker = asker(super::KIND, (&namespace, &name), account, &proxy);
        let cloud = match provider {
            GitProvider::Generic => return Ok(access),
            GitProvider::Github => {
                let secret = secret.unwrap_or_default();
                let http = &access.remote.http;
                let login = identities.github_app_login(&secret, http, &asker).await;
                return login
                    .map(|auth| access.with(auth))
                    .map_err(|error| match error {
                        AppError::NoApp => fetch("InvalidProviderConfiguration", error.to_string()),
                        error => not_configured(&error),
                    });
            }
            GitProvider::Azure => Cloud::Azure,
            GitProvider::Aws => Cloud::Aws,
        };
        let login = identities.git_login(cloud, &address.url, &asker).await;
        login
            .map(|auth| access.with(auth))
            .map_err(|error| not_configured(&error))
    }

    /// Refuses settings of a provider that contradict each other, and what is behind a gate that is closed.
    fn check_provider(
        &self,
        spec: &GitRepositorySpec,
        provider: GitProvider,
    ) -> Result<(), Failure> {
        let account = spec.service_account_name.as_deref();
        let of_cloud = matches!(provider, GitProvider::Aws | GitProvider::Azure);
        if of_cloud && self.setup.identities.needs_gate(account) {
            return Err(gate_closed());
        }
        check_app(spec, provider)
    }

    async fn proxy(&self, object: &GitRepository) -> Result<Proxy, Failure> {
        let namespace = object.namespace().unwrap_or_default();
        let name = object.spec.proxy_secret_ref.as_ref();
        let proxy = self
            .setup
            .reader
            .proxy(&namespace, name.map(|reference| reference.name.as_str()));
        proxy.await.map_err(|error| {
            fetch(
                AUTH_FAILED,
                format!("failed to configure proxy options: {}", chain(&error)),
            )
        })
    }

    async fn secret(&self, object: &GitRepository, name: &str) -> Result<SecretView, Failure> {
        let namespace = object.namespace().unwrap_or_default();
        self.setup
            .reader
            .secret(&namespace, name)
            .await
            .map_err(|error| {
                // Upstream says so twice, and people search for it.
                let cause = chain(&error);
                fetch(
                    AUTH_FAILED,
                    format!("failed to get secret '{namespace}/{name}': {cause}"),
                )
            })
    }
}

fn is_in_storage(object: &GitRepository) -> bool {
    runtime::conditions::is_true(object.conditions(), ARTIFACT_IN_STORAGE)
}

fn wanted(reference: Option<&GitReference>) -> Wanted {
    let Some(GitReference {
        branch,
        tag,
        semver,
        name,
        commit,
    }) = reference.cloned()
    else {
        return Wanted::default();
    };
    Wanted {
        commit,
        name,
        tag,
        semver,
        branch,
    }
}

/// Upstream asks for the references alone only where it may save a clone by that, and names its errors accordingly.
fn cannot_list(error: &git::Error, access: &GitAccess, wanted: &Wanted, probing: bool) -> Failure {
    let whole = wanted.is_pinned() || (wanted.semver.is_some() && wanted.name.is_none());
    let attempt = if probing && !whole {
        "unable to list remote for"
    } else {
        "unable to clone"
    };
    let cause = format!("{attempt} '{}': {}", access.remote.url, chain(error));
    checkout(&access.redact(&cause))
}

fn not_configured(error: &(dyn std::error::Error + 'static)) -> Failure {
    let why = chain(error);
    fetch(
        AUTH_FAILED,
        format!("failed to configure authentication options: {why}"),
    )
}

/// Behaviour SC-063.
fn check_app(spec: &GitRepositorySpec, provider: GitProvider) -> Result<(), Failure> {
    if provider == GitProvider::Github && spec.secret_ref.is_none() {
        return Err(stalled(
            "InvalidProviderConfiguration",
            AppError::NoApp.to_string(),
        ));
    }
    Ok(())
}

/// Behaviour SC-063.
fn refuse_app_data(secret: Option<&SecretView>) -> Result<(), Failure> {
    match secret {
        Some(secret) if secret.bytes("githubAppID").is_some() => Err(fetch(
            "InvalidProviderConfiguration",
            format!(
                "secretRef '{}' has github app data but provider is not set to github",
                secret.name
            ),
        )),
        _ => Ok(()),
    }
}

/// Says whether a stored revision is that of the fixed commit.
pub(super) fn is_same(stored: &str, revision: &str) -> bool {
    same_revision(stored, revision)
}

#[cfg(test)]
mod tests {
    use runtime::Class;

    use super::*;

    /// covers: SC-063
    #[test]
    fn app_and_provider_go_together() {
        let spec = GitRepositorySpec::default();
        check_app(&spec, GitProvider::Generic).unwrap();
        let failure = check_app(&spec, GitProvider::Github).unwrap_err();
        assert_eq!(failure.class, Class::Stall);
        assert_eq!(
            failure.message,
            "secretRef with github app data must be specified when provider is set to github"
        );
        let secret = SecretView {
            name: "ns/s".into(),
            data: [("githubAppID".to_owned(), k8s_openapi::ByteString::default())].into(),
            ..SecretView::default()
        };
        assert_eq!(
            refuse_app_data(Some(&secret)).unwrap_err().message,
            "secretRef 'ns/s' has github app data but provider is not set to github"
        );
    }

    #[test]
    fn errors_say_which_attempt_failed_and_hide_credentials() {
        let address = Address::parse("https://u:s3cret@host/x").unwrap();
        let access = GitAccess::new(&address, None, Proxy::default()).unwrap();
        let error = git::Error::AuthenticationRequired("no s3cret for you".into());
        let text = |wanted: &Wanted, probing| cannot_list(&error, &access, wanted, probing).message;
        let branch = Wanted::default();
        let range = Wanted {
            semver: Some("*".into()),
            ..Wanted::default()
        };
        let clone = "failed to checkout and determine revision: unable to clone 'https://host/x': \
                     authentication required: no ***** for you";
        assert_eq!(text(&branch, false), clone);
        assert_eq!(text(&range, true), clone);
        assert_eq!(
            text(&branch, true),
            clone.replace("clone", "list remote for")
        );
    }
}
