//! A real S3 server (versitygw) over a folder on loopback.

use std::fs;
use std::path::{Component, Path};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::authority::Authority;
use crate::peers::{folder_of, wait_for};
use crate::ports::free_ports;
use crate::supervisor::{ScratchFolder, Supervised};

/// An S3 server with its buckets. Dropping it ends it and removes them.
#[derive(Debug)]
pub struct ObjectStore {
    folder: ScratchFolder,
    program: Supervised,
    address: String,
    authority: Option<Authority>,
}

impl ObjectStore {
    /// The access key of the one user.
    pub const ACCESS_KEY: &'static str = "lockgate-access";
    /// The secret key of the one user.
    pub const SECRET_KEY: &'static str = "lockgate-secret";
    /// The region that the server is in.
    pub const REGION: &'static str = "eu-test-1";

    /// Starts a server; with `tls` it speaks HTTPS with a certificate of an authority of its own.
    ///
    /// # Errors
    /// When the server cannot be built or does not start.
    pub fn start(tls: bool) -> Result<Self> {
        let programs = folder_of("servers/build")?;
        let folder = ScratchFolder::new("lockgate-s3-")?;
        for name in ["data", "sidecar"] {
            fs::create_dir(folder.path().join(name)).context("making a store's folder")?;
        }
        let [port] = free_ports()?;
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(programs.join("versitygw"));
        command
            .args(["--port", &address, "--region", Self::REGION])
            .env("ROOT_ACCESS_KEY", Self::ACCESS_KEY)
            .env("ROOT_SECRET_KEY", Self::SECRET_KEY);
        let mut authority = None;
        if tls {
            let own = Authority::new()?;
            let files = own.server(&["127.0.0.1", "localhost"])?.save(&folder)?;
            command.arg("--cert").arg(files.0).arg("--key").arg(files.1);
            authority = Some(own);
        }
        // Attributes in files: not every file system knows extended ones.
        command
            .args(["posix", "--sidecar"])
            .arg(folder.path().join("sidecar"))
            .arg(folder.path().join("data"));
        let program = Supervised::start(&command, &folder.path().join("versitygw.log"))?;
        wait_for(&program, &address)?;
        Ok(Self {
            folder,
            program,
            address,
            authority,
        })
    }

    /// Returns `127.0.0.1:<port>`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the authority of the server's certificate, where it speaks HTTPS.
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    /// Makes an empty bucket.
    ///
    /// # Errors
    /// When it exists already.
    pub fn bucket(&self, name: &str) -> Result<()> {
        ensure!(is_inside(name), "{name:?} is not the name of a bucket");
        fs::create_dir(self.folder.path().join("data").join(name)).context("making a bucket")
    }

    /// Puts an object into a bucket, in place of what was there. The ETag follows from the content.
    ///
    /// # Errors
    /// When there is no such bucket or the key leads outside it.
    pub fn put(&self, bucket: &str, key: &str, content: &[u8]) -> Result<()> {
        ensure!(
            is_inside(bucket) && is_inside(key),
            "{key:?} is not the key of an object"
        );
        let root = self.folder.path().join("data").join(bucket);
        ensure!(root.is_dir(), "there is no bucket {bucket}");
        let meta = self.folder.path().join("sidecar").join(bucket).join(key);
        let meta = meta.join("meta");
        fs::create_dir_all(&meta).context("writing an object's attributes")?;
        let etag = hex::encode(Sha256::digest(content));
        fs::write(meta.join("etag"), format!("\"{}\"", &etag[..32]))
            .context("writing an object's attributes")?;
        let file = root.join(key);
        let parent = file.parent().context("an object has a folder")?;
        fs::create_dir_all(parent).context("writing an object")?;
        fs::write(file, content).context("writing an object")
    }

    /// Takes an object out of a bucket.
    ///
    /// # Errors
    /// When there is no such object.
    pub fn delete(&self, bucket: &str, key: &str) -> Result<()> {
        ensure!(
            is_inside(bucket) && is_inside(key),
            "{key:?} is not the key of an object"
        );
        let file = self.folder.path().join("data").join(bucket).join(key);
        fs::remove_file(file).context("deleting an object")
    }

    /// Returns a line for each request that was served: tests count them.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn requests(&self) -> Result<Vec<String>> {
        let log = fs::read_to_string(self.program.log_path()).context("reading a store's log")?;
        let is_request = |line: &&str| line.contains(" | ");
        Ok(log.lines().filter(is_request).map(str::to_owned).collect())
    }
}

fn is_inside(name: &str) -> bool {
    !name.is_empty()
        && Path::new(name)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}
