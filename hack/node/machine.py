"""What a machine has to have to become a node, and how it is left as it was."""
import contextlib, json, os, pathlib, platform, re, shutil, subprocess, sys, tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
# What every system has, what comes with containerd, and the part of the latter that is called by its folder.
BASIC = ["ip", "unshare", "setpriv", "mount", "openssl", "git", "ldd"]
PACKAGED = ["containerd", "containerd-shim-runc-v2", "ctr", "runc", "iptables", "conntrack"]
PLUGINS = ["bridge", "host-local", "loopback", "portmap"]
CNI = ["/usr/lib/cni", "/opt/cni/bin"]
# Where programs of a node write that cannot be told otherwise; and what a kubelet changes for the whole machine.
FOLDERS = ["/var/lib/cni", "/var/lib/kubelet", "/var/log/pods", "/var/log/containers", "/opt/containerd", "/usr/libexec/kubernetes"]
SYSCTLS = ["vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"]
GROUPS = pathlib.Path("/sys/fs/cgroup")
# The first is for Go's caches, the programs and all images, each some times over.
DISK_GB, MEMORY_GB = 12, 3
# Ends with whoever started it, however that ends; with it ends everything inside.
ALONE = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
RULES = ["-A PREROUTING -m comment --comment x -m addrtype --dst-type LOCAL -j ACCEPT", "-A POSTROUTING -m mark --mark 1/1 -j MASQUERADE",
         "-A PREROUTING -p tcp -m statistic --mode random --probability 0.5 -j DNAT --to-destination 10.0.0.1:80"]


class Lacking(Exception):
    """What this machine lacks, in words that follow "this machine lacks"."""


def cache():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(os.environ.get("LOCKGATE_CACHE") or pathlib.Path(base) / "lockgate")


def missing(names, env):
    return [name for name in names if not shutil.which(name, path=env["PATH"])]


