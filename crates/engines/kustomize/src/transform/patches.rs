//! Patches, strategic merge and JSON, and the objects they apply to.

use yaml::{Kind, Node, Style, Value};

use super::Transformer;
use super::json6902::JsonPatch;
use super::strategic_merge;
use crate::error::{Error, Gathered, Place};
use crate::kustomization::{Patch, Selector};
use crate::load::Loader;
use crate::origin::transformations;
use crate::read;
use crate::res_map::ResMap;
use crate::resource::{BUILD_ANNOTATIONS, ORIGIN, Resource, TRANSFORMATIONS};
use crate::schema::Schema;
use crate::selector::Matcher;
use crate::tree;

/// What may change beside the content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(crate) name: bool,
    pub(crate) kind: bool,
}

/// What a patch's text turned out to be.
#[derive(Debug)]
enum Content {
    Nothing,
    Merge(Vec<Resource>),
    Json(JsonPatch),
}

/// One entry of `patches` or `patchesJson6902`.
#[derive(Debug)]
pub(crate) struct Patches {
    content: Content,
    target: Option<Matcher>,
    allowed: Allowed,
    shown: String,
    place: Place,
    /// The deprecated `patchesJson6902`: such a patch leaves no trace in the history of names.
    is_deprecated: bool,
}

/// All entries of `patchesStrategicMerge`.
#[derive(Debug)]
pub(crate) struct StrategicMerges {
    patches: Vec<Resource>,
}

fn text(content: &[u8], place: &Place) -> Result<String, Error> {
    String::from_utf8(content.to_vec())
        .map_err(|_| Error::at(place.clone(), "the patch is not UTF-8"))
}

fn matcher(target: Option<&Selector>, place: &Place) -> Result<Option<Matcher>, Error> {
    target
        .map(|selector| Matcher::new(selector, place))
        .transpose()
}

impl Patches {
    /// Reads an entry of `patches`.
    ///
    /// # Errors
    /// Where it has no patch, more than one, or one that cannot be read.
    pub(crate) fn new(loader: &Loader<'_>, entry: &Patch, place: &Place) -> Result<Self, Error> {
        Self::read(loader, entry, place)
            .map_err(|error| error.context("trouble configuring builtin PatchTransformer"))
    }

    fn read(loader: &Loader<'_>, entry: &Patch, place: &Place) -> Result<Self, Error> {
        let inline = entry.text.trim();
        let (source, file, shown) = match (inline, entry.path.as_str()) {
            ("", "") => {
                let text = "must specify one of patch and path";
                return Err(Error::at(place.clone(), text));
            }
            ("", path) => {
                let file = loader.load(path).map_err(|error| {
                    error
                        .into_error(&loader.session)
                        .context(format!("failed to get the patch file from path({path})"))
                        .with_place(place.clone())
                })?;
                let source = text(&file.content, place)?;
                (source, file.path, format!("[path: \"{path}\"]"))
            }
            (patch, "") => (
                patch.to_owned(),
                place.file.clone(),
                format!("[patch: {patch:?}]"),
            ),
            _ => {
                let text = "patch and path can't be set at the same time";
                return Err(Error::at(place.clone(), text));
            }
        };
        let content = parse(&source, &file, &shown, loader).map_err(|error| {
            if inline.is_empty() {
                error
            } else {
                moved(error, place)
            }
        })?;
        let allowed = Allowed {
            name: entry.allow_name_change,
            kind: entry.allow_kind_change,
        };
        let mut content = content;
        if let Content::Merge(patches) = &mut content {
            for patch in patches {
                if !inline.is_empty() {
                    patch.line = place.line;
                }
                // Upstream keeps these options in annotations of the patch, which it writes anew.
                if allowed != Allowed::default() {
                    write_anew(&mut patch.node, "annotations");
                }
            }
        }
        Ok(Self {
            content,
            target: matcher(entry.target.as_ref(), place)?,
            allowed,
            shown,
            place: place.clone(),
            is_deprecated: false,
        })
    }

    /// Reads an entry of `patchesJson6902`.
    ///
    /// # Errors
    /// Where it has no target or no patch.
    pub(crate) fn deprecated(
        loader: &Loader<'_>,
        entry: &Patch,
        place: &Place,
    ) -> Result<Self, Error> {
        Self::read_deprecated(loader, entry, place)
            .map_err(|error| error.context("trouble configuring builtin PatchJson6902Transformer"))
    }

