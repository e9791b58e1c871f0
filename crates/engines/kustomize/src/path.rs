//! Field paths of replacements and variables: `spec.containers.[name=web].image`.

use regex::Regex;
use yaml::{Mapping, Node, Style, Value};

use crate::field_spec::split_path;
use crate::tree;

/// Splits a path at dots; what stands in brackets stays whole, and loses them unless it picks an
/// element of a list.
pub(crate) fn split(path: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut split = split_path(path, '.').into_iter();
    while let Some(part) = split.next() {
        if !part.starts_with('[') || part.ends_with(']') {
            parts.push(part);
            continue;
        }
        let mut whole = part;
        for next in split.by_ref() {
            whole.push('.');
            whole.push_str(&next);
            if next.ends_with(']') {
                break;
            }
        }
        if !whole.contains('=') {
            let inner = whole.trim_matches(['[', ']']).to_owned();
            whole = inner;
        }
        parts.push(whole);
    }
    parts
}

/// One step of a path.
#[derive(Debug)]
enum Step<'p> {
    Index(usize),
    Last,
    Every,
    /// The element of a list whose field (or itself, where that is empty) has a value.
    Element(&'p str, &'p str),
    Field(&'p str),
}

fn step(part: &str) -> Result<Step<'_>, String> {
    if let Ok(number) = part.parse::<i64>() {
        return usize::try_from(number)
            .map(Step::Index)
            .map_err(|_| format!("array index {number} cannot be negative"));
    }
    match part {
        "-" => Ok(Step::Last),
        "*" => Ok(Step::Every),
        _ => match part
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some(inner) => inner
                .split_once('=')
                .map(|(k, v)| Step::Element(k, v))
                .ok_or_else(|| {
                    "list path element must contain fieldName=fieldValue for element to match"
                        .into()
                }),
            None => Ok(Step::Field(part)),
        },
    }
}

fn wrong(node: &Node, expected: &str) -> String {
    format!(
        "wrong node kind: expected {expected} but got {}",
        tree::shape(node)
    )
}

fn clean(path: &[String]) -> impl Iterator<Item = &str> {
    path.iter()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty())
}

/// Looks one node up; `None` where it is missing.
///
/// # Errors
/// Where the path leads through something of another shape.
pub(crate) fn lookup<'n>(root: &'n Node, path: &[String]) -> Result<Option<&'n Node>, String> {
    let mut node = root;
    for part in clean(path) {
        let found = match step(part)? {
            Step::Every => return Err("wildcard is not supported in PathGetter".to_owned()),
            Step::Field(name) => match &node.value {
                Value::Mapping(mapping) => mapping.get(name),
                _ if node.is_null() => None,
                _ => return Err(wrong(node, "MappingNode")),
            },
            other => match &node.value {
                Value::Sequence(items) => match other {
                    Step::Index(at) => items.get(at),
                    Step::Last => items.last(),
                    Step::Element("", value) => {
                        items.iter().find(|i| i.is_scalar() && i.text() == value)
                    }
                    Step::Element(field, value) => items
                        .iter()
                        .find(|item| item.get(field).is_some_and(|found| found.text() == value)),
                    Step::Every | Step::Field(_) => None,
                },
                _ if node.is_null() => None,
                _ => return Err(wrong(node, "SequenceNode")),
            },
        };
        match found {
            Some(found) => node = found,
            None => return Ok(None),
        }
    }
    Ok(Some(node))
}

/// What missing parts of a path become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Make {
    Nothing,
    Scalar,
    Sequence,
    Mapping,
}

impl Make {
    /// Gives what has the shape of a node.
    pub(crate) fn like(node: &Node) -> Self {
        match node.value {
            Value::Scalar(_) => Self::Scalar,
            Value::Sequence(_) => Self::Sequence,
            Value::Mapping(_) => Self::Mapping,
        }
    }

    fn node(self) -> Node {
        match self {
            Self::Scalar | Self::Nothing => Node::scalar(yaml::Kind::Null, ""),
            Self::Sequence => tree::no_items(),
            Self::Mapping => Node::mapping(Mapping::new()),
        }
    }

    /// Gives what the node before a part becomes.
    fn before(self, next: Option<&String>) -> Self {
        match next.map(String::as_str) {
            None => self,
            Some(part) if part.parse::<usize>().is_ok() => Self::Sequence,
            Some(part) if part.starts_with('[') && part.ends_with(']') => Self::Sequence,
            Some(_) => Self::Mapping,
        }
    }
}

/// Called with each node a path leads to; the flag says that the node was made for it.
pub(crate) type Found<'f> = &'f mut dyn FnMut(&mut Node) -> Result<(), String>;

