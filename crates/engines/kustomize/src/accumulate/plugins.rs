//! The built-in generators and transformers in their long form: configured by objects of their
//! own, in files or inline.

use std::sync::Arc;

use yaml::Node;

use super::{Step, Target};
use crate::error::{Error, Gathered, Place};
use crate::field_spec::FieldSpec;
use crate::generate::iam_policy;
use crate::generate::map::{self, MapKind};
use crate::kustomization::{
    Decoder, Image, Patch, ReplacementField, Replica, Text, field_specs, image, map_generator,
    patch, replacements, replica, selector,
};
use crate::origin::ConfiguredBy;
use crate::read::{self, Input};
use crate::resource::Resource;
use crate::selector::Matcher;
use crate::transform::Transformer;
use crate::transform::affix::{Affix, End};
use crate::transform::annotations::Annotations;
use crate::transform::hash::HashSuffix;
use crate::transform::images::Images;
use crate::transform::labels::Labels;
use crate::transform::namespace::{Namespace, Subjects};
use crate::transform::patches::{Patches, StrategicMerges};
use crate::transform::replacements::Replacements;
use crate::transform::replicas::Replicas;
use crate::transform::value_add::{ValueAdd, ValueTarget};

/// The object that configures a plugin, and the fields read from it.
struct Config<'n> {
    decoder: Decoder,
    node: &'n Node,
    place: Place,
}

/// Which plugins nobody may load.
fn refuse(resource: &Resource) -> Error {
    let kind = resource.kind();
    Error::at(
        resource.place(),
        format!(
            "external plugins disabled; unable to load external plugin '{kind}': exec and \
             container functions are not run"
        ),
    )
}

