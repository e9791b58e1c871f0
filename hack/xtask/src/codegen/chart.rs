//! The Helm chart, made from the manifests that `config/` ships: what it renders cannot differ from them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use kustomize::{MemoryTree, Options};
use serde_json::{Value, json};

const CHART: &str = "config/chart";
const NAMESPACE: &str = "flux-system";
/// The folder of a controller below `config/`, and its name among the chart's values.
const CONTROLLERS: [(&str, &str); 6] = [
    ("source", "sourceController"),
    ("kustomize", "kustomizeController"),
    ("helm", "helmController"),
    ("notification", "notificationController"),
    ("image-reflector", "imageReflectorController"),
    ("image-automation", "imageAutomationController"),
];
/// Parts of a pod that a cluster may need, and what they are empty.
const POD: [(&str, &str); 3] = [
    ("affinity", "{}"),
    ("imagePullSecrets", "[]"),
    ("tolerations", "[]"),
];

/// Makes every file of the chart, by path from the root of the repository. Its definitions are a link to `config/crd`.
pub(super) fn files(root: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let tree = tree(&root.join("config"))?;
    let locked = build(&tree, "lockdown")?;
    let mut files = BTreeMap::new();
    let mut put = |path: &str, text: String| files.insert(Path::new(CHART).join(path), text);
    put("Chart.yaml", chart());
    let mut values = String::from(VALUES);
    for (folder, key) in CONTROLLERS {
        let objects = build(&tree, folder)?;
        write!(values, "\n{}", settings(&objects, key)?)?;
        put(
            &format!("templates/{folder}.yaml"),
            template(objects, key, &locked)?,
        );
    }
    let policies = build(&tree, "policies")?;
    let policies = policies.into_iter().map(|object| print(object, ""));
    let policies = policies.collect::<Result<String>>()?;
    put(
        "templates/policies.yaml",
        format!("{{{{- if .Values.networkPolicies }}}}\n{policies}{{{{- end }}}}\n"),
    );
    put("values.yaml", values);
    Ok(files)
}

const VALUES: &str = "# Where the images are.
registry: ghcr.io/lockgate
# Their tag; empty: the version of this chart.
tag: \"\"
# For clusters that tenants share: no references across namespaces, no bases from elsewhere, nothing applied with the
# controllers' own rights.
lockdown: false
# Policies for the traffic of the namespace, and a quota that lets critical pods run in it.
networkPolicies: true
# Parts of every pod.
pods:
  affinity: {}
  imagePullSecrets: []
  tolerations: []
";

fn chart() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "apiVersion: v2\nname: lockgate\ndescription: GitOps for Kubernetes as a toolkit of small controllers\n\
         type: application\nversion: {version}\nappVersion: {version}\n"
    )
}

fn tree(config: &Path) -> Result<MemoryTree> {
    fn collect(folder: &Path, config: &Path, tree: &mut MemoryTree) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
            let path = entry?.path();
            let name = path.strip_prefix(config)?.to_string_lossy().into_owned();
            if path.is_dir() && !path.is_symlink() && name != "chart" {
                collect(&path, config, tree)?;
            } else if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                tree.insert(&name, fs::read(&path)?);
            }
        }
        Ok(())
    }
    let mut tree = MemoryTree::new();
    collect(config, config, &mut tree)?;
    Ok(tree)
}

fn build(tree: &MemoryTree, folder: &str) -> Result<Vec<Value>> {
    let built = kustomize::build(tree, folder, &Options::default());
    let built = built.with_context(|| format!("build config/{folder}"))?;
    Ok(built
        .resources
        .into_iter()
        .map(|resource| resource.object)
        .collect())
}

/// The values of one controller, as they are shipped.
fn settings(objects: &[Value], key: &str) -> Result<String> {
    let deployment = deployment(objects)?;
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let settings = json!({ key: {
        "enabled": true,
        "replicas": deployment["spec"]["replicas"],
        "extraArgs": [],
        "resources": container["resources"],
        "serviceAccount": {"annotations": {}},
    }});
    yaml::emit::v2(&yaml::from_json(&settings)).context("write values")
}

fn deployment(objects: &[Value]) -> Result<&Value> {
    let found = objects.iter().find(|object| object["kind"] == "Deployment");
    found.context("a controller has a Deployment")
}

