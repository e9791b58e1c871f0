//! Field by field: what a kustomization file may say.

use std::sync::Arc;

use yaml::Node;

use super::decode::{Decoder, line};
use super::{
    At, FieldOptions, GeneratorOptions, Image, Kustomization, Label, MapGenerator, Patch,
    Replacement, ReplacementField, Replica, Selector, SortOptions, Source, Target, Var, id_of,
};
use crate::error::{Error, Place};
use crate::field_spec::FieldSpec;
use crate::id::{Gvk, Id, split_api_version};

/// Reads a kustomization file's tree; gives it with the fields that were dropped.
///
/// # Errors
/// Every field that nobody knows, unless the reading is lenient, and every value of a wrong type.
pub(crate) fn read(
    file: &Arc<str>,
    node: &Node,
    lenient: bool,
) -> Result<(Kustomization, Vec<(Place, String)>), Error> {
    let mut d = Decoder::new(file, !lenient);
    let mut k = Kustomization {
        file: Arc::clone(file),
        is_empty: true,
        ..Default::default()
    };
    let mut fields = d.fields(node, "Kustomization");
    // Upstream decodes JSON with sorted keys: of two spellings of a field the last one counts.
    fields.sort_by(|a, b| a.1.text().cmp(b.1.text()));
    let (mut bases, mut image_tags) = (Vec::new(), Vec::new());
    for (name, key, value) in fields {
        let known = match name.as_str() {
            "bases" => {
                bases = d.lines(value, "Kustomization.bases");
                true
            }
            "imagetags" => {
                image_tags = list(&mut d, value, "Kustomization.imageTags", image);
                true
            }
            name => {
                operands(&mut d, &mut k, name, value)
                    || operators(&mut d, &mut k, name, value)
                    || rest(&mut d, &mut k, name, value)
            }
        };
        if !known {
            d.unknown(key);
        } else if !value.is_null() && !matches!(name.as_str(), "apiversion" | "kind") {
            k.is_empty = false;
            note_deprecated(&mut k, &name);
        }
    }
    let ignored = d.take_ignored();
    d.finish("invalid Kustomization")?;
    k.resources.extend(bases);
    k.images.extend(image_tags);
    Ok((k, ignored))
}

fn note_deprecated(k: &mut Kustomization, name: &str) {
    let old = match name {
        "bases" => "bases",
        "commonlabels" => "commonLabels",
        "imagetags" => "imageTags",
        "patchesjson6902" => "patchesJson6902",
        "patchesstrategicmerge" => "patchesStrategicMerge",
        "vars" => "vars",
        _ => return,
    };
    k.deprecated.push(old);
}

/// Reads the fields that name files.
fn operands(d: &mut Decoder, k: &mut Kustomization, name: &str, value: &Node) -> bool {
    let field = match name {
        "resources" => &mut k.resources,
        "components" => &mut k.components,
        "crds" => &mut k.crds,
        "configurations" => &mut k.configurations,
        "generators" => &mut k.generators,
        "transformers" => &mut k.transformers,
        "validators" => &mut k.validators,
        "patchesstrategicmerge" => &mut k.patches_strategic_merge,
        "buildmetadata" => &mut k.build_metadata,
        _ => return false,
    };
    *field = d.lines(value, &format!("Kustomization.{name}"));
    true
}

/// Reads the fields that change objects.
fn operators(d: &mut Decoder, k: &mut Kustomization, name: &str, value: &Node) -> bool {
    match name {
        "namespace" => k.namespace = d.text(value, "Kustomization.namespace"),
        "nameprefix" => k.name_prefix = d.text(value, "Kustomization.namePrefix"),
        "namesuffix" => k.name_suffix = d.text(value, "Kustomization.nameSuffix"),
        "commonlabels" => k.common_labels = d.text_map(value, "Kustomization.commonLabels"),
        "commonannotations" => {
            k.common_annotations = d.text_map(value, "Kustomization.commonAnnotations");
        }
        "labels" => k.labels = list(d, value, "Kustomization.labels", label),
        "patches" => k.patches = list(d, value, "Kustomization.patches", patch),
        "patchesjson6902" => {
            k.patches_json6902 = list(d, value, "Kustomization.patchesJson6902", patch);
        }
        "images" => k.images = list(d, value, "Kustomization.images", image),
        "replicas" => k.replicas = list(d, value, "Kustomization.replicas", replica),
        "replacements" => {
            k.replacements = list(d, value, "Kustomization.replacements", replacement_field);
        }
        "vars" => k.vars = list(d, value, "Kustomization.vars", var),
        _ => return false,
    }
    true
}

