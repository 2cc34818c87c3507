"""What Peri counts of a sorter's folder and of a table of events, without a run."""

from types import SimpleNamespace

import luigi
import numpy as np
import pytest

from neuroluigi.ephys.peri_events import OfChannels, OfUnits, Row
from neuroluigi.recordings.sample_times import SampleTimes
from neuroluigi.steps.describe import StepError

# Two sessions of a second each in one group.
LAYOUT = {
    "channels": 2, "channel_names": ["A", "B"], "sampling_rate_hz": 1000, "segments": [0, 1000],
    "recordings": [{"session": one, "first_sample": n * 1000, "samples": 1000} for n, one in enumerate("ts")],
}  # fmt: skip


def step_with(kind: str, family: str, paths: list, **values) -> SimpleNamespace:
    targets = [luigi.LocalTarget(str(one)) for one in paths]
    task = SimpleNamespace(task_family=family, output=lambda: targets)
    groups = {"groups": {"g": {kind: task}}}
    given = {"groups": {"g": {kind: targets}}}
    return SimpleNamespace(task_family="Peri", session="s", requires=lambda: groups, input=lambda: given, **values)


def pairs(events) -> list[tuple[int, int]]:
    return [
        pair
        for times, rows in events.blocks()
        for pair in zip((times // 1_000_000).tolist(), rows.tolist(), strict=True)
    ]


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "spike_times.npy", np.array([5, 1005, 1300, 1300, 1400]))
    np.save(tmp_path / "spike_clusters.npy", np.array([3, 3, 7, 3, 9]))
    (tmp_path / "cluster_group.tsv").write_text("cluster_id\tgroup\n3\tgood\n7\tmua\n")
    return tmp_path


@pytest.mark.parametrize(
    "units, ids, found",
    [
        (("good",), [3], [(5, 0), (300, 0)]),
        (("7", "9"), [7, 9], [(300, 0), (400, 1)]),
        (("all",), [3, 7, 9], [(5, 0), (300, 1), (300, 0), (400, 2)]),
    ],
)
def test_units_by_label_and_number(folder, units, ids, found):
    events = OfUnits(step_with("units", "Sorter", [folder], units=units), "g", LAYOUT, SampleTimes(LAYOUT))
    assert [one.unit for one in events.rows] == ids and sorted(pairs(events)) == sorted(found)
    assert events.what == f"Sorter, {len(ids)} of 3 units ({', '.join(units)})"


def test_units_that_are_not_there(folder):
    step = step_with("units", "Sorter", [folder], units=("great",))
    with pytest.raises(StepError, match="units = great: g has no such units; it has 3, of labels: good, mua, "):
        OfUnits(step, "g", LAYOUT, SampleTimes(LAYOUT))
    (folder / "spike_times.npy").unlink()
    with pytest.raises(StepError, match=r"Sorter of g is no sorter's folder: .*spike_times.npy"):
        OfUnits(step, "g", LAYOUT, SampleTimes(LAYOUT))


def test_events_of_chosen_channels(tmp_path):
    np.save(tmp_path / "e.npy", np.array([[3, 1], [1010, 0], [1020, 1], [1030, 1]]))
    step = step_with("events", "Edges", [tmp_path / "e.npy"], choose_channels=lambda group, looked_at: [1])
    events = OfChannels(step, "g", LAYOUT, SampleTimes(LAYOUT))
    assert events.rows == [Row("g", 1, None, "B")] and pairs(events) == [(20, 0), (30, 0)]
    assert events.what == "Edges, threshold crossings, not sorted"
