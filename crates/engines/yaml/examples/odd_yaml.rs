//! Prints odd YAML for `hack/oracles/yaml`: documents framed by four bytes of big-endian length.
//!
//! Usage: `odd_yaml SEED COUNT`. The same arguments give the same documents.

use std::io::Write as _;

const PIECES: &[&str] = &[
    "a",
    "b",
    "key",
    "value",
    "long word",
    "- ",
    "-",
    "? ",
    "?",
    ": ",
    ":",
    "\n",
    "\n",
    "\n ",
    "\n  ",
    "\n    ",
    " ",
    "  ",
    "\t",
    "#c",
    " #c",
    "\"",
    "'",
    "\\",
    "|",
    "|-\n",
    "|+\n",
    ">\n",
    ">2-\n",
    "|1\n",
    "&x ",
    "*x",
    "*x : ",
    "!!str ",
    "!foo ",
    "!<x> ",
    "! ",
    "!!int ",
    "!e!t ",
    "[",
    "]",
    "{",
    "}",
    ",",
    ", ",
    "---\n",
    "---",
    "--- ",
    "...\n",
    "...",
    "%YAML 1.1\n",
    "%YAML 1.2\n",
    "%TAG !e! tag:e,\n",
    "%X y\n",
    "<<",
    "<<: *x",
    "~",
    "null",
    "yes",
    "0x1F",
    "017",
    "1e3",
    "1_0",
    ".5",
    "2001-01-01",
    "\r\n",
    "\r",
    "\u{85}",
    "\u{2028}",
    "\u{2029}",
    "é",
    "😀",
    "\u{feff}",
    "\u{a0}",
    "\\n",
    "\\x41",
    "\\u00e9",
    "\\/",
    "\\\n",
    "\\ ",
    "=",
    "@",
    "`",
    "%",
    "10",
    "y",
    "n",
    "''",
    "\"\"",
    "[]",
    "{}",
    "|",
    ">",
    "-1",
    "+",
    "\u{7f}",
];

const SCALARS: &[&str] = &[
    "",
    "a",
    "a b",
    "y",
    "N",
    "yes",
    "On",
    "off",
    "true",
    "False",
    "null",
    "~",
    "Null",
    "0",
    "-0",
    "+0",
    "1",
    "-1",
    "+1",
    "007",
    "08",
    "0x1f",
    "0X1F",
    "0o17",
    "0b101",
    "-0b11",
    "+0x1",
    "1_000",
    "_1",
    "1__0",
    "1e3",
    "1E3",
    "1e+3",
    "1e-7",
    "1.5",
    "1.",
    ".5",
    "-.5",
    "+.5",
    ".",
    "..",
    "1e400",
    "-1e400",
    ".inf",
    "-.Inf",
    "+.INF",
    ".nan",
    "NaN",
    "inf",
    "1:30",
    "12:30:45",
    "-1:30",
    "1:30.5",
    "1:60",
    "190:20:30",
    "2001-01-01",
    "2001-1-2",
    "2001-12-14t21:59:43.10-05:00",
    "2001-12-15 2:59:43.10",
    "2001-12-14 21:59:43.10 -5",
    "2020-13-45",
    "2001-02-29",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890",
    "0.1",
    "1000000.0",
    "1234567.5",
    "1e20",
    "1e21",
    "123456789.123",
    "0.00001",
    "<<",
    "=",
    "-",
    "--",
    "---",
    "...",
    "?",
    ":",
    "::",
    "a:",
    ":a",
    "a: b",
    "a #b",
    "#a",
    "a#b",
    "- a",
    "-a",
    "? a",
    "?a",
    "@a",
    "`a",
    "%a",
    "!a",
    "&a",
    "*a",
    "|a",
    ">a",
    "'a",
    "\"a",
    "a'b",
    "a\"b",
    "[a",
    "a]",
    "{a",
    "a}",
    "a,b",
    ",a",
    "a ",
    " a",
    " ",
    "  ",
    "\t",
    "a\tb",
    "\ta",
    "a\n",
    "a\nb",
    "a\nb\n",
    "\na",
    "\n",
    "\n\n",
    "a\n\nb",
    "a\n\n",
    " a\nb",
    "a \nb",
    "a\n b",
    "a\n \nb",
    "\n a",
    "a\r\nb",
    "a\rb",
    "a\u{85}b",
    "a\u{85}\u{85}b",
    "a \u{85} b",
    "\u{85}",
    "a\u{2028}b",
    "\u{2029}",
    "a\u{2028}",
    "a\u{2028} b",
    "a \u{2028}b",
    "a\u{2028}\nb",
    "é",
    "日本",
    "😀",
    "\u{a0}",
    "\u{feff}",
    "a\u{feff}",
    "\u{7f}",
    "\u{80}",
    "\u{1b}",
    "\0",
    "\u{7}",
    "\u{fffd}",
    "\u{e000}",
    "\\",
    "a\\b",
    "a\\",
    "\\n",
    "tab\there\nline",
    "trailing \n",
    "--- a",
    "... a",
    "---a",
    "--- ",
    "a\n--- b",
    "a\n...\nb",
    "the quick brown fox jumps over the lazy dog and runs away from the very angry bear in the wood",
    "the quick brown fox jumps over the lazy dog and runs away from the very angry  bear in  the wood  of",
    "yes: the quick brown fox jumps over the lazy dog and runs away from the very angry bear in the wood",
    "yes: the quick brown fox jumps over the lazy dog and runs away from the very   angry bear in the 'wood'",
    "\tthe quick brown fox jumps over the lazy dog and runs away from the very angry   bear in the wood",
    "\tthe quick brown fox jumps over the lazy dog and runs away from the very angry bear in the wood trailing ",
    "theverylongwordthathasnospaceatallandgoesonandonandonandonandonandonandonandonandonandonandonandonandon",
    "theverylongwordthathasnospaceatallandgoesonandonandonandonandonandonandonandonandonandonandonandon onand on",
    "ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé",
    "😀 ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé",
];

