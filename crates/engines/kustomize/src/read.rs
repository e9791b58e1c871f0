//! Reads the objects of a YAML or JSON file.

use std::borrow::Cow;
use std::sync::Arc;

use yaml::{Node, Position, Reader, Span, Value};

use crate::error::{Error, Gathered, Place, number};
use crate::load::File;
use crate::parallel;
use crate::resource::Resource;
use crate::tree;

/// What a file turned out not to be.
pub(crate) type ReadError = (Error, bool);

/// A text to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) bytes: &'a [u8],
    /// The file it is, or stands in.
    pub(crate) file: &'a str,
    pub(crate) lines: Lines,
}

/// Which lines of its file a text stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lines {
    /// Its own lines are the file's, from this one on.
    From(u32),
    /// All of it counts as this one: it is quoted, folded, or made.
    Only(u32),
}

impl<'a> Input<'a> {
    /// Takes a whole file.
    pub(crate) fn whole(file: &'a File<'_>) -> Self {
        Self {
            bytes: &file.content,
            file: &file.path,
            lines: Lines::From(1),
        }
    }

    /// Gives the line that the text's own first line counts as.
    fn first_line(&self) -> usize {
        match self.lines {
            Lines::From(line) => line as usize,
            Lines::Only(_) => 1,
        }
    }

    /// Names the place of a node, or of the whole text for one that was made.
    pub(crate) fn place(&self, node: &Node) -> Place {
        let found = node_place(node, self.file);
        match self.lines {
            Lines::From(line) if found.line == 0 => Place::line(self.file, line),
            Lines::From(_) => found,
            Lines::Only(line) => Place::line(self.file, line),
        }
    }

    /// Reads the text as one document of YAML 1.1; an empty one is null.
    ///
    /// # Errors
    /// What is wrong with it, in the words of Go's library.
    pub(crate) fn legacy(&self) -> Result<Node, Error> {
        let reader = Reader::new(yaml::Schema::Legacy).origin(self.first_line(), 0);
        let read = reader.read_first(self.bytes, self.file);
        let node = read.map_err(|error| {
            let place = yaml_place(&error, self.file);
            self.moved(Error::at(place, error.go_text()))
        })?;
        Ok(node.unwrap_or_default())
    }

    /// Puts what was found wrong on the lines of the file.
    fn moved(&self, error: Error) -> Error {
        match (error, self.lines) {
            (Error::Invalid(mut fault), Lines::Only(line)) => {
                fault.places = vec![Place::line(self.file, line)];
                Error::Invalid(fault)
            }
            (error, _) => error,
        }
    }
}

/// Reads the objects of a text, lists taken apart; the documents of a large one on so many threads.
///
/// # Errors
/// What is wrong, and whether the text is no YAML at all.
pub(crate) fn resources(
    input: &Input<'_>,
    max_bytes: usize,
    threads: usize,
) -> Result<Vec<Resource>, ReadError> {
    let shared: Arc<str> = Arc::from(input.file);
    let read = nodes(input, max_bytes, threads);
    let mut nodes = read.map_err(|(error, is_malformed)| (input.moved(error), is_malformed))?;
    if let Lines::Only(line) = input.lines {
        let start = Position {
            line: line as usize,
            ..Position::START
        };
        let span = Span::new(yaml::Source::new(input.file), start, 0);
        for node in &mut nodes {
            pin(node, &span);
        }
    }
    let made = nodes.into_iter().map(|node| Resource::new(node, &shared));
    Ok(made.collect())
}

/// Puts the values of a tree where its text stands.
fn pin(node: &mut Node, span: &Span) {
    node.span = span.clone();
    match &mut node.value {
        Value::Scalar(_) => {}
        Value::Sequence(items) => items.iter_mut().for_each(|item| pin(item, span)),
        Value::Mapping(mapping) => mapping.values_mut().for_each(|value| pin(value, span)),
    }
}

/// Reads the objects of a text as trees.
fn nodes(input: &Input<'_>, max_bytes: usize, threads: usize) -> Result<Vec<Node>, ReadError> {
    let file = input.file;
    let text = text(input).map_err(|error| (error, true))?;
    let mut nodes = documents(input, &text, max_bytes, threads)?;
    if nodes.len() == 1 && is_wrapper(&nodes[0].1) && nodes[0].0 == 1 {
        let (_, mut wrapper) = nodes.remove(0);
        let items = match wrapper.remove("items") {
            Some(Node {
                value: Value::Sequence(items),
                ..
            }) => items.into_items(),
            _ => Vec::new(),
        };
        nodes = items.into_iter().map(|item| (1, item)).collect();
    }
    let mut checked = Vec::with_capacity(nodes.len());
    let mut faults = Gathered::default();
    for (_, node) in nodes {
        faults.note(check(node, file, &mut checked));
    }
    let flat = expand_lists(checked, file, &mut faults);
    faults.end().map_err(|error| (error, false))?;
    Ok(flat)
}

