//! Patches, strategic merge and JSON, and the objects they apply to.

mod in_place;
mod listed;
mod merge;

pub(crate) use listed::StrategicMerges;

use super::Transformer;
use super::json6902::JsonPatch;
use crate::error::{Error, Gathered, Place};
use crate::kustomization::{Patch, Selector};
use crate::load::{File, Loader};
use crate::read::{self, Input};
use crate::res_map::ResMap;
use crate::resource::Resource;
use crate::schema::Schema;
use crate::selector::Matcher;
use merge::Allowed;

/// One entry of `patches` or `patchesJson6902`.
#[derive(Debug)]
pub(crate) struct Patches {
    content: Content,
    target: Option<Matcher>,
    allowed: Allowed,
    /// The deprecated `patchesJson6902`: such a patch leaves no trace in the history of names.
    is_deprecated: bool,
}

/// What a patch's text turned out to be.
#[derive(Debug)]
enum Content {
    Nothing,
    Merge(Vec<Resource>),
    Json(JsonPatch),
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
        let failed = |text: &str| Err(Error::at(place.clone(), text));
        let inline = entry.text.trimmed_input(&place.file);
        let path = entry.path.as_str();
        let mut content = match (inline.bytes, path) {
            ([], "") => return failed("must specify one of patch and path"),
            ([], path) => {
                let doing = format!("failed to get the patch file from path({path})");
                let file = load(loader, path, place).map_err(|error| error.context(doing))?;
                parse(&Input::whole(&file), entry, loader)?
            }
            (_, "") => parse(&inline, entry, loader)?,
            _ => return failed("patch and path can't be set at the same time"),
        };
        let problem = match (&content, &entry.target) {
            (Content::Merge(patches), Some(_)) if patches.len() > 1 => {
                "Multiple Strategic-Merge Patches in one `patches` entry is not allowed to set \
                 `patches.target` field:"
            }
            (Content::Json(_), None) => "must specify a target for JSON patch",
            _ => "",
        };
        if !problem.is_empty() {
            return failed(&format!("{problem} {}", shown(entry)));
        }
        let allowed = Allowed {
            name: entry.allow_name_change,
            kind: entry.allow_kind_change,
        };
        // Upstream keeps these options in annotations of the patch, which it writes anew.
        if let Content::Merge(patches) = &mut content
            && allowed != Allowed::default()
        {
            for patch in patches {
                merge::write_anew(&mut patch.node, "annotations");
            }
        }
        Ok(Self {
            content,
            target: matcher(entry.target.as_ref(), place)?,
            allowed,
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
        let target = entry.target.as_ref();
        if target.is_none_or(|target| target.id.name.is_empty()) {
            return failed("must specify the target name");
        }
        let parse =
            |input: &Input<'_>| JsonPatch::parse(input).map_err(|error| error.context("decoding"));
        let patch = match (entry.path.as_str(), entry.text.value.as_str()) {
            ("", "") => return failed("empty file path and empty jsonOp"),
            ("", _) => parse(&entry.text.input(&place.file))?,
            (path, "") => parse(&Input::whole(&load(loader, path, place)?))?,
            _ => return failed("must specify a file path or jsonOp, not both"),
        };
        if patch.is_empty() {
            return failed(&format!("patch appears to be empty; file={}", entry.path));
        }
        Ok(Self {
            content: Content::Json(patch),
            target: matcher(target, place)?,
            allowed: Allowed::default(),
            is_deprecated: true,
        })
    }

    fn merge(&self, resources: &mut ResMap, patches: &[Resource]) -> Result<(), Error> {
        let selected = self.target.as_ref().map(|target| target.select(resources));
        let mut faults = Gathered::default();
        for patch in patches {
            faults.note(match &selected {
                Some(selected) => merge::to_all(resources, selected, patch, self.allowed),
                None => merge::to_own(resources, patch, self.allowed),
            });
        }
        faults.end()
    }

    fn json(&self, resources: &mut ResMap, patch: &JsonPatch) -> Result<(), Error> {
        let target = self.target.as_ref();
        let selected = target.map_or_else(Vec::new, |target| target.select(resources));
        let shared = std::rc::Rc::clone(resources.schema());
        let schema: &Schema = &shared;
        let changed = resources.change_at(&selected, |resource| {
            if !self.is_deprecated {
                resource.remember_id(schema);
            }
            in_place::apply(resource, patch)
        });
        resources.names_changed();
        changed
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

fn load<'a>(loader: &Loader<'a>, path: &str, place: &Place) -> Result<File<'a>, Error> {
    let file = loader.load(path);
    file.map_err(|error| error.into_error(&loader.session).with_place(place.clone()))
}

fn matcher(target: Option<&Selector>, place: &Place) -> Result<Option<Matcher>, Error> {
    target
        .map(|selector| Matcher::new(selector, place))
        .transpose()
}

/// Names a patch in errors: by its path, or in full.
fn shown(entry: &Patch) -> String {
    match entry.path.as_str() {
        "" => format!("[patch: {:?}]", entry.text.value.trim()),
        path => format!("[path: \"{path}\"]"),
    }
}

/// Finds out what kind of patch a text is.
fn parse(input: &Input<'_>, entry: &Patch, loader: &Loader<'_>) -> Result<Content, Error> {
    let max_bytes = loader.session.options.limits.max_file_bytes;
    let merge = read::resources(input, max_bytes, 1);
    let json = JsonPatch::parse(input);
    match (merge, json) {
        (Ok(merge), Ok(json)) if !merge.is_empty() && !json.is_empty() => {
            let both = "illegally qualifies as both an SM and JSON patch";
            let error = Error::new(format!("{both}: {}", shown(entry)));
            let places = merge.iter().map(Resource::place);
            Err(places.fold(error, Error::with_place))
        }
        (Ok(merge), _) if merge.is_empty() => Ok(Content::Nothing),
        (Ok(merge), _) => Ok(Content::Merge(merge)),
        (Err(_), Ok(json)) => Ok(Content::Json(json)),
        (Err((merge, _)), Err(json)) => {
            let error = Error::new(format!(
                "unable to parse SM or JSON patch from {}: not a strategic merge patch: {}; not a \
                 JSON patch: {}",
                shown(entry),
                merge.message(),
                json.message(),
            ));
            let places = merge.places().iter().chain(json.places());
            Err(places.cloned().fold(error, Error::with_place))
        }
    }
}