/// A small generator of numbers; the same seed gives the same numbers everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap_or(0) % sides
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.roll(100) < percent
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

fn main() -> std::io::Result<()> {
    let number = |at| std::env::args().nth(at).and_then(|n| n.parse::<u64>().ok());
    let (seed, count) = (number(1).unwrap_or(1), number(2).unwrap_or(1000));
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut out = std::io::stdout().lock();
    for _ in 0..count {
        let document = match dice.roll(10) {
            0..=2 => soup(&mut dice),
            3..=4 => json(&mut dice),
            5 => keys(&mut dice),
            6..=7 => damaged(&mut dice),
            _ => tree(&mut dice),
        };
        out.write_all(&u32::try_from(document.len()).unwrap_or(0).to_be_bytes())?;
        out.write_all(document.as_bytes())?;
    }
    Ok(())
}

/// Pieces of syntax in any order.
fn soup(dice: &mut Dice) -> String {
    let length = 1 + dice.roll(14);
    (0..length).map(|_| dice.pick(PIECES)).collect()
}

/// Words with now and then something that needs care between them.
fn prose(dice: &mut Dice) -> String {
    const ODD: &[&str] = &[
        "  ", "'", "\"", ": ", " #", "é", "日", "😀", "\n", "\n\n", " \n", "\n ", "\t", "\u{85}",
        "\u{2028}", "- ", "? ", "\\", ", ", "{", "}", "[", "]", "&", "*", "!", "|", ">", "%", "@",
        "`", "\r\n", "\u{a0}", "\u{feff}", "\u{7f}", "...", "---", ":", "#",
    ];
    const WORDS: &[&str] = &[
        "a",
        "word",
        "longer-word",
        "http://example.com/path",
        "key=value",
        "1",
        "yes",
    ];
    let care = dice.roll(30);
    let mut text = String::new();
    for _ in 0..=dice.roll(40) {
        text.push_str(if dice.chance(care) {
            dice.pick(ODD)
        } else {
            dice.pick(WORDS)
        });
        text.push_str(dice.pick(&[" ", " ", " ", ""]));
    }
    if dice.chance(80) {
        text.trim_end().to_owned()
    } else {
        text
    }
}

/// One of the scalars, or two in a row, or more text.
fn text(dice: &mut Dice) -> String {
    if dice.chance(25) {
        return prose(dice);
    }
    let first = dice.pick(SCALARS);
    if dice.chance(15) {
        format!("{first}{}", dice.pick(SCALARS))
    } else {
        first.to_owned()
    }
}

