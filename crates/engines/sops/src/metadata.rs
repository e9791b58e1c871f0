//! The `sops` section of a file.

use std::collections::BTreeMap;

use regex::RegexBuilder;
use serde::Deserialize;
use serde_json::Value;

use crate::rules::Rule;

/// The largest compiled pattern of a rule, in bytes.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// A section that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// There is no `sops` section.
    #[error("sops metadata not found")]
    Missing,
    /// A field has the wrong shape.
    #[error("sops metadata cannot be read: {0}")]
    Shape(String),
    /// It names no master key.
    #[error("No keys found in file")]
    NoKeys,
    /// More than one rule says what is encrypted.
    #[error(
        "Cannot use more than one of encrypted_suffix, unencrypted_suffix, encrypted_regex, unencrypted_regex, encrypted_comment_regex, or unencrypted_comment_regex in the same file"
    )]
    ManyRules,
}

/// A master key, with the data key (or a part of it) encrypted to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Master {
    /// An age recipient; the data key is an armored age file.
    Age {
        /// The recipient.
        recipient: String,
        /// The armored file.
        encrypted: String,
    },
    /// An OpenPGP key; the data key is an armored message.
    Pgp {
        /// The key's fingerprint.
        fingerprint: String,
        /// The armored message.
        encrypted: String,
    },
    /// A key of AWS KMS.
    Aws {
        /// Its ARN.
        arn: String,
        /// The role to assume; may be empty.
        role: String,
        /// The encryption context.
        context: BTreeMap<String, String>,
        /// The ciphertext, in Base64.
        encrypted: String,
    },
    /// A key of Google Cloud KMS.
    Gcp {
        /// Its resource name.
        resource: String,
        /// The ciphertext, in Base64.
        encrypted: String,
    },
    /// A key of Azure Key Vault.
    Azure {
        /// The vault's URL.
        vault: String,
        /// The key's name.
        name: String,
        /// The key's version.
        version: String,
        /// The ciphertext, in URL-safe Base64 without padding.
        encrypted: String,
    },
    /// A key of the transit engine of HashiCorp Vault or OpenBao.
    Vault {
        /// The address.
        address: String,
        /// Where the engine is mounted.
        engine: String,
        /// The key's name.
        name: String,
        /// The ciphertext, `vault:v1:…`.
        encrypted: String,
    },
    /// A key of a service that is not known here.
    Other(&'static str),
}

impl Master {
    /// Returns how messages name the key.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Age { recipient, .. } => recipient.clone(),
            Self::Pgp { fingerprint, .. } => fingerprint.clone(),
            Self::Aws { arn, .. } => arn.clone(),
            Self::Gcp { resource, .. } => resource.clone(),
            Self::Azure {
                vault,
                name,
                version,
                ..
            } => format!("{vault}/keys/{name}/{version}"),
            Self::Vault {
                address,
                engine,
                name,
                ..
            } => format!("{address}/v1/{engine}/keys/{name}"),
            Self::Other(service) => format!("a key of {service}"),
        }
    }
}

/// What a file says of its encryption.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// Groups of keys. One group: any of its keys has the data key. Several: each has a share.
    pub groups: Vec<Vec<Master>>,
    /// How many shares make the data key.
    pub threshold: usize,
    /// When the file was last changed: the additional data of the MAC.
    pub last_modified: String,
    /// The encrypted MAC.
    pub mac: String,
    pub(crate) mac_only_encrypted: bool,
    pub(crate) rule: Rule,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Section {
    #[serde(flatten)]
    keys: Group,
    key_groups: Option<Vec<Group>>,
    shamir_threshold: Loose,
    lastmodified: String,
    mac: String,
    mac_only_encrypted: Loose,
    unencrypted_suffix: Option<String>,
    encrypted_suffix: Option<String>,
    unencrypted_regex: Option<String>,
    encrypted_regex: Option<String>,
    unencrypted_comment_regex: Option<String>,
    encrypted_comment_regex: Option<String>,
}

/// A number or truth value, which flat formats write as text.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Loose {
    Bool(bool),
    Number(u64),
    Text(String),
    #[default]
    Nothing,
}

impl Loose {
    fn as_number(&self) -> usize {
        match self {
            Self::Number(number) => usize::try_from(*number).unwrap_or(usize::MAX),
            Self::Text(text) => text.parse().unwrap_or_default(),
            Self::Bool(_) | Self::Nothing => 0,
        }
    }

