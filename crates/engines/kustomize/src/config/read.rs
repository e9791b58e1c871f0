//! Reads the files of `configurations`.

use std::sync::Arc;

use yaml::Node;

use super::{Config, NameReference};
use crate::error::Error;
use crate::id::Gvk;
use crate::kustomization::{Decoder, field_specs};
use crate::load::File;
use crate::read::Input;

/// Reads one transformer configuration.
///
/// # Errors
/// Where it is no YAML, or has a field nobody knows.
pub(crate) fn read_configuration(file: &File<'_>) -> Result<Config, Error> {
    let node = Input::whole(file).legacy()?;
    let mut d = Decoder::new(&Arc::from(file.path.as_str()), true);
    let mut config = Config::default();
    for (name, key, value) in d.fields(&node, "TransformerConfig") {
        let list = match name.as_str() {
            "nameprefix" => &mut config.name_prefix,
            "namesuffix" => &mut config.name_suffix,
            "namespace" => &mut config.namespace,
            "commonlabels" => &mut config.common_labels,
            "labels" => &mut config.labels,
            "templatelabels" => &mut config.template_labels,
            "commonannotations" => &mut config.common_annotations,
            "varreference" => &mut config.var_reference,
            "images" => &mut config.images,
            "replicas" => &mut config.replicas,
            "namereference" => {
                let items = d.items(value, "nameReference");
                config.name_reference = items.iter().map(|item| reference(&mut d, item)).collect();
                continue;
            }
            _ => {
                d.unknown(key);
                continue;
            }
        };
        *list = field_specs(&mut d, value);
    }
    d.finish("error unmarshaling JSON: while decoding JSON: json")?;
    config.sort();
    Ok(config)
}

fn reference(d: &mut Decoder, node: &Node) -> NameReference {
    let mut reference = NameReference {
        gvk: Gvk::default(),
        referrers: Vec::new(),
    };
    for (name, key, value) in d.fields(node, "nameReference") {
        match name.as_str() {
            "group" => reference.gvk.group = d.text(value, "nameReference.group"),
            "version" => reference.gvk.version = d.text(value, "nameReference.version"),
            "kind" => reference.gvk.kind = d.text(value, "nameReference.kind"),
            "fieldspecs" => reference.referrers = field_specs(d, value),
            _ => d.unknown(key),
        }
    }
    reference
}
