"""What is measured. Each function returns a table: a list of rows, all with the same keys."""

import contextlib
import json
import math
import os
import pathlib
import statistics
import subprocess
import time

from lab import CONTROLLERS, ROOT, chart_archive, cpu_of, is_ready, run, several, spread

PATIENCE = 3600
WORKERS = "--concurrent=20"
HOUR = "1h"
POLL_INTERVAL = "500ms"


def named(kind, name, spec, **metadata):
    return {"kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def engines(lab, bench):
    """The pairs of `cargo bench -p lockgate-cli`; the bench itself decides what is a miss."""
    path = pathlib.Path(lab.options.out, f"{bench}.jsonl")
    path.unlink(missing_ok=True)
    command = ["cargo", "bench", "--quiet", "--package", "lockgate-cli", "--bench", bench]
    command += ["--profile", "dev"] if lab.options.profile == "dev" else []
    environment = {**os.environ, "BENCH_JSON": str(path.resolve()), "LOCKGATE": str(lab.bin / "lockgate")}
    if lab.options.quick:
        environment["LONGEST_SECONDS"] = "5"
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    print(done.stdout, flush=True)
    if not path.exists():
        raise SystemExit(f"{bench}: {done.stderr}")
    return [json.loads(line) for line in path.read_text().splitlines()]


def image_size(name):
    """What is pulled for an image of ours (`make images`), in MiB; None where none was made."""
    layout = ROOT / "target/images" / name / "layout"
    if not (layout / "index.json").exists():
        return None
    blob = lambda digest: layout / "blobs" / digest.replace(":", "/")
    for entry in json.loads((layout / "index.json").read_text())["manifests"]:
        manifest = json.loads(blob(entry["digest"]).read_text())
        if "subject" not in manifest:
            parts = [manifest["config"], *manifest["layers"]]
            return sum(part["size"] for part in parts) / 2**20
    return None


def sizes(lab):
    """The programs on disk, and our images."""
    rows = []
    for name in [*CONTROLLERS, "lockgate"]:
        theirs = lab.upstream.get(name)
        rows.append(
            {
                "program": name,
                "ours_mib": (lab.bin / name).stat().st_size / 2**20,
                "upstream_mib": theirs.stat().st_size / 2**20 if theirs else None,
                "image_mib": image_size(name),
            }
        )
    return rows


def starts(lab):
    """From the start of the process until /readyz answers 200, with nothing to reconcile."""
    rows = []
    namespace = lab.plane.namespace("starts")
    for name in CONTROLLERS:
        for side, binary in sides(lab, name):
            times, idle = [], []
            for _ in range(lab.options.runs + 2):
                with lab.programs(lab.start(binary, namespace)) as (program,):
                    times.append(program.started * 1000)
                    time.sleep(lab.options.settle / 2)
                    idle.append(program.resident())
            rows.append({"controller": name, "side": side, "ms": spread(times), "idle_mib": spread(idle)})
    lab.plane.forget(namespace)
    return rows


def sides(lab, name):
    yield "ours", lab.bin / name
    if name in lab.upstream:
        yield "upstream", lab.upstream[name]


def both_orders(lab, name, runs):
    """Ours and upstream's, then the other way round, and so on."""
    pairs = list(sides(lab, name))
    for turn in range(runs):
        yield from pairs if turn % 2 == 0 else reversed(pairs)


def folders(count, colour):
    """A repository of so many folders: a ConfigMap and a Deployment of no replicas in each."""
    for number in range(count):
        text = f"""apiVersion: v1
kind: ConfigMap
metadata: {{name: app-{number}}}
data: {{colour: {colour}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: app-{number}}}
spec:
  replicas: 0
  selector: {{matchLabels: {{app: app-{number}}}}}
  template:
    metadata: {{labels: {{app: app-{number}, colour: {colour}}}}}
    spec: {{containers: [{{name: app, image: "registry.example/app:1"}}]}}
"""
        yield f"app-{number}/app.yaml", text.encode()
        yield f"app-{number}/kustomization.yaml", b"resources: [app.yaml]\n"


def repository(lab, namespace, url, name="fleet", **more):
    spec = {"url": url, "interval": HOUR, "ref": {"branch": "main"}, "timeout": "10m"} | more
    lab.plane.apply(namespace, named("GitRepository", name, spec))


def revision_is(commit):
    return lambda each: each.get("status", {}).get("artifact", {}).get("revision", "").endswith(commit)


def applied_is(commit):
    return lambda each: is_ready(each) and each["status"].get("lastAppliedRevision", "").endswith(commit)


def ask_for_run(lab, kind, namespace, name):
    """Has an object reconciled now; returns what it calls the request when it has been."""
    token = str(time.time_ns())
    annotation = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": token}}}
    path = lab.plane.path(kind, namespace, name)
    lab.plane.ask("PATCH", path, annotation, "application/merge-patch+json")
    return token


class Timed:
    """Wall time and CPU time of programs, and of the API server."""

    def __init__(self, lab, *programs):
        self.programs, self.api = programs, lab.plane.pid()
        self.began = time.monotonic()
        self.cpu, self.api_cpu = sum(p.cpu() for p in programs), cpu_of(self.api)

    def row(self, until=None):
        return {
            "seconds": (until or time.monotonic()) - self.began,
            "cpu_seconds": sum(p.cpu() for p in self.programs) - self.cpu,
            "api_server_cpu_seconds": cpu_of(self.api) - self.api_cpu,
            "peak_mib": sum(p.peak() for p in self.programs),
        }


def units(lab, count, side="ours", shards=0):
    """So many Kustomizations: create → all Ready, then a commit that changes each → all Ready."""
    namespace = lab.plane.namespace("units")
    name = f"units-{count}"
    url, commit = lab.commit(name, folders(count, "blue"))
    binary = lab.bin / "kustomize-controller" if side == "ours" else lab.upstream["kustomize-controller"]
    source = lab.ours("source-controller", namespace)
    if shards:
        label = "sharding.fluxcd.io/key"
        controllers = [
            lab.start(binary, namespace, WORKERS, f"--watch-label-selector={label}=shard-{n}") for n in range(shards)
        ]
    else:
        label, controllers = None, [lab.start(binary, namespace, WORKERS)]
    with lab.programs(source, *controllers):
        repository(lab, namespace, url)
        lab.plane.watch("GitRepository", namespace, revision_is(commit), 1, PATIENCE)
        time.sleep(lab.options.settle)

        def unit(number):
            spec = {
                "interval": HOUR,
                "path": f"./app-{number}",
                "prune": True,
                "wait": True,
                "targetNamespace": namespace,
                "sourceRef": {"kind": "GitRepository", "name": "fleet"},
            }
            labels = {"labels": {label: f"shard-{number % shards}"}} if shards else {}
            return named("Kustomization", f"app-{number}", spec, **labels)

        timed = Timed(lab, *controllers)
        lab.plane.apply(namespace, *(unit(number) for number in range(count)))
        moments = lab.plane.watch("Kustomization", namespace, applied_is(commit), count, PATIENCE)
        row = {"count": count, "side": side, "create": timed.row(moments[-1])}
        row["create"]["median_unit_seconds"] = moments[len(moments) // 2] - timed.began
        time.sleep(lab.options.settle)
        row["rest_mib"] = sum(c.resident() for c in controllers)
        # What upstream takes for many is known by then, and was long.
        if side == "ours" or count <= 100:
            _, commit = lab.commit(name, folders(count, "green"))
            timed = Timed(lab, *controllers)
            ask_for_run(lab, "GitRepository", namespace, "fleet")
            moments = lab.plane.watch("Kustomization", namespace, applied_is(commit), count, PATIENCE)
            row["upgrade"] = timed.row(moments[-1])
    lab.plane.forget(namespace)
    return row


def releases(lab, count):
    """So many HelmReleases of one chart: create → all Ready, then other values for each → all Ready."""
    namespace = lab.plane.namespace("releases")
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {colour: {{ .Values.colour }}}\n"
    web = b"""apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: 0
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec: {containers: [{name: web, image: example.org/web}]}
"""
    files = [("values.yaml", b"colour: grey\n"), ("templates/map.yaml", text), ("templates/web.yaml", web)]
    url = lab.publish("charts/small-1.0.0.tgz", chart_archive("small", "1.0.0", files))
    index = f"apiVersion: v1\nentries:\n  small:\n  - {{apiVersion: v2, name: small, version: 1.0.0, urls: [{url}]}}\n"
    repository_url = lab.publish("charts/index.yaml", index.encode()).rsplit("/", 1)[0]
    source = lab.ours("source-controller", namespace, WORKERS)
    helm = lab.ours("helm-controller", namespace, WORKERS)
    with lab.programs(source, helm):
        lab.plane.apply(namespace, named("HelmRepository", "repo", {"url": repository_url, "interval": HOUR}))
        lab.plane.watch("HelmRepository", namespace, is_ready, 1, PATIENCE)

        def release(number, colour):
            chart = {"chart": "small", "interval": HOUR, "sourceRef": {"kind": "HelmRepository", "name": "repo"}}
            spec = {"interval": HOUR, "chart": {"spec": chart}, "values": {"colour": colour}}
            return named("HelmRelease", f"r{number}", spec)

        row = {"count": count, "side": "ours"}
        for step, colour in [("create", "blue"), ("upgrade", "green")]:
            time.sleep(lab.options.settle)
            timed = Timed(lab, helm)
            lab.plane.apply(namespace, *(release(number, colour) for number in range(count)))
            moments = lab.plane.watch("HelmRelease", namespace, is_ready, count, PATIENCE)
            row[step] = timed.row(moments[-1])
        time.sleep(lab.options.settle)
        row["rest_mib"] = helm.resident()
        row["source_rest_mib"] = source.resident()
    lab.plane.forget(namespace)
    return row


def one_unit(lab, count):
    """One Kustomization of so many objects: applied, watched for drift, verified, and all but one pruned."""
    namespace = lab.plane.namespace("objects")
    each = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: map-{0}}}\ndata: {{value: \"{0}\"}}\n"
    files = []
    for first in range(0, count, 100):
        text = "".join(each.format(number) for number in range(first, min(first + 100, count)))
        files.append((f"deploy/maps-{first}.yaml", text.encode()))
    listed = "".join(f"- {path.rsplit('/', 1)[1]}\n" for path, _ in files)
    files.append(("deploy/kustomization.yaml", f"resources:\n{listed}".encode()))
    url, commit = lab.commit(f"objects-{count}", files)
    source = lab.ours("source-controller", namespace)
    controller = lab.ours("kustomize-controller", namespace)
    with lab.programs(source, controller):
        repository(lab, namespace, url)
        lab.plane.watch("GitRepository", namespace, revision_is(commit), 1, PATIENCE)
        time.sleep(lab.options.settle)
        timed = Timed(lab, controller)
        spec = {
            "interval": HOUR,
            "timeout": "30m",
            "path": "./deploy",
            "prune": True,
            "targetNamespace": namespace,
            "driftDetection": {"mode": "enabled"},
            "sourceRef": {"kind": "GitRepository", "name": "fleet"},
        }
        lab.plane.apply(namespace, named("Kustomization", "all", spec))
        moments = lab.plane.watch("Kustomization", namespace, applied_is(commit), 1, PATIENCE)
        row = {"count": count, "side": "ours", **timed.row(moments[-1])}
        time.sleep(lab.options.settle)
        row["watched_rest_mib"] = controller.resident()
        timed, token = Timed(lab, controller), ask_for_run(lab, "Kustomization", namespace, "all")
        handled = lambda each: is_ready(each) and each["status"].get("lastHandledReconcileAt") == token
        row["verify"] = timed.row(lab.plane.watch("Kustomization", namespace, handled, 1, PATIENCE)[-1])
        one = [("deploy/maps-0.yaml", each.format(0).encode()), ("deploy/kustomization.yaml", b"resources: [maps-0.yaml]\n")]
        _, commit = lab.commit(f"objects-{count}", one)
        timed = Timed(lab, controller)
        ask_for_run(lab, "GitRepository", namespace, "fleet")
        row["prune"] = timed.row(lab.plane.watch("Kustomization", namespace, applied_is(commit), 1, PATIENCE)[-1])
    lab.plane.forget(namespace)
    return row


def sources(lab, count, remotes, side):
    """So many GitRepositories of some remotes: create → all Ready."""
    namespace = lab.plane.namespace("sources")
    urls = [lab.commit_once(f"remote-{n}", list(folders(20, "blue")))[0] for n in range(remotes)]
    binary = lab.bin / "source-controller" if side == "ours" else lab.upstream["source-controller"]
    with lab.programs(lab.start(binary, namespace, "--concurrent=10")) as (program,):
        time.sleep(lab.options.settle)
        timed = Timed(lab, program)
        spec = lambda number: {"url": urls[number % remotes], "interval": HOUR, "ref": {"branch": "main"}}
        lab.plane.apply(namespace, *(named("GitRepository", f"app-{n}", spec(n)) for n in range(count)))
        moments = lab.plane.watch("GitRepository", namespace, is_ready, count, PATIENCE)
        case = f"{count} of {remotes} remotes" if count > 1 else "one of 20 files"
        row = {"case": case, "side": side, **timed.row(moments[-1])}
        if count == 1:
            row["poll_cpu_ms"] = polls(lab, namespace, program, "app-0")
    lab.plane.forget(namespace)
    return row


def polls(lab, namespace, program, name):
    """CPU time of a poll at the interval that finds nothing new, in ms: the mean of some."""
    path = lab.plane.path("GitRepository", namespace, name)
    lab.plane.ask("PATCH", path, {"spec": {"interval": POLL_INTERVAL}}, "application/merge-patch+json")
    time.sleep(lab.options.settle)
    runs = lambda: program.metric("gotk_reconcile_duration_seconds_count")
    count, before = runs(), program.cpu()
    time.sleep(lab.options.polls)
    used = program.cpu() - before
    return used * 1000 / (runs() - count)


def large_source(lab, megabytes, side):
    """One GitRepository of this size, half of which compresses away: create → Ready."""
    namespace = lab.plane.namespace("large")
    name = f"large-{megabytes}"
    files = lambda: [
        (f"dir-{n // 100}/file-{n}.txt", os.urandom(25_000).hex().encode()) for n in range(megabytes * 20)
    ]
    url, _ = lab.commit_once(name, files)
    binary = lab.bin / "source-controller" if side == "ours" else lab.upstream["source-controller"]
    with lab.programs(lab.start(binary, namespace)) as (program,):
        time.sleep(lab.options.settle)
        timed = Timed(lab, program)
        repository(lab, namespace, url)
        moments = lab.plane.watch("GitRepository", namespace, is_ready, 1, PATIENCE)
        row = {"case": f"one of {megabytes} MB", "side": side, **timed.row(moments[-1])}
        row["poll_cpu_ms"] = polls(lab, namespace, program, "fleet")
    lab.plane.forget(namespace)
    return row


def idle(lab, count):
    """All six at rest, each with so many objects of its kind."""
    namespace = lab.plane.namespace("idle")
    with contextlib.ExitStack() as stack:
        programs = {}
        for name in CONTROLLERS:
            program = lab.ours(name, namespace)
            stack.callback(program.end)
            programs[name] = program
        if count:
            fill(lab, namespace, count)
        time.sleep(lab.options.settle * 2)
        before = {name: program.cpu() for name, program in programs.items()}
        time.sleep(lab.options.rest)
        rows = [
            {
                "objects": count,
                "controller": name,
                "mib": program.resident(),
                "peak_mib": program.peak(),
                "cpu_ms_per_minute": (program.cpu() - before[name]) * 60_000 / lab.options.rest,
            }
            for name, program in programs.items()
        ]
    lab.plane.forget(namespace)
    return rows


def fill(lab, namespace, count, interval=HOUR):
    """Makes so many objects of the main kind of each controller, and waits until they are Ready."""
    plane, each = lab.plane, range(count)
    url, commit = lab.commit(f"idle-{count}", folders(count, "blue"))
    source = lambda name: {"sourceRef": {"kind": "GitRepository", "name": name}}
    git = {"url": url, "interval": interval, "ref": {"branch": "main"}, "timeout": "10m"}
    small, _ = lab.commit_once("idle-small", lambda: [("values.yaml", b"a: b\n")])
    plane.apply(namespace, named("GitRepository", "fleet", git))
    few = lambda n: named("GitRepository", f"app-{n}", {**git, "url": small})
    plane.apply(namespace, *(few(n) for n in range(count - 1)))
    plane.watch("GitRepository", namespace, is_ready, count, PATIENCE)
    unit = lambda n: {
        "interval": interval, "path": f"./app-{n}", "prune": True, "targetNamespace": namespace, **source("fleet")
    }
    plane.apply(namespace, *(named("Kustomization", f"app-{n}", unit(n)) for n in each))
    plane.watch("Kustomization", namespace, applied_is(commit), count, PATIENCE)
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n"
    url = lab.publish("idle/tiny-1.0.0.tgz", chart_archive("tiny", "1.0.0", [("templates/map.yaml", text)]))
    index = f"apiVersion: v1\nentries:\n  tiny:\n  - {{apiVersion: v2, name: tiny, version: 1.0.0, urls: [{url}]}}\n"
    repository_url = lab.publish("idle/index.yaml", index.encode()).rsplit("/", 1)[0]
    plane.apply(namespace, named("HelmRepository", "repo", {"url": repository_url, "interval": interval}))
    chart = {"chart": "tiny", "interval": interval, "sourceRef": {"kind": "HelmRepository", "name": "repo"}}
    plane.apply(namespace, named("HelmChart", "tiny", chart))
    plane.watch("HelmChart", namespace, is_ready, 1, PATIENCE)
    release = {"interval": interval, "chartRef": {"kind": "HelmChart", "name": "tiny"}}
    plane.apply(namespace, *(named("HelmRelease", f"r{n}", release) for n in each))
    plane.watch("HelmRelease", namespace, is_ready, count, PATIENCE)
    # Nothing listens there: no event is worth a message, since all are information.
    plane.apply(namespace, named("Provider", "sink", {"type": "generic", "address": "http://127.0.0.1:1/"}))
    alert = {
        "providerRef": {"name": "sink"}, "eventSeverity": "error", "eventSources": [{"kind": "Bucket", "name": "*"}]
    }
    plane.apply(namespace, *(named("Alert", f"a{n}", alert) for n in each))
    image = lambda n: {"image": f"{lab.registry}/app-{n}", "interval": interval}
    plane.apply(namespace, *(named("ImageRepository", f"i{n}", image(n)) for n in each))
    plane.watch("ImageRepository", namespace, is_ready, count, PATIENCE)
    commit = {"author": {"email": "bench@example.com", "name": "bench"}}
    automation = {
        "interval": interval, **source("app-0" if count > 1 else "fleet"), "git": {"commit": commit},
        "update": {"path": ".", "strategy": "Setters"},
    }
    plane.apply(namespace, *(named("ImageUpdateAutomation", f"u{n}", automation) for n in each))
    plane.watch("ImageUpdateAutomation", namespace, is_ready, count, PATIENCE)


def failover(lab, count):
    """Two replicas elect a leader, which is killed (-9) amid an apply: how long until the other applies, and all is."""
    namespace = lab.plane.namespace("failover")
    url, commit = lab.commit(f"failover-{count}", folders(count, "blue"))
    source = lab.ours("source-controller", namespace)
    flags = [WORKERS, "--enable-leader-election=true"]
    first = lab.ours("kustomize-controller", namespace, *flags)
    second = lab.ours("kustomize-controller", namespace, *flags)
    with lab.programs(source, first, second):
        repository(lab, namespace, url)
        lab.plane.watch("GitRepository", namespace, revision_is(commit), 1, PATIENCE)
        leader = wait_for_leader(first, second)
        unit = lambda n: {
            "interval": HOUR, "path": f"./app-{n}", "prune": True, "wait": True, "targetNamespace": namespace,
            "sourceRef": {"kind": "GitRepository", "name": "fleet"},
        }
        lab.plane.apply(namespace, *(named("Kustomization", f"app-{n}", unit(n)) for n in range(count)))
        lab.plane.watch("Kustomization", namespace, applied_is(commit), max(count // 4, 1), PATIENCE)
        leader.kill()
        killed = time.monotonic()
        done = {each["metadata"]["name"] for each in lab.plane.list("Kustomization", namespace) if is_ready(each)}
        moments = lab.plane.watch("Kustomization", namespace, applied_is(commit), count, PATIENCE)
        after = [moment for moment in moments if moment > killed + 0.5]
        row = {
            "count": count,
            "ready_when_killed": len(done),
            "first_after_seconds": (after[0] - killed) if after else None,
            "all_after_seconds": moments[-1] - killed,
        }
    lab.plane.forget(namespace)
    return row


def wait_for_leader(*programs):
    """The replica that uses CPU for its reconciles is not told by its port: its log says so."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for program in programs:
            text = pathlib.Path(program.folder, "log").read_text(errors="replace")
            if "leader" in text and any(word in text for word in ("became leader", "acquired", "is the leader")):
                return program
        time.sleep(0.1)
    raise SystemExit("no leader")


def exponent(points):
    """The slope of a line through points on logarithmic scales: 1 is linear growth, 2 quadratic."""
    points = [(math.log(x), math.log(y)) for x, y in points if x > 0 and y > 0]
    if len(points) < 2:
        return None
    mean_x, mean_y = (statistics.mean(axis) for axis in zip(*points))
    across = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / across if across else None
