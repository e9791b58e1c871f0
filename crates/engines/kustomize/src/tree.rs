//! Reading and writing object trees the way the transformers need it.

use yaml::{Entry, Kind, Mapping, Node, Sequence, Style, Value};

/// What a node is, for error texts.
pub(crate) fn shape(node: &Node) -> &'static str {
    match node.value {
        Value::Scalar(_) => "ScalarNode",
        Value::Sequence(_) => "SequenceNode",
        Value::Mapping(_) => "MappingNode",
    }
}

/// Tells whether a node holds nothing: null, or a collection without elements.
pub(crate) fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::Scalar(scalar) => matches!(scalar.kind, Kind::Null),
        Value::Sequence(items) => items.is_empty(),
        Value::Mapping(mapping) => mapping.is_empty(),
    }
}

/// Gives the text of a top-level scalar: `kind`, `apiVersion`.
pub(crate) fn text<'a>(object: &'a Node, field: &str) -> &'a str {
    object.get(field).map_or("", Node::text)
}

/// Gives the text of a scalar under `metadata`; a null counts as absent.
pub(crate) fn meta_text<'a>(object: &'a Node, field: &str) -> &'a str {
    match object.get("metadata").and_then(|meta| meta.get(field)) {
        Some(node) if !node.is_null() => node.text(),
        _ => "",
    }
}

/// Makes a scalar as a plain or quoted text would be read: quoted or of several lines it is a
/// string, else whatever its text means.
pub(crate) fn untagged(text: &str, style: Style) -> Node {
    if is_quoted(style) || text.contains('\n') {
        Node::string(text).with_style(style)
    } else {
        Node::scalar(yaml::resolve(text, yaml::Schema::Core), text).with_style(style)
    }
}

/// Tells whether a style is one of strings alone.
pub(crate) fn is_quoted(style: Style) -> bool {
    matches!(
        style,
        Style::SingleQuoted | Style::DoubleQuoted | Style::Literal | Style::Folded
    )
}

/// Makes the scalar of a text that is copied to where nothing was. Upstream does not say what it is:
/// `null` and `1e3` are printed as null and number, but to whatever looks at them in between they are
/// texts. Such scalars are the only ones with quotes that are no strings.
pub(crate) fn copied(text: &str) -> Node {
    let node = untagged(text, Style::Plain);
    if node.is_string() {
        node
    } else {
        node.with_style(Style::DoubleQuoted)
    }
}

/// Tells whether a node is a text by [`copied`] that prints as something else.
pub(crate) fn is_copied(node: &Node) -> bool {
    node.is_scalar() && !node.is_string() && is_quoted(node.style)
}

/// Gives the style a node has to upstream: that of a text by [`copied`] has no quotes.
pub(crate) fn style_of(node: &Node) -> Style {
    if is_copied(node) {
        Style::Plain
    } else {
        node.style
    }
}

/// Quotes a string that would read as something else, as upstream does with every field it sets;
/// an empty one it leaves as it is.
pub(crate) fn quoted(mut node: Node) -> Node {
    quote(&mut node);
    node
}

/// Does in place what [`quoted`] does.
pub(crate) fn quote(node: &mut Node) {
    if is_copied(node) {
        if node.text().is_empty() {
            return;
        }
        let span = std::mem::take(&mut node.span);
        *node = Node::string(node.shared_text())
            .with_style(Style::DoubleQuoted)
            .with_span(span);
        return;
    }
    if node.is_string()
        && node.style == Style::Plain
        && !node.text().is_empty()
        && !matches!(
            yaml::resolve(node.text(), yaml::Schema::Legacy),
            Kind::String
        )
    {
        node.style = Style::DoubleQuoted;
    }
}

/// Replaces a scalar's text and keeps how it is written, so that a quoted one stays a string.
///
/// # Errors
/// The shape of a node that is no scalar.
pub(crate) fn set_text(node: &mut Node, text: &str) -> Result<(), String> {
    require_scalar(node)?;
    let (span, style) = (std::mem::take(&mut node.span), style_of(node));
    *node = untagged(text, style).with_span(span);
    Ok(())
}

