#!/usr/bin/env python3
"""Renders charts of many authors with `helm template` and with `lockgate template`, and compares.

charts.py HELM LOCKGATE [NAME...] takes each chart of the table below with its default values and
with two other values files. The repositories are read from clones (bare or not) in the folder that
LOCKGATE_CHART_REPOS names, as OWNER+NAME or OWNER+NAME/repo, or else cloned from GitHub into a
temporary folder. A dependency that lies in the same repository is put into charts/; one that does
not is left out of Chart.yaml on both sides, which is printed. Where a result differs, Helm is asked
once more, and lines in which its own two runs differ (random names and passwords) are left aside.
Ends with 1 where a result differs.
"""

import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile

# Charts, where their dependencies lie, and two values files for each.
CHARTS = {
    "kube-prometheus-stack": (
        "prometheus-community/helm-charts",
        "charts/kube-prometheus-stack",
        {n: f"charts/{n}" for n in (
            "kube-state-metrics", "prometheus-node-exporter", "prometheus-windows-exporter")},
        """fullnameOverride: mon
grafana: {enabled: false}
alertmanager: {enabled: true, ingress: {enabled: true, hosts: [a.example.com], paths: [/]}}
prometheus:
  prometheusSpec:
    replicas: 2
    retention: 30d
    externalLabels: {cluster: a, zone: "1"}
    remoteWrite: [{url: https://r.example.com/w, queueConfig: {maxShards: 5}}]
  ingress: {enabled: true, hosts: [p.example.com], tls: [{secretName: t, hosts: [p.example.com]}]}
defaultRules: {rules: {etcd: false}, additionalRuleLabels: {team: infra}}
""",
        """namespaceOverride: elsewhere
kubeEtcd: {enabled: false}
kubeProxy: {enabled: false}
windowsMonitoring: {enabled: true}
prometheusOperator:
  tls: {enabled: false}
  admissionWebhooks: {certManager: {enabled: true}}
prometheus: {agentMode: true}
thanosRuler: {enabled: true, thanosRulerSpec: {queryEndpoints: [http://q:9090]}}
additionalPrometheusRulesMap:
  own: {groups: [{name: g, rules: [{record: r, expr: "sum(up) > 1"}]}]}
global: {rbac: {createAggregateClusterRoles: true}, imageRegistry: r.example.com}
""",
    ),
    "ingress-nginx": (
        "kubernetes/ingress-nginx",
        "charts/ingress-nginx",
        {},
        """controller:
  kind: DaemonSet
  hostNetwork: true
  metrics: {enabled: true, serviceMonitor: {enabled: true}, prometheusRule: {enabled: true}}
  config: {use-forwarded-headers: "true", proxy-body-size: 10m}
  extraArgs: {default-ssl-certificate: "ns/tls"}
tcp: {"8080": default/example:9000}
udp: {"53": kube-system/dns:53}
""",
        """controller:
  autoscaling: {enabled: true, minReplicas: 2, maxReplicas: 5, targetMemoryUtilizationPercentage: 70}
  admissionWebhooks: {certManager: {enabled: true}}
  service: {type: NodePort, annotations: {a.b/c: "x"}, externalTrafficPolicy: Local, internal: {enabled: true, annotations: {i: j}}}
  topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]
defaultBackend: {enabled: true}
imagePullSecrets: [{name: pull}]
""",
    ),
    "cert-manager": (
        "cert-manager/cert-manager",
        "deploy/charts/cert-manager",
        {},
        """crds: {enabled: true}
replicaCount: 2
podDisruptionBudget: {enabled: true, minAvailable: 1}
prometheus: {enabled: true, servicemonitor: {enabled: true, labels: {a: b}}}
featureGates: "A=true,B=false"
webhook: {networkPolicy: {enabled: true}, hostNetwork: true, securePort: 10260}
""",
        """global: {priorityClassName: high, commonLabels: {team: x}, leaderElection: {namespace: cm}, imagePullSecrets: [{name: s}]}
config: {apiVersion: controller.config.cert-manager.io/v1alpha1, kind: ControllerConfiguration, logging: {verbosity: 2}}
cainjector: {enabled: false}
startupapicheck: {enabled: false}
extraArgs: [--enable-certificate-owner-ref=true]
dns01RecursiveNameservers: "1.1.1.1:53"
approveSignerNames: []
""",
    ),
    "argo-cd": (
        "argoproj/argo-helm",
        "charts/argo-cd",
        {},
        """global: {domain: cd.example.com, logging: {format: json}, addPrometheusAnnotations: true}
server: {ingress: {enabled: true, tls: true}, autoscaling: {enabled: true, minReplicas: 2}}
configs:
  cm: {exec.enabled: true, oidc.config: "name: x\\nissuer: https://i"}
  rbac: {policy.csv: "g, a, role:admin"}
  secret: {argocdServerAdminPassword: "$2a$10$abcdefghijklmnopqrstuu", argocdServerAdminPasswordMtime: "2024-01-01T00:00:00Z"}
  repositories: {own: {url: https://g.example.com/r, type: git}}
dex: {enabled: false}
""",
        """fullnameOverride: argo
createAggregateRoles: true
controller: {replicas: 3, dynamicClusterDistribution: true, metrics: {enabled: true, serviceMonitor: {enabled: true}, rules: {enabled: true, spec: [{alert: A, expr: up == 0}]}}}
redis: {exporter: {enabled: true}, networkPolicy: {create: true}}
externalRedis: {host: ""}
notifications: {argocdUrl: https://cd, notifiers: {service.slack: "token: $t"}}
applicationSet: {ingress: {enabled: true}, certificate: {enabled: true, domain: a.example.com, issuer: {name: i}}}
extraObjects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: "{{ .Release.Name }}-x"}}]
""",
    ),
    "podinfo": (
        "stefanprodan/podinfo",
        "charts/podinfo",
        {},
        """replicaCount: 3
ui: {color: "#fff", message: "it's \\"quoted\\""}
hpa: {enabled: true, maxReplicas: 9, cpu: 80, memory: 1Gi}
ingress: {enabled: true, className: nginx, hosts: [{host: a.example.com, paths: [{path: /, pathType: Prefix}]}]}
serviceMonitor: {enabled: true}
redis: {enabled: true}
""",
        """backends: [http://b:9898/echo]
linkerd: {profile: {enabled: true}}
certificate: {create: true, dnsNames: [x.example.com], issuerRef: {kind: Issuer, name: i}}
tls: {enabled: true, secretName: t}
probes: {readiness: {initialDelaySeconds: 5}}
tolerations: [{key: a, operator: Exists}]
faults: {delay: true, error: true}
""",
    ),
    "bitnami-postgresql": (
        "bitnami/charts",
        "bitnami/postgresql",
        {"common": "bitnami/common"},
        """architecture: replication
auth: {postgresPassword: a, replicationPassword: b, username: u, password: p, database: d}
readReplicas: {replicaCount: 2}
metrics: {enabled: true, serviceMonitor: {enabled: true}, prometheusRule: {enabled: true, rules: [{alert: A, expr: "up{x=\\"1\\"} == 0"}]}}
backup: {enabled: true}
""",
        """auth: {existingSecret: s, enablePostgresUser: true}
tls: {enabled: true, autoGenerated: false, certificatesSecret: c, certFilename: a, certKeyFilename: b}
global: {imageRegistry: r.example.com, security: {allowInsecureImages: true}, storageClass: fast}
primary:
  initdb: {scripts: {a.sql: "select 1;\\nselect 2;\\n"}}
  extendedConfiguration: "max_connections = 5"
  nodeAffinityPreset: {type: hard, key: k, values: [a, b]}
  pdb: {create: true, maxUnavailable: 1}
commonLabels: {x: "y"}
ldap: {enabled: true, server: l, suffix: "cn=x"}
""",
    ),
    "external-secrets": (
        "external-secrets/external-secrets",
        "deploy/charts/external-secrets",
        {},
        """replicaCount: 2
leaderElect: true
scopedNamespace: ns
scopedRBAC: true
webhook: {certManager: {enabled: true, cert: {issuerRef: {name: i}}}}
serviceMonitor: {enabled: true}
podDisruptionBudget: {enabled: true, minAvailable: 1}
""",
        """installCRDs: true
webhook: {create: false}
certController: {create: false}
extraObjects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}]
metrics: {service: {enabled: true}}
grafanaDashboard: {enabled: true}
priorityClassName: high
extraArgs: {loglevel: debug}
crds: {createClusterGenerator: false, annotations: {a: b}}
""",
    ),
    "istiod": (
        "istio/istio",
        "manifests/charts/istio-control/istio-discovery",
        {},
        """revision: canary
autoscaleMax: 9
meshConfig: {accessLogFile: /dev/stdout, defaultConfig: {tracing: {sampling: 10}}}
global: {hub: r.example.com, proxy: {privileged: true, logLevel: debug}, multiCluster: {clusterName: c}}
pilot: {cni: {enabled: true}, env: {A: "1", B: true}}
""",
        """profile: ambient
autoscaleEnabled: false
replicaCount: 2
resources: {limits: {cpu: 2}}
global: {istiod: {enableAnalysis: true}, configValidation: false, imagePullSecrets: [p]}
sidecarInjectorWebhook: {enableNamespacesByDefault: true, rewriteAppHTTPProbe: false}
telemetry: {enabled: false}
revisionTags: [stable]
""",
    ),
}


