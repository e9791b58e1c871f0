//! A real OCI registry with the referrers API on loopback.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::authority::Authority;
use crate::http_client::ask;
use crate::peers::{folder_of, wait_for};
use crate::ports::free_ports;
use crate::supervisor::{ScratchFolder, Supervised};

/// The type of a manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The type of an empty configuration.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// How a registry is set up.
#[derive(Clone, Debug, Default)]
pub struct RegistryOptions {
    /// User name and password that clients have to show.
    pub credentials: Option<(String, String)>,
    /// Whether it speaks HTTPS, with a certificate of an authority of its own.
    pub tls: bool,
    /// Whether it serves only clients that show a certificate of that authority; asks for `tls`.
    pub client_certificates: bool,
    /// Tags in one answer; `None`: all.
    pub page: Option<usize>,
}

/// A manifest that is to be put into a registry.
#[derive(Clone, Debug, Default)]
pub struct PushedArtifact {
    /// The type of the configuration; empty: [`EMPTY`].
    pub config_type: String,
    /// The configuration; empty: `{}`.
    pub config: Vec<u8>,
    /// `artifactType`, where it has one.
    pub artifact_type: Option<String>,
    /// The layers: type and content.
    pub layers: Vec<(String, Vec<u8>)>,
    /// The annotations.
    pub annotations: Vec<(String, String)>,
    /// The manifest that this one refers to: digest and size.
    pub subject: Option<(String, usize)>,
}

/// An OCI registry. Dropping it ends it and forgets what it held.
#[derive(Debug)]
pub struct Registry {
    program: Supervised,
    address: String,
    open: String,
    authority: Option<Authority>,
    _folder: ScratchFolder,
}

impl Registry {
    /// Starts an empty registry.
    ///
    /// # Errors
    /// When it cannot be built or does not start.
    pub fn start(options: &RegistryOptions) -> Result<Self> {
        let programs = folder_of("servers/build")?;
        let folder = ScratchFolder::new("lockgate-registry-")?;
        let [port, beside] = free_ports()?;
        let (address, open) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{beside}"));
        let mut command = Command::new(programs.join("registry"));
        command.args(["-address", &address, "-open", &open]);
        if let Some((user, password)) = &options.credentials {
            command.args(["-user", user, "-password", password]);
        }
        if let Some(page) = options.page {
            command.args(["-page", &page.to_string()]);
        }
        let mut authority = None;
        if options.tls {
            let own = Authority::new()?;
            let files = own.server(&["127.0.0.1", "localhost"])?.save(&folder)?;
            command.arg("-cert").arg(files.0).arg("-key").arg(files.1);
            if options.client_certificates {
                let file = folder.path().join("ca.crt");
                fs::write(&file, own.pem()).context("writing an authority")?;
                command.arg("-client-ca").arg(file);
            }
            authority = Some(own);
        }
        let program = Supervised::start(&command, &folder.path().join("registry.log"))?;
        wait_for(&program, &address)?;
        wait_for(&program, &open)?;
        Ok(Self {
            program,
            address,
            open,
            authority,
            _folder: folder,
        })
    }

    /// Returns `127.0.0.1:<port>`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the authority of the registry's certificate, where it speaks HTTPS.
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    /// Puts a blob in and returns its digest: `sha256:<hex>`.
    ///
    /// # Errors
    /// When the registry refuses it.
    pub fn push_blob(&self, repository: &str, content: &[u8]) -> Result<String> {
        let digest = digest_of(content);
        let target = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let said = ask(
            &self.open,
            "POST",
            &target,
            "application/octet-stream",
            content,
        )?;
        ensure!(
            said.status == 201,
            "putting a blob in: HTTP {}",
            said.status
        );
        Ok(digest)
    }

    /// Puts a manifest in, byte for byte, under a tag or its digest, and returns the digest.
    ///
    /// # Errors
    /// When the registry refuses it.
    pub fn push_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        content: &[u8],
    ) -> Result<String> {
        let digest = digest_of(content);
        let reference = if reference.is_empty() {
            &digest
        } else {
            reference
        };
        let target = format!("/v2/{repository}/manifests/{reference}");
        let said = ask(&self.open, "PUT", &target, media_type, content)?;
        ensure!(
            said.status == 201,
            "putting a manifest in: HTTP {}",
            said.status
        );
        let named = said.header("Docker-Content-Digest");
        ensure!(
            named.is_none_or(|named| named == digest),
            "the registry names another digest: {named:?}"
        );
        Ok(digest)
    }

    /// Puts an artifact with its blobs in, under a tag, and returns the digest of its manifest. An empty `tag`: none.
    ///
    /// # Errors
    /// When the registry refuses it.
    pub fn push(&self, repository: &str, tag: &str, artifact: &PushedArtifact) -> Result<String> {
        let manifest = self.manifest(repository, artifact)?;
        self.push_manifest(repository, tag, MANIFEST, &manifest)
    }

    /// Puts an artifact's blobs in and returns its manifest, which is not put in.
    ///
    /// # Errors
    /// When the registry refuses a blob.
    pub fn manifest(&self, repository: &str, artifact: &PushedArtifact) -> Result<Vec<u8>> {
        let blob = |media_type: &str, content: &[u8]| -> Result<Value> {
            let digest = self.push_blob(repository, content)?;
            Ok(json!({"mediaType": media_type, "digest": digest, "size": content.len()}))
        };
        let config_type = match artifact.config_type.as_str() {
            "" => EMPTY,
            other => other,
        };
        let config = match artifact.config.as_slice() {
            [] => b"{}",
            other => other,
        };
        let layers = artifact.layers.iter();
        let layers = layers.map(|(media_type, content)| blob(media_type, content));
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": blob(config_type, config)?,
            "layers": layers.collect::<Result<Vec<Value>>>()?,
        });
        if let Some(kind) = &artifact.artifact_type {
            manifest["artifactType"] = json!(kind);
        }
        for (name, value) in &artifact.annotations {
            manifest["annotations"][name] = json!(value);
        }
        if let Some((digest, size)) = &artifact.subject {
            manifest["subject"] = json!({"mediaType": MANIFEST, "digest": digest, "size": size});
        }
        serde_json::to_vec(&manifest).context("writing a manifest")
    }

    /// Takes a tag away.
    ///
    /// # Errors
    /// When there is no such tag.
    pub fn delete(&self, repository: &str, reference: &str) -> Result<()> {
        let target = format!("/v2/{repository}/manifests/{reference}");
        let said = ask(&self.open, "DELETE", &target, "text/plain", b"")?;
        ensure!(
            said.status == 202,
            "taking a manifest away: HTTP {}",
            said.status
        );
        Ok(())
    }

    /// Returns what clients have asked for, in order, as `GET /v2/app/manifests/1.2.4`. What tests put in does not count.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn requests(&self) -> Result<Vec<String>> {
        let log = fs::read_to_string(self.program.log_path());
        let log = log.context("reading a registry's log")?;
        let requests = log.lines().filter_map(|line| line.strip_prefix("request "));
        Ok(requests.map(str::to_owned).collect())
    }
}

fn digest_of(content: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(content)))
}