    fn read_deprecated(loader: &Loader<'_>, entry: &Patch, place: &Place) -> Result<Self, Error> {
        let failed = |text: &str| Err(Error::at(place.clone(), text));
        if entry
            .target
            .as_ref()
            .is_none_or(|target| target.id.name.is_empty())
        {
            return failed("must specify the target name");
        }
        let (source, file) = match (entry.path.as_str(), entry.text.as_str()) {
            ("", "") => return failed("empty file path and empty jsonOp"),
            ("", patch) => (patch.to_owned(), place.file.clone()),
            (path, "") => {
                let file = loader
                    .load(path)
                    .map_err(|e| e.into_error(&loader.session).with_place(place.clone()))?;
                (text(&file.content, place)?, file.path)
            }
            _ => return failed("must specify a file path or jsonOp, not both"),
        };
        let patch = JsonPatch::parse(&source, &file)
            .map_err(|problem| Error::at(Place::file(&file), format!("decoding: {problem}")))?;
        if patch.is_empty() {
            return failed(&format!("patch appears to be empty; file={}", entry.path));
        }
        Ok(Self {
            content: Content::Json(patch),
            target: matcher(entry.target.as_ref(), place)?,
            allowed: Allowed::default(),
            shown: String::new(),
            place: place.clone(),
            is_deprecated: true,
        })
    }

    fn merge(&self, resources: &mut ResMap, patches: &[Resource]) -> Result<(), Error> {
        let Some(target) = &self.target else {
            let mut faults = Gathered::default();
            for patch in patches {
                faults.note(self.merge_unique(resources, patch));
            }
            return faults.end();
        };
        let [patch] = patches else {
            return Err(Error::at(
                self.place.clone(),
                format!(
                    "Multiple Strategic-Merge Patches in one `patches` entry is not allowed to \
                     set `patches.target` field: {}",
                    self.shown
                ),
            ));
        };
        let selected = target.select(resources);
        apply_to(resources, &selected, patch, self.allowed)
    }

    /// Applies a patch to the one object of its identity.
    fn merge_unique(&self, resources: &mut ResMap, patch: &Resource) -> Result<(), Error> {
        let id = patch.id();
        let at = resources.find_one(&id).map_err(|error| {
            error.with_place(patch.place()).context(format!(
                "no resource matches strategic merge patch \"{id}\""
            ))
        })?;
        let schema = std::rc::Rc::clone(resources.schema());
        merge_one(resources.get_mut(at), patch, self.allowed, &schema)?;
        if self.allowed != Allowed::default() {
            resources.names_changed();
        }
        Ok(())
    }

    fn json(&self, resources: &mut ResMap, patch: &JsonPatch) -> Result<(), Error> {
        let Some(target) = &self.target else {
            let text = format!("must specify a target for JSON patch {}", self.shown);
            return Err(Error::at(self.place.clone(), text));
        };
        let schema = std::rc::Rc::clone(resources.schema());
        let mut faults = Gathered::default();
        for at in target.select(resources) {
            let resource = resources.get_mut(at);
            if !self.is_deprecated {
                resource.remember_id(&schema);
            }
            faults.note(
                apply_json(resource, patch).map_err(|text| {
                    Error::at(resource.place(), text).with_place(self.place.clone())
                }),
            );
        }
        resources.names_changed();
        faults.end()
    }
}

impl Transformer for Patches {
    fn name(&self) -> &'static str {
        if self.is_deprecated {
            "PatchJson6902Transformer"
        } else {
            "PatchTransformer"
        }
    }

    fn apply(&self, resources: &mut ResMap) -> Result<(), Error> {
        match &self.content {
            Content::Nothing => Ok(()),
            Content::Merge(patches) => self.merge(resources, patches),
            Content::Json(patch) => self.json(resources, patch),
        }
    }
}

impl StrategicMerges {
    /// Reads the entries: inline YAML, or else files.
    ///
    /// # Errors
    /// Where an entry is neither, or all are empty.
    pub(crate) fn new(loader: &Loader<'_>, entries: &[(String, Place)]) -> Result<Self, Error> {
        let max_bytes = loader.session.options.limits.max_file_bytes;
        let mut patches = Vec::new();
        let mut faults = Gathered::default();
        for (entry, place) in entries {
            let inline = read::resources(entry.as_bytes(), &place.file, max_bytes, 1);
            if let Ok(mut found) = inline {
                for patch in &mut found {
                    patch.line = place.line;
                }
                patches.extend(found);
                continue;
            }
            let file = loader
                .load(entry)
                .map_err(|e| e.into_error(&loader.session).with_place(place.clone()));
            let found = file.and_then(|file| {
                read::resources(&file.content, &file.path, max_bytes, 1).map_err(|(error, _)| error)
            });
            patches.extend(faults.note(found).into_iter().flatten());
        }
        faults.end()?;
        if patches.is_empty() {
            let names: Vec<&str> = entries.iter().map(|(entry, _)| entry.trim()).collect();
            let error = Error::new(format!(
                "patch appears to be empty; files=[{}], Patch=",
                names.join(" ")
            ));
            return Err(entries
                .iter()
                .fold(error, |e, (_, place)| e.with_place(place.clone())));
        }
        Ok(Self { patches })
    }
}

