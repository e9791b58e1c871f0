//! Chart.yaml.

use semver::Version;
use serde_json::{Map, Value as Json};
use yaml::{Kind, Node, Schema};

use super::ChartError;

/// What Chart.yaml says. Absent texts are empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// The chart's name.
    pub name: String,
    /// Its home page.
    pub home: String,
    /// Where its sources are.
    pub sources: Vec<String>,
    /// The chart's version.
    pub version: String,
    /// One line about it.
    pub description: String,
    /// Words to find it by.
    pub keywords: Vec<String>,
    /// Who maintains it; `None` for a null in the list.
    pub maintainers: Vec<Option<Maintainer>>,
    /// The address of an icon.
    pub icon: String,
    /// `v1` or `v2`.
    pub api_version: String,
    /// The condition that enables the chart, for its parent.
    pub condition: String,
    /// Tags, for its parent.
    pub tags: String,
    /// The version of what it installs.
    pub app_version: String,
    /// Whether it should not be used any more.
    pub deprecated: bool,
    /// Free annotations.
    pub annotations: Option<Map<String, Json>>,
    /// The range of Kubernetes versions it works with.
    pub kube_version: String,
    /// The subcharts it asks for; `None` where the list is absent.
    pub dependencies: Option<Vec<Dependency>>,
    /// `application`, `library` or empty.
    pub kind: String,
    /// Whether the list of dependencies held a null.
    pub null_dependency: bool,
}

/// A maintainer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintainer {
    /// Name.
    pub name: String,
    /// Address of mail.
    pub email: String,
    /// Home page.
    pub url: String,
}

/// A subchart a chart asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dependency {
    /// The subchart's name; once processed, its alias.
    pub name: String,
    /// The range of versions.
    pub version: String,
    /// Where it comes from.
    pub repository: String,
    /// Paths of values, by comma, the first boolean of which decides.
    pub condition: String,
    /// Tags that decide where no condition does.
    pub tags: Vec<String>,
    /// Whether it is rendered; processing decides.
    pub enabled: bool,
    /// What of its values the parent takes.
    pub import_values: Vec<ImportValue>,
    /// The name it gets.
    pub alias: String,
}

/// A table of a subchart's values that its parent takes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportValue {
    /// The path inside the subchart's values.
    pub child: String,
    /// The path inside the parent's values; `.` is their root.
    pub parent: String,
}

/// Reads the fields of one mapping into texts as Go's decoder does.
pub(crate) struct Fields<'a> {
    pub(crate) node: &'a Node,
    pub(crate) file: &'a str,
    pub(crate) of: &'static str,
}

