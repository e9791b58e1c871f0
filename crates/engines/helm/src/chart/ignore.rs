//! .helmignore.

use go::path::match_path;

/// A malformed ignore file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreError {
    /// A pattern with `**`.
    #[error("double-star (**) syntax is not supported")]
    DoubleStar,
    /// A pattern that cannot be read.
    #[error("syntax error in pattern")]
    Pattern,
}

/// The rules of one ignore file.
#[derive(Debug, Clone, Default)]
pub struct Rules(Vec<Rule>);

#[derive(Debug, Clone)]
struct Rule {
    pattern: String,
    negated: bool,
    directories: bool,
    scope: Scope,
}

/// What a pattern is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Path,
    Name,
}

impl Rules {
    /// Reads an ignore file. The rule that hidden folders under `templates/` do not count is always
    /// there.
    pub fn parse(text: &str) -> Result<Self, IgnoreError> {
        let mut rules = Self::default();
        for line in text.trim_start_matches('\u{feff}').lines() {
            rules.add(line)?;
        }
        rules.add("templates/.?*")?;
        Ok(rules)
    }

    fn add(&mut self, line: &str) -> Result<(), IgnoreError> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if line.contains("**") {
            return Err(IgnoreError::DoubleStar);
        }
        match_path(line, "abc").map_err(|_| IgnoreError::Pattern)?;
        let (negated, rest) = line.strip_prefix('!').map_or((false, line), |r| (true, r));
        let (directories, rest) = rest.strip_suffix('/').map_or((false, rest), |r| (true, r));
        let (scope, pattern) = match rest.strip_prefix('/') {
            Some(anchored) => (Scope::Path, anchored),
            None if rest.contains('/') => (Scope::Path, rest),
            None => (Scope::Name, rest),
        };
        self.0.push(Rule {
            pattern: pattern.to_owned(),
            negated,
            directories,
            scope,
        });
        Ok(())
    }

    /// Whether a path is left out. A negated rule leaves out what it does not match.
    pub fn ignores(&self, path: &str, directory: bool) -> bool {
        if matches!(path, "" | "." | "./") {
            return false;
        }
        self.0.iter().any(|rule| {
            if rule.negated && rule.directories && !directory {
                return true;
            }
            if rule.directories && !directory {
                return false;
            }
            let subject = if rule.scope == Scope::Name {
                go::path::base(path)
            } else {
                path
            };
            let matched = match_path(&rule.pattern, subject).unwrap_or(false);
            matched != rule.negated
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: HE-149, HE-151
    #[test]
    fn rules_leave_out_as_upstream() {
        for (rules, path, directory, expect) in [
            ("*.txt", "a/b.txt", false, true),
            ("/a.txt", "b/a.txt", false, false),
            ("a/*.txt", "a/b.txt", false, true),
            ("docs/", "docs", true, true),
            ("docs/", "docs", false, false),
            ("!keep.txt", "Chart.yaml", false, true),
            ("!keep.txt", "keep.txt", false, false),
            ("# c\n\n", "a", false, false),
            ("", "templates/.git", true, true),
            ("", "templates/x", false, false),
            ("[a-c]x", "bx", false, true),
        ] {
            assert_eq!(
                Rules::parse(rules).unwrap().ignores(path, directory),
                expect,
                "{rules} {path}"
            );
        }
        assert_eq!(Rules::parse("a/**").unwrap_err(), IgnoreError::DoubleStar);
        assert_eq!(Rules::parse("[").unwrap_err(), IgnoreError::Pattern);
    }
}
