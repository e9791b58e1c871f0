//! Tables and colours for people.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use super::standing::State;

/// Whether colours are shown: only on a terminal whose user did not forbid it (<https://no-color.org>).
pub(crate) fn is_coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Returns the text in the colour of a state.
pub(crate) fn painted(state: State, text: &str, coloured: bool) -> String {
    let code = match state {
        _ if !coloured => return text.to_owned(),
        State::Failed => 31,
        State::Progressing => 33,
        State::Ready => 32,
        State::Suspended | State::Static => 90,
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Lays rows out in columns that are as wide as their widest cell. The state colours the first column.
pub(crate) fn table(header: &[&str], rows: &[(State, Vec<String>)], coloured: bool) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for (_, row) in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    let head: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    line(&mut out, &head, &widths, None);
    for (state, row) in rows {
        line(&mut out, row, &widths, Some((*state, coloured)));
    }
    out
}

fn line(out: &mut String, row: &[String], widths: &[usize], paint: Option<(State, bool)>) {
    let last = row.len().saturating_sub(1);
    for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
        let gap = if index == last {
            0
        } else {
            width - cell.chars().count() + 3
        };
        let shown = match paint {
            Some((state, coloured)) if index == 0 => painted(state, cell, coloured),
            _ => cell.clone(),
        };
        // Writing to a String cannot fail.
        let _ = write!(out, "{shown}{:gap$}", "");
    }
    while out.ends_with(' ') {
        out.pop();
    }
    out.push('\n');
}

/// Puts a message on one line.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns how long ago a time was (RFC 3339): `5s`, `3m`, `2h`, `4d`; `-` where it is none.
pub(crate) fn age(time: Option<&str>, now: jiff::Timestamp) -> String {
    let Some(then) = time.and_then(|time| time.parse::<jiff::Timestamp>().ok()) else {
        return "-".to_owned();
    };
    let seconds = now.as_second().saturating_sub(then.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![
            (
                State::Failed,
                vec!["Failed".to_owned(), "a".to_owned(), "why".to_owned()],
            ),
            (
                State::Ready,
                vec!["Ready".to_owned(), "longer".to_owned(), String::new()],
            ),
        ];
        let shown = table(&["STATE", "NAME", "MESSAGE"], &rows, false);
        assert_eq!(
            shown,
            "STATE    NAME     MESSAGE\nFailed   a        why\nReady    longer\n"
        );
        assert!(table(&["STATE"], &rows, true).contains("\x1b[31mFailed"));
    }

    #[test]
    fn ages_are_short() {
        let now: jiff::Timestamp = "2026-01-02T00:00:00Z".parse().unwrap_or_default();
        assert_eq!(age(Some("2026-01-01T23:59:50Z"), now), "10s");
        assert_eq!(age(Some("2026-01-01T23:00:00Z"), now), "60m");
        assert_eq!(age(Some("2026-01-01T00:00:00Z"), now), "24h");
        assert_eq!(age(Some("2025-12-01T00:00:00Z"), now), "32d");
        assert_eq!(age(None, now), "-");
    }
}
