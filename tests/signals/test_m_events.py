"""findEvents.m on Octave against the judge of event_cases.py, whatever the blocks; and on real recordings."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import needs_octave
from tests.signals.aggregates import write_parts
from tests.signals.event_cases import at_limits, judge, planted, walks, with_dead_channels, with_holes
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
        found[f"walk-{number}"] = Case(data, 1000, segments, (1, 20) if number % 4 == 0 else (3, 50), **options)
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
