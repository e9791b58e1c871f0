//! Fields that upstream's definitions do not have, and the annotations that say the same.
//!
//! Where upstream's definitions are installed, the API server drops these fields. An annotation is always kept, so each
//! extension can be written as one too: `lockgate.dev/<name of the field>`, with the field's value as JSON, or as the
//! one word or number that it comes down to. Where both are there, the field counts.

use std::{fmt, str::FromStr};

use kube::core::ObjectMeta;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    image::PullRequest,
    kustomize::{DriftDetection, DriftDetectionMode, PruneGuard},
    meta::DependencyReference,
};

/// What the annotations of this project begin with. They are part of what a user wishes, as the spec is.
pub const PREFIX: &str = "lockgate.dev/";

/// Annotation with the source revision whose deletions somebody agrees to, although `spec.pruneGuard` forbids them.
pub const CONFIRM_PRUNE: &str = "lockgate.dev/confirmPrune";

/// Annotation that says why an object is suspended.
pub const SUSPEND_REASON: &str = "lockgate.dev/suspendReason";

/// A field of some kinds, and the annotation that says the same.
#[derive(Clone, Copy, Debug)]
pub struct Extension<T> {
    /// What is listed of it.
    pub entry: Entry,
    /// Reads the short form of the value: a word or a number.
    short: fn(&str) -> Option<T>,
}

/// What is listed of an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The annotation.
    pub annotation: &'static str,
    /// The kinds that have the field.
    pub kinds: &'static [&'static str],
    /// Where the field is, such as `spec.pruneGuard`; `[]` for entries of a list.
    pub path: &'static str,
    /// Values of the annotation, one of each form.
    pub examples: &'static [&'static str],
}

/// Says that an annotation is no value of its field.
#[derive(Debug)]
pub struct ExtensionError {
    annotation: &'static str,
    source: serde_json::Error,
}

impl fmt::Display for ExtensionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid value of annotation '{}'", self.annotation)
    }
}

impl std::error::Error for ExtensionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// `spec.driftDetection` of a Kustomization.
pub const DRIFT_DETECTION: Extension<DriftDetection> = Extension {
    entry: Entry {
        annotation: "lockgate.dev/driftDetection",
        kinds: &["Kustomization"],
        path: "spec.driftDetection",
        examples: &[
            "enabled",
            r#"{"mode": "warn", "ignore": [{"paths": ["/spec/replicas"], "target": {"kind": "Deployment"}}]}"#,
        ],
    },
    short: |text| {
        let mode = DriftDetectionMode::deserialize(Value::from(text)).ok()?;
        Some(DriftDetection {
            mode: Some(mode),
            ignore: Vec::new(),
        })
    },
};

