"""findEvents.m on Octave against the judge of event_cases.py, whatever the blocks; and on real recordings."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import FORMATS, REAL_RECORDINGS, needs_formats, needs_octave, needs_real_recordings
from tests.signals.aggregates import write_aggregate, write_parts
from tests.signals.event_cases import at_limits, judge, levels_of, planted, walks, with_dead_channels, with_holes
from tests.signals.octave import m, octave

SEED = int(os.environ.get("NEUROLUIGI_SEED", "1"))
SPIKES = {
    "low": 300,
    "high": 6000,
    "polarity": "falling",
    "noise": 5,
    "release": 0.5,
    "refractory": 1,
    "peak_within": 1,
}
NAMES = {
    "width_tolerance": "widthTolerance", "peak_within": "peakWithin", "peak_past_end": "peakPastEnd",
    "noise_from": "noiseFrom",
}  # fmt: skip


def pairs(options: dict) -> str:
    """Return options as findEvents.m takes them: names and values, after a comma."""
    found = ""
    for name, value in options.items():
        name = "reference" if name == "labels" else NAMES.get(name, name)
        text = str(value).lower() if isinstance(value, bool) else m(value)
        found += f", '{name}', {text}"
    return found


class Case:
    """Samples (samples, channels) with options of the judge, and sizes of blocks that must not matter."""

    def __init__(self, data, rate=1000, segments=(0,), blocks=(64,), **options):
        self.data, self.rate, self.segments, self.blocks, self.options = (
            np.asarray(data),
            rate,
            segments,
            blocks,
            options,
        )

    def prepare(self, folder: Path, name: str) -> str:
        """Write the samples; return the calls that find their events, one with each size of blocks."""
        (folder / name).mkdir()
        known = {"sampling_rate_hz": self.rate}
        write_parts(folder / name, self.data, [len(self.data) // 3], 2, self.segments, **known)
        calls = ""
        for size in (None, *self.blocks):
            files = ", ".join(m(f"{name}/{file.format(size)}") for file in ("e{}.npy", "a{}.npy", "s{}.json"))
            options = {**self.options, "blockSamples": size} if size else self.options
            calls += f"findEvents('{name}/aggregate.json', {files}{pairs(options)});\n"
        return calls


def walking_cases() -> dict[str, Case]:
    """Small whole numbers, so that values on the level and the release are common, with all options at random."""
    found, random = {}, np.random.default_rng(SEED)
    for number in range(40):
        channels = int(random.integers(1, 5))
        data = walks(
            int(random.integers(1 if number % 5 == 0 else 60, 150)), channels, seed=int(random.integers(1 << 30))
        )
        segments = [0, *sorted({*random.integers(1, len(data) + 1, random.integers(0, 4)).tolist()} - {len(data)})]
        options: dict = {"polarity": str(random.choice(["rising", "falling", "absolute"]))}
        sign = -1 if options["polarity"] == "falling" else 1
        if number % 3 == 0:
            options |= {"threshold": float(random.choice([0.25, 0.5, 0.75]))}
            options |= {"release": float(random.choice([0, 0.5, 0.8, 1]))} if random.random() < 0.5 else {}
        elif number % 3 == 1:
            options |= {"level": [int(one) * sign for one in random.integers(0, 5, channels)]}
            options |= {"hysteresis": int(random.integers(0, 4))}
        else:
            options |= {"noise": 1.0, "release": 0.5}
        options["settle"] = int(random.choice([1, 1, 2, 3, 5]))
        if random.random() < 0.4:
            options |= {"width": int(random.integers(1, 6)), "width_tolerance": float(random.choice([0, 0.3, 1.5]))}
        options["refractory"] = int(random.choice([0, 0, 3, 20]))
        if random.random() < 0.6:
            options |= {"peak_within": int(random.integers(1, 30)), "peak_past_end": bool(random.random() < 0.5)}
        options["ends"] = bool(random.random() < 0.4)
        if number % 2:
            data = with_holes(data, number, 0.03)
        found[f"walk-{number}"] = Case(data, 1000, segments, (1, 20) if number % 10 == 0 else (3, 50), **options)
    return found


def cases() -> dict[str, Case]:
    found = walking_cases()
    for dtype in ("uint8", "int8", "uint16", "int16", "int32", "float32", "float64"):
        info = np.finfo(dtype) if dtype.startswith("float") else np.iinfo(dtype)
        for polarity, level in (("rising", float(info.max)), ("falling", float(info.min)), ("absolute", 1.0)):
            found[f"{dtype}-{polarity}"] = Case(at_limits(dtype, 200, 3), level=level, polarity=polarity)
    for number, (samples, segments) in enumerate(
        [(9000, [0]), (9000, [0, 3766, 7532]), (12_000, [0, 20, 1000, 11_990])]
    ):
        hops = [place + k * 3766 for place in segments for k in range(4)]
        places = sorted({*hops, *segments, samples - 1, *range(100, samples, 701)})
        data = planted(samples, 3, places, SEED)
        found[f"spikes-{number}"] = Case(data.round().astype("int16"), 30_000, segments, (3000,), **SPIKES)
        found[f"spikes-holes-{number}"] = Case(with_holes(data, 3, 0.001), 30_000, segments, (1501,), **SPIKES)
        found[f"spikes-median-{number}"] = Case(data, 30_000, segments, (2000,), **SPIKES, labels=[1, 1, 1])
    data = with_dead_channels(planted(8000, 9, range(50, 8000, 97), SEED))
    found["dead"] = Case(data, 30_000, blocks=(3000,), **SPIKES)
    found["dead-median"] = Case(data, 30_000, blocks=(3000,), **SPIKES, labels=[1, 1, 1, 2, 2, 2, 2, 0, 0])
    found["low alone"] = Case(data[:, :4], 30_000, low=1000, polarity="absolute", noise=6, ends=True)
    found["high alone"] = Case(data[:, :4], 30_000, high=3000, threshold=0.5, release=0.8)
    found["band and threshold"] = Case(
        data[:, :4], 30_000, low=300, high=6000, threshold=0.5, release=0.8, polarity="falling"
    )
    found["many channels"] = Case(planted(600, 768, range(3, 600), SEED), 30_000, blocks=(100,), **SPIKES)
    # More than a million samples in windows that overlap.
    options = {"level": 3, "peak_within": 1000, "peak_past_end": True}
    found["overlapping"] = Case(walks(4000, 2, SEED), 1000, **options)
    return found


CASES = cases()


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("events")
    octave(folder, "".join(case.prepare(folder, name) for name, case in CASES.items()))
    return folder


@needs_octave
@pytest.mark.parametrize("name", CASES)
def test_events_are_those_of_the_judge(found, name):
    case, folder = CASES[name], found / name
    print(f"NEUROLUIGI_SEED={SEED}")
    judged = judge(case.data, case.rate, case.segments, **case.options)
    rows, amplitudes = np.load(folder / "eNone.npy"), np.load(folder / "aNone.npy")
    summary = json.loads((folder / "sNone.json").read_text())
    assert rows.dtype == np.int64 and rows.tolist() == judged.rows.tolist()
    assert amplitudes == pytest.approx(judged.amplitudes, rel=1e-9, abs=1e-9)
    assert summary["open"] == judged.open and summary["rejected"] == judged.rejected
    assert summary["count"] == judged.count


@needs_octave
@pytest.mark.parametrize("name", CASES)
def test_blocks_do_not_matter(found, name):
    for kind in ("e{}.npy", "a{}.npy", "s{}.json"):
        whole = (found / name / kind.format(None)).read_bytes()
        for size in CASES[name].blocks:
            other = (found / name / kind.format(size)).read_bytes()
            assert other.replace(f', "blockSamples": {size}'.encode(), b"") == whole


@needs_octave
def test_the_cases_have_events(found):
    counts = {name: len(np.load(found / name / "eNone.npy")) for name in CASES}
    assert sum(count > 5 for count in counts.values()) > 0.7 * len(counts)
    assert counts["dead"] > 50 and counts["many channels"] > 50


# Of real recordings.


def real(folder: Path, files: list[Path], dtype: str, channels: int, rate, offset=0) -> None:
    """Write the aggregate.json of files in place."""
    width = channels * np.dtype(dtype).itemsize
    parts = [
        {"path": str(file), "sha256": "", "offset": offset, "samples": (file.stat().st_size - offset) // width}
        for file in files
    ]
    segments = [0, *np.cumsum([part["samples"] for part in parts])[:-1].tolist()]
    content = {"dtype": dtype, "channels": channels, "segments": segments, "sampling_rate_hz": rate, "parts": parts}
    (folder / "aggregate.json").write_text(json.dumps(content))


def events(folder: Path, *runs: dict) -> list[tuple[np.ndarray, np.ndarray, dict]]:
    """Return events, amplitudes and summary of each of several runs."""
    calls = ""
    for number, options in enumerate(runs):
        calls += f"findEvents('aggregate.json', 'e{number}.npy', 'a{number}.npy', 's{number}.json'{pairs(options)});\n"
    octave(folder, calls)
    return [
        (
            np.load(folder / f"e{number}.npy"),
            np.load(folder / f"a{number}.npy"),
            json.loads((folder / f"s{number}.json").read_text()),
        )
        for number in range(len(runs))
    ]


@needs_octave
@needs_real_recordings
def test_spikes_of_locust(tmp_path):
    real(tmp_path, [REAL_RECORDINGS / "locust20010201" / f"rec_{k}.bin" for k in (0, 1)], "int16", 4, 15_000)
    found = events(tmp_path, *({**SPIKES, "noise": k} for k in (4, 5, 6)), {**SPIKES, "precision": "single"})
    trials = [[np.count_nonzero((rows[:, 0] >= 431_548) == k) for k in (0, 1)] for rows, _, _ in found]
    assert trials == [[1574, 1702], [1083, 1152], [859, 888], [1083, 1152]]
    rows, amplitudes, summary = found[1]
    assert summary["noise"] == pytest.approx([54.6611, 49.4875, 60.5982, 48.0328], abs=5e-5)
    first = rows[rows[:, 0] < 431_548]
    assert np.bincount(first[:, 1]).tolist() == [388, 366, 323, 6]
    assert np.bincount(rows[len(first) :, 1]).tolist() == [417, 392, 341, 2]
    assert first[first[:, 1] == 0][:4, [0, 3]].tolist() == [[379, 380], [998, 998], [1468, 1469], [1512, 1514]]
    assert first[:, [0, 2, 3]].sum(axis=0).tolist() == [233059934, 233064825, 233060976]
    assert (amplitudes < 0).all() and len(amplitudes) == len(rows)
    assert np.array_equal(found[3][0], rows) and found[3][1] == pytest.approx(amplitudes, rel=1e-6)


BEATS = {
    "low": 8, "high": 20, "polarity": "absolute", "noise": 8, "release": 0.5, "refractory": 250, "peak_within": 100,
    "peak_past_end": True,
}  # fmt: skip


@needs_octave
@needs_real_recordings
@needs_formats
@pytest.mark.parametrize(
    ("record", "column", "count", "scores"),
    [("100", 1, None, (100, 100)), ("105", 0, 2613, (99.69, 98.12)), ("108", 0, 1774, (97.11, 96.51))],
)
def test_beats_are_those_that_cardiologists_marked(tmp_path, record, column, count, scores):
    if record == "100":
        folder = REAL_RECORDINGS / "mitdb_100"
        real(tmp_path, [folder / f"rec_{k}.bin" for k in range(3)], "int16", 2, 360)
        # The three are contiguous.
        content = json.loads((tmp_path / "aggregate.json").read_text())
        (tmp_path / "aggregate.json").write_text(json.dumps({**content, "segments": [0]}))
        name = "sample_in_session"
    else:
        folder, name = FORMATS / "ecg" / f"mitdb_{record}", "sample"
        real(tmp_path, [folder / "rec_0.bin"], "int16", 1, 360)
    with (folder / "events.csv").open(newline="") as table:
        beats = [int(row[name]) for row in csv.DictReader(table)]
    ((rows, _, _),) = events(tmp_path, {**BEATS, "channels": [1]})
    peaks = np.sort(rows[:, 3]).tolist()
    assert count in (None, len(peaks))
    matched = i = k = 0
    while i < len(beats) and k < len(peaks):
        if abs(beats[i] - peaks[k]) <= 0.15 * 360:
            matched, i, k = matched + 1, i + 1, k + 1
        elif beats[i] < peaks[k]:
            i += 1
        else:
            k += 1
    assert (100 * matched / len(beats), 100 * matched / len(peaks)) == pytest.approx(scores, abs=0.005)


@needs_octave
@needs_formats
def test_hysteresis_of_an_intracellular_recording(tmp_path):
    real(tmp_path, [FORMATS / "wav" / "920061fe_2_4.wav"], "float32", 1, 40_000, offset=80)
    found = events(
        tmp_path,
        {"level": -50},
        {"level": -50, "hysteresis": 5},
        {"level": -55},
        {"level": -55, "refractory": 1},
        {"level": -20},
    )
    assert [len(rows) for rows, _, _ in found] == [24, 20, 45, 23, 20]
    assert found[4][0][:, 3].tolist() == [
        9065, 11079, 14786, 18941, 22953, 26445, 29886, 34239, 38119, 42240, 47202, 51779, 55811, 60870, 65736, 70133,
        73497, 77439, 81434, 85964,
    ]  # fmt: skip


# What is written beside the events.


@needs_octave
def test_the_summary_has_a_value_per_channel_of_the_group(tmp_path):
    data = planted(30_000, 5, range(100, 30_000, 333)).round().astype("int16")
    data[:, 3] = 7
    kinds = [{"kind": kind} for kind in ("ap", "ap", "ap", "ap", "digital")]
    write_aggregate(tmp_path, data, [0, 50], channels=kinds, sampling_rate_hz=30_000.0)
    options = {"low": 300, "high": 6000, "reference": "none", "polarity": "falling", "noise": 5, "release": 0.5,
               "ends": True, "width": 0.2, "width_tolerance": 2}  # fmt: skip
    (chosen, every) = events(tmp_path, {**options, "channels": [4, 1, 2]}, {"level": [1, 2, 3, 4]})
    rows, _, summary = chosen
    assert summary["flag"] == ["", "", "not chosen", "no noise", "not chosen"]
    assert summary["count"] == [np.count_nonzero(rows[:, 1] == 0), np.count_nonzero(rows[:, 1] == 1), None, 0, None]
    assert summary["rate_hz"] == [float(one) if one is not None else None for one in summary["count"]]
    sigma = summary["noise"]
    assert summary["level"] == [-5 * sigma[0], -5 * sigma[1], None, None, None] and sigma[3] == 0
    assert summary["release"] == [-2.5 * sigma[0], -2.5 * sigma[1], None, None, None]
    assert summary["band"] == [300, 6000] and summary["taps"] == 331 and summary["reference"] == "none"
    assert summary["noise_from"] == "all samples" and summary["short_stretches"] == 1
    assert set(summary["rejected"]) == {"width", "refractory"} and isinstance(summary["open"], list)
    assert summary["parameters"] == {NAMES.get(name, name): value for name, value in options.items()} | {
        "channels": [4, 1, 2]
    }
    summary = every[2]
    assert summary["flag"] == ["", "", "", "", "not chosen"] and summary["level"] == [1, 2, 3, 4, None]
    assert summary["band"] == [None, None] and summary["taps"] == 0 and summary["noise"] == [None] * 5
    assert summary["noise_from"] == "" and summary["parameters"] == {"level": [1, 2, 3, 4]}


@needs_octave
@pytest.mark.parametrize("polarity", ["rising", "falling", "absolute"])
def test_levels_to_the_last_bit(tmp_path, polarity):
    data = np.random.default_rng(SEED).standard_normal((300, 8)) * 10.0 ** np.arange(-4, 4)
    data[5, 1], data[:, 2] = np.nan, np.nan
    write_aggregate(tmp_path, data)
    runs = {"threshold": 0.3, "release": 0.7}, {"threshold": 0.8, "hysteresis": 0.1}, {"noise": 3, "release": 0.3}
    for options, (_, _, summary) in zip(
        runs, events(tmp_path, *({**one, "polarity": polarity} for one in runs)), strict=True
    ):
        expected = np.array(levels_of(data, polarity, **options))
        found = np.array([summary["level"], summary["release"]], dtype=float)
        assert np.array_equal(found, expected, equal_nan=True)


@needs_octave
def test_values_per_channel_are_in_the_order_of_the_channels(tmp_path):
    data = walks(500, 4, SEED)
    write_aggregate(tmp_path, data)
    options = {"level": [2, 4, 3], "hysteresis": [0, 1, 4], "labels": [1, 0, 1]}
    ((rows, amplitudes, summary),) = events(tmp_path, {**options, "channels": [4, 1, 2]})
    judged = judge(data[:, [3, 0, 1]], **{**options, "level": np.array([2, 4, 3]), "hysteresis": np.array([0, 1, 4])})
    channels = np.array([3, 0, 1])[judged.rows[:, 1]]
    order = np.lexsort((channels, judged.rows[:, 0]))
    expected = judged.rows[order]
    expected[:, 1] = channels[order]
    assert len(rows) > 30 and np.array_equal(rows, expected)
    assert np.array_equal(amplitudes, judged.amplitudes[order])
    assert summary["level"] == [4, 3, None, 2] and summary["reference"] == "median"


@needs_octave
def test_edges_are_the_first_two_columns(tmp_path):
    data = walks(5000, 3, SEED)
    write_aggregate(tmp_path, data, [0, 1000, 1001])
    octave(
        tmp_path,
        """
        findEvents('aggregate.json', 'events.npy', 'amplitudes.npy', '', 'level', [2 3 4]);
        findEvents('aggregate.json', 'two.npy', '', '', 'level', [2 3 4], 'blockSamples', 700);
        findRisingEdges('aggregate.json', 'edges.npy', [2 3 4]);
        """,
    )
    rows = np.load(tmp_path / "events.npy")
    assert len(rows) > 100
    assert np.array_equal(np.load(tmp_path / "two.npy"), rows[:, :2])
    assert (tmp_path / "two.npy").read_bytes() == (tmp_path / "edges.npy").read_bytes()
    assert not (tmp_path / "s.json").exists()


@needs_octave
def test_files_are_those_that_numpy_writes(tmp_path):
    write_aggregate(tmp_path, walks(500, 3, SEED))
    octave(tmp_path, "findEvents('aggregate.json', 'e.npy', 'a.npy', '', 'level', 3);")
    for name in ("e.npy", "a.npy"):
        np.save(tmp_path / f"saved {name}", np.load(tmp_path / name))
        assert (tmp_path / f"saved {name}").read_bytes() == (tmp_path / name).read_bytes()


@needs_octave
def test_events_are_read_from_1_on(tmp_path):
    write_aggregate(tmp_path, walks(300, 2, SEED))
    out = octave(
        tmp_path,
        """
        findEvents('aggregate.json', 'e.npy', 'a.npy', '', 'level', 3);
        findEvents('aggregate.json', 'two.npy', '', '', 'level', 3);
        findEvents('aggregate.json', 'none.npy', 'none a.npy', '', 'level', 99);
        e = readEvents('e.npy', 'a.npy');
        fid = fopen('read.bin', 'w');
        fwrite(fid, [e.sample, e.channel, e.last, e.peak, e.polarity, e.amplitude], 'double');
        two = readEvents('two.npy');
        assert(isequal(two.sample, e.sample) && isequal(two.channel, e.channel) && ~isfield(two, 'peak'));
        none = readEvents('none.npy', 'none a.npy');
        disp([size(none.sample), size(none.peak), size(none.amplitude)]);
        first = pickEvents(e, 1);
        both = joinEvents(first, pickEvents(e, e.sample > inf));
        disp(isequal(both, first) && isequal(first.sample, e.sample(1)));
        """,
    )
    assert out.split() == ["0", "1"] * 3 + ["1"]
    rows = np.fromfile(tmp_path / "read.bin").reshape(6, -1).T
    assert np.array_equal(rows[:, :5] - [1, 1, 0, 1, 0], np.load(tmp_path / "e.npy"))
    assert np.array_equal(rows[:, 5], np.load(tmp_path / "a.npy"))


@needs_octave
def test_no_samples_are_no_events(tmp_path):
    write_aggregate(tmp_path, np.zeros((0, 2), "int16"), sampling_rate_hz=100)
    for options in ({}, {"noise": 3}, {"low": 10, "high": 20, "threshold": 0.5}):
        ((rows, amplitudes, summary),) = events(tmp_path, options)
        assert rows.shape == (0, 5) and amplitudes.shape == (0,) and summary["count"] == [0, 0]
