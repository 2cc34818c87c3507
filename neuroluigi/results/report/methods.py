"""How the results were made, for the report: the last run, versions, settings, code, and the methods paragraph.

Every number and version is from the run records, and from the record of the last run.
"""

import json
import os
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from neuroluigi.provenance.record import engine_and_version, is_recording, recorded_code
from neuroluigi.provenance.secret_values import masked, without_seals
from neuroluigi.recordings.concatenation import count_channels, is_concatenation
from neuroluigi.results.report import charts, diagram
from neuroluigi.results.report.facts import Facts, Found, counted, shown_time
from neuroluigi.results.status import explain_status
from neuroluigi.steps.config import roots_of_paths

_NAMES = {
    "octave": "GNU Octave",
    "matlab": "MATLAB",
    "numpy": "NumPy",
    "python": "Python",
    "luigi": "Luigi",
    "matplotlib": "Matplotlib",
    "scipy": "SciPy",
    "neo": "Neo",
}


def last_run(facts: Facts) -> list[tuple[str, str]]:
    """Return (what, text) of the last run."""
    run = facts.run
    if not run:
        return []
    host, git = run["host"], run.get("git") or {}
    listed = {
        "command": shlex.join(map(str, run["command"])),
        "folder": run.get("folder", ""),
        "started": shown_time(run["started"]),
        "took": charts.span(run["seconds"]) if isinstance(run.get("seconds"), (int, float)) else "",
        "ended": run["end"],
        "on": ", ".join(str(host[name]) for name in ("name", "platform") if host.get(name)),
        "by": host.get("user", ""),
        "workers": str(run.get("workers", "")),
        "made": ", ".join(f"{n} {step}" for step, n in run["made"].items()),
    }
    if "commit" in git:
        listed["code"] = f"git commit {git['commit']}, {'clean' if git.get('is_clean') else 'with changes'}"
    return [(what, text) for what, text in listed.items() if text]


def made_with(facts: Facts) -> dict:
    """Return with what all results were made, as {what: [(name, [(value, number of results)])]}, and the settings."""
    versions, hosts = _versions(facts.made), Counter[str]()
    code: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in facts.made:
        engine, version = engine_and_version(one.record)
        if engine not in one.record.get("versions", {}):
            versions.setdefault(engine, Counter())[version] += 1
        host = one.record.get("host", {})
        hosts[f"{host.get('name', '?')}, {host.get('platform', '?')}"] += 1
        for source in recorded_code(one.record):
            code[source["path"]][source["sha256"]] += 1
    settings = [one for one in (facts.run or {}).get("settings", ()) if isinstance(one, dict)]
    return {
        "versions": [(name, sorted(some.items())) for name, some in versions.items()],
        "hosts": sorted(hosts.items()),
        "code": [(name, sorted(some.items())) for name, some in sorted(code.items())],
        "settings": [tuple(str(one.get(name, "")) for name in ("name", "value", "source")) for one in settings],
        "files": sum(len(one.record.get("outputs", ())) for one in facts.made),
    }


def _versions(found: Sequence[Found]) -> dict[str, Counter]:
    """Return how many results have which version of each package."""
    versions: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in found:
        for name, version in one.record.get("versions", {}).items():
            versions[name][str(version)] += 1
    return versions


def methods(facts: Facts) -> str:
    """Return a paragraph for a paper, in which every number and version is from the run records."""
    there = [one for one in facts.made if one.entry.status.is_there or one.entry.status.is_dropped]
    made = [one for one in there if not one.entry.variant]
    if not made:
        return ""
    inputs = (one for f in made for one in f.record.get("inputs", ()))
    recordings = {one["path"] for one in inputs if is_recording(one)}
    keys = {str(f.record.get("parameters", {}).get("group", "")) for f in made} - {""}
    layouts = [one for f in made for one in f.record.get("fingerprint", {}).values() if is_concatenation(one)]
    what = f"{counted(len(recordings), 'recording')} in {counted(len(keys), 'group')}{_described(layouts)}"
    packages = [f"{_NAMES.get(name, name)} {_varied(some)}" for name, some in _versions(made).items()]
    sentences = [f"{what} were analysed with {_listed(packages)}."]
    for box in facts.boxes:
        of_box = [f for f in made if f.entry.step == box.name]
        if of_box:
            sentences.append(_method(box, of_box))
    sentences += _variants(there)
    git = (facts.run or {}).get("git") or {}
    if "commit" in git:
        changes = "" if git.get("is_clean") else ", with changes that are not committed"
        sentences.append(f"The code is git commit {git['commit']}{changes}.")
    return " ".join(sentences)


