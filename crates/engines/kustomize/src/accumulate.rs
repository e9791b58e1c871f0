//! Brings one directory's objects together: resources, bases, generators, components, and the
//! transformers over them, in upstream's order.

mod configure;
mod entries;
mod plugins;

use std::rc::Rc;
use std::sync::Arc;

use crate::config::{Config, read_configuration, read_crd};
use crate::error::{Error, Gathered, Place};
use crate::generate::map::{self, MapKind};
use crate::kustomization::{self, COMPONENT, Kustomization, Text};
use crate::load::Loader;
use crate::options::HelmChart;
use crate::origin::{ConfiguredBy, Origin};
use crate::read::{self, Input, Lines};
use crate::res_map::ResMap;
use crate::resource::{HELM_GENERATED, Resource};
use crate::schema::Schema;
use crate::transform::Transformer;
use crate::transform::vars::{self, VarSet};
use crate::tree;

/// What a kustomization says of a chart.
type Fields = serde_json::Map<String, serde_json::Value>;

/// What came together so far.
#[derive(Debug)]
pub(crate) struct Accumulator {
    pub(crate) resources: ResMap,
    pub(crate) config: Option<Arc<Config>>,
    pub(crate) vars: VarSet,
}

/// A directory with its kustomization file.
pub(crate) struct Target<'a> {
    pub(crate) loader: Loader<'a>,
    pub(crate) kustomization: Kustomization,
    pub(crate) schema: Rc<Schema>,
    /// Where the directory is, if origins are wanted.
    pub(crate) origin: Option<Origin>,
    /// The name of the kustomization file alone.
    pub(crate) file_name: String,
    /// The namespace that charts inherit.
    helm_namespace: String,
}

/// A transformer and what to write into the objects it changed.
pub(crate) struct Step {
    pub(crate) transformer: Box<dyn Transformer>,
    pub(crate) origin: Option<Origin>,
    /// Where it is configured, if that is an object of its own.
    place: Option<Place>,
}

/// How much of a directory's work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// All of it.
    Whole,
    /// What can be told to be wrong although something else is: all that does not build on objects
    /// that are missing by now.
    Reading,
}

impl Pass {
    /// Tells how much more can be done.
    fn after(self, faults: &Gathered) -> Self {
        if faults.is_empty() {
            self
        } else {
            Self::Reading
        }
    }
}

impl Accumulator {
    pub(crate) fn new(schema: &Rc<Schema>, threads: usize) -> Self {
        Self {
            resources: ResMap::new(schema, threads),
            config: None,
            vars: VarSet::default(),
        }
    }

    fn merge_config(&mut self, other: &Arc<Config>) -> Result<(), Error> {
        if let Some(config) = &mut self.config {
            config.merge(other)
        } else {
            self.config = Some(Config::alone(other)?);
            Ok(())
        }
    }

    /// Takes over what a base brought.
    fn merge(&mut self, other: Self) -> Result<(), Error> {
        self.resources.append_all(other.resources.into_vec())?;
        if let Some(config) = &other.config {
            self.merge_config(config)?;
        }
        self.vars.merge(other.vars)
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        self.config.clone().unwrap_or_else(Config::defaults)
    }
}

impl<'a> Target<'a> {
    /// Gives a place for objects to come together in.
    fn accumulator(&self) -> Accumulator {
        Accumulator::new(&self.schema, self.loader.session.options.threads)
    }

    /// Reads the kustomization file of a directory.
    ///
    /// # Errors
    /// Where there is none, or it cannot be read.
    pub(crate) fn load(loader: Loader<'a>, schema: &Rc<Schema>) -> Result<Self, Error> {
        let file = loader.kustomization_file()?;
        let path: Arc<str> = Arc::from(file.path.as_str());
        let node = Input::whole(&file).legacy();
        let node = node.map_err(|error| error.context("invalid Kustomization"))?;
        let lenient = loader.session.options.lenient_root && loader.is_root();
        let (kustomization, ignored) = kustomization::read(&path, &node, lenient)?;
        for (place, problem) in ignored {
            loader
                .session
                .warn(format!("Warning: {problem} is ignored [at {place}]"));
        }
        for field in &kustomization.deprecated {
            loader.session.warn(deprecated(field));
        }
        let file_name = file.path.rsplit('/').next().unwrap_or_default().to_owned();
        let target = Self {
            loader,
            kustomization,
            schema: Rc::clone(schema),
            origin: None,
            file_name,
            helm_namespace: String::new(),
        };
        target.check_header()?;
        Ok(target)
    }

