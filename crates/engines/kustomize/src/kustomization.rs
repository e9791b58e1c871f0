//! The kustomization file: its fields, as they were written.

mod decode;
mod read;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use decode::Decoder;
pub(crate) use read::{
    field_specs, image, map_generator, patch, read, replacements, replica, selector,
};

use crate::error::Place;
use crate::field_spec::FieldSpec;
use crate::id::{Gvk, Id};
use crate::read::{Input, Lines};

/// The names a kustomization file may have.
pub(crate) const FILE_NAMES: &[&str] =
    &["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// The kind of a component.
pub(crate) const COMPONENT: &str = "Component";

/// A value and the line it stands on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) line: u32,
}

/// A text that may be YAML itself, and where it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) value: String,
    pub(crate) line: u32,
    /// The line its own first line stands on, where it is a literal block; those of other texts
    /// are not lines of the file.
    pub(crate) block: Option<u32>,
}

/// A kustomization file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kustomization {
    pub(crate) file: Arc<str>,
    pub(crate) api_version: At<String>,
    pub(crate) kind: At<String>,
    pub(crate) is_empty: bool,
    pub(crate) deprecated: Vec<&'static str>,
    pub(crate) resources: Vec<Text>,
    pub(crate) components: Vec<Text>,
    pub(crate) crds: Vec<Text>,
    pub(crate) configurations: Vec<Text>,
    pub(crate) generators: Vec<Text>,
    pub(crate) transformers: Vec<Text>,
    pub(crate) validators: Vec<Text>,
    pub(crate) namespace: String,
    pub(crate) name_prefix: String,
    pub(crate) name_suffix: String,
    pub(crate) common_labels: BTreeMap<String, String>,
    pub(crate) labels: Vec<At<Label>>,
    pub(crate) common_annotations: BTreeMap<String, String>,
    pub(crate) patches: Vec<At<Patch>>,
    pub(crate) patches_strategic_merge: Vec<Text>,
    pub(crate) patches_json6902: Vec<At<Patch>>,
    pub(crate) images: Vec<At<Image>>,
    pub(crate) replicas: Vec<At<Replica>>,
    pub(crate) replacements: Vec<At<ReplacementField>>,
    pub(crate) vars: Vec<At<Var>>,
    pub(crate) config_maps: Vec<At<MapGenerator>>,
    pub(crate) secrets: Vec<At<MapGenerator>>,
    pub(crate) generator_options: Option<GeneratorOptions>,
    pub(crate) helm_charts: Vec<At<serde_json::Map<String, serde_json::Value>>>,
    pub(crate) helm_globals: serde_json::Map<String, serde_json::Value>,
    pub(crate) openapi: BTreeMap<String, String>,
    pub(crate) openapi_line: u32,
    pub(crate) build_metadata: Vec<Text>,
    pub(crate) sort_options: Option<SortOptions>,
}

/// One entry of `labels`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Label {
    pub(crate) pairs: BTreeMap<String, String>,
    pub(crate) include_selectors: bool,
    pub(crate) include_templates: bool,
    pub(crate) fields: Vec<FieldSpec>,
}

/// One entry of `patches` or `patchesJson6902`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patch {
    pub(crate) path: String,
    pub(crate) text: Text,
    pub(crate) target: Option<Selector>,
    pub(crate) allow_name_change: bool,
    pub(crate) allow_kind_change: bool,
}

/// Which objects something applies to; empty fields match all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) id: Id,
    pub(crate) annotations: String,
    pub(crate) labels: String,
}

/// One entry of `images`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Image {
    pub(crate) name: String,
    pub(crate) new_name: String,
    pub(crate) tag_suffix: String,
    pub(crate) new_tag: String,
    pub(crate) digest: String,
}

/// One entry of `replicas`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replica {
    pub(crate) name: String,
    pub(crate) count: i64,
}

/// One entry of `replacements`: written here, or in a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReplacementField {
    pub(crate) path: String,
    pub(crate) replacement: Replacement,
}

/// What is copied, and where to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replacement {
    pub(crate) source: Option<Source>,
    pub(crate) source_value: Option<String>,
    pub(crate) targets: Vec<Target>,
    pub(crate) has_targets: bool,
    pub(crate) place: Place,
}

