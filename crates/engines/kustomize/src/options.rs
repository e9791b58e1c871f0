//! What a caller may choose about a build.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::file_tree::FileTree;

/// What a caller chooses about a build. The default is what kustomize's command line does, but for
/// network and plugins, which are refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Which files a kustomization may name.
    pub load_restrictions: LoadRestrictions,
    /// How the objects are ordered where the kustomization says nothing.
    pub reorder: Reorder,
    /// Whether every object gets the label `app.kubernetes.io/managed-by`.
    pub managed_by_label: bool,
    /// The version in that label: `kustomize-<version>`; `None` is `(devel)`, as in Flux.
    pub manager_version: Option<&'a str>,
    /// Whether fields nobody knows are dropped from the root's kustomization file, with a warning,
    /// as Flux's kustomize-controller does; elsewhere they are an error.
    pub lenient_root: bool,
    /// Whether a schema that a kustomization brings adds to the built-in one, as in Flux, instead of
    /// taking its place.
    pub keep_built_in_schema: bool,
    /// Whether bases and files on other hosts may be used.
    pub remote: Remote<'a>,
    /// Turns `helmCharts` on; `None` refuses them.
    pub helm: Option<&'a dyn HelmInflator>,
    /// How large the input may be.
    pub limits: Limits,
    /// How many threads may read and print where there is much to do; 0 is the caller's alone. What
    /// comes out does not depend on it.
    pub threads: usize,
}

/// Which files a kustomization may name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoadRestrictions {
    /// Files must lie in or below the directory of the kustomization that names them.
    #[default]
    RootOnly,
    /// Any file of the tree.
    None,
}

/// How the objects are ordered where the kustomization has no `sortOptions`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reorder {
    /// As they were listed.
    #[default]
    None,
    /// By kind: namespaces first, webhooks last.
    Legacy,
}

/// Bounds on what a build reads and makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest file read, in bytes.
    pub max_file_bytes: usize,
    /// The most kustomizations one build may enter, counting a base each time it is used.
    pub max_kustomizations: usize,
    /// The deepest chain of bases and components.
    pub max_depth: usize,
    /// The most objects.
    pub max_resources: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_file_bytes: 50 << 20,
            max_kustomizations: 10_000,
            max_depth: 128,
            max_resources: 500_000,
        }
    }
}

/// Whether bases and files on other hosts may be used. The engine itself fetches nothing: a build
/// that lacks one ends with [`crate::Error::Missing`], and the caller builds again with the answer.
#[derive(Clone, Copy, Default)]
pub enum Remote<'a> {
    /// They are an error.
    #[default]
    Refused,
    /// They are taken from this map; what it lacks is reported.
    Fetched(&'a BTreeMap<RemoteSource, Fetched>),
}

impl fmt::Debug for Remote<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("Refused"),
            Self::Fetched(map) => f.debug_tuple("Fetched").field(map).finish(),
        }
    }
}

/// Something a build needs from another host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RemoteSource {
    /// A file over `http` or `https`.
    Http {
        /// The URL as the kustomization has it.
        url: String,
    },
    /// A git repository, the whole tree at one reference.
    Git {
        /// The URL to clone: `https://github.com/org/repo.git`, `git@host:path`, `file:///path`.
        repository: String,
        /// Branch, tag or commit; `None` is the remote's HEAD.
        reference: Option<String>,
        /// Whether submodules are wanted.
        submodules: bool,
        /// How long the fetch may take, in seconds.
        timeout_seconds: u64,
    },
}

impl fmt::Display for RemoteSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { url } => f.write_str(url),
            Self::Git {
                repository,
                reference: Some(reference),
                ..
            } => {
                write!(f, "{repository}?ref={reference}")
            }
            Self::Git { repository, .. } => f.write_str(repository),
        }
    }
}

/// What a caller brought for a [`RemoteSource`].
#[derive(Clone)]
pub enum Fetched {
    /// The content behind a URL.
    File(Arc<[u8]>),
    /// A repository's files.
    Tree(Arc<dyn FileTree>),
    /// Why it could not be had; it becomes the build's error. For a URL that may also name a git
    /// repository the engine then asks for that.
    Failed(String),
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(content) => write!(f, "File({} bytes)", content.len()),
            Self::Tree(_) => f.write_str("Tree"),
            Self::Failed(reason) => f.debug_tuple("Failed").field(reason).finish(),
        }
    }
}

/// Renders the charts of `helmCharts`; the engine knows no templates.
pub trait HelmInflator: Send + Sync {
    /// Renders one chart to a YAML stream.
    ///
    /// # Errors
    /// A sentence saying what failed.
    fn inflate(&self, tree: &dyn FileTree, chart: &HelmChart) -> Result<String, String>;
}

impl fmt::Debug for dyn HelmInflator + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HelmInflator")
    }
}

/// One entry of `helmCharts`, with `helmGlobals` and the kustomization's namespace applied.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HelmChart {
    /// The directory of the kustomization that names the chart: paths are relative to it.
    pub directory: String,
    /// Every field of the entry as it stands: `name`, `version`, `repo`, `releaseName`,
    /// `namespace`, `valuesFile`, `valuesInline`, `valuesMerge`, `includeCRDs`, `skipHooks`, … and
    /// the globals `chartHome` and `configHome`.
    pub fields: serde_json::Map<String, serde_json::Value>,
}
