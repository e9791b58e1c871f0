//! What is built: directories of a kind that users have.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

fn write(dir: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = dir.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    Ok(fs::write(path, text)?)
}

fn deployment(name: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  annotations:
    note: made for a benchmark
spec:
  minReadySeconds: 3
  revisionHistoryLimit: 5
  strategy:
    rollingUpdate:
      maxUnavailable: 0
    type: RollingUpdate
  selector:
    matchLabels:
      app: {name}
  template:
    metadata:
      annotations:
        prometheus.io/scrape: \"true\"
        prometheus.io/port: \"9797\"
      labels:
        app: {name}
    spec:
      containers:
      - name: app
        image: ghcr.io/example/app:6.0.0
        imagePullPolicy: IfNotPresent
        ports:
        - name: http
          containerPort: 9898
          protocol: TCP
        - name: grpc
          containerPort: 9999
          protocol: TCP
        command:
        - ./app
        - --port=9898
        - --level=info
        env:
        - name: COLOR
          value: \"#34577c\"
        - name: SETTINGS
          valueFrom:
            configMapKeyRef:
              name: {name}
              key: settings
        livenessProbe:
          exec:
            command: [check, http, localhost:9898/healthz]
          initialDelaySeconds: 5
          timeoutSeconds: 5
        resources:
          limits: {{cpu: 2000m, memory: 512Mi}}
          requests: {{cpu: 100m, memory: 64Mi}}
"
    )
}

fn service(name: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  type: ClusterIP
  selector:
    app: {name}
  ports:
  - {{name: http, port: 9898, protocol: TCP, targetPort: http}}
  - {{name: grpc, port: 9999, protocol: TCP, targetPort: grpc}}
"
    )
}

fn map(name: &str) -> String {
    format!(
        "apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
data:
  settings: |
    level: info
    port: 9898
  other: \"1\"
"
    )
}

fn autoscaler(name: &str) -> String {
    format!(
        "apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{name: {name}}}
spec:
  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: {name}}}
  minReplicas: 2
  maxReplicas: 4
  metrics:
  - {{type: Resource, resource: {{name: cpu, target: {{type: Utilization, averageUtilization: 99}}}}}}
"
    )
}

/// A deployment, a service, an autoscaler and a generated map.
pub(super) fn podinfo(dir: &Path) -> anyhow::Result<()> {
    write(dir, "deployment.yaml", &deployment("podinfo"))?;
    write(dir, "service.yaml", &service("podinfo"))?;
    write(dir, "hpa.yaml", &autoscaler("podinfo"))?;
    write(
        dir,
        "kustomization.yaml",
        "apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: podinfo
resources: [deployment.yaml, service.yaml, hpa.yaml]
configMapGenerator:
- {name: podinfo, literals: [settings=x]}
images:
- {name: ghcr.io/example/app, newTag: 6.1.0}
",
    )
}

/// An overlay over one file.
pub(super) fn overlay(dir: &Path) -> anyhow::Result<()> {
    write(dir, "base/r.yaml", &deployment("web"))?;
    write(dir, "base/kustomization.yaml", "resources: [r.yaml]\n")?;
    write(
        dir,
        "kustomization.yaml",
        "resources: [base]
namePrefix: prod-
patches:
- target: {kind: Deployment}
  patch: |
    - {op: add, path: /spec/replicas, value: 3}
",
    )
}

/// Applications of five objects that name each other, as users have them, with prefix, labels, images and patches.
pub(super) fn applications(dir: &Path, count: usize) -> anyhow::Result<()> {
    let more = "serviceAccountName: NAME
      volumes:
      - {name: settings, configMap: {name: NAME}}
      containers:";
    many(dir, count, 5, |name, object| match object {
        0 => deployment(name).replacen("containers:", &more.replace("NAME", name), 1),
        1 => service(name),
        2 => map(name),
        3 => format!("apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: {name}\n"),
        _ => autoscaler(name),
    })
}

/// Applications of three objects with one name between them: less to look for than in [`applications`].
pub(super) fn loose(dir: &Path, count: usize) -> anyhow::Result<()> {
    many(dir, count, 3, |name, object| match object {
        0 => deployment(name),
        1 => service(name),
        _ => map(name),
    })
}