/// `spec.pruneGuard` of a Kustomization.
pub const PRUNE_GUARD: Extension<PruneGuard> = Extension {
    entry: Entry {
        annotation: "lockgate.dev/pruneGuard",
        kinds: &["Kustomization"],
        path: "spec.pruneGuard",
        examples: &["10", "20%", r#"{"maxCount": 10, "maxPercent": 20}"#],
    },
    short: parsed,
};

/// `spec.continueOnError` of a Kustomization.
pub const CONTINUE_ON_ERROR: Extension<bool> = Extension {
    entry: Entry {
        annotation: "lockgate.dev/continueOnError",
        kinds: &["Kustomization"],
        path: "spec.continueOnError",
        examples: &["true"],
    },
    short: parsed,
};

/// Entries of `spec.dependsOn` that name a kind. Those of the annotation come after those of the field.
pub const DEPENDS_ON: Extension<Vec<DependencyReference>> = Extension {
    entry: Entry {
        annotation: "lockgate.dev/dependsOn",
        kinds: &["HelmRelease", "Kustomization"],
        path: "spec.dependsOn[].kind",
        examples: &[
            r#"[{"kind": "HelmRelease", "name": "database", "namespace": "data"}]"#,
            r#"[{"apiVersion": "batch/v1", "kind": "Job", "name": "seed", "readyExpr": "dep.status.succeeded > 0"}]"#,
        ],
    },
    short: |_| None,
};

/// `spec.recovered` of an Alert.
pub const RECOVERED: Extension<bool> = Extension {
    entry: Entry {
        annotation: "lockgate.dev/recovered",
        kinds: &["Alert"],
        path: "spec.recovered",
        examples: &["true"],
    },
    short: parsed,
};

/// `spec.git.pullRequest` of an ImageUpdateAutomation.
pub const PULL_REQUEST: Extension<PullRequest> = Extension {
    entry: Entry {
        annotation: "lockgate.dev/pullRequest",
        kinds: &["ImageUpdateAutomation"],
        path: "spec.git.pullRequest",
        examples: &[
            "github",
            r#"{"provider": "gitlab", "base": "main", "titleTemplate": "Update images"}"#,
        ],
    },
    short: parsed,
};

/// Returns every extension.
pub fn entries() -> impl Iterator<Item = Entry> {
    [
        DRIFT_DETECTION.entry,
        PRUNE_GUARD.entry,
        CONTINUE_ON_ERROR.entry,
        DEPENDS_ON.entry,
        RECOVERED.entry,
        PULL_REQUEST.entry,
    ]
    .into_iter()
}

fn parsed<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

impl<T: Clone + DeserializeOwned> Extension<T> {
    /// Returns the value: that of the field, else that of the annotation.
    ///
    /// # Errors
    /// [`ExtensionError`] where the annotation counts and is no value of the field.
    pub fn read(
        &self,
        field: Option<&T>,
        metadata: &ObjectMeta,
    ) -> Result<Option<T>, ExtensionError> {
        match field {
            Some(field) => Ok(Some(field.clone())),
            None => self.annotated(metadata),
        }
    }

    fn annotated(&self, metadata: &ObjectMeta) -> Result<Option<T>, ExtensionError> {
        let annotation = self.entry.annotation;
        let annotations = metadata.annotations.as_ref();
        let Some(text) = annotations.and_then(|all| all.get(annotation)) else {
            return Ok(None);
        };
        let text = text.trim();
        if let Some(value) = (self.short)(text) {
            return Ok(Some(value));
        }
        serde_json::from_str(text)
            .map(Some)
            .map_err(|source| ExtensionError { annotation, source })
    }
}

impl<T: Clone + DeserializeOwned> Extension<Vec<T>> {
    /// Returns the entries of the field, then those of the annotation.
    ///
    /// # Errors
    /// [`ExtensionError`] where the annotation is no list of such entries.
    pub fn join(&self, field: &[T], metadata: &ObjectMeta) -> Result<Vec<T>, ExtensionError> {
        let mut all = field.to_vec();
        all.extend(self.annotated(metadata)?.into_iter().flatten());
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kube::Resource;

    use crate::{
        helm::HelmRelease,
        image::{ImageUpdateAutomation, PullRequestProvider},
        kustomize::Kustomization,
        notification::Alert,
    };

    use super::*;

    fn annotated<T: Default + Resource>(entry: Entry, text: &str) -> T {
        let mut object = T::default();
        let annotation = (entry.annotation.to_owned(), text.to_owned());
        object.meta_mut().annotations = Some([annotation].into());
        object
    }

    fn kustomization(entry: Entry, text: &str) -> Kustomization {
        annotated(entry, text)
    }

    fn alert(text: &str) -> Alert {
        annotated(RECOVERED.entry, text)
    }

    fn automation(text: &str) -> ImageUpdateAutomation {
        annotated(PULL_REQUEST.entry, text)
    }

    #[test]
    fn annotations_say_what_fields_say() {
        for (text, mode, rules) in [
            ("enabled", DriftDetectionMode::Enabled, 0),
            (" warn\n", DriftDetectionMode::Warn, 0),
            (
                DRIFT_DETECTION.entry.examples[1],
                DriftDetectionMode::Warn,
                1,
            ),
        ] {
            let object = kustomization(DRIFT_DETECTION.entry, text);
            let found = object.drift_detection().unwrap().unwrap();
            assert_eq!((found.mode, found.ignore.len()), (Some(mode), rules));
        }
        for (text, most, share) in [
            ("10", Some(10), None),
            ("20%", None, Some(20)),
            (PRUNE_GUARD.entry.examples[2], Some(10), Some(20)),
        ] {
            let object = kustomization(PRUNE_GUARD.entry, text);
            let found = object.prune_guard().unwrap().unwrap();
            assert_eq!((found.max_count, found.max_percent), (most, share));
        }
        let object = kustomization(CONTINUE_ON_ERROR.entry, "true");
        assert!(object.continue_on_error().unwrap());
        assert!(alert("true").recovered().unwrap());
        let object = automation("gitea").pull_request().unwrap().unwrap();
        assert_eq!(object.provider, PullRequestProvider::Gitea);
        let object = automation(PULL_REQUEST.entry.examples[1]);
        assert_eq!(
            object.pull_request().unwrap().unwrap().base.as_deref(),
            Some("main")
        );
    }

    #[test]
    fn what_is_not_said_is_none() {
        let (one, other) = (Kustomization::default(), ImageUpdateAutomation::default());
        assert_eq!(one.drift_detection().unwrap(), None);
        assert_eq!(one.prune_guard().unwrap(), None);
        assert_eq!(one.confirmed_prune(), None);
        assert!(!one.continue_on_error().unwrap());
        assert_eq!(one.dependencies().unwrap(), []);
        assert!(!Alert::default().recovered().unwrap());
        assert_eq!(other.pull_request().unwrap(), None);
    }

    #[test]
    fn the_field_counts_before_the_annotation() {
        let mut object = kustomization(CONTINUE_ON_ERROR.entry, "nonsense");
        assert!(object.continue_on_error().is_err());
        object.spec.continue_on_error = Some(true);
        assert!(object.continue_on_error().unwrap());
        let mut object = kustomization(PRUNE_GUARD.entry, "10");
        object.spec.prune_guard = Some(PruneGuard {
            max_count: Some(3),
            max_percent: None,
        });
        assert_eq!(object.prune_guard().unwrap().unwrap().max_count, Some(3));
    }

    #[test]
    fn dependencies_of_field_and_annotation_both_count() {
        let text = DEPENDS_ON.entry.examples[0];
        let mut object: HelmRelease = annotated(DEPENDS_ON.entry, text);
        object.spec.depends_on = vec![DependencyReference {
            name: "first".into(),
            ..DependencyReference::default()
        }];
        let names = object.dependencies().unwrap();
        let names = names
            .iter()
            .map(|entry| (entry.kind.as_deref(), &*entry.name));
        assert!(names.eq([(None, "first"), (Some("HelmRelease"), "database")]));
        let object = kustomization(DEPENDS_ON.entry, DEPENDS_ON.entry.examples[1]);
        assert_eq!(
            object.dependencies().unwrap()[0].api_version.as_deref(),
            Some("batch/v1")
        );
    }

    #[test]
    fn a_confirmation_names_a_revision() {
        let mut object = Kustomization::default();
        let annotation = (CONFIRM_PRUNE.to_owned(), "main@sha1:1".to_owned());
        object.metadata.annotations = Some([annotation].into());
        assert_eq!(object.confirmed_prune(), Some("main@sha1:1"));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_names_the_annotation() {
        let errors = [
            kustomization(DRIFT_DETECTION.entry, "on")
                .drift_detection()
                .err(),
            kustomization(PRUNE_GUARD.entry, "many").prune_guard().err(),
            kustomization(CONTINUE_ON_ERROR.entry, "yes")
                .continue_on_error()
                .err(),
            kustomization(DEPENDS_ON.entry, "database")
                .dependencies()
                .err(),
            alert("maybe").recovered().err(),
            automation("sourcehut").pull_request().err(),
        ];
        for (error, entry) in errors.into_iter().zip(entries()) {
            let text = format!("invalid value of annotation '{}'", entry.annotation);
            assert_eq!(error.unwrap().to_string(), text);
        }
    }

    #[test]
    fn annotations_are_named_after_their_fields() {
        let names: BTreeSet<_> = entries().map(|entry| entry.annotation).collect();
        assert_eq!(names.len(), entries().count());
        for entry in entries() {
            let path = entry.path.split("[]").next().unwrap();
            let field = path.rsplit('.').next().unwrap();
            assert_eq!(entry.annotation, format!("lockgate.dev/{field}"));
            assert!(entry.examples.iter().all(|text| !text.is_empty()));
        }
    }
}
