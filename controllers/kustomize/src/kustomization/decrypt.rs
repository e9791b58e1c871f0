//! Opens what SOPS encrypted: files before the build, objects after it. In memory only.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use api::kustomize::Kustomization;
use artifact::fetch::ArtifactTree;
use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::Secret;
use keys::Keyring;
use kube::{Api, ResourceExt};
use kustomize::{Build, FileTree, file_tree::Kind};
use runtime::{Failure, features::Features};
use serde_json::Value;
use sops::{DataKey, File, Format, Metadata};

use super::Reconciler;
use crate::features::OBJECT_IDENTITY;

mod identity;
mod kept;

use identity::Decrypting;
pub(super) use identity::OPERATIONS;
pub(crate) use kept::DataKeys;
use kept::{KeyName, Tenant};

/// The largest file that is decrypted.
const MAX_FILE: usize = 5 << 20;
/// The most kustomizations that are looked through.
const MAX_KUSTOMIZATIONS: usize = 1_000;
const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
const ANNOTATION: &str = "kustomize.toolkit.fluxcd.io/decrypt";

/// The keys of a Kustomization.
#[derive(Clone, Debug)]
pub struct Keys {
    ring: Keyring,
    tenant: Tenant,
    /// Somebody asked for this run: what was found before does not count.
    fresh: bool,
}

/// Finds the data keys of one run.
struct Finder<'a> {
    keys: &'a Keys,
    kept: &'a DataKeys,
    found: HashMap<KeyName, DataKey>,
}

impl<'a> Finder<'a> {
    fn new(keys: &'a Keys, kept: &'a DataKeys) -> Self {
        Self {
            keys,
            kept,
            found: HashMap::new(),
        }
    }

    async fn key(&mut self, metadata: &Metadata) -> Result<DataKey, String> {
        let Keys {
            ring,
            tenant,
            fresh,
        } = self.keys;
        let name = tenant.name(metadata);
        if let Some(key) = self.found.get(&name) {
            return Ok(key.clone());
        }
        let ask = || async {
            let key = ring.data_key(metadata).await;
            key.map_err(|error| error.to_string())
        };
        let key = self.kept.get(name, *fresh, ask).await?;
        self.found.insert(name, key.clone());
        Ok(key)
    }
}

impl Reconciler {
    /// Gathers the keys of a Kustomization; none where nothing is to be decrypted.
    pub(super) async fn keys(&self, object: &Kustomization) -> Result<Option<Keys>, String> {
        let Some(decryption) = &object.spec.decryption else {
            return Ok(None);
        };
        let client = self.sops.clients.get(&net_http::ClientConfig::default());
        let client = client.map_err(|error| runtime::failure::chain(&error))?;
        let identity = self.identity(object);
        let account = identity.account.clone().unwrap_or_default();
        let keyring = Keyring::new(client, self.sops.endpoints.clone());
        let mut keyring = keyring.or_identity(Some(Arc::new(identity)));
        let own = object.namespace().unwrap_or_default();
        let given = decryption.secret_ref.as_ref().map(|r| r.name.clone());
        let (namespace, name, only_age) = match (given, &self.sops.age_secret) {
            (Some(name), _) => (own.clone(), name, false),
            (None, Some((namespace, name))) => (namespace.clone(), name.clone(), true),
            (None, None) => {
                let tenant = Tenant::of([own.as_bytes(), account.as_bytes()]);
                return Ok(Some(self.with_own(object, keyring, tenant)));
            }
        };
        let secrets = Api::<Secret>::namespaced(self.client.clone(), &namespace);
        let secret = secrets.get(&name).await;
        let secret = secret.map_err(|error| runtime::failure::chain(&error))?;
        let data = secret.data.unwrap_or_default();
        let pairs = data
            .iter()
            .flat_map(|(key, value)| [key.as_bytes(), &value.0]);
        let tenant = Tenant::of(
            [own.as_bytes(), account.as_bytes()]
                .into_iter()
                .chain(pairs),
        );
        for (key, value) in &data {
            if only_age && key.strip_suffix(".agekey").is_none() {
                continue;
            }
            keyring.import(key, &value.0).map_err(|error| {
                let cause = runtime::failure::chain(&error);
                format!(
                    "failed to import '{key}' data from sops decryption Secret '{namespace}/{name}': {cause}"
                )
            })?;
        }
        Ok(Some(self.with_own(object, keyring, tenant)))
    }

