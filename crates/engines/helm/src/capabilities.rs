//! What a cluster can do, as charts ask for it.

/// A Kubernetes version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeVersion {
    /// The full version, such as `v1.33.4-gke.1245000`.
    pub version: String,
    /// What constraints are checked against and charts print, such as `v1.33.4`; of a discovered
    /// cluster the full version.
    pub normalized: String,
    /// The first number.
    pub major: String,
    /// The second number; some clouds add a plus sign.
    pub minor: String,
}

impl KubeVersion {
    /// The version of a discovered cluster, as its `/version` endpoint says it. Ranges are checked
    /// against all of it, so that `v1.33.4-gke.1` counts as a prerelease.
    pub fn discovered(git_version: &str, major: &str, minor: &str) -> Self {
        Self {
            version: git_version.to_owned(),
            normalized: git_version.to_owned(),
            major: major.to_owned(),
            minor: minor.to_owned(),
        }
    }

    /// Reads a version as `--kube-version` gives it: numbers, then anything.
    ///
    /// # Errors
    /// `None` where the text does not begin with two numbers.
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.trim().trim_start_matches('v');
        let end = body
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(body.len());
        let mut parts = body[..end].split('.').map(str::parse::<u64>);
        let (major, minor) = (parts.next()?.ok()?, parts.next()?.ok()?);
        let numbers: Result<Vec<u64>, _> = parts.collect();
        let rest: Vec<String> = numbers.ok()?.iter().map(u64::to_string).collect();
        Some(Self {
            version: format!("v{}", text.trim_start_matches('v')),
            normalized: format!(
                "v{major}.{minor}{}{}",
                if rest.is_empty() { "" } else { "." },
                rest.join(".")
            ),
            major: major.to_string(),
            minor: minor.to_string(),
        })
    }
}

/// What a chart's templates see under `.Capabilities`.
#[derive(Debug, Clone)]
pub struct Capabilities {
    /// The cluster's version.
    pub kube_version: KubeVersion,
    /// `group/version` and `group/version/Kind` of what is served.
    pub api_versions: Vec<String>,
    /// What `.Capabilities.HelmVersion.Version` says.
    pub helm_version: String,
}

/// The version of Kubernetes that Helm 4.2 assumes without a cluster.
const DEFAULT_KUBE_VERSION: (&str, &str, &str) = ("v1.36.0", "1", "36");

impl Default for Capabilities {
    fn default() -> Self {
        let (version, major, minor) = DEFAULT_KUBE_VERSION;
        Self {
            kube_version: KubeVersion {
                version: version.to_owned(),
                normalized: version.to_owned(),
                major: major.to_owned(),
                minor: minor.to_owned(),
            },
            api_versions: default_api_versions(),
            helm_version: "v4.2".to_owned(),
        }
    }
}

/// What a cluster without extensions serves, by group and version only.
fn default_api_versions() -> Vec<String> {
    DEFAULT_API_VERSIONS
        .iter()
        .map(|v| (*v).to_owned())
        .collect()
}

const DEFAULT_API_VERSIONS: &[&str] = &[
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha2",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];
