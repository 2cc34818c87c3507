"""The plan and the run agree: a small pipeline is changed at random, planned, run, and planned again.

Two answers are compared with each run. The plan's own: what is `make` in the plan is made, what is `maybe` is made
exactly when a file that it waits for changed. And the design's table, worked out by ChangingLab a second time from the
bytes of the files and from what each step was last made from.
"""

from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import Pipeline
from tests.steps.changes import CHANGES, recording
from tests.steps.changing_lab import STUDY, ChangingLab


@pytest.fixture(scope="module", params=[False, True], ids=["fake", "real"])
def finished(tmp_path_factory, request):
    """A lab in which everything is made; each example gets a copy."""
    folder = tmp_path_factory.mktemp("plan") / "lab"
    tasks = Pipeline(folder).folder / "tasks.py"
    text = tasks.read_text().replace("import luigi\n", "import json\nfrom pathlib import Path\n\nimport luigi\n", 1)
    tasks.write_text(text.replace("    ReportTask,\n", "    ReportTask,\n    StudyTask,\n", 1) + STUDY)
    if request.param:
        for number, (session, index) in enumerate([("a", 0), ("a", 1), ("b", 0)]):
            path = folder / "real" / session / f"rec_{index}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(recording(number, 40))
    lab = ChangingLab(folder, is_real=request.param)
    lab.compare()
    assert len(lab.made) == (10 if request.param else 13)
    return lab


numbers = st.tuples(st.integers(0, 30), st.integers(0, 3))
changes = st.tuples(st.sampled_from([change for change, weight in CHANGES.items() for _ in range(weight)]), numbers)


# An example takes seconds, so that looking for a shorter one that fails would take an hour.
@settings(
    max_examples=10,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    rounds=st.lists(st.lists(changes, min_size=1, max_size=4), min_size=1, max_size=2),
    workers=st.sampled_from([1] * 7 + [2]),
)
def test_a_run_does_what_the_plan_says(finished, tmp_path_factory, rounds, workers):
    lab = finished.copied_to(tmp_path_factory.mktemp("example") / "lab")
    lab.workers, lab.settings, lab.code, lab.made = workers, {}, {}, dict(finished.made)
    lab.waiting, lab.dropped, lab.fresh = {}, set(), count(10)
    for some in rounds:
        for change, (which, how) in some:
            change(lab, which, how)
        lab.compare()
