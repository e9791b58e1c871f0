//! The policies, the source and the Secrets of an automation.

use std::time::Duration;

use access::{AppError, Asker, Cloud, GitAccess};
use api::image::{ImagePolicy, ImageUpdateAutomation, PullRequest, SigningKeyKind};
use api::meta::selector_text;
use api::source::{GitProvider, GitRepository};
use kube::{Api, ResourceExt, api::ListParams};
use net_http::{Auth, ClientConfig};
use runtime::{Failure, secrets};
use signature::{SigningKey, SigningKeyError};

use super::{
    Automations,
    access::access,
    pull_request::{Forge, ForgeError},
};
use crate::setters::Chosen;

/// How long a checkout and a push may each take where the GitRepository does not say.
const TIMEOUT: Duration = Duration::from_mins(1);

const NO_GATE: &str = "to use spec.serviceAccountName in the GitRepository for provider authentication please enable \
                       the ObjectLevelWorkloadIdentity feature gate in the controller";

/// What was read.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(super) chosen: Chosen,
    pub(super) source: GitRepository,
    pub(super) access: GitAccess,
    pub(super) key: Option<SigningKey>,
    pub(super) timeout: Duration,
    pub(super) switches: (bool, bool),
    pub(super) forge: Option<ForgeAccess>,
}

/// The API to open a pull request with.
#[derive(Debug)]
pub(super) struct ForgeAccess {
    pub(super) forge: Forge,
    pub(super) request: PullRequest,
    pub(super) http: ClientConfig,
}

/// A failure of what leads to the Git server.
fn source_failed(words: impl std::fmt::Display) -> Failure {
    Failure::retry(
        "SourceManagerFailed",
        format!("failed configuring source manager: {words}"),
    )
}

/// A GitRepository that contradicts itself, in upstream's words.
fn invalid(why: &str) -> Failure {
    Failure::stall(
        "InvalidSourceConfiguration",
        format!("{why}: invalid source configuration"),
    )
}