    fn as_bool(&self) -> bool {
        match self {
            Self::Bool(value) => *value,
            Self::Text(text) => text.eq_ignore_ascii_case("true"),
            Self::Number(_) | Self::Nothing => false,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Group {
    age: Option<Vec<Entry>>,
    pgp: Option<Vec<Entry>>,
    kms: Option<Vec<Entry>>,
    gcp_kms: Option<Vec<Entry>>,
    azure_kv: Option<Vec<Entry>>,
    hc_vault: Option<Vec<Entry>>,
    hckms: Option<Vec<Entry>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    enc: String,
    recipient: String,
    fp: String,
    arn: String,
    role: Option<String>,
    context: Option<BTreeMap<String, Option<String>>>,
    resource_id: String,
    vault_url: String,
    name: String,
    version: String,
    vault_address: String,
    engine_path: String,
    key_name: String,
}

impl Group {
    fn masters(self) -> Vec<Master> {
        let list = |entries: Option<Vec<Entry>>| entries.unwrap_or_default().into_iter();
        let mut all = Vec::new();
        all.extend(list(self.age).map(|e| Master::Age {
            recipient: e.recipient,
            encrypted: e.enc,
        }));
        all.extend(list(self.pgp).map(|e| Master::Pgp {
            fingerprint: e.fp,
            encrypted: e.enc,
        }));
        all.extend(list(self.kms).map(|e| {
            Master::Aws {
                arn: e.arn,
                role: e.role.unwrap_or_default(),
                context: e
                    .context
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(key, value)| (key, value.unwrap_or_default()))
                    .collect(),
                encrypted: e.enc,
            }
        }));
        all.extend(list(self.gcp_kms).map(|e| Master::Gcp {
            resource: e.resource_id,
            encrypted: e.enc,
        }));
        all.extend(list(self.azure_kv).map(|e| Master::Azure {
            vault: e.vault_url,
            name: e.name,
            version: e.version,
            encrypted: e.enc,
        }));
        all.extend(list(self.hc_vault).map(|e| Master::Vault {
            address: e.vault_address,
            engine: e.engine_path,
            name: e.key_name,
            encrypted: e.enc,
        }));
        all.extend(list(self.hckms).map(|_| Master::Other("Huawei Cloud KMS")));
        all
    }
}

impl Metadata {
    /// Reads a `sops` section.
    ///
    /// # Errors
    /// [`MetadataError`].
    pub fn read(section: &Value) -> Result<Self, MetadataError> {
        let section: Section = serde_json::from_value(section.clone())
            .map_err(|error| MetadataError::Shape(error.to_string()))?;
        let rule = rule(&section)?;
        let own = section.keys.masters();
        let groups = if own.is_empty() {
            let groups = section.key_groups.unwrap_or_default().into_iter();
            groups.map(Group::masters).collect()
        } else {
            vec![own]
        };
        if groups.iter().all(Vec::is_empty) {
            return Err(MetadataError::NoKeys);
        }
        let threshold = match section.shamir_threshold.as_number() {
            0 => groups.len(),
            threshold => threshold,
        };
        Ok(Self {
            groups,
            threshold,
            last_modified: section.lastmodified,
            mac: section.mac,
            mac_only_encrypted: section.mac_only_encrypted.as_bool(),
            rule,
        })
    }
}

fn rule(section: &Section) -> Result<Rule, MetadataError> {
    let given = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
    let regex = |text: String| {
        RegexBuilder::new(&text)
            .size_limit(MAX_REGEX_BYTES)
            .build()
            .map_err(|error| MetadataError::Shape(error.to_string()))
    };
    let mut rules = Vec::new();
    rules.extend(given(&section.unencrypted_suffix).map(|s| Ok(Rule::UnencryptedSuffix(s))));
    rules.extend(given(&section.encrypted_suffix).map(|s| Ok(Rule::EncryptedSuffix(s))));
    rules.extend(given(&section.unencrypted_regex).map(|s| regex(s).map(Rule::UnencryptedRegex)));
    rules.extend(given(&section.encrypted_regex).map(|s| regex(s).map(Rule::EncryptedRegex)));
    rules.extend(given(&section.unencrypted_comment_regex).map(|_| Ok(Rule::ByComment)));
    rules.extend(given(&section.encrypted_comment_regex).map(|_| Ok(Rule::ByComment)));
    if rules.len() > 1 {
        return Err(MetadataError::ManyRules);
    }
    rules.pop().unwrap_or_else(|| Ok(Rule::default()))
}
