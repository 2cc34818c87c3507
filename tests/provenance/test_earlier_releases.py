"""Results of earlier releases stay done: a field that their records lack contradicts nothing."""

import json
import re
import tarfile
from pathlib import Path

import pytest

from tests import commands
from tests.commands import BIN, clean_environment
from tests.conftest import Pipeline

EARLIER = Path(__file__).with_name("earlier")
ARCHIVES = sorted(EARLIER.glob("*.tar.gz"))
# Words of the first releases.
RENAMED = {"input gone": "input missing", "no run record": "untracked", "edited": "modified"}
SETTINGS = {
    "fake": ["--FakeRecording-sessions", "a,b"],
    "real": ["--recordings-root", "data", "--results-root", "results-real"],
}


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.removesuffix(".tar.gz"))
def lab(request, tmp_path) -> Path:
    """A lab's folder with the results of an earlier release, and today's pipeline."""
    pipeline = Pipeline(tmp_path / "lab")
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    pipeline.add((EARLIER / "own_steps.txt").read_text())
    return pipeline.folder


def run(lab: Path, *command: str, codes=(0,)) -> str:
    done = commands.run(
        [BIN / command[0], *command[1:], "--matlab-engine", "numpy"],
        cwd=lab,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in codes, done.stdout + done.stderr
    return done.stdout


def states(lab: Path, recordings: str) -> dict[str, str]:
    out = run(lab, "neuroluigi", "--task", "All", "status", "--json", *SETTINGS[recordings], codes=(0, 1))
    return {f"{one['row']} {one['task']}": one["state"] for one in json.loads(out)["results"]}


def expected_states(lab: Path, recordings: str) -> dict[str, str]:
    """Return the state of each result by its name of today, without the parameters that have their defaults."""
    expected = json.loads((lab / "expected.json").read_text())[recordings]
    short = {re.sub(r", (?!session=|index=)\w+=.*(?=\))", "", name): state for name, state in expected.items()}
    return {name: RENAMED.get(state, state) for name, state in short.items()}


def test_there_are_results_of_every_earlier_schema():
    assert len(ARCHIVES) == 4


@pytest.mark.parametrize("recordings", SETTINGS)
def test_each_result_of_an_earlier_release_is_in_the_state_in_which_it_was(lab, recordings):
    assert states(lab, recordings) == expected_states(lab, recordings)


@pytest.mark.parametrize("recordings", SETTINGS)
def test_a_run_makes_what_is_not_done_and_leaves_the_others_as_they_are(lab, recordings):
    expected = expected_states(lab, recordings)
    records = {path: path.stat().st_mtime_ns for path in lab.glob("results*/*/runs/*.json")}
    # A missing recording leaves its group alone, which is no failure.
    run(lab, "luigi", "--module", "tasks", "All", "--local-scheduler", *SETTINGS[recordings])
    made = {path for path, mtime_ns in records.items() if path.stat().st_mtime_ns != mtime_ns}
    wanted = {"missing", "damaged", "stale"}
    to_make = {result.split("(")[0] for result, state in expected.items() if state in wanted}
    # What was dropped is made where a step that is to be made needs it, and the step over all groups follows.
    assert {f"{path.parts[-3]} {path.stem}" for path in made} <= to_make | {"study Whole"}
    after = states(lab, recordings)
    left = {result: state for result, state in expected.items() if state not in (*wanted, "done")}
    assert {result: state for result, state in after.items() if state != "done"} == left
