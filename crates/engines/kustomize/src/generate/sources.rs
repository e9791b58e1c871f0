//! Keys and values of generators: env files, literals and files.

use crate::error::{Error, Gathered, Place};
use crate::kustomization::{MapGenerator, Text};
use crate::load::{File, Loader};

/// Lines of env files longer than this end the reading, as they do upstream.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// A key and its value, which need not be text.
pub(super) type Pair = (String, Vec<u8>);

/// Reads all sources of a generator that stands in a file.
///
/// # Errors
/// Every source that cannot be read, with its line.
pub(super) fn read(
    loader: &Loader<'_>,
    generator: &MapGenerator,
    file: &str,
) -> Result<Vec<Pair>, Error> {
    let mut pairs = Vec::new();
    let mut faults = Gathered::default();
    let place = |source: &Text| Place::line(file, source.line);
    for source in &generator.envs {
        let read = read_env(loader, &source.value, &mut pairs);
        faults.note(read.map_err(|error| error.with_place(place(source))));
    }
    for source in &generator.literals {
        let pair = parse_literal(&source.value);
        pairs.extend(faults.note(pair.map_err(|problem| Error::at(place(source), problem))));
    }
    for source in &generator.files {
        let pair = read_file(loader, &source.value);
        pairs.extend(faults.note(pair.map_err(|error| error.with_place(place(source)))));
    }
    faults.end()?;
    Ok(pairs)
}

fn load<'a>(loader: &Loader<'a>, what: &str, path: &str) -> Result<File<'a>, Error> {
    let file = loader.load(path);
    file.map_err(|error| error.into_error(&loader.session).context(doing(what, path)))
}

fn read_env(loader: &Loader<'_>, path: &str, pairs: &mut Vec<Pair>) -> Result<(), Error> {
    let what = "env source files";
    let file = load(loader, what, path)?;
    let Err(lines) = env_file(&file.content, pairs) else {
        return Ok(());
    };
    let mut faults = Gathered::default();
    for line in lines {
        let text = format!("line {line} has invalid utf8 bytes");
        faults.note::<()>(Err(Error::at(Place::line(&file.path, line), text)));
    }
    faults
        .end()
        .map_err(|error| error.context(doing(what, path)))
}

fn read_file(loader: &Loader<'_>, source: &str) -> Result<Pair, Error> {
    let (key, path) = parse_file(source).map_err(Error::new)?;
    let file = load(loader, "file sources", path)?;
    Ok((key.to_owned(), file.content.into_owned()))
}

fn doing(what: &str, path: &str) -> String {
    format!("{what}: [{path}]")
}

/// Reads `key=value`; one pair of quotes around the value is taken off.
fn parse_literal(source: &str) -> Result<Pair, String> {
    match source.split_once('=') {
        Some((key, value)) if !key.is_empty() => {
            Ok((key.to_owned(), unquoted(value).as_bytes().to_vec()))
        }
        _ => Err(format!(
            "invalid literal source {source}, expected key=value"
        )),
    }
}

fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

/// Reads `path` or `key=path`.
fn parse_file(source: &str) -> Result<(&str, &str), String> {
    match source.matches('=').count() {
        0 => {
            let base = source
                .trim_end_matches('/')
                .rsplit('/')
                .next()
                .unwrap_or(source);
            Ok((if base.is_empty() { "." } else { base }, source))
        }
        1 => match source.split_once('=') {
            Some(("", path)) => Err(format!(
                "missing key name for file path \"{path}\" in source \"{source}\""
            )),
            Some((key, "")) => Err(format!(
                "missing file path for key name \"{key}\" in source \"{source}\""
            )),
            Some(pair) => Ok(pair),
            None => Ok((source, source)),
        },
        _ => Err(format!(
            "source \"{source}\" key name or file path contains '='"
        )),
    }
}

/// Reads the lines of an env file.
///
/// # Errors
/// The numbers of all lines that are no text.
fn env_file(content: &[u8], pairs: &mut Vec<Pair>) -> Result<(), Vec<u32>> {
    let mut refused = Vec::new();
    for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
        if line.len() > MAX_LINE_BYTES {
            break;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = if index == 0 {
            line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
        } else {
            line
        };
        let Ok(text) = std::str::from_utf8(line) else {
            refused.push(u32::try_from(index + 1).unwrap_or(u32::MAX));
            continue;
        };
        let text = text.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if !key.is_empty() {
            pairs.push((key.to_owned(), value.as_bytes().to_vec()));
        }
    }
    if refused.is_empty() {
        Ok(())
    } else {
        Err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: KE-103
    #[test]
    fn literals_lose_one_pair_of_quotes() {
        let cases = [
            ("a=b", "a", "b"),
            ("a='b'", "a", "b"),
            ("a=\"b\"", "a", "b"),
            ("a='b\"", "a", "'b\""),
            ("a='", "a", "'"),
            ("a=b=c", "a", "b=c"),
            ("e=", "e", ""),
        ];
        for (source, key, value) in cases {
            let expected = (key.to_owned(), value.as_bytes().to_vec());
            assert_eq!(parse_literal(source), Ok(expected), "{source}");
        }
        for source in ["=x", "x"] {
            assert!(parse_literal(source).is_err(), "{source}");
        }
    }

    /// covers: KE-104
    #[test]
    fn env_files_keep_quotes_and_trailing_blanks() {
        let mut pairs = Vec::new();
        let content = b"\xef\xbb\xbfA='x'\r\n# c\n\n  B = y \nC\n";
        env_file(content, &mut pairs).unwrap();
        let texts: Vec<(String, String)> = pairs
            .into_iter()
            .map(|(key, value)| (key, String::from_utf8(value).unwrap()))
            .collect();
        let expected = [("A", "'x'"), ("B ", " y "), ("C", "")];
        assert_eq!(texts, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        let refused = env_file(b"a=\xff\nb=c\n\xff=d", &mut Vec::new());
        assert_eq!(refused, Err(vec![1, 3]));
    }

    #[test]
    fn file_sources_name_their_key_or_take_the_base_name() {
        assert_eq!(parse_file("d/f.txt"), Ok(("f.txt", "d/f.txt")));
        assert_eq!(parse_file("k=d/f.txt"), Ok(("k", "d/f.txt")));
        for source in ["=p", "k=", "a=b=c"] {
            assert!(parse_file(source).is_err(), "{source}");
        }
    }
}