fn not_configured(error: &(dyn std::error::Error + 'static)) -> Failure {
    let why = runtime::failure::chain(error);
    source_failed(format!("failed to configure authentication options: {why}"))
}

impl Automations {
    pub(super) async fn read(&self, object: &ImageUpdateAutomation) -> Result<Inputs, Failure> {
        let chosen = self.chosen(object).await?;
        let Some(settings) = &object.spec.git else {
            let words = "source kind 'GitRepository' necessitates field .spec.git: invalid source configuration";
            return Err(Failure::stall("InvalidSourceConfiguration", words));
        };
        let source = self.source(object).await?;
        let access = self.reach(&source).await?;
        let key = match &settings.commit.signing_key {
            Some(key) => {
                let kind = key.kind.unwrap_or_default();
                Some(self.signing_key(object, &key.secret_ref.name, kind).await?)
            }
            None => None,
        };
        let forge = self.forge(object, &source, &access).await?;
        Ok(Inputs {
            chosen,
            access,
            forge,
            key,
            timeout: source.spec.timeout.map_or(TIMEOUT, Into::into),
            switches: (self.force_push_branch, self.continue_push_branch),
            source,
        })
    }

    /// What the policies of the automation's namespace chose.
    async fn chosen(&self, object: &ImageUpdateAutomation) -> Result<Chosen, Failure> {
        let mut params = ListParams::default();
        if let Some(selector) = &object.spec.policy_selector {
            let text = selector_text(selector).map_err(|error| {
                let words = format!("failed to parse policy selector: {error}");
                Failure::stall("InvalidPolicySelector", words)
            })?;
            params.label_selector = Some(text).filter(|text| !text.is_empty());
        }
        let namespace = object.namespace().unwrap_or_default();
        let policies = Api::<ImagePolicy>::namespaced(self.client.clone(), &namespace);
        let policies = policies.list(&params).await.map_err(|error| {
            let cause = runtime::failure::chain(&error);
            Failure::retry("UpdateFailed", format!("failed to get policies: {cause}"))
        })?;
        let chosen = policies.into_iter().filter_map(|policy| {
            let latest = policy.status.as_ref()?.latest()?;
            Some((policy.name_any(), latest))
        });
        Ok(chosen.collect())
    }

    async fn source(&self, object: &ImageUpdateAutomation) -> Result<GitRepository, Failure> {
        let own = object.namespace().unwrap_or_default();
        let reference = &object.spec.source_ref;
        let namespace = reference.namespace.clone().filter(|n| !n.is_empty());
        let namespace = namespace.unwrap_or_else(|| own.clone());
        self.access
            .check(&own, "GitRepository", &namespace, &reference.name)
            .map_err(|denied| Failure::stall("AccessDenied", denied.to_string()))?;
        let sources = Api::<GitRepository>::namespaced(self.client.clone(), &namespace);
        let found = sources.get_opt(&reference.name).await.map_err(|error| {
            let cause = runtime::failure::chain(&error);
            source_failed(format!("failed to get referenced git repository: {cause}"))
        })?;
        found.ok_or_else(|| {
            source_failed(format!(
                "referenced git repository does not exist: GitRepository.source.toolkit.fluxcd.io \"{}\" not found",
                reference.name
            ))
        })
    }

    async fn reach(&self, source: &GitRepository) -> Result<GitAccess, Failure> {
        let namespace = source.namespace().unwrap_or_default();
        let spec = &source.spec;
        let provider = spec.provider.unwrap_or_default();
        let account = spec.service_account_name.as_deref();
        let of_cloud = matches!(provider, GitProvider::Aws | GitProvider::Azure);
        if of_cloud && self.identities.needs_gate(account) {
            return Err(Failure::stall("FeatureGateDisabled", NO_GATE));
        }
        if provider == GitProvider::Github && spec.secret_ref.is_none() {
            return Err(invalid(&AppError::NoApp.to_string()));
        }
        let read = async |name: Option<&String>| match name {
            Some(name) => match secrets::secret(&self.client, &namespace, name).await {
                Ok(secret) => Ok(Some(secret)),
                Err(error) => {
                    let cause = match &error {
                        secrets::SecretError::Secret { source, .. } => {
                            runtime::failure::chain(&**source)
                        }
                        other => runtime::failure::chain(other),
                    };
                    Err(source_failed(format!(
                        "failed to get auth secret '{namespace}/{name}': {cause}"
                    )))
                }
            },
            None => Ok(None),
        };
        let secret = read(source.spec.secret_ref.as_ref().map(|r| &r.name)).await?;
        let proxy = read(source.spec.proxy_secret_ref.as_ref().map(|r| &r.name)).await?;
        let app = secret
            .as_ref()
            .filter(|secret| secret.bytes("githubAppID").is_some());
        if let Some(app) = app.filter(|_| provider != GitProvider::Github) {
            let name = &app.name;
            return Err(invalid(&format!(
                "secretRef '{name}' has github app data but provider is not set to github"
            )));
        }
        let reached = access(&spec.url, secret.as_ref(), proxy.as_ref()).map_err(source_failed)?;
        self.logged_in(source, provider, secret, reached).await
    }

    /// Adds the login of an identity, where the GitRepository has its provider for that.
    async fn logged_in(
        &self,
        source: &GitRepository,
        provider: GitProvider,
        secret: Option<secrets::SecretView>,
        reached: GitAccess,
    ) -> Result<GitAccess, Failure> {
        let (namespace, name) = (source.namespace().unwrap_or_default(), source.name_any());
        let http = reached.remote.http.clone();
        let asker = Asker {
            kind: "GitRepository",
            namespace: &namespace,
            name: &name,
            operation: "reconcile",
            account: source.spec.service_account_name.as_deref(),
            proxy: &http.proxy,
        };
        let cloud = match provider {
            GitProvider::Generic => return Ok(reached),
            GitProvider::Github => {
                let secret = secret.unwrap_or_default();
                let login = self.identities.github_app_login(&secret, &http, &asker);
                let auth = login.await.map_err(|error| match error {
                    AppError::NoApp => invalid(&error.to_string()),
                    error => not_configured(&error),
                })?;
                return Ok(reached.with(auth));
            }
            GitProvider::Azure => Cloud::Azure,
            GitProvider::Aws => Cloud::Aws,
        };
        let url = &reached.remote.url;
        let login = self.identities.git_login(cloud, url, &asker).await;
        Ok(reached.with(login.map_err(|error| not_configured(&error))?))
    }

    /// The API for a pull request, where one is wished for.
    async fn forge(
        &self,
        object: &ImageUpdateAutomation,
        source: &GitRepository,
        access: &GitAccess,
    ) -> Result<Option<ForgeAccess>, Failure> {
        let request = object.pull_request().map_err(|error| {
            Failure::stall("InvalidPullRequest", runtime::failure::chain(&error))
        })?;
        let Some(request) = request else {
            return Ok(None);
        };
        let mut http = access.remote.http.clone();
        let token = if let Some(reference) = &request.secret_ref {
            let namespace = object.namespace().unwrap_or_default();
            let secret = secrets::secret(&self.client, &namespace, &reference.name).await;
            let secret = secret.map_err(|error| source_failed(runtime::failure::chain(&error)))?;
            if let Some(authority) = secret.bytes("ca.crt") {
                http.certificate_authority = Some(authority.to_vec());
            }
            secret.text("token").map(|token| token.trim().to_owned())
        } else {
            match &access.remote.auth {
                Some(Auth::Bearer(token)) => Some(token.clone()),
                Some(Auth::Basic { password, .. }) => Some(password.clone()),
                _ => None,
            }
        };
        let token = token.filter(|token| !token.is_empty());
        let forge = token.ok_or(ForgeError::NoToken).and_then(|token| {
            Forge::of(
                request.provider,
                request.address.as_deref(),
                &source.spec.url,
                token,
            )
        });
        let forge = forge.map_err(|error| source_failed(runtime::failure::chain(&error)))?;
        Ok(Some(ForgeAccess {
            forge,
            request,
            http,
        }))
    }

    async fn signing_key(
        &self,
        object: &ImageUpdateAutomation,
        name: &str,
        kind: SigningKeyKind,
    ) -> Result<SigningKey, Failure> {
        let namespace = object.namespace().unwrap_or_default();
        let full = format!("{namespace}/{name}");
        let secret = secrets::secret(&self.client, &namespace, name)
            .await
            .map_err(|error| {
                let cause = runtime::failure::chain(&error);
                source_failed(format!(
                    "could not find signing key secret '{full}': {cause}"
                ))
            })?;
        let (key, passphrase) = match kind {
            SigningKeyKind::Gpg => ("git.asc", "passphrase"),
            SigningKeyKind::Ssh => ("identity", "password"),
        };
        let text = secret.text(key).ok_or_else(|| {
            let article = if kind == SigningKeyKind::Gpg {
                "a"
            } else {
                "an"
            };
            source_failed(format!(
                "signing key secret '{full}' does not contain {article} '{key}' key"
            ))
        })?;
        let given = secret
            .text(passphrase)
            .map(|text| text.trim_end_matches('\n'));
        let given = given.filter(|text| !text.is_empty());
        let read = match kind {
            SigningKeyKind::Gpg => SigningKey::pgp(text, given),
            SigningKeyKind::Ssh => SigningKey::ssh(text, given),
        };
        read.map_err(|error| source_failed(unusable(&error, kind, &full, passphrase)))
    }
}

/// Why a signing key cannot be used, in upstream's words.
fn unusable(error: &SigningKeyError, kind: SigningKeyKind, secret: &str, field: &str) -> String {
    match (error, kind) {
        (SigningKeyError::Several, _) => format!(
            "multiple entities read from secret '{secret}', could not determine which signing key to use"
        ),
        (SigningKeyError::NoPassphrase, _) => format!(
            "can not use passphrase protected signing key without '{field}' field present in secret {secret}"
        ),
        (SigningKeyError::Passphrase(cause), _) => format!(
            "could not decrypt private key of the signing key present in secret {secret}: {cause}"
        ),
        (other, SigningKeyKind::Gpg) => {
            format!("could not read signing key from secret '{secret}': {other}")
        }
        (other, SigningKeyKind::Ssh) => {
            format!("could not parse SSH signing key from secret '{secret}': {other}")
        }
    }
}
