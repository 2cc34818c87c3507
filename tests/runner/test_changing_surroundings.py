"""What changes around a run while it is under way, or between two: nothing wrong is believed, and nothing raises."""

import json
import os
import subprocess
import sys

import pytest

from tests import commands
from tests.conftest import BIN, clean_environment
from tests.provenance.test_code_of_runs import WAITING, wait_for_file

WORDS = ("After", "--group", "a-even")


def neuroluigi(pipeline, *words):
    options = {"cwd": pipeline.folder, "env": clean_environment(), "stdin": subprocess.DEVNULL}
    command = [BIN / "neuroluigi", *words, "--After-group", "a-even"]
    return commands.run(command, **options, capture_output=True, text=True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows moves no folder that is in use")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_folder_of_results_becomes_a_link_meanwhile(pipeline, workers):
    pipeline.add(WAITING)
    process = pipeline.start(*WORDS, "--workers", workers)
    wait_for_file(pipeline.folder / "begun", process)
    pipeline.results.rename(pipeline.folder / "moved")
    pipeline.results.symlink_to("moved")
    (pipeline.folder / "go").touch()
    out = process.communicate(timeout=60)[0]
    assert "Traceback" not in out
    pipeline.run(*WORDS)
    assert (pipeline.results / "a-even" / "after.txt").read_text() == "old"
    assert "Nothing to make" in pipeline.run(*WORDS)
    assert not list(pipeline.folder.rglob("*.part-*"))


@pytest.mark.parametrize("moment", [1, 3600, 4_000_000_000])
def test_files_of_any_time_are_what_their_records_say(pipeline, moment):
    pipeline.add(WAITING)
    (pipeline.folder / "go").touch()
    pipeline.run(*WORDS)
    for path in pipeline.results.rglob("*"):
        os.utime(path, (moment, moment))
    assert "Nothing to make" in pipeline.run(*WORDS)
    # Changed at that time, with the size that it had: only reading shows it.
    (pipeline.results / "a-even" / "waiting.txt").write_text("odd")
    os.utime(pipeline.results / "a-even" / "waiting.txt", (moment + 2, moment + 2))
    assert "Modified by hand" in pipeline.run(*WORDS)


@pytest.mark.parametrize("year", ["0001", "1969", "2099", "9999"])
def test_records_of_any_time_are_read(pipeline, year):
    pipeline.add(WAITING)
    config = pipeline.folder / "luigi.cfg"
    config.write_text(config.read_text().replace("task = PlotAll", "task = After"))
    (pipeline.folder / "go").touch()
    pipeline.run(*WORDS)
    for path in [*pipeline.results.rglob("runs/*.json"), pipeline.results / "run.json"]:
        record = json.loads(path.read_text())
        record |= {name: f"{year}-01-01T00:00:00+00:00" for name in ("started", "ended")}
        path.write_text(json.dumps(record))
    assert "Nothing to make" in pipeline.run(*WORDS)
    for command in (
        ["status"],
        ["report"],
        ["export", "rocrate", "--name", "x"],
        ["why", "After", "a-even"],
        ["verify"],
    ):
        done = neuroluigi(pipeline, *command)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done
