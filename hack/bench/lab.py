"""What the measurements share: a control plane, controllers as plain processes, a Git and file server."""

import base64
import contextlib
import fcntl
import http.client
import http.server
import io
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import statistics
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.parse

import source

ROOT = pathlib.Path(__file__).resolve().parents[2]
TICK = os.sysconf("SC_CLK_TCK")
CONTROLLERS = [
    "source-controller",
    "kustomize-controller",
    "helm-controller",
    "notification-controller",
    "image-reflector-controller",
    "image-automation-controller",
]
PLURALS = {
    "Namespace": "namespaces",
    "Secret": "secrets",
    "ConfigMap": "configmaps",
    "GitRepository": "gitrepositories",
    "HelmRepository": "helmrepositories",
    "HelmChart": "helmcharts",
    "Kustomization": "kustomizations",
    "HelmRelease": "helmreleases",
    "Alert": "alerts",
    "Provider": "providers",
    "ImageRepository": "imagerepositories",
    "ImagePolicy": "imagepolicies",
    "ImageUpdateAutomation": "imageupdateautomations",
    "Lease": "leases",
}
VERSIONS = {
    "GitRepository": "source.toolkit.fluxcd.io/v1",
    "HelmRepository": "source.toolkit.fluxcd.io/v1",
    "HelmChart": "source.toolkit.fluxcd.io/v1",
    "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
    "HelmRelease": "helm.toolkit.fluxcd.io/v2",
    "Alert": "notification.toolkit.fluxcd.io/v1beta3",
    "Provider": "notification.toolkit.fluxcd.io/v1beta3",
    "ImageRepository": "image.toolkit.fluxcd.io/v1",
    "ImagePolicy": "image.toolkit.fluxcd.io/v1",
    "ImageUpdateAutomation": "image.toolkit.fluxcd.io/v1",
    "Lease": "coordination.k8s.io/v1",
}
SIDE_BY_SIDE = 8


def run(*command, **more):
    """Runs a program; returns what it prints."""
    more.setdefault("cwd", ROOT)
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr}")
    return done.stdout.strip()


def cpu_of(pid):
    """CPU seconds of a process and of its children that ended."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / TICK


def memory_of(pid, field="VmRSS"):
    """A line of /proc/PID/status in MiB."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"no {field}")