def _variants(found: Sequence[Found]) -> list[str]:
    """Return a sentence on the results of each variant, with the parameters that it has by itself, if there are any."""
    values: defaultdict[str, dict[str, Counter[str]]] = defaultdict(dict)
    counts = Counter(one.entry.variant for one in found if one.entry.variant)
    of_base = {(f.entry.step, f.entry.row): f.record.get("parameters", {}) for f in found if not f.entry.variant}
    for f in found:
        parameters = masked(f.record.get("parameters", {})) if f.entry.variant else {}
        before = of_base.get((f.entry.step, f.entry.row_in_base), {})
        for name, value in parameters.items():
            if before and value != before.get(name):
                text = without_seals(str(value))
                values[f.entry.variant].setdefault(f"{f.entry.step} {name}", Counter())[text] += 1
    return [
        f"{counted(count, 'result')} of variant {variant} {'was' if count == 1 else 'were'} computed with"
        f" {_listed([f'{name} {_varied(some)}' for name, some in values[variant].items()]) or 'the same parameters'}."
        for variant, count in counts.items()
    ]


def _described(layouts: Sequence[Mapping]) -> str:
    """Return dtype, channels and sampling rate of the recordings in parentheses."""
    parts = []
    described = [{**one, "channels": count_channels(one)} if "channels" in one else one for one in layouts]
    for name, text in (("dtype", "{}"), ("channels", "channels: {}"), ("sampling_rate_hz", "sampling rate: {} Hz")):
        if values := Counter(str(one[name]).removesuffix(".0") for one in described if one.get(name) is not None):
            parts.append(text.format(_varied(values)))
    return f" ({'; '.join(parts)})" if parts else ""


# Values of settings that are blank or off; false is too, but 0, which is equal to it, may be a level.
_OFF: tuple[object, ...] = (None, "", [], "none")


def _method(box: diagram.Box, found: Sequence[Found]) -> str:
    """Return a sentence on how the results of a step were made."""
    makers: Counter[str] = Counter()
    values: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for f in found:
        makers[_tool(box, *engine_and_version(f.record))] += 1
        for name, value in masked(f.record.get("parameters", {})).items():
            is_off = value is False or value in _OFF
            if name not in ("group", "session", "index") and not is_off:
                values[name][without_seals(str(value))] += 1
    parameters = "".join(f", {name} {_varied(some)}" for name, some in values.items())
    return f"{box.name} ({counted(len(found), 'result')}) was computed with {_varied(makers)}{parameters}."


def _tool(box: diagram.Box, engine: str, version: str) -> str:
    tool = f"{_NAMES.get(engine, engine)} {version}".strip()
    if not box.calls:
        return tool
    return f"the counterpart of {box.calls} in {tool}" if engine == "numpy" else f"{box.calls} on {tool}"


def _varied(values: Counter) -> str:
    """Return the one value, or each with how many results have it."""
    if len(values) == 1:
        return next(iter(values))
    return ", ".join(f"{value} ({n})" for value, n in values.most_common())


def _listed(names: Sequence[str]) -> str:
    """Return names as a sentence has them: a, b and c."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def details(facts: Facts) -> dict:
    """Return the details of each result, which the page shows on demand: lines of text, and the run record.

    Both are lists of numbers of lines: nearly all of a thousand run records are the same few thousand lines, and a
    record is longer than what a packer looks back for them.
    """
    known: dict[str, int] = {}

    def numbers(lines: Iterable[str]) -> list[int]:
        return [known.setdefault(line, len(known)) for line in lines]

    results = [
        {"lines": numbers(explain_status(one.entry, one.record)), "record": numbers(_as_text(one.record).split("\n"))}
        for one in facts.found
    ]
    roots = {name: _prefix(roots_of_paths()[name], facts.folder) for name in ("results", "recordings")}
    return {"roots": roots, "lines": list(known), "results": results}


def _as_text(record: Mapping) -> str:
    # A browser's numbers have no room for all digits of a time in nanoseconds.
    return without_seals(json.dumps(masked(record), indent=1, ensure_ascii=False)) if record else ""


def _prefix(root: Path, page: Path) -> str:
    try:
        path = os.path.relpath(root, page).replace(os.sep, "/")
    except ValueError:  # Windows: on another drive
        path = root.as_posix()
    return "" if path == "." else f"{path}/"
