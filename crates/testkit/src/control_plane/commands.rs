//! The four programs with their flags.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where everything of one control plane lies and listens.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) binaries: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) etcd: u16,
    pub(super) etcd_peer: u16,
    pub(super) api: u16,
    pub(super) kwok: u16,
    /// Feature gates of the API server: `Name=true`.
    pub(super) gates: Vec<String>,
}

impl Layout {
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn log(&self, program: &str) -> PathBuf {
        self.folder.join(format!("{program}.log"))
    }

    pub(super) fn api_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.api)
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.binaries.join(name));
        command.current_dir(&self.folder);
        // Programs of a test answer to nobody's proxy.
        for variable in [
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "http_proxy",
            "https_proxy",
            "ALL_PROXY",
        ] {
            command.env_remove(variable);
        }
        command
    }

    pub(super) fn etcd(&self) -> Command {
        let client = format!("http://127.0.0.1:{}", self.etcd);
        let peer = format!("http://127.0.0.1:{}", self.etcd_peer);
        let mut command = self.program("etcd");
        command
            .args(["--name=default", "--log-level=warn"])
            // Nothing here outlives the machine's next start.
            .arg("--unsafe-no-fsync")
            .arg(flag("data-dir", &self.file("etcd")))
            .arg(format!("--listen-client-urls={client}"))
            .arg(format!("--advertise-client-urls={client}"))
            .arg(format!("--listen-peer-urls={peer}"))
            .arg(format!("--initial-advertise-peer-urls={peer}"))
            .arg(format!("--initial-cluster=default={peer}"));
        command
    }

    pub(super) fn api_server(&self) -> Command {
        let mut command = self.program("kube-apiserver");
        command
            .arg(format!("--etcd-servers=http://127.0.0.1:{}", self.etcd))
            .arg(format!("--secure-port={}", self.api))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            .args([
                "--endpoint-reconciler-type=none",
                "--service-cluster-ip-range=10.96.0.0/16",
            ])
            .arg(flag("tls-cert-file", &self.file("server.crt")))
            .arg(flag("tls-private-key-file", &self.file("server.key")))
            .arg(flag("client-ca-file", &self.file("ca.crt")))
            .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local")
            .arg(flag(
                "service-account-key-file",
                &self.file("service-accounts.pub"),
            ))
            .arg(flag(
                "service-account-signing-key-file",
                &self.file("service-accounts.key"),
            ))
            .args([
                "--authorization-mode=RBAC",
                "--allow-privileged=true",
                "--profiling=false",
            ])
            // The admission policy that stands in for the scheduler.
            .arg("--feature-gates=MutatingAdmissionPolicy=true")
            .args(
                self.gates
                    .iter()
                    .map(|gate| format!("--feature-gates={gate}")),
            )
            .arg("--runtime-config=admissionregistration.k8s.io/v1beta1=true");
        command
    }

    pub(super) fn controller_manager(&self) -> Command {
        let mut command = self.program("kube-controller-manager");
        command
            .arg(flag("kubeconfig", &self.file("kubeconfig")))
            .args([
                "--leader-elect=false",
                "--secure-port=0",
                "--profiling=false",
            ])
            .arg(flag(
                "service-account-private-key-file",
                &self.file("service-accounts.key"),
            ))
            .arg(flag("root-ca-file", &self.file("ca.crt")))
            // A node whose heartbeat is late on a busy machine must not lose its pods.
            .arg("--node-monitor-grace-period=10m")
            .args(["--kube-api-qps=200", "--kube-api-burst=400"]);
        command
    }

    pub(super) fn kwok(&self) -> Command {
        let mut command = self.program("kwok");
        command
            .arg(flag("kubeconfig", &self.file("kubeconfig")))
            .arg(flag("config", &self.file("stages.yaml")))
            .args(["--manage-all-nodes=true", "--node-ip=127.0.0.1"])
            // Without a lease a node turns NotReady after minutes.
            .arg("--node-lease-duration-seconds=40")
            .arg(format!("--server-address=127.0.0.1:{}", self.kwok));
        command
    }
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}
