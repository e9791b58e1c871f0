//! An index cut into pieces, line by line, so that it never has to be in memory as a whole.
//!
//! An index is a mapping whose `entries` map names of charts to lists of versions; as written by every known tool, each
//! of these levels stands on lines of its own. Only that form is cut. Everything else (flow style, anchors across
//! entries) is told apart, and is for a reader of whole documents.

/// A piece of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The versions of this chart follow.
    Chart(String),
    /// One version: the YAML of its mapping.
    Version(Vec<u8>),
}

/// The index is not in the form that can be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the index is not in block style")]
pub struct SplitError;

/// Cuts an index.
#[derive(Debug, Default)]
pub struct Splitter {
    place: Place,
    head: Vec<u8>,
    key_indent: Option<usize>,
    item_indent: Option<usize>,
    item: Option<Vec<u8>>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Head,
    Entries,
    /// Behind the end of the first document.
    End,
}

/// The longest text beside the entries that is kept.
const MAX_HEAD: usize = 1 << 20;

impl Splitter {
    /// Takes the next line, without its end, and returns what it completes.
    ///
    /// # Errors
    /// [`SplitError`].
    pub fn line(&mut self, line: &[u8]) -> Result<[Option<Piece>; 2], SplitError> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let indent = line.iter().take_while(|byte| **byte == b' ').count();
        let rest = &line[indent..];
        if self.place == Place::End {
            return Ok([None, None]);
        }
        if rest.is_empty() || (rest[0] == b'#' && self.item.is_none()) {
            self.keep(line);
            return Ok([None, None]);
        }
        if rest[0] == b'\t' {
            return Err(SplitError);
        }
        let is_item = rest == b"-" || rest.starts_with(b"- ");
        if indent == 0 && !is_item {
            return self.top_level(line);
        }
        match self.place {
            Place::Head | Place::End => {
                self.keep_head(line)?;
                Ok([None, None])
            }
            Place::Entries => self.entry_line(line, indent, is_item),
        }
    }

    /// Says that there are no more lines: the last version, and everything beside the entries.
    pub fn finish(mut self) -> (Option<Piece>, Vec<u8>) {
        (self.item.take().map(Piece::Version), self.head)
    }

    fn top_level(&mut self, line: &[u8]) -> Result<[Option<Piece>; 2], SplitError> {
        if line.starts_with(b"---") || line.starts_with(b"...") || line[0] == b'%' {
            let begun = !self.head.is_empty() || self.key_indent.is_some();
            if begun {
                self.place = Place::End;
                return Ok([self.item.take().map(Piece::Version), None]);
            }
            // Only a bare mark may stand before the document.
            return match line {
                b"---" => Ok([None, None]),
                _ => Err(SplitError),
            };
        }
        if line[0] == b'#' {
            self.keep(line);
            return Ok([None, None]);
        }
        let done = self.item.take().map(Piece::Version);
        self.item_indent = None;
        if without_comment(line) == b"entries:" {
            if self.key_indent.is_some() {
                return Err(SplitError);
            }
            self.place = Place::Entries;
        } else {
            self.place = Place::Head;
            self.keep_head(line)?;
        }
        Ok([done, None])
    }

    fn entry_line(
        &mut self,
        line: &[u8],
        indent: usize,
        is_item: bool,
    ) -> Result<[Option<Piece>; 2], SplitError> {
        let key_indent = *self.key_indent.get_or_insert(indent);
        if indent == key_indent && !is_item {
            let done = self.item.take().map(Piece::Version);
            self.item_indent = None;
            return Ok([done, Some(Piece::Chart(key(&line[indent..])?))]);
        }
        if is_item && indent >= key_indent && self.item_indent.is_none_or(|own| own == indent) {
            self.item_indent = Some(indent);
            let mut item = line.to_vec();
            item[indent] = b' ';
            item.push(b'\n');
            return Ok([self.item.replace(item).map(Piece::Version), None]);
        }
        if indent <= key_indent || self.item.is_none() {
            return Err(SplitError);
        }
        self.keep(line);
        Ok([None, None])
    }

    /// Adds a line to the version that is being read, if one is.
    fn keep(&mut self, line: &[u8]) {
        if let Some(item) = &mut self.item {
            item.extend_from_slice(line);
            item.push(b'\n');
        }
    }

    fn keep_head(&mut self, line: &[u8]) -> Result<(), SplitError> {
        if self.head.len() + line.len() > MAX_HEAD {
            return Err(SplitError);
        }
        self.head.extend_from_slice(line);
        self.head.push(b'\n');
        Ok(())
    }
}

