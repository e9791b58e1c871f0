//! Hostile input: bounded time and memory, an error or a tree, never a panic.

use proptest::prelude::*;
use yaml::{ErrorKind, Limits, Node, Reader, Schema, edit, emit};

fn deep_reader(schema: Schema) -> Reader {
    Reader::new(schema).limits(Limits {
        max_depth: Limits::GO_MAX_DEPTH,
        ..Limits::default()
    })
}

#[expect(clippy::unwrap_used, reason = "a helper of tests, which may panic")]
/// Does everything one can do with a text; results do not matter.
fn exercise(bytes: &[u8]) {
    for schema in [Schema::Core, Schema::Legacy] {
        let Ok(documents) = deep_reader(schema).read(bytes, "f") else {
            continue;
        };
        for document in documents {
            let copy = document.clone();
            assert!(copy == document || format!("{document:?}").contains("NaN"));
            let json = yaml::to_json(&document);
            let printed = emit::v2(&document);
            drop(emit::v3(&document));
            let (Ok(json), Ok(printed)) = (json, printed) else {
                continue;
            };
            assert_eq!(emit::v2(&json).unwrap(), printed);
            assert_eq!(yaml::to_json(&yaml::from_json(&json)).unwrap(), json);
        }
    }
}

fn exercise_edit(text: &str, value: &str) {
    let Ok(fields) = edit::fields(text, "f") else {
        return;
    };
    let edits: Vec<_> = fields
        .iter()
        .map(|field| field.replace(text, value))
        .collect();
    drop(edit::apply(text, &edits));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        exercise(&bytes);
    }

    #[test]
    fn arbitrary_syntax_does_not_panic(text in "([-?:,\\[\\]{}#&*!|>'\"%@` \t\n\r\u{85}\u{2028}a0.<~\\\\é]|---|<<|\n  ){0,60}") {
        exercise(text.as_bytes());
        exercise_edit(&text, "new: value");
    }

    #[test]
    fn strings_survive_print_and_read(text in "\\PC{0,120}|[ -~\n]{0,200}|[a ]{0,200}", key in "[ -~]{1,140}") {
        let mut mapping = yaml::Mapping::new();
        mapping.insert(key, Node::sequence(vec![Node::string(text)]));
        let tree = Node::mapping(mapping);
        for printed in [emit::v2(&tree), emit::v3(&tree)] {
            let printed = printed.unwrap();
            let read = Reader::new(Schema::Legacy).read(printed.as_bytes(), "f").unwrap().remove(0);
            prop_assert_eq!(&read, &tree, "{}", printed);
        }
    }
}

#[test]
fn ten_thousand_levels_need_no_stack() {
    let depth = Limits::GO_MAX_DEPTH;
    let flow = "[".repeat(depth) + &"]".repeat(depth);
    let block: String = "- ".repeat(depth) + "a\n";
    let maps = "{a: ".repeat(depth) + &"}".repeat(depth);
    for text in [flow, block, maps] {
        let document = deep_reader(Schema::Core)
            .read(text.as_bytes(), "f")
            .unwrap()
            .remove(0);
        let copy = document.clone();
        assert_eq!(copy, document);
        let printed = emit::v2(&document).unwrap();
        assert!(printed.len() > depth);
        assert!(yaml::to_json(&document).is_err());
        assert!(format!("{document:?}").len() < 1000);
        drop(copy);
    }
}

#[test]
fn one_level_more_is_an_error() {
    let depth = Limits::GO_MAX_DEPTH + 1;
    for text in [
        "[".repeat(depth),
        "- ".repeat(depth),
        "{a: ".repeat(depth),
        "? ".repeat(depth),
    ] {
        let error = deep_reader(Schema::Core)
            .read(text.as_bytes(), "f")
            .unwrap_err();
        assert_eq!(
            *error.kind(),
            ErrorKind::TooDeep(Limits::GO_MAX_DEPTH),
            "{error}"
        );
    }
}

#[test]
fn a_file_of_fifty_megabytes_is_refused_unread() {
    let error = Reader::new(Schema::Core)
        .read(&vec![b'['; 50 << 20], "big.yaml")
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TooLarge { .. }));
    assert_eq!(
        error.to_string(),
        "big.yaml:1:1: input of 52428800 bytes is over the limit of 33554432 bytes"
    );
}

#[test]
fn what_is_no_text_is_named_with_its_place() {
    let read = |bytes: &[u8]| {
        Reader::new(Schema::Core)
            .read(bytes, "f")
            .unwrap_err()
            .to_string()
    };
    assert_eq!(read(b"a: b\nc: \xff"), "f:2:4: invalid leading UTF-8 octet");
    assert_eq!(
        read(b"a: b\nc: \x00"),
        "f:2:4: control characters are not allowed"
    );
    assert_eq!(
        read(b"a: \x7f"),
        "f:1:4: control characters are not allowed"
    );
}

#[test]
fn anchors_in_anchors_do_not_multiply_memory() {
    let nested: Vec<String> = (0..400).map(|n| format!("&a{n} [")).collect();
    let text = nested.concat() + &"x,".repeat(10_000) + &"]".repeat(400);
    let reader = Reader::new(Schema::Core).limits(Limits {
        max_nodes: 100_000,
        ..Limits::default()
    });
    // Without an alias nothing needs to be kept.
    assert!(reader.read(text.as_bytes(), "f").is_ok());
    let error = reader.read((text + " # *").as_bytes(), "f").unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::TooManyNodes(100_000));
}

#[test]
fn merges_of_merges_are_bounded() {
    let keys: Vec<String> = (0..100).map(|n| format!("k{n}: 1, ")).collect();
    let levels: Vec<String> = (1..500)
        .map(|n| format!("a{n}: &a{n} {{<<: *a{}}}\n", n - 1))
        .collect();
    let text = format!("a0: &a0 {{{}}}\n{}", keys.concat(), levels.concat());
    let limits = Limits {
        max_nodes: 50_000,
        ..Limits::default()
    };
    let error = Reader::new(Schema::Core)
        .limits(limits)
        .read(text.as_bytes(), "f")
        .unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::TooManyNodes(50_000));
}

#[test]
fn many_of_anything_take_linear_time() {
    let many = |make: &dyn Fn(usize) -> String| (0..20_000).map(make).collect::<Vec<_>>().concat();
    let texts = [
        "[".repeat(9_000),
        many(&|_| "a ".to_owned()),
        many(&|_| "- \n".to_owned()),
        many(&|_| "#\n".to_owned()) + "- a",
        many(&|_| "\n".to_owned()),
        many(&|n| format!("%TAG !a{n}! x\n")) + "---\na",
        many(&|n| format!("- &a{n} *a\n")),
        many(&|n| format!("? [{n}]\n")),
        many(&|_| "a: b\n".to_owned()),
        many(&|_| "null: b\n".to_owned()),
        format!("? {{{}}}\n", many(&|n| format!("{n}: x, "))),
    ];
    for text in texts {
        for schema in [Schema::Core, Schema::Legacy] {
            drop(deep_reader(schema).read(text.as_bytes(), "f"));
        }
        drop(edit::fields(&text, "f"));
    }
}