/// The template of one controller.
fn template(objects: Vec<Value>, key: &str, locked: &[Value]) -> Result<String> {
    let mut out = format!("{{{{- if .Values.{key}.enabled }}}}\n");
    for mut object in objects {
        match object["kind"].as_str() {
            Some("Deployment") => open(&mut object, locked)?,
            Some("ServiceAccount") => {
                object["metadata"]["annotations"] = json!("__ANNOTATIONS__");
            }
            _ => {}
        }
        out += &print(object, key)?;
    }
    out += "{{- end }}\n";
    Ok(out)
}

/// Puts marks where values go in.
fn open(object: &mut Value, locked: &[Value]) -> Result<()> {
    let name = object["metadata"]["name"].clone();
    object["spec"]["replicas"] = json!("__REPLICAS__");
    let locked = locked
        .iter()
        .find(|other| other["kind"] == "Deployment" && other["metadata"]["name"] == name)
        .context("a locked down controller has a Deployment")?;
    let pod = &mut object["spec"]["template"]["spec"];
    for (part, _) in POD {
        pod[part] = json!(format!("__POD_{part}__"));
    }
    let container = &mut pod["containers"][0];
    container["image"] = json!("__IMAGE__");
    container["resources"] = json!("__RESOURCES__");
    let args = container["args"]
        .as_array_mut()
        .context("a controller has arguments")?;
    let all = locked["spec"]["template"]["spec"]["containers"][0]["args"].as_array();
    let more: Vec<&Value> = all
        .into_iter()
        .flatten()
        .filter(|arg| !args.contains(arg))
        .collect();
    args.push(json!(format!("__ARGS__{}", json!(more))));
    Ok(())
}

/// Prints an object as a part of a template. Labels are those of `config/default`.
fn print(mut object: Value, key: &str) -> Result<String> {
    let name = object["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let metadata = &mut object["metadata"];
    metadata["labels"]["app.kubernetes.io/instance"] = json!(NAMESPACE);
    metadata["labels"]["app.kubernetes.io/part-of"] = json!("flux");
    let text = yaml::emit::v2(&yaml::from_json(&object)).context("write a template")?;
    let mut out = String::from("---\n");
    for line in text.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let trimmed = line.trim_start();
        if let Some(more) = trimmed.strip_prefix("- __ARGS__").or_else(|| {
            trimmed
                .strip_prefix("- '__ARGS__")
                .map(|rest| rest.trim_end_matches('\''))
        }) {
            let more: Vec<String> = serde_json::from_str(more).context("read arguments")?;
            if !more.is_empty() {
                writeln!(out, "{indent}{{{{- if .Values.lockdown }}}}")?;
                for arg in more {
                    writeln!(out, "{indent}- {arg}")?;
                }
                writeln!(out, "{indent}{{{{- end }}}}")?;
            }
            writeln!(out, "{indent}{{{{- range .Values.{key}.extraArgs }}}}")?;
            writeln!(out, "{indent}- {{{{ quote . }}}}\n{indent}{{{{- end }}}}")?;
        } else if let Some((field, mark)) = trimmed.split_once(": __") {
            marked(
                &mut out,
                indent,
                field,
                mark.trim_end_matches("__"),
                key,
                &name,
            )?;
        } else if trimmed == format!("namespace: {NAMESPACE}") {
            writeln!(out, "{indent}namespace: {{{{ .Release.Namespace }}}}")?;
        } else {
            writeln!(out, "{line}")?;
        }
    }
    Ok(out)
}

/// Writes what stands in the place of a mark.
fn marked(
    out: &mut String,
    indent: &str,
    field: &str,
    mark: &str,
    key: &str,
    name: &str,
) -> Result<()> {
    let deeper = indent.len() + 2;
    let optional = |value: &str| {
        format!(
            "{indent}{{{{- with .Values.{value} }}}}\n{indent}{field}:\n\
             {{{{ toYaml . | indent {deeper} }}}}\n{indent}{{{{- end }}}}\n"
        )
    };
    match mark {
        "REPLICAS" => writeln!(out, "{indent}{field}: {{{{ .Values.{key}.replicas }}}}")?,
        "IMAGE" => writeln!(
            out,
            "{indent}{field}: {{{{ .Values.registry }}}}/{name}:{{{{ .Values.tag | default (print \"v\" .Chart.AppVersion) }}}}"
        )?,
        "RESOURCES" => *out += &optional(&format!("{key}.resources")),
        "ANNOTATIONS" => *out += &optional(&format!("{key}.serviceAccount.annotations")),
        other => {
            let part = other.strip_prefix("POD_").context("an unknown mark")?;
            *out += &optional(&format!("pods.{part}"));
        }
    }
    Ok(())
}