/// Takes a text out of bytes: UTF-8, without a byte order mark, lines ended by `\n`.
fn text<'c>(input: &Input<'c>) -> Result<Cow<'c, str>, Error> {
    let (content, file) = (input.bytes, input.file);
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let text = std::str::from_utf8(content).map_err(|error| {
        let before = &content[..error.valid_up_to()];
        let line = input.first_line() + before.split(|byte| *byte == b'\n').count() - 1;
        Error::at(
            Place::line(file, number(line)),
            format!("MalformedYAMLError: invalid UTF-8 in File: {file}"),
        )
    })?;
    Ok(if text.contains("\r\n") {
        Cow::Owned(text.replace("\r\n", "\n"))
    } else {
        Cow::Borrowed(text)
    })
}

/// Splits a text at lines that start with `---`; gives each part's first line and offset.
///
/// # Errors
/// Every such line that says something else.
fn split<'t>(input: &Input<'_>, text: &'t str) -> Result<Vec<Part<'t>>, Error> {
    let mut parts = Vec::new();
    let mut faults = Gathered::default();
    let (mut start, mut line) = (0, input.first_line());
    let mut search = 0;
    while let Some(found) = text[search..].find("\n---") {
        let at = search + found;
        let Some(length) = text[at + 1..].find('\n') else {
            break;
        };
        let end = at + 1 + length;
        let separator = text[at + 4..end].trim();
        if !separator.is_empty() && !separator.starts_with('#') {
            let lines = line + text[start..=at].matches('\n').count();
            let place = Place::line(input.file, number(lines));
            let shown = text[at..end].trim();
            let problem = format!("invalid document separator: {shown}");
            faults.note::<()>(Err(Error::at(place, problem)));
        }
        // The part keeps the line break that the separator began with.
        parts.push((line, start, &text[start..=at]));
        line += text[start..=end].matches('\n').count();
        start = end + 1;
        search = start;
    }
    parts.push((line, start, &text[start..]));
    faults.end()?;
    Ok(parts)
}

/// A part of a text: its first line, its offset and itself.
type Part<'t> = (usize, usize, &'t str);

/// Reads each document; gives it with the number of documents of the text.
fn documents(
    input: &Input<'_>,
    text: &str,
    max_bytes: usize,
    threads: usize,
) -> Result<Vec<(usize, Node)>, ReadError> {
    let file = input.file;
    let parts = split(input, text).map_err(|error| (error, false))?;
    if threads > 1
        && let Some(nodes) = documents_at_once(text, &parts, file, threads)
    {
        return Ok(nodes);
    }
    let count = parts.len();
    let mut limits = yaml::Limits {
        max_bytes,
        ..yaml::Limits::default()
    };
    let mut nodes = Vec::new();
    let mut faults = Gathered::default();
    for (line, offset, part) in parts {
        if part.trim().is_empty() {
            continue;
        }
        let read = document((line, offset, part), file, limits);
        let ends = read.as_ref().err().is_some_and(is_over_budget);
        let node = faults.note(read.map_err(|error| {
            let place = yaml_place(&error, file);
            let text = format!("MalformedYAMLError: {} in File: {file}", error.go_text());
            Error::at(place, text)
        }));
        if ends {
            break;
        }
        if let Some(Some(node)) = node
            && !node.is_null()
        {
            // The budget is the file's, not the document's; below a megabyte nothing exceeds it.
            if text.len() > 1 << 20 {
                limits.max_nodes = limits.max_nodes.saturating_sub(node.count());
            }
            nodes.push((count, node));
        }
    }
    faults.end().map_err(|error| (error, true))?;
    Ok(nodes)
}

/// Tells whether a file is refused for its size, whatever else may be wrong with it.
fn is_over_budget(error: &yaml::Error) -> bool {
    use yaml::ErrorKind::{ExcessiveAliasing, TooLarge, TooManyNodes};
    matches!(
        error.kind(),
        TooLarge { .. } | TooManyNodes(_) | ExcessiveAliasing
    )
}

fn document(
    (line, offset, part): Part<'_>,
    file: &str,
    limits: yaml::Limits,
) -> Result<Option<Node>, yaml::Error> {
    let reader = Reader::new(yaml::Schema::Core)
        .limits(limits)
        .origin(line, offset);
    reader.read_first(part.as_bytes(), file)
}

