//! Builds node trees from events: resolves scalars, expands aliases and merge keys, keeps budgets.

mod findings;
mod mapping;

use crate::error::{Error, ErrorKind};
use crate::event::{Event, Located, Properties};
use crate::limits::Limits;
use crate::mapping::Entry;
use crate::node::{Kind, Node, Scalar, Sequence, Style, Text, Value};
use crate::parse::{Duplicates, Steps};
use crate::resolve::{self, Schema};
use crate::span::{Position, Source, Span};
use findings::Findings;
use mapping::OpenMapping;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// Keys up to this length are shared between mappings; longer ones seldom repeat.
const SHARED_KEY_BYTES: usize = 40;
/// How many different keys are remembered for sharing.
const SHARED_KEYS: usize = 4096;

/// Room for more children than this is not kept for the next collection.
const MOST_ROOM: usize = 64;

/// Room that complete collections were filled in: most are small, and each is kept in memory of its exact size, so that
/// growing one by one would mean to copy its children again and again.
#[derive(Default)]
struct Room {
    entries: Vec<Vec<Entry>>,
    items: Vec<Vec<Node>>,
}

/// Moves children to memory of their exact size; keeps the room they were in.
fn settle<T>(mut children: Vec<T>, rooms: &mut Vec<Vec<T>>) -> Vec<T> {
    if children.capacity() > MOST_ROOM {
        children.shrink_to_fit();
        return children;
    }
    let mut exact = Vec::with_capacity(children.len());
    exact.append(&mut children);
    rooms.push(children);
    exact
}

/// How the texts of one parse are read.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) schema: Schema,
    pub(crate) duplicates: Duplicates,
    pub(crate) limits: Limits,
    pub(crate) source: Source,
    /// Line of the file the text begins at.
    pub(crate) origin: usize,
}

/// An anchor seen in the document.
enum Anchored {
    /// Its collection is not complete: an alias to it would contain itself.
    Open,
    /// The node and how many nodes it is.
    Done(Node, usize),
}

/// A collection that is being filled.
struct Open {
    start: Position,
    style: Style,
    anchor: Option<String>,
    /// How many nodes there were when it began.
    composed_before: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping(Box<OpenMapping>),
}

/// A node with what matters only to its parent.
struct Done {
    node: Node,
    start: Position,
    is_merge_key: bool,
    /// It has a tag other than that of a string.
    is_tagged: bool,
}

/// Composes all documents of a stream.
pub(crate) struct Composer<'r> {
    rules: &'r Rules,
    open: Vec<Open>,
    anchors: HashMap<String, Anchored>,
    keys: HashSet<Text>,
    /// What counts against the budget: nodes, and the copies kept for aliases.
    nodes: usize,
    /// The text holds an asterisk: without one no anchor is ever used.
    may_alias: bool,
    /// Nodes of the trees made so far.
    composed: usize,
    /// Nodes that came from aliases, and all nodes, of the current document, as go-yaml counts them.
    aliased: usize,
    decoded: usize,
    findings: Findings,
    room: Room,
}

impl<'r> Composer<'r> {
    pub(crate) fn new(rules: &'r Rules, may_alias: bool) -> Self {
        Self {
            rules,
            open: Vec::new(),
            anchors: HashMap::new(),
            keys: HashSet::new(),
            nodes: 0,
            may_alias,
            composed: 0,
            aliased: 0,
            decoded: 0,
            findings: Findings::default(),
            room: Room::default(),
        }
    }

    /// Reads events to the end, or to the end of the first document when `first_only`.
    pub(crate) fn documents(
        &mut self,
        events: &mut Steps<'_, '_>,
        first_only: bool,
    ) -> Result<Vec<Node>, Error> {
        let mut documents = Vec::new();
        while let Some(located) = events.next()? {
            let ends_document = located.event == Event::DocumentEnd;
            documents.extend(self.step(located)?);
            if ends_document && let Some((at, kind)) = self.findings.take(self.rules.schema) {
                return self.fail(at, kind);
            }
            if first_only && ends_document {
                break;
            }
        }
        Ok(documents)
    }

