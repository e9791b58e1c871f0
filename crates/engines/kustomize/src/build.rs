//! A whole build: the root, and what is done once everything came together.

use std::rc::Rc;

use yaml::Node;

use crate::accumulate::{Accumulator, Pass, Target};
use crate::error::{Error, Gathered, Place};
use crate::file_tree::FileTree;
use crate::load::{Loader, Session};
use crate::options::{Options, Reorder};
use crate::order;
use crate::origin::{Origin, transformations};
use crate::parallel;
use crate::res_map::ResMap;
use crate::resource::{self, BUILD_ANNOTATIONS, LOCAL_CONFIG, ORIGIN, TRANSFORMATIONS};
use crate::schema::Schema;
use crate::transform::hash::HashSuffix;
use crate::transform::{Transformer, name_reference, vars};
use crate::tree;

/// The label that says who made an object.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// A build whose objects are trees still: to print them nothing has to go through JSON.
#[derive(Debug)]
pub struct Trees {
    objects: Vec<resource::Resource>,
    /// Which of them belong to no namespace.
    cluster_scoped: Vec<bool>,
    warnings: Vec<String>,
    threads: usize,
}

/// What a build gives: the objects in order, and what was odd about the input.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Build {
    /// The objects in the order they are printed.
    pub resources: Vec<Resource>,
    /// What kustomize would say on stderr, in order.
    pub warnings: Vec<String>,
}

/// One object.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// The object, a JSON mapping.
    pub object: serde_json::Value,
    /// Where it was written: the file and line of the document, or of the generator's entry. Its
    /// `object` is empty.
    pub origin: Place,
    /// Whether its kind belongs to no namespace, as far as the built-in table knows.
    pub cluster_scoped: bool,
}

impl Trees {
    /// Gives what kustomize would say on stderr, in order.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Prints the objects; see [`Build::to_yaml`].
    ///
    /// # Errors
    /// Every object that YAML or JSON cannot hold.
    pub fn to_yaml(&self) -> Result<String, Error> {
        Ok(self.to_yaml_parts()?.concat())
    }

    /// Prints the objects in pieces: put one after the other they are what [`Self::to_yaml`] gives.
    ///
    /// # Errors
    /// As for [`Self::to_yaml`].
    pub fn to_yaml_parts(&self) -> Result<Vec<String>, Error> {
        let nodes: Vec<&Node> = self.objects.iter().map(|object| &object.node).collect();
        print(&nodes, self.threads, |at| self.objects[at].place())
    }

    /// Turns the objects into JSON.
    ///
    /// # Errors
    /// Every object that JSON cannot hold.
    pub fn into_json(self) -> Result<Build, Error> {
        let mut resources = Vec::with_capacity(self.objects.len());
        let mut faults = Gathered::default();
        for (resource, cluster_scoped) in self.objects.into_iter().zip(self.cluster_scoped) {
            let object = yaml::to_json(&resource.node).map_err(|error| {
                Error::at(resource.place().within(error.span()), error.to_string())
            });
            if let Some(object) = faults.note(object) {
                resources.push(Resource {
                    object,
                    origin: Place::line(&resource.file, resource.line),
                    cluster_scoped,
                });
            }
        }
        faults.end()?;
        Ok(Build {
            resources,
            warnings: self.warnings,
        })
    }
}

impl Build {
    /// Prints the objects as `kustomize build` does: keys in natural order, `---` between objects,
    /// none before the first; empty where there are none.
    ///
    /// # Errors
    /// Every object with a text that YAML cannot hold.
    pub fn to_yaml(&self) -> Result<String, Error> {
        let objects: Vec<_> = self.resources.iter().map(|r| &r.object).collect();
        let parts = print(&objects, 1, |at| self.resources[at].origin.clone())?;
        Ok(parts.concat())
    }
}

impl Resource {
    /// Prints the object alone.
    ///
    /// # Errors
    /// Where it has a text that YAML cannot hold.
    pub fn to_yaml(&self) -> Result<String, Error> {
        yaml::emit::v2(&self.object)
            .map_err(|error| Error::at(self.origin.clone(), error.to_string()))
    }
}

/// Prints objects one after the other; where there are many, each thread prints its part of them.
///
/// # Errors
/// What is wrong with every object that cannot be printed.
fn print<T: yaml::emit::Tree + Sync>(
    objects: &[&T],
    threads: usize,
    place: impl Fn(usize) -> Place,
) -> Result<Vec<String>, Error> {
    /// How many objects are a piece of work.
    const RUN: usize = 32;
    let runs: Vec<(usize, &[&T])> = (0..).step_by(RUN).zip(objects.chunks(RUN)).collect();
    let parts = parallel::map(&runs, threads, |(first, run)| {
        let mut out = String::new();
        let mut failed = Vec::new();
        for (at, object) in (*first..).zip(*run) {
            if at > 0 {
                out.push_str("---\n");
            }
            if let Err(error) = yaml::emit::v2_into(&mut out, *object) {
                failed.push((at, error));
            }
        }
        (out, failed)
    });
    let mut printed = Vec::with_capacity(parts.len());
    let mut faults = Gathered::default();
    for (out, failed) in parts {
        printed.push(out);
        for (at, error) in failed {
            faults.note::<()>(Err(Error::at(place(at), error.to_string())));
        }
    }
    faults.end()?;
    Ok(printed)
}

