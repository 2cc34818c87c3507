"""Crossings by the NumPy side against a judge that goes a sample at a time, and against real recordings."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroluigi.signals import blocks, crossings, filtered
from neuroluigi.signals.events import EventOptions, find_events, samples_of
from tests.conftest import FORMATS, REAL_RECORDINGS, needs_formats, needs_real_recordings
from tests.signals import event_cases
from tests.signals.aggregates import write_aggregate

RATE = 1000.0


class Found:
    """What find_events writes."""

    def __init__(self, folder, aggregate: str, **options):
        paths = [str(folder / name) for name in ("events.npy", "amplitudes.npy", "events.json")]
        pairs = [one for pair in options.items() for one in pair]
        find_events(aggregate, *paths, *pairs)
        self.rows, self.amplitudes = np.load(paths[0]), np.load(paths[1])
        self.summary = json.loads((folder / "events.json").read_text())
        find_events(aggregate, str(folder / "edges.npy"), "", "", *pairs)
        assert np.load(folder / "edges.npy").tolist() == self.rows[:, :2].tolist()


def found(folder, data, segments=(0,), **options) -> Found:
    data = np.asarray(data)
    data = data.reshape(len(data), -1)
    return Found(folder, write_aggregate(folder, data, segments, sampling_rate_hz=RATE), **options)


def assert_judged(ours: Found, data, segments=(0,), **options) -> event_cases.Judged:
    """Assert that the events are those of the judge; the options are those of find_events."""
    names = {"widthTolerance": "width_tolerance", "peakWithin": "peak_within", "peakPastEnd": "peak_past_end"}
    options = {names.get(name, name): value for name, value in options.items()}
    if reference := options.pop("reference", None):
        options["labels"] = reference
    judged = event_cases.judge(np.asarray(data).reshape(len(data), -1), RATE, segments, **options)
    assert ours.rows.tolist() == judged.rows.tolist()
    np.testing.assert_allclose(ours.amplitudes, judged.amplitudes, rtol=1e-9)
    assert ours.summary["open"] == judged.open
    assert ours.summary["rejected"] == judged.rejected
    assert ours.summary["count"] == judged.count
    return judged


RULES = st.fixed_dictionaries(
    {"polarity": st.sampled_from(["rising", "falling", "absolute"])},
    optional={
        "settle": st.integers(1, 6),
        "width": st.sampled_from([1.0, 2.0, 5.0]),
        "widthTolerance": st.sampled_from([0.0, 0.2, 1.0]),
        "refractory": st.sampled_from([1.0, 3.0, 10.0]),
        "peakWithin": st.sampled_from([1.0, 3.0, 20.0]),
        "ends": st.booleans(),
    },
)
LEVELS = st.one_of(
    st.fixed_dictionaries({"level": st.integers(-4, 5)}, optional={"hysteresis": st.sampled_from([0, 1, 2.5, 7])}),
    st.fixed_dictionaries(
        {"threshold": st.sampled_from([0.0, 0.3, 0.5, 0.75, 1.0])},
        optional={"release": st.sampled_from([0.0, 0.5, 1.0])},
    ),
    st.fixed_dictionaries(
        {"noise": st.sampled_from([0.5, 1.0, 2.0])}, optional={"release": st.sampled_from([0.0, 0.5])}
    ),
)


@settings(max_examples=300, deadline=None)
@given(
    rules=RULES,
    levels=LEVELS,
    seed=st.integers(0, 10_000),
    samples=st.integers(1, 120),
    channels=st.integers(1, 4),
    seams=st.sets(st.integers(1, 119), max_size=4),
    has_holes=st.booleans(),
    is_past_end=st.booleans(),
    block=st.sampled_from([1, 3, 8, 50, 1 << 18]),
)
def test_every_rule_in_blocks_of_every_size(
    tmp_path_factory, rules, levels, seed, samples, channels, seams, has_holes, is_past_end, block
):
    folder = tmp_path_factory.mktemp("events")
    data, segments = event_cases.walks(samples, channels, seed), [0, *sorted(one for one in seams if one < samples)]
    if has_holes:
        data = event_cases.with_holes(data, seed, share=0.05)
    options = {**rules, **levels}
    if is_past_end and "peakWithin" in options:
        options["peakPastEnd"] = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_VALUES", block)
        patch.setattr(crossings, "_VALUES_AT_ONCE", block)
        ours = found(folder, data, segments, **options)
    assert_judged(ours, data, segments, **options)


BAND = {"low": 60.0, "high": 300.0, "polarity": "falling", "noise": 4.0, "release": 0.5, "refractory": 3.0,
        "peakWithin": 4.0}  # fmt: skip


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("polarity", ["rising", "falling", "absolute"])
def test_planted_spikes_at_seams_and_edges_of_blocks_in_each_dtype(tmp_path, monkeypatch, dtype, polarity):
    places, segments = [0, 5, 3999, 4000, 4096, 5000, 9000, 12_345, 14_999], [0, 4000, 9003]
    data = event_cases.planted(15_000, 3, places)
    if not dtype.startswith("float"):
        info = np.iinfo(dtype)
        data = np.clip(data * min(1, (info.max - info.min) / 1200) + (info.max + info.min) / 2, info.min, info.max)
    data = data.astype(dtype)
    options = {**BAND, "polarity": polarity}
    ours = found(tmp_path, data, segments, **options)
    assert len(assert_judged(ours, data, segments, **options).rows) >= 6
    for size in (300, 4000, 20_000):
        monkeypatch.setattr(blocks, "BLOCK_VALUES", size)
        monkeypatch.setattr(filtered, "BLOCK_VALUES", size)
        again = found(tmp_path, data, segments, **options)
        assert again.rows.tolist() == ours.rows.tolist() and again.amplitudes.tolist() == ours.amplitudes.tolist()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("polarity", ["rising", "falling", "absolute"])
def test_limits_of_each_dtype_wrap_nowhere(tmp_path, dtype, polarity):
    data = event_cases.at_limits(dtype, 300, 2)
    info = np.finfo(dtype) if dtype.startswith("float") else np.iinfo(dtype)
    for level in (info.min, -1, 0, 1, info.max, 0.5, -0.5, 300.0, -300.0, 1e12, -1e12):
        options = {"level": float(level), "polarity": polarity}
        assert_judged(found(tmp_path, data, [0, 100], **options), data, [0, 100], **options)


@pytest.mark.parametrize("channels", [1, 2, 20, 768])
def test_any_number_of_channels_with_dead_ones_and_a_reference(tmp_path, channels):
    data = event_cases.with_dead_channels(event_cases.planted(5000, channels, range(20, 5000, 400)))
    options = {**BAND, "reference": [1] * channels} if channels > 2 else BAND
    ours = found(tmp_path, data, [0, 2500], **options)
    assert len(assert_judged(ours, data, [0, 2500], **options).rows)
    if channels == 2:
        assert ours.summary["flag"] == ["", ""]


def test_what_has_no_noise_or_no_numbers_has_no_events_and_is_flagged(tmp_path):
    data = np.stack([np.full(9000, 7.0), np.full(9000, np.nan), event_cases.planted(9000, 1, [5000])[:, 0]], axis=1)
    ours = found(tmp_path, data, **BAND)
    assert ours.summary["flag"] == ["no noise", "no noise", ""] and set(ours.rows[:, 1]) == {2}
    assert ours.summary["noise"][:2] == [0, None] and ours.summary["level"][:2] == [None, None]
    assert ours.summary["rate_hz"][2] == ours.summary["count"][2] / 9


def test_channels_that_are_not_chosen(tmp_path):
    data = event_cases.planted(9000, 4, range(100, 9000, 300))
    ours = found(tmp_path, data, channels=[4, 2], **BAND)
    every = found(tmp_path, data, **BAND)
    assert ours.rows.tolist() == [row for row in every.rows.tolist() if row[1] in (3, 1)]
    assert ours.summary["flag"] == ["not chosen", "", "not chosen", ""]
    assert [one is None for one in ours.summary["count"]] == [True, False, True, False]
    none = found(tmp_path, data, channels=[], **BAND)
    assert len(none.rows) == 0 and none.rows.shape == (0, 5) and none.summary["count"] == [None] * 4


def test_digital_channels_are_left_out(tmp_path):
    channels = [{"name": "a"}, {"name": "b", "kind": "digital"}]
    aggregate = write_aggregate(tmp_path, np.array([[0, 0], [9, 9]]), channels=channels)
    assert Found(tmp_path, aggregate, level=5).rows.tolist() == [[1, 0, 2, 1, 1]]


def test_a_level_below_every_value_of_a_dtype_is_no_event(tmp_path):
    assert len(found(tmp_path, np.zeros(50, "uint8"), level=-3.5).rows) == 0
    assert len(found(tmp_path, np.zeros(50, "uint8"), level=300).rows) == 0


def test_an_event_that_lasts_for_hours_holds_nothing_back(tmp_path, monkeypatch):
    # One channel never comes back, the other one crosses all the time.
    data = np.stack([np.arange(20_000) > 0, np.arange(20_000) % 2], axis=1).astype("int16")
    monkeypatch.setattr(blocks, "BLOCK_VALUES", 200)
    kept, original = [], crossings.Detector.feed

    def feed(self, *arguments):
        result = original(self, *arguments)
        kept.append(len(self._live))
        return result

    monkeypatch.setattr(crossings.Detector, "feed", feed)
    ours = found(tmp_path, data, level=1)
    assert max(kept) <= 4
    assert ours.rows[0].tolist() == [1, 0, 20_000, 1, 1] and len(ours.rows) == 10_001


WRONG = [
    ({"level": 5, "noise": 3}, "level and noise are given; one of"),
    ({"noise": 5, "polarity": "up"}, "polarity 'up' is not one of rising, falling, absolute"),
    ({"threshold": 1.5}, "threshold 1.5 is not a fraction"),
    ({"noise": 0}, "noise 0 is not"),
    ({"noise": 5, "release": 2}, "release 2 is not a fraction"),
    ({"noise": 5, "hysteresis": -1}, "hysteresis is below 0"),
    ({"noise": 5, "hysteresis": float("inf")}, "hysteresis is not a number of counts"),
    ({"level": 5, "width": 1, "widthTolerance": -1}, "widthTolerance -1 is not a fraction"),
    ({"level": 5, "width": 1, "widthTolerance": float("nan")}, "widthTolerance nan is not a fraction"),
    ({"noise": 5, "hysteresis": 1, "release": 0.5}, "give one of them"),
    ({"level": 5, "release": 0.5}, "with level use hysteresis"),
    ({"level": 5, "settle": 0}, "settle 0"),
    ({"level": 5, "refractory": -1}, "refractory -1 is not a duration"),
    ({"level": 5, "peakPastEnd": True}, "peakPastEnd needs peakWithin"),
    ({"level": 5, "channels": [3]}, "there is no channel 3 among 1 to 2"),
    ({"level": 5, "channels": [0]}, "there is no channel 0"),
    ({"level": 5, "channels": [1, 1]}, "named twice"),
    ({"level": 5, "reference": "mean"}, "neither 'none' nor 'median'"),
    ({"level": 5, "reference": [1, 1, 1]}, "3 labels for 2 channels"),
    ({"level": 5, "low": 300, "high": 200}, "high = 200 Hz"),
    ({"level": 5, "low": 600}, "half the sampling rate"),
    ({"level": 5, "colour": 1}, "there is no option colour"),
]


@pytest.mark.parametrize(("options", "words"), WRONG)
def test_options_that_are_wrong(tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        found(tmp_path, np.zeros((100, 2)), **options)


@pytest.mark.parametrize("name", ["low", "refractory", "width", "peakWithin"])
def test_without_a_rate_there_are_neither_hertz_nor_milliseconds(name):
    with pytest.raises(ValueError, match="needs the sampling rate, which is not known; set sampling_rate_hz"):
        EventOptions(level=1, **{name: 1.0}).check(None)


def test_three_quarters_of_the_range_are_the_level_where_nothing_says_another_one(tmp_path):
    assert found(tmp_path, [0, 7, 8, 2, 10]).rows.tolist() == [[2, 0, 3, 2, 1], [4, 0, 5, 4, 1]]


def test_durations_are_rounded_half_up():
    assert [samples_of(one, 1000) for one in (0, 0.2, 1.49, 1.5, 2.5)] == [0, 1, 1, 2, 3]


# Real recordings


def aggregate_of(folder, paths, dtype, channels, rate, **known) -> str:
    """Write an aggregate.json of real files that lie where they are."""
    counts = [path.stat().st_size // (np.dtype(dtype).itemsize * channels) for path in paths]
    firsts = [sum(counts[:number]) for number in range(len(paths))]
    content = {
        "roots": {},
        "dtype": dtype,
        "channels": channels,
        "sampling_rate_hz": rate,
        "segments": [0],
        "recordings": [],
        "parts": [
            {"path": str(path), "offset": 0, "samples": count} for path, count in zip(paths, counts, strict=True)
        ],
        **{name: value(firsts) if callable(value) else value for name, value in known.items()},
    }
    (folder / "aggregate.json").write_text(json.dumps(content))
    return str(folder / "aggregate.json")


SPIKES = {"low": 300, "high": 6000, "polarity": "falling", "release": 0.5, "refractory": 1, "peakWithin": 1}
BEATS = {"low": 8, "high": 20, "polarity": "absolute", "noise": 8, "release": 0.5, "refractory": 250,
         "peakWithin": 100, "peakPastEnd": True}  # fmt: skip


def locust(folder) -> tuple[str, int]:
    paths = sorted((REAL_RECORDINGS / "locust20010201").glob("*.bin"))
    first_of_second = paths[0].stat().st_size // 8
    return aggregate_of(folder, paths, "int16", 4, 15000, segments=lambda firsts: firsts), first_of_second


@needs_real_recordings
@pytest.mark.parametrize(
    ("noise", "counts"), [(4, (1574, 1702)), (5, (1083, 1152)), (6, (859, 888))], ids=["4", "5", "6"]
)
@pytest.mark.parametrize("precision", ["double", "single"])
def test_spikes_of_a_locust(tmp_path, noise, counts, precision):
    aggregate, second = locust(tmp_path)
    ours = Found(tmp_path, aggregate, **SPIKES, noise=noise, precision=precision)
    is_first = ours.rows[:, 0] < second
    assert (is_first.sum(), (~is_first).sum()) == counts
    np.testing.assert_allclose(ours.summary["noise"], [54.6611, 49.4875, 60.5982, 48.0328], rtol=1e-5)
    if noise == 5:
        first, other = ours.rows[is_first], ours.rows[~is_first]
        assert np.bincount(first[:, 1]).tolist() == [388, 366, 323, 6]
        assert np.bincount(other[:, 1]).tolist() == [417, 392, 341, 2]
        of_0 = first[first[:, 1] == 0]
        assert of_0[:4, [0, 3]].tolist() == [[379, 380], [998, 998], [1468, 1469], [1512, 1514]]
        assert first[:, [0, 2, 3]].sum(axis=0).tolist() == [233059934, 233064825, 233060976]


def test_single_precision_has_the_amplitudes_to_a_millionth(tmp_path):
    data = event_cases.planted(60_000, 4, range(100, 60_000, 500)).astype("int16")
    double, single = (found(tmp_path, data, **BAND, precision=one) for one in ("double", "single"))
    assert double.rows.tolist() == single.rows.tolist() and len(double.rows) > 100
    np.testing.assert_allclose(double.amplitudes, single.amplitudes, rtol=1e-6)


@needs_formats
def test_hysteresis_of_an_intracellular_recording(tmp_path):
    path = FORMATS / "wav" / "920061fe_2_4.wav"
    samples = (path.stat().st_size - 80) // 4
    aggregate = aggregate_of(
        tmp_path, [path], "float32", 1, 40_000, parts=[{"path": str(path), "offset": 80, "samples": samples}]
    )
    counts = [
        len(Found(tmp_path, aggregate, **options).rows)
        for options in (
            {"level": -50},
            {"level": -50, "hysteresis": 5},
            {"level": -55},
            {"level": -55, "refractory": 1},
            {"level": -20},
        )
    ]
    assert counts == [24, 20, 45, 23, 20]
    peaks = Found(tmp_path, aggregate, level=-20).rows[:, 3].tolist()
    assert peaks[:3] == [9065, 11079, 14786] and peaks[-1] == 85964


def beats_of(folder, aggregate: str, truth) -> tuple[float, float, int]:
    """Return sensitivity and precision in per cent of the peaks on channel 0, within 150 ms, one to one in order."""
    rows = Found(folder, aggregate, **BEATS, channels=[1]).rows
    with truth.open() as file:
        marked = [int(row.get("sample") or row["sample_in_session"]) for row in csv.DictReader(file)]
    peaks, matched, place = sorted(rows[:, 3].tolist()), 0, 0
    for beat in marked:
        while place < len(peaks) and peaks[place] < beat - 54:
            place += 1
        if place < len(peaks) and peaks[place] <= beat + 54:
            matched += 1
            place += 1
    return 100 * matched / len(marked), 100 * matched / len(peaks), len(peaks)


@needs_real_recordings
def test_beats_of_record_100(tmp_path):
    folder = REAL_RECORDINGS / "mitdb_100"
    aggregate = aggregate_of(tmp_path, sorted(folder.glob("*.bin")), "int16", 2, 360)
    assert beats_of(tmp_path, aggregate, folder / "events.csv")[:2] == (100, 100)


@needs_formats
@pytest.mark.parametrize(
    ("record", "expected"), [("mitdb_105", (99.69, 98.12, 2613)), ("mitdb_108", (97.11, 96.51, 1774))]
)
def test_beats_of_difficult_records(tmp_path, record, expected):
    folder = FORMATS / "ecg" / record
    aggregate = aggregate_of(tmp_path, [folder / "rec_0.bin"], "int16", 1, 360)
    sensitivity, precision, events = beats_of(tmp_path, aggregate, folder / "events.csv")
    assert (round(sensitivity, 2), round(precision, 2), events) == expected