/// So many objects, ten in each file, so many for each application.
fn many(
    dir: &Path,
    count: usize,
    of: usize,
    object: impl Fn(&str, usize) -> String,
) -> anyhow::Result<()> {
    let mut resources = String::new();
    for file in 0..count.div_ceil(10) {
        let mut text = String::new();
        for index in file * 10..count.min(file * 10 + 10) {
            text += &object(&format!("app-{}", index / of), index % of);
            text += "---\n";
        }
        let name = format!("r{file}.yaml");
        writeln!(resources, "- {name}")?;
        write(dir, &name, &text)?;
    }
    write(
        dir,
        "kustomization.yaml",
        &format!(
            "namePrefix: prod-
labels:
- pairs: {{team: blue, stage: prod}}
  includeSelectors: true
images:
- {{name: ghcr.io/example/app, newTag: 6.1.0}}
patches:
- target: {{kind: Deployment}}
  patch: |
    - {{op: add, path: /spec/replicas, value: 3}}
- target: {{kind: Service, name: app-.*}}
  patch: |
    {{kind: any, metadata: {{name: any, annotations: {{patched: \"true\"}}}}}}
- patch: |
    apiVersion: apps/v1
    kind: Deployment
    metadata: {{name: app-1}}
    spec: {{template: {{spec: {{containers: [{{name: app, imagePullPolicy: Always}}]}}}}}}
resources:
{resources}"
        ),
    )
}

/// Generated maps, and a deployment that reads some.
pub(super) fn generators(dir: &Path) -> anyhow::Result<()> {
    let mut generators = String::new();
    for number in 0..200 {
        write(
            dir,
            &format!("files/{number}.txt"),
            &"a line of a file\n".repeat(50),
        )?;
        writeln!(
            generators,
            "- name: map-{number}\n  literals: [a={number}, b=two]\n  files: [key=files/{number}.txt]"
        )?;
    }
    write(
        dir,
        "r.yaml",
        &deployment("web").replace("              name: web", "              name: map-7"),
    )?;
    write(
        dir,
        "kustomization.yaml",
        &format!("resources: [r.yaml]\nconfigMapGenerator:\n{generators}"),
    )
}

/// Overlays over overlays.
pub(super) fn chain(dir: &Path) -> anyhow::Result<()> {
    let mut at = String::new();
    for level in 0..10 {
        write(
            dir,
            &format!("{at}kustomization.yaml"),
            &format!(
                "resources: [next]
namePrefix: l{level}-
commonAnnotations: {{level{level}: \"{level}\"}}
configMapGenerator:
- {{name: map-{level}, literals: [a=b]}}
patches:
- target: {{kind: Deployment}}
  patch: |
    - {{op: add, path: /metadata/annotations/p{level}, value: x}}
"
            ),
        )?;
        at += "next/";
    }
    write(
        dir,
        &format!("{at}kustomization.yaml"),
        "resources: [r.yaml]\n",
    )?;
    write(
        dir,
        &format!("{at}r.yaml"),
        &format!(
            "{}---\n{}---\n{}",
            deployment("web"),
            service("web"),
            map("web")
        ),
    )
}

/// Definitions with deep schemas, about 2 MB.
pub(super) fn crds(dir: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    for number in 0..20 {
        write!(
            text,
            "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: widgets{number}.example.com
  annotations: {{controller-gen.kubebuilder.io/version: v0.14.0}}
spec:
  group: example.com
  names: {{kind: Widget{number}, plural: widgets{number}}}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
"
        )?;
        for field in 0..200 {
            write!(
                text,
                "              field{field}:
                description: |-
                  What this field says, in a sentence that is as long as those in definitions
                  tend to be, over two lines.
                type: object
                properties:
                  name:
                    description: 'Name of the thing: a text that needs quotes, and is folded since it is long.'
                    type: string
                    maxLength: 253
                  values:
                    items:
                      type: string
                    type: array
                    x-kubernetes-list-type: atomic
"
            )?;
        }
        text += "---\n";
    }
    write(dir, "crds.yaml", &text)?;
    write(
        dir,
        "kustomization.yaml",
        "resources: [crds.yaml]\ncommonLabels: {team: blue}\n",
    )
}