fn without_comment(line: &[u8]) -> &[u8] {
    let end = line
        .windows(2)
        .position(|pair| pair == b" #")
        .unwrap_or(line.len());
    line[..end].trim_ascii_end()
}

/// Reads `name:`, where nothing but a comment may follow.
fn key(text: &[u8]) -> Result<String, SplitError> {
    let text = without_comment(text).strip_suffix(b":").ok_or(SplitError)?;
    let text = std::str::from_utf8(text).map_err(|_| SplitError)?;
    let quoted = |quote: char| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        Some(inner).filter(|inner| !inner.contains([quote, '\\']))
    };
    if let Some(inner) = quoted('"').or_else(|| quoted('\'')) {
        return Ok(inner.to_owned());
    }
    let plain = |each: char| each.is_ascii_alphanumeric() || "-_./".contains(each);
    if text.is_empty() || !text.chars().all(plain) || text.starts_with("- ") {
        return Err(SplitError);
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Result<(Vec<String>, String), SplitError> {
        let mut splitter = Splitter::default();
        let mut out = Vec::new();
        let mut take = |piece: Option<Piece>| match piece {
            Some(Piece::Chart(name)) => out.push(format!("chart {name}")),
            Some(Piece::Version(text)) => out.push(String::from_utf8(text).unwrap()),
            None => {}
        };
        for line in text.lines() {
            splitter
                .line(line.as_bytes())?
                .into_iter()
                .for_each(&mut take);
        }
        let (last, head) = splitter.finish();
        take(last);
        Ok((out, String::from_utf8(head).unwrap()))
    }

    #[test]
    fn index_is_cut_whatever_its_indentation() {
        let expected = |at: &str| {
            vec![
                "chart a".to_owned(),
                format!("{at}name: a\n{at}description: |\n{at}  - x\n\n{at}  # y\n"),
                format!("{at}name: a2\n"),
                "chart b-b".to_owned(),
                format!("{at}name: b\n"),
            ]
        };
        let narrow = "apiVersion: v1\nentries:\n  a:\n  - name: a\n    description: |\n      - x\n\n      # y\n  - name: a2\n  \"b-b\": # c\n  - name: b\ngenerated: x\n";
        assert_eq!(
            split(narrow).unwrap(),
            (expected("    "), "apiVersion: v1\ngenerated: x\n".into())
        );
        let wide = "---\nentries:\n    a:\n        - name: a\n          description: |\n            - x\n\n            # y\n        - name: a2\n    b-b:\n        - name: b\napiVersion: v1\n---\nother: document\n";
        assert_eq!(
            split(wide).unwrap(),
            (expected("          "), "apiVersion: v1\n".into())
        );
    }

    #[test]
    fn items_keep_their_own_lists() {
        let text = "entries:\n  a:\n  - name: a\n    urls:\n    - x\n    - y\n  - urls:\n    - z\n";
        assert_eq!(
            split(text).unwrap().0,
            [
                "chart a",
                "    name: a\n    urls:\n    - x\n    - y\n",
                "    urls:\n    - z\n"
            ]
        );
    }

    #[test]
    fn other_forms_are_told_apart() {
        for text in [
            "entries:\n  a: []\n",
            "entries:\n  a: &x\n  - name: a\n",
            "entries:\n  a:\n    name: x\n",
            "entries:\n\ta:\n",
            "entries:\n  a:\n  - name: a\nentries:\n  b:\n",
            "entries:\n  ? a\n  : - name: a\n",
        ] {
            assert_eq!(split(text), Err(SplitError), "{text}");
        }
        assert_eq!(split("entries: {}\n").unwrap().1, "entries: {}\n");
    }
}
