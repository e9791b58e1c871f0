//! Errors as Helm 4 shows them: one block for each template that called another.

use gotemplate::{Fault, FaultKind};

/// What `required` and `fail` put around their message, so that it is found inside Go's text.
pub(super) const START: &str = "HELM_ERR_START";
/// The other end.
pub(super) const END: &str = "HELM_ERR_END";

/// `parse error at (file:line): message`, the message cut after its last colon.
pub(super) fn parse_error(name: &str, fault: &Fault) -> String {
    let parts: Vec<&str> = fault.text().split(": ").collect();
    match parts.as_slice() {
        [_, location, .., message] => format!("parse error at ({location}): {message}"),
        [_, location] => format!("parse error at ({location}): {location}"),
        _ => format!("parse error in ({name}): {fault}"),
    }
}

/// The message of a failing `required`, or the blocks of the whole chain.
pub(super) fn execution_error(name: &str, fault: &Fault) -> String {
    if !chain(fault).any(|f| f.kind() == FaultKind::Exec) {
        return fault.text().to_owned();
    }
    let parts: Vec<&str> = fault.text().splitn(3, ": ").collect();
    let [_, location, rest] = parts.as_slice() else {
        return format!("execution error in ({name}): {fault}");
    };
    if let Some(message) = marked(rest) {
        return format!("execution error at ({location}): {message}");
    }
    let mut blocks: Vec<Block> = Vec::new();
    for link in chain(fault) {
        let Some(block) = Block::parse(link.text()) else {
            return fault.text().to_owned();
        };
        if blocks.last() != Some(&block) {
            blocks.push(block);
        }
    }
    let text: String = blocks.iter().map(Block::shown).collect();
    text.trim().to_owned()
}

fn chain(fault: &Fault) -> impl Iterator<Item = &Fault> {
    std::iter::successors(Some(fault), |f| f.source())
}

/// From the first mark to the last.
fn marked(text: &str) -> Option<&str> {
    let start = text.find(START)? + START.len();
    let end = text.rfind(END)?;
    text.get(start..end)
}

#[derive(Debug, PartialEq, Eq)]
struct Block {
    location: String,
    executing: String,
    message: String,
}

impl Block {
    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("template: ")?;
        if rest.starts_with("no template ") {
            let (location, executing) = (String::new(), String::new());
            return Some(Self {
                location,
                executing,
                message: text.to_owned(),
            });
        }
        if let Some((location, after)) = rest.split_once(": executing ") {
            let after = after.strip_prefix('"')?;
            let (function, after) = after.split_once('"')?;
            let after = after.strip_prefix(" at <")?;
            let (node, message) = after.split_once(">: ")?;
            return Some(Self {
                location: location.to_owned(),
                executing: format!("executing \"{function}\" at <{node}>:"),
                message: cut(message),
            });
        }
        let (location, message) = rest.rsplit_once(": ")?;
        let executing = String::new();
        Some(Self {
            location: location.to_owned(),
            executing,
            message: cut(message),
        })
    }

    fn shown(&self) -> String {
        let mut out = String::new();
        if !self.location.is_empty() {
            out.push_str(&self.location);
            out.push_str("\n  ");
        }
        if !self.executing.is_empty() {
            out.push_str(&self.executing);
            out.push_str("\n    ");
        }
        if !self.message.is_empty() {
            out.push_str(&self.message);
            out.push('\n');
        }
        out
    }
}

/// A message up to the error it wraps.
fn cut(message: &str) -> String {
    message
        .find(" template:")
        .map_or(message, |at| &message[..at])
        .to_owned()
}