/// Where a replacement comes from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    pub(crate) id: Id,
    pub(crate) field_path: String,
    pub(crate) options: Option<FieldOptions>,
}

/// Where a replacement goes to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Target {
    pub(crate) select: Option<Selector>,
    pub(crate) reject: Vec<Selector>,
    pub(crate) field_paths: Vec<String>,
    pub(crate) options: Option<FieldOptions>,
}

/// How a replacement's field is cut or made.
#[derive(Debug, Clone, Default)]
pub(crate) struct FieldOptions {
    pub(crate) delimiter: String,
    pub(crate) index: i64,
    pub(crate) encoding: String,
    pub(crate) create: bool,
}

/// One entry of `vars`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Var {
    pub(crate) name: String,
    pub(crate) object: Id,
    pub(crate) field_path: String,
    pub(crate) place: Place,
}

/// One entry of `configMapGenerator` or `secretGenerator`.
#[derive(Debug, Clone, Default)]
pub(crate) struct MapGenerator {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) behavior: String,
    pub(crate) literals: Vec<Text>,
    pub(crate) files: Vec<Text>,
    pub(crate) envs: Vec<Text>,
    pub(crate) options: Option<GeneratorOptions>,
    pub(crate) secret_type: String,
}

/// What generated objects have beside their data.
#[derive(Debug, Clone, Default)]
pub(crate) struct GeneratorOptions {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) disable_name_suffix_hash: bool,
    pub(crate) immutable: bool,
}

/// `sortOptions`.
#[derive(Debug, Clone, Default)]
pub(crate) struct SortOptions {
    pub(crate) order: String,
    /// The kinds that come first and last.
    pub(crate) legacy: Option<(Vec<String>, Vec<String>)>,
    pub(crate) place: Place,
}

impl Text {
    /// Gives the text to read it, as a part of the file it stands in.
    pub(crate) fn input<'a>(&'a self, file: &'a str) -> Input<'a> {
        Input {
            bytes: self.value.as_bytes(),
            file,
            lines: self.block.map_or(Lines::Only(self.line), Lines::From),
        }
    }

    /// Gives the text without the blanks around it, as [`Self::input`] does.
    pub(crate) fn trimmed_input<'a>(&'a self, file: &'a str) -> Input<'a> {
        let text = self.value.trim_start();
        let before = &self.value[..self.value.len() - text.len()];
        let skipped = u32::try_from(before.matches('\n').count()).unwrap_or(u32::MAX);
        Input {
            bytes: text.trim_end().as_bytes(),
            file,
            lines: match self.block {
                Some(line) => Lines::From(line.saturating_add(skipped)),
                None => Lines::Only(self.line),
            },
        }
    }
}

impl Kustomization {
    /// Names a line of the file.
    pub(crate) fn place(&self, line: u32) -> Place {
        Place::line(&self.file, line)
    }

    pub(crate) fn wants_metadata(&self, option: &str) -> bool {
        self.build_metadata
            .iter()
            .any(|wanted| wanted.value == option)
    }
}

impl Selector {
    /// Tells whether nothing of the identity is asked for.
    pub(crate) fn names_nothing(&self) -> bool {
        self.id == Id::default()
    }
}

impl MapGenerator {
    /// Gives the options with those of the whole kustomization beneath.
    pub(crate) fn merged_options(&self, global: Option<&GeneratorOptions>) -> GeneratorOptions {
        let mut options = self.options.clone().unwrap_or_default();
        let Some(global) = global else { return options };
        for (key, value) in &global.labels {
            options
                .labels
                .entry(key.clone())
                .or_insert_with(|| value.clone());
        }
        for (key, value) in &global.annotations {
            options
                .annotations
                .entry(key.clone())
                .or_insert_with(|| value.clone());
        }
        options.disable_name_suffix_hash |= global.disable_name_suffix_hash;
        options.immutable |= global.immutable;
        options
    }
}

/// Makes an identity of its parts.
pub(crate) fn id_of(group: &str, version: &str, kind: &str, name: &str, namespace: &str) -> Id {
    Id {
        gvk: Gvk::new(group, version, kind),
        name: name.to_owned(),
        namespace: namespace.to_owned(),
    }
}
