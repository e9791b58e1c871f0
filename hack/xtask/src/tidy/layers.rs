//! Which part of the repository may depend on which.

use super::metadata::{Dependency, Metadata};

/// The layers, top to bottom. A crate depends on crates of the layers that its own names, and of no others.
///
/// Tests may reach further: development dependencies are not edges.
const LAYERS: &[Layer] = &[
    Layer {
        folder: "tests",
        may_use: &["controllers", "crates", "api"],
    },
    Layer {
        folder: "hack",
        may_use: &["controllers", "crates", "api"],
    },
    Layer {
        folder: "controllers",
        may_use: &[
            "crates/access",
            "crates/runtime",
            "crates/adapters",
            "crates/net",
            "crates/engines",
            "api",
        ],
    },
    Layer {
        folder: "crates/cli",
        // What a controller would apply is told by its own code.
        may_use: &[
            "controllers",
            "crates/runtime",
            "crates/adapters",
            "crates/net",
            "crates/engines",
            "api",
        ],
    },
    Layer {
        folder: "crates/access",
        may_use: &[
            "crates/runtime",
            "crates/adapters",
            "crates/net",
            "crates/engines",
            "api",
        ],
    },
    Layer {
        folder: "crates/runtime",
        may_use: &["crates/adapters", "crates/net", "crates/engines", "api"],
    },
    Layer {
        folder: "crates/adapters",
        may_use: &["crates/net", "crates/engines"],
    },
    Layer {
        folder: "crates/net",
        may_use: &["crates/engines", "crates/net/http"],
    },
    Layer {
        folder: "crates/testkit",
        may_use: &["crates/engines"],
    },
    Layer {
        folder: "api",
        may_use: &["crates/engines/go"],
    },
];

/// The edges between engines.
const ENGINES: &[Layer] = &[
    Layer {
        folder: "crates/engines/gotemplate",
        may_use: &["crates/engines/go", "crates/engines/semver"],
    },
    Layer {
        folder: "crates/engines/helm",
        may_use: &[
            "crates/engines/gotemplate",
            "crates/engines/yaml",
            "crates/engines/semver",
            "crates/engines/go",
        ],
    },
    Layer {
        folder: "crates/engines/kustomize",
        may_use: &["crates/engines/yaml", "crates/engines/go"],
    },
    Layer {
        folder: "crates/engines/manifest",
        may_use: &["crates/engines/yaml", "crates/engines/go"],
    },
    Layer {
        folder: "crates/engines/sops",
        may_use: &["crates/engines/yaml"],
    },
    Layer {
        folder: "crates/engines/select",
        may_use: &["crates/engines/semver", "crates/engines/go"],
    },
    Layer {
        folder: "crates/engines/yaml",
        may_use: &["crates/engines/go"],
    },
];

/// Crates that do I/O, which engines do not.
const NOT_IN_ENGINES: &[&str] = &[
    "tokio",
    "kube",
    "kube-client",
    "kube-runtime",
    "reqwest",
    "hyper",
    "axum",
    "git2",
    "tracing",
    "rand",
    "libc",
];

#[derive(Debug)]
struct Layer {
    folder: &'static str,
    may_use: &'static [&'static str],
}

/// Checks every dependency between crates of the repository.
pub(super) fn check(metadata: &Metadata) -> Vec<String> {
    let mut faults = Vec::new();
    for (package, folder) in metadata.members() {
        if package
            .description
            .as_deref()
            .unwrap_or_default()
            .is_empty()
        {
            faults.push(format!("{folder}/Cargo.toml: the description is empty"));
        }
        for dependency in &package.dependencies {
            faults.extend(fault(metadata, folder, dependency));
        }
    }
    faults
}

fn fault(metadata: &Metadata, folder: &str, dependency: &Dependency) -> Option<String> {
    let is_development = dependency.kind.as_deref() == Some("dev");
    let Some(path) = dependency.path.as_deref() else {
        let forbidden =
            within(folder, "crates/engines") && NOT_IN_ENGINES.contains(&dependency.name.as_str());
        return (forbidden && !is_development).then(|| {
            format!(
                "{folder} depends on {}, but engines do no I/O",
                dependency.name
            )
        });
    };
    let target = metadata.folder(path);
    (!is_development && !is_allowed(folder, target))
        .then(|| format!("{folder} depends on {target}, against the order of layers (hack/xtask/src/tidy/layers.rs)"))
}

fn is_allowed(from: &str, to: &str) -> bool {
    // Tests and tasks may use the test kit; shipped programs never.
    let layers = if within(from, "crates/engines") {
        ENGINES
    } else {
        LAYERS
    };
    let layer = layers.iter().find(|layer| within(from, layer.folder));
    layer.is_some_and(|layer| layer.may_use.iter().any(|folder| within(to, folder)))
}

fn within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn arrows_point_downward() {
        let cases = [
            ("controllers/source", "crates/runtime", true),
            ("controllers/source", "crates/adapters/git", true),
            ("controllers/source", "controllers/kustomize", false),
            ("controllers/source", "crates/testkit", false),
            ("controllers/source", "crates/access", true),
            ("crates/access", "crates/runtime", true),
            ("crates/access", "controllers/source", false),
            ("crates/runtime", "crates/access", false),
            ("crates/runtime", "controllers/source", false),
            ("crates/runtime", "crates/engines/yaml", true),
            ("crates/adapters/git", "crates/net/http", true),
            ("crates/adapters/git", "crates/adapters/artifact", false),
            ("crates/adapters/cluster", "api", false),
            ("crates/net/http", "crates/engines/go", true),
            ("crates/engines/helm", "crates/engines/gotemplate", true),
            ("crates/engines/gotemplate", "crates/engines/helm", false),
            ("crates/engines/yaml", "api", false),
            ("crates/engines/unheard-of", "crates/engines/yaml", false),
            ("hack/xtask", "crates/testkit", true),
            ("tests", "crates/testkit", true),
            ("api", "crates/runtime", false),
        ];
        for (from, to, expected) in cases {
            assert_eq!(is_allowed(from, to), expected, "{from} → {to}");
        }
    }
}
