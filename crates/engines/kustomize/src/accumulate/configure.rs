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
    /// Where one cannot be made.
    pub(super) fn transformers(&self, config: &Config) -> Result<Vec<Step>, Error> {
        let mut made: Vec<Box<dyn Transformer>> = Vec::new();
        self.patches(&mut made)?;
        self.names(config, &mut made);
        self.labels(config, &mut made)?;
        self.rest(config, &mut made)?;
        let mut steps: Vec<Step> = made
            .into_iter()
            .map(|transformer| {
                let origin = self.built_in_origin(transformer.name());
                Step {
                    transformer,
                    origin,
                }
            })
            .collect();
        steps.extend(self.transformer_plugins(&self.kustomization.transformers)?);
        Ok(steps)
    }

    fn patches(&self, made: &mut Vec<Box<dyn Transformer>>) -> Result<(), Error> {
        let k = &self.kustomization;
        if !k.patches_strategic_merge.is_empty() {
            let entries: Vec<_> = k
                .patches_strategic_merge
                .iter()
                .map(|entry| (entry.value.clone(), k.place(entry.line)))
                .collect();
            let merges = StrategicMerges::new(&self.loader, &entries).map_err(|error| {
                error.context("trouble configuring builtin PatchStrategicMergeTransformer")
            })?;
            made.push(Box::new(merges));
        }
        let mut faults = Gathered::default();
        for entry in &k.patches {
            let patch = Patches::new(&self.loader, &entry.value, &k.place(entry.line));
            if let Some(patch) = faults.note(patch) {
                made.push(Box::new(patch));
            }
        }
        faults.end()
    }

    fn names(&self, config: &Config, made: &mut Vec<Box<dyn Transformer>>) {
        let k = &self.kustomization;
        if !k.namespace.is_empty() {
            made.push(Box::new(Namespace {
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
                made.push(Box::new(Affix {
                    end,
                    text: text.clone(),
                    specs: specs.clone(),
                }));
            }
        }
    }

    fn labels(&self, config: &Config, made: &mut Vec<Box<dyn Transformer>>) -> Result<(), Error> {
        let k = &self.kustomization;
        if k.labels.is_empty() && k.common_labels.is_empty() {
            return Ok(());
        }
        for label in &k.labels {
            let specs = label_specs(label, config).map_err(|error| {
                error
                    .context("failed to merge labels")
                    .or_place(|| k.place(label.line))
            })?;
            made.push(Box::new(Labels {
                labels: label.value.pairs.clone(),
                specs,
            }));
        }
        made.push(Box::new(Labels {
            labels: k.common_labels.clone(),
            specs: config.common_labels.clone(),
        }));
        Ok(())
    }

    fn rest(&self, config: &Config, made: &mut Vec<Box<dyn Transformer>>) -> Result<(), Error> {
        let k = &self.kustomization;
        if !k.common_annotations.is_empty() {
            made.push(Box::new(Annotations {
                annotations: k.common_annotations.clone(),
                specs: config.common_annotations.clone(),
            }));
        }
        let mut faults = Gathered::default();
        for entry in &k.patches_json6902 {
            let patch = Patches::deprecated(&self.loader, &entry.value, &k.place(entry.line));
            if let Some(patch) = faults.note(patch) {
                made.push(Box::new(patch));
            }
        }
        for entry in &k.replicas {
            made.push(Box::new(Replicas {
                replica: entry.value.clone(),
                specs: config.replicas.clone(),
                place: k.place(entry.line),
            }));
        }
        for entry in &k.images {
            let place = k.place(entry.line);
            let images = Images::new(entry.value.clone(), config.images.clone(), place);
            if let Some(images) = faults.note(images) {
                made.push(Box::new(images));
            }
        }
        faults.end()?;
        if !k.replacements.is_empty() {
            let entries: Vec<_> = k.replacements.iter().map(|r| r.value.clone()).collect();
            made.push(Box::new(Replacements::new(&self.loader, &entries)?));
        }
        Ok(())
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
