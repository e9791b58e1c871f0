//! Copies values from one object's field to others'.

mod structured;

use yaml::{Node, Style, Value};

use super::Transformer;
use crate::error::{Error, Gathered};
use crate::id::{Gvk, Id, IdRef};
use crate::kustomization::{
    Decoder, FieldOptions, Replacement, ReplacementField, Source, Target, replacements,
};
use crate::load::Loader;
use crate::path::{self, Make};
use crate::read;
use crate::res_map::ResMap;
use crate::resource::Resource;
use crate::schema::Schema;
use crate::selector::Matcher;
use crate::tree;

const DEFAULT_PATH: &str = "metadata.name";

/// All entries of `replacements`.
#[derive(Debug)]
pub(crate) struct Replacements {
    replacements: Vec<Replacement>,
}

impl Replacements {
    /// Reads the entries, and the files they name.
    ///
    /// # Errors
    /// Where an entry is both a path and a replacement, or a file cannot be read.
    pub(crate) fn new<'e>(
        loader: &Loader<'_>,
        entries: impl IntoIterator<Item = &'e ReplacementField>,
    ) -> Result<Self, Error> {
        let mut all = Vec::new();
        let mut faults = Gathered::default();
        for entry in entries {
            let replacement = &entry.replacement;
            if entry.path.is_empty() {
                all.push(replacement.clone());
                continue;
            }
            let found = if replacement.source.is_some() || !replacement.targets.is_empty() {
                let text = "cannot specify both path and inline replacement";
                Err(Error::at(replacement.place.clone(), text))
            } else {
                from_file(loader, entry)
            };
            all.extend(faults.note(found).into_iter().flatten());
        }
        faults.end()?;
        Ok(Self { replacements: all })
    }
}

fn from_file(loader: &Loader<'_>, entry: &ReplacementField) -> Result<Vec<Replacement>, Error> {
    let place = &entry.replacement.place;
    let file = loader
        .load(&entry.path)
        .map_err(|error| error.into_error(&loader.session).with_place(place.clone()))?;
    let node = read::Input::whole(&file).legacy()?;
    if node.is_scalar() {
        let text = "unsupported replacement type encountered within replacement path";
        return Err(Error::at(read::node_place(&node, &file.path), text));
    }
    let mut decoder = Decoder::new(&std::sync::Arc::from(file.path.as_str()), false);
    let found = replacements(&mut decoder, &node);
    decoder.finish("invalid replacement")?;
    Ok(found)
}

impl Transformer for Replacements {
    fn name(&self) -> &'static str {
        "ReplacementTransformer"
    }

    fn apply(&self, resources: &mut ResMap) -> Result<(), Error> {
        let mut faults = Gathered::default();
        for replacement in &self.replacements {
            let replaced = replace(resources, replacement);
            faults.note(replaced.map_err(|error| error.with_place(replacement.place.clone())));
        }
        faults.end()
    }
}

fn replace(resources: &mut ResMap, replacement: &Replacement) -> Result<(), Error> {
    let has_source = replacement.source.is_some() || replacement.source_value.is_some();
    if !has_source || !replacement.has_targets {
        return Err(Error::new(
            "replacements must specify a source and at least one target",
        ));
    }
    let mut live = None;
    let mut value = match (&replacement.source, &replacement.source_value) {
        (Some(_), Some(_)) => {
            return Err(Error::new(
                "value and resource selectors are mutually exclusive",
            ));
        }
        (None, Some(text)) => tree::untagged(text, Style::Plain),
        (Some(source), None) => {
            let (at, value) = value_of(resources, source)?;
            let is_cut = source
                .options
                .as_ref()
                .is_some_and(|o| !o.delimiter.is_empty());
            // The value is the source's field itself: a target that changes it changes the value.
            live = (!is_cut).then(|| (at, path_of(source)));
            value
        }
        (None, None) => return Ok(()),
    };
    let mut faults = Gathered::default();
    for target in &replacement.targets {
        let applied = apply(resources, &mut value, live.as_ref(), target, replacement);
        faults.note(applied);
    }
    resources.names_changed();
    faults.end()
}

/// Tells whether an identity has all that a source asks for.
fn is_selected(id: &IdRef<'_>, wanted: &Id, schema: &Schema) -> bool {
    let Id {
        gvk,
        name,
        namespace,
    } = wanted;
    let asked = || Gvk::new(&gvk.group, &gvk.version, &gvk.kind);
    let in_namespace = || {
        let selector = Id {
            gvk: asked(),
            name: String::new(),
            namespace: namespace.clone(),
        };
        selector.as_ref().effective_namespace(schema) == id.effective_namespace(schema)
    };
    (name.is_empty() || name == id.name)
        && (namespace.is_empty() || in_namespace())
        && gvk.selects(id)
}

