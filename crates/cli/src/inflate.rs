//! Charts of `helmCharts`, rendered by our own engine.

use helm::capabilities::{Capabilities, KubeVersion};
use helm::chart::{Chart, Directory, Entry, EntryKind, read_directory};
use helm::manifest::Event;
use helm::render::{Mode, Release};
use helm::template::{Request, push_document};
use helm::values::overlay;
use kustomize::file_tree::{FileTree, Kind, join_in};
use kustomize::{HelmChart, HelmInflator, LoadRestrictions};
use serde_json::{Map, Value as Json};

use crate::template::settings;

/// The release's name where none is given: Helm would make up another one each time.
const RELEASE_NAME: &str = "release-name";

/// Renders charts that lie below the kustomization; fetches none.
#[derive(Debug)]
pub(crate) struct Charts {
    /// Which values files a kustomization may name.
    pub(crate) restrictions: LoadRestrictions,
}

/// A chart's folder in a tree.
struct Folder<'t> {
    tree: &'t dyn FileTree,
    path: String,
}

impl Folder<'_> {
    fn full(&self, path: &str) -> String {
        match (self.path.as_str(), path) {
            ("", path) => path.to_owned(),
            (root, "") => root.to_owned(),
            (root, path) => format!("{root}/{path}"),
        }
    }
}

impl Directory for Folder<'_> {
    fn list(&self, path: &str) -> Result<Vec<Entry>, String> {
        let dir = self.full(path);
        let listed = self.tree.list(&dir).map_err(|error| error.to_string())?;
        let entry = |entry: kustomize::file_tree::Entry| {
            let full = self.full(&match path {
                "" => entry.name.clone(),
                path => format!("{path}/{}", entry.name),
            });
            // Links are followed, but not out of the tree.
            let (kind, bytes) = match self.tree.stat(&full) {
                Some(Kind::Directory) => (EntryKind::Directory, 0),
                Some(Kind::File) => {
                    let content = self.tree.read(&full).map_err(|error| error.to_string())?;
                    (EntryKind::File, content.len() as u64)
                }
                None => (EntryKind::Irregular, 0),
            };
            Ok(Entry {
                name: entry.name,
                kind,
                bytes,
            })
        };
        listed.into_iter().map(entry).collect()
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let content = self.tree.read(&self.full(path));
        content
            .map(std::borrow::Cow::into_owned)
            .map_err(|error| error.to_string())
    }
}

/// The fields of one entry.
struct Fields<'c>(&'c Map<String, Json>);

impl Fields<'_> {
    fn text(&self, field: &str) -> &str {
        self.0.get(field).and_then(Json::as_str).unwrap_or_default()
    }

    fn flag(&self, field: &str) -> bool {
        self.0.get(field).and_then(Json::as_bool).unwrap_or(false)
    }

    fn list(&self, field: &str) -> Vec<&str> {
        let items = self.0.get(field).and_then(Json::as_array);
        items
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .collect()
    }
}

impl HelmInflator for Charts {
    fn inflate(&self, tree: &dyn FileTree, chart: &HelmChart) -> Result<String, String> {
        let fields = Fields(&chart.fields);
        let path = chart_path(tree, chart, &fields)?;
        let folder = Folder { tree, path };
        let loaded = read_directory(&folder).map_err(|error| error.to_string())?;
        let or = |text: &'_ str, default: &'static str| match text {
            "" => default.to_owned(),
            text => text.to_owned(),
        };
        let name = or(fields.text("releaseName"), RELEASE_NAME);
        let release = Release::install(name, or(fields.text("namespace"), "default"));
        let values = self.values(tree, chart, &fields, &folder)?;
        let settings = settings(Mode::Normal).map_err(|error| error.to_string())?;
        let request = Request {
            capabilities: capabilities(&fields)?,
            ..Request::new(values, release, settings)
        };
        render(loaded, &request, &fields)
    }
}

