//! What the templates of each chart see.

use std::collections::BTreeMap;
use std::rc::Rc;

use gotemplate::funcs::Arguments as _;
use gotemplate::value::{ANY, MapKind, Method, NamedType, Struct, StructType, Type, Value};
use gotemplate::{Fault, List, Map as Table, Str};

use super::{Release, Source};
use crate::capabilities::Capabilities;
use crate::chart::{Chart, Dependency, File, Metadata};

/// The type of `.Values` and `.Template`: a map with methods, which come before keys.
static VALUES: NamedType = NamedType {
    name: "common.Values",
    element: ANY,
    methods: &[
        Method {
            name: "AsMap",
            params: &[],
            variadic: false,
            call: |receiver, _| {
                Ok(match receiver {
                    Value::Map(map) => Value::Map(plain(map)),
                    _ => Value::Nil,
                })
            },
        },
        Method {
            name: "Table",
            params: &[Type::String],
            variadic: false,
            call: table,
        },
        Method {
            name: "PathValue",
            params: &[Type::String],
            variadic: false,
            call: path_value,
        },
        Method {
            name: "YAML",
            params: &[],
            variadic: false,
            call: |receiver, _| {
                super::encoding::yaml(receiver)
                    .map(Value::from)
                    .map_err(Fault::new)
            },
        },
    ],
    key: None,
};

static VERSION_SET: NamedType = NamedType {
    name: "common.VersionSet",
    element: "string",
    methods: &[Method {
        name: "Has",
        params: &[Type::String],
        variadic: false,
        call: |receiver, args| {
            let wanted = args.string(0);
            Ok(Value::Bool(
                matches!(receiver, Value::List(list) if list.items().iter().any(
                    |item| matches!(item, Value::Str(text) if *text == wanted)
                )),
            ))
        },
    }],
    key: None,
};

static KUBE_VERSION: StructType = StructType {
    name: "common.KubeVersion",
    pointer: false,
    text: Some(shown_version),
    methods: &[
        Method {
            name: "String",
            params: &[],
            variadic: false,
            call: |receiver, _| {
                Ok(match receiver {
                    Value::Struct(s) => Value::from(shown_version(s)),
                    _ => Value::empty(),
                })
            },
        },
        Method {
            name: "GitVersion",
            params: &[],
            variadic: false,
            call: |receiver, _| {
                Ok(match receiver {
                    Value::Struct(s) => s.field("Version").cloned().unwrap_or_default(),
                    _ => Value::empty(),
                })
            },
        },
    ],
};

static HELM_VERSION: StructType = StructType {
    name: "version.BuildInfo",
    pointer: false,
    text: None,
    methods: &[],
};

static CAPABILITIES: StructType = StructType {
    name: "common.Capabilities",
    pointer: true,
    text: None,
    methods: &[],
};

fn shown_version(version: &Struct) -> String {
    version
        .field("normalizedVersion")
        .map(|v| String::from_utf8_lossy(&v.printed()).into_owned())
        .unwrap_or_default()
}

/// A map of the type of `.Values` with the same entries.
pub(super) fn as_values(map: &Table) -> Table {
    Table::of(MapKind::Named(&VALUES), map.entries().into_iter().collect())
}

fn plain(map: &Table) -> Table {
    map.entries().into_iter().collect()
}

fn walk(receiver: &Value, path: &str) -> Option<Value> {
    let mut current = receiver.clone();
    for name in path.split('.') {
        let Value::Map(map) = current else {
            return None;
        };
        current = map.get(name.as_bytes())?;
    }
    Some(current)
}

fn table(receiver: &Value, args: &[Value]) -> Result<Value, Fault> {
    let path = args.text(0);
    if let Some(Value::Map(map)) = walk(receiver, &path) {
        return Ok(Value::Map(as_values(&map)));
    }
    let last = path.rsplit('.').next().unwrap_or_default();
    Err(Fault::new(format!("\"{last}\" is not a table")))
}