/// Finds all nodes a path leads to, made where that is asked for; gives how many there are.
///
/// # Errors
/// Where the path leads through something of another shape, or `found` fails.
pub(crate) fn visit(
    node: &mut Node,
    path: &[String],
    make: Make,
    found: Found<'_>,
) -> Result<usize, String> {
    let Some((part, rest)) = path.split_first() else {
        found(node)?;
        return Ok(1);
    };
    if let Ok(at) = part.parse::<usize>() {
        return visit_index(node, at, rest, make, found);
    }
    match step(part)? {
        Step::Element(field, pattern) => visit_elements(node, field, pattern, rest, make, found),
        Step::Every => {
            let items = items(node)?;
            let mut count = 0;
            for item in items {
                count += visit(item, rest, make, found)?;
            }
            Ok(count)
        }
        _ => visit_field(node, part, rest, make, found),
    }
}

fn items(node: &mut Node) -> Result<&mut Vec<Node>, String> {
    let problem = wrong(node, "SequenceNode");
    match &mut node.value {
        Value::Sequence(items) => Ok(&mut *items),
        _ => Err(problem),
    }
}

fn visit_field(
    node: &mut Node,
    name: &str,
    rest: &[String],
    make: Make,
    found: Found<'_>,
) -> Result<usize, String> {
    if node.is_null() && make != Make::Nothing && node.text().is_empty() {
        *node = Make::Mapping.node();
    }
    let problem = wrong(node, "MappingNode");
    let is_null = node.is_null();
    let Some(mapping) = node.as_mapping_mut() else {
        return if is_null { Ok(0) } else { Err(problem) };
    };
    if !mapping.contains_key(name) {
        if make == Make::Nothing {
            return Ok(0);
        }
        mapping.insert(name, make.before(rest.first()).node());
    }
    let Some(field) = mapping.get_mut(name) else {
        return Ok(0);
    };
    if field.is_scalar() && !field.is_null() && !rest.is_empty() {
        // What a scalar holds is looked at on its own, so what is changed in it is lost.
        let text = field.text().to_owned();
        let mut inside = parse(&text)?;
        return visit(&mut inside, rest, make, found);
    }
    visit(field, rest, make, found)
}

/// Reads a text as YAML or JSON.
pub(crate) fn parse(text: &str) -> Result<Node, String> {
    let reader = yaml::Reader::new(yaml::Schema::Core);
    let node = reader
        .read_first(text.as_bytes(), "")
        .map_err(|error| error.go_text())?;
    Ok(node.unwrap_or_default())
}

fn visit_index(
    node: &mut Node,
    at: usize,
    rest: &[String],
    make: Make,
    found: Found<'_>,
) -> Result<usize, String> {
    let items = items(node)?;
    if items.len() == at && make != Make::Nothing {
        items.push(make.before(rest.first()).node());
    }
    let length = items.len();
    let item = items
        .get_mut(at)
        .ok_or_else(|| format!("index {at} specified but only {length} elements found"))?;
    visit(item, rest, make, found)
}

fn visit_elements(
    node: &mut Node,
    field: &str,
    pattern: &str,
    rest: &[String],
    make: Make,
    found: Found<'_>,
) -> Result<usize, String> {
    let regex = Regex::new(pattern).map_err(|_| format!("'{pattern}' is no regular expression"))?;
    if node.is_null() && make != Make::Nothing {
        *node = tree::no_items();
    }
    let items = items(node)?;
    let mut count = visit_matching(items, field, &regex, rest, make, found)?;
    if count == 0 && make != Make::Nothing {
        let value = tree::untagged(pattern, Style::Plain);
        let item = if field.is_empty() {
            value
        } else {
            Node::mapping([(field, value)].into_iter().collect())
        };
        items.push(item);
        count = visit_matching(items, field, &regex, rest, make, found)?;
    }
    Ok(count)
}

fn visit_matching(
    items: &mut [Node],
    field: &str,
    regex: &Regex,
    rest: &[String],
    make: Make,
    found: Found<'_>,
) -> Result<usize, String> {
    let mut count = 0;
    for item in items {
        if field.is_empty() {
            if regex.is_match(printed(item).trim()) {
                found(item)?;
                count += 1;
            }
            continue;
        }
        let is_match = item
            .get(field)
            .is_some_and(|value| regex.is_match(printed(value).trim()));
        if is_match {
            count += visit(item, rest, make, found)?;
        }
    }
    Ok(count)
}

/// Prints a node as upstream does before it matches it.
fn printed(node: &Node) -> String {
    match &node.value {
        Value::Scalar(scalar) => match node.style {
            Style::DoubleQuoted => format!("\"{}\"", scalar.text),
            Style::SingleQuoted => format!("'{}'", scalar.text),
            _ if scalar.text.contains('\n') => format!("|-\n  {}", scalar.text),
            _ => scalar.text.to_string(),
        },
        _ => yaml::emit::v3(node).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_keep_what_stands_in_brackets() {
        let cases: [(&str, &[&str]); 4] = [
            ("a.b", &["a", "b"]),
            (
                "spec.containers.[name=a.b].image",
                &["spec", "containers", "[name=a.b]", "image"],
            ),
            (
                "metadata.annotations.[x.io/y]",
                &["metadata", "annotations", "x.io/y"],
            ),
            (
                r"metadata.annotations.x\.io/y",
                &["metadata", "annotations", "x.io/y"],
            ),
        ];
        for (path, expected) in cases {
            assert_eq!(split(path), expected, "{path}");
        }
    }
}
