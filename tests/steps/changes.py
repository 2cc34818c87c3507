"""The changes that are made to a ChangingLab: what a person, a full disk or a killed process does to its files.

Each takes the lab, a number that picks one of the things that it may be done to, and a number from 0 to 3: how.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np

from neuroluigi.provenance.files import write_json
from neuroluigi.provenance.record import read_record
from neuroluigi.provenance.state_index import INDEX_FILE
from tests.steps.changing_lab import checksums, is_whole, pending


def pick(things: list, which: int):
    return things[which % len(things)] if things else None


def delete(lab, which, how):
    if name := pick(lab.results(), which):
        lab.paths()[name].unlink()


def edit(lab, which, how):
    """Write something else that is as good as what was there, by hand."""
    names = [name for name in lab.results() if name not in lab.waiting]
    name = pick([name for name in names if is_whole(name, lab.paths()[name].read_bytes())], which)
    if not name:
        return
    path = lab.folder / name
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        if name.endswith("aggregate.json"):
            content["sampling_rate_hz"] = 10.0 + how
        elif name.endswith("stats.json"):
            content["max"][0] += 1 + how
        elif name.endswith("table.json"):
            content["table"]["more"] = how
        else:
            content["note"] = how
        # A shorter file than the record says would be a damaged one.
        path.write_text(json.dumps(content, indent=1) + " " * 50)
    elif path.suffix == ".npy":
        np.save(path, np.concatenate([np.load(path), [[9, 0]]]).astype("<i8"))
    elif path.suffix == ".png":
        data = path.read_bytes()
        path.write_bytes(data[:-12] + b"remark" + data[-12:])
    elif path.name == "aggregate.bin":
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ (1 + how)]))
    else:
        path.write_bytes(path.read_bytes() + b"more")


def break_(lab, which, how):
    names = [name for name in lab.results() if name not in lab.waiting]
    if not (name := pick(names, which)):
        return
    path = lab.folder / name
    data = path.read_bytes()
    if how == 2 and path.name == "stats.json":
        path.write_text("3" + " " * len(data))
    elif how == 3 and path.suffix in (".json", ".npy", ".png"):
        path.write_bytes(b"}" * (len(data) + 5))
    else:
        path.write_bytes(data[: len(data) // 2 if how % 2 else 0])


def touch(lab, which, how):
    paths = list(lab.paths().values())
    for path in paths if how % 2 else [pick(paths, which)]:
        os.utime(path, (1 + which, 1 + which))


def move(lab, which, how):
    folder = lab.folder.with_name(f"{lab.folder.name}+")
    lab.copied_to(folder, shutil.copyfile)
    shutil.rmtree(lab.folder)
    lab.folder = folder


def add_recording(lab, which, how):
    number = next(lab.fresh)
    if lab.is_real:
        path = lab.folder / "real" / pick(["a", "b", "c"], which) / f"rec_{number}.bin"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(recording(number, 30 + how))


def replace_recording(lab, which, how):
    """Replace a recording, as often as not by one that is as long, or empty one."""
    if name := pick([name for name in lab.paths() if name.startswith("real/")], which):
        path = lab.folder / name
        path.write_bytes(b"" if how == 3 else recording(next(lab.fresh), path.stat().st_size + how // 2))


def remove_recording(lab, which, how):
    names = [name for name in lab.paths() if name.startswith("real/")]
    if len(names) > 1:
        (lab.folder / pick(names, which)).unlink()


def recording(number: int, size: int) -> bytes:
    return hashlib.shake_256(bytes([number])).digest(size)


SETTINGS = [
    ("Edges-threshold", (None, "0.6", "0.74", "0.75")),
    ("Edges-level", (None, "100", "200", None)),
    ("recordings-sampling-rate-hz", (None, "100", "50", None)),
    ("recordings-contiguous", (None, "true", "false", "true")),
    ("recordings-allow-missing", (None, "true", "false", "true")),
    ("results-rerun-on", (None, "inputs,parameters,code", "inputs,parameters,code", None)),
]


def configure(lab, which, how):
    name, values = pick(SETTINGS, which)
    lab.settings.pop(name, None)
    if values[how] is not None:
        lab.settings[name] = values[how]


def remark_in_m_file(lab, which, how):
    path = pick(sorted((lab.folder / "matlab").glob("*.m")), which)
    path.write_text(path.read_text() + "% a remark\n")


def change_code(lab, which, how):
    family = pick(["Aggregate", "Stats", "Edges", "Plot", "Table"], which)
    path = lab.folder / "tasks.py"
    start = f"class {family}("
    before, after = path.read_text().split(start)
    line, rest = after.split("\n", 1)
    number = lab.code.get(family, 0) + 1
    path.write_text(f"{before}{start}{line}\n    # {number}\n{rest}")
    lab.code = {**lab.code, family: number}


def lose_record(lab, which, how):
    """Remove a record, or leave what a full disk or a power cut makes of it."""
    if record := pick([n for n in lab.paths() if "/runs/" in n and n.endswith(".json") and "." not in n[:-5]], which):
        path = lab.folder / record
        wrong = ["", "{}", '["record"]', path.read_text()[: path.stat().st_size // 2]][how]
        path.write_text(wrong) if wrong else path.unlink()
        lab.made.pop(record, None)
        lab.dropped.discard(record)


def lose_cache(lab, which, how):
    """Delete what is kept to be quick, or spoil the index of states."""
    index = lab.folder / "results" / INDEX_FILE
    if how < 2 or not index.exists():
        (lab.folder / "results" / ".checksums.jsonl").unlink(missing_ok=True)
        index.unlink(missing_ok=True)
    else:
        content = bytearray(index.read_bytes())
        for place in range(which, len(content), 1 + 40 * which):
            content[place] ^= how
        index.write_bytes(content)


def interrupt(lab, which, how):
    """Leave a result as a process does that is killed in the middle of its commit."""
    paths = lab.paths()
    done = [
        name
        for name, made in lab.made.items()
        if pending(name) not in paths
        and all(output in paths and paths[output].read_bytes() == data for output, data in made.outputs.items())
    ]
    if not (name := pick(sorted(done), which)):
        return
    record, renames = lab.folder / name, []
    for position, output in enumerate(lab.made[name].outputs):
        path = lab.folder / output
        part = path.with_name(f"{path.stem}.part-elsewhere-1-{position}{path.suffix}")
        stat = path.stat()
        ends = {what: os.path.relpath(one, record.parent) for what, one in (("part", part), ("final", path))}
        renames.append({**ends, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns})
        # Several files are renamed one after the other.
        if position >= how % 2:
            path.rename(part)
            lab.waiting[output] = part.relative_to(lab.folder).as_posix()
    write_json(lab.folder / pending(name), {**read_record(record), "renames": renames})
    record.unlink()


def drop(lab, which, how):
    """Drop a result, as `neuroluigi drop` does of those that could be made again."""
    there = lab.contents() | lab.dropped_files()
    names = [
        name
        for name, made in lab.made.items()
        if Path(name).stem in ("Aggregate", "Stats", "Edges", "Table")
        and name not in lab.dropped
        and all(lab.contents().get(output) == data for output, data in made.outputs.items())
        and made.inputs == checksums([one for one, _ in made.inputs], there)
    ]
    if name := pick(sorted(names), which):
        write_json(lab.folder / name, {**read_record(lab.folder / name), "dropped": "now"})
        for output in lab.made[name].outputs:
            (lab.folder / output).unlink()
        lab.dropped.add(name)


CHANGES = {
    delete: 6,
    edit: 4,
    break_: 4,
    touch: 2,
    move: 1,
    add_recording: 2,
    replace_recording: 3,
    remove_recording: 2,
    configure: 6,
    remark_in_m_file: 1,
    change_code: 2,
    lose_record: 2,
    lose_cache: 1,
    interrupt: 1,
    drop: 3,
}