/// Reads all documents at once; `None` where they have to be read one after the other: there are few,
/// one of them is wrong, or they might together be more than one file may hold.
fn documents_at_once(
    text: &str,
    parts: &[Part<'_>],
    file: &str,
    threads: usize,
) -> Option<Vec<(usize, Node)>> {
    let limits = yaml::Limits::default();
    // No node takes less than a byte but those that aliases stand for.
    let fits = text.len() <= limits.max_nodes * 2 && !text.contains('*');
    if text.len() < parallel::LEAST_BYTES || parts.len() < 2 || !fits {
        return None;
    }
    let nodes = parallel::map(parts, threads, |part| document(*part, file, limits));
    let nodes: Vec<Node> = nodes
        .into_iter()
        .filter_map(Result::transpose)
        .collect::<Result<_, _>>()
        .ok()?;
    let is_large = text.len() > limits.max_nodes;
    if is_large && nodes.iter().map(Node::count).sum::<usize>() > limits.max_nodes {
        return None;
    }
    let nodes = nodes.into_iter().filter(|node| !node.is_null());
    Some(nodes.map(|node| (parts.len(), node)).collect())
}

/// Reads a file that is JSON where it begins with `{`, else YAML 1.1.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn json(file: &File<'_>) -> Result<serde_json::Value, Error> {
    if file.content.first() != Some(&b'{') {
        let node = Input::whole(file).legacy()?;
        return yaml::to_json(&node)
            .map_err(|error| Error::at(json_place(&error, &file.path), error.to_string()));
    }
    serde_json::from_slice(&file.content).map_err(|error| {
        let place = Place {
            column: number(error.column()),
            ..Place::line(&file.path, number(error.line()).max(1))
        };
        Error::at(place, error.to_string())
    })
}

/// Names the place a YAML error points at.
pub(crate) fn yaml_place(error: &yaml::Error, file: &str) -> Place {
    Place {
        file: file.to_owned(),
        line: number(error.line()),
        column: number(error.column()),
        object: String::new(),
    }
}

/// Names the place of what JSON cannot hold.
pub(crate) fn json_place(error: &yaml::JsonError, file: &str) -> Place {
    Place::line(file, 1).within(error.span())
}

/// Names the place of a node.
pub(crate) fn node_place(node: &Node, file: &str) -> Place {
    Place::file(file).within(&node.span)
}

/// Tells whether a file's only document is a list whose items stand for it.
fn is_wrapper(node: &Node) -> bool {
    matches!(tree::text(node, "kind"), "List" | "ResourceList")
        && (node.get("items").is_some() || node.get("functionConfig").is_some())
}

/// Keeps a document that names an object, drops an empty one.
///
/// # Errors
/// Where kind or name are missing.
fn check(node: Node, file: &str, kept: &mut Vec<Node>) -> Result<(), Error> {
    if tree::is_empty(&node) {
        return Ok(());
    }
    let problem = match node.as_mapping() {
        None => "missing Resource metadata",
        Some(_) if tree::text(&node, "kind").is_empty() => {
            if ["apiVersion", "metadata"]
                .iter()
                .all(|f| node.get(f).is_none_or(tree::is_empty))
            {
                "missing Resource metadata"
            } else {
                "missing kind in object"
            }
        }
        Some(_) if tree::text(&node, "kind").ends_with("List") => "",
        Some(_) if tree::meta_text(&node, "name").is_empty() => "missing metadata.name in object",
        Some(_) => "",
    };
    if problem.is_empty() {
        kept.push(node);
        return Ok(());
    }
    let mut place = node_place(&node, file);
    let (kind, name) = (tree::text(&node, "kind"), tree::meta_text(&node, "name"));
    place.object = [kind, name]
        .into_iter()
        .filter(|t| !t.is_empty())
        .collect::<Vec<_>>()
        .join("/");
    Err(Error::at(place, problem))
}

/// Gives an item of a list as upstream reads it: printed as JSON and read again, so that every
/// string is quoted.
fn through_json(item: &Node, file: &str) -> Result<Node, Error> {
    fn quote(node: &mut Node) {
        if node.is_string() {
            node.style = yaml::Style::DoubleQuoted;
        }
        match &mut node.value {
            Value::Scalar(_) => {}
            Value::Sequence(items) => items.iter_mut().for_each(quote),
            Value::Mapping(mapping) => mapping.values_mut().for_each(quote),
        }
    }
    let json = yaml::to_json(item)
        .map_err(|error| Error::at(json_place(&error, file), error.to_string()))?;
    let mut node = yaml::from_json(&json).with_span(item.span.clone());
    quote(&mut node);
    Ok(node)
}

/// Puts the items of lists after the other objects, in place of the lists.
fn expand_lists(nodes: Vec<Node>, file: &str, faults: &mut Gathered) -> Vec<Node> {
    let mut flat = Vec::with_capacity(nodes.len());
    let mut queue = std::collections::VecDeque::from(nodes);
    while let Some(mut node) = queue.pop_front() {
        let is_list = tree::text(&node, "kind").ends_with("List");
        if !is_list || node.get("items").is_none() {
            flat.push(node);
            continue;
        }
        match node.remove("items") {
            Some(Node {
                value: Value::Sequence(items),
                ..
            }) => {
                let mut inner = Vec::new();
                for item in items {
                    if let Some(item) = faults.note(through_json(&item, file)) {
                        faults.note(check(item, file, &mut inner));
                    }
                }
                queue.extend(inner);
            }
            Some(items) if items.is_null() => {}
            Some(items) => {
                let problem = format!("expected array in {}/items", tree::text(&node, "kind"));
                let place = node_place(&items, file);
                faults.note::<()>(Err(Error::at(place, problem)));
            }
            None => {}
        }
    }
    flat
}