impl Transformer for StrategicMerges {
    fn name(&self) -> &'static str {
        "PatchStrategicMergeTransformer"
    }

    fn apply(&self, resources: &mut ResMap) -> Result<(), Error> {
        let mut faults = Gathered::default();
        for patch in &self.patches {
            let found = resources.find_one(&patch.id());
            let found = faults.note(found.map_err(|error| error.with_place(patch.place())));
            if let Some(at) = found {
                faults.note(apply_to(resources, &[at], patch, Allowed::default()));
            }
        }
        faults.end()
    }
}

/// Puts the place of the entry where an error points into an inline patch.
fn moved(error: Error, place: &Place) -> Error {
    match error {
        Error::Invalid(mut fault) => {
            fault.places = vec![place.clone()];
            Error::Invalid(fault)
        }
        other => other,
    }
}

/// Finds out what kind of patch a text is.
fn parse(source: &str, file: &str, shown: &str, loader: &Loader<'_>) -> Result<Content, Error> {
    let max_bytes = loader.session.options.limits.max_file_bytes;
    let merge = read::resources(source.as_bytes(), file, max_bytes, 1);
    let json = JsonPatch::parse(source, file);
    match (merge, json) {
        (Ok(merge), Ok(json)) if !merge.is_empty() && !json.is_empty() => Err(Error::at(
            Place::file(file),
            format!("illegally qualifies as both an SM and JSON patch: {shown}"),
        )),
        (Ok(merge), _) if merge.is_empty() => Ok(Content::Nothing),
        (Ok(merge), _) => Ok(Content::Merge(merge)),
        (Err(_), Ok(json)) => Ok(Content::Json(json)),
        (Err((error, _)), Err(problem)) => {
            let places = error.places().to_vec();
            let reason = match error {
                Error::Invalid(fault) => fault.message,
                other => other.to_string(),
            };
            let error = Error::new(format!(
                "unable to parse SM or JSON patch from {shown}: not a strategic merge patch: \
                 {reason}; not a JSON patch: {problem}"
            ));
            Err(places.into_iter().fold(error, Error::with_place))
        }
    }
}

/// Makes strings of the labels or annotations of a patch, nulls included.
fn write_anew(patch: &mut Node, field: &str) {
    let mut entries: Vec<(String, String)> = tree::meta_map(patch, field)
        .filter(|(key, _)| !BUILD_ANNOTATIONS.contains(key))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    entries.sort();
    tree::set_meta_map(patch, field, &entries);
}

/// Applies a patch to selected objects, whatever it names itself.
fn apply_to(
    resources: &mut ResMap,
    selected: &[usize],
    patch: &Resource,
    allowed: Allowed,
) -> Result<(), Error> {
    let mut patch = patch.clone();
    // Upstream writes labels and annotations anew before it applies a patch to several objects:
    // their values become strings, a null included.
    for field in ["labels", "annotations"] {
        write_anew(&mut patch.node, field);
    }
    let schema = std::rc::Rc::clone(resources.schema());
    let mut faults = Gathered::default();
    for at in selected {
        let resource = resources.get_mut(*at);
        let api_version = resource.api_version().to_owned();
        if let Some(object) = patch.node.as_mapping_mut() {
            tree::set_field_text(object, "apiVersion", &api_version);
        }
        faults.note(merge_one(resource, &patch, allowed, &schema));
    }
    faults.end()?;
    if allowed == Allowed::default() {
        return Ok(());
    }
    resources.names_changed();
    resources.check_unique()
}

/// Merges a patch into one object, and gives it back what must not change.
fn merge_one(
    resource: &mut Resource,
    patch: &Resource,
    allowed: Allowed,
    schema: &Schema,
) -> Result<(), Error> {
    let before = resource.id().to_id();
    if allowed != Allowed::default() {
        resource.remember_id(schema);
    }
    let object = std::mem::take(&mut resource.node);
    let span = object.span.clone();
    let merged = strategic_merge::merge(object, &patch.node, schema).map_err(|problem| {
        let place = Place {
            object: before.to_string(),
            ..Place::line(&resource.file, resource.line)
        };
        Error::at(place, problem).with_place(patch.place())
    })?;
    resource.node = merged.unwrap_or_else(Node::null);
    resource.node.span = span;
    if resource.is_empty() {
        return Ok(());
    }
    if !allowed.kind {
        resource.set_kind(&before.gvk.kind);
    }
    if !allowed.name {
        resource.set_name(&before.name);
    }
    resource.set_namespace(&before.namespace);
    Ok(())
}

