"""The files of Lines: read whole, and refused where they are damaged."""

import json

import numpy as np
import pytest

import targets
from neuroluigi import DamagedError

SUMMARY = {"source": "words", "lines": [], "initial": [], "outside": [], "repeated": 0, "parameters": {}}


def test_lines_are_read_as_a_map(tmp_path):
    path = tmp_path / "lines.npy"
    np.save(path, np.array([[5, 0, 1, 1], [9, 0, 1, 0]], "<i8"))
    lines = targets.Lines(path)
    lines.check(path)
    assert lines.load().tolist() == [[5, 0, 1, 1], [9, 0, 1, 0]] and not lines.load().flags.writeable


@pytest.mark.parametrize("array", [np.zeros((3, 2), "<i8"), np.zeros((3, 4), "<i4"), np.zeros(4, "<i8")])
def test_an_array_of_another_form_is_no_lines(tmp_path, array):
    np.save(tmp_path / "lines.npy", array)
    with pytest.raises(DamagedError, match=r"lines.npy is not int64 of shape \(changes, 4\) but"):
        targets.Lines(tmp_path / "lines.npy").check(tmp_path / "lines.npy")


def test_a_summary_lacks_nothing(tmp_path):
    path = tmp_path / "lines.json"
    path.write_text(json.dumps(SUMMARY))
    targets.LineSummary(path).check(path)
    assert targets.LineSummary(path).load() == SUMMARY
    for content, missing in (({**SUMMARY, "lines": None}, None), ({"source": "words"}, "initial, lines"), ([], "init")):
        path.write_text(json.dumps(content))
        if missing:
            with pytest.raises(DamagedError, match=f"lines.json does not have {missing}"):
                targets.LineSummary(path).check(path)
        else:
            targets.LineSummary(path).check(path)