fn path_value(receiver: &Value, args: &[Value]) -> Result<Value, Fault> {
    let path = args.text(0);
    match walk(receiver, &path) {
        Some(value) if !matches!(value, Value::Map(_)) => Ok(value),
        _ => Err(Fault::new(format!("\"{path}\" is not a value"))),
    }
}

/// All templates of a chart tree by their path, each with the scope of its chart.
pub(super) fn collect(
    chart: &Chart,
    values: &Table,
    release: &Release,
    capabilities: &Capabilities,
) -> BTreeMap<String, Source> {
    let mut sources = BTreeMap::new();
    let shared = Common {
        release: release_table(release),
        capabilities: capability(capabilities),
    };
    chart_scope(
        chart,
        chart.name(),
        true,
        &as_values(values),
        &shared,
        &mut sources,
    );
    sources
}

/// What all charts of the tree share.
struct Common {
    release: Value,
    capabilities: Value,
}

fn chart_scope(
    chart: &Chart,
    path: &str,
    root: bool,
    values: &Table,
    common: &Common,
    sources: &mut BTreeMap<String, Source>,
) -> Table {
    let subcharts = Table::new(BTreeMap::new());
    let scope: Table = [
        ("Chart", Value::Map(metadata(&chart.metadata, root))),
        ("Files", files(&chart.files)),
        ("Release", common.release.clone()),
        ("Capabilities", common.capabilities.clone()),
        ("Values", Value::Map(values.clone())),
        ("Subcharts", Value::Map(subcharts.clone())),
    ]
    .into_iter()
    .collect();
    for dependency in &chart.dependencies {
        let name = dependency.name();
        let inner = match values.get(name.as_bytes()) {
            Some(Value::Map(map)) => shared_values(&map),
            _ => as_values(&Table::new(BTreeMap::new())),
        };
        let inner_path = format!("{path}/charts/{name}");
        let inner = chart_scope(dependency, &inner_path, false, &inner, common, sources);
        subcharts.insert(Str::from(name), Value::Map(inner));
    }
    let library = chart.is_library();
    for file in &chart.templates {
        if library && !go::path::base(&file.name).starts_with('_') {
            continue;
        }
        let source = Source {
            text: Rc::from(String::from_utf8_lossy(&file.data)),
            scope: scope.clone(),
            base_path: go::path::join(&[path, "templates"]),
        };
        sources.insert(go::path::join(&[path, &file.name]), source);
    }
    scope
}

/// A subchart's values: the same map under another type, so that both see what `set` does.
fn shared_values(map: &Table) -> Table {
    map.retyped(MapKind::Named(&VALUES))
}

fn release_table(release: &Release) -> Value {
    Value::Map(
        [
            ("Name", Value::from(release.name.as_str())),
            ("Namespace", Value::from(release.namespace.as_str())),
            ("IsUpgrade", Value::Bool(release.is_upgrade)),
            (
                "IsInstall",
                Value::Bool(!release.is_upgrade && release.revision > 0),
            ),
            ("Revision", Value::Int(release.revision)),
            ("Service", Value::from("Helm")),
        ]
        .into_iter()
        .collect(),
    )
}

fn capability(capabilities: &Capabilities) -> Value {
    let version = &capabilities.kube_version;
    let kube = Value::structure(
        &KUBE_VERSION,
        vec![
            ("Version", Value::from(version.version.as_str())),
            (
                "normalizedVersion",
                Value::from(version.normalized.as_str()),
            ),
            ("Major", Value::from(version.major.as_str())),
            ("Minor", Value::from(version.minor.as_str())),
        ],
    );
    let helm = Value::structure(
        &HELM_VERSION,
        vec![
            ("Version", Value::from(capabilities.helm_version.as_str())),
            ("GitCommit", Value::empty()),
            ("GitTreeState", Value::empty()),
            ("GoVersion", Value::from("go1.26.8")),
            (
                "KubeClientVersion",
                Value::from(format!("v{}.{}", version.major, version.minor)),
            ),
        ],
    );
    let served = capabilities
        .api_versions
        .iter()
        .map(|v| Value::from(v.as_str()))
        .collect::<Vec<_>>();
    Value::structure(
        &CAPABILITIES,
        vec![
            ("KubeVersion", kube),
            (
                "APIVersions",
                Value::List(List::named(&VERSION_SET, served)),
            ),
            ("HelmVersion", helm),
        ],
    )
}

