//! Printing trees as Go programs print them.
//!
//! [`v2`] is the shape of `kustomize build` and Helm's `toYaml`: sigs.k8s.io/yaml over go-yaml v2.
//! [`v3`] is the shape of Helm's `toYamlPretty`: go-yaml v3 with an indent of two. Both take a
//! [`crate::Node`], a `serde_json::Value` or any other [`Tree`].

mod order;
mod print;
mod scalar;
mod shape;
mod text;

pub use order::compare_keys;
pub(crate) use scalar::{fits_plain, fits_single_quotes};
pub use shape::{Shape, Tree};

use crate::json::JsonError;
use crate::node::Style;
use crate::span::Span;
use print::Printer;

/// A tree that has no print.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The way through JSON fails.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A string holds a character YAML text cannot: DEL or a C1 control.
    #[error("yaml: control characters are not allowed")]
    Control {
        /// The string.
        text: String,
    },
    /// A key is too long, or breaks over lines, for the reader that stands between JSON and print.
    #[error("yaml: did not find expected ',' or '}}'")]
    Key {
        /// The key.
        text: String,
    },
    /// A string holds a NEL followed by a document marker.
    #[error("yaml: found unexpected document indicator")]
    DocumentIndicator {
        /// The string.
        text: String,
    },
}

impl EmitError {
    /// Returns the place of the node at fault, where it is known.
    pub fn span(&self) -> Option<&Span> {
        match self {
            Self::Json(error) => Some(error.span()),
            Self::Control { .. } | Self::Key { .. } | Self::DocumentIndicator { .. } => None,
        }
    }
}

/// Which library's print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    V2,
    V3,
}

/// Prints one document as sigs.k8s.io/yaml's `Marshal` does, with a final newline.
///
/// Keys are sorted as go-yaml sorts them, sequences stand at their key's column, text breaks at
/// column 80, floats and dates go through Go's JSON first.
///
/// Source: sigs.k8s.io/yaml v1.6.0 over go.yaml.in/yaml v2.4.3, observed.
pub fn v2<T: Tree>(tree: &T) -> Result<String, EmitError> {
    let mut out = String::new();
    v2_into(&mut out, tree)?;
    Ok(out)
}

/// Appends the print of [`v2`] to a text; on error the text is as it was.
pub fn v2_into<T: Tree>(out: &mut String, tree: &T) -> Result<(), EmitError> {
    print_into(out, tree, Flavor::V2)
}

/// Prints one document as go-yaml v3's encoder with indent 2 does, with a final newline.
///
/// Keys are sorted, sequences are indented below their key, text is not broken, floats print as
/// they are (`1e+06`).
///
/// Source: go.yaml.in/yaml v3.0.4, observed.
pub fn v3<T: Tree>(tree: &T) -> Result<String, EmitError> {
    let mut out = String::new();
    print_into(&mut out, tree, Flavor::V3)?;
    Ok(out)
}

/// Tells in which style go-yaml v3's encoder prints a string that is a value.
///
/// Source: go.yaml.in/yaml v3.0.4, observed.
pub fn v3_style(text: &str) -> Style {
    scalar::style(text, Flavor::V3, false)
}

/// Prints one document as go-yaml v2 prints a `MapSlice`: keys in the order of the tree, nothing led
/// through JSON, with a final newline.
///
/// Source: go.yaml.in/yaml v2.4.3, observed.
pub fn v2_ordered<T: Tree>(tree: &T) -> Result<String, EmitError> {
    let mut out = String::new();
    let mut printer = Printer::new(&mut out, Flavor::V2);
    printer.is_direct = true;
    printer.document(tree)?;
    Ok(out)
}

fn print_into<T: Tree>(out: &mut String, tree: &T, flavor: Flavor) -> Result<(), EmitError> {
    let before = out.len();
    let result = Printer::new(out, flavor).document(tree);
    if result.is_err() {
        out.truncate(before);
    }
    result
}

/// Writes a string in double quotes on one line.
pub(crate) fn double_quoted(text: &str) -> String {
    let mut out = String::new();
    Printer::new(&mut out, Flavor::V3).double_quoted(text, 0, false);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_v2_print_sorts_quotes_and_folds() {
        let tree = json!({
            "b": [1, [2, {"x": "y"}], []],
            "a10": "yes", "a9": 1e6, "c": "line\nline\n",
            "long": "word ".repeat(20).trim_end(),
        });
        assert_eq!(
            v2(&tree).unwrap(),
            "a9: 1000000\na10: \"yes\"\nb:\n- 1\n- - 2\n  - x: \"y\"\n- []\nc: |\n  line\n  line\n\
             long: word word word word word word word word word word word word word word word word\n  \
             word word word word\n"
        );
    }

    #[test]
    fn the_v3_print_indents_sequences() {
        assert_eq!(
            v3(&json!({"a": [1e6, {"b": "<<"}]})).unwrap(),
            "a:\n  - 1e+06\n  - b: <<\n"
        );
    }

    #[test]
    fn what_cannot_be_printed_leaves_the_text_as_it_was() {
        let mut out = "before\n".to_owned();
        assert!(v2_into(&mut out, &json!({"a": 1, "b": "\u{7f}"})).is_err());
        assert_eq!(out, "before\n");
    }
}
