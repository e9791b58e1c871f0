"""What is measured while nothing new comes: reconciles at rest, chains, drift, and whether anything grows."""

import contextlib
import os
import pathlib
import statistics
import threading
import time

from lab import CONTROLLERS, is_ready, memory_of, spread
from measures import HOUR, PATIENCE, WORKERS, Timed, applied_is, fill, folders, named, repository, revision_is

EVERY = 60
# Both sides count their requests of the API server under this name.
REQUESTS = "rest_client_requests_total"
SAMPLES = 120
# What a process may hold more in the end than after the first minutes.
GROWTH_SHARE, GROWTH_MIB, GROWTH_HANDLES = 0.1, 2, 5


@contextlib.contextmanager
def fleet(lab, prefix, files, side, *flags):
    """A source-controller of ours that has fetched a repository, and a kustomize-controller of one side."""
    namespace = lab.plane.namespace(prefix)
    url, commit = lab.commit(namespace, files)
    binary = lab.bin / "kustomize-controller" if side == "ours" else lab.upstream["kustomize-controller"]
    source = lab.ours("source-controller", namespace)
    controller = lab.start(binary, namespace, WORKERS, *flags)
    with lab.programs(source, controller):
        repository(lab, namespace, url)
        lab.plane.watch("GitRepository", namespace, revision_is(commit), 1, PATIENCE)
        time.sleep(lab.options.settle)
        yield namespace, commit, controller
    lab.plane.forget(namespace)


def unit(namespace, number, interval=HOUR, **more):
    spec = {
        "interval": interval, "path": f"./app-{number}", "prune": True, "targetNamespace": namespace,
        "sourceRef": {"kind": "GitRepository", "name": "fleet"},
    }
    return named("Kustomization", f"app-{number}", spec | more)


def steady(lab, count, side):
    """So many Kustomizations that are reconciled every minute, or once within what is measured, while no commit comes."""
    every = f"{min(EVERY, lab.options.steady)}s"
    with fleet(lab, "steady", folders(count, "blue"), side) as (namespace, commit, controller):
        lab.plane.apply(namespace, *(unit(namespace, n, every, wait=True) for n in range(count)))
        lab.plane.watch("Kustomization", namespace, applied_is(commit), count, PATIENCE)
        time.sleep(lab.options.settle * 4)
        timed, asked = Timed(lab, controller), controller.metric(REQUESTS)
        time.sleep(lab.options.steady)
        return {
            "count": count,
            "side": side,
            **timed.row(),
            "requests": controller.metric(REQUESTS) - asked,
            "rest_mib": controller.resident(),
        }


def chain(lab, links, side):
    """Kustomizations of which each depends on the one before: from Ready to Ready."""
    with fleet(lab, "chain", folders(links, "blue"), side) as (namespace, commit, _):
        after = lambda n: {"dependsOn": [{"name": f"app-{n - 1}"}]} if n else {}
        began = time.monotonic()
        # The last first: all of them wait before the first is there.
        for number in reversed(range(links)):
            lab.plane.apply(namespace, unit(namespace, number, wait=True, **after(number)))
        moments = lab.plane.watch("Kustomization", namespace, applied_is(commit), links, PATIENCE)
        gaps = [later - earlier for earlier, later in zip(moments, moments[1:])]
        return {"links": links, "side": side, "seconds": moments[-1] - began, "link_seconds": spread(gaps)}


def drift(lab, edits):
    """A field of so many applied objects is changed by hand: until it is as Git says again. Each object once, since who
    changes one three times is taken for a controller that fights."""
    with fleet(lab, "drift", folders(edits, "blue"), "ours") as (namespace, commit, _):
        lab.plane.apply(namespace, *(unit(namespace, n, driftDetection={"mode": "enabled"}) for n in range(edits)))
        lab.plane.watch("Kustomization", namespace, applied_is(commit), edits, PATIENCE)
        time.sleep(lab.options.settle)
        times, edit = [], {"data": {"colour": "red"}}
        for number in range(edits):
            time.sleep(0.5)
            path, began = lab.plane.path("ConfigMap", namespace, f"app-{number}"), time.monotonic()
            lab.plane.ask("PATCH", f"{path}?fieldManager=somebody", edit, "application/merge-patch+json")
            while lab.plane.ask("GET", path)["data"]["colour"] != "blue":
                if time.monotonic() - began > 120:
                    raise SystemExit(f"edit {number} stays")
                time.sleep(0.01)
            times.append(time.monotonic() - began)
        return {"edits": edits, "seconds": spread(times)}