    /// Who the Kustomization is to clouds, and to servers that know service accounts.
    fn identity(&self, object: &Kustomization) -> Decrypting {
        let decryption = object.spec.decryption.as_ref();
        let own = decryption.and_then(|d| d.service_account_name.clone());
        Decrypting {
            client: self.client.clone(),
            identities: self.sops.identities.clone(),
            servers: self.sops.vault_servers.clone(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            account: own.or_else(|| self.sops.default_account.clone()),
        }
    }

    /// Adds what the controller itself may use.
    fn with_own(&self, object: &Kustomization, keyring: Keyring, tenant: Tenant) -> Keys {
        let status = object.status.as_ref();
        let handled = status.and_then(|s| s.last_handled_reconcile_at.as_deref());
        let requested = api::meta::requested_at(&object.metadata);
        Keys {
            ring: keyring.or_vault_token(self.sops.vault_token.clone()),
            tenant,
            fresh: requested.is_some() && requested != handled,
        }
    }

    /// Decrypts the files that the build of a directory reads and that are no resources.
    pub(super) async fn decrypt_files(
        &self,
        keys: &Keys,
        tree: &ArtifactTree,
        path: &str,
    ) -> Result<BTreeMap<String, Vec<u8>>, String> {
        let mut opened = BTreeMap::new();
        let mut finder = Finder::new(keys, &self.sops.data_keys);
        for (file, format) in referenced(tree, path) {
            let failed = |cause: String| {
                format!("error decrypting sources: failed to decrypt and write '{file}': {cause}")
            };
            let Ok(bytes) = tree.read(&file) else {
                // The build names files that are missing.
                continue;
            };
            let Some(read) = encrypted(&bytes, format).map_err(&failed)? else {
                continue;
            };
            let key = finder.key(read.metadata()).await.map_err(&failed)?;
            let plain = read
                .decrypt(&key)
                .map_err(|error| failed(runtime::failure::chain(&error)))?;
            opened.insert(file, plain);
        }
        Ok(opened)
    }

    /// Decrypts the objects of a build.
    pub(super) async fn unseal(&self, keys: &Keys, built: &mut Build) -> Result<(), String> {
        let mut finder = Finder::new(keys, &self.sops.data_keys);
        for resource in &mut built.resources {
            let object = &mut resource.object;
            if is_left_alone(object) {
                continue;
            }
            let result = if sops::is_encrypted(object) {
                open_object(&mut finder, object).await
            } else {
                open_data(&mut finder, object).await
            };
            result.map_err(|cause| {
                let gvk = manifest::substitute::engine_type(object);
                let name = manifest::object::name(object);
                format!("decryption failed for '{gvk}/{name}': {cause}")
            })?;
        }
        Ok(())
    }
}

/// Reads a file that is encrypted as its format has it; none where it is not.
fn encrypted(bytes: &[u8], format: Format) -> Result<Option<File<'_>>, String> {
    let is_marked = match (format, sops::detect(bytes)) {
        (Format::Binary, Some(Format::Json)) => true,
        (format, Some(seen)) => format == seen,
        (_, None) => false,
    };
    if !is_marked {
        return Ok(None);
    }
    if bytes.len() > MAX_FILE {
        let length = bytes.len();
        return Err(format!(
            "cannot decrypt file with size ({length} bytes) exceeding limit ({MAX_FILE})"
        ));
    }
    let read = File::read(bytes, format);
    read.map(Some).map_err(|error| error.to_string())
}

/// Refuses a service account for decryption where the gate for it is off.
pub(super) fn check(object: &Kustomization, gates: &Features) -> Result<(), Failure> {
    let decryption = object.spec.decryption.as_ref();
    let names_account = decryption.is_some_and(|d| d.service_account_name.is_some());
    if names_account && !gates.enabled(OBJECT_IDENTITY) {
        let message = "to use spec.decryption.serviceAccountName for decryption authentication \
                       please enable the ObjectLevelWorkloadIdentity feature gate in the controller";
        return Err(Failure::stall("FeatureGateDisabled", message));
    }
    Ok(())
}

