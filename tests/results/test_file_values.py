"""The values of a group's files: cells per channel, by the file alone."""

import json

import numpy as np
import pytest

from neuroluigi.results.file_values import read_group
from neuroluigi.results.own_files import OwnFile
from neuroluigi.results.physical import Measure

UV = Measure("ap", 0.5, 3.0, "uV")
SUMMARY = {
    "count": [1, 2],
    "noise": [2.0, 4.0],
    "level": [-10.0, None],
    "flag": ["", "candidate"],
    "open": [0, 1],
    "band": [300, None],
    "rejected": {"width": 1, "refractory": 0},
}
IN_COUNTS = {"noise": "spread", "level": "filtered"}


def write(folder, **content):
    (folder / "spikes.json").write_text(json.dumps({**SUMMARY, **content}))
    np.save(folder / "spikes.npy", np.array([[1, 1, 2, 1, -1], [4, 0, 6, 5, -1], [9, 1, 10, 9, -1]]))


def read(path, *said):
    """Return {name: cells} of a file, and what was left out."""
    values, problems, _ = read_group([OwnFile(path, "", *said)], [UV, UV])
    return {name: cells for (_, name), cells in values.items()}, [reason for _, reason in problems]


def test_of_a_file_whose_target_says_what_is_shown_there_is_that_in_units(tmp_path):
    write(tmp_path)
    said = (IN_COUNTS, ("noise", "level", "flag", "release"))
    assert read(tmp_path / "spikes.json", *said) == (
        {"noise": [1.0, 2.0], "level": [-5.0, None], "flag": ["", "candidate"]},
        [],
    )
    assert read(tmp_path / "spikes.json", IN_COUNTS) == ({}, [])
    write(tmp_path, band=[None, 20])
    assert read(tmp_path / "spikes.json", *said)[0]["level"] == [-2.0, None]


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        ([3, None], [3, None]),
        # Not those of the array: it was edited.
        ([3, 1], [1, 2]),
        ([1, 1, 1], [1, 2]),
        ([3.0, 0], [1, 2]),
        ([True, 2], [1, 2]),
        (3, [1, 2]),
    ],
)
def test_counts_of_events_are_those_of_their_summary_where_they_agree_with_the_array(tmp_path, count, expected):
    write(tmp_path, count=count)
    assert read(tmp_path / "spikes.npy") == ({"spikes": expected}, [])


@pytest.mark.parametrize("columns", [4, 5])
def test_arrays_of_other_things_with_more_columns_are_left_out_without_a_word(tmp_path, columns):
    np.save(tmp_path / "sorted.npy", np.full((3, columns), 7))
    assert read(tmp_path / "sorted.npy") == ({}, [])
    np.save(tmp_path / "lines.npy", np.array([[1, 1, *[0] * (columns - 2)]]))
    assert read(tmp_path / "lines.npy") == ({"lines": [0, 1]}, [])
    np.save(tmp_path / "periods.npy", np.array([[0, 1000]]))
    assert read(tmp_path / "periods.npy")[1] == [
        "left out: its second column has other numbers than those of 2 channels"
    ]