impl Fields<'_> {
    fn mismatch(&self, found: &str, path: &str, want: &str) -> ChartError {
        let of = self.of;
        ChartError::File {
            file: self.file.to_owned(),
            reason: format!(
                "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go struct field {of}.{path} of type {want}"
            ),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Result<String, ChartError> {
        match self.node.get(name) {
            None => Ok(String::new()),
            Some(node) => self.scalar(node, name),
        }
    }

    fn scalar(&self, node: &Node, path: &str) -> Result<String, ChartError> {
        Ok(match node.kind() {
            Some(Kind::Null) => String::new(),
            Some(Kind::Bool(b)) => b.to_string(),
            Some(Kind::Int(n)) => n.to_string(),
            Some(Kind::Uint(n)) => n.to_string(),
            Some(Kind::Float(f)) => go::strconv::format_general(f),
            Some(Kind::Timestamp | Kind::String) => node.text().to_owned(),
            None => return Err(self.mismatch(shape(node), path, "string")),
        })
    }

    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, ChartError> {
        match self.node.get(name) {
            None => Ok(Vec::new()),
            Some(node) if node.is_null() => Ok(Vec::new()),
            Some(node) => match node.as_sequence() {
                Some(items) => items.iter().map(|item| self.scalar(item, name)).collect(),
                None => Err(self.mismatch(shape(node), name, "[]string")),
            },
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, ChartError> {
        match self.node.get(name) {
            None => Ok(false),
            Some(node) if node.is_null() => Ok(false),
            Some(node) => node
                .as_bool()
                .ok_or_else(|| self.mismatch(shape(node), name, "bool")),
        }
    }

    fn items(&self, name: &str, want: &str) -> Result<Option<&[Node]>, ChartError> {
        match self.node.get(name) {
            None => Ok(None),
            Some(node) if node.is_null() => Ok(None),
            Some(node) => match node.as_sequence() {
                Some(items) => Ok(Some(items)),
                None => Err(self.mismatch(shape(node), name, want)),
            },
        }
    }
}

fn shape(node: &Node) -> &'static str {
    if node.as_mapping().is_some() {
        return "object";
    }
    match node.kind() {
        None => "array",
        Some(Kind::Bool(_)) => "bool",
        Some(Kind::Int(_) | Kind::Uint(_) | Kind::Float(_)) => "number",
        Some(_) => "string",
    }
}

/// Reads a file's first document, which must be a mapping or empty.
pub(super) fn read_node(data: &[u8], file: &str) -> Result<Node, ChartError> {
    let fail = |reason: String| ChartError::File {
        file: file.to_owned(),
        reason,
    };
    let node = yaml::Reader::new(Schema::Legacy)
        .read_first(data, file)
        .map_err(|e| fail(format!("error converting YAML to JSON: {}", e.go_text())))?
        .unwrap_or_else(Node::null);
    if node.as_mapping().is_none() && !node.is_null() {
        let found = shape(&node);
        return Err(fail(format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go value of type v2.Metadata"
        )));
    }
    Ok(node)
}

impl Metadata {
    /// Reads Chart.yaml. Unknown fields are ignored; scalars become texts.
    pub fn parse(data: &[u8]) -> Result<Self, ChartError> {
        let file = "Chart.yaml";
        Self::from_node(&read_node(data, file)?, file)
    }

    /// Reads the fields of Chart.yaml from a tree.
    pub(crate) fn from_node(node: &Node, file: &str) -> Result<Self, ChartError> {
        let fields = Fields {
            node,
            file,
            of: "Metadata",
        };
        let mut metadata = Self {
            name: fields.text("name")?,
            home: fields.text("home")?,
            sources: fields.texts("sources")?,
            version: fields.text("version")?,
            description: fields.text("description")?,
            keywords: fields.texts("keywords")?,
            maintainers: maintainers(&fields)?,
            icon: fields.text("icon")?,
            api_version: fields.text("apiVersion")?,
            condition: fields.text("condition")?,
            tags: fields.text("tags")?,
            app_version: fields.text("appVersion")?,
            deprecated: fields.flag("deprecated")?,
            annotations: annotations(&fields)?,
            kube_version: fields.text("kubeVersion")?,
            kind: fields.text("type")?,
            ..Self::default()
        };
        metadata.read_dependencies(&fields)?;
        if metadata.api_version.is_empty() {
            "v1".clone_into(&mut metadata.api_version);
        }
        Ok(metadata)
    }

    /// Returns what Chart.yaml says, without what is empty: the order of the fields is that of their names.
    pub fn to_json(&self) -> Map<String, Json> {
        let mut out = Map::new();
        for (name, text) in [
            ("apiVersion", &self.api_version),
            ("appVersion", &self.app_version),
            ("condition", &self.condition),
            ("description", &self.description),
            ("home", &self.home),
            ("icon", &self.icon),
            ("kubeVersion", &self.kube_version),
            ("name", &self.name),
            ("tags", &self.tags),
            ("type", &self.kind),
            ("version", &self.version),
        ] {
            put(&mut out, name, text);
        }
        for (name, list) in [("keywords", &self.keywords), ("sources", &self.sources)] {
            if !list.is_empty() {
                out.insert(name.to_owned(), Json::from(list.clone()));
            }
        }
        if self.deprecated {
            out.insert("deprecated".to_owned(), Json::Bool(true));
        }
        if let Some(annotations) = self.annotations.as_ref().filter(|all| !all.is_empty()) {
            out.insert("annotations".to_owned(), Json::Object(annotations.clone()));
        }
        if !self.maintainers.is_empty() {
            let all = self.maintainers.iter().map(|each| match each {
                Some(maintainer) => maintainer.to_json(),
                None => Json::Null,
            });
            out.insert("maintainers".to_owned(), all.collect());
        }
        if let Some(dependencies) = self.dependencies.as_ref().filter(|all| !all.is_empty()) {
            let all = dependencies.iter().map(Dependency::to_json).collect();
            out.insert("dependencies".to_owned(), all);
        }
        out
    }

    /// Takes over the dependencies of a requirements.yaml.
    pub(super) fn overlay(&mut self, data: &[u8]) -> Result<(), ChartError> {
        let file = "requirements.yaml";
        let node = read_node(data, file)?;
        self.read_dependencies(&Fields {
            node: &node,
            file,
            of: "Metadata",
        })
    }

    fn read_dependencies(&mut self, fields: &Fields<'_>) -> Result<(), ChartError> {
        let Some(items) = fields.items("dependencies", "[]*v2.Dependency")? else {
            return Ok(());
        };
        self.null_dependency = items.iter().any(Node::is_null);
        let dependencies: Result<Vec<_>, _> = items
            .iter()
            .filter(|item| !item.is_null())
            .map(|node| {
                dependency(&Fields {
                    node,
                    file: fields.file,
                    of: "Dependency",
                })
            })
            .collect();
        self.dependencies = Some(dependencies?);
        Ok(())
    }

    /// Checks the metadata as loading does.
    pub fn validate(&self) -> Result<(), ChartError> {
        let invalid = |text: String| Err(ChartError::Invalid(text));
        if self.api_version.is_empty() {
            return invalid("chart.metadata.apiVersion is required".to_owned());
        }
        if self.name.is_empty() {
            return invalid("chart.metadata.name is required".to_owned());
        }
        let name = go::strconv::quote(self.name.as_bytes(), go::strconv::Charset::Unicode);
        if matches!(self.name.as_str(), "." | "..") {
            return invalid(format!("chart.metadata.name {name} is not allowed"));
        }
        if go::path::base(&self.name) != self.name {
            return invalid(format!("chart.metadata.name {name} is invalid"));
        }
        if self.version.is_empty() {
            return invalid("chart.metadata.version is required".to_owned());
        }
        if Version::parse(&self.version).is_err() {
            let version = &self.version;
            return invalid(format!("chart.metadata.version {version:?} is invalid"));
        }
        if !matches!(self.kind.as_str(), "" | "application" | "library") {
            return invalid("chart.metadata.type must be application or library".to_owned());
        }
        if self.maintainers.iter().any(Option::is_none) {
            return invalid("maintainers must not contain empty or null nodes".to_owned());
        }
        self.validate_dependencies()
    }

    fn validate_dependencies(&self) -> Result<(), ChartError> {
        if self.null_dependency {
            let text = "dependencies must not contain empty or null nodes".to_owned();
            return Err(ChartError::Invalid(text));
        }
        let mut seen = std::collections::BTreeSet::new();
        for dependency in self.dependencies.iter().flatten() {
            let alias = &dependency.alias;
            let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
            if !alias.bytes().all(allowed) {
                let name = &dependency.name;
                let text = format!("dependency {name:?} has disallowed characters in the alias");
                return Err(ChartError::Invalid(text));
            }
            let key = if alias.is_empty() {
                &dependency.name
            } else {
                alias
            };
            if !seen.insert(key.clone()) {
                let text = format!("more than one dependency with name or alias {key:?}");
                return Err(ChartError::Invalid(text));
            }
        }
        Ok(())
    }
}

fn put(out: &mut Map<String, Json>, name: &str, text: &str) {
    if !text.is_empty() {
        out.insert(name.to_owned(), Json::from(text));
    }
}

impl Maintainer {
    fn to_json(&self) -> Json {
        let mut out = Map::new();
        put(&mut out, "name", &self.name);
        put(&mut out, "email", &self.email);
        put(&mut out, "url", &self.url);
        Json::Object(out)
    }
}

impl Dependency {
    /// Reads one entry of a lock file or of Chart.yaml as JSON.
    pub fn from_json(json: &Json) -> Self {
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        Self {
            name: text("name"),
            version: text("version"),
            repository: text("repository"),
            alias: text("alias"),
            ..Self::default()
        }
    }

    fn to_json(&self) -> Json {
        let mut out = Map::new();
        for (name, text) in [
            ("name", &self.name),
            ("version", &self.version),
            ("condition", &self.condition),
            ("alias", &self.alias),
        ] {
            put(&mut out, name, text);
        }
        // The only field that is written where it is empty.
        out.insert(
            "repository".to_owned(),
            Json::from(self.repository.as_str()),
        );
        if !self.tags.is_empty() {
            out.insert("tags".to_owned(), Json::from(self.tags.clone()));
        }
        if !self.import_values.is_empty() {
            let all = self
                .import_values
                .iter()
                .map(ImportValue::to_json)
                .collect();
            out.insert("import-values".to_owned(), all);
        }
        Json::Object(out)
    }
}

impl ImportValue {
    /// The short form where there is one: it is read as the same.
    fn to_json(&self) -> Json {
        match self.child.strip_prefix("exports.") {
            Some(name) if self.parent == "." && !name.contains('.') => Json::from(name),
            _ => serde_json::json!({"child": self.child, "parent": self.parent}),
        }
    }
}

fn maintainers(fields: &Fields<'_>) -> Result<Vec<Option<Maintainer>>, ChartError> {
    let items = fields
        .items("maintainers", "[]*v2.Maintainer")?
        .unwrap_or_default();
    items
        .iter()
        .map(|node| {
            if node.is_null() {
                return Ok(None);
            }
            let inner = Fields {
                node,
                file: fields.file,
                of: "Maintainer",
            };
            if node.as_mapping().is_none() {
                return Err(fields.mismatch(shape(node), "maintainers", "v2.Maintainer"));
            }
            let (name, email, url) = (
                inner.text("name")?,
                inner.text("email")?,
                inner.text("url")?,
            );
            Ok(Some(Maintainer { name, email, url }))
        })
        .collect()
}

fn annotations(fields: &Fields<'_>) -> Result<Option<Map<String, Json>>, ChartError> {
    let Some(node) = fields.node.get("annotations").filter(|n| !n.is_null()) else {
        return Ok(None);
    };
    let Some(mapping) = node.as_mapping() else {
        return Err(fields.mismatch(shape(node), "annotations", "map[string]string"));
    };
    let mut out = Map::new();
    for entry in mapping {
        let value = fields.scalar(&entry.value, "annotations")?;
        out.insert(entry.name().to_owned(), Json::String(value));
    }
    Ok(Some(out))
}

fn dependency(fields: &Fields<'_>) -> Result<Dependency, ChartError> {
    Ok(Dependency {
        name: fields.text("name")?,
        version: fields.text("version")?,
        repository: fields.text("repository")?,
        condition: fields.text("condition")?,
        tags: fields.texts("tags")?,
        enabled: false,
        import_values: fields
            .items("import-values", "[]interface {}")?
            .unwrap_or_default()
            .iter()
            .filter_map(import_value)
            .collect(),
        alias: fields.text("alias")?,
    })
}

/// A name stands for the table of that name under `exports`.
fn import_value(node: &Node) -> Option<ImportValue> {
    if node.as_mapping().is_some() {
        let part = |name: &str| {
            node.get(name)
                .filter(|n| !n.is_null())
                .map_or("<nil>", Node::text)
                .to_owned()
        };
        return Some(ImportValue {
            child: part("child"),
            parent: part("parent"),
        });
    }
    let name = node.as_str()?;
    Some(ImportValue {
        child: format!("exports.{name}"),
        parent: ".".to_owned(),
    })
}

/// Reads the fields of a mapping.
pub(crate) fn fields<'a>(node: &'a Node, file: &'a str, of: &'static str) -> Fields<'a> {
    Fields { node, file, of }
}
