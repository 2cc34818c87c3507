"""What is checked of trials.csv and peri.json."""

import numpy as np
import pytest

import targets
from neuroluigi.steps.target import DamagedError


@pytest.mark.parametrize(
    "text, words",
    [("a,b\n1,2\n", "no column start_time"), ("side,start_time\n1,2\n", "does not begin with start_time")],
)
def test_trials_that_are_none(tmp_path, text, words):
    path = tmp_path / "trials.csv"
    path.write_text(text)
    with pytest.raises(DamagedError, match=words):
        targets.Trials(path).check(path)


def test_numbers_and_texts_of_trials(tmp_path):
    path = tmp_path / "trials.csv"
    path.write_text("start_time,stop_time,side,n\n0.1,,left,3\n0.5,0.75,,\n")
    targets.Trials(path).check(path)
    found = targets.Trials(path).load()
    np.testing.assert_array_equal(found["stop_time"], [np.nan, 0.75])
    np.testing.assert_array_equal(found["n"], [3, np.nan])
    assert found["side"].tolist() == ["left", ""] and found["start_time"].tolist() == [0.1, 0.5]


def test_a_summary_that_lacks_something(tmp_path):
    path = tmp_path / "peri.json"
    path.write_text('{"align": "start_time", "by": null}')
    with pytest.raises(DamagedError, match="does not have bin_ms, blank, conditions, groups, rows, trials, window_ms"):
        targets.PeriSummary(path).check(path)
