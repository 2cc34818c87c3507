"""Any kind of file at any place of the results: every command ends, in a few lines, and changes nothing but its own."""

import contextlib
import os
import shutil
import socket
import subprocess

import pytest

from neuroluigi.provenance.files import remove_path
from tests import commands
from tests.conftest import BIN, TORTURE, clean_environment
from tests.results.conftest import FAKES

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs, sockets and links")

REASON = ("--reason", "mine")
COMMANDS = (
    ("status",),
    ("why", "Stats", "s-even"),
    ("results",),
    ("events", "s-even"),
    ("verify",),
    ("export", "rocrate"),
    ("report",),
    ("accept", "s-even/stats.json", *REASON),
    ("drop", "--step", "Aggregate", "--yes"),
    ("clean", "--orphans", "--yes"),
    ("clean", "--step", "Stats", "--yes"),
)


def _bind(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


def _outside(path):
    """Return the folder beside that of the lab."""
    return next(above for above in path.parents if above.name == "lab").with_name("outside")


def _sparse(path):
    with path.open("wb") as file:
        file.truncate(40 << 30)


KINDS = {
    "a pipe": os.mkfifo,
    "a socket": _bind,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to a pipe": lambda path: (os.mkfifo(path.parent / "pipe"), path.symlink_to("pipe")),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to another folder of results": lambda path: path.symlink_to(_outside(path)),
    "a link to the folder above": lambda path: path.symlink_to(".."),
    "a sparse file of 40 GB": _sparse,
    "an empty file": lambda path: path.touch(),
    "an empty folder": lambda path: path.mkdir(),
    "a folder": lambda path: (path.mkdir(), (path / "runs").mkdir(), (path / "runs" / "x.json").write_text("{}")),
    "bytes": lambda path: path.write_bytes(bytes(range(256)) * 8),
    "zeros": lambda path: path.write_bytes(bytes(1000)),
    "a bottomless list": lambda path: path.write_text("[" * 200_000),
    "odd JSON": lambda path: path.write_text('{"schema": 2, "step": 5, "log": [], "error": {}, "renames": 7}'),
    "a long number": lambda path: path.write_text("1" * 10_000),
}

PLACES = (
    "s-even",
    "s-even/runs",
    "s-even/runs/Stats.json",
    "s-even/runs/Stats.log",
    "s-even/runs/Stats.failed.json",
    "s-even/runs/Stats.failed.log",
    "s-even/runs/Stats.pending.json",
    "s-even/runs/Stats.sha256",
    "s-even/runs/.lock",
    "s-even/runs/Other.json",
    "s-even/stats.json",
    "s-even/aggregate.bin",
    "s-even/aggregate.json",
    "s-even/edges.npy",
    "s-even/plot.png",
    "s-even/other.npy",
    "other",
    "runs",
    "study",
    ".checksums.jsonl",
    ".code",
    ".runs",
    ".runs/other-1.json",
    ".runs/other-1.lock",
    ".slurm",
    "run.json",
    "run.log",
    "report.html",
    "ro-crate-metadata.json",
)


def endure(lab, kind, places, asked=COMMANDS):
    """Put a file of a kind at places of the results, and run all commands; return what is wrong with what they did."""
    outside = lab.folder.parent / "outside"
    shutil.copytree(lab.results / "s-odd", outside)
    (lab.results / "s-odd" / "link").symlink_to(outside)
    kept = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    for place in places:
        path = lab.results / place
        remove_path(path)
        with contextlib.suppress(OSError):  # what lies above it may be of the kind too
            path.parent.mkdir(parents=True, exist_ok=True)
            KINDS[kind](path)
    wrong = []
    for command in asked:
        try:
            done = commands.run(
                [BIN / "neuroluigi", *command, *FAKES],
                cwd=lab.folder,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                timeout=60,
            )
        except subprocess.TimeoutExpired:
            wrong.append((kind, places, command, "hangs"))
        else:
            if done.returncode not in (0, 1) or "Traceback" in done.stderr or len(done.stderr.splitlines()) > 9:
                wrong.append((kind, places, command, done.returncode, done.stderr[-2000:]))
    if kept != {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}:
        wrong.append((kind, places, "files outside were changed"))
    return wrong


@pytest.mark.parametrize("kind", KINDS)
def test_every_command_ends_in_a_few_lines_and_changes_nothing_outside(lab, kind):
    # With all kinds, each place is tried; all pairs take ten minutes.
    number = list(KINDS).index(kind)
    assert endure(lab, kind, PLACES[number :: len(KINDS)]) == []


@pytest.mark.skipif(not TORTURE, reason="takes ten minutes: make torture")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_every_pair_of_kind_and_place(lab, kind, place):
    assert endure(lab, kind, [place]) == []


@pytest.mark.parametrize(
    "kind, places",
    [
        ("a sparse file of 40 GB", ("s-even/runs/Stats.json", "s-even/runs/Stats.sha256", ".checksums.jsonl")),
        ("a bottomless list", ("s-even/stats.json", "s-even/aggregate.json")),
        # A folder of other files was taken for one of runs that were killed, and emptied.
        ("a link to another folder of results", (".runs",)),
        ("a pipe", ("s-even/edges.npy", ".checksums.jsonl")),
    ],
)
def test_what_hung_or_ended_in_a_traceback_or_removed_what_is_not_ours(lab, kind, places):
    assert endure(lab, kind, places) == []