def clone(name, root):
    """The folder of a repository."""
    kept = os.environ.get("LOCKGATE_CHART_REPOS")
    for place in ([f"{kept}/{name.replace('/', '+')}/repo", f"{kept}/{name.replace('/', '+')}"] if kept else []):
        if os.path.isdir(place):
            return place
    place = f"{root}/{name.replace('/', '+')}"
    url = f"https://github.com/{name}"
    subprocess.run(["git", "clone", "-q", "--depth=1", url, place], check=True)
    return place


def unpack(repository, path, into):
    packed = subprocess.run(
        ["git", "-C", repository, "archive", f"HEAD:{path}"], check=True, stdout=subprocess.PIPE)
    os.makedirs(into)
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as files:
        files.extractall(into, filter="data")


def without(chart, kept):
    """Leaves the dependencies out that are not there; their names."""
    file = f"{chart}/Chart.yaml"
    with open(file, encoding="utf-8") as opened:
        text = opened.read()
    found = re.search(r"^dependencies:\n((?:[ -].*\n|\s*#.*\n|\n)*)", text, re.M)
    if not found:
        return []
    entries = re.split(r"^(?=\s*- )", found.group(1), flags=re.M)
    named = [(re.search(r"name: *(\S+)", entry), entry) for entry in entries]
    here = kept | set(os.listdir(f"{chart}/charts") if os.path.isdir(f"{chart}/charts") else [])
    left = [entry for name, entry in named if name and name.group(1) in here]
    gone = [name.group(1) for name, entry in named if name and name.group(1) not in here]
    new = "dependencies:\n" + "".join(left) if left else ""
    with open(file, "w", encoding="utf-8") as opened:
        opened.write(text.replace(found.group(0), new))
    return gone