    fn check_header(&self) -> Result<(), Error> {
        let k = &self.kustomization;
        if k.is_empty {
            return Err(Error::at(k.place(1), "kustomization.yaml is empty"));
        }
        let mut faults = Gathered::default();
        let mut refuse = |line: u32, problem: String| {
            faults.note::<()>(Err(Error::at(k.place(line), problem)));
        };
        let kind = k.kind.value.as_str();
        if !matches!(kind, "" | "Kustomization" | COMPONENT) {
            let text = "kind should be Kustomization or Component";
            refuse(k.kind.line, text.to_owned());
        }
        let version = match kind {
            COMPONENT => "kustomize.config.k8s.io/v1alpha1",
            _ => "kustomize.config.k8s.io/v1beta1",
        };
        let found = &k.api_version;
        if !found.value.is_empty() && found.value != version {
            let kind = if kind.is_empty() {
                "Kustomization"
            } else {
                kind
            };
            let text = format!("apiVersion for {kind} should be {version}");
            refuse(found.line, text);
        }
        faults.end().map_err(|error| {
            let root = &self.loader.root;
            error.context(format!("Failed to read kustomization file under /{root}"))
        })
    }

    /// Sets the build's schema as the kustomization asks; the first one asked for stays.
    ///
    /// # Errors
    /// Where the schema cannot be had.
    pub(crate) fn set_schema(&self) -> Result<(), Error> {
        let k = &self.kustomization;
        let place = || k.place(k.openapi_line);
        let version = k.openapi.get("version");
        let Some(path) = k.openapi.get("path") else {
            return match version.map(String::as_str) {
                None | Some("") => Ok(()),
                Some(_) if self.schema.is_settled() => Ok(()),
                Some("v1.21.2") => {
                    self.schema.settle();
                    Ok(())
                }
                Some(other) => Err(Error::at(
                    place(),
                    format!("the specified OpenAPI version is not built in: {other}"),
                )),
            };
        };
        let file = self
            .loader
            .load(path)
            .map_err(|error| error.into_error(&self.loader.session).with_place(place()))?;
        if self.schema.is_settled() {
            return Ok(());
        }
        if version.is_some() {
            let text = "builtin version and custom schema provided, cannot use both";
            return Err(Error::at(place(), text));
        }
        let set = read::json(&file).and_then(|document| self.schema.set_custom(document));
        set.map_err(|error| {
            let error = error.or_place(|| Place::line(&file.path, 1));
            error.with_place(place()).context("invalid schema file")
        })
    }

    /// Brings everything of the directory together, onto what is there.
    ///
    /// # Errors
    /// Whatever is wrong with it or below it. Objects that are missing keep nothing from being
    /// read; they keep all from being transformed.
    pub(crate) fn accumulate(&self, all: &mut Accumulator, pass: Pass) -> Result<(), Error> {
        let k = &self.kustomization;
        let mut faults = Gathered::default();
        let added = self.accumulate_resources(all, &k.resources);
        faults.note(added.map_err(|error| error.context("accumulating resources")));
        if let Some(config) = faults.note(self.read_config()) {
            let merged = all.merge_config(&config);
            faults.note(merged.map_err(|error| error.or_place(|| self.config_place())));
        }
        let pass = pass.after(&faults);
        faults.note(self.generate(all, pass));
        let pass = pass.after(&faults);
        let added = self.accumulate_components(all, &k.components, pass);
        faults.note(added.map_err(|error| error.context("accumulating components")));
        let steps = self.transformers(&all.config());
        let steps = faults.note(steps).unwrap_or_default();
        faults.note(self.loader.session.check_missing());
        if pass.after(&faults) == Pass::Reading {
            return faults.end();
        }
        run(&mut all.resources, &steps)?;
        self.validate(all)?;
        vars::bind(&mut all.resources, &mut all.vars, &k.vars)
            .map_err(|error| error.context("merging vars"))?;
        let limit = self.loader.session.options.limits.max_resources;
        if all.resources.len() > limit {
            let problem = format!("the build has more than {limit} objects");
            let line = k.resources.first().map_or(1, |entry| entry.line);
            return Err(Error::at(k.place(line), problem));
        }
        Ok(())
    }