    /// Takes one event; returns the root once a document's last node is complete.
    fn step(&mut self, located: Located<'_>) -> Result<Option<Node>, Error> {
        let Located {
            event,
            content: start,
            end,
            ..
        } = located;
        let done = match event {
            Event::DocumentStart | Event::DocumentEnd => {
                // go-yaml v3 remembers anchors across documents.
                if self.rules.schema == Schema::Legacy {
                    self.anchors.clear();
                }
                (self.aliased, self.decoded) = (0, 0);
                return Ok(None);
            }
            Event::Alias(name) => Done {
                node: self.expand(&name, start)?,
                start,
                is_merge_key: false,
                is_tagged: false,
            },
            Event::Scalar {
                text,
                style,
                properties,
            } => {
                let is_kept = self.may_alias && properties.anchor.is_some();
                self.count(1, start)?;
                // The copy for aliases, and its name.
                self.charge(if is_kept { 2 } else { 0 }, start)?;
                self.scalar(&text, style, &properties, start, end)
            }
            Event::SequenceStart { style, properties } => {
                let items = self.room.items.pop().unwrap_or_default();
                self.begin(Content::Sequence(items), style, properties, start)?;
                return Ok(None);
            }
            Event::MappingStart { style, properties } => {
                let entries = self.room.entries.pop().unwrap_or_default();
                let mapping = OpenMapping::new(start, self.rules.schema, entries);
                self.begin(
                    Content::Mapping(Box::new(mapping)),
                    style,
                    properties,
                    start,
                )?;
                return Ok(None);
            }
            Event::CollectionEnd => match self.end(end)? {
                Some(done) => done,
                None => return Ok(None),
            },
        };
        Ok(self.attach(done))
    }

    fn fail<T>(&self, at: Position, kind: ErrorKind) -> Result<T, Error> {
        Err(Error {
            file: self.rules.source.clone(),
            at,
            kind,
            origin: self.rules.origin,
        })
    }

    /// Counts nodes that enter the tree.
    fn count(&mut self, nodes: usize, at: Position) -> Result<(), Error> {
        self.decoded = self.decoded.saturating_add(nodes);
        self.composed = self.composed.saturating_add(nodes);
        self.charge(nodes, at)
    }

    fn charge(&mut self, nodes: usize, at: Position) -> Result<(), Error> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > self.rules.limits.max_nodes {
            return self.fail(at, ErrorKind::TooManyNodes(self.rules.limits.max_nodes));
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: Style,
        properties: &Properties<'_>,
        start: Position,
        end: usize,
    ) -> Done {
        let is_merge_key = text == "<<" && is_merge(style, properties.tag.as_deref());
        let text = self.share(text);
        let scalar = resolve::scalar(text, style, properties.tag.as_deref(), self.rules.schema);
        let scalar = scalar.unwrap_or_else(|kind| {
            self.findings.refuse(start, kind);
            Scalar {
                kind: Kind::Null,
                text: Text::default(),
            }
        });
        let span = Span::new(self.rules.source.clone(), start, end);
        let node = Node {
            value: Value::Scalar(scalar),
            span,
            style,
        };
        if let Some(anchor) = &properties.anchor
            && self.may_alias
        {
            self.anchors
                .insert(anchor.to_string(), Anchored::Done(node.clone(), 1));
        }
        Done {
            node,
            start,
            is_merge_key,
            is_tagged: is_tagged(properties.tag.as_deref()),
        }
    }

    /// Makes the text of what will be a key shared with equal keys, unless it needs no memory anyway;
    /// values get a text of their own.
    fn share(&mut self, text: &str) -> Text {
        if text.len() <= Text::INLINE_BYTES || text.len() > SHARED_KEY_BYTES {
            return text.into();
        }
        let is_key = matches!(self.open.last(), Some(Open { content: Content::Mapping(mapping), .. }) if mapping.expects_key());
        if !is_key {
            return text.into();
        }
        if let Some(known) = self.keys.get(text) {
            return known.clone();
        }
        let text = Text::from(text);
        if self.keys.len() < SHARED_KEYS {
            self.keys.insert(text.clone());
        }
        text
    }

    fn begin(
        &mut self,
        content: Content,
        style: Style,
        properties: Properties<'_>,
        start: Position,
    ) -> Result<(), Error> {
        let composed_before = self.composed;
        self.count(1, start)?;
        if self.open.len() >= self.rules.limits.max_depth {
            return self.fail(start, ErrorKind::TooDeep(self.rules.limits.max_depth));
        }
        let anchor = properties
            .anchor
            .filter(|_| self.may_alias)
            .map(Cow::into_owned);
        if let Some(anchor) = &anchor {
            self.anchors.insert(anchor.clone(), Anchored::Open);
        }
        self.open.push(Open {
            start,
            style,
            anchor,
            composed_before,
            content,
        });
        Ok(())
    }

