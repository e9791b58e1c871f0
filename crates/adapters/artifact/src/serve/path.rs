//! The path of a request.

/// What a request's path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A path below the root. Shape: `a/b`, empty for the root itself.
    Path {
        /// The path without slashes at its ends.
        path: String,
        /// Whether the request's path ended in a slash.
        slash: bool,
    },
    /// The path is written in another way: the client shall ask for this one.
    Redirect(String),
    /// The path can name nothing.
    Nothing,
}

/// Reads the path of a request.
pub(super) fn target(raw: &str) -> Target {
    let Some(decoded) = decode(raw) else {
        return Target::Nothing;
    };
    if !decoded.starts_with('/') || decoded.contains(['\0', '\\']) {
        return Target::Nothing;
    }
    let cleaned = clean(&decoded);
    if cleaned != decoded {
        return Target::Redirect(encode(&cleaned));
    }
    let slash = decoded.ends_with('/');
    Target::Path {
        path: decoded.trim_matches('/').to_owned(),
        slash,
    }
}

/// Resolves `.` and `..`, joins slashes, keeps one at the end.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut cleaned = format!("/{}", parts.join("/"));
    let is_directory = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    if is_directory && !cleaned.ends_with('/') {
        cleaned.push('/');
    }
    cleaned
}

fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if *byte == b'%' {
            let digits = text.get(at + 1..at + 3)?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
            at += 3;
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    String::from_utf8(out).ok()
}

/// Writes a path so that it can stand in a URL.
pub(super) fn encode(path: &str) -> String {
    use std::fmt::Write;
    path.bytes()
        .fold(String::with_capacity(path.len()), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~/:@!$&'()*+,;=".contains(&byte) {
                out.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
            out
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_and_unclean_ones_redirected() {
        let path = |path: &str, slash| Target::Path {
            path: path.to_owned(),
            slash,
        };
        let redirect = |to: &str| Target::Redirect(to.to_owned());
        for (raw, expected) in [
            ("/", path("", true)),
            ("/a/b.tar.gz", path("a/b.tar.gz", false)),
            ("/a/", path("a", true)),
            ("/a%20b", path("a b", false)),
            ("/a//b", redirect("/a/b")),
            ("/a/../b", redirect("/b")),
            ("/a/..", redirect("/")),
            ("/../../etc/passwd", redirect("/etc/passwd")),
            ("/%2e%2e/x%20y", redirect("/x%20y")),
            ("/a/./", redirect("/a/")),
            ("/a%zz", Target::Nothing),
            ("/a%", Target::Nothing),
            ("/a%00", Target::Nothing),
            ("/%ff", Target::Nothing),
            ("a", Target::Nothing),
        ] {
            assert_eq!(target(raw), expected, "{raw}");
        }
    }
}
