//! Heads of documents without a tree of their YAML.
//!
//! Most documents are written in a few forms: block collections, values on one line, block scalars.
//! This reads those, and says nothing about a document with anything else in it, right or wrong:
//! then the YAML reader is asked. What it takes is YAML, and JSON can hold it.

mod scalar;

use yaml::Schema;

use super::head::{Head, text_of};
use scalar::{Plain, Quoted};

/// Of the annotations only those are read that Helm looks at.
pub(super) const PREFIX: &str = "helm.sh/";

/// Longer documents, and deeper ones, may exceed a limit of the YAML reader.
const MAX_BYTES: usize = 4 << 20;
const MAX_DEPTH: usize = 100;

/// More fields of the head are not looked through for repeated ones.
const MAX_FIELDS: usize = 32;

/// Longer ones may not be keys.
const MAX_KEY_BYTES: usize = 128;

/// Which part of the head a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot<'a> {
    ApiVersion,
    Kind,
    Metadata,
    Name,
    Annotations,
    Annotation(&'a str),
    Other,
}

/// An open collection: where its entries begin, and what it is.
#[derive(Debug, Clone, Copy)]
struct Level {
    indent: usize,
    is_list: bool,
    place: Place,
}

/// Which mapping of the head a collection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Metadata,
    Annotations,
    Elsewhere,
}

/// What the next line can add to.
#[derive(Debug, Clone, Copy)]
enum Open<'a> {
    /// Nothing but another entry.
    Nothing,
    /// A plain scalar, unless it is one of the head.
    Plain { of_head: bool },
    /// A key or a dash that has no value yet.
    Value(Slot<'a>),
}

struct Outline<'a> {
    lines: std::iter::Peekable<std::str::Split<'a, char>>,
    levels: Vec<Level>,
    open: Open<'a>,
    /// The fields of the head that were met.
    met: Vec<Slot<'a>>,
    head: Head,
}

/// Reads the head of a document written in the usual forms.
pub(super) fn read(text: &str) -> Option<Head> {
    if text.len() > MAX_BYTES || !scalar::is_allowed(text.as_bytes()) {
        return None;
    }
    let mut outline = Outline {
        lines: text.split('\n').peekable(),
        levels: Vec::new(),
        open: Open::Nothing,
        met: Vec::new(),
        head: Head::default(),
    };
    while let Some(line) = outline.lines.next() {
        outline.line(line)?;
    }
    outline.leave_out()?;
    (!outline.levels.is_empty()).then_some(outline.head)
}

impl<'a> Outline<'a> {
    fn line(&mut self, line: &'a str) -> Option<()> {
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        let content = content.trim_end_matches(' ');
        if content.is_empty() {
            return Some(());
        }
        if content.contains('\t') {
            return None;
        }
        if content.starts_with('#') {
            if matches!(self.open, Open::Plain { .. }) {
                self.open = Open::Nothing;
            }
            return Some(());
        }
        let inner = self.levels.last().is_none_or(|top| indent > top.indent);
        if let (Open::Plain { of_head }, true) = (self.open, inner) {
            let part = Plain::read(content)?;
            if of_head {
                return None;
            }
            if part.has_comment {
                self.open = Open::Nothing;
            }
            return Some(());
        }
        let is_marker = ["---", "...", "%"].iter().any(|m| content.starts_with(m));
        if indent == 0 && is_marker {
            return None;
        }
        match (self.open, self.levels.last()) {
            (Open::Value(slot), Some(top))
                if indent > top.indent
                    || (indent == top.indent && !top.is_list && is_item(content)) =>
            {
                self.nested(slot, indent, content)
            }
            (_, None) => {
                let (key, rest) = scalar::key(content)??;
                self.push(indent, false, Place::Root)?;
                self.pair(key, rest)
            }
            _ => {
                self.leave_out()?;
                self.next_entry(indent, content)
            }
        }
    }

    /// An entry of a collection that is open already.
    fn next_entry(&mut self, indent: usize, content: &'a str) -> Option<()> {
        while self.levels.last()?.indent > indent {
            self.levels.pop();
        }
        if self.levels.last()?.is_list && !is_item(content) {
            // A list may stand at the indentation of the key it belongs to.
            self.levels.pop();
        }
        let top = *self.levels.last()?;
        if top.indent != indent || top.is_list != is_item(content) {
            return None;
        }
        if top.is_list {
            return self.item(indent, content);
        }
        let (key, rest) = scalar::key(content)??;
        self.pair(key, rest)
    }

    /// The value of a key or dash on the lines before.
    fn nested(&mut self, slot: Slot<'a>, indent: usize, content: &'a str) -> Option<()> {
        if is_item(content) {
            if slot != Slot::Other {
                return None;
            }
            self.push(indent, true, Place::Elsewhere)?;
            return self.item(indent, content);
        }
        let Some((key, rest)) = scalar::key(content)? else {
            return self.value(slot, content);
        };
        let place = match slot {
            Slot::Metadata => Place::Metadata,
            Slot::Annotations => Place::Annotations,
            Slot::Other => Place::Elsewhere,
            _ => return None,
        };
        self.push(indent, false, place)?;
        self.pair(key, rest)
    }

    fn push(&mut self, indent: usize, is_list: bool, place: Place) -> Option<()> {
        self.open = Open::Nothing;
        self.levels.push(Level {
            indent,
            is_list,
            place,
        });
        (self.levels.len() <= MAX_DEPTH).then_some(())
    }

