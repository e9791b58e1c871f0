//! 300 generated files in every style that YAML has. A file is made of pieces of which it is known what they become, so
//! that the result is compared byte by byte; and a YAML reader has to see the intended changes and no others.

use yaml::{Limits, Node, Schema, Value};

use super::*;
use crate::random::Random;

const FILES: u64 = 300;

/// The policies: name, image, tag, digest, and whether the tag can stand without quotes.
const POLICIES: &[(&str, &str, &str, &str, bool)] = &[
    ("app", "ghcr.io/org/app", "v1.2.4", "", true),
    ("float", "localhost:5000/app", "1.10", "", false),
    ("number", "registry.example.com/a/b", "20240101", "", false),
    ("bool", "alpine", "on", "", false),
    ("exponent", "quay.io/x/y", "1e3", "", false),
    (
        "pinned",
        "ghcr.io/org/app",
        "2.0.0-rc.1",
        "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        true,
    ),
];

fn chosen() -> Chosen {
    let all = POLICIES.iter().map(|&(policy, name, tag, digest, _)| {
        let image = ImageReference {
            name: name.into(),
            tag: tag.into(),
            digest: Some(digest.to_owned()).filter(|d| !d.is_empty()),
        };
        (policy.to_owned(), image)
    });
    all.collect()
}

/// A file while it is made: how it is, and how it has to become.
#[derive(Default)]
struct File {
    before: String,
    after: String,
    /// What a reader sees anew, in order.
    news: Vec<String>,
    /// How many fields are set.
    set: usize,
    /// How many markers nothing can be done about.
    unresolved: usize,
    keys: usize,
    anchors: Vec<(String, String)>,
    /// What is indented would belong to a block scalar.
    after_block: bool,
}

impl File {
    fn same(&mut self, text: &str) {
        self.before.push_str(text);
        self.after.push_str(text);
    }

    fn key(&mut self) -> String {
        self.keys += 1;
        format!("key{}", self.keys)
    }

    fn becomes(&mut self, before: &str, after: &str, value: &str) {
        self.before.push_str(before);
        self.after.push_str(after);
        if before != after {
            self.set += 1;
            self.news.push(value.to_owned());
        }
    }
}

/// What a marker asks for.
struct Mark {
    comment: String,
    value: String,
    plain: bool,
}

fn mark(r: &mut Random) -> Mark {
    let &(policy, name, tag, digest, plain_tag) = &POLICIES[r.below(POLICIES.len())];
    let pin = if digest.is_empty() {
        String::new()
    } else {
        format!("@{digest}")
    };
    let (part, value, plain) = match r.below(5) {
        0 => (":tag", tag.to_owned(), plain_tag),
        1 => (":name", name.to_owned(), true),
        2 if !digest.is_empty() => (":digest", digest.to_owned(), true),
        _ => ("", format!("{name}:{tag}{pin}"), true),
    };
    let comment = match r.below(6) {
        0 => format!("#{{\"$imagepolicy\":\"ns:{policy}{part}\"}}"),
        1 => format!("#\t{{ \"$imagepolicy\" :\t\"ns:{policy}{part}\" }}"),
        2 => format!("## {{\"note\": \"é\", \"$imagepolicy\": \"ns:{policy}{part}\"}} "),
        _ => format!("# {{\"$imagepolicy\": \"ns:{policy}{part}\"}}"),
    };
    Mark {
        comment,
        value,
        plain,
    }
}

/// A comment that is no marker that can be resolved; and whether it is one that cannot.
fn no_mark(r: &mut Random) -> (&'static str, bool) {
    match r.below(12) {
        0 => ("# {\"$imagepolicy\": \"other:app\"}", true),
        1 => ("# {\"$imagepolicy\": \"ns:absent\"}", true),
        2 => ("# {\"$imagepolicy\": \"ns:app:part\"}", true),
        3 => ("# {\"$imagepolicy\": \"ns:app:digest\"}", true),
        4 => ("# {\"$imagepolicy\": \"ns:app\"} and more", false),
        5 => ("# {'$imagepolicy': 'ns:app'}", false),
        6 => ("# {\"$imagepolicy\": 1}", false),
        7 => ("# \"$imagepolicy\"", false),
        8 => ("#\ttabs\tand\ttrailing blanks  ", false),
        9 => ("# ünïcödé 🎉 \"'{[", false),
        _ => ("# free text: - not, {yaml}", false),
    }
}

