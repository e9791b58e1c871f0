//! A real Kubernetes control plane on loopback: etcd, kube-apiserver with RBAC and TLS, kube-controller-manager, and
//! kwok, which plays one node whose pods get Ready.
//!
//! An admission policy that sets `spec.nodeName` stands in for the scheduler. A pod with a `nodeSelector` other than
//! `kubernetes.io/os: linux`, or with scheduling gates, stays Pending. The annotation `testkit.lockgate.dev/pod` on a
//! pod says how it fares: `pending`, `unready` or `crash`; without it the pod runs and is Ready (of a Job: succeeds).

mod binaries;
mod commands;
mod kubeconfig;
mod namespace;
mod ready;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rcgen::KeyPair;
use tokio::sync::OnceCell;

use self::commands::Layout;
use self::kubeconfig::User;
use crate::authority::Authority;
use crate::ports::free_ports;
use crate::supervisor::{ScratchFolder, Supervised};

pub use self::binaries::control_plane_binaries;
pub use self::namespace::Namespace;

const SERVER_NAMES: &[&str] = &[
    "127.0.0.1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
];

const STAGES: &str = include_str!("control_plane/stages.yaml");

/// A port that was free may be taken before its program binds it; then everything starts anew on others.
const ATTEMPTS: u32 = 3;

static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();

/// Returns the control plane that all tests of this test binary share, started by whoever asks first.
///
/// Tests keep apart by namespace ([`ControlPlane::namespace`]). A test that stops the API server or changes things
/// that are not in a namespace starts one of its own ([`ControlPlane::start`]).
///
/// # Panics
/// When it does not start; the message holds the end of the log of the program at fault.
#[expect(
    clippy::panic,
    reason = "a test without its control plane cannot go on"
)]
pub async fn control_plane() -> &'static ControlPlane {
    match SHARED.get_or_try_init(ControlPlane::start).await {
        Ok(shared) => shared,
        Err(error) => panic!("the control plane does not start: {error:#}"),
    }
}

/// A running control plane. Dropping it, or the end of the test process, ends everything and removes its files.
#[derive(Debug)]
pub struct ControlPlane {
    api: Mutex<Option<ApiPrograms>>,
    etcd: Supervised,
    layout: Layout,
    authority: String,
    kubeconfig: Kubeconfig,
    config: Config,
    started_in: Duration,
    // Last: the programs end before their folder goes.
    _folder: ScratchFolder,
}

/// The programs that go away together when the API server does.
#[derive(Debug)]
struct ApiPrograms {
    api_server: Supervised,
    /// The controller-manager and kwok. Fields are dropped in order, so these end after the API server.
    clients: Vec<Supervised>,
}

impl ControlPlane {
    /// Starts a control plane and returns when its node is Ready and pods are placed: about 4 seconds on 2 idle cores,
    /// plus minutes the first time on a machine, when its programs are built.
    ///
    /// # Errors
    /// When its programs cannot be built or one of them does not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts a control plane as [`ControlPlane::start`] does, its API server with these feature gates: `WatchList=false`.
    ///
    /// # Errors
    /// Those of [`ControlPlane::start`].
    pub async fn start_with(gates: &[&str]) -> Result<Self> {
        let binaries = control_plane_binaries().await?;
        // Another part of the process may have chosen a provider already; any does.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let mut attempt = 1;
        loop {
            match Self::try_start(binaries.clone(), gates).await {
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    async fn try_start(binaries: PathBuf, gates: &[&str]) -> Result<Self> {
        let began = Instant::now();
        let folder = ScratchFolder::new("lockgate-control-plane-")?;
        let [etcd, etcd_peer, api, kwok] = free_ports()?;
        let layout = Layout {
            binaries,
            folder: folder.path().to_owned(),
            etcd,
            etcd_peer,
            api,
            kwok,
            gates: gates.iter().copied().map(String::from).collect(),
        };
        let authority = Authority::new()?;
        let admin = authority.client("lockgate-admin", Some("system:masters"))?;
        let kubeconfig = kubeconfig::build(
            &layout.api_url(),
            &authority.pem(),
            &User::Certificate(&admin),
        )?;
        write_files(&layout, &authority, &kubeconfig)?;
        let config = config_of(&kubeconfig).await?;
        let client = Client::try_from(config.clone()).context("making a client")?;

        let etcd = Supervised::start(&layout.etcd(), &layout.log("etcd"))?;
        let api_server = start_api_server(&layout)?;
        ready::api_server(&client, &[&etcd, &api_server]).await?;
        let clients = start_clients(&layout)?;
        ready::create_objects(&client).await?;
        ready::node(&client, &clients).await?;
        ready::pods_are_placed(&client, &clients).await?;

        Ok(Self {
            api: Mutex::new(Some(ApiPrograms {
                api_server,
                clients,
            })),
            etcd,
            layout,
            authority: authority.pem(),
            kubeconfig,
            config,
            started_in: began.elapsed(),
            _folder: folder,
        })
    }

    /// Returns how long the start took, from an empty etcd to a Ready node (without building programs).
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// Returns a new client that may do everything. It belongs to the current Tokio runtime: each test makes its own.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    #[expect(
        clippy::panic,
        reason = "the same configuration has made a client before"
    )]
    pub fn client(&self) -> Client {
        match Client::try_from(self.config.clone()) {
            Ok(client) => client,
            Err(error) => panic!("cannot make a client: {error}"),
        }
    }

    /// Returns the administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Kubeconfig {
        &self.kubeconfig
    }

