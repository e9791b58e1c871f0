//! What of a document decides how it is treated.

use yaml::{Kind, Node, Schema};

use super::outline;

/// The fields of a document that sorting looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) annotations: Vec<(String, String)>,
}

/// The Go type that a head is read into, whose names stand in errors.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) whole: &'static str,
    pub(crate) name: &'static str,
    /// apiVersion, kind and metadata.
    pub(crate) fields: [&'static str; 3],
    pub(crate) metadata: &'static str,
    /// What stands before the names of metadata's fields.
    pub(crate) metadata_fields: &'static str,
    /// A field of metadata that must be a text too; where there is one, annotations may be anything.
    pub(crate) more: Option<&'static str>,
}

const SIMPLE: Shape = Shape {
    whole: "util.SimpleHead",
    name: "SimpleHead",
    fields: ["apiVersion", "kind", "metadata"],
    metadata: "struct",
    metadata_fields: "SimpleHead.metadata.",
    more: None,
};

impl Head {
    /// Reads the head of a document, which must be YAML that JSON can hold.
    ///
    /// # Errors
    /// Upstream's text of what is wrong.
    pub(crate) fn read(content: &str) -> Result<Self, String> {
        match outline::read(content) {
            Some(head) => Ok(head),
            None => read_tree(content),
        }
    }

    /// Reads the head of a document into a type; none where the document is null.
    ///
    /// # Errors
    /// As [`Head::read`].
    pub(crate) fn read_as(content: &str, shape: &Shape) -> Result<Option<Self>, String> {
        let node = yaml::Reader::new(Schema::Legacy)
            .read_first(content.as_bytes(), "")
            .map_err(|e| format!("error converting YAML to JSON: {}", e.go_text()))?
            .unwrap_or_else(Node::null);
        yaml::to_json(&node).map_err(|e| format!("error converting YAML to JSON: {e}"))?;
        if node.is_null() {
            return Ok(None);
        }
        if node.as_mapping().is_none() {
            return Err(mismatch(&node, shape.whole, None));
        }
        let mut head = Self::default();
        let [api_version, kind, metadata] = shape.fields.map(|f| format!("{}.{f}", shape.name));
        head.api_version = field(&node, "apiVersion", &api_version)?;
        head.kind = field(&node, "kind", &kind)?;
        if let Some(found) = member(&node, "metadata").filter(|m| !m.is_null()) {
            if found.as_mapping().is_none() {
                return Err(mismatch(found, shape.metadata, Some(&metadata)));
            }
            head.read_metadata(found, shape)?;
        }
        Ok(Some(head))
    }

    fn read_metadata(&mut self, metadata: &Node, shape: &Shape) -> Result<(), String> {
        let place = |field: &str| format!("{}{field}", shape.metadata_fields);
        if let Some(more) = shape.more {
            field(metadata, more, &place(more))?;
            self.name = field(metadata, "name", &place("Name"))?;
            return Ok(());
        }
        self.name = field(metadata, "name", &place("name"))?;
        let Some(annotations) = member(metadata, "annotations").filter(|a| !a.is_null()) else {
            return Ok(());
        };
        let place = place("annotations");
        let Some(annotations) = annotations.as_mapping() else {
            return Err(mismatch(annotations, "map[string]string", Some(&place)));
        };
        for entry in annotations {
            let value = scalar(&entry.value)
                .ok_or_else(|| mismatch(&entry.value, "string", Some(&place)))?;
            self.annotations.push((entry.name().to_owned(), value));
        }
        Ok(())
    }

    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }
}

fn read_tree(content: &str) -> Result<Head, String> {
    Ok(Head::read_as(content, &SIMPLE)?.unwrap_or_default())
}

/// A field as Go's decoder finds it: in any case; of several the last in the order of their bytes.
fn member<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let entries = node.as_mapping()?.iter();
    entries
        .filter(|entry| entry.name().eq_ignore_ascii_case(name))
        .max_by(|a, b| a.name().cmp(b.name()))
        .map(|entry| &entry.value)
}

fn field(node: &Node, name: &str, place: &str) -> Result<String, String> {
    match member(node, name) {
        None => Ok(String::new()),
        Some(value) => scalar(value).ok_or_else(|| mismatch(value, "string", Some(place))),
    }
}

/// A scalar as Go's decoder puts it into a string.
fn scalar(node: &Node) -> Option<String> {
    Some(text_of(node.kind()?, node.text()))
}

pub(super) fn text_of(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Null => String::new(),
        Kind::Bool(b) => b.to_string(),
        Kind::Int(n) => n.to_string(),
        Kind::Uint(n) => n.to_string(),
        Kind::Float(f) => go::strconv::format_general(f),
        Kind::Timestamp | Kind::String => text.to_owned(),
    }
}