impl Target<'_> {
    /// Reads the objects that configure plugins: inline ones first, then those of files.
    fn plugin_configs(&self, entries: &[Text]) -> Result<Vec<Resource>, Error> {
        let max_bytes = self.loader.session.options.limits.max_file_bytes;
        let mut all = self.accumulator();
        let mut paths = Vec::new();
        for entry in entries {
            let input = entry.input(&self.kustomization.file);
            match read::resources(&input, max_bytes, 1) {
                Ok(mut inline) => {
                    for resource in &mut inline {
                        resource.origin = self
                            .origin
                            .as_ref()
                            .map(|origin| origin.append(&self.file_name));
                    }
                    all.resources.append_all(inline)?;
                }
                Err(_) => paths.push(entry.clone()),
            }
        }
        self.accumulate_resources(&mut all, &paths)?;
        self.loader.session.check_missing()?;
        Ok(all.resources.into_vec())
    }

    /// Runs the generators of `generators`.
    pub(super) fn run_generator_plugins(&self) -> Result<Vec<Resource>, Error> {
        let configs = self
            .plugin_configs(&self.kustomization.generators)
            .map_err(|error| error.context("loading generator plugins"))?;
        let mut made = Vec::new();
        let mut faults = Gathered::default();
        for config in &configs {
            let origin = self.plugin_origin(config);
            let generated = self
                .generate_plugin(config)
                .map_err(|error| error.or_place(|| config.place()));
            let generated = faults.note(generated).unwrap_or_default();
            made.extend(generated.into_iter().map(|mut resource| {
                if resource.origin.is_none() {
                    resource.origin.clone_from(&origin);
                }
                resource
            }));
        }
        faults.end()?;
        Ok(made)
    }

    fn plugin_origin(&self, config: &Resource) -> Option<crate::origin::Origin> {
        let origin = config.origin.as_ref().filter(|_| self.origin.is_some())?;
        let by = ConfiguredBy {
            api_version: config.api_version().to_owned(),
            kind: config.kind().to_owned(),
            name: config.name().to_owned(),
            namespace: config.namespace().to_owned(),
        };
        Some(crate::origin::Origin {
            path: String::new(),
            repo: origin.repo.clone(),
            reference: origin.reference.clone(),
            configured_in: origin.path.clone(),
            configured_by: Some(by),
        })
    }

    fn generate_plugin(&self, config: &Resource) -> Result<Vec<Resource>, Error> {
        if config.api_version() != "builtin" {
            return Err(refuse(config));
        }
        let kind = match config.kind() {
            "ConfigMapGenerator" => MapKind::ConfigMap,
            "SecretGenerator" => MapKind::Secret,
            "IAMPolicyGenerator" => {
                return iam_policy::generate(&config.node, &config.place()).map(|made| vec![made]);
            }
            "HelmChartInflationGenerator" => {
                let mut d = Decoder::new(&config.file, false);
                let mut fields = d.json(&config.node, "HelmChartInflationGenerator");
                for header in ["apiVersion", "kind", "metadata"] {
                    fields.remove(header);
                }
                return self.inflate_chart(fields, &config.place());
            }
            kind if is_transformer(kind) => {
                let text = format!("plugin {} not a generator", config.id());
                return Err(Error::new(text));
            }
            _ => return Err(unknown(config)),
        };
        let mut d = Decoder::new(&config.file, false);
        let mut generator = map_generator(&mut d, &config.node, kind == MapKind::Secret);
        d.finish(&format!("plugin {} fails configuration", config.id()))?;
        if generator.name.is_empty() {
            config.name().clone_into(&mut generator.name);
        }
        if generator.namespace.is_empty() {
            config.namespace().clone_into(&mut generator.namespace);
        }
        let options = generator.merged_options(None);
        let place = Place {
            object: String::new(),
            ..config.place()
        };
        map::generate(&self.loader, kind, &generator, &options, &place).map(|made| vec![made])
    }

    /// Makes the transformers of `transformers` or `validators`.
    pub(super) fn transformer_plugins(&self, entries: &[Text]) -> Result<Vec<Step>, Error> {
        let mut steps = Vec::new();
        let mut faults = Gathered::default();
        for config in self.plugin_configs(entries)? {
            let made = self.transformer_plugin(&config);
            let made = faults.note(made.map_err(|error| error.or_place(|| config.place())));
            steps.extend(made.map(|transformer| Step {
                transformer,
                origin: self.plugin_origin(&config),
                place: Some(config.place()),
            }));
        }
        faults.end()?;
        Ok(steps)
    }

    fn transformer_plugin(&self, resource: &Resource) -> Result<Box<dyn Transformer>, Error> {
        if resource.api_version() != "builtin" {
            return Err(refuse(resource));
        }
        let mut config = Config {
            decoder: Decoder::new(&resource.file, false),
            node: &resource.node,
            place: resource.place(),
        };
        let made = match config.own(resource)? {
            Some(made) => made,
            None => self.loading_plugin(resource, &mut config)?,
        };
        config
            .decoder
            .finish(&format!("plugin {} fails configuration", resource.id()))?;
        Ok(made)
    }

    /// Makes a transformer that may read files.
    fn loading_plugin(
        &self,
        resource: &Resource,
        config: &mut Config<'_>,
    ) -> Result<Box<dyn Transformer>, Error> {
        let made: Box<dyn Transformer> = match resource.kind() {
            "PatchTransformer" => {
                let entry = patch(&mut config.decoder, config.node);
                Box::new(Patches::new(&self.loader, &entry, &config.place)?)
            }
            "PatchJson6902Transformer" => {
                let entry = patch(&mut config.decoder, config.node);
                let text = config.part("jsonop", |d, node| d.placed(node, "jsonOp"));
                let text = text.unwrap_or_default();
                let entry = Patch { text, ..entry };
                Box::new(Patches::deprecated(&self.loader, &entry, &config.place)?)
            }
            "PatchStrategicMergeTransformer" => Box::new(self.strategic_merges(config)?),
            "ReplacementTransformer" => {
                let entries = config
                    .part("replacements", replacement_list)
                    .unwrap_or_default();
                Box::new(Replacements::new(&self.loader, &entries)?)
            }
            "ValueAddTransformer" => Box::new(self.value_add(config)?),
            kind if is_generator(kind) => {
                return Err(Error::new(format!(
                    "plugin {} not a transformer",
                    resource.id()
                )));
            }
            _ => return Err(unknown(resource)),
        };
        Ok(made)
    }

    fn strategic_merges(&self, config: &mut Config<'_>) -> Result<StrategicMerges, Error> {
        let mut entries = config
            .part("paths", |d, node| d.lines(node, "paths"))
            .unwrap_or_default();
        let inline = config.part("patches", |d, node| d.placed(node, "patches"));
        entries.extend(inline.filter(|text| !text.value.is_empty()));
        if entries.is_empty() {
            return Err(Error::new("empty file path and empty patch content"));
        }
        StrategicMerges::new(&self.loader, &entries, &config.place.file)
    }

    fn value_add(&self, config: &mut Config<'_>) -> Result<ValueAdd, Error> {
        let mut value = config.text("value").trim().to_owned();
        if value.is_empty() {
            let base = self.loader.root.rsplit('/').next();
            base.unwrap_or_default().clone_into(&mut value);
        }
        let mut found = config.part("targets", value_targets).unwrap_or_default();
        let path = config.text("targetfilepath");
        if !path.is_empty() {
            let file = self
                .loader
                .load(&path)
                .map_err(|e| e.into_error(&self.loader.session))?;
            let node = Input::whole(&file).legacy()?;
            let mut d = Decoder::new(&Arc::from(file.path.as_str()), false);
            for (name, _, value) in d.fields(&node, "targets") {
                if name == "targets" {
                    found.extend(value_targets(&mut d, value));
                }
            }
            d.finish("invalid targets")?;
        }
        if found.is_empty() {
            return Err(Error::new("must specify at least one target"));
        }
        let targets = found.into_iter().map(|(selector, field_path, position)| {
            if field_path.is_empty() {
                return Err(Error::new("fieldPath cannot be empty"));
            }
            if position < 0 {
                let text = format!("value of FilePathPosition ({position}) cannot be negative");
                return Err(Error::new(text));
            }
            let selector = selector
                .map(|selector| Matcher::new(&selector, &config.place))
                .transpose()?;
            Ok(ValueTarget {
                selector,
                field_path,
                position,
            })
        });
        let targets = targets.collect::<Result<Vec<_>, Error>>()?;
        Ok(ValueAdd { value, targets })
    }
}