/// Finds the chart's folder: `charts/NAME` below the kustomization, `charts/NAME-VERSION/NAME`
/// where it comes from a repository.
fn chart_path(
    tree: &dyn FileTree,
    chart: &HelmChart,
    fields: &Fields<'_>,
) -> Result<String, String> {
    let name = fields.text("name");
    if name.is_empty() {
        return Err("chart name cannot be empty".to_owned());
    }
    let home = match fields.text("chartHome") {
        "" => "charts",
        home => home,
    };
    let (repo, version) = (fields.text("repo"), fields.text("version"));
    let relative = if repo.is_empty() || version.is_empty() {
        format!("{home}/{name}")
    } else {
        format!("{home}/{name}-{version}/{name}")
    };
    let path = join_in(tree, &chart.directory, &relative)
        .ok_or_else(|| format!("'{relative}' leads out of the tree"))?;
    if tree.stat(&path) == Some(Kind::Directory) {
        return Ok(path);
    }
    Err(if repo.is_empty() {
        format!("no repo specified for pull, no chart found at '/{path}'")
    } else {
        format!("no chart found at '/{path}'; charts are not fetched: put it there")
    })
}

fn capabilities(fields: &Fields<'_>) -> Result<Capabilities, String> {
    let mut capabilities = Capabilities::default();
    let version = fields.text("kubeVersion");
    if !version.is_empty() {
        capabilities.kube_version = KubeVersion::parse(version)
            .ok_or_else(|| format!("invalid kube version '{version}'"))?;
    }
    let served = fields.list("apiVersions");
    capabilities
        .api_versions
        .extend(served.into_iter().map(str::to_owned));
    Ok(capabilities)
}

impl Charts {
    /// Joins the values file, the inline values and the additional files, as `valuesMerge` says.
    fn values(
        &self,
        tree: &dyn FileTree,
        chart: &HelmChart,
        fields: &Fields<'_>,
        folder: &Folder<'_>,
    ) -> Result<Map<String, Json>, String> {
        let mut values = match fields.text("valuesFile") {
            "" => match folder.tree.stat(&folder.full("values.yaml")) {
                Some(Kind::File) => parsed(&folder.read("values.yaml")?, "values.yaml")?,
                _ => Map::new(),
            },
            file => self.file(tree, chart, file)?,
        };
        if let Some(Json::Object(inline)) = fields.0.get("valuesInline") {
            let inline = match helm::values::floats(Json::Object(inline.clone())) {
                Json::Object(inline) => inline,
                _ => Map::new(),
            };
            match fields.text("valuesMerge") {
                "" | "override" => overlay(&mut values, inline),
                "replace" => values = inline,
                "merge" => {
                    let file = std::mem::replace(&mut values, inline);
                    overlay(&mut values, file);
                }
                other => {
                    return Err(format!(
                        "valuesMerge must be one of merge, override, replace; not '{other}'"
                    ));
                }
            }
        }
        for file in fields.list("additionalValuesFiles") {
            overlay(&mut values, self.file(tree, chart, file)?);
        }
        Ok(values)
    }

    fn file(
        &self,
        tree: &dyn FileTree,
        chart: &HelmChart,
        file: &str,
    ) -> Result<Map<String, Json>, String> {
        let escapes = || format!("'{file}' leads out of the tree");
        let path = join_in(tree, &chart.directory, file).ok_or_else(escapes)?;
        let path = tree.canonical(&path).map_err(|error| error.to_string())?;
        let is_inside = chart.directory.is_empty()
            || path
                .strip_prefix(&chart.directory)
                .is_some_and(|rest| rest.starts_with('/'));
        if self.restrictions == LoadRestrictions::RootOnly && !is_inside {
            return Err(format!(
                "security; file '/{path}' is not in or below '/{}'",
                chart.directory
            ));
        }
        let bytes = tree.read(&path).map_err(|error| error.to_string())?;
        parsed(&bytes, file)
    }
}

fn parsed(bytes: &[u8], file: &str) -> Result<Map<String, Json>, String> {
    helm::values::read(bytes, file).map_err(|error| format!("failed to parse {file}: {error}"))
}

