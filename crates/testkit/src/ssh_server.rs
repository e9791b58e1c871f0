//! A real OpenSSH server that serves Git repositories.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::git_server::Repository;
use crate::peers::{folder_of, wait_for};
use crate::ports::free_ports;
use crate::supervisor::{ScratchFolder, Supervised};

const USER: &str = "git";

/// How a server is set up.
#[derive(Clone, Debug, Default)]
pub struct SshOptions {
    /// The kinds of its host keys; none: `ed25519`.
    pub host_keys: Vec<String>,
    /// Further lines of `sshd_config`.
    pub config: Vec<String>,
}

/// A key of SSH.
#[derive(Clone, Debug)]
pub struct SshKey {
    /// The private key, PEM.
    pub private: String,
    /// The public key, one line.
    pub public: String,
}

impl SshKey {
    /// Makes a key with `ssh-keygen`. Shapes of `kind`: `ed25519`, `rsa:4096`, `ecdsa:384`.
    ///
    /// # Errors
    /// When `ssh-keygen` is missing or does not know the kind.
    pub fn new(kind: &str, passphrase: &str) -> Result<Self> {
        let folder = ScratchFolder::new("lockgate-ssh-key-")?;
        let file = folder.path().join("key");
        keygen(&file, kind, passphrase)?;
        let read = |path: &Path| fs::read_to_string(path).context("reading an SSH key");
        Ok(Self {
            private: read(&file)?,
            public: read(&file.with_extension("pub"))?.trim().to_owned(),
        })
    }
}

/// An SSH server with Git repositories on loopback. Dropping it ends it and removes them.
#[derive(Debug)]
pub struct SshServer {
    folder: ScratchFolder,
    program: Supervised,
    port: u16,
    kinds: Vec<String>,
}

impl SshServer {
    /// Starts a server that lets nobody in until [`SshServer::authorize`].
    ///
    /// # Errors
    /// When the server cannot be had or does not start.
    pub fn start(options: &SshOptions) -> Result<Self> {
        let programs = folder_of("sshd/fetch")?;
        let folder = ScratchFolder::new("lockgate-sshd-")?;
        let [port] = free_ports()?;
        let kinds = match options.host_keys.as_slice() {
            [] => vec!["ed25519".to_owned()],
            kinds => kinds.to_vec(),
        };
        for kind in &kinds {
            keygen(&folder.path().join(host_key(kind)), kind, "")?;
        }
        configure(folder.path(), port, &kinds, options)?;
        let libraries = programs.join("lib");
        let mut command = Command::new(programs.join("sshd"));
        command
            .args(["-D", "-e", "-f"])
            .arg(folder.path().join("sshd_config"))
            .env("LD_LIBRARY_PATH", &libraries)
            // The machine has neither the user that Git logs in as nor the one that sshd gives rights up to.
            .env("LD_PRELOAD", libraries.join("libnss_wrapper.so"))
            .env("NSS_WRAPPER_PASSWD", folder.path().join("passwd"))
            .env("NSS_WRAPPER_GROUP", folder.path().join("group"));
        let program = Supervised::start(&command, &folder.path().join("sshd.log"))?;
        let server = Self {
            folder,
            program,
            port,
            kinds,
        };
        wait_for(&server.program, &server.address())?;
        Ok(server)
    }

    /// Lets those in who hold the key, and nobody else.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn authorize(&self, public: &str) -> Result<()> {
        let path = self.folder.path().join("authorized_keys");
        fs::write(path, format!("{public}\n")).context("writing authorized keys")
    }

    /// Returns `127.0.0.1:<port>`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the lines of `known_hosts` that name the server's keys.
    ///
    /// # Errors
    /// When a key cannot be read.
    pub fn known_hosts(&self) -> Result<String> {
        let mut text = String::new();
        for kind in &self.kinds {
            let path = self.folder.path().join(format!("{}.pub", host_key(kind)));
            let key = fs::read_to_string(path).context("reading a host key")?;
            write!(text, "[127.0.0.1]:{} {key}", self.port).context("naming a host key")?;
        }
        Ok(text)
    }

    /// Makes an empty repository. Its URL is `ssh://git@127.0.0.1:<port>/<folder>/<name>.git`.
    ///
    /// # Errors
    /// When `git` is missing or the name leads outside the server's folder.
    pub fn repository(&self, name: &str) -> Result<Repository> {
        let inside = name
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.'));
        ensure!(inside, "{name:?} is not a repository name");
        let path = self.folder.path().join(format!("{name}.git"));
        let url = format!("ssh://{USER}@{}{}", self.address(), path.display());
        Repository::create(path, url)
    }

    /// Returns what the server has logged.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        fs::read_to_string(self.program.log_path()).context("reading sshd's log")
    }
}

fn host_key(kind: &str) -> String {
    format!("host_{}", kind.replace(':', "_"))
}

fn keygen(file: &Path, kind: &str, passphrase: &str) -> Result<()> {
    let (kind, bits) = match kind.split_once(':') {
        Some((kind, bits)) => (kind, Some(bits)),
        None => (kind, None),
    };
    let mut command = Command::new("ssh-keygen");
    command
        .args(["-q", "-t", kind, "-C", "test", "-N", passphrase, "-f"])
        .arg(file);
    if let Some(bits) = bits {
        command.args(["-b", bits]);
    }
    let output = command.output().context("running ssh-keygen")?;
    ensure!(
        output.status.success(),
        "ssh-keygen: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn configure(folder: &Path, port: u16, kinds: &[String], options: &SshOptions) -> Result<()> {
    let here = folder.display();
    let mut config = format!(
        "ListenAddress 127.0.0.1\nPort {port}\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n\
         PasswordAuthentication no\nAuthorizedKeysFile {here}/authorized_keys\nAcceptEnv GIT_PROTOCOL\nLogLevel VERBOSE\n\
         MaxStartups 100\n"
    );
    for kind in kinds {
        writeln!(config, "HostKey {here}/{}", host_key(kind))?;
    }
    for line in &options.config {
        writeln!(config, "{line}")?;
    }
    let id = |flag: &str| -> Result<String> {
        let output = Command::new("id")
            .arg(flag)
            .output()
            .context("running id")?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let (user, group) = (id("-u")?, id("-g")?);
    if user == "0" {
        // sshd insists on it where it has rights to give up.
        fs::create_dir_all("/run/sshd").context("making sshd's empty folder")?;
        fs::set_permissions("/run/sshd", fs::Permissions::from_mode(0o755)).ok();
    }
    let passwd = format!(
        "{USER}:x:{user}:{group}::{here}:/bin/sh\nsshd:x:65534:65534::/run/sshd:/bin/false\n"
    );
    for (name, text) in [
        ("sshd_config", config),
        ("passwd", passwd),
        ("group", format!("{USER}:x:{group}:\n")),
        ("authorized_keys", String::new()),
    ] {
        fs::write(folder.join(name), text).context("setting sshd up")?;
    }
    Ok(())
}