    /// Names the first entry that adds fields to the defaults.
    fn config_place(&self) -> Place {
        let k = &self.kustomization;
        let first = k.configurations.first().or(k.crds.first());
        k.place(first.map_or(1, |entry| entry.line))
    }

    /// Reads the fields that this directory adds to the defaults.
    fn read_config(&self) -> Result<Arc<Config>, Error> {
        let k = &self.kustomization;
        if k.configurations.is_empty() && k.crds.is_empty() {
            return Ok(Config::defaults());
        }
        let mut config = (*Config::defaults()).clone();
        let mut faults = Gathered::default();
        for entry in &k.configurations {
            let added = self.load_entry(entry).and_then(|f| read_configuration(&f));
            let added = added.and_then(|added| config.add(&added));
            faults.note(added.map_err(|error| error.or_place(|| k.place(entry.line))));
        }
        for entry in &k.crds {
            let file = self
                .load_entry(entry)
                .map_err(|e| e.context("loading CRDs"));
            let added = file.and_then(|file| read_crd(&file));
            let added = added.and_then(|added| config.add(&added));
            faults.note(added.map_err(|error| error.or_place(|| k.place(entry.line))));
        }
        faults.end()?;
        Ok(Arc::new(config))
    }

    fn load_entry(&self, entry: &Text) -> Result<crate::load::File<'a>, Error> {
        self.loader.load(&entry.value).map_err(|error| {
            let error = error.into_error(&self.loader.session);
            error.with_place(self.kustomization.place(entry.line))
        })
    }

    /// Runs the generators and takes what they make.
    fn generate(&self, all: &mut Accumulator, pass: Pass) -> Result<(), Error> {
        let k = &self.kustomization;
        let mut faults = Gathered::default();
        let kinds = [
            (MapKind::ConfigMap, &k.config_maps),
            (MapKind::Secret, &k.secrets),
        ];
        for (kind, generators) in kinds {
            let name = match kind {
                MapKind::ConfigMap => "ConfigMapGenerator",
                MapKind::Secret => "SecretGenerator",
            };
            let origin = self.built_in_origin(name);
            for generator in generators {
                let place = k.place(generator.line);
                let options = generator.value.merged_options(k.generator_options.as_ref());
                let made = map::generate(&self.loader, kind, &generator.value, &options, &place);
                let Some(mut made) = faults.note(made) else {
                    continue;
                };
                made.origin.clone_from(&origin);
                absorb(all, made, pass, &mut faults);
            }
        }
        for chart in &k.helm_charts {
            let fields = self.chart_fields(&chart.value);
            let made = self.inflate_chart(fields, &k.place(chart.line));
            for made in faults.note(made).into_iter().flatten() {
                absorb(all, made, pass, &mut faults);
            }
        }
        let made = self.run_generator_plugins();
        for made in faults.note(made).into_iter().flatten() {
            absorb(all, made, pass, &mut faults);
        }
        faults.end()
    }

    fn built_in_origin(&self, kind: &str) -> Option<Origin> {
        let by = ConfiguredBy {
            api_version: "builtin".to_owned(),
            kind: kind.to_owned(),
            ..ConfiguredBy::default()
        };
        self.origin
            .as_ref()
            .map(|origin| origin.configured(&self.file_name, by))
    }

    /// Gives a chart's fields with those of all charts beneath, and the namespace it inherits.
    fn chart_fields(&self, own: &Fields) -> Fields {
        let k = &self.kustomization;
        let mut fields = k.helm_globals.clone();
        fields.extend(own.clone());
        let namespace = fields.get("namespace").and_then(|value| value.as_str());
        if namespace.is_none_or(str::is_empty) {
            let inherited = match k.namespace.as_str() {
                "" => &self.helm_namespace,
                namespace => namespace,
            };
            if !inherited.is_empty() {
                fields.insert("namespace".to_owned(), inherited.to_owned().into());
            }
        }
        fields
    }

    /// Renders a chart, if that is turned on.
    fn inflate_chart(&self, fields: Fields, place: &Place) -> Result<Vec<Resource>, Error> {
        let doing = "trouble configuring builtin HelmChartInflationGenerator";
        let Some(helm) = self.loader.session.options.helm else {
            return Err(Error::at(place.clone(), "must specify --enable-helm").context(doing));
        };
        let chart = HelmChart {
            directory: self.loader.root.clone(),
            fields,
        };
        let text = helm
            .inflate(self.loader.tree, &chart)
            .map_err(|reason| Error::at(place.clone(), reason).context(doing))?;
        let max_bytes = self.loader.session.options.limits.max_file_bytes;
        let input = Input {
            bytes: text.as_bytes(),
            file: &place.file,
            lines: Lines::Only(place.line),
        };
        let made = read::resources(&input, max_bytes, 1);
        let mut made = made.map_err(|(error, _)| error.context(doing))?;
        let origin = self.built_in_origin("HelmChartInflationGenerator");
        for resource in &mut made {
            resource.origin.clone_from(&origin);
            let mut annotations: Vec<(String, String)> =
                tree::meta_map(&resource.node, "annotations")
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .collect();
            annotations.push((HELM_GENERATED.to_owned(), "true".to_owned()));
            tree::set_meta_map(&mut resource.node, "annotations", &annotations);
        }
        Ok(made)
    }

    /// Runs the validators, which must leave the objects as they are.
    fn validate(&self, all: &mut Accumulator) -> Result<(), Error> {
        let mut faults = Gathered::default();
        for step in self.transformer_plugins(&self.kustomization.validators)? {
            let place = || step.place.clone().unwrap_or_default();
            let mut seen = all.resources.clone();
            let validated = step.transformer.apply(&mut seen);
            faults.note(validated.map_err(|error| error.or_place(place)));
            let before = all.resources.iter().map(|resource| &resource.node);
            if !before.eq(seen.iter().map(|resource| &resource.node)) {
                let text = "validator shouldn't modify the resource map";
                faults.note::<()>(Err(Error::at(place(), text)));
            }
        }
        faults.end()
    }
}

