//! Random Kubernetes objects, and patches for them.

use super::input::Known;
use super::random::Random;

pub(super) const NAMES: &[&str] = &[
    "web", "db", "cfg", "api", "sa", "front", "back", "queue", "cache", "log",
];
pub(super) const NAMESPACES: &[&str] = &["", "", "prod", "default", "dev"];
const IMAGES: &[&str] = &[
    "nginx",
    "nginx:1.7",
    "redis@sha256:abc",
    "reg:5000/nginx:1",
    "docker.io/library/nginx",
    "redis:5",
];
/// Scalars that libraries read differently.
const SCALARS: &[&str] = &[
    "a",
    "\"1\"",
    "1",
    "1.0",
    "1.10",
    "0777",
    "0o17",
    "0x1F",
    "1_000",
    "1e3",
    "true",
    "\"true\"",
    "yes",
    "'no'",
    "\"on\"",
    "y",
    "~",
    "null",
    "\"\"",
    "2001-01-01",
    "'2001-01-01'",
    "1:30",
    "'a: b'",
    "\"a #b\"",
    "-1",
    "'-'",
    "'*x'",
    "12345678901234567890",
    "1.5e-7",
    "\"tab\\there\"",
    "'trailing '",
    "ünïcödé",
    "a long text with many words that goes on for more than eighty columns so that it has to be folded",
    "|\n      line one\n      line two",
    "|-\n      {\"json\": [1, 2]}",
    ">-\n      folded\n      text",
    "\"with \\\"quotes\\\"\"",
    "0644",
    ".5",
    "'=' ",
    "'<<'",
    "=",
    "'null'",
    "[a, b]",
    "{x: y}",
];
pub(super) const TEXTS: &[&str] = &[
    "a", "\"1\"", "'true'", "yes", "web", "v1.2", "\"0.5\"", "'y'", "\"\"", "x-y_z", "'null'",
    "prod",
];

/// A header with random labels, annotations and namespace.
fn meta(r: &mut Random, api: &str, kind: &str, name: &str) -> String {
    let mut out = format!("apiVersion: {api}\nkind: {kind}\nmetadata:\n  name: {name}\n");
    let namespace = r.pick(NAMESPACES);
    if !namespace.is_empty() {
        out += &format!("  namespace: {namespace}\n");
    }
    if r.chance(40) {
        out += &format!(
            "  labels:\n    app: {}\n    tier: {}\n",
            r.pick(TEXTS),
            r.pick(TEXTS)
        );
    }
    if r.chance(30) {
        let scalar = r.pick(&SCALARS[..33]);
        out += &format!(
            "  annotations:\n    note: {scalar}\n    z: {}\n",
            r.pick(TEXTS)
        );
    }
    if r.chance(4) {
        out += "  annotations: {}\n"
            .replace("  annotations", "  finalizers")
            .replace("{}", "[a, b]")
            .as_str();
    }
    if r.chance(5) {
        out += "  creationTimestamp: null\n";
    }
    out
}

/// One container, `indent` deep.
fn container(r: &mut Random, name: &str, indent: usize) -> String {
    let pad = " ".repeat(indent);
    let mut out = format!("{pad}- name: {name}\n");
    if r.chance(90) {
        out += &format!("{pad}  image: {}\n", r.pick(IMAGES));
    }
    if r.chance(40) {
        out += &format!(
            "{pad}  env:\n{pad}  - name: A\n{pad}    value: {}\n",
            r.pick(&["x", "\"1\"", "$(NAME)"])
        );
        if r.chance(60) {
            let kind = r.pick(&["configMapKeyRef", "secretKeyRef"]);
            out += &format!(
                "{pad}  - name: B\n{pad}    valueFrom:\n{pad}      {kind}:\n{pad}        name: {}\n{pad}        key: k\n",
                r.pick(NAMES)
            );
        }
    }
    if r.chance(25) {
        out += &format!(
            "{pad}  envFrom:\n{pad}  - configMapRef:\n{pad}      name: {}\n",
            r.pick(NAMES)
        );
    }
    if r.chance(40) {
        out += &format!("{pad}  ports:\n{pad}  - containerPort: 80\n");
        if r.chance(50) {
            out += &format!("{pad}    protocol: {}\n", r.pick(&["TCP", "UDP"]));
        }
        if r.chance(40) {
            out += &format!(
                "{pad}  - containerPort: {}\n{pad}    name: p\n",
                r.pick(&["80", "81", "\"80\""])
            );
            if r.chance(50) {
                out += &format!("{pad}    protocol: {}\n", r.pick(&["TCP", "UDP"]));
            }
        }
    }
    if r.chance(30) {
        out += &format!(
            "{pad}  args: [{}]\n",
            r.pick(&["a, b", "\"1\"", "--x=$(NAME)", ""])
        );
    }
    if r.chance(20) {
        out += &format!(
            "{pad}  volumeMounts:\n{pad}  - name: v\n{pad}    mountPath: {}\n",
            r.pick(&["/a", "/b"])
        );
    }
    out
}