def run(program, chart, flags):
    done = subprocess.run(
        [program, "template", "rel", chart, "-n", "ns", *flags], capture_output=True, check=False)
    # Warnings of the log, and a hint that only Helm gives.
    left_out = r"(level=|time=|\d{4}/\d\d/\d\d |Use --debug flag|$)"
    errors = [line for line in done.stderr.decode(errors="replace").splitlines()
              if not re.match(left_out, line)]
    return done.returncode, done.stdout, "\n".join(errors)


def random_lines(one, other):
    """The numbers of the lines in which two runs of one program differ."""
    pairs = zip(one[1].split(b"\n"), other[1].split(b"\n"), strict=False)
    return {number for number, (a, b) in enumerate(pairs) if a != b}


def masked(result, lines):
    text = [b"" if number in lines else line for number, line in enumerate(result[1].split(b"\n"))]
    return result[0], text, result[2]


def main():
    helm, lockgate, *only = sys.argv[1:]
    differ = 0
    with tempfile.TemporaryDirectory() as root:
        for name, (repository, path, dependencies, *values) in CHARTS.items():
            if only and name not in only:
                continue
            git = clone(repository, root)
            commit = subprocess.run(["git", "-C", git, "rev-parse", "--short=12", "HEAD"],
                                    check=True, capture_output=True, text=True).stdout.strip()
            chart = f"{root}/{name}"
            unpack(git, path, chart)
            for dependency, place in dependencies.items():
                unpack(git, place, f"{chart}/charts/{dependency}")
            gone = without(chart, set(dependencies))
            print(f"{name} ({repository} {commit}{', without ' + ', '.join(gone) if gone else ''})")
            sets = [("default values", [])]
            for number, text in enumerate(values, 1):
                file = f"{root}/{name}-{number}.yaml"
                with open(file, "w", encoding="utf-8") as opened:
                    opened.write(text)
                sets.append((f"values file {number}", ["-f", file]))
            for what, flags in sets:
                theirs, ours = (run(program, chart, flags) for program in (helm, lockgate))
                # What Helm itself gives anew each time is no difference.
                lines = random_lines(theirs, run(helm, chart, flags)) if theirs != ours else set()
                same = masked(theirs, lines) == masked(ours, lines)
                differ += not same
                size = f"{theirs[1].count(b'---' + bytes([10]))} documents, {len(theirs[1])} bytes"
                said = size if theirs[0] == 0 else "refused: " + theirs[2].splitlines()[-1][:150]
                lines = f", {len(lines)} random lines aside" if lines else ""
                print(f"  {what}: {'the same' if same else 'DIFFERENT'}{lines}; {said}", flush=True)
                if not same:
                    for who, result in (("helm", theirs), ("lockgate", ours)):
                        with open(f"/tmp/charts-{name}-{what.replace(' ', '-')}.{who}", "wb") as out:
                            out.write(result[1] + b"\n" + result[2].encode())
    sys.exit(1 if differ else 0)


main()
