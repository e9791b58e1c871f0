//! Makes the transformers that a kustomization file asks for, in the order they run.

use super::{Step, Target};
use crate::config::Config;
use crate::error::{Error, Gathered};
use crate::field_spec::{FieldSpec, merge_all, merge_one};
use crate::id::Gvk;
use crate::kustomization::{At, Label};
use crate::transform::Transformer;
use crate::transform::affix::{Affix, End};
use crate::transform::annotations::Annotations;
use crate::transform::images::Images;
use crate::transform::labels::Labels;
use crate::transform::namespace::{Namespace, Subjects};
use crate::transform::patches::{Patches, StrategicMerges};
use crate::transform::replacements::Replacements;
use crate::transform::replicas::Replicas;

impl Target<'_> {
    /// Makes all transformers, so that what is wrong with one shows before any runs.
    ///
    /// # Errors
    /// Every one that cannot be made.
    pub(super) fn transformers(&self, config: &Config) -> Result<Vec<Step>, Error> {
        let mut made = Made::default();
        self.patches(&mut made);
        self.names(config, &mut made);
        self.labels(config, &mut made);
        self.rest(config, &mut made);
        let mut steps: Vec<Step> = made
            .transformers
            .into_iter()
            .map(|transformer| {
                let origin = self.built_in_origin(transformer.name());
                Step {
                    transformer,
                    origin,
                    place: None,
                }
            })
            .collect();
        let plugins = self.transformer_plugins(&self.kustomization.transformers);
        steps.extend(made.faults.note(plugins).into_iter().flatten());
        made.faults.end()?;
        Ok(steps)
    }

    fn patches(&self, made: &mut Made) {
        let k = &self.kustomization;
        let entries = &k.patches_strategic_merge;
        if !entries.is_empty() {
            let merges = StrategicMerges::new(&self.loader, entries, &k.file);
            made.add(merges.map_err(|error| {
                error.context("trouble configuring builtin PatchStrategicMergeTransformer")
            }));
        }
        for entry in &k.patches {
            let place = k.place(entry.line);
            made.add(Patches::new(&self.loader, &entry.value, &place));
        }
    }

    fn names(&self, config: &Config, made: &mut Made) {
        let k = &self.kustomization;
        if !k.namespace.is_empty() {
            made.add(Ok(Namespace {
                name: k.namespace.clone(),
                specs: config.namespace.clone(),
                unset_only: false,
                subjects: Subjects::NamedDefault,
            }));
        }
        let affixes = [
            (End::Prefix, &k.name_prefix, &config.name_prefix),
            (End::Suffix, &k.name_suffix, &config.name_suffix),
        ];
        for (end, text, specs) in affixes {
            if !text.is_empty() {
                made.add(Ok(Affix {
                    end,
                    text: text.clone(),
                    specs: specs.clone(),
                }));
            }
        }
    }

    fn labels(&self, config: &Config, made: &mut Made) {
        let k = &self.kustomization;
        if k.labels.is_empty() && k.common_labels.is_empty() {
            return;
        }
        for label in &k.labels {
            let specs = label_specs(label, config).map_err(|error| {
                error
                    .context("failed to merge labels")
                    .or_place(|| k.place(label.line))
            });
            made.add(specs.map(|specs| Labels {
                labels: label.value.pairs.clone(),
                specs,
            }));
        }
        made.add(Ok(Labels {
            labels: k.common_labels.clone(),
            specs: config.common_labels.clone(),
        }));
    }

    fn rest(&self, config: &Config, made: &mut Made) {
        let k = &self.kustomization;
        if !k.common_annotations.is_empty() {
            made.add(Ok(Annotations {
                annotations: k.common_annotations.clone(),
                specs: config.common_annotations.clone(),
            }));
        }
        for entry in &k.patches_json6902 {
            let place = k.place(entry.line);
            made.add(Patches::deprecated(&self.loader, &entry.value, &place));
        }
        for entry in &k.replicas {
            made.add(Ok(Replicas {
                replica: entry.value.clone(),
                specs: config.replicas.clone(),
                place: k.place(entry.line),
            }));
        }
        for entry in &k.images {
            let place = k.place(entry.line);
            let images = Images::new(entry.value.clone(), config.images.clone(), place);
            made.add(images);
        }
        if !k.replacements.is_empty() {
            let entries = k.replacements.iter().map(|entry| &entry.value);
            made.add(Replacements::new(&self.loader, entries));
        }
    }
}

/// The transformers made so far, and why others could not be.
#[derive(Default)]
struct Made {
    transformers: Vec<Box<dyn Transformer>>,
    faults: Gathered,
}

impl Made {
    fn add(&mut self, transformer: Result<impl Transformer + 'static, Error>) {
        if let Some(transformer) = self.faults.note(transformer) {
            self.transformers.push(Box::new(transformer));
        }
    }
}

/// Gives the fields an entry of `labels` goes into.
fn label_specs(label: &At<Label>, config: &Config) -> Result<Vec<FieldSpec>, Error> {
    let label = &label.value;
    let mut specs = label.fields.clone();
    merge_all(&mut specs, &config.labels)?;
    if label.include_selectors {
        merge_all(&mut specs, &config.common_labels)?;
        return Ok(specs);
    }
    if label.include_templates {
        merge_all(&mut specs, &config.template_labels)?;
    }
    merge_one(
        &mut specs,
        FieldSpec::new(Gvk::default(), "metadata/labels", true),
    )?;
    Ok(specs)
}