fn mismatch(node: &Node, want: &str, place: Option<&str>) -> String {
    let found = match (node.as_mapping(), node.kind()) {
        (Some(_), _) => "object",
        (None, None) => "array",
        (None, Some(Kind::Bool(_))) => "bool",
        (None, Some(Kind::Int(_) | Kind::Uint(_) | Kind::Float(_))) => "number",
        (None, Some(_)) => "string",
    };
    let target = place.map_or_else(
        || format!("value of type {want}"),
        |place| format!("struct field {place} of type {want}"),
    );
    format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go {target}"
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lines of manifests, and what breaks them.
    const LINES: &[&str] = &[
        "kind: Service",
        "kind: \"A\\tB\"",
        "kind: 'it''s'",
        "kind:",
        "kind: ~",
        "kind: 1.50",
        "kind: yes",
        "Kind: B",
        "apiVersion: v1 # newest",
        "metadata:",
        "metadata: {}",
        "metadata: ~",
        "metadata: x",
        "name: web",
        "name: \"web\" # c",
        "name: 0x10",
        "name: [a]",
        "annotations:",
        "annotations: []",
        "helm.sh/hook: pre-install",
        "helm.sh/hook-weight: \"-5\"",
        "helm.sh/hook: |",
        "a: b",
        "a: 'b",
        "a: \"b",
        "a: \"\\x41\"",
        "a: b: c",
        "a: .inf",
        "a: 1e999",
        "a: |",
        "a: >-",
        "a: |2",
        "a: [1, \"x\", y]",
        "a: [1, b: c]",
        "a: {b: c}",
        "a: &x b",
        "a: *x",
        "a: - b",
        "- a",
        "- a: b",
        "- - a",
        "-",
        "- |",
        "-a",
        "? a",
        "more words",
        "more: # x",
        "# note",
        "",
        "   ",
        "text # end",
        "text: more: x",
        "\ttab",
        "a:\tb",
        "--- x",
        "...",
        "%a",
        "null: x",
        "<<: {a: b}",
        "é: ü",
        "a: ü \u{2028}",
        "a: b #",
        "a: http://x:1/y",
        "a:b: c",
        "\"q\": v",
        "'q' : v",
        "a: !!binary eA==",
        "a: !x y",
        "a: @b",
        "a: [a,]",
        "a: [a",
        "- [a, b]",
        "a: \"b\" c",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

        /// What the outline says is what the YAML reader says.
        #[test]
        fn outlines_agree_with_the_reader(
            lines in prop::collection::vec((0..4_usize, prop::sample::select(LINES)), 0..10)
        ) {
            let text: Vec<String> =
                lines.iter().map(|(level, line)| format!("{}{line}", "  ".repeat(*level))).collect();
            let text = text.join("\n");
            if let Some(head) = outline::read(&text) {
                let mut whole = read_tree(&text).unwrap_or_else(|e| panic!("{text}\n{e}"));
                whole.annotations.retain(|(name, _)| name.starts_with(outline::PREFIX));
                prop_assert_eq!(head, whole, "{}", text);
            }
        }
    }

    #[test]
    fn ordinary_documents_need_no_tree() {
        for text in [
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  ports:\n  - port: 80\n    name: http\n  - port: 443\n",
            "# Source\nkind: Job\nmetadata:\n  annotations:\n    helm.sh/hook: pre-install,post-upgrade\n    helm.sh/hook-weight: \"-5\"\n    note: |\n      x: y: z\n",
            "kind: ConfigMap\ndata:\n  a: |-\n    line\n\n      more\n  b: >\n    folded\n  c: \"x: y\"\n  d: plain words\n    go on # here\nempty: {}\nlist: []\n",
            "kind: ClusterRole\nrules:\n- apiGroups: [\"\", apps]\n  verbs: ['get', list]\n-\n  verbs:\n    - '*'\n",
        ] {
            let head = outline::read(text).unwrap_or_else(|| panic!("no outline of {text}"));
            let mut whole = read_tree(text).unwrap();
            whole
                .annotations
                .retain(|(name, _)| name.starts_with(outline::PREFIX));
            assert_eq!(head, whole, "{text}");
        }
    }

    #[test]
    fn heads_ignore_the_case_of_fields() {
        let head = Head::read("Kind: A\nMETADATA: {NAME: b}\n").unwrap();
        assert_eq!((head.kind.as_str(), head.name.as_str()), ("A", "b"));
        assert_eq!(Head::read("Kind: A\nkind: B\n").unwrap().kind, "B");
    }
}