type RawTarget = (Option<crate::kustomization::Selector>, String, i64);

fn value_targets(d: &mut Decoder, node: &Node) -> Vec<RawTarget> {
    let items = d.items(node, "targets");
    let mut targets = Vec::new();
    for item in items {
        let mut target: RawTarget = (None, String::new(), 0);
        for (name, _, value) in d.fields(item, "targets") {
            match name.as_str() {
                "selector" if value.is_null() => {}
                "selector" => target.0 = Some(selector(d, value)),
                "fieldpath" => target.1 = d.text(value, "fieldPath"),
                "filepathposition" => target.2 = d.integer(value, "filePathPosition"),
                _ => {}
            }
        }
        targets.push(target);
    }
    targets
}

fn replacement_list(d: &mut Decoder, node: &Node) -> Vec<ReplacementField> {
    let mut all = Vec::new();
    for item in d.items(node, "replacements") {
        let path = item
            .get("path")
            .map(|path| d.text(path, "path"))
            .unwrap_or_default();
        for replacement in replacements(d, item) {
            all.push(ReplacementField {
                path: path.clone(),
                replacement,
            });
        }
    }
    all
}

impl Config<'_> {
    /// Makes a transformer that needs nothing but its configuration; nothing for other kinds.
    fn own(&mut self, resource: &Resource) -> Result<Option<Box<dyn Transformer>>, Error> {
        let made: Box<dyn Transformer> = match resource.kind() {
            "AnnotationsTransformer" => {
                let annotations = self.text_map("annotations");
                Box::new(Annotations {
                    annotations,
                    specs: self.specs(),
                })
            }
            "LabelTransformer" => Box::new(Labels {
                labels: self.text_map("labels"),
                specs: self.specs(),
            }),
            "NamespaceTransformer" => Box::new(self.namespace(resource)?),
            "PrefixTransformer" => Box::new(self.affix(End::Prefix, "prefix")?),
            "SuffixTransformer" => Box::new(self.affix(End::Suffix, "suffix")?),
            "PrefixSuffixTransformer" => Box::new(Both(
                self.affix(End::Prefix, "prefix")?,
                self.affix(End::Suffix, "suffix")?,
            )),
            "ImageTagTransformer" => {
                let found: Image = self.part("imagetag", image).unwrap_or_default();
                Box::new(Images::new(found, self.specs(), self.place.clone())?)
            }
            "ReplicaCountTransformer" => {
                let found: Replica = self.part("replica", replica).unwrap_or_default();
                let (specs, place) = (self.specs(), self.place.clone());
                Box::new(Replicas {
                    replica: found,
                    specs,
                    place,
                })
            }
            "HashTransformer" => Box::new(HashSuffix),
            _ => return Ok(None),
        };
        Ok(Some(made))
    }

    /// Finds a field, whatever its case.
    fn field(&mut self, name: &str) -> Option<&Node> {
        let fields = self.decoder.fields(self.node, "plugin");
        fields
            .into_iter()
            .find(|(field, _, _)| field == name)
            .map(|(_, _, value)| value)
    }

    fn part<T>(&mut self, name: &str, read: impl Fn(&mut Decoder, &Node) -> T) -> Option<T> {
        let value = self.field(name)?.clone();
        Some(read(&mut self.decoder, &value))
    }

    fn text(&mut self, name: &str) -> String {
        self.part(name, |d, node| d.text(node, name))
            .unwrap_or_default()
    }

    fn text_map(&mut self, name: &str) -> std::collections::BTreeMap<String, String> {
        self.part(name, |d, node| d.text_map(node, name))
            .unwrap_or_default()
    }

    fn specs(&mut self) -> Vec<FieldSpec> {
        self.part("fieldspecs", field_specs).unwrap_or_default()
    }

    fn affix(&mut self, end: End, field: &str) -> Result<Affix, Error> {
        let text = self.text(field);
        if self.field("fieldspecs").is_none() {
            return Err(Error::new("fieldSpecs is not expected to be nil"));
        }
        Ok(Affix {
            end,
            text,
            specs: self.specs(),
        })
    }

    fn namespace(&mut self, resource: &Resource) -> Result<Namespace, Error> {
        let subjects = match self.text("setrolebindingsubjects").as_str() {
            "" | "defaultOnly" => Subjects::NamedDefault,
            "allServiceAccounts" => Subjects::ServiceAccounts,
            "none" => Subjects::Unchanged,
            other => {
                return Err(Error::new(format!(
                    "invalid value \"{other}\" for setRoleBindingSubjects: must be one of \
                     \"defaultOnly\", \"none\" or \"allServiceAccounts\""
                )));
            }
        };
        let unset_only = self.part("unsetonly", |d, node| d.boolean(node, "unsetOnly"));
        Ok(Namespace {
            name: resource.namespace().to_owned(),
            specs: self.specs(),
            unset_only: unset_only.unwrap_or_default(),
            subjects,
        })
    }
}