/// A pod's spec, `indent` deep.
fn pod_spec(r: &mut Random, indent: usize) -> String {
    let pad = " ".repeat(indent);
    let mut out = format!("{pad}containers:\n");
    out += &container(r, "c", indent);
    if r.chance(30) {
        out += &container(r, "d", indent);
    }
    if r.chance(20) {
        out += &format!("{pad}initContainers:\n");
        out += &container(r, "i", indent);
    }
    if r.chance(30) {
        out += &format!("{pad}serviceAccountName: {}\n", r.pick(NAMES));
    }
    if r.chance(40) {
        out += &format!("{pad}volumes:\n{pad}- name: v\n");
        out += &match r.below(4) {
            0 => format!("{pad}  configMap:\n{pad}    name: {}\n", r.pick(NAMES)),
            1 => format!("{pad}  secret:\n{pad}    secretName: {}\n", r.pick(NAMES)),
            2 => format!("{pad}  emptyDir: {{}}\n"),
            _ => format!("{pad}  image:\n{pad}    reference: {}\n", r.pick(IMAGES)),
        };
    }
    if r.chance(15) {
        out += &format!("{pad}tolerations:\n{pad}- key: a\n{pad}  operator: Exists\n");
    }
    if r.chance(10) {
        out += &format!(
            "{pad}affinity:\n{pad}  podAffinity:\n{pad}    requiredDuringSchedulingIgnoredDuringExecution:\n{pad}    - topologyKey: t\n{pad}      labelSelector:\n{pad}        matchLabels:\n{pad}          app: a\n"
        );
    }
    out
}

/// The kinds that carry pods.
fn workload(r: &mut Random, name: &str) -> String {
    let (api, kind) = match r.below(6) {
        0 | 1 => ("apps/v1", "Deployment"),
        2 => ("apps/v1", "StatefulSet"),
        3 => ("apps/v1", "DaemonSet"),
        4 => ("batch/v1", "Job"),
        _ => ("batch/v1", "CronJob"),
    };
    let mut out = meta(r, api, kind, name);
    out += "spec:\n";
    if kind == "CronJob" {
        out += "  schedule: \"* * * * *\"\n  jobTemplate:\n    spec:\n      template:\n        spec:\n";
        return out + &pod_spec(r, 10);
    }
    if r.chance(40) {
        out += &format!("  replicas: {}\n", r.pick(&["1", "null"]));
    }
    if r.chance(50) {
        out += "  selector:\n    matchLabels:\n      app: a\n";
    }
    out += "  template:\n";
    if r.chance(50) {
        out += "    metadata:\n      labels:\n        app: a\n";
    }
    out += "    spec:\n";
    out += &pod_spec(r, 6);
    if kind == "StatefulSet" && r.chance(50) {
        out += &format!(
            "  serviceName: {}\n  volumeClaimTemplates:\n  - metadata:\n      name: data\n    spec: {{}}\n",
            r.pick(NAMES)
        );
    }
    out
}

/// ConfigMaps and Secrets with odd values.
fn map(r: &mut Random, name: &str) -> String {
    let kind = r.pick(&["ConfigMap", "ConfigMap", "Secret"]);
    let mut out = meta(r, "v1", kind, name);
    out += &format!("{}:\n", r.pick(&["data", "data", "stringData"]));
    for key in ["a", "a10", "a9", "B", "y", "x.y/z-w"]
        .iter()
        .take(1 + r.below(7))
    {
        out += &format!("  {key}: {}\n", r.pick(&SCALARS[..38]));
    }
    out
}