/// Renders, and prints what `helm template` prints with the entry's flags.
fn render(loaded: Chart, request: &Request, fields: &Fields<'_>) -> Result<String, String> {
    let missing = loaded.missing_dependencies();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Err(format!(
            "found in Chart.yaml, but missing in charts/ directory: {missing}"
        ));
    }
    let output = helm::template(loaded, request).map_err(|error| error.to_string())?;
    let mut out = output.manifest(fields.flag("includeCRDs"));
    if fields.flag("skipHooks") {
        return Ok(out);
    }
    for hook in &output.documents.hooks {
        if !(fields.flag("skipTests") && hook.events.contains(&Event::Test)) {
            push_document(&mut out, &hook.path, &hook.manifest);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kustomize::{MemoryTree, Options, build};

    const CHART: &[(&str, &str)] = &[
        (
            "app/charts/web/Chart.yaml",
            "apiVersion: v2\nname: web\nversion: 1.0.0\n",
        ),
        ("app/charts/web/values.yaml", "color: red\nsize: 1\n"),
        (
            "app/charts/web/templates/map.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n  namespace: {{ \
             .Release.Namespace }}\ndata:\n  color: {{ .Values.color }}\n  size: {{ .Values.size | \
             quote }}\n",
        ),
        (
            "app/charts/web/templates/hook.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: hook\n  annotations:\n    helm.sh/hook: \
             test\n",
        ),
        ("app/own.yaml", "color: blue\n"),
        ("outside.yaml", "color: black\n"),
    ];

    fn built(entry: &str) -> Result<String, String> {
        let kustomization = format!("namePrefix: p-\nhelmCharts:\n- {entry}\n");
        let mut tree: MemoryTree = CHART.iter().copied().collect();
        tree.insert("app/kustomization.yaml", kustomization);
        let charts = Charts {
            restrictions: LoadRestrictions::RootOnly,
        };
        let options = Options {
            helm: Some(&charts),
            ..Options::default()
        };
        build(&tree, "app", &options)
            .and_then(|built| built.to_yaml())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn charts_are_rendered_and_transformed() {
        let text =
            built("{name: web, releaseName: r, namespace: apps, valuesInline: {color: green}}")
                .unwrap();
        assert_eq!(
            text,
            "apiVersion: v1\ndata:\n  color: green\n  size: \"1\"\nkind: ConfigMap\nmetadata:\n  \
             name: p-r\n  namespace: apps\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n    \
             helm.sh/hook: test\n  name: p-hook\n"
        );
        let without = built("{name: web, skipTests: true}").unwrap();
        assert!(!without.contains("Pod") && without.contains("name: p-release-name"));
    }

    #[test]
    fn values_join_as_the_entry_says() {
        let color = |entry: &str| {
            let text = built(entry).unwrap();
            let line = text.lines().find(|line| line.starts_with("  color:"));
            line.unwrap_or_default().trim().to_owned()
        };
        assert_eq!(color("{name: web, valuesFile: own.yaml}"), "color: blue");
        assert_eq!(
            color(
                "{name: web, valuesFile: own.yaml, valuesInline: {color: x}, valuesMerge: merge}"
            ),
            "color: blue"
        );
        assert_eq!(
            color("{name: web, valuesInline: {color: x}, additionalValuesFiles: [own.yaml]}"),
            "color: blue"
        );
    }

    #[test]
    fn what_cannot_be_rendered_is_said() {
        let failed = |entry: &str, part: &str| {
            let error = built(entry).unwrap_err();
            assert!(
                error.contains(part) && error.contains("kustomization.yaml:3"),
                "{error}"
            );
        };
        failed("{name: gone}", "no chart found at '/app/charts/gone'");
        failed(
            "{name: web, version: 1.0.0, repo: 'https://example.com'}",
            "charts are not fetched",
        );
        failed("{name: web, valuesFile: ../outside.yaml}", "security; file");
        failed("{name: web, valuesFile: ../../x}", "leads out of the tree");
    }
}