/// Takes what a generator made; where objects are missing nobody can tell whether it fits.
fn absorb(all: &mut Accumulator, made: Resource, pass: Pass, faults: &mut Gathered) {
    if pass == Pass::Whole {
        let absorbed = all.resources.absorb(made);
        faults.note(absorbed.map_err(|error| error.context("merging from generator")));
    }
}

/// Runs transformers one after the other; what they empty is dropped.
pub(crate) fn run(resources: &mut ResMap, steps: &[Step]) -> Result<(), Error> {
    let mut faults = Gathered::default();
    let mut failed = "";
    for step in steps {
        // A step that fails says nothing about the next ones of its kind, which may be wrong as
        // well: patches, images, replicas. Other kinds build on it.
        let name = step.transformer.name();
        if !faults.is_empty() && name != failed {
            break;
        }
        let applied = step.transformer.apply(resources);
        let applied = applied.map_err(|error| match &step.place {
            Some(place) => error.or_place(|| place.clone()),
            None => error,
        });
        if faults.note(applied).is_none() {
            failed = name;
        }
        if let Some(origin) = &step.origin {
            for resource in resources.content_mut() {
                // Upstream writes all annotations anew with each origin: they become strings.
                tree::set_meta_strings(&mut resource.node, "annotations");
                match &resource.origin {
                    None => resource.origin = Some(origin.clone()),
                    Some(_) => resource.transformations.push(origin.clone()),
                }
            }
        }
        resources.drop_empty();
    }
    faults.end()
}

/// Says that a field has a successor.
fn deprecated(field: &str) -> String {
    let (instead, hint) = match field {
        "bases" => ("resources", ""),
        "commonLabels" => ("labels", ""),
        "imageTags" => ("images", ""),
        "vars" => ("replacements", "[EXPERIMENTAL] "),
        _ => ("patches", ""),
    };
    format!(
        "# Warning: '{field}' is deprecated. Please use '{instead}' instead. {hint}Run 'kustomize \
         edit fix' to update your Kustomization automatically."
    )
}