/// Reads the header, the generators and the options.
fn rest(d: &mut Decoder, k: &mut Kustomization, name: &str, value: &Node) -> bool {
    match name {
        "apiversion" => {
            k.api_version.value = d.text(value, "Kustomization.apiVersion");
            k.api_version.line = line(value);
        }
        "kind" => {
            k.kind.value = d.text(value, "Kustomization.kind");
            k.kind.line = line(value);
        }
        "metadata" => metadata(d, value),
        "configmapgenerator" => {
            k.config_maps = list(d, value, "Kustomization.configMapGenerator", config_map);
        }
        "secretgenerator" => {
            k.secrets = list(d, value, "Kustomization.secretGenerator", secret);
        }
        "generatoroptions" => k.generator_options = generator_options(d, value),
        "helmglobals" => k.helm_globals = d.json(value, "Kustomization.helmGlobals"),
        "helmcharts" => {
            k.helm_charts
                .extend(list(d, value, "Kustomization.helmCharts", helm_chart));
        }
        "helmchartinflationgenerator" => {
            let field = "Kustomization.helmChartInflationGenerator";
            k.helm_charts.extend(list(d, value, field, helm_chart));
        }
        "openapi" => {
            k.openapi = d.text_map(value, "Kustomization.openapi");
            k.openapi_line = line(value);
        }
        "sortoptions" => k.sort_options = sort_options(d, value),
        _ => return false,
    }
    true
}

fn list<T>(
    d: &mut Decoder,
    node: &Node,
    field: &str,
    read: fn(&mut Decoder, &Node) -> T,
) -> Vec<At<T>> {
    let items = d.items(node, field);
    items
        .iter()
        .map(|item| At {
            value: read(d, item),
            line: line(item),
        })
        .collect()
}

fn helm_chart(d: &mut Decoder, node: &Node) -> serde_json::Map<String, serde_json::Value> {
    d.json(node, "HelmChart")
}

fn metadata(d: &mut Decoder, node: &Node) {
    for (name, key, value) in d.fields(node, "ObjectMeta") {
        match name.as_str() {
            "name" | "namespace" => drop(d.text(value, "ObjectMeta")),
            "labels" | "annotations" => drop(d.text_map(value, "ObjectMeta")),
            _ => d.unknown(key),
        }
    }
}

fn label(d: &mut Decoder, node: &Node) -> Label {
    let mut label = Label::default();
    for (name, key, value) in d.fields(node, "Label") {
        match name.as_str() {
            "pairs" => label.pairs = d.text_map(value, "Label.pairs"),
            "includeselectors" => {
                label.include_selectors = d.boolean(value, "Label.includeSelectors");
            }
            "includetemplates" => {
                label.include_templates = d.boolean(value, "Label.includeTemplates");
            }
            "fields" => label.fields = field_specs(d, value),
            _ => d.unknown(key),
        }
    }
    label
}

/// Reads a list of fields.
pub(crate) fn field_specs(d: &mut Decoder, node: &Node) -> Vec<FieldSpec> {
    d.items(node, "fieldSpecs")
        .iter()
        .map(|item| field_spec(d, item))
        .collect()
}

fn field_spec(d: &mut Decoder, node: &Node) -> FieldSpec {
    let (mut gvk, mut path, mut create) = (Gvk::default(), String::new(), false);
    for (name, key, value) in d.fields(node, "FieldSpec") {
        match name.as_str() {
            "group" => gvk.group = d.text(value, "FieldSpec.group"),
            "version" => gvk.version = d.text(value, "FieldSpec.version"),
            "kind" => gvk.kind = d.text(value, "FieldSpec.kind"),
            "path" => path = d.text(value, "FieldSpec.path"),
            "create" => create = d.boolean(value, "FieldSpec.create"),
            _ => d.unknown(key),
        }
    }
    FieldSpec::new(gvk, &path, create)
}

/// Reads one patch.
pub(crate) fn patch(d: &mut Decoder, node: &Node) -> Patch {
    let mut patch = Patch::default();
    for (name, key, value) in d.fields(node, "Patch") {
        match name.as_str() {
            "path" => patch.path = d.text(value, "Patch.path"),
            "patch" => patch.text = d.placed(value, "Patch.patch"),
            "target" if value.is_null() => {}
            "target" => patch.target = Some(selector(d, value)),
            "options" => {
                for (name, key, value) in d.fields(value, "Patch.options") {
                    match name.as_str() {
                        "allownamechange" => {
                            patch.allow_name_change = d.boolean(value, "PatchArgs");
                        }
                        "allowkindchange" => {
                            patch.allow_kind_change = d.boolean(value, "PatchArgs");
                        }
                        _ => d.unknown(key),
                    }
                }
            }
            _ => d.unknown(key),
        }
    }
    patch
}

