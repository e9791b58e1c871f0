//! Values inside texts: a replacement may reach into the JSON or YAML that a string holds.

use std::fmt::Write as _;

use yaml::Node;

use super::overwrite;
use crate::path::{self, Make};

/// Sets a value inside the first scalar the path leads through.
///
/// # Errors
/// Where the path leads through none, or what the scalar holds has no such field; then nothing is
/// changed.
pub(super) fn set(
    object: &mut Node,
    value: &Node,
    parts: &[String],
    make: Make,
) -> Result<(), String> {
    let (outer, inner) = (1..parts.len())
        .map(|at| parts.split_at(at))
        .find(|(outer, _)| {
            let field = path::lookup(object, outer).ok().flatten();
            field.is_some_and(|field| field.is_scalar() && path::parse(field.text()).is_ok())
        })
        .ok_or("no structured data found in path")?;
    let old = path::lookup(object, outer)?
        .map_or("", Node::text)
        .to_owned();
    let mut data = path::parse(&old)?;
    let mut replaced = Vec::new();
    let count = path::visit(&mut data, inner, make, &mut |node| {
        let before = (node.span.range().start, node.kind());
        overwrite(node, value)?;
        replaced.push((before.0, before.1, node.kind(), node.text().to_owned()));
        Ok(())
    })?;
    if count == 0 {
        return Err("unable to find field in structured data".to_owned());
    }
    let first = old.trim_start().chars().next();
    let new = if matches!(first, Some('{' | '[')) {
        json_text(&data, &old)?
    } else if let Some(edited) = edited(&old, &replaced) {
        edited
    } else {
        let printed = yaml::emit::v3(&data).map_err(|error| error.to_string())?;
        printed.trim().to_owned()
    };
    let mut done = false;
    path::visit(object, outer, Make::Nothing, &mut |field| {
        if !std::mem::replace(&mut done, true) {
            *field = super::retext(field, &new)?;
        }
        Ok(())
    })
    .map(drop)
}

/// A scalar that was replaced: where it stands, what it was, what it is, and its new text.
type Replaced = (usize, Option<yaml::Kind>, Option<yaml::Kind>, String);

/// Gives the text with new scalars in place of old ones, all else as it is; nothing where anything
/// but scalars that stand in the text changed.
fn edited(old: &str, replaced: &[Replaced]) -> Option<String> {
    let fields = yaml::edit::fields(old, "").ok()?;
    let mut edits = Vec::with_capacity(replaced.len());
    for (start, before, after, text) in replaced {
        let (before, after) = ((*before)?, (*after)?);
        let field = fields.iter().find(|field| field.range.start == *start)?;
        if field.range.is_empty() {
            return None;
        }
        // A number over a number is written as it is: quotes would make it a string.
        let is_alike = std::mem::discriminant(&before) == std::mem::discriminant(&after);
        let is_bare = field.style == yaml::Style::Plain && is_alike;
        edits.push(if is_bare && !matches!(after, yaml::Kind::String) {
            yaml::edit::Edit {
                range: field.range.clone(),
                text: text.clone(),
            }
        } else {
            field.replace(old, text)
        });
    }
    let text = yaml::edit::apply(old, &edits).ok()?;
    Some(text.trim().to_owned())
}

/// Prints JSON as the old text was: on one line, or indented by two.
fn json_text(data: &Node, old: &str) -> Result<String, String> {
    let json = yaml::to_json(data).map_err(|error| error.to_string())?;
    let is_indented = old.contains('\n') && old.contains("  ");
    let printed = if is_indented {
        serde_json::to_string_pretty(&json)
    } else {
        serde_json::to_string(&json)
    };
    let printed = printed.map_err(|error| error.to_string())?;
    Ok(escaped(&printed))
}

/// Escapes what Go's JSON escapes beside the usual.
fn escaped(printed: &str) -> String {
    let mut out = String::with_capacity(printed.len());
    for c in printed.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String cannot fail.
                let _: std::fmt::Result = write!(out, "\\u{:04x}", u32::from(c));
            }
            other => out.push(other),
        }
    }
    out
}