fn is_left_alone(object: &Value) -> bool {
    let annotations = object.get("metadata").and_then(|m| m.get("annotations"));
    let value = annotations
        .and_then(|a| a.get(ANNOTATION))
        .and_then(Value::as_str);
    value.is_some_and(|value| value.eq_ignore_ascii_case("disabled"))
}

async fn open_object(finder: &mut Finder<'_>, object: &mut Value) -> Result<(), String> {
    let metadata = sops::metadata_of(object).map_err(|error| error.to_string())?;
    let key = finder.key(&metadata).await?;
    sops::decrypt_object(object, &metadata, &key).map_err(|error| runtime::failure::chain(&error))
}

/// Decrypts the values of a Secret that are encrypted files.
async fn open_data(finder: &mut Finder<'_>, object: &mut Value) -> Result<(), String> {
    if manifest::object::kind(object) != "Secret" || object["apiVersion"] != "v1" {
        return Ok(());
    }
    let Some(data) = object.get_mut("data").and_then(Value::as_object_mut) else {
        return Ok(());
    };
    for (name, value) in data {
        let Some(bytes) = value.as_str().and_then(|text| STANDARD.decode(text).ok()) else {
            continue;
        };
        let Some(seen) = sops::detect(&bytes) else {
            continue;
        };
        let wanted = Format::of_path(name);
        let format = match (seen, wanted) {
            (Format::Json, Format::Binary) => Format::Binary,
            (seen, _) => seen,
        };
        let file = File::read(&bytes, format).map_err(|error| error.to_string())?;
        let key = finder.key(file.metadata()).await?;
        let plain = file
            .decrypt(&key)
            .map_err(|error| runtime::failure::chain(&error))?;
        let plain = match (seen, wanted) {
            (Format::Json, Format::Yaml) => as_yaml(&plain)?,
            _ => plain,
        };
        *value = Value::String(STANDARD.encode(plain));
    }
    Ok(())
}

/// Writes a JSON file as the YAML that its key's name asks for.
fn as_yaml(json: &[u8]) -> Result<Vec<u8>, String> {
    let value: Value = serde_json::from_slice(json).map_err(|_| "it is no JSON".to_owned())?;
    let text = yaml::emit::v3(&value).map_err(|error| error.to_string())?;
    Ok(text.into_bytes())
}