/// Replaces a scalar with a string.
///
/// # Errors
/// The shape of a node that is no scalar.
pub(crate) fn set_string(node: &mut Node, text: &str) -> Result<(), String> {
    require_scalar(node)?;
    let (span, style) = (std::mem::take(&mut node.span), style_of(node));
    *node = Node::string(text).with_style(style).with_span(span);
    Ok(())
}

/// Refuses anything but a scalar.
pub(crate) fn require_scalar(node: &Node) -> Result<(), String> {
    if node.is_scalar() {
        Ok(())
    } else {
        Err(format!(
            "wrong node kind: expected ScalarNode but got {}",
            shape(node)
        ))
    }
}

/// Sets a field to a text that is read as [`untagged`] where the field is there, and is a string
/// where it is new.
pub(crate) fn set_field_text(mapping: &mut Mapping, field: &str, text: &str) {
    match mapping.get_mut(field) {
        // It may be a string that only upstream's tag says is one.
        Some(node) if node.is_string() && node.text() == text => {}
        Some(node) => {
            let style = if node.is_scalar() {
                style_of(node)
            } else {
                Style::Plain
            };
            let span = std::mem::take(&mut node.span);
            let text = if is_quoted(style) {
                untagged(text, style)
            } else {
                copied(text)
            };
            *node = text.with_span(span);
        }
        None => {
            mapping.insert(field, quoted(Node::string(text)));
        }
    }
}

/// Gives a field that is a mapping, making it where it is missing or null; `None` where it is
/// something else.
pub(crate) fn mapping_at<'a>(object: &'a mut Node, field: &str) -> Option<&'a mut Mapping> {
    let mapping = object.as_mapping_mut()?;
    let node = mapping.get_or_insert_with(field, || Node::mapping(Mapping::new()));
    if node.is_null() {
        *node = Node::mapping(Mapping::new());
    }
    node.as_mapping_mut()
}

/// Gives the entries of a mapping under `metadata` as texts.
pub(crate) fn meta_map<'a>(
    object: &'a Node,
    field: &str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let mapping = object
        .get("metadata")
        .and_then(|meta| meta.get(field))
        .and_then(Node::as_mapping);
    mapping
        .into_iter()
        .flatten()
        .map(|entry: &Entry| (entry.name(), entry.value.text()))
}

/// Gives one text of a mapping under `metadata`.
pub(crate) fn meta_entry<'a>(object: &'a Node, field: &str, key: &str) -> Option<&'a str> {
    object.get("metadata")?.get(field)?.get(key).map(Node::text)
}

/// Replaces a mapping under `metadata` with strings, in key order; removes it where there are
/// none. As upstream does, this makes strings of values that were none.
pub(crate) fn set_meta_map<K: AsRef<str>, V: AsRef<str>>(
    object: &mut Node,
    field: &str,
    entries: &[(K, V)],
) {
    let Some(meta) = mapping_at(object, "metadata") else {
        return;
    };
    meta.remove(field);
    if entries.is_empty() {
        return;
    }
    let mapping = entries
        .iter()
        .map(|(key, value)| Entry {
            key: untagged(key.as_ref(), Style::Plain),
            value: quoted(Node::string(value.as_ref())),
        })
        .collect();
    meta.insert(field, Node::mapping(mapping));
}

/// Makes strings of the values of a mapping under `metadata`, if there is one.
pub(crate) fn set_meta_strings(object: &mut Node, field: &str) {
    let entries = object
        .get_mut("metadata")
        .and_then(|meta| meta.get_mut(field));
    for value in entries
        .and_then(Node::as_mapping_mut)
        .into_iter()
        .flat_map(Mapping::values_mut)
    {
        if value.is_scalar() && !value.is_string() {
            *value = Node::string(value.shared_text());
        }
    }
}

/// Makes a mapping of strings.
pub(crate) fn strings<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Node {
    Node::mapping(
        entries
            .into_iter()
            .map(|(k, v)| (k, quoted(Node::string(v))))
            .collect(),
    )
}

/// Makes an empty sequence.
pub(crate) fn no_items() -> Node {
    Node::sequence(Sequence::new())
}
