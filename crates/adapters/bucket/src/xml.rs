//! The little of XML that S3 answers with: elements and text, no attributes that matter, no entities of a document's own.

/// One element or text of a document.
#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Open(&'a str),
    Close(&'a str),
    Text(&'a str),
}

/// Calls `visit` with the path of each element that holds text alone, and the text.
///
/// Returns false where the text is no such document.
pub(crate) fn leaves(text: &str, mut visit: impl FnMut(&[&str], &str)) -> bool {
    let (mut path, mut last): (Vec<&str>, String) = (Vec::new(), String::new());
    let mut rest = text.trim_start_matches('\u{feff}');
    while let Some((token, after)) = next(rest) {
        rest = after;
        match token {
            Token::Open(name) => {
                path.push(name);
                last.clear();
            }
            Token::Text(text) => last.push_str(&unescaped(text)),
            Token::Close(name) => {
                if path.last() != Some(&name) {
                    return false;
                }
                visit(&path, &last);
                last.clear();
                path.pop();
            }
        }
    }
    path.is_empty() && rest.trim().is_empty()
}

fn next(text: &str) -> Option<(Token<'_>, &str)> {
    let text = skip(text)?;
    if text.is_empty() {
        return None;
    }
    let Some(tag) = text.strip_prefix('<') else {
        let end = text.find('<')?;
        return Some((Token::Text(&text[..end]), &text[end..]));
    };
    let end = tag.find('>')?;
    let (inner, after) = (&tag[..end], &tag[end + 1..]);
    if let Some(name) = inner.strip_prefix('/') {
        return Some((Token::Close(name.trim()), after));
    }
    let name = inner.split([' ', '\t', '\n', '\r', '/']).next()?;
    if inner.ends_with('/') {
        // An empty element says nothing.
        return next(after);
    }
    Some((Token::Open(name), after))
}

/// Skips declarations and comments.
fn skip(mut text: &str) -> Option<&str> {
    loop {
        let (start, end) = if text.starts_with("<?") {
            ("<?", "?>")
        } else if text.starts_with("<!--") {
            ("<!--", "-->")
        } else if text.starts_with("<!") {
            return None;
        } else {
            return Some(text);
        };
        let after = &text[start.len()..];
        text = &after[after.find(end)? + end.len()..];
    }
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let Some(end) = rest[at..].find(';') else {
            break;
        };
        let name = &rest[at + 1..at + end];
        let character = match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            name => {
                let code = match name.strip_prefix("#x") {
                    Some(hex) => u32::from_str_radix(hex, 16).ok(),
                    None => name.strip_prefix('#').and_then(|code| code.parse().ok()),
                };
                code.and_then(char::from_u32)
            }
        };
        match character {
            Some(character) => out.push(character),
            None => out.push_str(&rest[at..=at + end]),
        }
        rest = &rest[at + end + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<String>> {
        let mut found = Vec::new();
        leaves(text, |path, text| {
            found.push(format!("{}={text}", path.join("/")));
        })
        .then_some(found)
    }

    #[test]
    fn elements_with_text_are_found() {
        let text = "<?xml version=\"1.0\"?>\n<R xmlns=\"x\"><!-- c --><A><K>a &amp; b&#xe4;&#39;</K><E/></A><A><K>c</K></A></R>\n";
        assert_eq!(
            read(text).unwrap(),
            ["R/A/K=a & bä'", "R/A=", "R/A/K=c", "R/A=", "R="]
        );
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for text in [
            "<R>",
            "<R></S>",
            "<!DOCTYPE x [<!ENTITY a \"b\">]><R></R>",
            "x",
            "<R",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