/// Builds the kustomization in a directory of a tree.
///
/// **Shape:** `path` is normalised and relative to the tree's root, `""` the root itself.
///
/// # Errors
/// [`Error::Missing`] names every remote file and repository the build found it needs;
/// [`Error::Invalid`] says what is wrong, with file and line.
///
/// **Source:** kustomize 5.8.1 (api v0.21.1, kyaml v0.21.1).
pub fn build(tree: &dyn FileTree, path: &str, options: &Options<'_>) -> Result<Build, Error> {
    build_trees(tree, path, options)?.into_json()
}

/// Builds as [`build`] does, for those who only print what comes out.
///
/// # Errors
/// As for [`build`].
pub fn build_trees(tree: &dyn FileTree, path: &str, options: &Options<'_>) -> Result<Trees, Error> {
    let session = Session::new(options);
    let schema = Rc::new(Schema::new(options.keep_built_in_schema));
    let loader = Loader::new(&session, tree, path)?;
    let mut target = Target::load(loader, &schema)?;
    target.set_schema()?;
    if !target.kustomization.build_metadata.is_empty() {
        target.origin = Some(Origin::default());
    }
    let mut all = Accumulator::new(&schema, options.threads);
    target.accumulate(&mut all, Pass::Whole)?;
    session.check_missing()?;
    finish(&mut all, &session)?;
    arrange(&mut all.resources, &target, options)?;
    let (objects, cluster_scoped) = complete(all.resources, &target, options);
    let warnings = session.warnings.take();
    Ok(Trees {
        objects,
        cluster_scoped,
        warnings,
        threads: options.threads,
    })
}

/// Does what only the root does: hashes, references, variables.
fn finish(all: &mut Accumulator, session: &Session<'_>) -> Result<(), Error> {
    HashSuffix.apply(&mut all.resources)?;
    let config = all.config();
    name_reference::follow(&mut all.resources, &config.name_reference)?;
    let unused = vars::resolve(&mut all.resources, &all.vars, &config.var_reference)?;
    if !unused.is_empty() {
        session.warn(format!(
            "well-defined vars that were never replaced: {}",
            unused.join(",")
        ));
    }
    drop_local(&mut all.resources)
}

/// Drops the objects that are only there for others.
///
/// # Errors
/// Every object that lost its kind or its name.
fn drop_local(resources: &mut ResMap) -> Result<(), Error> {
    let mut faults = Gathered::default();
    for resource in resources.iter().filter(|resource| !resource.is_empty()) {
        let problem = if resource.kind().is_empty() {
            "missing kind in object"
        } else if resource.name().is_empty() && !resource.kind().ends_with("List") {
            "missing metadata.name in object"
        } else {
            continue;
        };
        faults.note::<()>(Err(Error::at(resource.place(), problem)));
    }
    faults.end()?;
    resources.retain(|resource| {
        !resource.is_empty()
            && resource
                .annotation(LOCAL_CONFIG)
                .is_none_or(|value| value == "false")
    });
    Ok(())
}

fn arrange(
    resources: &mut ResMap,
    target: &Target<'_>,
    options: &Options<'_>,
) -> Result<(), Error> {
    match (&target.kustomization.sort_options, options.reorder) {
        (Some(wanted), _) => order::by_options(resources, wanted),
        (None, Reorder::Legacy) => {
            order::legacy(resources);
            Ok(())
        }
        (None, Reorder::None) => Ok(()),
    }
}

/// Gives the objects the labels and annotations that the build itself writes, and tells which of
/// them belong to no namespace.
fn complete(
    resources: ResMap,
    target: &Target<'_>,
    options: &Options<'_>,
) -> (Vec<resource::Resource>, Vec<bool>) {
    let wants = |option: &str| target.kustomization.wants_metadata(option);
    let managed = options.managed_by_label || wants("managedByLabel");
    let with_origin = wants("originAnnotations");
    let with_transformations = wants("transformerAnnotations");
    let schema: &Schema = &target.schema;
    let version = options.manager_version.unwrap_or("(devel)");
    let complete = |resource: &mut resource::Resource| {
        let cluster_scoped = resource.id().is_cluster_scoped(schema);
        if managed && let Some(meta) = tree::mapping_at(&mut resource.node, "metadata") {
            let labels = meta.get_or_insert_with("labels", || Node::mapping(yaml::Mapping::new()));
            if labels.is_null() {
                *labels = Node::mapping(yaml::Mapping::new());
            }
            labels.insert(MANAGED_BY, Node::string(format!("kustomize-{version}")));
        }
        let annotations = annotations(resource, with_origin, with_transformations);
        tree::set_meta_map(&mut resource.node, "annotations", &annotations);
        cluster_scoped
    };
    let threads = resources.threads();
    let mut resources = resources.into_vec();
    let cluster_scoped = parallel::change(&mut resources, threads, complete);
    (resources, cluster_scoped)
}

/// Gives the annotations an object has in the output.
fn annotations(
    resource: &resource::Resource,
    with_origin: bool,
    with_transformations: bool,
) -> Vec<(String, String)> {
    let mut annotations: Vec<(String, String)> = tree::meta_map(&resource.node, "annotations")
        .filter(|(key, _)| {
            !BUILD_ANNOTATIONS.contains(key) && *key != ORIGIN && *key != TRANSFORMATIONS
        })
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    if with_origin && let Some(origin) = &resource.origin {
        annotations.push((ORIGIN.to_owned(), origin.to_annotation()));
    }
    if with_transformations && !resource.transformations.is_empty() {
        let text = transformations(&resource.transformations);
        annotations.push((TRANSFORMATIONS.to_owned(), text));
    }
    annotations.sort();
    annotations
}
