//! What templates of commit messages see.

use std::collections::{BTreeMap, HashSet};

use api::image::ImageReference;
use gotemplate::value::{MapKind, Method, NamedType, Struct, StructType};
use gotemplate::{Fault, List, Map, Str, Value};
use registry::Repository;

use crate::setters::{self, Change, Changed, ObjectId};

/// What happened, for the template.
#[derive(Clone, Debug)]
pub(crate) struct Facts<'a> {
    /// Namespace and name of the ImageUpdateAutomation.
    pub(crate) automation: (&'a str, &'a str),
    /// The changed files.
    pub(crate) files: &'a [Changed],
    /// `spec.git.commit.messageTemplateValues`.
    pub(crate) values: Option<&'a BTreeMap<String, String>>,
}

static DATA: StructType = plain("source.TemplateData");
static CHANGED: StructType = plain("update.ResultV2");
static UPDATED: StructType = plain("update.Result");
static FILE: StructType = plain("update.FileResult");
static CHANGE: StructType = plain("update.Change");
static NAME: StructType = StructType {
    name: "types.NamespacedName",
    pointer: false,
    text: Some(full_name),
    methods: &[],
};
static OBJECT: StructType = StructType {
    name: "update.ObjectIdentifier",
    pointer: false,
    text: Some(|of| {
        let word = |name: &str| of.field(name).map(text_of).unwrap_or_default();
        format!(
            "{{{{{{{} {}}} {{{} {}}}}}}}",
            word("apiVersion"),
            word("kind"),
            word("name"),
            word("namespace")
        )
    }),
    // The fields of structs within it, which Go lets templates name as its own.
    methods: &[
        getter("APIVersion", |of, _| hidden(of, "apiVersion")),
        getter("Kind", |of, _| hidden(of, "kind")),
        getter("Name", |of, _| hidden(of, "name")),
        getter("Namespace", |of, _| hidden(of, "namespace")),
        getter("GetAPIVersion", |of, _| hidden(of, "apiVersion")),
        getter("GetKind", |of, _| hidden(of, "kind")),
        getter("GetName", |of, _| hidden(of, "name")),
        getter("GetNamespace", |of, _| hidden(of, "namespace")),
    ],
};
static IMAGE: StructType = StructType {
    name: "update.imageRef",
    pointer: false,
    text: Some(|of| of.field("written").map(text_of).unwrap_or_default()),
    methods: &[
        getter("String", |of, _| hidden(of, "written")),
        getter("Identifier", |of, _| hidden(of, "identifier")),
        getter("Repository", |of, _| hidden(of, "repository")),
        getter("Registry", |of, _| hidden(of, "registry")),
        getter("Name", |of, _| hidden(of, "whole")),
        getter("Policy", |of, _| hidden(of, "policy")),
    ],
};
static BY_OBJECT: NamedType = NamedType {
    name: "update.ObjectChanges",
    element: "[]update.Change",
    methods: &[],
    key: Some(object_of),
};
static BY_FILE: NamedType = NamedType {
    name: "map[string]update.ObjectChanges",
    element: "update.ObjectChanges",
    methods: &[],
    key: None,
};

const fn plain(name: &'static str) -> StructType {
    StructType {
        name,
        pointer: false,
        text: None,
        methods: &[],
    }
}