    /// Returns the file that holds the administrator's kubeconfig, everything inline.
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.layout.file("kubeconfig")
    }

    /// Returns the folder of this control plane: logs (`<program>.log`), keys, data. It goes when the plane does.
    pub fn folder(&self) -> &Path {
        &self.layout.folder
    }

    /// Returns the API server's address: `https://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        self.layout.api_url()
    }

    /// Returns the certificate of the authority that signed the API server's certificate, PEM.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Makes a namespace whose name starts with `prefix` and is used by nobody else, and returns when pods can be
    /// made in it.
    ///
    /// # Panics
    /// When the API server refuses it.
    pub async fn namespace(&self, prefix: &str) -> Namespace {
        Namespace::create(&self.client(), prefix).await
    }

    /// Kills the API server, as when its machine is gone; etcd keeps the state. Connections to it are refused then.
    ///
    /// Its controller-manager and kwok end too: after a restart of the API server alone, the former stalls for half
    /// a minute. Does nothing when it is stopped already.
    pub fn stop_api_server(&self) {
        drop(self.api_programs().take());
    }

    /// Starts what [`ControlPlane::stop_api_server`] ended, on the same port and with the same state.
    ///
    /// # Errors
    /// When a program does not start.
    pub async fn start_api_server(&self) -> Result<()> {
        self.stop_api_server();
        let client = self.client();
        let api_server = start_api_server(&self.layout)?;
        ready::api_server(&client, &[&api_server]).await?;
        ready::release_node(&client).await?;
        let clients = start_clients(&self.layout)?;
        ready::pods_are_placed(&client, &clients).await?;
        *self.api_programs() = Some(ApiPrograms {
            api_server,
            clients,
        });
        Ok(())
    }

    /// Returns the process ids of the programs that run now, for tests about processes.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids = vec![self.etcd.pid()];
        if let Some(api) = self.api_programs().as_ref() {
            pids.push(api.api_server.pid());
            pids.extend(api.clients.iter().map(Supervised::pid));
        }
        pids
    }

    /// Returns a token that lets its bearer act as `service_account` of `namespace` for an hour.
    ///
    /// # Errors
    /// When there is no such account.
    pub async fn token_for(&self, namespace: &str, service_account: &str) -> Result<String> {
        self.token(namespace, service_account, None).await
    }

    /// Returns a token as [`ControlPlane::token_for`] does that is good as long as a Secret of the namespace is there.
    ///
    /// # Errors
    /// When there is no such account or Secret.
    pub async fn token_bound_to(
        &self,
        namespace: &str,
        service_account: &str,
        secret: &str,
    ) -> Result<String> {
        let bound = BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Secret".to_owned()),
            name: Some(secret.to_owned()),
            uid: None,
        };
        self.token(namespace, service_account, Some(bound)).await
    }

    async fn token(
        &self,
        namespace: &str,
        service_account: &str,
        bound_object_ref: Option<BoundObjectReference>,
    ) -> Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        let spec = TokenRequestSpec {
            expiration_seconds: Some(3600),
            bound_object_ref,
            ..Default::default()
        };
        let request = TokenRequest {
            spec,
            ..Default::default()
        };
        let answer = accounts
            .create_token_request(service_account, &PostParams::default(), &request)
            .await
            .with_context(|| format!("asking for a token of {namespace}/{service_account}"))?;
        Ok(answer
            .status
            .context("the token request has no status")?
            .token)
    }

    /// Returns a kubeconfig for `service_account` of `namespace`, with a token of an hour.
    ///
    /// # Errors
    /// When there is no such account.
    pub async fn kubeconfig_for(
        &self,
        namespace: &str,
        service_account: &str,
    ) -> Result<Kubeconfig> {
        let token = self.token_for(namespace, service_account).await?;
        kubeconfig::build(&self.url(), &self.authority, &User::Token(&token))
    }

    /// Returns a client that acts as `service_account` of `namespace`.
    ///
    /// # Errors
    /// When there is no such account.
    pub async fn client_for(&self, namespace: &str, service_account: &str) -> Result<Client> {
        let kubeconfig = self.kubeconfig_for(namespace, service_account).await?;
        Client::try_from(config_of(&kubeconfig).await?).context("making a client")
    }

    fn api_programs(&self) -> MutexGuard<'_, Option<ApiPrograms>> {
        self.api.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) async fn config_of(kubeconfig: &Kubeconfig) -> Result<Config> {
    Config::from_custom_kubeconfig(kubeconfig.clone(), &KubeConfigOptions::default())
        .await
        .context("reading the kubeconfig")
}

fn start_api_server(layout: &Layout) -> Result<Supervised> {
    Supervised::start(&layout.api_server(), &layout.log("kube-apiserver"))
}

fn start_clients(layout: &Layout) -> Result<Vec<Supervised>> {
    Ok(vec![
        Supervised::start(
            &layout.controller_manager(),
            &layout.log("kube-controller-manager"),
        )?,
        Supervised::start(&layout.kwok(), &layout.log("kwok"))?,
    ])
}

fn write_files(layout: &Layout, authority: &Authority, kubeconfig: &Kubeconfig) -> Result<()> {
    let server = authority.server(SERVER_NAMES)?;
    let service_accounts = KeyPair::generate().context("making the service account key")?;
    let kubeconfig = serde_json::to_string_pretty(kubeconfig).context("writing the kubeconfig")?;
    let files = [
        ("ca.crt", authority.pem()),
        ("server.crt", server.certificate),
        ("server.key", server.key),
        ("service-accounts.key", service_accounts.serialize_pem()),
        ("service-accounts.pub", service_accounts.public_key_pem()),
        ("kubeconfig", kubeconfig),
        ("stages.yaml", STAGES.to_owned()),
    ];
    for (name, content) in files {
        fs::write(layout.file(name), content).with_context(|| format!("writing {name}"))?;
    }
    Ok(())
}