/// Reads a part of an identity; tells whether the field is one.
fn id_part(d: &mut Decoder, id: &mut Id, name: &str, value: &Node) -> bool {
    let part = match name {
        "group" => &mut id.gvk.group,
        "version" => &mut id.gvk.version,
        "kind" => &mut id.gvk.kind,
        "name" => &mut id.name,
        "namespace" => &mut id.namespace,
        _ => return false,
    };
    *part = d.text(value, name);
    true
}

/// Reads a selector.
pub(crate) fn selector(d: &mut Decoder, node: &Node) -> Selector {
    let mut selector = Selector::default();
    for (name, key, value) in d.fields(node, "Selector") {
        match name.as_str() {
            "annotationselector" => selector.annotations = d.text(value, "Selector"),
            "labelselector" => selector.labels = d.text(value, "Selector"),
            name if id_part(d, &mut selector.id, name, value) => {}
            _ => d.unknown(key),
        }
    }
    selector
}

/// Reads one image.
pub(crate) fn image(d: &mut Decoder, node: &Node) -> Image {
    let mut image = Image::default();
    for (name, key, value) in d.fields(node, "Image") {
        match name.as_str() {
            "name" => image.name = d.text(value, "Image.images.name"),
            "newname" => image.new_name = d.text(value, "Image.images.newName"),
            "tagsuffix" => image.tag_suffix = d.text(value, "Image.images.tagSuffix"),
            "newtag" => image.new_tag = d.text(value, "Image.images.newTag"),
            "digest" => image.digest = d.text(value, "Image.images.digest"),
            _ => d.unknown(key),
        }
    }
    image
}

/// Reads one entry of `replicas`.
pub(crate) fn replica(d: &mut Decoder, node: &Node) -> Replica {
    let mut replica = Replica::default();
    for (name, key, value) in d.fields(node, "Replica") {
        match name.as_str() {
            "name" => replica.name = d.text(value, "Replica.name"),
            "count" => replica.count = d.integer(value, "Replica.count"),
            _ => d.unknown(key),
        }
    }
    replica
}

/// Reads a file of replacements: one, or a list.
pub(crate) fn replacements(d: &mut Decoder, node: &Node) -> Vec<Replacement> {
    match node.as_sequence() {
        Some(items) => items
            .iter()
            .map(|item| replacement_field(d, item).replacement)
            .collect(),
        None => vec![replacement_field(d, node).replacement],
    }
}

fn replacement_field(d: &mut Decoder, node: &Node) -> ReplacementField {
    let mut field = ReplacementField::default();
    let replacement = &mut field.replacement;
    replacement.place = d.place(node);
    for (name, key, value) in d.fields(node, "ReplacementField") {
        match name.as_str() {
            "path" => field.path = d.text(value, "ReplacementField.path"),
            "source" if value.is_null() => {}
            "source" => replacement.source = Some(source(d, value)),
            "sourcevalue" => {
                replacement.source_value = d.optional_text(value, "Replacement.sourceValue");
            }
            "targets" => {
                replacement.has_targets = !value.is_null();
                let items = d.items(value, "Replacement.targets");
                replacement.targets = items.iter().map(|item| target(d, item)).collect();
            }
            _ => d.unknown(key),
        }
    }
    field
}

fn source(d: &mut Decoder, node: &Node) -> Source {
    let mut source = Source::default();
    for (name, key, value) in d.fields(node, "SourceSelector") {
        match name.as_str() {
            "fieldpath" => source.field_path = d.text(value, "SourceSelector.fieldPath"),
            "options" => source.options = field_options(d, value),
            name if id_part(d, &mut source.id, name, value) => {}
            _ => d.unknown(key),
        }
    }
    source
}

fn target(d: &mut Decoder, node: &Node) -> Target {
    let mut target = Target::default();
    for (name, key, value) in d.fields(node, "TargetSelector") {
        match name.as_str() {
            "select" if value.is_null() => {}
            "select" => target.select = Some(selector(d, value)),
            "reject" => {
                let items = d.items(value, "TargetSelector.reject");
                target.reject = items.iter().map(|item| selector(d, item)).collect();
            }
            "fieldpaths" => target.field_paths = d.texts(value, "TargetSelector.fieldPaths"),
            "options" => target.options = field_options(d, value),
            _ => d.unknown(key),
        }
    }
    target
}

fn field_options(d: &mut Decoder, node: &Node) -> Option<FieldOptions> {
    if node.is_null() {
        return None;
    }
    let mut options = FieldOptions::default();
    for (name, key, value) in d.fields(node, "FieldOptions") {
        match name.as_str() {
            "delimiter" => options.delimiter = d.text(value, "FieldOptions.delimiter"),
            "index" => options.index = d.integer(value, "FieldOptions.index"),
            "encoding" => options.encoding = d.text(value, "FieldOptions.encoding"),
            "create" => options.create = d.boolean(value, "FieldOptions.create"),
            _ => d.unknown(key),
        }
    }
    Some(options)
}

