//! Charts to render.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const PARTIALS: &str = r#"{{- define "NAME.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- define "NAME.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}
"#;

const DEPLOYMENT: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "NAME.fullname" . }}-INDEX
  labels:
    {{- include "NAME.labels" . | nindent 4 }}
spec:
  replicas: {{ .Values.replicas | default 1 }}
  selector:
    matchLabels:
      {{- include "NAME.labels" . | nindent 6 }}
  template:
    metadata:
      annotations:
        checksum/values: {{ .Values | toJson | sha256sum }}
      labels:
        {{- include "NAME.labels" . | nindent 8 }}
    spec:
      containers:
        - name: {{ .Chart.Name }}
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
          env:
            {{- range $name, $value := .Values.env }}
            - name: {{ $name | upper | quote }}
              value: {{ $value | quote }}
            {{- end }}
          resources:
            {{- toYaml .Values.resources | nindent 12 }}
{{- if .Values.service.enabled }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "NAME.fullname" . }}-INDEX
spec:
  ports:
    {{- range .Values.service.ports }}
    - port: {{ . | int }}
    {{- end }}
{{- end }}
"#;

const VALUES: &str = "replicas: 2
image: {repository: example.com/app, tag: \"1.2.3\"}
labels: {team: platform, tier: backend}
env: {log_level: info, region: eu, cache_size: 1000000}
resources:
  limits: {cpu: 500m, memory: 256Mi}
  requests: {cpu: 100m, memory: 128Mi}
service: {enabled: true, ports: [80, 443]}
";

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(path, text)?)
}

fn chart(
    folder: &Path,
    name: &str,
    templates: usize,
    values: &str,
    more: &str,
) -> anyhow::Result<()> {
    let metadata =
        format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\nappVersion: '1.0'\n{more}");
    write(&folder.join("Chart.yaml"), &metadata)?;
    write(&folder.join("values.yaml"), &format!("{VALUES}{values}"))?;
    write(
        &folder.join("templates/_partials.tpl"),
        &PARTIALS.replace("NAME", name),
    )?;
    for index in 0..templates {
        let text = DEPLOYMENT.replace("NAME", name);
        let text = text.replace("INDEX", &index.to_string());
        let file = format!("templates/deployment-{index}.yaml");
        write(&folder.join(file), &text)?;
    }
    Ok(())
}

/// Three deployments.
pub(crate) fn small(folder: &Path) -> anyhow::Result<()> {
    chart(folder, "small", 3, "", "")
}

/// A hundred templates.
pub(crate) fn hundred(folder: &Path) -> anyhow::Result<()> {
    chart(folder, "hundred", 100, "", "")
}

/// Fifteen subcharts, and 10,000 lines of values.
pub(crate) fn parts(folder: &Path) -> anyhow::Result<()> {
    let mut values = String::new();
    for group in 0..1000 {
        writeln!(values, "group{group}:")?;
        for key in 0..9 {
            writeln!(values, "  key{key}: value {key} of group {group}")?;
        }
    }
    let mut wanted = "dependencies:\n".to_owned();
    for part in 0..15 {
        writeln!(wanted, "- {{name: part{part}, version: 1.x}}")?;
        let name = format!("part{part}");
        chart(&folder.join("charts").join(&name), &name, 5, "", "")?;
    }
    chart(folder, "parts", 5, &values, &wanted)
}

/// 3 MB of definitions, one after the other.
fn definitions() -> anyhow::Result<Vec<String>> {
    let (mut all, mut bytes) = (Vec::new(), 0);
    while bytes < 3_000_000 {
        let mut text = format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: \
             kinds{}.example.com\nspec:\n  group: example.com\n  versions:\n    - name: v1\n      schema:\n        \
             openAPIV3Schema:\n          type: object\n          properties:\n            spec:\n              \
             properties:\n",
            all.len()
        );
        for field in 0..600 {
            write!(
                text,
                "                field{field}:\n                  type: string\n                  description: The \
                 field of number {field}, which says what it is for.\n"
            )?;
        }
        bytes += text.len();
        all.push(text);
    }
    Ok(all)
}

/// Definitions among the templates, as charts have them that install them with the rest.
pub(crate) fn rendered_definitions(folder: &Path) -> anyhow::Result<()> {
    chart(folder, "definitions", 1, "", "")?;
    for (number, text) in definitions()?.iter().enumerate() {
        write(&folder.join(format!("templates/crd-{number}.yaml")), text)?;
    }
    Ok(())
}

/// Definitions in `crds/`.
pub(crate) fn plain_definitions(folder: &Path) -> anyhow::Result<()> {
    chart(folder, "definitions", 1, "", "")?;
    for (number, text) in definitions()?.iter().enumerate() {
        write(&folder.join(format!("crds/crd-{number}.yaml")), text)?;
    }
    Ok(())
}