/// Gives the path of a source's field.
fn path_of(source: &Source) -> Vec<String> {
    match source.field_path.as_str() {
        "" => path::split(DEFAULT_PATH),
        path => path::split(path),
    }
}

fn value_of(resources: &ResMap, source: &Source) -> Result<(usize, Node), Error> {
    let schema = resources.schema();
    let selects = |(_, resource): &(usize, &Resource)| {
        resource
            .any_ids()
            .any(|id| is_selected(&id, &source.id, schema))
    };
    let found: Vec<(usize, &Resource)> = resources.iter().enumerate().filter(selects).collect();
    let shown = || match source.field_path.as_str() {
        "" => source.id.to_string(),
        path => format!("{}:{path}", source.id),
    };
    let (at, resource) = match found.as_slice() {
        [] => return Err(Error::new(format!("nothing selected by {}", shown()))),
        [one] => *one,
        several => {
            let error = Error::new(format!("multiple matches for selector {}", shown()));
            return Err(several
                .iter()
                .fold(error, |e, (_, resource)| e.with_place(resource.place())));
        }
    };
    let path = match source.field_path.as_str() {
        "" => DEFAULT_PATH,
        path => path,
    };
    let node = path::lookup(&resource.node, &path_of(source)).map_err(|problem| {
        Error::at(
            resource.place(),
            format!("error looking up replacement source: {problem}"),
        )
    })?;
    let Some(node) = node.filter(|node| !tree::is_empty(node) || tree::is_copied(node)) else {
        return Err(Error::at(
            resource.place(),
            format!(
                "fieldPath `{path}` is missing for replacement source {}",
                source.id
            ),
        ));
    };
    let value = refine(node, source.options.as_ref())
        .map_err(|problem| Error::at(resource.place(), problem))?;
    Ok((at, value))
}

/// Cuts the part of a value that the source's options ask for.
fn refine(node: &Node, options: Option<&FieldOptions>) -> Result<Node, String> {
    let Some(options) = options.filter(|options| !options.delimiter.is_empty()) else {
        return Ok(node.clone());
    };
    if !node.is_scalar() {
        return Err("delimiter option can only be used with scalar nodes".to_owned());
    }
    let part = usize::try_from(options.index)
        .ok()
        .and_then(|index| node.text().split(options.delimiter.as_str()).nth(index));
    let part = part.ok_or_else(|| {
        format!(
            "options.index {} is out of bounds for value {}",
            options.index,
            node.text()
        )
    })?;
    retext(node, part)
}

/// Gives a scalar another text; what kind of value it is stays.
pub(super) fn retext(node: &Node, text: &str) -> Result<Node, String> {
    let node_like = |fresh: Node| fresh.with_style(node.style).with_span(node.span.clone());
    if node.is_string() {
        return Ok(node_like(Node::string(text)));
    }
    if tree::is_copied(node) {
        return Ok(tree::copied(text));
    }
    let fresh = tree::untagged(text, node.style);
    if node.is_null() && node.text().is_empty() {
        return Ok(node_like(fresh));
    }
    let same = match (node.kind(), fresh.kind()) {
        (Some(one), Some(other)) => {
            let is_int = |kind| matches!(kind, yaml::Kind::Int(_) | yaml::Kind::Uint(_));
            std::mem::discriminant(&one) == std::mem::discriminant(&other)
                || (is_int(one) && is_int(other))
                || (matches!(one, yaml::Kind::Float(_)) && is_int(other))
                || fresh.is_string() && tree::is_quoted(node.style)
        }
        _ => false,
    };
    if same {
        Ok(node_like(fresh))
    } else {
        Err(format!(
            "cannot decode `{text}` as the kind of value that `{}` is",
            node.text()
        ))
    }
}

fn apply(
    resources: &mut ResMap,
    value: &mut Node,
    live: Option<&(usize, Vec<String>)>,
    target: &Target,
    replacement: &Replacement,
) -> Result<(), Error> {
    let Some(select) = &target.select else {
        return Err(Error::new("target must specify resources to select"));
    };
    let select = Matcher::new(select, &replacement.place)?;
    let rejects: Vec<Matcher> = target
        .reject
        .iter()
        .map(|selector| Matcher::new(selector, &replacement.place))
        .collect::<Result<_, _>>()?;
    let default = [DEFAULT_PATH.to_owned()];
    let paths = if target.field_paths.is_empty() {
        &default[..]
    } else {
        &target.field_paths
    };
    let mut faults = Gathered::default();
    for (at, resource) in resources.content_mut().enumerate() {
        if resource.is_empty() || !is_target(resource, &select, &rejects) {
            continue;
        }
        for field_path in paths {
            let options = target.options.as_ref();
            let copied = copy(&mut resource.node, value, field_path, options);
            faults.note(copied.map_err(|problem| Error::at(resource.place(), problem)));
            if let Some((_, path)) = live.filter(|(source, _)| *source == at)
                && let Ok(Some(node)) = path::lookup(&resource.node, path)
            {
                *value = node.clone();
            }
        }
    }
    faults.end()
}