fn gap(r: &mut Random) -> &'static str {
    r.pick(&[" ", " ", "  ", "\t", " \t "])
}

fn old(r: &mut Random) -> &'static str {
    r.pick(&[
        "old",
        "1.2",
        "1",
        "true",
        "ghcr.io/org/app:v0.1",
        "null",
        "0x1F",
        "2020-01-01",
        "a/b@c",
        "localhost:5000/app:1",
    ])
}

/// Lines that mean nothing.
fn noise(file: &mut File, indent: &str, r: &mut Random) {
    while r.chance(35) {
        let line = match r.below(6) {
            0 => "\n".to_owned(),
            1 | 4 if file.after_block => "\n".to_owned(),
            1 => "   \n".to_owned(),
            2 => format!("{indent}#\ttabbed\n"),
            3 => "# at the margin\n".to_owned(),
            4 => format!("{indent}    # far in\n"),
            _ => format!("{indent}# {{\"$imagepolicy\": \"ns:app\"}} above nothing\n"),
        };
        file.same(&line);
    }
    file.after_block = false;
}

/// A scalar with its marker up to the end of the line, after `lead`; what stands there already ends with a blank.
fn marked(file: &mut File, indent: &str, r: &mut Random) {
    let Mark {
        comment,
        value,
        plain,
    } = mark(r);
    let quoted = format!("\"{value}\"");
    let bare = if plain { value.clone() } else { quoted.clone() };
    let before = old(r);
    let end = format!("{}{comment}\n", gap(r));
    match r.below(12) {
        0 => {
            file.becomes(&format!("'{before}'"), &format!("'{value}'"), &value);
            file.same(&end);
        }
        1 => {
            file.becomes(&format!("\"{before}\\t\""), &quoted, &value);
            file.same(&end);
        }
        2 => {
            let name = format!("a{}", file.keys);
            file.same(&format!("&{name}{}", gap(r)));
            file.becomes(before, &bare, &value);
            file.anchors.push((name, value));
            file.same(&end);
        }
        3 => {
            file.same("!!str ");
            file.becomes(before, &bare, &value);
            file.same(&end);
        }
        4 | 5 => block(file, indent, &comment, &value, r),
        6 => {
            file.becomes(&format!("{before}\n{indent}    more"), &bare, &value);
            file.same(&end);
        }
        7 => {
            // It has what it should have, in whatever quotes.
            let spelled = r.pick(&["\"", "'"]);
            file.same(&format!("{spelled}{value}{spelled}{end}"));
        }
        _ => {
            file.becomes(before, &bare, &value);
            file.same(&end);
        }
    }
}

fn block(file: &mut File, indent: &str, comment: &str, value: &str, r: &mut Random) {
    let is_folded = r.chance(40);
    let chomp = r.pick(&["", "-"]);
    let header = format!("{}{chomp}", if is_folded { ">" } else { "|" });
    file.same(&format!("{header}{}{comment}\n", gap(r)));
    let inner = format!("{indent}{}", r.pick(&["  ", "    ", "   "]));
    let before = if r.chance(40) {
        format!("{inner}old\n{inner}and more")
    } else {
        format!("{inner}old:1")
    };
    let seen = if chomp.is_empty() {
        format!("{value}\n")
    } else {
        value.to_owned()
    };
    file.becomes(&before, &format!("{inner}{value}"), &seen);
    file.same("\n");
    file.after_block = true;
    if r.chance(30) {
        file.same("\n");
    }
}

