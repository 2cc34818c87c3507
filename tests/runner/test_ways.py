"""The ways to start a run: each gives the same results, records and exit codes, because the tasks do the work."""

import json
import subprocess
import sys

import pytest

from tests.conftest import BIN, Pipeline, clean_environment

SMALL = ["PlotAll", "--FakeRecording-sessions", "s", "--FakeRecording-count", "2", "--matlab-engine", "numpy"]

WAYS = {
    "luigi": [BIN / "luigi", "--module", "tasks", *SMALL, "--local-scheduler"],
    "python -m luigi": [sys.executable, "-m", "luigi", "--module", "tasks", *SMALL, "--local-scheduler"],
    "python -m neuroluigi": [sys.executable, "-m", "neuroluigi", "run", *SMALL],
}

# What differs between two runs.
OF_THE_MOMENT = {"started", "ended", "seconds", "cpu_seconds", "host", "mtime_ns"}


def start(pipeline, way):
    return subprocess.run(
        WAYS[way], cwd=pipeline.folder, env=clean_environment(), capture_output=True, text=True, timeout=120
    )


def records(pipeline):
    def steady(value):
        if isinstance(value, dict):
            return {name: steady(one) for name, one in value.items() if name not in OF_THE_MOMENT}
        return [steady(one) for one in value] if isinstance(value, list) else value

    found = sorted((*pipeline.results.rglob("runs/*.json"), *(pipeline.folder / "recordings").rglob("runs/*.json")))
    return {str(path.relative_to(pipeline.folder)): steady(json.loads(path.read_text())) for path in found}


@pytest.fixture(scope="module")
def by_luigi(tmp_path_factory):
    """A pipeline that the command luigi has run."""
    pipeline = Pipeline(tmp_path_factory.mktemp("ways") / "lab")
    done = start(pipeline, "luigi")
    assert done.returncode == 0, done.stderr
    return pipeline


@pytest.mark.parametrize("way", [way for way in WAYS if way != "luigi"])
def test_each_way_makes_the_same_with_the_same_records(pipeline, by_luigi, way):
    done = start(pipeline, way)
    assert done.returncode == 0, done.stderr
    assert len(records(pipeline)) == 10 and records(pipeline) == records(by_luigi)
    assert pipeline.files() == by_luigi.files()


def test_what_one_way_has_made_is_done_for_the_others(by_luigi):
    before = {path: path.stat().st_mtime_ns for path in by_luigi.results.rglob("*.json")}
    for way in WAYS:
        done = start(by_luigi, way)
        assert done.returncode == 0 and " made in " not in done.stderr
    assert {path: path.stat().st_mtime_ns for path in by_luigi.results.rglob("*.json")} == before


@pytest.mark.parametrize("way", WAYS)
def test_each_way_ends_with_the_exit_code_of_luigi_cfg(pipeline, way):
    pipeline.override("Stats", "def make(self, out):", "    raise ValueError('no good')")
    config = pipeline.folder / "luigi.cfg"
    config.write_text(config.read_text().replace("task_failed = 30", "task_failed = 31"))
    done = start(pipeline, way)
    assert done.returncode == 31 and "Stats(group=s-odd): ValueError: no good (tasks.py, line " in done.stderr
    assert json.loads((pipeline.results / "s-odd" / "runs" / "Stats.failed.json").read_text())["step"] == "Stats"
