//! A set of templates and the state that a rendering shares: functions, budgets, randomness.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use go::time::Time;

use crate::ast::Tree;
use crate::error::{Fault, FaultKind};
use crate::exec;
use crate::funcs::Functions;
use crate::random::Random;
use crate::text::Str;
use crate::value::{Map, Value, WeakMap};

/// What a missing map key gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingKey {
    /// The element type's zero value: `missingkey=zero`.
    #[default]
    Zero,
    /// An error: `missingkey=error`.
    Error,
}

/// Limits on what one rendering may use. Upstream has none but the nesting depth.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Nodes and function calls evaluated.
    pub steps: u64,
    /// Bytes of output and of intermediate texts.
    pub output_bytes: u64,
    /// Templates invoked inside each other.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps: 50_000_000,
            output_bytes: 256 << 20,
            depth: 3_000,
        }
    }
}

/// About what an element of a list takes.
const ITEM_BYTES: usize = 32;

/// What the whole rendering shares. Once it is dropped, the maps that templates changed are empty.
#[derive(Debug)]
pub struct Shared {
    /// The functions templates can call.
    pub functions: Functions,
    /// What a missing map key gives.
    pub missing_key: MissingKey,
    /// The present, as `now` tells it.
    pub now: Time,
    /// The source of `randAlpha`, `genCA` and their like.
    pub random: Random,
    /// What the functions of the engine's user need.
    pub host: Option<Rc<dyn Any>>,
    limits: Limits,
    steps: Cell<u64>,
    output: Cell<u64>,
    depth: Cell<usize>,
    changed: RefCell<Vec<WeakMap>>,
}

impl Drop for Shared {
    /// Empties the maps that templates changed: one put into itself would never be freed.
    fn drop(&mut self) {
        for map in self.changed.take() {
            map.clear();
        }
    }
}

impl Shared {
    /// Makes the state of one rendering.
    pub fn new(functions: Functions, now: Time, random: Random, limits: Limits) -> Self {
        Self {
            functions,
            missing_key: MissingKey::Zero,
            now,
            random,
            host: None,
            limits,
            steps: Cell::new(0),
            output: Cell::new(0),
            depth: Cell::new(0),
            changed: RefCell::default(),
        }
    }

    /// Counts work.
    pub fn spend_steps(&self, steps: u64) -> Result<(), Fault> {
        let spent = self.steps.get().saturating_add(steps);
        self.steps.set(spent);
        if spent > self.limits.steps {
            let text = format!("rendering takes more than {} steps", self.limits.steps);
            return Err(Fault::of(FaultKind::Budget, text));
        }
        Ok(())
    }

    /// Counts bytes of text that are made.
    pub fn spend_bytes(&self, bytes: usize) -> Result<(), Fault> {
        let spent = self.output.get().saturating_add(bytes as u64);
        self.output.set(spent);
        if spent > self.limits.output_bytes {
            let text = format!(
                "rendering makes more than {} bytes",
                self.limits.output_bytes
            );
            return Err(Fault::of(FaultKind::Budget, text));
        }
        Ok(())
    }

    /// Counts the elements of a list that is made: the work, and the memory they take.
    pub(crate) fn spend_items(&self, count: usize) -> Result<(), Fault> {
        self.spend_steps(count as u64)?;
        self.spend_bytes(count.saturating_mul(ITEM_BYTES))
    }

    /// Puts a value into a map for a template, as long as the rendering lasts.
    pub(crate) fn put(&self, map: &Map, key: Str, value: Value) {
        if matches!(value, Value::Map(_) | Value::List(_)) {
            self.changed.borrow_mut().push(WeakMap::of(map));
        }
        map.insert(key, value);
    }

    pub(crate) fn enter(&self) -> Result<(), Fault> {
        let depth = self.depth.get() + 1;
        if depth > self.limits.depth {
            let text = format!("exceeded maximum template depth ({})", self.limits.depth);
            return Err(Fault::of(FaultKind::Budget, text));
        }
        self.depth.set(depth);
        Ok(())
    }

    pub(crate) fn leave(&self) {
        self.depth.set(self.depth.get() - 1);
    }
}

/// A set of templates that can invoke each other, perhaps on top of another set.
#[derive(Debug, Clone, Default)]
pub struct Templates {
    /// The set's own name, which errors about missing templates show.
    name: Rc<str>,
    trees: HashMap<String, Rc<Tree>>,
    below: Option<Rc<Self>>,
}

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template(Rc<Tree>);

impl Templates {
    /// Makes an empty set.
    pub fn new(name: &str) -> Self {
        Self {
            name: Rc::from(name),
            trees: HashMap::new(),
            below: None,
        }
    }

    /// Makes a set that sees another one's templates and can replace them for itself.
    pub fn on_top_of(below: &Rc<Self>) -> Self {
        Self {
            name: Rc::clone(&below.name),
            trees: HashMap::new(),
            below: Some(Rc::clone(below)),
        }
    }

    /// The set's own name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Parses a text and adds its templates; answers the text's own. A later definition replaces
    /// an earlier one, unless it is blank.
    pub fn parse(
        &mut self,
        name: &str,
        source: impl Into<Rc<str>>,
        shared: &Shared,
    ) -> Result<Template, Fault> {
        let source = source.into();
        let trees = crate::parse::parse(name, &source, &|f| shared.functions.get(f).is_some())?;
        let mut own = None;
        for tree in trees {
            let tree = Rc::new(tree);
            if tree.name == name {
                own = Some(Rc::clone(&tree));
            }
            let keep = tree.is_blank() && self.get(&tree.name).is_some();
            if !keep {
                self.trees.insert(tree.name.clone(), tree);
            }
        }
        own.map(Template)
            .ok_or_else(|| Fault::new(format!("template: {name}: no own template")))
    }

    /// Executes a template of the set by name.
    pub fn execute(
        self: &Rc<Self>,
        name: &str,
        data: Value,
        shared: &Shared,
    ) -> Result<Vec<u8>, Fault> {
        let Some(tree) = self.get(name) else {
            let text = format!(
                "template: no template {} associated with template {}",
                crate::lex::quote(name),
                crate::lex::quote(&self.name)
            );
            return Err(Fault::new(text));
        };
        exec::run(self, &tree, data, shared)
    }

    /// Executes a template that was parsed into the set.
    pub fn run(
        self: &Rc<Self>,
        template: &Template,
        data: Value,
        shared: &Shared,
    ) -> Result<Vec<u8>, Fault> {
        exec::run(self, &template.0, data, shared)
    }

    pub(crate) fn get(&self, name: &str) -> Option<Rc<Tree>> {
        let mut set = self;
        loop {
            if let Some(tree) = set.trees.get(name) {
                return Some(Rc::clone(tree));
            }
            set = set.below.as_deref()?;
        }
    }
}

/// What a function is called with, beyond its arguments.
#[derive(Debug)]
pub struct Call<'a> {
    /// The set of templates the caller belongs to.
    pub templates: &'a Rc<Templates>,
    /// The state of the rendering.
    pub shared: &'a Shared,
}