/// Lists the files that generators and patches below a directory read, with their formats.
/// Resources are decrypted as objects; files on other hosts, and outside the tree, are left alone.
fn referenced(tree: &dyn FileTree, path: &str) -> BTreeMap<String, Format> {
    let mut files = BTreeMap::new();
    let mut open = vec![path.to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(dir) = open.pop() {
        let dir = tree.canonical(&dir).unwrap_or(dir);
        if seen.len() >= MAX_KUSTOMIZATIONS || !seen.insert(dir.clone()) {
            continue;
        }
        let Some(fields) = kustomization(tree, &dir) else {
            continue;
        };
        let list = |field: &str| {
            fields
                .get(field)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        };
        for below in list("resources").chain(list("components")) {
            let below = below.as_str().and_then(|entry| join(&dir, entry));
            open.extend(below.filter(|d| tree.stat(d) == Some(Kind::Directory)));
        }
        for generator in list("secretGenerator") {
            let texts = |field: &str| match generator.get(field) {
                Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
                Some(Value::String(text)) => vec![text.as_str()],
                _ => Vec::new(),
            };
            for entry in texts("files") {
                let (key, file) = entry.split_once('=').unwrap_or((entry, entry));
                files.extend(join(&dir, file).map(|file| (file, Format::of_path(key))));
            }
            for file in texts("envs").into_iter().chain(texts("env")) {
                let format = match Format::of_path(file) {
                    Format::Binary => Format::Dotenv,
                    format => format,
                };
                files.extend(join(&dir, file).map(|file| (file, format)));
            }
        }
        for patch in list("patches") {
            let file = patch.get("path").and_then(Value::as_str);
            let file = file.and_then(|file| join(&dir, file));
            files.extend(file.map(|file| {
                let format = Format::of_path(&file);
                (file, format)
            }));
        }
    }
    files
}

fn kustomization(tree: &dyn FileTree, dir: &str) -> Option<Value> {
    let at = |name: &&str| join(dir, name).filter(|f| tree.stat(f) == Some(Kind::File));
    let file = FILE_NAMES.iter().find_map(at)?;
    let bytes = tree.read(&file).ok()?;
    let reader = yaml::Reader::new(yaml::Schema::Legacy);
    let node = reader.read_first(&bytes, &file).ok()??;
    yaml::to_json(&node).ok()
}

/// Joins a local path; none where it is absolute, on another host, or leaves the root.
fn join(dir: &str, path: &str) -> Option<String> {
    if path.starts_with('/') || path.contains("://") {
        return None;
    }
    let mut parts: Vec<&str> = dir.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use kustomize::MemoryTree;

    use super::*;

    /// covers: KC-073, KC-076, KC-077
    #[test]
    fn files_of_generators_and_patches_are_found_below_and_beside() {
        let mut tree = MemoryTree::new();
        tree.insert(
            "apps/kustomization.yaml",
            "resources: [../base, ./missing, https://example.com/x]\ncomponents: [part]\n\
             secretGenerator:\n- name: s\n  files: [config.json=c.enc, token]\n  envs: [a.env, b.txt]\n\
             patches:\n- path: p.yaml\n- patch: inline\n- path: ../../../outside.yaml\n",
        );
        tree.insert(
            "base/kustomization.yml",
            "resources: [../apps]\nsecretGenerator: [{name: b, env: e}]\n",
        );
        tree.insert("apps/part/Kustomization", "patches: [{path: q.json}]\n");
        let found = referenced(&tree, "apps");
        let found: Vec<_> = found
            .iter()
            .map(|(file, format)| (file.as_str(), *format))
            .collect();
        assert_eq!(
            found,
            [
                ("apps/a.env", Format::Dotenv),
                ("apps/b.txt", Format::Dotenv),
                ("apps/c.enc", Format::Json),
                ("apps/p.yaml", Format::Yaml),
                ("apps/part/q.json", Format::Json),
                ("apps/token", Format::Binary),
                ("base/e", Format::Dotenv),
            ]
        );
    }

    /// covers: KC-074
    #[test]
    fn only_files_that_are_encrypted_in_their_own_format_are_decrypted() {
        let golden = |name: &str| {
            let golden = concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../crates/engines/sops/tests/golden"
            );
            std::fs::read(format!("{golden}/{name}")).unwrap()
        };
        let is_encrypted =
            |bytes: &[u8], format| encrypted(bytes, format).map(|file| file.is_some());
        let (env, yaml) = (golden("encrypted/app.env"), golden("encrypted/app.yaml"));
        assert_eq!(is_encrypted(&env, Format::Dotenv), Ok(true));
        assert_eq!(is_encrypted(&yaml, Format::Yaml), Ok(true));
        assert_eq!(
            is_encrypted(&golden("encrypted/app.txt"), Format::Binary),
            Ok(true)
        );
        assert_eq!(
            is_encrypted(&golden("decrypted/app.json"), Format::Json),
            Ok(false)
        );
        // Its name asks for another format: it is left as it is.
        assert_eq!(is_encrypted(&yaml, Format::Ini), Ok(false));
        let mut large = yaml;
        large.extend(vec![b'\n'; MAX_FILE]);
        let error = is_encrypted(&large, Format::Yaml).unwrap_err();
        assert!(error.contains("exceeding limit (5242880)"), "{error}");
    }

    /// covers: KC-004, KC-005
    #[test]
    fn service_account_for_decryption_needs_its_gate() {
        let gates = |text: &str| {
            let (own, none) = (crate::features::GATES, crate::features::WITHOUT_EFFECT);
            Features::parse(text, own, none).unwrap()
        };
        let mut object = Kustomization::default();
        assert!(check(&object, &gates("")).is_ok());
        let spec = serde_json::json!({ "provider": "sops", "serviceAccountName": "a" });
        object.spec.decryption = serde_json::from_value(spec).unwrap();
        let failure = check(&object, &gates("")).unwrap_err();
        assert_eq!(failure.reason, "FeatureGateDisabled");
        assert_eq!(failure.class, runtime::Class::Stall);
        assert!(check(&object, &gates("ObjectLevelWorkloadIdentity=true")).is_ok());
    }
}
