//! Slash-separated paths, after Go's `path` and `path/filepath` on Unix.

/// A pattern that `match_path` cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct PatternError;

/// The shortest equivalent path: no `.`, no inner `..`, no doubled slash; empty gives `.`.
pub fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            name => parts.push(name),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// The last element, trailing slashes aside; `.` for an empty path, `/` for slashes only.
pub fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() {
        return "/";
    }
    trimmed.rsplit('/').next().unwrap_or(trimmed)
}

/// All but the last element, cleaned.
pub fn dir(path: &str) -> String {
    clean(path.rfind('/').map_or("", |i| &path[..=i]))
}

/// The suffix of the last element from its last dot; empty where it has none.
pub fn ext(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rfind('.').map_or("", |i| &name[i..])
}

/// Whether the path begins with a slash.
pub fn is_abs(path: &str) -> bool {
    path.starts_with('/')
}

/// Joins elements with slashes and cleans; empty elements do not count.
pub fn join(elements: &[&str]) -> String {
    let kept: Vec<&str> = elements.iter().copied().filter(|e| !e.is_empty()).collect();
    if kept.is_empty() {
        String::new()
    } else {
        clean(&kept.join("/"))
    }
}

/// Whether the whole name matches a shell pattern: `*` (no slash), `?`, `[a-z]`, `[^a]`, `\c`.
///
/// Source: Go `path/filepath.Match`.
pub fn match_path(pattern: &str, name: &str) -> Result<bool, PatternError> {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    validate(&pattern)?;
    Ok(matches_from(&pattern, &name))
}

/// Upstream reports a malformed pattern even where the name has already failed.
fn validate(pattern: &[char]) -> Result<(), PatternError> {
    let mut at = 0;
    while at < pattern.len() {
        at = match pattern[at] {
            '\\' if at + 1 >= pattern.len() => return Err(PatternError),
            '\\' => at + 2,
            '[' => class(pattern, at, '\0').ok_or(PatternError)?.1,
            _ => at + 1,
        };
    }
    Ok(())
}

/// Backtracks over the last star only, which is enough and keeps the time quadratic.
fn matches_from(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&'*') {
            star = Some((p + 1, n));
            p += 1;
            continue;
        }
        if n == name.len() && p == pattern.len() {
            return true;
        }
        let step = name.get(n).and_then(|c| match_one(pattern, p, *c));
        if let Some(next) = step {
            p = next;
            n += 1;
            continue;
        }
        match star {
            Some((after, from)) if from < name.len() && name[from] != '/' => {
                star = Some((after, from + 1));
                p = after;
                n = from + 1;
            }
            _ => return false,
        }
    }
}

fn match_one(pattern: &[char], at: usize, c: char) -> Option<usize> {
    match *pattern.get(at)? {
        '?' => (c != '/').then_some(at + 1),
        '[' => class(pattern, at, c).and_then(|(hit, next)| hit.then_some(next)),
        '\\' => (pattern.get(at + 1) == Some(&c)).then_some(at + 2),
        plain => (plain == c).then_some(at + 1),
    }
}

/// Reads the class at `at`; whether `c` is in it and where it ends. `None`: malformed.
fn class(pattern: &[char], at: usize, c: char) -> Option<(bool, usize)> {
    let mut i = at + 1;
    let negated = pattern.get(i) == Some(&'^');
    if negated {
        i += 1;
    }
    let mut hit = false;
    let mut ranges = 0;
    loop {
        if pattern.get(i) == Some(&']') && ranges > 0 {
            return Some((hit != negated, i + 1));
        }
        let (low, next) = class_char(pattern, i)?;
        i = next;
        let mut high = low;
        if pattern.get(i) == Some(&'-') {
            (high, i) = class_char(pattern, i + 1)?;
        }
        hit |= (low..=high).contains(&c);
        ranges += 1;
    }
}

fn class_char(pattern: &[char], at: usize) -> Option<(char, usize)> {
    match *pattern.get(at)? {
        '-' | ']' => None,
        '\\' => Some((*pattern.get(at + 1)?, at + 2)),
        c => Some((c, at + 1)),
    }
    .filter(|(_, next)| *next < pattern.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_apart_as_in_go() {
        for (path, cleaned, last, parent, suffix) in [
            ("", ".", ".", ".", ""),
            ("/", "/", "/", "/", ""),
            ("a/b/../c.tar.gz", "a/c.tar.gz", "c.tar.gz", "a", ".gz"),
            ("/../a/", "/a", "a", "/a", ""),
            ("../x//y", "../x/y", "y", "../x", ""),
            ("a/./b", "a/b", "b", "a", ""),
        ] {
            assert_eq!(
                (clean(path).as_str(), base(path)),
                (cleaned, last),
                "{path}"
            );
            assert_eq!((dir(path).as_str(), ext(path)), (parent, suffix), "{path}");
        }
    }

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, name, expect) in [
            ("*", "abc", Ok(true)),
            ("*", "a/b", Ok(false)),
            ("a*c", "abbc", Ok(true)),
            ("a*/b", "axx/b", Ok(true)),
            ("a?c", "a/c", Ok(false)),
            ("[a-c]x", "bx", Ok(true)),
            ("[^a-c]x", "bx", Ok(false)),
            ("\\*", "*", Ok(true)),
            ("[]a]", "]", Err(PatternError)),
            ("[", "a", Err(PatternError)),
            ("a\\", "b", Err(PatternError)),
            ("a*b*c*d", "axbxcxd", Ok(true)),
        ] {
            assert_eq!(match_path(pattern, name), expect, "{pattern} {name}");
        }
    }
}
