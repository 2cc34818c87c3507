"""Changes of digital lines that a rig wrote as events, against those of the words that they tell of, and real files."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroluigi.signals import ttl
from neuroluigi.signals.lines import LineOptions
from neuroluigi.signals.ttl import TtlRecording, find_ttl_lines
from tests.conftest import FORMATS, needs_formats
from tests.signals.line_cases import lines_by_definition, read_lines, runs_of_words

START = 5000


def events(folder: Path, states, at, words=None, **where) -> TtlRecording:
    """Write changes at samples of a recording; return what is to be known of it."""
    folder.mkdir(exist_ok=True)
    np.save(folder / "states.npy", np.asarray(states, "int16"))
    np.save(folder / "sample_numbers.npy", np.asarray(at, "int64") + START)
    if words is not None:
        np.save(folder / "full_words.npy", words)
    paths = (str(folder / f"{name}.npy") for name in ("states", "sample_numbers"))
    told = "" if words is None else str(folder / "full_words.npy")
    return TtlRecording(*paths, told, START, **{"first_sample": 0, "samples": 1000, **where})


def find(folder: Path, *recordings: TtlRecording, names=None, rate=1000.0, **asked) -> tuple[list[list[int]], dict]:
    paths = (str(folder / f"lines.{ending}") for ending in ("npy", "json"))
    find_ttl_lines(recordings, *paths, LineOptions(**asked), names or {}, rate)
    return read_lines(folder)


def events_of(words: np.ndarray) -> tuple[list[int], list[int], np.ndarray]:
    """Return states, samples and full words, as a rig writes the changes of words (samples, unsigned)."""
    states, samples, told = [], [], []
    word = int(words[0])
    for at in np.flatnonzero(np.diff(words.astype(np.int64))) + 1:
        for bit in range(64):
            if (word ^ int(words[at])) >> bit & 1:
                word ^= 1 << bit
                states.append((bit + 1) * (1 if word >> bit & 1 else -1))
                samples.append(at)
                told.append(word)
    return states, samples, np.array(told, np.uint64)


def test_lines_worked_out_by_hand(tmp_path):
    # Line 1 falls first, and so was high; line 3 rises. Both change at 30.
    one = events(tmp_path / "a", [-1, 3, 1, -3, -1], [10, 20, 30, 30, 40])
    rows, summary = find(tmp_path, one, names={0: "sync"})
    assert rows == [[10, -1, 0, 0], [20, -1, 2, 1], [30, -1, 0, 1], [30, -1, 2, 0], [40, -1, 0, 0]]
    assert summary == {
        "source": "ttl",
        "lines": [
            {"channel": -1, "bit": 0, "name": "sync", "rises": 1, "falls": 2, "initial": 1},
            {"channel": -1, "bit": 2, "name": "", "rises": 1, "falls": 1, "initial": 0},
        ],
        "initial": [{"sample": 0, "channel": -1, "bits": [0]}],
        "outside": [],
        "repeated": 0,
        "parameters": {"words": [-1], "bits": [0, 2], "settle": 1, "width_samples": None, "field": None},
    }
    assert [row[2] for row in find(tmp_path, one, bits=[2])[0]] == [2, 2]


def test_what_lies_outside_the_samples_is_kept_and_told(tmp_path):
    # Ten samples; in front of the sixth, twenty are missing.
    where = {"samples": 10, "gaps": [(5, 20)]}
    one = events(tmp_path / "a", [1, -1] * 5, [-3, 0, 4, 5, 24, 25, 26, 29, 30, 100], **where)
    rows, summary = find(tmp_path, one)
    assert [row[0] for row in rows] == [-3, 0, 4, 5, 5, 5, 6, 9, 10, 80]
    assert summary["outside"] == [0, 3, 4, 8, 9]
    # The width of a pulse is what passed, not what was kept: 4 to 25.
    one = events(tmp_path / "a", [1, -1, 1, -1], [4, 25, 26, 27], **where)
    assert [row[0] for row in find(tmp_path, one, width=21)[0]] == [4, 5]


def test_recordings_of_a_group_follow_each_other(tmp_path):
    one = events(tmp_path / "a", [2, -2, 2], [1, 5, 12], samples=10)
    other = events(tmp_path / "b", [-2, -1], [3, 4], first_sample=10, samples=10)
    rows, summary = find(tmp_path, one, other)
    assert rows == [[1, -1, 1, 1], [5, -1, 1, 0], [12, -1, 1, 1], [13, -1, 1, 0], [14, -1, 0, 0]]
    assert summary["outside"] == [2]
    # Of the second line nothing is known in the first recording.
    assert [line["initial"] for line in summary["lines"]] == [None, 0]
    assert summary["initial"] == [{"sample": 10, "channel": -1, "bits": [0, 1]}]
    # No pulse lasts from one into the other.
    assert [row[0] for row in find(tmp_path, one, other, width=4)[0]] == [1, 5]


def test_what_is_told_twice_is_no_change(tmp_path):
    rows, summary = find(tmp_path, events(tmp_path / "a", [1, 1, -1, -2, -2, -1], [1, 2, 3, 4, 5, 6]))
    assert [row[0] for row in rows] == [1, 3, 4] and summary["repeated"] == 3


@pytest.mark.parametrize(
    "words", [np.array([9, 8], "uint64"), np.array([[9, 0], [8, 0]], "uint8"), np.array([9, 8], "uint8")]
)
def test_full_words_tell_of_lines_that_never_change(tmp_path, words):
    rows, summary = find(tmp_path, events(tmp_path / "a", [1, -1], [3, 6], words))
    assert [(line["bit"], line["initial"]) for line in summary["lines"]] == [(0, 0), (3, 1)]
    assert summary["initial"] == [{"sample": 0, "channel": -1, "bits": [3]}] and len(rows) == 2


def test_no_changes_at_all(tmp_path):
    rows, summary = find(tmp_path, events(tmp_path / "a", [], [], np.empty(0, "uint64")))
    assert rows == [] and summary["lines"] == []
    rows, summary = find(tmp_path, events(tmp_path / "a", [], []), bits=[4])
    assert [line["initial"] for line in summary["lines"]] == [None]


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_events_are_those_of_their_words(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("ttl")
    words = runs_of_words(data.draw(st.integers(0, 1 << 32)), data.draw(st.integers(2, 150)), 1, "uint16")
    states, samples, told = events_of(words[:, 0])
    asked = {"settle": data.draw(st.integers(1, 6))}
    kind = data.draw(st.sampled_from(["", "width", "field"]))
    if kind == "width":
        asked["width"] = data.draw(st.integers(1, 20))
    if kind == "field":
        asked["field"] = (first := data.draw(st.integers(0, 9)), data.draw(st.integers(1, 16 - first)))
    one = events(folder / "a", states, samples, told if data.draw(st.booleans()) else None, samples=len(words))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ttl, "_BLOCK_ROWS", data.draw(st.sampled_from([1, 2, 5, 1 << 16])))
        rows, summary = find(folder, one, **asked)
    expected = lines_by_definition(words, **asked)
    if kind == "field" and not one.words:
        # Of bits that never change, nothing tells but the words.
        unknown = sum(1 << bit for bit in range(16) if bit + 1 not in map(abs, states)) & int(words[0, 0])
        expected = lines_by_definition(words & ~np.uint16(unknown), **asked)
    assert rows == [[sample, -1, bit, value] for sample, _, bit, value in expected]
    assert summary["outside"] == [] and summary["repeated"] == 0


def test_blocks_of_any_size_give_the_same_bytes(tmp_path, monkeypatch):
    states, samples, told = events_of(runs_of_words(3, 500, 1, "uint8")[:, 0])
    one = events(tmp_path / "a", states, samples, told, samples=400, gaps=[(100, 7), (300, 1)])
    for asked in ({}, {"settle": 3, "width": 9}, {"field": (1, 6)}):
        given = set()
        for size in (1 << 16, 100, 3, 1):
            monkeypatch.setattr(ttl, "_BLOCK_ROWS", size)
            find(tmp_path, one, **asked)
            given.add(((tmp_path / "lines.npy").read_bytes(), (tmp_path / "lines.json").read_bytes()))
        assert len(given) == 1 and len(next(iter(given))[0]) > 400


def test_files_that_are_none_of_changes(tmp_path):
    def problem(name: str, values) -> str:
        one = events(tmp_path / "a", [1, -1], [1, 2])
        if isinstance(values, bytes):
            (tmp_path / "a" / name).write_bytes(values)
        else:
            np.save(tmp_path / "a" / name, np.array(values))
        with pytest.raises(ValueError) as error:
            find(tmp_path, one)
        assert str(tmp_path / "a" / name) in str(error.value)
        return str(error.value)

    assert "runs back" in problem("sample_numbers.npy", [6000, 5999])
    assert "has values of float64, not whole numbers" in problem("sample_numbers.npy", [1.5, 2.5])
    assert "which belong together is unknown" in problem("sample_numbers.npy", [6000])
    assert "a change of line 0" in problem("states.npy", [0, 1])
    assert "is no NumPy file" in problem("states.npy", b"nothing")
    np.save(tmp_path / "whole.npy", np.array([1, -1], "int16"))
    assert "is cut short" in problem("states.npy", (tmp_path / "whole.npy").read_bytes()[:-2])


@needs_formats
@pytest.mark.parametrize(
    ("stream", "counts"),
    [
        ("NI-DAQmx-103.PXIe-6341", [(0, 837, 837, 1), (1, 360, 360, 0)]),
        ("Neuropix-PXI-100.ProbeB", [(0, 837, 837, 1)]),
        ("Neuropix-PXI-100.ProbeC", [(0, 837, 837, 1)]),
    ],
)
def test_real_events_of_open_ephys(tmp_path, stream, counts):
    folder = FORMATS / "openephys/three_streams_v0.6/Record Node 101/experiment1/recording1"
    files = [folder / "events" / stream / "TTL" / f"{one}.npy" for one in ("states", "sample_numbers", "full_words")]
    start = int(np.load(folder / "continuous" / stream / "sample_numbers.npy")[0])
    rows, summary = find(tmp_path, TtlRecording(*map(str, files), start, 0, 100), rate=30000.0)
    states, counters = np.load(files[0]).astype(int), np.load(files[1])
    expected = zip(counters - start, abs(states) - 1, (states > 0).astype(int), strict=True)
    assert rows == [[sample, -1, bit, value] for sample, bit, value in expected]
    assert [tuple(line[one] for one in ("bit", "rises", "falls", "initial")) for line in summary["lines"]] == counts
    assert summary["repeated"] == 0
    # There are 100 samples, and half an hour of changes.
    assert summary["outside"] == [row for row, one in enumerate(rows) if not 0 <= one[0] < 100]
    json.dumps(summary)