/// A flow mapping with strings in JSON's quotes: what the printers get to see.
fn json(dice: &mut Dice) -> String {
    let quoted = |dice: &mut Dice| serde_json::to_string(&text(dice)).unwrap_or_default();
    let mut items: Vec<String> = Vec::new();
    for at in 0..=dice.roll(4) {
        let value = match dice.roll(6) {
            0 => format!("[{}, [{}]]", quoted(dice), quoted(dice)),
            1 => format!("{{{}: {}}}", quoted(dice), quoted(dice)),
            2 => format!("[{{\"k\": {}, \"l\": []}}]", quoted(dice)),
            _ => quoted(dice),
        };
        let key = if dice.chance(40) {
            quoted(dice)
        } else {
            format!("\"k{at}\"")
        };
        items.push(format!("{key}: {value}"));
    }
    if dice.chance(10) {
        format!("{}\n", quoted(dice))
    } else {
        format!("{{{}}}\n", items.join(", "))
    }
}

/// Many keys, to be sorted.
fn keys(dice: &mut Dice) -> String {
    const PARTS: &[&str] = &[
        "a", "b", "B", "é", "1", "2", "10", "01", "0", "-", ".", "_", "/", "٣", "日", "00", "9",
        "😀",
    ];
    let mut document = String::new();
    let mut known = std::collections::BTreeSet::new();
    for _ in 0..3 + dice.roll(12) {
        let key: String = (0..=dice.roll(5)).map(|_| dice.pick(PARTS)).collect();
        // Some sets have no order: a < b < c < a. The reference prints those in any order.
        let all: Vec<&String> = known.iter().chain([&key]).collect();
        let ordered = all.iter().all(|a| {
            let below = |x: &&&String| yaml::emit::compare_keys(x, a).is_lt();
            all.iter().filter(below).all(|b| {
                all.iter()
                    .filter(|c| yaml::emit::compare_keys(c, b).is_lt())
                    .all(|c| yaml::emit::compare_keys(c, a).is_lt())
            })
        });
        if ordered && known.insert(key.clone()) {
            document.extend([format!("\"{key}\": {}\n", dice.roll(10))]);
        }
    }
    document
}

/// A document with a few bytes changed.
fn damaged(dice: &mut Dice) -> String {
    let mut document = tree(dice);
    for _ in 0..=dice.roll(3) {
        let places: Vec<usize> = document.char_indices().map(|(at, _)| at).collect();
        let Some(&at) = places.get(dice.roll(places.len().max(1))) else {
            return document;
        };
        match dice.roll(3) {
            0 => drop(document.remove(at)),
            1 => document.insert_str(at, dice.pick(PIECES)),
            _ => {
                document.remove(at);
                document.insert_str(at, dice.pick(PIECES));
            }
        }
    }
    document
}

/// A stream of one to three documents.
fn tree(dice: &mut Dice) -> String {
    let mut document = String::new();
    let documents = if dice.chance(15) { 1 + dice.roll(3) } else { 1 };
    for at in 0..documents {
        if at > 0 || dice.chance(10) {
            document.push_str(dice.pick(&["---\n", "--- # c\n", "---\r\n", "...\n---\n"]));
        }
        node(dice, &mut document, 0, 3);
        if !document.ends_with('\n') && dice.chance(90) {
            document.push('\n');
        }
    }
    if dice.chance(8) {
        document.replace('\n', "\r\n")
    } else {
        document
    }
}

/// Appends a node whose further lines stand at `indent`.
fn node(dice: &mut Dice, out: &mut String, indent: usize, levels: usize) {
    if dice.chance(6) {
        out.push_str(dice.pick(&["&x ", "!!str ", "!foo ", "&y !!map ", "! "]));
    }
    let pad = " ".repeat(indent);
    match if levels == 0 { 0 } else { dice.roll(10) } {
        0..=3 => scalar(dice, out, indent),
        4 => flow(dice, out, levels),
        5..=6 => {
            if !out.is_empty() && !out.ends_with('\n') {
                out.push('\n');
            }
            let step = if dice.chance(50) { 0 } else { 2 };
            let pad = " ".repeat(indent + step);
            for _ in 0..=dice.roll(3) {
                out.push_str(&pad);
                out.push_str(dice.pick(&["- ", "- ", "-   ", "-\t", "-\n  "]));
                compact(dice, out, indent + step + 2, levels - 1);
            }
        }
        _ => {
            if !out.is_empty() && !out.ends_with('\n') {
                out.push('\n');
            }
            for at in 0..=dice.roll(3) {
                out.push_str(&pad);
                pair(dice, out, indent, levels, at);
            }
        }
    }
    if !out.ends_with('\n') {
        out.push_str(dice.pick(&["\n", "\n", "\n", " # c\n", "\n\n", "\n  # c\n"]));
    }
}

