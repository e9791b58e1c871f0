//! Where dependencies come from and under which licences.

use super::metadata::Metadata;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Licences that ask for no more than their text and a notice.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Checks source and licence of every package.
pub(super) fn check(metadata: &Metadata) -> Vec<String> {
    let mut faults = Vec::new();
    for package in &metadata.packages {
        let name = format!("{} {}", package.name, package.version);
        if let Some(source) = package
            .source
            .as_deref()
            .filter(|source| *source != REGISTRY)
        {
            faults.push(format!("{name} comes from {source}, not from crates.io"));
        }
        match package.license.as_deref() {
            None => faults.push(format!("{name} names no licence")),
            Some(expression) if !is_allowed(expression) => {
                faults.push(format!(
                    "{name} is licensed {expression}, which is not on the list"
                ));
            }
            Some(_) => {}
        }
    }
    faults
}

/// Tells whether an SPDX expression can be met with the licences on the list. `AND` binds tighter than `OR`; `/` is the
/// old way to write `OR`.
fn is_allowed(expression: &str) -> bool {
    let expression = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = expression.split_whitespace().collect();
    let mut position = 0;
    either(&words, &mut position) && position == words.len()
}

fn either(words: &[&str], position: &mut usize) -> bool {
    let mut allowed = both(words, position);
    while words.get(*position) == Some(&"OR") {
        *position += 1;
        allowed |= both(words, position);
    }
    allowed
}

fn both(words: &[&str], position: &mut usize) -> bool {
    let mut allowed = one(words, position);
    while words.get(*position) == Some(&"AND") {
        *position += 1;
        allowed &= one(words, position);
    }
    allowed
}

fn one(words: &[&str], position: &mut usize) -> bool {
    if words.get(*position) == Some(&"(") {
        *position += 1;
        let allowed = either(words, position);
        *position += 1;
        return allowed;
    }
    let Some(licence) = words.get(*position) else {
        return false;
    };
    *position += 1;
    if words.get(*position) == Some(&"WITH") {
        let exception = words.get(*position + 1).unwrap_or(&"");
        *position += 2;
        return LICENCES.contains(&format!("{licence} WITH {exception}").as_str());
    }
    LICENCES.contains(licence)
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn expressions_are_read_as_spdx_means_them() {
        let cases = [
            ("MIT", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0-only", false),
            ("GPL-3.0-only OR MIT", true),
            ("GPL-3.0-only AND MIT", false),
            ("(MIT OR GPL-3.0-only) AND ISC", true),
            ("MIT OR GPL-3.0-only AND LGPL-2.1", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0 WITH Other-exception", false),
            ("", false),
        ];
        for (expression, expected) in cases {
            assert_eq!(is_allowed(expression), expected, "{expression}");
        }
    }
}