/// An entry of a block mapping.
fn entry(file: &mut File, indent: &str, depth: usize, r: &mut Random) {
    noise(file, indent, r);
    let key = file.key();
    file.same(indent);
    match r.below(14) {
        0 | 1 if depth < 4 => {
            let (comment, _) = ("# {\"$imagepolicy\": \"ns:app\"} is free here", false);
            file.same(&format!("{key}:{}{comment}\n", gap(r)));
            let inner = format!("{indent}{}", r.pick(&["  ", "    ", " "]));
            mapping(file, &inner, depth + 1, r);
        }
        2 | 3 => sequence(file, &key, indent, depth, r),
        4 => flow(file, &key, indent, r),
        5 => {
            let Mark {
                comment,
                value,
                plain,
            } = mark(r);
            let bare = if plain {
                value.clone()
            } else {
                format!("\"{value}\"")
            };
            file.same(&format!("{key}:"));
            file.becomes("", &format!(" {bare}"), &value);
            file.same(&format!("{}{comment}\n", gap(r)));
        }
        6 => {
            let (comment, is_marker) = no_mark(r);
            file.unresolved += usize::from(is_marker);
            file.same(&format!("{key}: {}{}{comment}\n", old(r), gap(r)));
        }
        7 if !file.anchors.is_empty() => {
            // An alias follows its anchor and is never set itself.
            let (name, value) = file.anchors[r.below(file.anchors.len())].clone();
            let Mark { comment, .. } = mark(r);
            file.same(&format!("{key}: *{name}{}{comment}\n", gap(r)));
            file.news.push(value);
        }
        8 => {
            let Mark { comment, .. } = mark(r);
            file.same(&format!(
                "{key}: |\n{indent}  image: x {comment}\n\n{indent}   # {{\"$imagepolicy\": \"ns:app\"}}\n"
            ));
        }
        9 => {
            file.same(&format!("? {key}\n{indent}: "));
            marked(file, indent, r);
        }
        10 => file.same(&format!(
            "\"{key}\": {{a: [1, 'b', \"c\"], d: {{}}}}  # {{}}\n"
        )),
        _ => {
            file.same(&format!("{key}:{}", r.pick(&[" ", " ", "   ", " \t"])));
            marked(file, indent, r);
        }
    }
}

fn sequence(file: &mut File, key: &str, indent: &str, depth: usize, r: &mut Random) {
    file.same(&format!("{key}:\n"));
    let inner = if r.chance(50) {
        indent.to_owned()
    } else {
        format!("{indent}  ")
    };
    items(file, &inner, depth, r);
}

fn items(file: &mut File, inner: &str, depth: usize, r: &mut Random) {
    for _ in 0..=r.below(3) {
        match r.below(5) {
            0 => {
                // A marker on the line above an item that is a scalar.
                let Mark {
                    comment,
                    value,
                    plain,
                } = mark(r);
                let bare = if plain {
                    value.clone()
                } else {
                    format!("\"{value}\"")
                };
                if r.chance(30) {
                    file.same(&format!("{inner}# something else\n"));
                }
                file.same(&format!("{inner}{comment}\n{inner}- "));
                file.becomes(old(r), &bare, &value);
                file.same("\n");
            }
            1 if depth < 4 => {
                let wide = r.pick(&["- ", "-   "]);
                let key = file.key();
                file.same(&format!("{inner}{wide}{key}: "));
                let column = format!("{inner}{}", " ".repeat(wide.len()));
                marked(file, &column, r);
                if r.chance(60) {
                    entry(file, &column, depth + 1, r);
                }
            }
            2 => {
                let (comment, is_marker) = no_mark(r);
                file.unresolved += usize::from(is_marker);
                file.same(&format!("{inner}- {}{}{comment}\n", old(r), gap(r)));
            }
            _ => {
                file.same(&format!("{inner}- "));
                marked(file, inner, r);
            }
        }
    }
}

/// A mapping in braces over several lines, a comment on each.
fn flow(file: &mut File, key: &str, indent: &str, r: &mut Random) {
    let (open, close) = if r.chance(70) { ("{", "}") } else { ("[", "]") };
    file.same(&format!("{key}: {open} # {{\n"));
    for _ in 0..=r.below(3) {
        let Mark {
            comment,
            value,
            plain,
        } = mark(r);
        let bare = if plain {
            value.clone()
        } else {
            format!("\"{value}\"")
        };
        let name = if open == "{" {
            format!("{}: ", file.key())
        } else {
            String::new()
        };
        file.same(&format!("{indent}    {name}"));
        if r.chance(30) {
            file.becomes("'x'", &format!("'{value}'"), &value);
        } else {
            file.becomes("x:1", &bare, &value);
        }
        file.same(&format!(",{}{comment}\n", gap(r)));
    }
    // Nothing stands between this one and its comment but the end of the collection, which it belongs to.
    let last = if open == "{" {
        format!("{}: y", file.key())
    } else {
        "y".to_owned()
    };
    let Mark { comment, .. } = mark(r);
    file.same(&format!("{indent}    {last} {close}{}{comment}\n", gap(r)));
}