def environment(env):
    """Returns the environment in which all programs are found, and the folder of the CNI plug-ins. What the system does not
    have is fetched, and installed nowhere."""
    env = {**env, "PATH": f"{env.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"}
    if lacks := missing(BASIC, env):
        raise Lacking(f"programs: {', '.join(lacks)}")
    has_all = lambda folder: all(os.access(pathlib.Path(folder, name), os.X_OK) for name in PLUGINS)
    cni = next(filter(has_all, CNI), None)
    lacks = missing(PACKAGED, env) + ([] if cni else ["CNI plug-ins"])
    if not lacks:
        return env, cni
    try:
        done = subprocess.run([HERE / "fetch"], capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise Lacking(f"programs: {', '.join(lacks)}; fetching them took too long") from None
    if done.returncode:
        raise Lacking(f"programs: {', '.join(lacks)}; fetching them: {last_line(done.stderr)}")
    tree = pathlib.Path(done.stdout.strip())
    libraries = [str(p) for p in (*tree.glob("usr/lib/*-linux-gnu"), *tree.glob("lib/*-linux-gnu"))]
    extensions = next(iter(tree.glob("usr/lib/*-linux-gnu/xtables")), tree)
    return {**env, "PATH": f"{tree}/usr/sbin:{tree}/usr/bin:{env['PATH']}", "LD_LIBRARY_PATH": ":".join(libraries),
            "XTABLES_LIBDIR": str(extensions)}, str(tree / "usr/lib/cni")


def last_line(text):
    return next(reversed(text.strip().splitlines()), "no word of why")


def look(env):
    """Looks whether a node may be had here, in seconds, and tries what can only be known by trying. Returns what
    `environment` does."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise Lacking("root on Linux")
    for folder in {nearest(cache()), nearest(pathlib.Path(tempfile.gettempdir())), nearest(HERE)}:
        free = shutil.disk_usage(folder).free / 1e9
        if free < DISK_GB:
            raise Lacking(f"free disk: {folder} has {free:.1f} GB, {DISK_GB} are needed")
    free = int(re.search(r"MemAvailable:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) * 1024 / 1e9
    if free < MEMORY_GB:
        raise Lacking(f"free memory: {free:.1f} GB, {MEMORY_GB} are needed")
    if not os.access(GROUPS, os.W_OK):
        raise Lacking("control groups that may be written")
    env, cni = environment(env)
    tries = {"network namespaces with bridges": "ip link set lo up && ip link add lockgate-try type bridge",
             "the kernel's address translation": " && ".join(f"iptables -t nat {rule}" for rule in RULES),
             "mounts of its own": "mount --make-rshared / && mount -t tmpfs none /run"}
    for what, command in tries.items():
        tried(what, [*ALONE, "sh", "-c", command], env)
    with tempfile.TemporaryDirectory(prefix="lockgate-look-") as folder:
        container(pathlib.Path(folder), env)
    return env, cni


def nearest(path):
    return next(p for p in (path, *path.parents) if p.exists())


def tried(what, argv, env):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, env=env, timeout=120, stdin=subprocess.DEVNULL)
    except (subprocess.TimeoutExpired, OSError) as error:
        raise Lacking(f"{what}: {error}") from None
    if done.returncode:
        raise Lacking(f"{what}: {last_line(done.stderr)}")
    return done.stdout


def container(folder, env):
    """Runs one program in a container that is fenced in as a pod is: nothing else tells whether that is allowed here."""
    root, program, word = folder / "rootfs", pathlib.Path(shutil.which("cat")).resolve(), "a container ran"
    listed = tried("the libraries of a program", ["ldd", program], env)
    libraries = [path for path in re.findall(r"(/\S+) \(0x", listed) if os.path.exists(path)]
    for path in (str(program), *libraries):
        copy = root / path.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    for name in ("proc", "dev", "sys", "tmp"):
        (root / name).mkdir(exist_ok=True)
    (root / "word").write_text(word)
    for path in (folder, root, *root.rglob("*")):
        path.chmod(0o755)
    rule = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["reboot"], "action": "SCMP_ACT_ERRNO"}]}
    quota = {"memory": {"limit": 2**26}, "cpu": {"shares": 10, "quota": 100000, "period": 100000}}
    (folder / "config.json").write_text(json.dumps({
        "ociVersion": "1.0.2", "root": {"path": "rootfs", "readonly": True}, "hostname": "look",
        "process": {"user": {"uid": 65534, "gid": 65534}, "args": [str(program), "/word"], "cwd": "/", "env": ["LD_LIBRARY_PATH=" + ":".join(
            sorted({os.path.dirname(path) for path in libraries}))], "noNewPrivileges": True, "capabilities": {}},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}, {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
                   {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")], "resources": quota, "seccomp": rule,
                  "cgroupsPath": f"/lockgate-look/{os.getpid()}"}}))
    command = f"mount --make-rshared / && mount -t tmpfs run /run && exec runc --root /run/runc run --bundle {folder} look"
    try:
        if tried("containers", [*ALONE, "sh", "-c", command], env) != word:
            raise Lacking("containers: what ran in one was not heard")
    finally:
        clear_groups("lockgate-look")


def clear_groups(name, patience=20):
    """Control groups outlive their processes, and those die a moment after the last word of the program that held them."""
    began = time.monotonic()
    while tops := [top for top in (*GROUPS.glob(f"*/{name}"), GROUPS / name) if top.is_dir()]:
        for top in tops:
            for group in sorted((path for path in [top, *top.rglob("*")] if path.is_dir()), key=lambda path: -len(path.parts)):
                with contextlib.suppress(OSError):
                    group.rmdir()
        if time.monotonic() - began > patience:
            return
        time.sleep(0.1)


@contextlib.contextmanager
def left_as_it_was():
    """Puts back what the processes of a node change outside of their namespaces."""
    settings = {path: path.read_text() for path in (pathlib.Path("/proc/sys", name) for name in SYSCTLS) if path.exists()}
    made = []
    try:
        for path in map(pathlib.Path, FOLDERS):
            for folder in (*reversed(path.parents), path):
                if not folder.exists():
                    folder.mkdir()
                    made.append(folder)
        yield
    finally:
        clear_groups("k8s.io")
        for path, value in settings.items():
            if path.read_text() != value:
                path.write_text(value)
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()


def hide_folders():
    """To be called inside: what is written to the folders goes with the mounts."""
    for folder in FOLDERS:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "lockgate", folder], check=True)


def architecture():
    return {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
