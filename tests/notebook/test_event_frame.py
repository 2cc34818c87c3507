"""Tables of events, and what pynapple gets of them."""

import sys
import types

import numpy as np
import pandas
import pytest

from neuroluigi.notebook import event_frame
from neuroluigi.notebook.event_frame import EventTable


@pytest.fixture
def pynapple(monkeypatch):
    """A stand-in for pynapple, which keeps what it is given."""
    module = types.ModuleType("pynapple")
    module.Ts, module.TsGroup = list, dict
    monkeypatch.setitem(sys.modules, "pynapple", module)


COLUMNS = {"session": ["a"] * 3, "sample": np.array([1, 5, 9]), "channel": np.array([0, 2, 0])}


@pytest.mark.parametrize("has_pandas", [True, False])
def test_it_is_apart_by_channel(pynapple, monkeypatch, has_pandas):
    monkeypatch.setattr("neuroluigi.notebook.frame.has_pandas", lambda: has_pandas)
    found = event_frame.event_frame({**COLUMNS, "seconds": np.array([0.1, 0.5, 0.9])})
    assert isinstance(found, pandas.DataFrame if has_pandas else EventTable)
    assert list(found.columns) == ["time_s", "sample", "channel", "name", "amplitude", "session"]
    assert found.to_pynapple() == {0: [0.1, 0.9], 2: [0.5]}


def test_a_part_of_a_data_frame_is_one_too(pynapple):
    found = event_frame.event_frame({**COLUMNS, "seconds": np.array([0.1, 0.5, 0.9])})
    assert found[found["channel"] == 2].to_pynapple() == {2: [0.5]}


def test_times_that_are_not_known_are_refused(pynapple):
    found = event_frame.event_frame({**COLUMNS, "seconds": np.array([0.1, np.nan, 0.9])})
    with pytest.raises(ValueError, match="set sampling_rate_hz"):
        found.to_pynapple()