class Plane:
    """A control plane (`cargo xtask cluster up`), spoken to without kubectl, whose own work would count.

    Where none is named it is one of the report's own: other controllers on it that watch all namespaces would reconcile what is
    measured."""

    def __init__(self, kubeconfig):
        # A folder: where profiles of all programs are written.
        self.profiles = None
        self.down = lambda: None
        if kubeconfig is None:
            lines = run("cargo", "xtask", "cluster", "up", "--name", "bench").splitlines()
            exports = dict(line.removeprefix("export ").split("=", 1) for line in lines if "=" in line)
            kubeconfig = exports["KUBECONFIG"].strip("'\";")
            self.lock = open(pathlib.Path(kubeconfig).parent / "report.lock", "w")
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SystemExit("another report is being made") from None
            self.down = lambda: run("cargo", "xtask", "cluster", "down", "--name", "bench")
        self.kubeconfig = kubeconfig
        config = json.loads(pathlib.Path(self.kubeconfig).read_text())
        self.host = urllib.parse.urlparse(config["clusters"][0]["cluster"]["server"]).netloc
        self.context = ssl.create_default_context(
            cadata=base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        )
        user = config["users"][0]["user"]
        with tempfile.NamedTemporaryFile("wb") as pem:
            pem.write(base64.b64decode(user["client-certificate-data"]))
            pem.write(base64.b64decode(user["client-key-data"]))
            pem.flush()
            self.context.load_cert_chain(pem.name)
        self.local = threading.local()

    def connect(self):
        return http.client.HTTPSConnection(self.host, context=self.context, timeout=300)

    def ask(self, method, path, body=None, kind="application/json", allow=()):
        """One request; the answer as JSON."""
        data = None if body is None else json.dumps(body)
        for attempt in range(8):
            connection = getattr(self.local, "connection", None)
            if connection is None:
                connection = self.local.connection = self.connect()
            try:
                connection.request(method, path, data, {"Content-Type": kind, "Accept": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
            except (http.client.HTTPException, OSError):
                self.local.connection = None
                if attempt:
                    raise
                continue
            if answer.status != 429:
                break
            time.sleep(int(answer.getheader("Retry-After", "1")))
        if answer.status >= 300 and answer.status not in allow:
            raise SystemExit(f"{method} {path}: {answer.status} {text[:500]}")
        return json.loads(text)

    @staticmethod
    def path(kind, namespace=None, name=None, rest=""):
        version = VERSIONS.get(kind, "v1")
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        space = f"/namespaces/{namespace}" if namespace and kind != "Namespace" else ""
        return f"{base}{space}/{PLURALS[kind]}" + (f"/{name}" if name else "") + rest

    def apply(self, namespace, *objects):
        """Applies objects, some at a time."""
        several(lambda each: self.apply_one(namespace, each), objects)

    def apply_one(self, namespace, each):
        kind = each["kind"]
        each = {"apiVersion": VERSIONS.get(kind, "v1"), **each}
        path = self.path(kind, namespace, each["metadata"]["name"], "?fieldManager=bench&force=true")
        self.ask("PATCH", path, each, "application/apply-patch+yaml")

    def list(self, kind, namespace):
        return self.ask("GET", self.path(kind, namespace, rest="?resourceVersion=0"))["items"]

    def namespace(self, prefix):
        name = f"{prefix}-{time.time_ns() % 10**10}"
        self.apply_one(None, {"kind": "Namespace", "metadata": {"name": name}})
        while not any(each["metadata"]["name"] == "default" for each in self.accounts(name)):
            time.sleep(0.1)
        return name

    def accounts(self, namespace):
        return self.ask("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts")["items"]

    def forget(self, namespace):
        """Removes a namespace with all its objects, without waiting for controllers that have ended."""
        for kind in VERSIONS:
            for each in self.list(kind, namespace):
                if each["metadata"].get("finalizers"):
                    path = self.path(kind, namespace, each["metadata"]["name"])
                    self.ask("PATCH", path, {"metadata": {"finalizers": None}}, "application/merge-patch+json", (404,))
            self.ask("DELETE", self.path(kind, namespace))
        self.ask("DELETE", self.path("Namespace", name=namespace))

    def pid(self):
        """The process of this API server, for its CPU time."""
        port = f"--secure-port={self.host.rsplit(':', 1)[1]}"
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                # The shell that supervises it has the same words after its own.
                if words[0].endswith(b"/kube-apiserver") and port.encode() in words:
                    return int(folder.name)
        raise SystemExit("no API server")

    def watch(self, kind, namespace, wanted, count, patience):
        """Waits until `count` objects are as `wanted`; returns the moments at which each was, in order."""
        objects = self.ask("GET", self.path(kind, namespace))
        moments = {}

        def look(each):
            if wanted(each):
                moments.setdefault(each["metadata"]["name"], time.monotonic())

        for each in objects["items"]:
            look(each)
        version = objects["metadata"]["resourceVersion"]
        deadline = time.monotonic() + patience
        connection = self.connect()
        query = f"?watch=1&resourceVersion={version}&timeoutSeconds={int(patience)}"
        connection.request("GET", self.path(kind, namespace, rest=query))
        connection.sock.settimeout(patience)
        answer = connection.getresponse()
        try:
            while len(moments) < count:
                if time.monotonic() > deadline:
                    raise SystemExit(f"{len(moments)} of {count} {kind} after {patience} s")
                line = answer.readline()
                if not line:
                    raise SystemExit(f"{len(moments)} of {count} {kind} when the watch ended")
                event = json.loads(line)
                if event["type"] in ("ADDED", "MODIFIED"):
                    look(event["object"])
        finally:
            connection.close()
        return sorted(moments.values())


def several(act, things):
    """Does something with each, some at a time."""
    todo, lock, failures = iter(list(things)), threading.Lock(), []

    def work():
        while not failures:
            with lock:
                each = next(todo, todo)
            if each is todo:
                return
            try:
                act(each)
            except BaseException as failure:  # Told by the thread that waits.
                failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(SIDE_BY_SIDE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def is_ready(each):
    status = each.get("status", {})
    if status.get("observedGeneration") not in (None, each["metadata"].get("generation")):
        return False
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))


class Program:
    """A controller, ours or upstream's: both take the same flags."""

    def __init__(self, binary, plane, namespace, *flags):
        self.binary = pathlib.Path(binary)
        self.name = self.binary.name
        self.folder = tempfile.mkdtemp(prefix="lockgate-bench-program-")
        self.storage = f"{self.folder}/storage"
        os.makedirs(self.storage)
        self.health, self.metrics, self.address = (f"127.0.0.1:{source.port()}" for _ in range(3))
        arguments = [
            f"--health-addr={self.health}",
            f"--metrics-addr={self.metrics}",
            "--watch-all-namespaces=false",
        ]
        if self.name == "source-controller":
            arguments += [f"--storage-path={self.storage}"]
            arguments += [f"--storage-addr={self.address}", f"--storage-adv-addr={self.address}"]
        if self.name == "image-reflector-controller":
            arguments += [f"--storage-path={self.storage}"]
        if self.name == "notification-controller":
            arguments += [f"--events-addr={self.address}", f"--receiverAddr=127.0.0.1:{source.port()}"]
            arguments += [f"--spool-path={self.storage}"]
        else:
            arguments += ["--events-addr="]
        environment = {k: v for k, v in os.environ.items() if k not in ("HTTP_PROXY", "HTTPS_PROXY")}
        environment |= {"KUBECONFIG": plane.kubeconfig, "RUNTIME_NAMESPACE": namespace, "TMPDIR": self.folder}
        self.log = open(f"{self.folder}/log", "wb")
        began = time.monotonic()
        self.process = subprocess.Popen(
            [str(binary), *arguments, *flags], env=environment, stdout=self.log, stderr=self.log, cwd=self.folder
        )
        self.pid = self.process.pid
        self.wait()
        self.started = time.monotonic() - began
        self.profile = None
        if plane.profiles:
            # Not sooner: threads that a process has later are missed.
            to = f"{plane.profiles}/{self.name}-{self.pid}.data"
            self.profile = subprocess.Popen(["perf", "record", "-q", "-g", "-F", "499", "-o", to, "-p", str(self.pid)])
            time.sleep(1)

    def wait(self):
        """Waits until /readyz answers 200."""
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection(self.health, timeout=5)
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return
            if self.process.poll() is not None or time.monotonic() > deadline:
                text = pathlib.Path(self.folder, "log").read_text(errors="replace")
                raise SystemExit(f"{self.binary} is not ready:\n{text[-3000:]}")
            time.sleep(0.005)

    def cpu(self):
        return cpu_of(self.pid)

    def resident(self):
        return memory_of(self.pid)

    def peak(self):
        return memory_of(self.pid, "VmHWM")

    def metric(self, name):
        """The sum of a metric over all its labels."""
        connection = http.client.HTTPConnection(self.metrics, timeout=30)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        return sum(float(value) for value in re.findall(rf"^{name}\{{.*\}} (\S+)$", text, re.M))

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
        if self.profile:
            self.profile.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Lab:
    """What one report measures with."""

    def __init__(self, options):
        self.options = options
        self.bin = pathlib.Path(options.bin_dir).resolve()
        self.plane = Plane(options.kubeconfig)
        self.root = tempfile.mkdtemp(prefix="lockgate-bench-")
        self.server = source.Server(self.root)
        self.repositories = {}
        self.registry = registry()
        self.upstream = {}
        if options.upstream:
            for script in ("hack/interop/build", "hack/bench/upstream/build"):
                try:
                    folder = pathlib.Path(run(ROOT / script))
                except SystemExit as failure:
                    # Ours are worth measuring alone; the report names what was compared.
                    print(f"not compared: {failure}", flush=True)
                    continue
                for path in folder.glob("*-controller"):
                    self.upstream[path.name] = path

    def start(self, binary, namespace, *flags):
        return Program(binary, self.plane, namespace, *flags)

    def commit_once(self, name, files):
        """The repository as it is, or made now of what the function gives."""
        if name not in self.repositories:
            return self.commit(name, files() if callable(files) else files)
        return f"{self.server.url}/git/{name}.git", None

    def close(self):
        self.server.shutdown()
        shutil.rmtree(self.root, ignore_errors=True)
        self.plane.down()

    def ours(self, name, namespace, *flags):
        return Program(self.bin / name, self.plane, namespace, *flags)

    @contextlib.contextmanager
    def programs(self, *programs):
        try:
            yield programs
        finally:
            for program in programs:
                program.end()

    def commit(self, name, files):
        """Makes a commit of exactly these files the tip of main; returns the repository's URL and the commit."""
        path = f"{self.root}/git/{name}.git"
        if not os.path.isdir(path):
            run("git", "init", "-q", "--bare", "-b", "main", path)
        number = self.repositories[name] = self.repositories.get(name, 0) + 1
        stream = io.BytesIO()
        stream.write(b"commit refs/heads/main\ncommitter a <a@b.example> %d +0000\ndata 1\nx\n" % (1_700_000_000 + number))
        if number > 1:
            stream.write(b"from refs/heads/main^0\ndeleteall\n")
        for file, content in files:
            stream.write(b"M 100644 inline %s\ndata %d\n%s\n" % (file.encode(), len(content), content))
        stream.write(b"\ndone\n")
        subprocess.run(["git", "-C", path, "fast-import", "--quiet", "--done"], input=stream.getvalue(), check=True)
        return f"{self.server.url}/git/{name}.git", run("git", "-C", path, "rev-parse", "main")

    def publish(self, name, content):
        """Puts a file on the web server; returns its URL."""
        path = pathlib.Path(self.root, "www", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return f"{self.server.url}/www/{name}"


class Tags(http.server.BaseHTTPRequestHandler):
    """A registry in which every repository has the same tags."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        name = self.path.removeprefix("/v2/").removesuffix("/tags/list").partition("?")[0]
        body = json.dumps({"name": name, "tags": [f"1.{n}.0" for n in range(20)]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def registry():
    """Starts it; returns its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tags)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"


def chart_archive(name, version, files):
    """A packed chart."""
    out = io.BytesIO()
    about = f"apiVersion: v2\nname: {name}\nversion: {version}\n".encode()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path, content in [("Chart.yaml", about), *files]:
            entry = tarfile.TarInfo(f"{name}/{path}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def spread(numbers):
    """The median with the least and the most."""
    return {"median": statistics.median(numbers), "least": min(numbers), "most": max(numbers), "runs": len(numbers)}