fn strings(items: &[String]) -> Value {
    Value::list(
        items
            .iter()
            .map(|item| Value::from(item.as_str()))
            .collect(),
    )
}

/// `.Chart`: maps with Go's field names, all lists of interfaces.
///
/// Source: helm v4.2.1, `pkg/chart/common.go`.
fn metadata(metadata: &Metadata, root: bool) -> Table {
    let text = |t: &str| Value::from(t);
    let maintainers = metadata.maintainers.iter().flatten().map(|m| {
        let fields = [("Name", &m.name), ("Email", &m.email), ("URL", &m.url)];
        Value::Map(fields.into_iter().map(|(n, t)| (n, text(t))).collect())
    });
    let maintainers: Vec<Value> = maintainers.collect();
    let dependencies = metadata.dependencies.as_deref().unwrap_or_default();
    let annotations = metadata.annotations.clone().unwrap_or_default();
    let annotations = annotations.iter().map(|(k, v)| {
        (
            Str::from(k.as_str()),
            Value::from(v.as_str().unwrap_or_default()),
        )
    });
    [
        ("Name", text(&metadata.name)),
        ("Home", text(&metadata.home)),
        ("Sources", strings(&metadata.sources)),
        ("Version", text(&metadata.version)),
        ("Description", text(&metadata.description)),
        ("Keywords", strings(&metadata.keywords)),
        ("Maintainers", Value::list(maintainers)),
        ("Icon", text(&metadata.icon)),
        ("APIVersion", text(&metadata.api_version)),
        ("Condition", text(&metadata.condition)),
        ("Tags", text(&metadata.tags)),
        ("AppVersion", text(&metadata.app_version)),
        ("Deprecated", Value::Bool(metadata.deprecated)),
        (
            "Annotations",
            Value::Map(Table::of(MapKind::Strings, annotations.collect())),
        ),
        ("KubeVersion", text(&metadata.kube_version)),
        (
            "Dependencies",
            Value::list(dependencies.iter().map(dependency).collect()),
        ),
        ("Type", text(&metadata.kind)),
        ("IsRoot", Value::Bool(root)),
    ]
    .into_iter()
    .collect()
}

fn dependency(dependency: &Dependency) -> Value {
    let text = |t: &str| Value::from(t);
    let imports = dependency.import_values.iter().map(|import| {
        let entries = [
            ("child", text(&import.child)),
            ("parent", text(&import.parent)),
        ];
        let entries = entries
            .into_iter()
            .map(|(k, v)| (Str::from(k), v))
            .collect();
        Value::Map(Table::of(MapKind::Strings, entries))
    });
    let imports: Vec<Value> = imports.collect();
    Value::Map(
        [
            ("Name", text(&dependency.name)),
            ("Version", text(&dependency.version)),
            ("Repository", text(&dependency.repository)),
            ("Condition", text(&dependency.condition)),
            ("Tags", strings(&dependency.tags)),
            ("Enabled", Value::Bool(dependency.enabled)),
            ("ImportValues", Value::list(imports)),
            ("Alias", text(&dependency.alias)),
        ]
        .into_iter()
        .collect(),
    )
}

fn files(files: &[File]) -> Value {
    let entries = files
        .iter()
        .map(|f| {
            (
                Str::from(f.name.as_str()),
                Value::Bytes(Str::from(&*f.data)),
            )
        })
        .collect();
    Value::Map(Table::of(MapKind::Named(&super::files::FILES), entries))
}