/// Appends a node after `- `.
fn compact(dice: &mut Dice, out: &mut String, indent: usize, levels: usize) {
    if levels > 0 && dice.chance(30) {
        let pad = " ".repeat(indent);
        for at in 0..=dice.roll(2) {
            if at > 0 {
                out.push_str(&pad);
            }
            pair(dice, out, indent, levels, at);
        }
    } else {
        node(dice, out, indent, levels);
    }
}

fn pair(dice: &mut Dice, out: &mut String, indent: usize, levels: usize, at: usize) {
    match dice.roll(20) {
        0 => out.push_str("? "),
        1 => {
            out.push_str("<<: *x\n");
            return;
        }
        _ => {}
    }
    match dice.roll(12) {
        0 => out.push_str(dice.pick(&[
            "yes", "1", "1.50", "null", "~", "0x10", "\"a\"", "'b c'", "[a]", "<<", "*x ",
        ])),
        1 => plain(dice, out),
        _ => out.extend([format!("k{}", if dice.chance(5) { 0 } else { at })]),
    }
    out.push_str(dice.pick(&[": ", ": ", ":  ", ":\n  ", " : ", ":\t"]));
    if out.ends_with("  ") && !out.ends_with(":  ") {
        out.push_str(&" ".repeat(indent));
    }
    node(dice, out, indent + 2, levels.saturating_sub(1));
}

fn plain(dice: &mut Dice, out: &mut String) {
    let text = text(dice);
    out.push_str(if text.contains(['\n', '\r']) {
        "plain"
    } else {
        &text
    });
}

fn scalar(dice: &mut Dice, out: &mut String, indent: usize) {
    let pad = " ".repeat(indent);
    match dice.roll(9) {
        0..=2 => plain(dice, out),
        3 => {
            let text = text(dice)
                .replace('\'', "''")
                .replace('\n', &format!("\n\n{pad}"));
            out.extend([format!("'{text}'")]);
        }
        4 => out.push_str(&serde_json::to_string(&text(dice)).unwrap_or_default()),
        5 => out.extend([format!("one\n{pad}two\n\n{pad}three")]),
        6 => {
            let header = dice.pick(&["|", "|-", "|+", ">", ">-", ">+", "|2", ">1-", "| # c"]);
            let body = text(dice).replace('\n', &format!("\n{pad}"));
            out.extend([format!(
                "{header}\n{pad}{body}\n{pad}{}",
                dice.pick(&["", "x", " x\n", "\n", "x\n\n\n"])
            )]);
        }
        7 => out.push_str(dice.pick(&[
            "*x",
            "*y",
            "\"a\\\n  b\"",
            "\"a\n\n b \t\n c\"",
            "'a\n b'",
            "\"\\x41\\u00e9\\U0001F600\\/\"",
        ])),
        _ => out.push_str(dice.pick(SCALARS).lines().next().unwrap_or_default()),
    }
}

fn flow(dice: &mut Dice, out: &mut String, levels: usize) {
    let (open, close) = if dice.chance(50) {
        ('[', ']')
    } else {
        ('{', '}')
    };
    out.push(open);
    for at in 0..dice.roll(4) {
        if at > 0 {
            out.push_str(dice.pick(&[", ", ",", " ,", ",\n  ", ", # c\n "]));
        }
        if open == '{' || dice.chance(15) {
            out.extend([format!(
                "{}{at}",
                dice.pick(&["k", "? k", "\"q\"", "'s'", "k:", ""])
            )]);
            out.push_str(dice.pick(&[": ", ":", " : ", "", ":\n  "]));
        }
        if levels > 1 && dice.chance(25) {
            flow(dice, out, levels - 1);
        } else if dice.chance(70) {
            plain(dice, out);
        } else {
            out.push_str(&serde_json::to_string(dice.pick(SCALARS)).unwrap_or_default());
        }
    }
    if dice.chance(10) {
        out.push(',');
    }
    out.push(close);
}
