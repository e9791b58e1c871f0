"""The report: tables in Markdown, figures in JSON, plots as SVG."""

import json
import statistics

import plot
from measures import exponent

IDLE_LIMIT_MIB = 100
CONTROLLERS = 6
# So many of each kind are 1,000 objects in all.
SHARE_OF_1000 = 167


def write(data, folder):
    plots = {}
    parts = data["parts"]
    sections = [conditions(data)]
    for name, section in SECTIONS.items():
        if name in parts:
            sections.append(section(parts[name], plots))
    targets = judge(parts)
    sections.insert(1, table("Targets", ["what", "target", "measured", "holds"], targets))
    if data["failed"]:
        rows = [[name, why[:300].replace("|", "/")] for name, why in data["failed"].items()]
        sections.append(table("Not measured", ["part", "why"], rows))
    data["targets"] = [dict(zip(["what", "target", "measured", "holds"], row)) for row in targets]
    for name, content in plots.items():
        if content:
            (folder / f"{name}.svg").write_text(content)
    (folder / "report.json").write_text(json.dumps(data, indent=1) + "\n")
    (folder / "report.md").write_text("# Benchmarks\n\n" + "\n".join(sections))


def cell(value):
    if value is None:
        return "–"
    if isinstance(value, dict):
        return f"{cell(value['median'])} ({cell(value['least'])}–{cell(value['most'])}, n={value['runs']})"
    return plot.number(value) if isinstance(value, float) else str(value)