    fn end(&mut self, end: usize) -> Result<Option<Done>, Error> {
        let Some(open) = self.open.pop() else {
            return Ok(None);
        };
        let Open {
            start,
            style,
            anchor,
            composed_before,
            content,
        } = open;
        let value = match content {
            Content::Sequence(items) => {
                Value::Sequence(Sequence(settle(items, &mut self.room.items)))
            }
            Content::Mapping(mapping) => {
                let mut mapping = mapping.end(&mut self.findings);
                let entries = std::mem::take(&mut mapping.entries);
                mapping.entries = settle(entries, &mut self.room.entries);
                Value::Mapping(mapping)
            }
        };
        let node = Node {
            value,
            span: Span::new(self.rules.source.clone(), start, end),
            style,
        };
        if let Some(anchor) = anchor {
            let size = self.composed - composed_before;
            // The copy an alias may need counts as well: nested anchors copy again and again.
            self.charge(size, start)?;
            self.anchors
                .insert(anchor, Anchored::Done(node.clone(), size));
        }
        Ok(Some(Done {
            node,
            start,
            is_merge_key: false,
            is_tagged: false,
        }))
    }

    fn expand(&mut self, name: &str, at: Position) -> Result<Node, Error> {
        let (node, size) = match self.anchors.get(name) {
            None => return self.fail(at, ErrorKind::UnknownAnchor(name.to_owned())),
            Some(Anchored::Open) => {
                self.findings
                    .refuse(at, ErrorKind::RecursiveAnchor(name.to_owned()));
                return Ok(Node::null());
            }
            Some(Anchored::Done(node, size)) => (node, *size),
        };
        let aliased = self.aliased.saturating_add(size);
        let decoded = self.decoded.saturating_add(size).saturating_add(1);
        if is_excessive(aliased, decoded) {
            return self.fail(at, ErrorKind::ExcessiveAliasing);
        }
        if self.nodes.saturating_add(size) > self.rules.limits.max_nodes {
            return self.fail(at, ErrorKind::TooManyNodes(self.rules.limits.max_nodes));
        }
        let node = node.clone();
        self.aliased = aliased;
        self.count(size, at)?;
        self.decoded = decoded;
        Ok(node)
    }

    /// Puts a complete node into its parent; returns it when it has none.
    fn attach(&mut self, done: Done) -> Option<Node> {
        let Some(parent) = self.open.last_mut() else {
            return Some(done.node);
        };
        match &mut parent.content {
            Content::Sequence(items) => items.push(done.node),
            Content::Mapping(mapping) => mapping.accept(done, self.rules, &mut self.findings),
        }
        None
    }
}

/// Tells whether a scalar `<<` is a merge key rather than a string.
fn is_merge(style: Style, tag: Option<&str>) -> bool {
    match tag {
        None => style == Style::Plain,
        Some(tag) => tag == "!" || tag == "tag:yaml.org,2002:merge",
    }
}

/// Tells whether a tag makes a key one that Go's JSON refuses.
fn is_tagged(tag: Option<&str>) -> bool {
    tag.is_some_and(|tag| tag != "!" && tag != "tag:yaml.org,2002:str")
}

/// Tells whether aliases make up more of a document than go-yaml accepts: up to 99 % of 400,000
/// nodes, falling to 10 % of 4,000,000.
///
/// Source: go.yaml.in/yaml v3.0.4, `allowedAliasRatio`.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn is_excessive(aliased: usize, decoded: usize) -> bool {
    const LOW: f64 = 400_000.0;
    const HIGH: f64 = 4_000_000.0;
    let (aliased, decoded) = (aliased as f64, decoded as f64);
    let allowed = if decoded <= LOW {
        0.99
    } else if decoded >= HIGH {
        0.10
    } else {
        0.99 - 0.89 * (decoded - LOW) / (HIGH - LOW)
    };
    aliased > 100.0 && decoded > 1000.0 && aliased / decoded > allowed
}