fn is_target(resource: &Resource, select: &Matcher, rejects: &[Matcher]) -> bool {
    if !select.matches_labels(resource) {
        return false;
    }
    if rejects
        .iter()
        .any(|reject| reject.has_labels() && reject.matches_labels(resource))
    {
        return false;
    }
    let is_rejected = |id: IdRef<'_>| {
        rejects
            .iter()
            .any(|reject| !reject.names_nothing() && reject.matches_id(&id))
    };
    !resource.any_ids().any(is_rejected) && resource.any_ids().any(|id| select.matches_id(&id))
}

fn copy(
    object: &mut Node,
    value: &Node,
    field_path: &str,
    options: Option<&FieldOptions>,
) -> Result<(), String> {
    let create = options.is_some_and(|options| options.create);
    let make = if create {
        Make::like(value)
    } else {
        Make::Nothing
    };
    let parts = path::split(field_path);
    if structured::set(object, value, &parts, make).is_ok() {
        return Ok(());
    }
    let missing = || {
        let what = if create { "find or create" } else { "find" };
        format!("unable to {what} field \"{field_path}\" in replacement target")
    };
    let mut problem = None;
    let count = path::visit(object, &parts, make, &mut |node| {
        set(node, value, options).inspect_err(|text| problem = Some(text.clone()))
    });
    match (count, problem) {
        (_, Some(problem)) => Err(problem),
        (Err(problem), None) => Err(format!("{}: {problem}", missing())),
        (Ok(0), None) => Err(missing()),
        (Ok(_), None) => {
            if value.is_scalar() && value.text().is_empty() {
                quote_empty(object, false);
                let metadata = object.get_mut("metadata");
                if let Some(annotations) = metadata.and_then(|m| m.get_mut("annotations")) {
                    quote_empty(annotations, true);
                }
            }
            Ok(())
        }
    }
}

/// Makes strings of the empty texts by [`tree::copied`] that upstream cannot print without quotes:
/// those in flow style, and the annotations, which it writes anew as strings. The others print as null.
fn quote_empty(node: &mut Node, quotes: bool) {
    if quotes && tree::is_copied(node) && node.text().is_empty() {
        *node = Node::string("").with_style(Style::DoubleQuoted);
    }
    let quotes = quotes || node.style == Style::Flow;
    match &mut node.value {
        Value::Mapping(map) => {
            for (_, value) in map.iter_mut() {
                quote_empty(value, quotes);
            }
        }
        Value::Sequence(items) => {
            for item in items.iter_mut() {
                quote_empty(item, quotes);
            }
        }
        Value::Scalar(_) => {}
    }
}

fn set(node: &mut Node, value: &Node, options: Option<&FieldOptions>) -> Result<(), String> {
    let Some(options) = options.filter(|options| !options.delimiter.is_empty()) else {
        return overwrite(node, value);
    };
    if !node.is_scalar() {
        return Err("delimiter option can only be used with scalar nodes".to_owned());
    }
    let mut parts: Vec<&str> = node.text().split(options.delimiter.as_str()).collect();
    match usize::try_from(options.index) {
        Err(_) => parts.insert(0, value.text()),
        Ok(index) => match parts.get_mut(index) {
            Some(part) => *part = value.text(),
            None => parts.push(value.text()),
        },
    }
    let joined = parts.join(&options.delimiter);
    *node = retext(node, &joined)?;
    Ok(())
}

/// Puts a value in a node's place; of a scalar over a scalar only the text is taken, unless the
/// old one was made for it.
pub(super) fn overwrite(node: &mut Node, value: &Node) -> Result<(), String> {
    let is_fresh = node.is_null() && node.text().is_empty();
    match &node.value {
        Value::Scalar(_) if is_fresh && value.is_scalar() => {
            *node = tree::copied(value.text());
            Ok(())
        }
        Value::Scalar(_) if value.is_scalar() => {
            *node = retext(node, value.text())?;
            Ok(())
        }
        Value::Scalar(_) => {
            *node = retext(node, "")?;
            Ok(())
        }
        _ => {
            *node = value.clone();
            Ok(())
        }
    }
}