def table(title, heads, rows, after=""):
    lines = [f"## {title}", "", "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join([*lines, "", after, ""] if after else [*lines, ""])


def conditions(data):
    about = data["conditions"]
    rows = [[key, ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value]
            for key, value in about.items()]
    took = sum(data.get("took_seconds", {}).values())
    return table("Conditions", ["", ""], [*rows, ["took", f"{took:.0f} s"]])


def picture(plots, name, title, content):
    plots[name] = content
    return f"![{title}]({name}.svg)" if content else ""


def engines(parts, plots):
    sections = []
    for name, rows in parts.items():
        heads = ["input", "ours ms", "upstream ms", "faster", "ours CPU ms", "upstream CPU ms", "less CPU"]
        heads += ["ours MiB", "upstream MiB"]
        cells = []
        for row in rows:
            mark = "> " if row.get("cut") else ""
            faster, less = row["theirs_ms"] / row["ours_ms"], row["theirs_cpu_ms"] / max(row["ours_cpu_ms"], 0.01)
            cells.append(
                [row["name"], row["ours_ms"], row["theirs_ms"], f"{mark}{faster:.1f} ×", row["ours_cpu_ms"],
                 row["theirs_cpu_ms"], f"{mark}{less:.1f} ×", row["ours_mib"], row["theirs_mib"]]
            )
        sides = [(row["name"], {"ours": row["ours_ms"], "upstream": row["theirs_ms"]}) for row in rows]
        title = f"{name} engine, whole process"
        image = picture(plots, f"engine-{name}", title, plot.bars(title, "ms", sides))
        sections.append(table(f"{name} engine", heads, cells, image))
    return "\n".join(sections)


def sizes(rows, plots):
    sides = [(row["program"], {"ours": row["ours_mib"], "upstream": row["upstream_mib"]}) for row in rows]
    image = picture(plots, "sizes", "Size of the programs", plot.bars("Size of the programs", "MiB", sides))
    cells = [[row["program"], row["ours_mib"], row["upstream_mib"], row["image_mib"]] for row in rows]
    return table("Size of the programs", ["program", "ours MiB", "upstream MiB", "our image MiB"], cells, image)


def starts(rows, plots):
    cells = [[row["controller"], row["side"], row["ms"], row["idle_mib"]] for row in rows]
    named = {}
    for row in rows:
        named.setdefault(row["controller"], {})[row["side"]] = row["ms"]["median"]
    image = picture(plots, "starts", "Start to ready", plot.bars("Start to ready", "ms", named.items()))
    return table("Start to ready", ["controller", "side", "ms", "idle MiB"], cells, image)


def sides_of(rows, key, value):
    """Medians by what `key` says and by side."""
    groups = {}
    for row in rows:
        groups.setdefault(key(row), {}).setdefault(row["side"], []).append(value(row))
    return {name: {side: statistics.median(v) for side, v in sides.items()} for name, sides in groups.items()}


def sources(rows, plots):
    heads = ["case", "side", "s", "CPU s", "peak MiB", "CPU ms of a poll that finds nothing new"]
    keys = ["case", "side", "seconds", "cpu_seconds", "peak_mib", "poll_cpu_ms"]
    cells = [[row.get(key) for key in keys] for row in rows]
    medians = sides_of(rows, lambda r: r["case"], lambda r: r["seconds"])
    title = "source-controller, create to Ready"
    image = picture(plots, "sources", title, plot.bars(title, "s", medians.items()))
    return table(title, heads, cells, image)


STEP = ["s", "CPU s", "API server CPU s", "peak MiB"]


def steps(row):
    keys = ["seconds", "cpu_seconds", "api_server_cpu_seconds", "peak_mib"]
    return [row.get(step, {}).get(key) for step in ("create", "upgrade") for key in keys]


def units(rows, plots):
    heads = ["Kustomizations", "side", *(f"create {h}" for h in STEP), *(f"upgrade {h}" for h in STEP), "at rest MiB"]
    cells = [[r["count"], r["side"], *steps(r), r["rest_mib"]] for r in rows]
    lines = {}
    for value, unit in [("seconds", "s"), ("cpu_seconds", "CPU s")]:
        for count, sides in sides_of(rows, lambda r: r["count"], lambda r: r["create"][value]).items():
            for side, median in sides.items():
                lines.setdefault(f"{side}, {unit}", []).append((count, median))
    title = "Kustomizations, create to all Ready"
    image = picture(plots, "units", title, plot.curves(title, "Kustomizations", "seconds", lines))
    return table(title, heads, cells, image)


def steady(rows, _):
    heads = ["Kustomizations, each every minute", "side", "s", "CPU s", "API requests", "API server CPU s", "at rest MiB"]
    keys = ["count", "side", "seconds", "cpu_seconds", "requests", "api_server_cpu_seconds", "rest_mib"]
    return table("Nothing new", heads, [[row[key] for key in keys] for row in rows])


def chain(rows, _):
    heads = ["links", "side", "all s", "from Ready to Ready s"]
    return table("A chain of dependencies", heads, [[r["links"], r["side"], r["seconds"], r["link_seconds"]] for r in rows])


def drift(rows, _):
    return table("Drift, repaired", ["edits", "s"], [[r["edits"], r["seconds"]] for r in rows])


def soak(part, plots):
    pairs = [f"{when} {what}" for what in ("MiB", "handles", "threads") for when in ("early", "late")]
    keys = [f"{when}_{what}" for what in ("mib", "handles", "threads") for when in ("early", "late")]
    cells = [[r["controller"], *(r[key] for key in keys), "yes" if r["flat"] else "no"] for r in part["rows"]]
    lines = {}
    for sample in part["samples"]:
        lines.setdefault(sample["controller"], []).append((sample["seconds"], sample["mib"]))
    title = f"{part['count']} objects each, reconciled every minute for {part['seconds'] // 60} minutes"
    image = picture(plots, "soak", title, plot.curves(title, "seconds", "MiB", dict(list(lines.items())[:5])))
    after = f"Not Ready in the end: {', '.join(part['unready']) or 'none'}.\n\n{image}"
    return table(title, ["controller", *pairs, "flat"], cells, after)


def releases(rows, plots):
    heads = ["HelmReleases", *(f"create {h}" for h in STEP), *(f"upgrade {h}" for h in STEP), "at rest MiB"]
    cells = [[r["count"], *steps(r), r["rest_mib"]] for r in rows]
    lines = {
        f"{step}, {unit}": [(r["count"], r[step][key]) for r in rows]
        for step in ("create", "upgrade")
        for key, unit in [("seconds", "s"), ("cpu_seconds", "CPU s")]
    }
    title = "HelmReleases, create to all Ready"
    image = picture(plots, "releases", title, plot.curves(title, "HelmReleases", "seconds", lines))
    return table(title, heads, cells, image)


def growth(parts, plots):
    lines = {
        "Kustomizations, CPU s": [(r["count"], r["create"]["cpu_seconds"]) for r in parts["units"]],
        "Kustomizations, MiB": [(r["count"], r["create"]["peak_mib"]) for r in parts["units"]],
        "objects of a unit, CPU s": [(r["count"], r["cpu_seconds"]) for r in parts["objects"]],
        "objects of a unit, MiB": [(r["count"], r["peak_mib"]) for r in parts["objects"]],
    }
    # Below a hundred what every process costs hides what an object costs.
    cells = [[name, exponent([p for p in line if p[0] >= 100]), exponent(line)] for name, line in lines.items()]
    title = "Growth"
    image = picture(plots, "growth", title, plot.curves(title, "how many", "CPU s, MiB", lines))
    first = table(title, ["cost", "exponent from 100 on", "exponent of all"], cells, image)
    heads = ["objects of one unit", "s", "CPU s", "API server CPU s", "peak MiB", "watched, at rest MiB"]
    heads += ["verified s", "CPU s", "pruned s", "CPU s", "peak MiB"]
    cells = [
        [r["count"], r["seconds"], r["cpu_seconds"], r["api_server_cpu_seconds"], r["peak_mib"], r["watched_rest_mib"],
         r["verify"]["seconds"], r["verify"]["cpu_seconds"], *(r["prune"][k] for k in ("seconds", "cpu_seconds", "peak_mib"))]
        for r in parts["objects"]
    ]
    second = table("One unit of many objects", heads, cells)
    heads = ["Kustomizations", *(f"create {h}" for h in STEP), *(f"upgrade {h}" for h in STEP), "at rest MiB"]
    cells = [[r["count"], *steps(r), r["rest_mib"]] for r in parts["units"]]
    return "\n".join([first, second, table("From few to many Kustomizations", heads, cells)])


def idle(rows, plots):
    counts = sorted({row["objects"] for row in rows})
    names = list(dict.fromkeys(row["controller"] for row in rows))
    by = {(row["objects"], row["controller"]): row for row in rows}
    cells = [[name, *(by[count, name]["mib"] for count in counts), *(by[count, name]["cpu_ms_per_minute"] for count in counts)]
             for name in names]
    total = [sum(by[count, name]["mib"] for name in names) for count in counts]
    spent = [sum(by[count, name]["cpu_ms_per_minute"] for name in names) for count in counts]
    heads = ["controller", *(f"MiB at {n}" for n in counts), *(f"CPU ms a minute at {n}" for n in counts)]
    title = "At rest, each with so many objects of its kind"
    lines = {name: [(max(c, 1), by[c, name]["mib"]) for c in counts] for name in names[:5]}
    image = picture(plots, "idle", title, plot.curves(title, "objects of each controller", "MiB", lines))
    return table(title, heads, [*cells, ["all six", *total, *spent]], image)


def shards(rows, _):
    heads = ["replicas", "Kustomizations", *(f"create {h}" for h in STEP), *(f"upgrade {h}" for h in STEP)]
    return table("Sharding by label", heads, [[r["shards"], r["count"], *steps(r)] for r in rows])


def failover(rows, _):
    heads = ["Kustomizations", "Ready when the leader was killed", "first by the other after s", "all after s"]
    cells = [[r["count"], r["ready_when_killed"], r["first_after_seconds"], r["all_after_seconds"]] for r in rows]
    return table("Leader failover", heads, cells)


SECTIONS = {
    "engines": engines,
    "sizes": sizes,
    "starts": starts,
    "sources": sources,
    "units": units,
    "steady": steady,
    "chain": chain,
    "drift": drift,
    "releases": releases,
    "growth": growth,
    "idle": idle,
    "shards": shards,
    "failover": failover,
    "soak": soak,
}


def judge(parts):
    """What was promised, with what was measured."""
    rows = []

    def ratio(what, target, ours, theirs):
        if ours and theirs:
            rows.append([what, f"≥ {target} ×", f"{theirs / ours:.1f} ×", "yes" if theirs / ours >= target else "no"])

    for row in parts.get("engines", {}).get("kustomize", []):
        if row["name"] == "1000-resources":
            ratio("kustomize engine, 1,000 resources", 100, row["ours_ms"], row["theirs_ms"])
    helm = parts.get("engines", {}).get("helm", [])
    if helm:
        worst = min(helm, key=lambda row: row["theirs_ms"] / row["ours_ms"])
        ratio(f"Helm engine, worst case ({worst['name']})", 5, worst["ours_ms"], worst["theirs_ms"])
    for value, target, what in [("seconds", 3, "sooner Ready"), ("cpu_seconds", 10, "less CPU"), ("peak_mib", 3, "less memory")]:
        for count, sides in sides_of(parts.get("units", []), lambda r: r["count"], lambda r: r["create"][value]).items():
            ratio(f"kustomize-controller, {count}: {what}", target, sides.get("ours"), sides.get("upstream"))
    for key, target, what in [
        ("seconds", 2, "sooner Ready"), ("cpu_seconds", 2, "less CPU"), ("peak_mib", 3, "less memory"),
        ("poll_cpu_ms", 10, "less CPU for a poll that finds nothing new"),
    ]:
        rows_of = [row for row in parts.get("sources", []) if key in row]
        for case, sides in sides_of(rows_of, lambda r: r["case"], lambda r: r[key]).items():
            ratio(f"source-controller, {case}: {what}", target, sides.get("ours"), sides.get("upstream"))
    bound = lambda what, limit, value, said: rows.append([what, f"< {limit}", said, "yes" if value else "no"])
    for value, what in [("cpu_seconds", "CPU"), ("requests", "API requests")]:
        sides = sides_of(parts.get("steady", []), lambda r: r["count"], lambda r: r[value])
        for count, by_side in sides.items():
            ratio(f"kustomize-controller, {count} at rest: less {what}", 10, by_side.get("ours"), by_side.get("upstream"))
    for row in parts.get("chain", []):
        if row["side"] == "ours":
            longest = row["link_seconds"]["most"]
            bound(f"a chain of {row['links']}, each link", "1 s", longest < 1, f"{longest:.2f} s at most")
    for row in parts.get("drift", []):
        median = row["seconds"]["median"]
        bound("drift repaired", "1 s", median < 1, f"{median:.2f} s, the median of {row['edits']}")
    for row in parts.get("growth", {}).get("objects", []):
        if row["count"] == 5000:
            most = row["prune"]["peak_mib"]
            bound("a unit of 5,000 objects, applied and pruned", "150 MiB", most < 150, f"{most:.0f} MiB at most")
    if "soak" in parts:
        grown = [row["controller"] for row in parts["soak"]["rows"] if not row["flat"]]
        holds = "yes" if not grown and not parts["soak"]["unready"] else "no"
        rows.append(["memory and handles while nothing is new", "flat", ", ".join(grown) or "flat", holds])
    total = {}
    for row in parts.get("idle", []):
        total[row["objects"]] = total.get(row["objects"], 0) + row["mib"]
    for each, mib in total.items():
        if each in (SHARE_OF_1000, max(total)):
            what = f"all six at {each} objects each, {each * CONTROLLERS:,} in all"
            bound(what, f"{IDLE_LIMIT_MIB} MiB", mib < IDLE_LIMIT_MIB, f"{mib:.0f} MiB")
    return rows
