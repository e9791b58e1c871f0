//! The YAML reader on any bytes: no panic, bounded, and what is printed reads back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use yaml::{Limits, Reader, Schema};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits {
        max_bytes: 1 << 20,
        max_depth: 256,
        max_nodes: 100_000,
    };
    for schema in [Schema::Core, Schema::Legacy] {
        let Ok(Some(node)) = Reader::new(schema).limits(limits).read_first(bytes, "f") else {
            continue;
        };
        assert_eq!(node, node.clone());
        let Ok(json) = yaml::to_json(&node) else {
            continue;
        };
        let Ok(printed) = yaml::emit::v2(&json) else {
            continue;
        };
        // Go's printer loses some texts itself: it writes `<<` without quotes, and tabs and line
        // breaks of YAML 1.1 in ways that its reader takes for others.
        let is_odd = |c: char| matches!(c, '\r' | '\t' | '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}');
        if printed.contains("<<") || printed.contains(is_odd) || json.to_string().contains(is_odd) {
            continue;
        }
        let again = Reader::new(Schema::Legacy)
            .read_first(printed.as_bytes(), "p")
            .expect("what was printed reads");
        let again = yaml::to_json(&again.unwrap_or_default()).expect("and is JSON");
        assert_eq!(yaml::emit::v2(&again).ok().as_deref(), Some(printed.as_str()));
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(fields) = yaml::edit::fields(text, "f")
    {
        let edits: Vec<_> = fields.iter().map(|field| field.replace(text, "x")).collect();
        let _ = yaml::edit::apply(text, &edits);
    }
});
