//! OCI image layouts. Source: <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testkit::registry::{EMPTY, MANIFEST};

use super::{Origin, root_fs};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A blob of a layout.
#[derive(Clone, Debug)]
pub(super) struct Blob {
    pub(super) media_type: String,
    /// `sha256:<hex>`.
    pub(super) digest: String,
    pub(super) size: u64,
}

impl Blob {
    pub(super) fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest, "size": self.size})
    }
}

/// A compressed layer.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) blob: Blob,
    /// The digest of the tar archive, not compressed.
    content: String,
}

/// Something that is said of an image.
pub(super) struct Referrer<'a> {
    pub(super) subject: &'a Blob,
    pub(super) kind: &'a str,
    pub(super) content: &'a [u8],
}

/// A folder that holds an image.
pub(super) struct Layout {
    folder: PathBuf,
    time: u64,
}

impl Layout {
    pub(super) fn new(folder: &Path, time: u64) -> Result<Self> {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).with_context(|| format!("making {}", blobs.display()))?;
        let version = json!({"imageLayoutVersion": "1.0.0"});
        fs::write(folder.join("oci-layout"), version.to_string()).context("writing a layout")?;
        Ok(Self {
            folder: folder.to_owned(),
            time,
        })
    }

    fn blob(&self, media_type: &str, content: &[u8]) -> Result<Blob> {
        let hex = hex::encode(Sha256::digest(content));
        fs::write(self.folder.join("blobs/sha256").join(&hex), content)
            .context("writing a blob")?;
        Ok(Blob {
            media_type: media_type.to_owned(),
            digest: format!("sha256:{hex}"),
            size: content.len() as u64,
        })
    }

    /// Packs what is below `root` at the paths, by name, owned by root.
    pub(super) fn layer(&self, root: &Path, paths: &[&Path]) -> Result<Layer> {
        let mut archive = tar::Builder::new(Vec::new());
        for path in paths {
            self.append(&mut archive, root, path)?;
        }
        let archive = archive.into_inner().context("packing a layer")?;
        let content = format!("sha256:{}", hex::encode(Sha256::digest(&archive)));
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        std::io::Write::write_all(&mut packed, &archive).context("packing a layer")?;
        let packed = packed.finish().context("packing a layer")?;
        Ok(Layer {
            blob: self.blob(LAYER, &packed)?,
            content,
        })
    }

    fn append(&self, archive: &mut tar::Builder<Vec<u8>>, root: &Path, path: &Path) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let file = root.join(path);
        let told = || format!("packing {}", file.display());
        let data = fs::metadata(&file).with_context(told)?;
        let mut header = tar::Header::new_ustar();
        header.set_mode(data.permissions().mode() & 0o7777);
        header.set_mtime(self.time);
        header.set_uid(0);
        header.set_gid(0);
        if data.is_dir() {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_size(0);
            archive
                .append_data(&mut header, path.join(""), std::io::empty())
                .with_context(told)?;
            let entries = fs::read_dir(&file).with_context(told)?;
            let mut names = entries
                .map(|entry| Ok(entry?.file_name()))
                .collect::<Result<Vec<_>>>()?;
            names.sort();
            for name in names {
                self.append(archive, root, &path.join(name))?;
            }
            return Ok(());
        }
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(data.len());
        let content = fs::File::open(&file).with_context(told)?;
        archive
            .append_data(&mut header, path, content)
            .with_context(told)
    }

    /// Writes the image's configuration and manifest.
    pub(super) fn image(&self, name: &str, origin: &Origin, layers: &[Layer]) -> Result<Blob> {
        let created = jiff::Timestamp::from_second(i64::try_from(origin.time)?)?.to_string();
        let user = root_fs::USER;
        let config = json!({
            "architecture": origin.architecture,
            "os": "linux",
            "created": created,
            "config": {
                "User": format!("{user}:{user}"),
                "Env": [format!("SSL_CERT_FILE=/{}", root_fs::CERTIFICATES)],
                "Entrypoint": [format!("/{}/{name}", root_fs::PROGRAMS)],
            },
            "rootfs": {
                "type": "layers",
                "diff_ids": layers.iter().map(|layer| &layer.content).collect::<Vec<_>>(),
            },
        });
        let config = self.blob(CONFIG, config.to_string().as_bytes())?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.descriptor(),
            "layers": layers.iter().map(|layer| layer.blob.descriptor()).collect::<Vec<_>>(),
            "annotations": {
                "org.opencontainers.image.title": name,
                "org.opencontainers.image.version": origin.version,
                "org.opencontainers.image.revision": origin.commit,
                "org.opencontainers.image.created": created,
                "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
            },
        });
        self.blob(MANIFEST, manifest.to_string().as_bytes())
    }

    /// Writes a document and the manifest that ties it to the image.
    pub(super) fn referrer(&self, referrer: &Referrer<'_>) -> Result<Blob> {
        let empty = self.blob(EMPTY, b"{}")?;
        let content = self.blob(referrer.kind, referrer.content)?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": referrer.kind,
            "config": empty.descriptor(),
            "layers": [content.descriptor()],
            "subject": referrer.subject.descriptor(),
        });
        self.blob(MANIFEST, manifest.to_string().as_bytes())
    }

    /// Writes the index, which names the image by its version.
    pub(super) fn index(&self, version: &str, image: &Blob, referrers: &[Blob]) -> Result<()> {
        let mut named = image.descriptor();
        named["annotations"]["org.opencontainers.image.ref.name"] = json!(format!("v{version}"));
        let others = referrers.iter().map(Blob::descriptor);
        let index = json!({
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": std::iter::once(named).chain(others).collect::<Vec<_>>(),
        });
        fs::write(self.folder.join("index.json"), index.to_string()).context("writing an index")
    }
}
