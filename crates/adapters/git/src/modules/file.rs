//! `.gitmodules`, which has the form of Git's configuration.
//!
//! Source: <https://git-scm.com/docs/gitmodules>, <https://git-scm.com/docs/git-config#_syntax>, Git 2.47.

/// What the file says of one submodule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    name: String,
    pub(super) path: Option<String>,
    pub(super) url: Option<String>,
}

/// Reads the submodules in their order. What is no part of the form counts for nothing.
pub(super) fn parse(text: &str) -> Vec<Named> {
    let mut all: Vec<Named> = Vec::new();
    let mut current: Option<usize> = None;
    let joined = text.replace("\\\r\n", "").replace("\\\n", "");
    for line in joined.lines() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            current = section(header).map(|name| {
                let found = all.iter().position(|each| each.name == name);
                found.unwrap_or_else(|| {
                    all.push(Named {
                        name,
                        ..Named::default()
                    });
                    all.len() - 1
                })
            });
            continue;
        }
        let (Some(at), Some((key, value))) = (current, line.split_once('=')) else {
            continue;
        };
        let Some(module) = all.get_mut(at) else {
            continue;
        };
        match key.trim().to_ascii_lowercase().as_str() {
            "path" => module.path = Some(value_of(value)),
            "url" => module.url = Some(value_of(value)),
            _ => {}
        }
    }
    all
}

/// Reads `submodule "<name>"]`.
fn section(header: &str) -> Option<String> {
    let header = header.trim_end().strip_suffix(']')?;
    let (kind, name) = header.split_once(char::is_whitespace)?;
    if !kind.eq_ignore_ascii_case("submodule") {
        return None;
    }
    let name = name.trim().strip_prefix('"')?.strip_suffix('"')?;
    Some(name.replace("\\\"", "\"").replace("\\\\", "\\"))
}

/// Reads a value: quotes and escapes undone, a comment behind it left out.
fn value_of(text: &str) -> String {
    let mut value = String::new();
    let mut quoted = false;
    // Where blanks start that count only if something follows.
    let mut end = 0;
    let mut chars = text.trim_start().chars();
    while let Some(each) = chars.next() {
        match each {
            '"' => {
                quoted = !quoted;
                end = value.len();
                continue;
            }
            '#' | ';' if !quoted => break,
            '\\' => value.push(match chars.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some(other) => other,
                None => break,
            }),
            each => value.push(each),
        }
        if quoted || !each.is_whitespace() {
            end = value.len();
        }
    }
    value.truncate(end);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, path: &str, url: &str) -> Named {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Named {
            name: name.to_owned(),
            path: given(path),
            url: given(url),
        }
    }

    #[test]
    fn sections_keys_quotes_and_comments_are_read() {
        let text = "# comment\n[core]\n\tpath = no\n[submodule \"lib\"]\n\tpath = lib ; here\n\turl = ../lib.git\n\
                    \tbranch = .\n[Submodule \"a \\\"b\\\"\"]\nPATH=\"a b\"  \nurl = https://host/\\\nx\n\
                    [submodule \"lib\"]\nurl = \"with # sign\"\n[submodule \"none\"]\n";
        assert_eq!(
            parse(text),
            [
                named("lib", "lib", "with # sign"),
                named("a \"b\"", "a b", "https://host/x"),
                named("none", "", ""),
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "(\\[submodule \"?|path|url| = |\"|\\\\|\n|.){0,40}") {
            drop(parse(&text));
        }
    }
}
