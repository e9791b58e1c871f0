//! Which fields the transformers change: the defaults, and what kustomizations add to them.

mod crds;
mod defaults;
mod read;

use std::sync::{Arc, LazyLock};

pub(crate) use crds::read_crd;
pub(crate) use read::read_configuration;

use crate::error::Error;
use crate::field_spec::{FieldSpec, merge_all};
use crate::id::Gvk;
use crate::order::kind_order;
use defaults::{Fields, Row};

/// The fields of each transformer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    pub(crate) name_prefix: Vec<FieldSpec>,
    pub(crate) name_suffix: Vec<FieldSpec>,
    pub(crate) namespace: Vec<FieldSpec>,
    pub(crate) common_labels: Vec<FieldSpec>,
    pub(crate) labels: Vec<FieldSpec>,
    pub(crate) template_labels: Vec<FieldSpec>,
    pub(crate) common_annotations: Vec<FieldSpec>,
    pub(crate) name_reference: Vec<NameReference>,
    pub(crate) var_reference: Vec<FieldSpec>,
    pub(crate) images: Vec<FieldSpec>,
    pub(crate) replicas: Vec<FieldSpec>,
}

/// What is referred to, and the fields that refer to it.
#[derive(Debug, Clone, Default)]
pub(crate) struct NameReference {
    pub(crate) gvk: Gvk,
    pub(crate) referrers: Vec<FieldSpec>,
}

static DEFAULTS: LazyLock<Arc<Config>> = LazyLock::new(|| {
    let specs = |rows: &'static [Row]| all(&[Fields::Rows(rows)]);
    let references = defaults::NAME_REFERENCE
        .iter()
        .map(|reference| NameReference {
            gvk: Gvk::new(reference.group, reference.version, reference.kind),
            referrers: all(reference.fields),
        });
    let mut config = Config {
        name_prefix: specs(defaults::NAME),
        name_suffix: specs(defaults::NAME),
        namespace: specs(defaults::NAMESPACE),
        common_labels: specs(defaults::COMMON_LABELS),
        labels: Vec::new(),
        template_labels: specs(defaults::TEMPLATE_LABELS),
        common_annotations: specs(defaults::ANNOTATIONS),
        name_reference: references.collect(),
        var_reference: all(defaults::VAR_REFERENCE),
        images: specs(defaults::IMAGES),
        replicas: specs(defaults::REPLICAS),
    };
    config.sort();
    Arc::new(config)
});

fn all(fields: &[Fields]) -> Vec<FieldSpec> {
    let mut specs = Vec::new();
    for fields in fields {
        fields.each(|group, version, kind, path, create| {
            specs.push(FieldSpec::new(Gvk::new(group, version, kind), path, create));
        });
    }
    specs
}

impl Config {
    /// Gives the fields that are changed where no kustomization adds any.
    pub(crate) fn defaults() -> Arc<Self> {
        Arc::clone(&DEFAULTS)
    }

    /// Gives a configuration as it is once it stands alone: of two fields the one whose kind is
    /// named hides the other.
    ///
    /// # Errors
    /// Where a field is to be created and not to be created.
    pub(crate) fn alone(config: &Arc<Self>) -> Result<Arc<Self>, Error> {
        if Arc::ptr_eq(config, &DEFAULTS) {
            return Ok(Arc::clone(config));
        }
        let mut alone = Self::default();
        alone.add(config)?;
        Ok(Arc::new(alone))
    }

    /// Adds the fields of another configuration.
    ///
    /// # Errors
    /// Where both have a field and disagree on whether it is created.
    pub(crate) fn merge(self: &mut Arc<Self>, other: &Arc<Self>) -> Result<(), Error> {
        // Every configuration contains the defaults, so they add nothing to any.
        if Arc::ptr_eq(self, other) || Arc::ptr_eq(other, &DEFAULTS) {
            return Ok(());
        }
        Arc::make_mut(self).add(other)
    }

    /// Adds fields that stand on their own.
    ///
    /// # Errors
    /// Where both have a field and disagree on whether it is created.
    pub(crate) fn add(&mut self, other: &Self) -> Result<(), Error> {
        let failed = |what: &'static str| {
            move |error: Error| error.context(format!("failed to merge {what} fieldSpec"))
        };
        merge_all(&mut self.name_prefix, &other.name_prefix).map_err(failed("NamePrefix"))?;
        merge_all(&mut self.name_suffix, &other.name_suffix).map_err(failed("NameSuffix"))?;
        merge_all(&mut self.namespace, &other.namespace).map_err(failed("NameSpace"))?;
        merge_all(&mut self.common_annotations, &other.common_annotations)
            .map_err(failed("CommonAnnotations"))?;
        merge_all(&mut self.common_labels, &other.common_labels).map_err(failed("CommonLabels"))?;
        merge_all(&mut self.labels, &other.labels).map_err(failed("Labels"))?;
        merge_all(&mut self.template_labels, &other.template_labels)
            .map_err(failed("TemplateLabels"))?;
        merge_all(&mut self.var_reference, &other.var_reference).map_err(failed("VarReference"))?;
        for reference in &other.name_reference {
            self.add_reference(reference)
                .map_err(failed("NameReference"))?;
        }
        merge_all(&mut self.images, &other.images).map_err(failed("Images"))?;
        merge_all(&mut self.replicas, &other.replicas).map_err(failed("Replicas"))?;
        self.sort();
        Ok(())
    }

    pub(crate) fn add_reference(&mut self, incoming: &NameReference) -> Result<(), Error> {
        if let Some(reference) = self
            .name_reference
            .iter_mut()
            .find(|reference| reference.gvk == incoming.gvk)
        {
            merge_all(&mut reference.referrers, &incoming.referrers)
        } else {
            self.name_reference.push(incoming.clone());
            Ok(())
        }
    }

    fn sort(&mut self) {
        let lists = [
            &mut self.name_prefix,
            &mut self.name_suffix,
            &mut self.namespace,
            &mut self.common_labels,
            &mut self.labels,
            &mut self.template_labels,
            &mut self.common_annotations,
            &mut self.var_reference,
            &mut self.images,
            &mut self.replicas,
        ];
        for list in lists {
            list.sort_by_cached_key(|spec| kind_order(&spec.gvk));
        }
        self.name_reference
            .sort_by_cached_key(|reference| kind_order(&reference.gvk));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_merge_into_themselves_without_change() {
        let mut config = (*Config::defaults()).clone();
        let before = config.common_labels.len();
        config.add(&Config::defaults()).unwrap();
        assert_eq!(config.common_labels.len(), before);
    }
}
