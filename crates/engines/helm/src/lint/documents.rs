//! The documents of a file, cut as Kubernetes' decoder cuts them and not as Helm does when it
//! installs.
//!
//! Source: k8s.io/apimachinery v0.36.4, `pkg/util/yaml`.

use gotemplate::funcs::parse_first_json;

use crate::manifest::{Head, Shape};

const SEPARATOR: &str = "---";
const SHAPE: Shape = Shape {
    whole: "rules.k8sYamlStruct",
    name: "k8sYamlStruct",
    fields: ["apiVersion", "Kind", "Metadata"],
    metadata: "rules.k8sYamlMetadata",
    metadata_fields: "k8sYamlMetadata.Metadata.",
    more: Some("Namespace"),
};

/// Reads the documents of a text until one cannot be read; empty ones are left out.
pub(super) fn read(text: &str) -> Vec<Result<Head, String>> {
    let (mut found, rest) = if text.trim_start().starts_with('{') {
        json_documents(text)
    } else {
        (Vec::new(), Some((text, None)))
    };
    let Some((rest, mut first_error)) = rest else {
        return found;
    };
    for document in Cut(rest) {
        let read = document.and_then(|document| Head::read_as(&document, &SHAPE));
        // Where a text is neither, what is wrong with it as JSON is told.
        let json_error = first_error.take();
        match read {
            Ok(head) => found.extend(head.map(Ok)),
            Err(error) => {
                found.push(Err(json_error.unwrap_or(error)));
                break;
            }
        }
    }
    found
}

/// What is left to be read as YAML, and why it is no JSON.
type Rest<'t> = Option<(&'t str, Option<String>)>;

/// Reads objects of JSON one after the other; after the first, the rest may still turn out to be
/// YAML.
fn json_documents(text: &str) -> (Vec<Result<Head, String>>, Rest<'_>) {
    let (mut found, mut at, mut count) = (Vec::new(), 0, 0);
    while !text[at..].trim_start().is_empty() {
        let read = match parse_first_json(&text.as_bytes()[at..]) {
            Ok(length) => Head::read_as(&text[at..at + length], &SHAPE).map(|head| (head, length)),
            Err(wrong) if count > 1 => Err(wrong.text),
            Err(wrong) => match wrong.at {
                None => Err("unexpected EOF".to_owned()),
                Some(offset) => Err(format!("json: offset {}: {}", at + offset + 1, wrong.text)),
            },
        };
        match read {
            Ok((head, length)) => {
                found.extend(head.map(Ok));
                (at, count) = (at + length, count + 1);
            }
            Err(error) if count > 1 => {
                found.push(Err(error));
                return (found, None);
            }
            Err(error) => {
                let rest = &text[at..];
                let line = rest.find('\n').map_or(rest.len(), |end| end + 1);
                let blank = rest.len() - rest.trim_start().len();
                return (found, Some((&rest[line.min(blank)..], Some(error))));
            }
        }
    }
    (found, None)
}

/// Documents between lines that begin with a separator.
struct Cut<'t>(&'t str);

impl Iterator for Cut<'_> {
    type Item = Result<String, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut document = String::new();
        while !self.0.is_empty() {
            let (line, rest) = self.0.split_once('\n').unwrap_or((self.0, ""));
            let line = line.strip_suffix('\r').unwrap_or(line);
            self.0 = rest;
            if let Some(behind) = line.strip_prefix(SEPARATOR).map(str::trim) {
                if !behind.is_empty() && !behind.starts_with('#') {
                    return Some(Err(format!("invalid Yaml document separator: {behind}")));
                }
                if !document.is_empty() {
                    return Some(Ok(document));
                }
            }
            // The first separator stays, which shows in the numbers of lines.
            document.push_str(line);
            document.push('\n');
        }
        (!document.is_empty()).then_some(Ok(document))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_cut_at_lines() {
        let cut = |text| Cut(text).collect::<Vec<_>>();
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(cut("a\n--- # b\n c\r\n"), [ok("a\n"), ok(" c\n")]);
        assert_eq!(cut("---\n---\na"), [ok("---\n"), ok("a\n")]);
        assert_eq!(
            cut("---x\na"),
            [
                Err("invalid Yaml document separator: x".to_owned()),
                ok("a\n")
            ]
        );
    }

    #[test]
    fn documents_may_be_json() {
        let read = |text: &str| {
            let all = read(text).into_iter();
            all.map(|head| head.map(|head| head.name))
                .collect::<Vec<_>>()
        };
        let [a, b] = ["a", "b"].map(|name| Ok(name.to_owned()));
        let first = r#"{"metadata":{"name":"a"}}"#;
        let second = r#"{"metadata":{"name":"b"}}"#;
        assert_eq!(
            read(&format!("\n{first}\n{second}\n")),
            [a.clone(), b.clone()]
        );
        let mixed = format!("{first}\n---\nmetadata: {{name: b}}\n");
        assert_eq!(read(&mixed), [a.clone(), b.clone()]);
        assert_eq!(
            read("{metadata: {name: a}}\n---\nmetadata: {name: b}"),
            [a.clone(), b.clone()]
        );
        let third = format!("{first}{second}x");
        let wrong = Err("invalid character 'x' looking for beginning of value".to_owned());
        assert_eq!(read(&third), [a, b, wrong]);
        let neither =
            "json: offset 2: invalid character 'a' looking for beginning of object key string";
        assert_eq!(read("{a: b: c}"), [Err(neither.to_owned())]);
        assert_eq!(read("{\"a\": "), [Err("unexpected EOF".to_owned())]);
    }
}