/// Applies a JSON patch to one object. It sees the annotations upstream keeps its books in.
fn apply_json(resource: &mut Resource, patch: &JsonPatch) -> Result<(), String> {
    yaml::through_json(&mut resource.node).map_err(|error| error.to_string())?;
    let books = books(resource);
    lay_out(&books, &mut resource.node);
    let span = resource.node.span.clone();
    let applied = patch.apply(&mut resource.node);
    resource.node.span = span;
    reread(&mut resource.node);
    for (key, held) in [(ORIGIN, resource.origin.is_some()), (TRANSFORMATIONS, true)] {
        let is_kept = tree::meta_entry(&resource.node, "annotations", key).is_some();
        match key {
            ORIGIN if held && !is_kept => resource.origin = None,
            TRANSFORMATIONS if !is_kept => resource.transformations.clear(),
            _ => {}
        }
    }
    let is_book = |key: &str| books.iter().any(|(book, _)| book == key);
    let mut kept: Vec<(String, String)> = tree::meta_map(&resource.node, "annotations")
        .filter(|(key, _)| !is_book(key) && !BUILD_ANNOTATIONS.contains(key))
        .filter(|(key, _)| *key != ORIGIN && *key != TRANSFORMATIONS)
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    kept.sort();
    tree::set_meta_map(&mut resource.node, "annotations", &kept);
    applied
}

/// Writes the books into the annotations of an object.
fn lay_out(books: &[(String, String)], node: &mut Node) {
    if node.as_mapping().is_none() {
        *node = Node::mapping(yaml::Mapping::new());
    }
    if books.is_empty() {
        return;
    }
    let empty = || Node::mapping(yaml::Mapping::new());
    let object = node.as_mapping_mut();
    let meta = object.map(|object| object.get_or_insert_with("metadata", empty));
    let Some(meta) = meta.and_then(Node::as_mapping_mut) else {
        return;
    };
    let annotations = meta.get_or_insert_with("annotations", empty);
    if annotations.as_mapping().is_none() {
        *annotations = empty();
    }
    for (key, value) in books {
        annotations.insert(key, Node::string(value));
    }
}

/// The largest integer that a float holds exactly.
const MAX_EXACT: u64 = 1 << 53;

/// Makes of a tree what is left of it after JSON was printed as YAML and read again: numbers went
/// through floats, and strings that could be read as something else are quoted.
fn reread(node: &mut Node) {
    match &mut node.value {
        Value::Sequence(items) => items.iter_mut().for_each(reread),
        Value::Mapping(mapping) => mapping.values_mut().for_each(reread),
        Value::Scalar(scalar) => match scalar.kind {
            Kind::String => {
                let is_string = |schema: &yaml::Schema| {
                    matches!(yaml::resolve(&scalar.text, *schema), Kind::String)
                };
                let both = [yaml::Schema::Legacy, yaml::Schema::Core];
                node.style = if scalar.text.contains('\n') {
                    Style::Literal
                } else if both.iter().all(is_string) {
                    Style::Plain
                } else {
                    Style::DoubleQuoted
                };
            }
            Kind::Int(number) if number.unsigned_abs() > MAX_EXACT => {
                #[expect(clippy::cast_precision_loss, reason = "upstream loses it here")]
                let rounded = number as f64;
                *node = Node::float(rounded);
            }
            Kind::Uint(number) => {
                #[expect(clippy::cast_precision_loss, reason = "upstream loses it here")]
                let rounded = number as f64;
                *node = Node::float(rounded);
            }
            _ => node.style = Style::Plain,
        },
    }
}

/// Gives the history of an object as the annotations upstream keeps it in.
fn books(resource: &Resource) -> Vec<(String, String)> {
    let mut books = Vec::new();
    let mut note = |name: &str, values: Vec<&str>| {
        if !values.is_empty() {
            let key = format!("internal.config.kubernetes.io/{name}");
            books.push((key, values.join(",")));
        }
    };
    let history = &resource.history;
    note(
        "previousKinds",
        history.iter().map(|id| id.kind.as_str()).collect(),
    );
    note(
        "previousNames",
        history.iter().map(|id| id.name.as_str()).collect(),
    );
    note(
        "previousNamespaces",
        history.iter().map(|id| id.namespace.as_str()).collect(),
    );
    note(
        "prefixes",
        resource.prefixes.iter().map(String::as_str).collect(),
    );
    note(
        "suffixes",
        resource.suffixes.iter().map(String::as_str).collect(),
    );
    if resource.behavior != crate::resource::Behavior::Unspecified {
        note("generatorBehavior", vec![resource.behavior.name()]);
    }
    if resource.needs_hash {
        note("needsHashSuffix", vec!["enabled"]);
    }
    if let Some(origin) = &resource.origin {
        books.push((ORIGIN.to_owned(), origin.to_annotation()));
    }
    if !resource.transformations.is_empty() {
        let text = transformations(&resource.transformations);
        books.push((TRANSFORMATIONS.to_owned(), text));
    }
    books
}