/// Everything else.
fn other(r: &mut Random, name: &str) -> String {
    let n = r.pick(NAMES);
    let role = r.pick(&["Role", "ClusterRole"]);
    match r.below(16) {
        0 => {
            meta(r, "v1", "Service", name)
                + &format!(
                    "spec:\n  selector: {{app: {}}}\n  ports:\n  - port: 80\n    targetPort: {}\n",
                    r.pick(TEXTS),
                    r.pick(&["http", "8080"])
                )
        }
        1 => meta(r, "v1", "Service", name) + "spec:\n  type: ExternalName\n",
        2 => {
            meta(r, "networking.k8s.io/v1", "Ingress", name)
                + &format!(
                    "spec:\n  tls:\n  - secretName: {n}\n  rules:\n  - http:\n      paths:\n      - backend:\n          service:\n            name: {}\n",
                    r.pick(NAMES)
                )
        }
        3 => {
            meta(r, "rbac.authorization.k8s.io/v1", r_binding(name), name)
                + &format!(
                    "roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: {}\n  name: {n}\nsubjects:\n- kind: ServiceAccount\n  name: {}\n",
                    r.pick(&["Role", "ClusterRole"]),
                    r.pick(&["default", "sa", "web"])
                )
                + &subject_namespace(r)
        }
        4 => {
            meta(r, "rbac.authorization.k8s.io/v1", role, name)
                + &format!(
                    "rules:\n- apiGroups: [\"\"]\n  resources: [configmaps]\n  resourceNames: [{n}]\n"
                )
        }
        5 => {
            meta(r, "v1", "ServiceAccount", name)
                + &format!("secrets:\n- name: {n}\nimagePullSecrets:\n- name: {n}\n")
        }
        6 => format!(
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {}\n",
            r.pick(&["prod", "dev"])
        ),
        7 => {
            meta(r, "networking.k8s.io/v1", "NetworkPolicy", name)
                + "spec:\n  podSelector:\n    matchLabels:\n      app: a\n  ingress:\n  - from:\n    - podSelector: {}\n"
        }
        8 => {
            meta(r, "autoscaling/v2", "HorizontalPodAutoscaler", name)
                + &format!(
                    "spec:\n  scaleTargetRef:\n    apiVersion: apps/v1\n    kind: Deployment\n    name: {n}\n"
                )
        }
        9 => {
            meta(r, "example.com/v1", "Widget", name)
                + &format!(
                    "spec:\n  list:\n  - name: a\n    value: {}\n  template:\n    spec:\n      containers:\n      - name: c\n        image: nginx:1\n  configName: {n}\n",
                    r.pick(&SCALARS[..33])
                )
        }
        10 => format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: {name}.example.com\nspec:\n  versions:\n  - schema: {{openAPIV3Schema: {{properties: {{containers: {{type: array}}}}}}}}\n"
        ),
        11 => {
            meta(r, "example.com/v1", "Widget", name)
                + &format!(
                    "spec:\n  first: &first\n    a: {}\n    list: &list [x, {{y: z}}]\n  second:\n    <<: \
                     *first\n    a: 2\n  third: *list\n  ? fourth\n  : !!str 4\n  \"fi fth\": !custom x\n",
                    r.pick(&SCALARS[..33])
                )
        }
        12 => format!(
            "{{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\",\n\t\"metadata\": {{\"name\": \
             \"{name}\"}},\n\"data\": {{\"a\": \"\\u00e4\\n\\/\", \"b\": \"{}\"}}}}\n",
            r.pick(&["1", "yes", "", "two  spaces"])
        ),
        13 => format!(
            "apiVersion: v1\nkind: List\nitems:\n- {{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}, data: {{a: b}}}}\n- {{apiVersion: v1, kind: Secret, metadata: {{name: {n}}}}}\n"
        ),
        _ => {
            meta(r, "policy/v1", "PodDisruptionBudget", name)
                + "spec:\n  selector:\n    matchLabels: {app: a}\n  minAvailable: 50%\n"
        }
    }
}

fn r_binding(name: &str) -> &'static str {
    if name.len().is_multiple_of(2) {
        "RoleBinding"
    } else {
        "ClusterRoleBinding"
    }
}

fn subject_namespace(r: &mut Random) -> String {
    match r.pick(&["", "prod", "default"]) {
        "" => String::new(),
        namespace => format!("  namespace: {namespace}\n"),
    }
}

/// One random object.
pub(super) fn object(r: &mut Random) -> String {
    let name = r.pick(NAMES);
    match r.below(10) {
        0..=3 => workload(r, name),
        4 | 5 => map(r, name),
        _ => other(r, name),
    }
}