    /// A dash and what follows it on its line.
    fn item(&mut self, indent: usize, content: &'a str) -> Option<()> {
        let after = &content[1..];
        let inner = after.trim_start_matches(' ');
        if inner.is_empty() || inner.starts_with('#') {
            self.open = Open::Value(Slot::Other);
            return Some(());
        }
        let column = indent + 1 + after.len() - inner.len();
        if is_item(inner) {
            self.push(column, true, Place::Elsewhere)?;
            return self.item(column, inner);
        }
        match scalar::key(inner)? {
            Some((key, rest)) => {
                self.push(column, false, Place::Elsewhere)?;
                self.pair(key, rest)
            }
            None => self.value(Slot::Other, inner),
        }
    }

    /// A key and what follows its colon.
    fn pair(&mut self, key: &'a str, rest: &'a str) -> Option<()> {
        let slot = self.slot(key)?;
        let value = rest.trim_start_matches(' ');
        if value.is_empty() || (value.starts_with('#') && value.len() < rest.len()) {
            self.open = Open::Value(slot);
            return Some(());
        }
        if is_item(value) {
            return None;
        }
        self.value(slot, value)
    }

    fn slot(&mut self, key: &'a str) -> Option<Slot<'a>> {
        let fields: &[(&str, Slot<'a>)] = match self.levels.last()?.place {
            Place::Root => &[
                ("apiVersion", Slot::ApiVersion),
                ("kind", Slot::Kind),
                ("metadata", Slot::Metadata),
            ],
            Place::Metadata => &[("name", Slot::Name), ("annotations", Slot::Annotations)],
            // Of the others it does not matter whether they are there twice.
            Place::Annotations if !key.starts_with(PREFIX) => {
                return Some(Slot::Annotation(key));
            }
            Place::Annotations => &[(key, Slot::Annotation(key))],
            Place::Elsewhere => return Some(Slot::Other),
        };
        let near = fields
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key));
        let Some((name, slot)) = near else {
            return Some(Slot::Other);
        };
        if *name != key || self.met.len() >= MAX_FIELDS || self.met.contains(slot) {
            return None;
        }
        self.met.push(*slot);
        Some(*slot)
    }

    fn value(&mut self, slot: Slot<'a>, text: &'a str) -> Option<()> {
        self.open = Open::Nothing;
        match text.as_bytes().first()? {
            b'"' | b'\'' => {
                let quoted = Quoted::read(text)?;
                scalar::ends(quoted.rest)?;
                if matches!(slot, Slot::Metadata | Slot::Annotations) {
                    return None;
                }
                self.put(slot, || quoted.text())
            }
            b'|' | b'>' => self.block(slot, text),
            b'[' | b'{' => {
                scalar::ends(scalar::flow(text)?)?;
                let fits = match slot {
                    Slot::Other => true,
                    Slot::Metadata | Slot::Annotations => text.starts_with('{'),
                    _ => false,
                };
                fits.then_some(())
            }
            _ => {
                let plain = Plain::read(text)?;
                let kind = plain.kind()?;
                if !plain.has_comment {
                    let of_head = slot != Slot::Other;
                    self.open = Open::Plain { of_head };
                }
                if matches!(slot, Slot::Metadata | Slot::Annotations) {
                    return matches!(kind, yaml::Kind::Null).then_some(());
                }
                self.put(slot, || Some(text_of(kind, plain.text)))
            }
        }
    }

    /// A block scalar; its lines are stepped over.
    fn block(&mut self, slot: Slot<'a>, header: &'a str) -> Option<()> {
        let rest = header[1..].trim_start_matches(['-', '+']);
        if header.len() - rest.len() > 2 {
            return None;
        }
        scalar::ends(rest)?;
        match slot {
            Slot::Other => {}
            Slot::Annotation(name) if !name.starts_with(PREFIX) => {}
            _ => return None,
        }
        let outer = self.levels.last()?.indent;
        let (mut indent, mut longest_blank) = (None, 0);
        while let Some(line) = self.lines.peek() {
            let content = line.trim_start_matches(' ');
            let spaces = line.len() - content.len();
            match indent {
                _ if content.is_empty() => {
                    if indent.is_none() {
                        longest_blank = longest_blank.max(spaces);
                    }
                }
                Some(indent) if spaces >= indent => {}
                // Neither of the text nor of what is around it.
                Some(_) if spaces > outer => return None,
                None if spaces > outer => {
                    if spaces < longest_blank || content.starts_with('\t') {
                        return None;
                    }
                    indent = Some(spaces);
                }
                None if longest_blank > 0 => return None,
                _ => break,
            }
            self.lines.next();
        }
        Some(())
    }

    /// Takes the value that is open as none.
    fn leave_out(&mut self) -> Option<()> {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Value(slot) => self.put(slot, || Some(String::new())),
            _ => Some(()),
        }
    }

    /// Keeps a value of the head; `None` where it is not that simple.
    fn put(&mut self, slot: Slot<'a>, text: impl FnOnce() -> Option<String>) -> Option<()> {
        match slot {
            Slot::ApiVersion => self.head.api_version = text()?,
            Slot::Kind => self.head.kind = text()?,
            Slot::Name => self.head.name = text()?,
            Slot::Annotation(name) if name.starts_with(PREFIX) => {
                self.head.annotations.push((name.to_owned(), text()?));
            }
            // Nothing else but the end of a line comes here for the two in the middle.
            Slot::Annotation(_) | Slot::Metadata | Slot::Annotations | Slot::Other => {}
        }
        Some(())
    }
}

fn is_item(content: &str) -> bool {
    content == "-" || content.starts_with("- ")
}

/// The reading of plain scalars.
const SCHEMA: Schema = Schema::Legacy;