/// A prefix and a suffix in one.
struct Both(Affix, Affix);

impl Transformer for Both {
    fn name(&self) -> &'static str {
        "PrefixSuffixTransformer"
    }

    fn apply(&self, resources: &mut crate::res_map::ResMap) -> Result<(), Error> {
        self.0.apply(resources)?;
        self.1.apply(resources)
    }
}

fn unknown(resource: &Resource) -> Error {
    let gvk = resource.id().to_id().gvk;
    Error::at(resource.place(), format!("unable to load builtin {gvk}"))
}

fn is_generator(kind: &str) -> bool {
    matches!(
        kind,
        "ConfigMapGenerator"
            | "SecretGenerator"
            | "IAMPolicyGenerator"
            | "HelmChartInflationGenerator"
    )
}

fn is_transformer(kind: &str) -> bool {
    matches!(
        kind,
        "AnnotationsTransformer"
            | "HashTransformer"
            | "ImageTagTransformer"
            | "LabelTransformer"
            | "NamespaceTransformer"
            | "PatchJson6902Transformer"
            | "PatchStrategicMergeTransformer"
            | "PatchTransformer"
            | "PrefixSuffixTransformer"
            | "PrefixTransformer"
            | "ReplacementTransformer"
            | "ReplicaCountTransformer"
            | "SuffixTransformer"
            | "ValueAddTransformer"
    )
}
