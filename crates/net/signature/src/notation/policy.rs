//! Trust policies: for which registries whose signatures count, and how much it matters what does not hold.

mod level;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

pub(super) use self::level::Check;
pub use self::level::{Action, Level};

use super::name::{self, Name};

const WILDCARD: &str = "*";
const SUBJECT: &str = "x509.subject";
const STORES: [&str; 3] = ["ca", "signingAuthority", "tsa"];

/// Why a trust policy is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// It is no JSON of this form.
    #[error("error occurred while parsing trustpolicy.json")]
    Json(#[source] serde_json::Error),
    /// It breaks a rule of the specification.
    #[error("{0}")]
    Rule(String),
    /// None of its statements is about an artifact.
    #[error(
        "artifact {0:?} has no applicable trust policy statement. Trust policy applicability for a given artifact is determined by registryScopes"
    )]
    NotApplicable(String),
}

/// When a clock is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VerifyTimestamp {
    Always,
    AfterCertExpiry,
}

/// A trust policy that keeps the rules.
#[derive(Clone, Debug)]
pub struct TrustPolicy {
    statements: Vec<Statement>,
}

/// What a policy says of some registries.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Its name.
    pub name: String,
    /// How much it matters what does not hold.
    pub level: Level,
    scopes: Vec<String>,
    stores: Vec<String>,
    anybody: bool,
    identities: Vec<Name>,
    pub(super) verify_timestamp: VerifyTimestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Document {
    version: String,
    trust_policies: Option<Vec<StatementDocument>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct StatementDocument {
    name: String,
    registry_scopes: Option<Vec<String>>,
    signature_verification: Verification,
    trust_stores: Option<Vec<String>>,
    trusted_identities: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Verification {
    level: String,
    #[serde(rename = "override")]
    overrides: Option<BTreeMap<String, String>>,
    verify_timestamp: String,
}

impl TrustPolicy {
    /// Reads a `trustpolicy.json`. Stores and identities beside the level `skip` are passed over.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn parse(json: &[u8]) -> Result<Self, PolicyError> {
        let document: Document = serde_json::from_slice(json).map_err(PolicyError::Json)?;
        let rule = |text: &str| PolicyError::Rule(text.to_owned());
        match document.version.as_str() {
            "1.0" => {}
            "" => {
                return Err(rule(
                    "trust policy document has empty version, version must be specified",
                ));
            }
            other => {
                let words = format!("trust policy document uses unsupported version {other:?}");
                return Err(PolicyError::Rule(words));
            }
        }
        let all = document.trust_policies.unwrap_or_default();
        if all.is_empty() {
            return Err(rule(
                "trust policy document can not have zero trust policy statements",
            ));
        }
        let mut names = BTreeSet::new();
        let mut statements = Vec::new();
        for each in all {
            if !names.insert(each.name.clone()) {
                return Err(PolicyError::Rule(format!(
                    "multiple trust policy statements use the same name {:?}, statement names must be unique",
                    each.name
                )));
            }
            let statement = statement(each);
            statements
                .push(statement.map_err(|why| PolicyError::Rule(format!("trust policy: {why}")))?);
        }
        check_scopes(&statements).map_err(PolicyError::Rule)?;
        Ok(Self { statements })
    }

    /// Returns what is said of an artifact. Shape of `repository`: `<registry>/<path>`; of `digest`: `sha256:<hex>`.
    ///
    /// # Errors
    /// [`PolicyError::NotApplicable`].
    pub fn applicable(&self, repository: &str, digest: &str) -> Result<&Statement, PolicyError> {
        let of = |scope: &str| {
            let mut all = self.statements.iter();
            all.find(|each| each.scopes.iter().any(|each| each == scope))
        };
        of(repository)
            .or_else(|| of(WILDCARD))
            .ok_or_else(|| PolicyError::NotApplicable(format!("{repository}@{digest}")))
    }
}

impl Statement {
    pub(super) fn has_store(&self, kind: &str) -> bool {
        let mut stores = self.stores.iter();
        stores.any(|store| store.split(':').next() == Some(kind))
    }

    pub(super) fn trusts_anybody(&self) -> bool {
        self.anybody
    }

    pub(super) fn trusts(&self, name: &Name) -> bool {
        self.identities.iter().any(|each| name::is_part(each, name))
    }
}

fn statement(document: StatementDocument) -> Result<Statement, String> {
    let name = document.name;
    if name.is_empty() {
        return Err(
            "a trust policy statement is missing a name, every statement requires a name"
                .to_owned(),
        );
    }
    let invalid = |why: String| {
        format!("trust policy statement {name:?} has invalid signatureVerification: {why}")
    };
    let verification = document.signature_verification;
    let level =
        Level::read(&verification.level, verification.overrides.as_ref()).map_err(invalid)?;
    let verify_timestamp = match verification.verify_timestamp.as_str() {
        "" | "always" => VerifyTimestamp::Always,
        "afterCertExpiry" => VerifyTimestamp::AfterCertExpiry,
        other => {
            return Err(invalid(format!(
                "verifyTimestamp must be \"always\" or \"afterCertExpiry\", but got {other:?}"
            )));
        }
    };
    let mut statement = Statement {
        scopes: document.registry_scopes.unwrap_or_default(),
        stores: Vec::new(),
        anybody: false,
        identities: Vec::new(),
        level,
        verify_timestamp,
        name,
    };
    if statement.level == Level::Skip {
        return Ok(statement);
    }
    let stores = document.trust_stores.unwrap_or_default();
    let identities = document.trusted_identities.unwrap_or_default();
    let name = &statement.name;
    if stores.is_empty() || identities.is_empty() {
        return Err(format!(
            "trust policy statement {name:?} is either missing trust stores or trusted identities, both must be specified"
        ));
    }
    check_stores(name, &stores)?;
    (statement.anybody, statement.identities) = trusted(name, &identities)?;
    statement.stores = stores;
    Ok(statement)
}

fn check_stores(policy: &str, stores: &[String]) -> Result<(), String> {
    for store in stores {
        let Some((kind, name)) = store.split_once(':') else {
            return Err(format!(
                "trust policy statement {policy:?} has malformed trust store value {store:?}. The required format is <TrustStoreType>:<TrustStoreName>"
            ));
        };
        if !STORES.contains(&kind) {
            return Err(format!(
                "trust policy statement {policy:?} uses an unsupported trust store type {kind:?} in trust store value {store:?}"
            ));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if name.is_empty() || !name.chars().all(allowed) {
            return Err(format!(
                "trust policy statement {policy:?} uses an unsupported trust store name {name:?} in trust store value {store:?}. Named store name needs to follow [a-zA-Z0-9_.-]+ format"
            ));
        }
    }
    Ok(())
}

/// Returns whether anybody is trusted, and else who.
fn trusted(policy: &str, identities: &[String]) -> Result<(bool, Vec<Name>), String> {
    let anybody = identities.iter().any(|each| each == WILDCARD);
    if anybody && identities.len() > 1 {
        return Err(format!(
            "trust policy statement {policy:?} uses a wildcard trusted identity '*', a wildcard identity cannot be used in conjunction with other values"
        ));
    }
    if anybody {
        return Ok((true, Vec::new()));
    }
    let mut names = Vec::new();
    for identity in identities {
        let Some((kind, value)) = identity.split_once(':') else {
            let problem = if identity.is_empty() {
                "an empty trusted identity".to_owned()
            } else {
                format!("trusted identity {identity:?} missing separator")
            };
            return Err(format!("trust policy statement {policy:?} has {problem}"));
        };
        if kind != SUBJECT {
            continue;
        }
        if value.is_empty() {
            return Err(format!(
                "trust policy statement {policy:?} has trusted identity {identity:?} without an identity value"
            ));
        }
        names.push(name::parse(value).map_err(|why| {
            format!(
                "trust policy statement {policy:?} has trusted identity {identity:?} with invalid identity value: {why}"
            )
        })?);
    }
    let overlaps = |(at, one): (usize, &Name)| {
        let mut others = names.iter().enumerate();
        others.any(|(other, two)| at != other && name::is_part(one, two))
    };
    if names.iter().enumerate().any(overlaps) {
        return Err(format!(
            "trust policy statement {policy:?} has overlapping x509 trustedIdentities"
        ));
    }
    Ok((false, names))
}

fn check_scopes(statements: &[Statement]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for statement in statements {
        let Statement { name, scopes, .. } = statement;
        if scopes.is_empty() {
            return Err(format!(
                "trust policy statement {name:?} has zero registry scopes, it must specify registry scopes with at least one value"
            ));
        }
        if scopes.len() > 1 && scopes.iter().any(|scope| scope == WILDCARD) {
            return Err(format!(
                "trust policy statement {name:?} uses wildcard registry scope '*', a wildcard scope cannot be used in conjunction with other scope values"
            ));
        }
        for scope in scopes {
            if scope != WILDCARD && (scope.contains('*') || !is_repository(scope)) {
                return Err(format!(
                    "registry scope {scope:?} is not valid, make sure it is a fully qualified repository without the scheme, protocol or tag. For example domain.com/my/repository or a local scope like local/myOCILayout"
                ));
            }
            if !seen.insert(scope) {
                return Err(format!(
                    "registry scope {scope:?} is present in multiple trust policy statements, one registry scope value can only be associated with one statement"
                ));
            }
        }
    }
    Ok(())
}

/// Says whether a text is a registry and a path, and no more.
fn is_repository(scope: &str) -> bool {
    let Some((host, path)) = scope.split_once('/') else {
        return false;
    };
    let (host, port) = host
        .split_once(':')
        .map_or((host, None), |(h, p)| (h, Some(p)));
    let is_label = |label: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !label.is_empty()
            && label.chars().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_part = |part: &str| {
        let outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.chars().all(|c| outer(c) || "._-".contains(c))
            && part.starts_with(outer)
            && part.ends_with(outer)
    };
    let is_port = |port: &str| !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
    host.split('.').all(is_label) && port.is_none_or(is_port) && path.split('/').all(is_part)
}

#[cfg(test)]
mod tests;