fn var(d: &mut Decoder, node: &Node) -> Var {
    let mut var = Var {
        place: d.place(node),
        ..Var::default()
    };
    let mut api_version = String::new();
    for (name, key, value) in d.fields(node, "Var") {
        match name.as_str() {
            "name" => var.name = d.text(value, "Var.name"),
            "objref" => {
                for (name, key, value) in d.fields(value, "Var.objref") {
                    match name.as_str() {
                        "apiversion" => api_version = d.text(value, "Target.apiVersion"),
                        name if id_part(d, &mut var.object, name, value) => {}
                        _ => d.unknown(key),
                    }
                }
            }
            "fieldref" => {
                for (name, key, value) in d.fields(value, "Var.fieldref") {
                    match name.as_str() {
                        "fieldpath" => var.field_path = d.text(value, "FieldSelector.fieldPath"),
                        _ => d.unknown(key),
                    }
                }
            }
            _ => d.unknown(key),
        }
    }
    if !api_version.is_empty() {
        let (group, version) = split_api_version(&api_version);
        let Id {
            gvk,
            name,
            namespace,
        } = &var.object;
        let group = if group.is_empty() { &gvk.group } else { group };
        var.object = id_of(group, version, &gvk.kind, name, namespace);
    }
    if var.field_path.is_empty() {
        "metadata.name".clone_into(&mut var.field_path);
    }
    var
}

fn config_map(d: &mut Decoder, node: &Node) -> MapGenerator {
    map_generator(d, node, false)
}

fn secret(d: &mut Decoder, node: &Node) -> MapGenerator {
    map_generator(d, node, true)
}

/// Reads one entry of `configMapGenerator` or `secretGenerator`.
pub(crate) fn map_generator(d: &mut Decoder, node: &Node, is_secret: bool) -> MapGenerator {
    let mut generator = MapGenerator::default();
    let mut env = None;
    for (name, key, value) in d.fields(node, "GeneratorArgs") {
        match name.as_str() {
            "name" => generator.name = d.text(value, "GeneratorArgs.name"),
            "namespace" => generator.namespace = d.text(value, "GeneratorArgs.namespace"),
            "behavior" => generator.behavior = d.text(value, "GeneratorArgs.behavior"),
            "literals" => generator.literals = d.lines(value, "GeneratorArgs.literals"),
            "files" => generator.files = d.lines(value, "GeneratorArgs.files"),
            "envs" => generator.envs = d.lines(value, "GeneratorArgs.envs"),
            "env" => {
                let text = d.placed(value, "GeneratorArgs.env");
                env = (!text.value.is_empty()).then_some(text);
            }
            "options" => generator.options = generator_options(d, value),
            "type" if is_secret => generator.secret_type = d.text(value, "SecretArgs.type"),
            _ => d.unknown(key),
        }
    }
    generator.envs.extend(env);
    generator
}

fn generator_options(d: &mut Decoder, node: &Node) -> Option<GeneratorOptions> {
    if node.is_null() {
        return None;
    }
    let mut options = GeneratorOptions::default();
    for (name, key, value) in d.fields(node, "GeneratorOptions") {
        match name.as_str() {
            "labels" => options.labels = d.text_map(value, "GeneratorOptions.labels"),
            "annotations" => {
                options.annotations = d.text_map(value, "GeneratorOptions.annotations");
            }
            "disablenamesuffixhash" => {
                options.disable_name_suffix_hash = d.boolean(value, "GeneratorOptions");
            }
            "immutable" => options.immutable = d.boolean(value, "GeneratorOptions.immutable"),
            _ => d.unknown(key),
        }
    }
    Some(options)
}

fn sort_options(d: &mut Decoder, node: &Node) -> Option<SortOptions> {
    if node.is_null() {
        return None;
    }
    let mut options = SortOptions {
        place: d.place(node),
        ..SortOptions::default()
    };
    for (name, key, value) in d.fields(node, "SortOptions") {
        match name.as_str() {
            "order" => options.order = d.text(value, "SortOptions.order"),
            "legacysortoptions" if value.is_null() => {}
            "legacysortoptions" => {
                let (mut first, mut last) = (Vec::new(), Vec::new());
                for (name, key, value) in d.fields(value, "LegacySortOptions") {
                    match name.as_str() {
                        "orderfirst" => first = d.texts(value, "LegacySortOptions.orderFirst"),
                        "orderlast" => last = d.texts(value, "LegacySortOptions.orderLast"),
                        _ => d.unknown(key),
                    }
                }
                options.legacy = Some((first, last));
            }
            _ => d.unknown(key),
        }
    }
    Some(options)
}
