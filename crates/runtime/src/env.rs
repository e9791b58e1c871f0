//! The environment variables that controllers read: each once, at the start.

/// The namespace that the controller runs in.
pub const RUNTIME_NAMESPACE: &str = "RUNTIME_NAMESPACE";
/// The name of the pod, as Kubernetes sets it.
pub const HOSTNAME: &str = "HOSTNAME";
/// `host:port` that replaces the host of artifact URLs when a controller runs outside a cluster.
pub const SOURCE_CONTROLLER_LOCALHOST: &str = "SOURCE_CONTROLLER_LOCALHOST";

const IN_CLUSTER_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
const DEFAULT_NAMESPACE: &str = "flux-system";

/// Returns the namespace that the controller runs in.
#[must_use]
pub fn runtime_namespace() -> String {
    variable(RUNTIME_NAMESPACE)
        .or_else(|| {
            std::fs::read_to_string(IN_CLUSTER_NAMESPACE)
                .ok()
                .map(|n| n.trim().to_owned())
        })
        .filter(|namespace| !namespace.is_empty())
        .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned())
}

/// Returns the name of the pod or host.
#[must_use]
pub fn hostname() -> String {
    variable(HOSTNAME)
        .or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// Returns a variable that is set and not empty.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