const fn getter(name: &'static str, call: fn(&Value, &[Value]) -> Result<Value, Fault>) -> Method {
    Method {
        name,
        params: &[],
        variadic: false,
        call,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of methods")]
fn hidden(of: &Value, field: &str) -> Result<Value, Fault> {
    Ok(match of {
        Value::Struct(of) => of.field(field).cloned().unwrap_or_default(),
        _ => Value::Nil,
    })
}

fn text_of(value: &Value) -> String {
    String::from_utf8_lossy(&value.printed()).into_owned()
}

fn full_name(of: &Struct) -> String {
    let word = |name: &str| of.field(name).map(text_of).unwrap_or_default();
    format!("{}/{}", word("Namespace"), word("Name"))
}

/// The text that stands for an object in maps: sorted as Go sorts the struct, field by field.
fn key(id: &ObjectId) -> Str {
    Str::from(
        [&*id.api_version, &*id.kind, &*id.name, &*id.namespace]
            .join("\0")
            .as_str(),
    )
}

fn object_of(key: &Str) -> Value {
    let text = String::from_utf8_lossy(key.as_bytes()).into_owned();
    let mut words = text.split('\0').map(Value::str);
    let mut next = || words.next().unwrap_or_else(Value::empty);
    Value::structure(
        &OBJECT,
        vec![
            ("apiVersion", next()),
            ("kind", next()),
            ("name", next()),
            ("namespace", next()),
        ],
    )
}

impl Facts<'_> {
    /// Returns the root of the template.
    pub(super) fn value(&self) -> Value {
        let (namespace, name) = self.automation;
        let values = self.values.map(|values| {
            let entries = values
                .iter()
                .map(|(k, v)| (k.as_str(), Value::str(v.as_str())));
            Value::Map(entries.collect())
        });
        let updated = self.updated();
        Value::structure(
            &DATA,
            vec![
                ("AutomationObject", full(namespace, name)),
                ("Updated", updated.clone()),
                ("Changed", self.changed(updated)),
                (
                    "Values",
                    values.unwrap_or_else(|| Value::Map(Map::new(BTreeMap::new()))),
                ),
            ],
        )
    }

    fn changed(&self, updated: Value) -> Value {
        let files = self.files.iter().map(|file| {
            let objects = merged(std::slice::from_ref(file));
            (Str::from(file.path.as_str()), by_object(objects, change_of))
        });
        let mut seen = HashSet::new();
        let all = self
            .files
            .iter()
            .flat_map(|file| &file.objects)
            .flat_map(|(_, list)| list);
        let distinct = all.filter(|c| seen.insert((&c.old, &c.new, &c.setter)));
        Value::structure(
            &CHANGED,
            vec![
                (
                    "FileChanges",
                    Value::Map(Map::of(MapKind::Named(&BY_FILE), files.collect())),
                ),
                ("Objects", by_object(merged(self.files), change_of)),
                ("Changes", changes_of(distinct)),
                ("ImageResult", updated),
            ],
        )
    }

    fn updated(&self) -> Value {
        let files = self.files.iter().map(|file| {
            let objects = images_by_object(self.automation.0, std::slice::from_ref(file));
            let file_result = Value::structure(&FILE, vec![("Objects", objects)]);
            (file.path.as_str(), file_result)
        });
        let images = setters::images(self.files);
        Value::structure(
            &UPDATED,
            vec![
                ("Files", Value::Map(files.collect())),
                ("Objects", images_by_object(self.automation.0, self.files)),
                (
                    "Images",
                    Value::List(List::typed("update.ImageRef", self.images_of(&images))),
                ),
            ],
        )
    }

    fn images_of(&self, images: &[(ImageReference, String)]) -> Vec<Value> {
        images
            .iter()
            .map(|(image, policy)| image_of(self.automation.0, image, policy))
            .collect()
    }
}

fn full(namespace: &str, name: &str) -> Value {
    Value::structure(
        &NAME,
        vec![
            ("Namespace", Value::str(namespace)),
            ("Name", Value::str(name)),
        ],
    )
}

/// The changes of each object over all files.
fn merged(files: &[Changed]) -> BTreeMap<ObjectId, Vec<&Change>> {
    let mut objects: BTreeMap<ObjectId, Vec<&Change>> = BTreeMap::new();
    for (id, changes) in files.iter().flat_map(|file| &file.objects) {
        objects.entry(id.clone()).or_default().extend(changes);
    }
    objects
}

fn by_object<'c>(
    objects: BTreeMap<ObjectId, Vec<&'c Change>>,
    of: impl Fn(&'c Change) -> Value,
) -> Value {
    let entries = objects.into_iter().map(|(id, changes)| {
        let list = List::typed("update.Change", changes.into_iter().map(&of).collect());
        (key(&id), Value::List(list))
    });
    Value::Map(Map::of(MapKind::Named(&BY_OBJECT), entries.collect()))
}

fn images_by_object(namespace: &str, files: &[Changed]) -> Value {
    let entries = merged(files).into_iter().map(|(id, changes)| {
        let mut seen = HashSet::new();
        let distinct = changes
            .into_iter()
            .filter(|c| seen.insert((&c.image, &c.policy)));
        let images = distinct
            .map(|c| image_of(namespace, &c.image, &c.policy))
            .collect();
        (
            key(&id),
            Value::List(List::typed("update.ImageRef", images)),
        )
    });
    Value::Map(Map::of(MapKind::Named(&BY_OBJECT), entries.collect()))
}

fn changes_of<'c>(changes: impl Iterator<Item = &'c Change>) -> Value {
    Value::List(List::typed(
        "update.Change",
        changes.map(change_of).collect(),
    ))
}

fn change_of(change: &Change) -> Value {
    Value::structure(
        &CHANGE,
        vec![
            ("OldValue", Value::str(change.old.as_str())),
            ("NewValue", Value::str(change.new.as_str())),
            ("Setter", Value::str(change.setter.as_str())),
        ],
    )
}

fn image_of(namespace: &str, image: &ImageReference, policy: &str) -> Value {
    let digest = image.digest.as_deref().filter(|digest| !digest.is_empty());
    let end = digest.map_or_else(|| format!(":{}", image.tag), |digest| format!("@{digest}"));
    let written = match digest {
        Some(digest) => format!("{}:{}@{digest}", image.name, image.tag),
        None => format!("{}:{}", image.name, image.tag),
    };
    let repository = Repository::parse(&image.name).ok();
    let part =
        |of: fn(&Repository) -> &str| Value::str(repository.as_ref().map(of).unwrap_or_default());
    let whole = repository
        .as_ref()
        .map(|r| format!("{}/{}{end}", r.registry(), r.name()));
    Value::structure(
        &IMAGE,
        vec![
            ("written", Value::str(written)),
            ("identifier", Value::str(digest.unwrap_or(&image.tag))),
            ("repository", part(Repository::name)),
            ("registry", part(Repository::registry)),
            ("whole", Value::str(whole.unwrap_or_default())),
            ("policy", full(namespace, policy)),
        ],
    )
}
