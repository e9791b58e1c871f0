//! The entries of `resources` and `components`: files, bases and repositories.

use std::collections::VecDeque;

use super::{Accumulator, Pass, Target};
use crate::error::{Error, Gathered};
use crate::kustomization::{COMPONENT, Text};
use crate::load::{File, LoadError, Loader};
use crate::origin::Origin;
use crate::parallel;
use crate::read::{self, Input};
use crate::remote;
use crate::resource::Resource;

/// The objects of a file, or why there are none and whether the file is no YAML at all.
type Objects = Result<Vec<Resource>, (LoadError, bool)>;

/// What a directory is entered as.
#[derive(Debug, Clone, Copy)]
enum Role {
    Base,
    Component,
}

/// Reads the files of entries, several ahead where threads may share the work.
struct Ahead<'e> {
    /// The entries not read yet.
    entries: &'e [Text],
    ready: VecDeque<Objects>,
}

impl<'e> Ahead<'e> {
    fn new(entries: &'e [Text]) -> Self {
        Self {
            entries,
            ready: VecDeque::new(),
        }
    }

    /// Gives the objects of the next entry.
    fn next(&mut self, loader: &Loader<'_>) -> Objects {
        if self.ready.is_empty() {
            self.read(loader);
        }
        self.ready.pop_front().unwrap_or_else(|| Ok(Vec::new()))
    }

    /// Reads entries up to one that is no file; it is for its turn to enter that.
    fn read(&mut self, loader: &Loader<'_>) {
        /// So much is held at once, and one file more.
        const MOST_BYTES: usize = 4 << 20;
        let options = loader.session.options;
        let mut files: Vec<Result<File<'_>, LoadError>> = Vec::new();
        let mut bytes = 0;
        while let Some((entry, rest)) = self.entries.split_first() {
            self.entries = rest;
            let file = loader.load(&entry.value);
            bytes += file.as_ref().map_or(MOST_BYTES, |file| file.content.len());
            files.push(file);
            if options.threads < 2 || bytes >= MOST_BYTES {
                break;
            }
        }
        let threads = if bytes < parallel::LEAST_BYTES {
            1
        } else {
            options.threads
        };
        let inner = if files.len() > 1 { 1 } else { threads };
        let max_bytes = options.limits.max_file_bytes;
        let read = parallel::map(&files, threads, |file| {
            let file = file.as_ref().ok()?;
            Some(read::resources(&Input::whole(file), max_bytes, inner))
        });
        self.ready = files
            .into_iter()
            .zip(read)
            .map(|(file, read)| match (file, read) {
                (Err(error), _) => Err((error, false)),
                (Ok(_), None) => Ok(Vec::new()),
                (Ok(_), Some(read)) => {
                    read.map_err(|(error, is_malformed)| (LoadError::Other(error), is_malformed))
                }
            })
            .collect();
    }
}

impl<'a> Target<'a> {
    /// Adds files, bases and repositories in the order they are listed.
    ///
    /// # Errors
    /// Every entry that cannot be added.
    pub(crate) fn accumulate_resources(
        &self,
        all: &mut Accumulator,
        entries: &[Text],
    ) -> Result<(), Error> {
        let mut ahead = Ahead::new(entries);
        let mut faults = Gathered::default();
        for entry in entries {
            let read = ahead.next(&self.loader);
            faults.note(self.accumulate_entry(all, entry, read));
        }
        faults.end()
    }

    /// Adds a file, or else what is found where the entry leads.
    fn accumulate_entry(
        &self,
        all: &mut Accumulator,
        entry: &Text,
        read: Objects,
    ) -> Result<(), Error> {
        let place = || self.kustomization.place(entry.line);
        let (as_file, is_malformed) = match self.accumulate_file(all, &entry.value, read) {
            Ok(()) | Err((LoadError::Missing, _)) => return Ok(()),
            Err((LoadError::Http(error), _)) => return Err(error.with_place(place())),
            Err((LoadError::Other(as_file), is_malformed)) => (as_file, is_malformed),
        };
        let inner = match self.loader.enter(&entry.value) {
            Ok(inner) => inner,
            Err(LoadError::Missing) => return Ok(()),
            Err(LoadError::Http(_) | LoadError::Other(_)) if is_malformed => return Err(as_file),
            Err(LoadError::Http(error) | LoadError::Other(error)) => {
                return Err(both(&as_file, error).with_place(place()));
            }
        };
        let mut base = self.accumulator();
        self.accumulate_directory(&entry.value, inner, &mut base, Role::Base, Pass::Whole)
            .map_err(|error| both(&as_file, error).with_place(place()))?;
        all.merge(base).map_err(|error| {
            let doing = format!("recursed merging from path '{}'", entry.value);
            both(&as_file, error.context(doing)).with_place(place())
        })
    }