class Samples:
    """Memory, handles and threads of processes, taken at intervals."""

    def __init__(self, programs, pause):
        self.programs, self.pause, self.rows, self.ended = programs, pause, [], threading.Event()
        self.thread = threading.Thread(target=self.take, daemon=True)
        self.thread.start()

    def take(self):
        began = time.monotonic()
        while not self.ended.wait(self.pause):
            for name, program in self.programs.items():
                process = pathlib.Path(f"/proc/{program.pid}")
                self.rows.append(
                    {
                        "controller": name,
                        "seconds": time.monotonic() - began,
                        "mib": memory_of(program.pid),
                        "handles": len(os.listdir(process / "fd")),
                        "threads": len(os.listdir(process / "task")),
                    }
                )

    def end(self):
        self.ended.set()
        self.thread.join()
        return self.rows


def soak(lab, count, seconds):
    """All six, each with so many objects that are reconciled every minute, for a long time: nothing may grow."""
    namespace = lab.plane.namespace("soak")
    with contextlib.ExitStack() as stack:
        programs = {}
        for name in CONTROLLERS:
            programs[name] = lab.ours(name, namespace)
            stack.callback(programs[name].end)
        fill(lab, namespace, count, f"{EVERY}s")
        samples = Samples(programs, seconds / SAMPLES)
        time.sleep(seconds)
        taken = samples.end()
        unready = troubled(lab.plane, namespace)
        rows = [told(name, [row for row in taken if row["controller"] == name], seconds) for name in programs]
    lab.plane.forget(namespace)
    return {"count": count, "seconds": seconds, "unready": unready, "rows": rows, "samples": taken}


def troubled(plane, namespace):
    """Who is not Ready, and why. Who is at work just then is looked at once more a little later."""
    found = unready(plane, namespace)
    if any(words.startswith("Unknown") for words in found.values()):
        time.sleep(5)
        later = unready(plane, namespace)
        found = {name: words for name, words in found.items() if name in later or not words.startswith("Unknown")}
    return [f"{name} ({words})" for name, words in found.items()]


def unready(plane, namespace):
    """What each object that is not Ready says, by its kind and name."""
    return {
        f"{kind} {each['metadata']['name']}": why(each)
        for kind in ("GitRepository", "Kustomization", "HelmRelease", "ImageRepository", "ImageUpdateAutomation")
        for each in plane.list(kind, namespace)
        if not is_ready(each)
    }


def why(each):
    """What an object says about itself."""
    ready = [c for c in each.get("status", {}).get("conditions", []) if c["type"] == "Ready"]
    return ", ".join(f"{c['status']} {c['reason']}: {c['message']}" for c in ready) or "no condition Ready"


def told(name, rows, seconds):
    """The first sixth after a warm-up of as long, against the last sixth."""
    early = [row for row in rows if seconds / 6 <= row["seconds"] < seconds / 3]
    late = [row for row in rows if row["seconds"] >= seconds * 5 / 6]
    median = lambda part, key: statistics.median(row[key] for row in part)
    row = {"controller": name}
    for key in ("mib", "handles", "threads"):
        row[f"early_{key}"], row[f"late_{key}"] = median(early, key), median(late, key)
    more = row["late_mib"] - row["early_mib"]
    row["flat"] = (
        more <= max(GROWTH_MIB, row["early_mib"] * GROWTH_SHARE)
        and row["late_handles"] - row["early_handles"] <= GROWTH_HANDLES
    )
    return row
