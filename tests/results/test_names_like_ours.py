"""Sessions and results whose names are like those of our own files: they work or are refused, and nothing is lost."""

import json
import socket
import subprocess

import pytest

from tests import commands
from tests.conftest import BIN, clean_environment
from tests.recordings.runs import run, write_strange

# As those of temporary files, of commits, of what was put aside.
TAKEN = [
    f"run.part-{socket.gethostname()}-4000000-1",
    "x.part-0123456789abcdef-01234567",
    "x.part-0123456789abcdef-01234567.bin",
    "a.pending.json",
    "b.damaged-2",
    "c.failed.json",
    "Edges.json",
]
# What lies right in the folder of results.
REFUSED = ["run.json", "run.log", "report.html", "ro-crate-metadata.json", "runs"]


def ask(pipeline, *words) -> subprocess.CompletedProcess:
    """Run a command of neuroluigi on the recordings of the test."""
    return commands.run(
        [BIN / "neuroluigi", *words, "--recordings-root", "data"],
        cwd=pipeline.folder,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=100,
    )


def test_a_session_may_be_called_like_a_file_of_ours(pipeline):
    write_strange(pipeline.folder / "data", TAKEN)
    assert run(pipeline, "--recordings-root", "data").code == 0
    for name in TAKEN:
        (pipeline.results / name / "note.txt").write_text(name)
        (pipeline.results / name / f"note.part-{socket.gethostname()}-4000000-1.txt").write_text(name)
        (pipeline.results / name / "note.part-0123456789abcdef-01234567.txt").write_text(name)
    before = pipeline.files()
    assert len(before) == len(TAKEN) * 8
    for words in (
        ["status"],
        ["verify"],
        ["report"],
        ["export", "rocrate"],
        ["results"],
        ["clean", "--orphans", "--yes"],
    ):
        done = ask(pipeline, *words)
        assert done.returncode == 0 and "Traceback" not in done.stderr, (words, done.stdout, done.stderr)
    not_ours = json.loads(ask(pipeline, "status", "--json").stdout)["not_ours"]
    assert {name for name in TAKEN if not any(f"{name}/note.txt" in str(one) for one in not_ours)} == set()
    assert run(pipeline, "--recordings-root", "data").out.startswith("Nothing to make: everything is there.")
    for name in ("report.html", "ro-crate-metadata.json"):
        (pipeline.results / name).unlink()
    assert pipeline.files() == before
    # One result is made again: what a killed run left is looked for.
    (pipeline.results / TAKEN[0] / "stats.json").unlink()
    assert run(pipeline, "--recordings-root", "data").code == 0
    assert pipeline.files() == before


@pytest.mark.parametrize("name", REFUSED)
def test_a_session_with_the_name_of_a_file_of_the_run_is_refused_beforehand(pipeline, name):
    write_strange(pipeline.folder / "data", [name, "good"])
    done = run(pipeline, "--recordings-root", "data")
    assert done.code != 0 and name in done.err, done.err
    assert not pipeline.results.exists()