    /// Adds the objects of a file.
    fn accumulate_file(
        &self,
        all: &mut Accumulator,
        entry: &str,
        read: Objects,
    ) -> Result<(), (LoadError, bool)> {
        let wrap = |doing: String, error: Error| LoadError::Other(error.context(doing));
        let mut found = read.map_err(|(error, is_malformed)| match error {
            LoadError::Other(error) => {
                let doing = format!("accumulating resources from '{entry}'");
                (wrap(doing, error), is_malformed)
            }
            other => (other, is_malformed),
        })?;
        if let Some(origin) = &self.origin {
            let origin = origin_of(origin, entry);
            for resource in &mut found {
                resource.origin = Some(origin.clone());
            }
        }
        all.resources.append_all(found).map_err(|error| {
            let doing = format!("merging resources from '{entry}'");
            (wrap(doing, error), false)
        })
    }

    /// Builds a directory onto what is there. Where something remote is missing the build goes on
    /// to find what else is.
    fn accumulate_directory(
        &self,
        entry: &str,
        loader: Loader<'a>,
        all: &mut Accumulator,
        role: Role,
        pass: Pass,
    ) -> Result<(), Error> {
        let root = loader.root.clone();
        let mut inner = Self::load(loader, &self.schema)
            .map_err(|error| error.context(format!("couldn't make target for path '/{root}'")))?;
        inner
            .kustomization
            .build_metadata
            .clone_from(&self.kustomization.build_metadata);
        inner.origin = self.origin.as_ref().map(|origin| origin_of(origin, entry));
        inner.helm_namespace = match self.kustomization.namespace.as_str() {
            "" => self.helm_namespace.clone(),
            namespace => namespace.to_owned(),
        };
        inner.set_schema()?;
        let is_component = inner.kustomization.kind.value == COMPONENT;
        let place = inner
            .kustomization
            .place(inner.kustomization.kind.line.max(1));
        match (role, is_component) {
            (Role::Component, false) => {
                let kind = match inner.kustomization.kind.value.as_str() {
                    "" => "Kustomization",
                    kind => kind,
                };
                return Err(Error::at(
                    place,
                    format!("expected kind 'Component' for path '/{root}' but got '{kind}'"),
                ));
            }
            (Role::Base, true) => {
                return Err(Error::at(
                    place,
                    format!("expected kind != 'Component' for path '/{root}'"),
                ));
            }
            (Role::Base, false) | (Role::Component, true) => {}
        }
        match inner.accumulate(all, pass) {
            Ok(()) | Err(Error::Missing(_)) => Ok(()),
            Err(error) => Err(error.context(format!("recursed accumulation of path '/{root}'"))),
        }
    }

    /// Lets components work on what is there, one after the other.
    ///
    /// # Errors
    /// Every component that fails. Those after it are only read: what it would have brought is
    /// missing.
    pub(super) fn accumulate_components(
        &self,
        all: &mut Accumulator,
        entries: &[Text],
        pass: Pass,
    ) -> Result<(), Error> {
        let mut faults = Gathered::default();
        for entry in entries {
            let added = match pass.after(&faults) {
                Pass::Whole => self.accumulate_component(all, entry, Pass::Whole),
                Pass::Reading => {
                    let mut alone = self.accumulator();
                    self.accumulate_component(&mut alone, entry, Pass::Reading)
                }
            };
            faults.note(
                added.map_err(|error| error.with_place(self.kustomization.place(entry.line))),
            );
        }
        faults.end()
    }

    fn accumulate_component(
        &self,
        all: &mut Accumulator,
        entry: &Text,
        pass: Pass,
    ) -> Result<(), Error> {
        let inner = match self.loader.enter(&entry.value) {
            Ok(inner) => inner,
            Err(LoadError::Missing) => return Ok(()),
            Err(LoadError::Http(error) | LoadError::Other(error)) => {
                return Err(error.context("loader.New"));
            }
        };
        self.accumulate_directory(&entry.value, inner, all, Role::Component, pass)
            .map_err(|error| error.context("accumulateDirectory"))?;
        // Upstream adds everything anew after a component.
        all.resources
            .check_unique()
            .map_err(|error| error.context(format!("recursed merging from path '{}'", entry.value)))
    }
}

/// Says why an entry is neither a file nor a directory.
fn both(as_file: &Error, as_directory: Error) -> Error {
    let reason = match as_file {
        Error::Invalid(fault) => {
            let mut fault = (**fault).clone();
            fault.places.clear();
            fault.to_string()
        }
        other @ Error::Missing(_) => other.to_string(),
    };
    let error = as_directory.context(format!("accumulation err='{reason}'"));
    as_file
        .places()
        .iter()
        .cloned()
        .fold(error, Error::with_place)
}

/// Names an entry of a directory whose own origin is known.
fn origin_of(origin: &Origin, entry: &str) -> Origin {
    match remote::parse(entry) {
        Ok(spec) => Origin {
            path: spec.directory,
            repo: spec.repository,
            reference: spec.reference,
            ..Origin::default()
        },
        Err(_) => origin.append(entry),
    }
}
