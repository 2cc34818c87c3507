"""Snippets against the definition: which events, of which channels, and each sample of them."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroluigi.signals import blocks, filtered, snippets
from neuroluigi.signals.events import find_events
from neuroluigi.signals.neighbours import neighbours
from neuroluigi.signals.snippets import cut_snippets
from tests.signals import event_cases
from tests.signals.aggregates import write_aggregate

RATE = 1000.0
BAND = {"low": 50.0, "high": 300.0}


class Cut:
    """What cut_snippets writes of events, rows (channel, peak) or whole ones."""

    def __init__(self, folder, aggregate: str, events, **options):
        events = np.asarray(events, np.int64)
        if events.shape[1:] != (5,):
            channels, peaks = events.reshape(-1, 2).T
            events = np.stack([peaks - 1, channels, peaks + 2, peaks, -np.ones_like(peaks)], axis=1)
        np.save(folder / "events.npy", events)
        paths = [str(folder / name) for name in ("events.npy", "snippets.npy", "snippets.json")]
        cut_snippets(aggregate, *paths, *(one for pair in options.items() for one in pair))
        self.array = np.load(paths[1], mmap_mode="r")
        self.summary = json.loads((folder / "snippets.json").read_text())
        assert self.array.dtype == np.dtype("<f4") and self.array.ndim == 2
        assert sum(row["count"] * len(row["neighbours"]) for row in self.summary["rows"]) == len(self.array)

    def of(self, channel: int) -> np.ndarray:
        """Return the snippets of a channel: (snippets, neighbours, samples)."""
        row = next(one for one in self.summary["rows"] if one["channel"] == channel)
        width = len(row["neighbours"])
        return self.array[row["first"] :][: row["count"] * width].reshape(row["count"], width, -1)


def write(folder, data, segments=(0,), **known) -> str:
    data = np.asarray(data)
    data = data if data.ndim == 2 else data[:, None]
    return write_aggregate(folder, data, segments, sampling_rate_hz=RATE, **known)


def noise(samples: int, channels: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((samples, channels)) * 100).round().astype("int16")


def judged(y, events, before, after, segments=(0,), most=100, beside=4) -> dict:
    """Return snippets by channel: the definition, one event after the other, of a filtered signal."""
    stretches, kept, left_out = event_cases.stretches(len(y), segments), {}, 0
    for channel, peak in events:
        first, last = next(one for one in stretches if one[0] <= peak < one[1])
        if peak - before < first or peak + after > last:
            left_out += 1
        else:
            kept.setdefault(channel, []).append(peak)
    cut = {}
    for channel, peaks in kept.items():
        if len(peaks) > most:
            peaks = [peaks[math.floor(k * (len(peaks) - 1) / max(most - 1, 1) + 0.5)] for k in range(most)]
        near = neighbours([{}] * y.shape[1], range(y.shape[1]), beside=beside)[channel]
        cut[channel] = np.array([[y[peak - before : peak + after, one] for one in near] for peak in peaks])
    return {"cut": cut, "left_out": left_out}


def assert_judged(ours: Cut, expected: dict, within: float = 1e-4) -> None:
    assert [row["channel"] for row in ours.summary["rows"]] == sorted(expected["cut"])
    assert ours.summary["left_out"] == expected["left_out"]
    for channel, wanted in expected["cut"].items():
        np.testing.assert_allclose(ours.of(channel), wanted, atol=within, rtol=1e-6)


def test_by_hand(tmp_path):
    file = write(tmp_path, np.arange(40).reshape(20, 2))
    # Channel 1 has an event that is too near the start.
    ours = Cut(tmp_path, file, [[1, 1], [0, 7], [1, 10], [1, 18]], before=2, after=2)
    of_0 = [[10, 12, 14, 16], [11, 13, 15, 17]]
    assert ours.array.tolist() == [*of_0, [17, 19, 21, 23], [16, 18, 20, 22], [33, 35, 37, 39], [32, 34, 36, 38]]
    assert ours.summary == {
        "rows": [
            {"channel": 0, "neighbours": [0, 1], "first": 0, "count": 1, "left_out": 0},
            {"channel": 1, "neighbours": [1, 0], "first": 2, "count": 2, "left_out": 1},
        ],
        "left_out": 1,
        "before_samples": 2,
        "after_samples": 2,
        "sampling_rate_hz": RATE,
        "raw": False,
        "parameters": {"before": 2, "after": 2},
    }


@pytest.mark.parametrize("most", [1, 2, 3, 7, 100, 1000])
@pytest.mark.parametrize("reference", ["none", "median"])
def test_they_are_those_of_the_definition(tmp_path, most, reference):
    data, segments, random = noise(9000, 7), [0, 2500, 2520, 8000], np.random.default_rng(3)
    peaks = sorted(random.integers(0, 9000, 900).tolist())
    events = [(int(random.choice([0, 0, 0, 2, 5])), peak) for peak in peaks]
    ours = Cut(tmp_path, write(tmp_path, data, segments), events, before=10, after=20, most=most, beside=2,
               reference=reference, **BAND)  # fmt: skip
    y = event_cases.filtered(data, RATE, segments, 50, 300, [1] * 7 if reference == "median" else None)
    expected = judged(y, events, 10, 20, segments, most, beside=2)
    assert_judged(ours, expected)
    assert expected["left_out"] > 5 and ours.of(0).shape == (min(most, len(expected["cut"][0])), 3, 30)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 299)), max_size=60),
    st.lists(st.integers(1, 299), max_size=5),
    st.integers(1, 12),
    st.integers(0, 9),
    st.integers(1, 9),
)
def test_any_events_and_seams(tmp_path_factory, events, seams, most, before, after):
    data, segments, folder = noise(300, 3), [0, *sorted({*seams})], tmp_path_factory.mktemp("any")
    events = sorted(events, key=lambda one: one[1])
    ours = Cut(folder, write(folder, data, segments), events, before=before, after=after, most=most, **BAND)
    y = event_cases.filtered(data, RATE, segments, 50, 300)
    assert_judged(ours, judged(y, events, before, after, segments, most))


def test_planted_waveforms_come_back(tmp_path):
    random = np.random.default_rng(5)
    # Whole periods of a tone in the band, in which the filter changes little.
    shape = -1000 * np.hanning(21) * np.cos(2 * np.pi * 150 * (np.arange(21) - 10) / RATE)
    data = random.standard_normal((20_000, 3)) * 5
    peaks = list(range(100, 19_900, 97))
    for number, peak in enumerate(peaks):
        data[peak - 10 : peak + 11, number % 3] += shape
    file, options = write(tmp_path, data.round().astype("int16")), {"low": 20.0, "high": 450.0}
    paths = [str(tmp_path / name) for name in ("found.npy", "amplitudes.npy")]
    rule = {"polarity": "falling", "noise": 8, "refractory": 30, "peakWithin": 15, "peakPastEnd": True}
    find_events(file, *paths, "", *(one for pair in {**options, **rule}.items() for one in pair))
    found, amplitudes = np.load(paths[0]), np.load(paths[1])
    assert found[:, 3].tolist() == peaks and found[:, 1].tolist() == [k % 3 for k in range(len(peaks))]
    ours = Cut(tmp_path, file, found, before=10, after=11, **options)
    for channel in range(3):
        cut = ours.of(channel)
        np.testing.assert_allclose(cut[:, 0].mean(axis=0), shape, atol=40)
        assert abs(cut[:, 1:].mean(axis=0)).max() < 5
        np.testing.assert_allclose(cut[:, 0, 10], amplitudes[found[:, 1] == channel], rtol=1e-6)


@pytest.mark.parametrize("size", [1, 50, 3000, 1 << 18])
def test_blocks_of_any_size(tmp_path, monkeypatch, size):
    data, random = noise(20_000, 3), np.random.default_rng(1)
    events = [(int(random.integers(3)), int(peak)) for peak in np.sort(random.integers(0, 20_000, 300))]
    file = write(tmp_path, data, [0, 7001])
    expected = np.array(Cut(tmp_path, file, events, before=30, after=40, reference="median", **BAND).array)
    for module in (blocks, filtered):
        monkeypatch.setattr(module, "BLOCK_VALUES", size)
    monkeypatch.setattr(snippets, "_BLOCK_ROWS", min(size, 77))
    assert np.array_equal(Cut(tmp_path, file, events, before=30, after=40, reference="median", **BAND).array, expected)


def test_raw_counts_of_each_dtype_at_its_limits(tmp_path):
    for dtype in ("uint8", "int8", "uint16", "int16", "int32", "float32", "float64"):
        data = event_cases.at_limits(dtype, 400, 2)
        events = [[k % 2, 20 * k] for k in range(20)]
        ours = Cut(tmp_path, write(tmp_path, data), events, before=5, after=5, raw=True, reference="median", **BAND)
        with np.errstate(over="ignore"):
            expected = judged(data.astype("<f4"), events, 5, 5)
        for channel, cut in expected["cut"].items():
            assert np.array_equal(ours.of(channel), cut, equal_nan=True)
        assert ours.summary["raw"] is True


def test_neighbours_by_position_among_the_chosen_channels(tmp_path):
    places = [{"name": str(k), "x": 0, "y": 60 * k, "shank": int(k > 3)} for k in range(6)]
    data = noise(200, 6)
    file = write(tmp_path, data, channels=places)
    ours = Cut(tmp_path, file, [[5, 50], [2, 60], [0, 70], [1, 80]], channels=[6, 1, 3, 4])
    assert [(row["channel"], row["neighbours"]) for row in ours.summary["rows"]] == [(0, [0]), (2, [2, 3]), (5, [5])]
    assert np.array_equal(ours.of(2)[0], data[59:62, [2, 3]].T)
    wide = Cut(tmp_path, file, [[2, 60]], within=1000)
    assert wide.summary["rows"][0]["neighbours"] == [2, 0, 1, 3]


def test_the_peak_of_what_has_none_is_its_onset(tmp_path):
    file, data = write(tmp_path, np.arange(20)), np.arange(20)
    np.save(tmp_path / "edges.npy", np.array([[5, 0], [9, 0]], np.int64))
    cut_snippets(file, *(str(tmp_path / name) for name in ("edges.npy", "s.npy", "s.json")))
    assert np.load(tmp_path / "s.npy").tolist() == [data[4:7].tolist(), data[8:11].tolist()]


def test_no_events(tmp_path):
    ours = Cut(tmp_path, write(tmp_path, noise(100, 2)), np.empty((0, 5)), **BAND)
    assert ours.array.shape == (0, 3) and ours.summary["rows"] == []


def test_a_recording_without_samples(tmp_path):
    ours = Cut(tmp_path, write(tmp_path, noise(0, 2)), np.empty((0, 5)), **BAND)
    assert ours.array.shape == (0, 3) and ours.summary["left_out"] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"after": 0}, "after is 0 ms"),
        ({"before": -1}, "before -1 is not"),
        ({"most": 0}, "most 0 is not a whole number from 1 on"),
        ({"most": 1.5}, "most 1.5"),
        ({"beside": -1}, "beside -1"),
        ({"within": math.inf}, "within inf"),
        ({"level": 5}, "no option level"),
        ({"channels": [3]}, "no channel 3 among 1 to 2"),
        ({"low": 800.0}, "low = 800 Hz is not between"),
    ],
)
def test_options_that_are_wrong(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        Cut(tmp_path, write(tmp_path, noise(50, 2)), [[0, 20]], **options)


def test_what_does_not_belong_together(tmp_path):
    file = write(tmp_path, noise(50, 2))
    with pytest.raises(ValueError, match=r"events.npy has events of channels that .*aggregate.json does not have"):
        Cut(tmp_path, file, [[2, 20]])
    with pytest.raises(ValueError, match="need the sampling rate"):
        Cut(tmp_path, write_aggregate(tmp_path, noise(50, 2)), [[0, 20]])
