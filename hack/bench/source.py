#!/usr/bin/env python3
"""Measures a source-controller: time, processor seconds and memory.

    hack/bench/source.py --binary target/release/source-controller [small] [index] [many] [large]

`small`: a repository of 60 files. `index`: a Helm index of 44 MB. `many`: 500 GitRepositories of 50 remotes at rest.
`large`: a repository of 10,000 files and 500 MB. All four where none is named. The control plane has to run (`cargo xtask cluster up`, then the KUBECONFIG
that it prints), kubectl and git have to be on the PATH. Any controller that takes the same flags can be measured, so
that two can be compared in the same run of the machine: repeat `--binary`.
"""

import argparse
import http.server
import json
import os
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")
GROUP = "source.toolkit.fluxcd.io/v1"
POLLS = 10


class Server(http.server.ThreadingHTTPServer):
    """Static files below /www/, repositories below /git/ by `git http-backend`."""

    daemon_threads = True

    def __init__(self, root):
        super().__init__(("127.0.0.1", 0), Handler)
        self.root = root
        self.asked = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(body)

    def answer(self, body):
        self.server.asked.append((self.command, self.path, body[:200]))
        path, _, query = self.path.partition("?")
        if path.startswith("/www/"):
            with open(self.server.root + path, "rb") as file:
                about = os.fstat(file.fileno())
                tag = f'"{about.st_mtime_ns}"'
                if self.headers.get("If-None-Match") == tag:
                    self.send_response(304)
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("ETag", tag)
                self.send_header("Content-Length", str(about.st_size))
                self.end_headers()
                shutil.copyfileobj(file, self.wfile)
            return
        environment = dict(
            os.environ,
            GIT_PROJECT_ROOT=self.server.root + "/git",
            GIT_HTTP_EXPORT_ALL="1",
            PATH_INFO=path.removeprefix("/git"),
            QUERY_STRING=query,
            REQUEST_METHOD=self.command,
            CONTENT_TYPE=self.headers.get("Content-Type", ""),
            CONTENT_LENGTH=str(len(body)),
            GIT_PROTOCOL=self.headers.get("Git-Protocol", ""),
        )
        if self.headers.get("Content-Encoding") == "gzip":
            environment["HTTP_CONTENT_ENCODING"] = "gzip"
        backend = subprocess.Popen(
            ["git", "http-backend"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        threading.Thread(target=lambda: (backend.stdin.write(body), backend.stdin.close())).start()
        status, headers = 200, []
        while line := backend.stdout.readline().strip():
            name, _, value = line.decode().partition(": ")
            if name == "Status":
                status = int(value.split()[0])
            else:
                headers.append((name, value))
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while chunk := backend.stdout.read1(1 << 16):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")
        backend.wait()


def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Controller:
    def __init__(self, binary, namespace, folder):
        storage = f"{folder}/storage"
        os.makedirs(storage)
        os.makedirs(f"{folder}/tmp")
        address = f"127.0.0.1:{port()}"
        self.log = open(f"{folder}/log", "w")
        self.process = subprocess.Popen(
            [
                binary,
                f"--storage-path={storage}",
                f"--storage-addr={address}",
                f"--storage-adv-addr={address}",
                f"--metrics-addr=127.0.0.1:{port()}",
                f"--health-addr=127.0.0.1:{port()}",
                "--watch-all-namespaces=false",
                "--concurrent=10",
                "--events-addr=",
            ],
            env=dict(os.environ, RUNTIME_NAMESPACE=namespace, TMPDIR=f"{folder}/tmp"),
            stdout=self.log,
            stderr=self.log,
        )

    def check(self):
        """Ends the measurement where the controller has ended: nothing would come of waiting."""
        if self.process.poll() is not None:
            with open(self.log.name) as log:
                raise SystemExit(f"the controller ended with {self.process.returncode}:\n{log.read()[-3000:]}")

    def seconds(self):
        """Processor seconds, of the process and of children that ended."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:15])) / TICK

    def memory(self, field):
        with open(f"/proc/{self.process.pid}/status") as file:
            line = next(line for line in file if line.startswith(field))
        return int(line.split()[1]) / 1024

    def forget_peak(self):
        with open(f"/proc/{self.process.pid}/clear_refs", "w") as file:
            file.write("5")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def kubectl(*arguments, given=None):
    run = subprocess.run(["kubectl", *arguments], input=given, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(run.stderr)
    return run.stdout


def apply(namespace, objects):
    # One document: kubectl takes what begins as JSON for JSON to its end.
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    kubectl("apply", "-n", namespace, "--server-side", "-f", "-", given=given)


def source(kind, name, spec):
    return {"apiVersion": GROUP, "kind": kind, "metadata": {"name": name}, "spec": spec}


def ready(namespace, kind, count, patience=900):
    """Waits until so many objects are ready; returns how long it took."""
    began = time.monotonic()
    while time.monotonic() - began < patience:
        found = json.loads(kubectl("get", kind, "-n", namespace, "-o", "json"))["items"]
        states = [
            condition["status"]
            for each in found
            for condition in each.get("status", {}).get("conditions", [])
            if condition["type"] == "Ready"
        ]
        if states.count("True") == count:
            return time.monotonic() - began
        time.sleep(0.2)
    raise SystemExit(f"not ready after {patience} s: {states}")


def request(namespace, resource):
    """Asks for a run and waits until it was answered."""
    value = str(time.time_ns())
    kubectl("annotate", "--overwrite", "-n", namespace, resource, f"reconcile.fluxcd.io/requestedAt={value}")
    while kubectl("get", "-n", namespace, resource, "-o", "jsonpath={.status.lastHandledReconcileAt}") != value:
        time.sleep(0.1)


def index(bench):
    """Writes an index of 44 MB of charts as public repositories have them."""
    chance = random.Random(1)
    lines, size, chart = ["apiVersion: v1\n", "entries:\n"], 0, 0
    while size < 44_000_000:
        lines.append(f"  chart-{chart}:\n")
        for version in range(40):
            entry = (
                f"  - apiVersion: v2\n    appVersion: 1.{version}.0\n    created: \"2024-01-01T00:00:{version:02}Z\"\n"
                f"    description: {'a chart that does what charts do ' * 8}\n"
                f"    digest: {chance.getrandbits(256):064x}\n    home: https://charts.example/{chart}\n"
                f"    keywords: [a, b, c]\n    maintainers:\n    - {{name: someone, email: someone@charts.example}}\n"
                f"    name: chart-{chart}\n    urls:\n    - https://charts.example/chart-{chart}-{version}.tgz\n"
                f"    version: 1.{version}.0\n"
            )
            lines.append(entry)
            size += len(entry)
        chart += 1
    os.makedirs(f"{bench.root}/www/charts", exist_ok=True)
    with open(f"{bench.root}/www/charts/index.yaml", "w") as file:
        file.writelines(lines)
    bench.say("idle", bench.controller.memory("VmRSS"))
    bench.controller.forget_peak()
    before = bench.controller.seconds()
    apply(bench.namespace, [source("HelmRepository", "big", {"url": f"{bench.server.url}/www/charts", "interval": "10m"})])
    took = ready(bench.namespace, "helmrepositories", 1)
    used = bench.controller.seconds() - before
    bench.say("index", f"ready after {took:.1f} s, {used:.2f} CPU s, peak {bench.controller.memory('VmHWM'):.0f} MiB")
    before = bench.controller.seconds()
    request(bench.namespace, "helmrepository/big")
    bench.say("index, poll without change", f"{bench.controller.seconds() - before:.2f} CPU s")
    kubectl("delete", "helmrepository", "big", "-n", bench.namespace)


def many(bench):
    """500 GitRepositories of 50 remotes, polled each minute."""
    for number in range(50):
        repository(bench, f"app-{number}", [(f"deploy/{at}.yaml", b"kind: ConfigMap\n") for at in range(20)])
    spec = lambda number: {
        "url": f"{bench.server.url}/git/app-{number % 50}.git",
        "interval": "1m",
        "ref": {"branch": "main"},
    }
    apply(bench.namespace, [source("GitRepository", f"app-{number}", spec(number)) for number in range(500)])
    took = ready(bench.namespace, "gitrepositories", 500)
    time.sleep(10)
    asked, before = len(bench.server.asked), bench.controller.seconds()
    time.sleep(120)
    # Each poll begins so, whatever version of the protocol it speaks; polls of one remote may share the answer.
    listings = [path for _, path, _ in bench.server.asked[asked:] if "/info/refs" in path]
    used = bench.controller.seconds() - before
    bench.say(
        "many",
        f"ready after {took:.1f} s; at rest {bench.controller.memory('VmRSS'):.0f} MiB, {len(listings)} listings in 120 s, "
        f"{used:.2f} CPU s for 1,000 polls, {used:.2f} CPU ms a poll",
    )
    kubectl("delete", "gitrepositories", "--all", "-n", bench.namespace)


def small(bench):
    """60 files of 2 kB."""
    chance = random.Random(2)
    files = ((f"deploy/{at}.yaml", chance.randbytes(1_000).hex().encode()) for at in range(60))
    repository(bench, "small", files)
    one(bench, "small")


def large(bench):
    """10,000 files of 50 kB, half of which compresses away."""
    chance = random.Random(1)
    files = ((f"dir-{at // 100}/file-{at}.txt", chance.randbytes(25_000).hex().encode()) for at in range(10_000))
    repository(bench, "large", files)
    one(bench, "large")


def one(bench, name):
    """From the creation of one GitRepository to Ready, then polls that find nothing new."""
    bench.controller.forget_peak()
    before = bench.controller.seconds()
    spec = {"url": f"{bench.server.url}/git/{name}.git", "interval": "10m", "timeout": "10m", "ref": {"branch": "main"}}
    apply(bench.namespace, [source("GitRepository", name, spec)])
    took = ready(bench.namespace, "gitrepositories", 1)
    used = bench.controller.seconds() - before
    bench.say(name, f"ready after {took:.1f} s, {used:.2f} CPU s, peak {bench.controller.memory('VmHWM'):.0f} MiB")
    before = bench.controller.seconds()
    for _ in range(POLLS):
        request(bench.namespace, f"gitrepository/{name}")
    used = 1000 * (bench.controller.seconds() - before) / POLLS
    bench.say(f"{name}, poll without change", f"{used:.1f} CPU ms, mean of {POLLS}")
    kubectl("delete", "gitrepository", name, "-n", bench.namespace)


def repository(bench, name, files):
    path = f"{bench.root}/git/{name}.git"
    if os.path.isdir(path):
        return
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", path], check=True)
    subprocess.run(["git", "-C", path, "config", "http.receivepack", "false"], check=True)
    importing = subprocess.Popen(["git", "-C", path, "fast-import", "--quiet"], stdin=subprocess.PIPE)
    write = importing.stdin.write
    write(b"commit refs/heads/main\ncommitter a <a@b.example> 1700000000 +0000\ndata 5\nfirst\n")
    for name, content in files:
        write(b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(content), content))
    importing.stdin.close()
    if importing.wait():
        raise SystemExit("git fast-import failed")


class Bench:
    def __init__(self, binary, root, server):
        self.root, self.server = root, server
        self.namespace = f"bench-{time.time_ns()}"
        self.binary = binary
        kubectl("create", "namespace", self.namespace)
        self.controller = Controller(binary, self.namespace, tempfile.mkdtemp(dir=root))
        time.sleep(3)
        self.controller.check()

    def say(self, what, text):
        print(f"{self.binary}: {what}: {text if isinstance(text, str) else f'{text:.0f} MiB'}", flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--binary", action="append", required=True)
    arguments.add_argument("--crds", default="config/crd/bases")
    arguments.add_argument("what", nargs="*", choices=["small", "index", "many", "large", []])
    arguments = arguments.parse_args()
    # Without it kubectl and controllers would look for another cluster, each for its own.
    if not os.path.isfile(os.environ.get("KUBECONFIG", "")):
        raise SystemExit("KUBECONFIG names no file: export what `cargo xtask cluster up` prints")
    kubectl("apply", "--server-side", "--force-conflicts", "-f", arguments.crds)
    measures = {"small": small, "index": index, "many": many, "large": large}
    with tempfile.TemporaryDirectory(prefix="lockgate-bench-") as root:
        server = Server(root)
        for name in arguments.what or measures:
            for binary in arguments.binary:
                bench = Bench(binary, root, server)
                try:
                    measures[name](bench)
                finally:
                    bench.controller.stop()
                    kubectl("delete", "namespace", bench.namespace, "--wait=false")


if __name__ == "__main__":
    main()
