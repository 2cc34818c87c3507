"""Commits that were killed and then lost a part, and pending records of strangers: never a mixture, never a file of
somebody else.
"""

import itertools
import json
import os
import random
import shutil
import stat
from pathlib import Path

import pytest

from neuroluigi.provenance.commit import commit, finish_commits, pending_path, put_aside, recover
from neuroluigi.provenance.files import flushed, remove_path, write_json
from neuroluigi.provenance.parts import part_path
from neuroluigi.provenance.record import read_record
from tests.killed import dying
from tests.torture.disk import Crash, Recorder, recording

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a kill at each call needs fork")

KINDS = {"two files": ("a.bin", "b.json"), "a file and a folder": ("a.bin", "sorted"), "three": ("a", "sorted", "b")}


def write(path: Path, content: str) -> None:
    if path.name.startswith("sorted"):
        path.mkdir()
        path = path / f"{content}.txt"
    path.write_text(f"{content} {path.name.split('.')[0]}")


def read(path: Path) -> str:
    """Return "old" or "new", and "" where there is nothing."""
    if not path.exists():
        return ""
    files = [*path.iterdir()] if path.is_dir() else [path]
    return files[0].read_text().split()[0] if files else ""


def killed_at(call: int, change) -> bool:
    """Do something in a process that dies right before one of its calls that change the disk; return whether it did."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    try:
        counted = dying(call)
        os.rmdir, os.unlink = counted(os.rmdir), counted(os.unlink)
        Path.replace, Path.unlink = counted(Path.replace), counted(Path.unlink)
        change()
        os._exit(0)
    finally:
        os._exit(1)


def parts_in(folder: Path, names) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if ".part-" in path.name)
    # Old folders that were put aside are nobody's to lose here.
    return [path for path in found if read(path) == "new"]


def losses(folder: Path, names):
    """Yield functions that lose, or change, some of the parts that a killed commit left in a folder."""
    count = len(parts_in(folder, names))
    for chosen in itertools.product((None, "lost", "changed", "link"), repeat=count):

        def lose(copy: Path, chosen=chosen) -> None:
            for part, what in zip(parts_in(copy, names), chosen, strict=True):
                if what is None:
                    continue
                is_folder = part.is_dir()
                remove_path(part)
                if what == "changed" and is_folder:
                    part.mkdir()
                    (part / "c.txt").write_text("changed by hand")
                elif what == "changed":
                    part.write_text("changed by hand")
                elif what == "link":
                    part.symlink_to(copy.parent / "outside")

        yield chosen, lose


def verdict(folder: Path, names) -> str:
    """Return what the results are: "old" or "new" with their record, "not done", or what is wrong."""
    found = [read(folder / name) for name in names]
    is_pending = pending_path(folder / "runs" / "Step.json").exists()
    record = read_record(folder / "runs" / "Step.json")
    if is_pending:
        return f"still pending: {found}"
    if "" in found:
        return "not done"
    return found[0] if set(found) == {record and record["is"]} else f"mixed: {found}, {record}"


@pytest.mark.parametrize("has_old", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_commit_killed_at_any_call_that_then_loses_any_parts_leaves_no_mixture(tmp_path, kind, has_old):
    names, chance, seen = KINDS[kind], random.Random(f"{kind} {has_old}"), set()
    (tmp_path / "outside").write_text("mine")
    for call in itertools.count():
        folder = tmp_path / "killed"
        (folder / "runs").mkdir(parents=True)
        record = folder / "runs" / "Step.json"
        if has_old:
            for name in names:
                write(folder / name, "old")
            write_json(record, {"schema": 2, "is": "old"})
        parts = {part_path(folder / name): folder / name for name in names}
        for part in parts:
            write(part, "new")
        was_killed = killed_at(
            call, lambda parts=parts, record=record: commit(parts, record, {"schema": 2, "is": "new"})
        )
        for chosen, lose in losses(folder, names):
            copy = tmp_path / "copy"
            shutil.copytree(folder, copy, symlinks=True)
            lose(copy)
            # The look that finds it is killed too, and the next one finishes.
            killed_at(chance.randrange(8), lambda copy=copy: recover(copy / "runs" / "Step.json"))
            finish_commits(copy / "runs")
            found = verdict(copy, names)
            assert found in ("new", "not done", "old" if has_old else "not done"), f"killed at {call}, then {chosen}"
            if not any(chosen):
                assert found != "not done" or not has_old, f"killed at {call}: lost though nothing was"
            assert (tmp_path / "outside").read_text() == "mine"
            seen.add(found)
            shutil.rmtree(copy)
        shutil.rmtree(folder)
        if not was_killed:
            break
    assert seen == {"new", "not done", *(["old"] if has_old else [])} and call > len(names)


@pytest.mark.parametrize("has_old", [True, False])
def test_no_file_outlives_a_power_cut_without_its_record(tmp_path, has_old):
    recorder = Recorder(tmp_path)
    with recording(recorder):
        # The folder of records is as new as they are.
        record = tmp_path / "a" / "runs" / "Step.json"
        record.parent.mkdir(parents=True)
        write(part := part_path(tmp_path / "a" / "a.bin"), "new")
        if has_old:
            write(tmp_path / "a" / "a.bin", "old")
        commit({part: tmp_path / "a" / "a.bin"}, record, {"schema": 2, "is": "new"})
    seen = set()
    for where, tree in power_cuts(recorder):
        if tree.get("a/a.bin", (b"", 0))[0].startswith(b"new"):
            assert {"a/runs/Step.json", "a/runs/Step.pending.json"} & tree.keys(), where
            seen.add("new")
    assert seen == {"new"}


def test_what_was_put_aside_outlives_a_power_cut_though_another_file_takes_its_name(tmp_path):
    write(final := tmp_path / "a.bin", "mine")
    recorder = Recorder(tmp_path)
    with recording(recorder), flushed(at_once=False):
        put_aside([final])
        write(part := part_path(final), "new")
        part.replace(final)
    cuts = list(power_cuts(recorder))
    assert all(b"mine a" in [file and file[0] for file in tree.values()] for _, tree in cuts), cuts
    assert {"a.bin", "a.bin.damaged"} in [tree.keys() for _, tree in cuts]


def power_cuts(recorder):
    """Yield where, and what is there then, for a power cut after each event: with nothing lost, one thing, or two."""
    for crash in (Crash(recorder, at) for at in range(len(recorder.events) + 1)):
        for faults in itertools.chain.from_iterable(itertools.combinations(crash.faults(), n) for n in range(3)):
            yield f"after {crash.at} events, {[crash.named(one) for one in faults]}", crash.tree(faults)


PRECIOUS = "precious"
PART = "a.part-0123456789abcdef-01234567.bin"


def renamed(**changes) -> dict:
    return {"part": f"../{PART}", "final": "../a.bin", "bytes": 3, "mtime_ns": 0, **changes}


STRANGE = {
    "outside": [renamed(part="../../mine.part-0123456789abcdef-01234567", final="../../mine")],
    "from outside": [renamed(part="../../outside/" + PART)],
    "to outside": [renamed(final="../../outside/a.bin")],
    "absolute": [renamed(final="/tmp/neuroluigi-a.bin")],
    "through a link": [renamed(part="../link/" + PART, final="../link/a.bin")],
    "another name": [renamed(final="../b.bin")],
    "no temporary name": [renamed(part="../b.bin")],
    "aside elsewhere": [renamed(aside="../../outside/" + PART)],
    "aside of another name": [renamed(aside="../b.bin")],
    "one of two": [renamed(), renamed(part="../b.bin", final="../c.bin")],
    "numbers": [renamed(part=7)],
    "a list": [renamed(final=["../a.bin"])],
    "to itself": [renamed(final=f"../{PART}")],
    "nothing": [{}],
    "no list": 7,
    "text": "renames",
    "NUL": [renamed(final="../a\0.bin")],
    "no text": [renamed(part="../\ud800", final="../\ud800")],
    "odd identity": [renamed(bytes="3", mtime_ns=[])],
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_pending_record_of_a_stranger_is_put_aside_and_nothing_is_renamed(tmp_path, name):
    lab, outside = tmp_path / "lab", tmp_path / "outside"
    outside.mkdir()
    (lab / "runs").mkdir(parents=True)
    (lab / "link").symlink_to(outside)
    places = [lab / "a.bin", lab / "b.bin", outside / "a.bin", outside / PART, tmp_path / "mine"]
    places += [lab / PART, tmp_path / "mine.part-0123456789abcdef-01234567"]
    for place in places:
        place.write_text(f"{PRECIOUS} {place}")
    content = json.dumps({"schema": 2, "renames": STRANGE[name]})
    record = lab / "runs" / "Step.json"
    pending_path(record).write_text(content)
    finish_commits(lab / "runs")
    assert pending_path(record).read_text() == content
    recover(record)
    recover(record)
    assert [path.name for path in (lab / "runs").iterdir() if path.name != ".lock"] == ["Step.pending.json.damaged"]
    assert [place.read_text() for place in places] == [f"{PRECIOUS} {place}" for place in places]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", "[" * 99999, '{"schema": "x"}', '{"schema": 2, "outputs": 7}']
)
def test_a_pending_record_that_is_none_keeps_no_step_from_running(tmp_path, content):
    (tmp_path / "runs").mkdir()
    record = tmp_path / "runs" / "Step.json"
    pending_path(record).write_text(content)
    recover(record)
    part = part_path(tmp_path / "a.bin")
    part.write_text("x")
    assert commit({part: tmp_path / "a.bin"}, record, {"schema": 2})
    assert read_record(record) == {"schema": 2} and not pending_path(record).exists()


@pytest.mark.parametrize("kind", ["folder", "link", "dangling link", "pipe"])
def test_what_is_no_file_in_place_of_a_pending_record_is_put_aside(tmp_path, kind):
    (tmp_path / "runs").mkdir()
    record = tmp_path / "runs" / "Step.json"
    pending = pending_path(record)
    (tmp_path / "mine").write_text("{}")
    if kind == "folder":
        pending.mkdir()
        (pending / "mine").write_text("mine")
    elif kind == "pipe":
        os.mkfifo(pending)
    else:
        pending.symlink_to(tmp_path / ("mine" if kind == "link" else "nowhere"))
    before = stat.S_IFMT(pending.lstat().st_mode)
    recover(record)
    assert not os.path.lexists(pending) and (tmp_path / "mine").read_text() == "{}"
    assert stat.S_IFMT((tmp_path / "runs" / "Step.pending.json.damaged").lstat().st_mode) == before