fn mapping(file: &mut File, indent: &str, depth: usize, r: &mut Random) {
    for _ in 0..=r.below(4) {
        entry(file, indent, depth, r);
    }
}

fn document(file: &mut File, r: &mut Random) {
    file.anchors.clear();
    match r.below(8) {
        0 => items(file, "", 0, r),
        1 => {
            file.same("apiVersion: v1\nkind: List\nitems:\n");
            items(file, "  ", 0, r);
        }
        2 => marked(file, "", r),
        _ => {
            file.same(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: apps}\n",
            );
            mapping(file, "", 0, r);
        }
    }
}

fn generate(number: u64) -> File {
    let mut random = Random::new(number);
    let r = &mut random;
    let mut file = File::default();
    if r.chance(20) {
        file.same("\u{feff}");
    }
    match r.below(6) {
        0 => file.same("# first\n\n---\n"),
        1 => file.same("--- # a document\n"),
        2 => file.same("%YAML 1.1\n---\n"),
        _ => noise(&mut file, "", r),
    }
    document(&mut file, r);
    while r.chance(40) {
        file.same(r.pick(&["---\n", "--- # next\n", "...\n---\n", "---\n\n# c\n"]));
        document(&mut file, r);
    }
    file.same(r.pick(&["", "", "\n", "...\n", "# last", "# last  \n\n"]));
    if r.chance(25) {
        file.before = file.before.replace('\n', "\r\n");
        file.after = file.after.replace('\n', "\r\n");
    }
    file
}

/// Walks two readings in step and collects what differs.
fn differences(before: &Node, after: &Node, found: &mut Vec<String>) {
    match (&before.value, &after.value) {
        (Value::Scalar(_), Value::Scalar(_)) => {
            if before != after {
                assert!(after.is_string(), "read as {:?}", after.kind());
                found.push(after.text().to_owned());
            }
        }
        (Value::Sequence(a), Value::Sequence(b)) => {
            assert_eq!(a.len(), b.len());
            for (a, b) in a.iter().zip(b.iter()) {
                differences(a, b, found);
            }
        }
        (Value::Mapping(a), Value::Mapping(b)) => {
            assert_eq!(a.len(), b.len());
            for (a, b) in a.iter().zip(b.iter()) {
                assert_eq!(a.key, b.key);
                differences(&a.value, &b.value, found);
            }
        }
        _ => panic!("a collection became a scalar, or the other way round"),
    }
}

fn read(text: &str, schema: Schema) -> Vec<Node> {
    yaml::parse(text.as_bytes(), "f.yaml", schema, &Limits::default())
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// covers: IA-148, IA-149, IA-150, IA-154, IA-158, IA-159, IA-160, IA-161, IA-162
#[test]
fn generated_files_change_in_their_marked_scalars_only() {
    let mut set_in_all = 0;
    for number in 0..FILES {
        let file = generate(number);
        let text = &file.before;
        let found = set("f.yaml", text.as_bytes(), "ns", &chosen());
        let after = found
            .changed
            .as_ref()
            .map_or(text.as_str(), |changed| &changed.text);
        assert_eq!(after, file.after, "file {number}, which was:\n{text}");
        for schema in [Schema::Core, Schema::Legacy] {
            let (before, after) = (read(text, schema), read(after, schema));
            assert_eq!(before.len(), after.len());
            let mut seen = Vec::new();
            for (before, after) in before.iter().zip(&after) {
                differences(before, after, &mut seen);
            }
            assert_eq!(seen, file.news, "file {number}:\n{text}");
        }
        let objects = found.changed.iter().flat_map(|changed| &changed.objects);
        let changes: usize = objects.map(|(_, changes)| changes.len()).sum();
        assert_eq!(changes, file.set, "file {number}:\n{text}");
        assert_eq!(
            found.unresolved.len(),
            file.unresolved,
            "file {number}: {:?}\n{text}",
            found.unresolved
        );
        let again = set("f.yaml", after.as_bytes(), "ns", &chosen());
        assert_eq!(again.changed, None, "file {number} changes again:\n{after}");
        set_in_all += file.set;
    }
    assert!(set_in_all > 1000, "only {set_in_all} fields were set");
}