/// A strategic merge patch's body for pods, with directives now and then.
pub(super) fn merge_patch(r: &mut Random, object: &Known) -> String {
    let Known { kind, name, .. } = object;
    let api = if kind == "ConfigMap" { "v1" } else { "apps/v1" };
    let mut out = format!("apiVersion: {api}\nkind: {kind}\nmetadata:\n  name: {name}\n");
    if !object.namespace.is_empty() && r.chance(97) {
        out += &format!("  namespace: {}\n", object.namespace);
    }
    if r.chance(8) {
        return out + "$patch: delete\n";
    }
    if r.chance(25) {
        out += &format!(
            "  labels:\n    app: {}\n",
            r.pick(&["null", "new", "\"5\""])
        );
    }
    if r.chance(20) {
        out += &format!(
            "  annotations:\n    note: {}\n",
            r.pick(&["null", "new", "~", "\"x\""])
        );
    }
    if kind == "ConfigMap" {
        return out
            + &format!(
                "data:\n  a: {}\n  b: {}\n",
                r.pick(&SCALARS[..33]),
                r.pick(TEXTS)
            );
    }
    out += "spec:\n";
    if r.chance(30) {
        out += &format!("  replicas: {}\n", r.pick(&["3", "null", "\"4\""]));
    }
    if r.chance(15) {
        out += &format!(
            "  strategy:\n    $patch: {}\n    type: Recreate\n",
            r.pick(&["replace", "merge", "delete"])
        );
    }
    out += "  template:\n    spec:\n";
    if r.chance(20) {
        out += r.pick(&["      volumes: []\n", "      volumes: null\n", "      volumes:\n      - name: v\n        $patch: delete\n", "      volumes:\n      - name: v\n        secret: {secretName: db}\n      - name: w\n        emptyDir: {}\n", "      tolerations: []\n", "      volumes:\n      - $patch: replace\n      - name: w\n        emptyDir: {}\n"]);
    }
    out += "      containers:\n";
    if r.chance(30) {
        out += &container(r, "new", 6);
    }
    let target = r.pick(&["c", "d"]);
    let mut own = container(r, target, 6);
    if r.chance(12) {
        own += &format!(
            "        $patch: {}\n",
            r.pick(&["delete", "replace", "merge"])
        );
    }
    out + &own
}

/// Operations that fit every object, or nearly every one.
const ANYWHERE: &[&str] = &[
    "- op: add\n  path: /metadata/annotations/j\n  value: k\n",
    "- op: add\n  path: /metadata/labels\n  value: {j: k}\n",
    "- op: replace\n  path: /metadata/name\n  value: renamed\n",
    "- op: add\n  path: /metadata/namespace\n  value: json\n",
    "- op: add\n  path: /data\n  value: {x: [1, 1.0, \"2\", yes, null], z: ~}\n",
    "- op: copy\n  from: /metadata/name\n  path: /copied\n",
    "- op: remove\n  path: /metadata/annotations\n",
    "- op: test\n  path: /metadata/absent\n",
];
/// Operations that fit objects with pods.
const ON_PODS: &[&str] = &[
    "- op: add\n  path: /spec/replicas\n  value: 7\n",
    "- {op: add, path: /spec/extra, value: [1, 1.0, \"2\", yes, null]}\n",
    "- op: add\n  path: /spec/template/spec/containers/-\n  value: {name: j, image: nginx}\n",
    "- op: add\n  path: /spec/template/spec/containers/0\n  value: {name: j, image: nginx}\n",
    "- op: remove\n  path: /spec/template/spec/containers/0\n",
    "- op: replace\n  path: /spec/template/spec/containers/0/name\n  value: \"1\"\n",
    "- op: move\n  from: /spec/template/spec/containers\n  path: /spec/template/spec/initContainers\n",
];
/// Operations that few objects fit.
const SELDOM: &[&str] = &[
    "- op: test\n  path: /kind\n  value: Deployment\n",
    "- op: move\n  from: /metadata/name\n  path: /metadata/moved\n",
    "- op: add\n  path: /a/b\n  value: 1\n",
    "- op: remove\n  path: /absent\n",
];

/// A JSON patch; where only objects with pods are meant it may change their pods.
pub(super) fn json_patch(r: &mut Random, on_pods: bool) -> String {
    let one = |r: &mut Random| {
        let operations = match (r.below(100), on_pods) {
            (0..4, _) => SELDOM,
            (4..60, true) => ON_PODS,
            _ => ANYWHERE,
        };
        r.pick(operations).to_owned()
    };
    let mut out = one(r);
    if r.chance(30) {
        out += &one(r);
    }
    out
}
