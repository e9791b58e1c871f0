//! Names of objects, as Kubernetes takes them.

use go::strconv::{Charset, quote};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SERVICE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// Checks the name of an object of a kind.
pub(super) fn check(kind: &str, name: &str) -> Result<(), String> {
    let problems = match kind.to_ascii_lowercase().as_str() {
        "certificatesigningrequest" => Vec::new(),
        "role" | "clusterrole" | "rolebinding" | "clusterrolebinding" => segment(name),
        "service" => parts(name, is_service(name), SERVICE, 63),
        "namespace" => parts(name, is_label(name), LABEL, 63),
        _ => parts(name, name.split('.').all(is_label), SUBDOMAIN, 253),
    };
    let name = quote(name.as_bytes(), Charset::Unicode);
    let shown: Vec<String> = problems
        .into_iter()
        .map(|problem| format!("metadata.name: Invalid value: {name}: {problem}"))
        .collect();
    let shown = match shown.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    Err(format!(
        "object name does not conform to Kubernetes naming requirements: {name}: {shown}"
    ))
}

fn parts(name: &str, fits: bool, rule: &str, longest: usize) -> Vec<String> {
    let mut problems = Vec::new();
    if name.len() > longest {
        problems.push(format!("must be no more than {longest} bytes"));
    }
    if !fits {
        problems.push(rule.to_owned());
    }
    problems
}

fn is_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && !text.starts_with('-') && !text.ends_with('-') && text.chars().all(inner)
}

fn is_service(text: &str) -> bool {
    is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase())
}

/// What may be a part of a path.
fn segment(name: &str) -> Vec<String> {
    if matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    ["/", "%"]
        .into_iter()
        .filter(|sign| name.contains(sign))
        .map(|sign| format!("may not contain '{sign}'"))
        .collect()
}
