"""cutSnippets.m, writeFiltered.m and writeDownsampled.m on Octave: the same files as the NumPy functions make."""

import json
from pathlib import Path

import numpy as np
import pytest

from neuroluigi.signals.downsampled import write_downsampled
from neuroluigi.signals.filtered_file import write_filtered
from neuroluigi.signals.snippets import cut_snippets
from tests.conftest import needs_octave
from tests.signals import event_cases
from tests.signals.aggregates import write_aggregate, write_parts
from tests.signals.octave import m, octave

RATE = 1000.0
BAND = {"low": 50.0, "high": 300.0}
FUNCTIONS = {"cutSnippets": cut_snippets, "writeFiltered": write_filtered, "writeDownsampled": write_downsampled}


def noise(samples: int, channels: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((samples, channels)) * 100 + 300).round().astype("int16")


def probe(channels: int) -> list[dict]:
    """Return channels of two shanks, of which the last one has no position and is digital."""
    places = [{"name": str(k), "x": 20 * (k % 2), "y": 40 * k, "shank": k % 2} for k in range(channels - 1)]
    return [*places, {"name": "SY", "kind": "digital"}]


class Case:
    """Samples, and the calls that are compared: a function and its options."""

    def __init__(self, data, function: str, segments=(0,), events=None, **options):
        self.data, self.function, self.segments, self.options = data, function, list(segments), options
        self.known = options.pop("known", {})
        self.parts = options.pop("parts", {})
        random = np.random.default_rng(len(data))
        if events is None:
            peaks = np.sort(random.integers(0, max(1, len(data)), 4 * (len(data) // 40)))
            channels = random.integers(0, data.shape[1], len(peaks))
            events = np.stack([peaks - 1, channels, peaks + 2, peaks, 1 + 0 * peaks], axis=1)
        self.events = np.asarray(events, "<i8")

    def prepare(self, folder: Path, name: str) -> str:
        """Write the samples and what NumPy makes of them; return the call that does the same on Octave."""
        place = folder / name
        place.mkdir()
        np.save(place / "events.npy", self.events)
        known = {"sampling_rate_hz": RATE, **self.known}
        if self.parts:
            aggregate = write_parts(place, self.data, segments=self.segments, **known, **self.parts)
        else:
            aggregate = write_aggregate(place, self.data, self.segments, **known)
        pairs = [one for pair in self.options.items() for one in pair]
        events, *files = [place / "events.npy", place / "numpy.npy", place / "numpy.json"]
        if self.function == "cutSnippets":
            FUNCTIONS[self.function](aggregate, str(events), *map(str, files), *pairs)
            files = [f"{name}/events.npy", f"{name}/octave.npy", f"{name}/octave.json"]
        else:
            FUNCTIONS[self.function](aggregate, str(place / "numpy.bin"), *pairs)
            files = [f"{name}/octave.bin"]
        typed = ["true" if one is True else m(one) for one in pairs]
        return f"{self.function}({', '.join([*map(m, [f'{name}/aggregate.json', *files]), *typed])});\n"


def cases() -> dict[str, Case]:
    data, seams = noise(9000, 5), [0, 4000, 4020, 8990]
    found = {
        "cut": Case(data, "cutSnippets", seams, **BAND, reference="median", most=7),
        "cut-raw": Case(data, "cutSnippets", seams, raw=True, before=0, after=1.4, most=1, beside=0),
        "cut-positions": Case(data, "cutSnippets", [0], known={"channels": probe(5)}, **BAND, channels=[4, 1, 3, 5]),
        "cut-few-channels": Case(data, "cutSnippets", seams, channels=[5, 2], **BAND, reference=[1, 1], most=1000),
        "cut-single": Case(data, "cutSnippets", seams, **BAND, precision="single"),
        "cut-parts": Case(data, "cutSnippets", seams, parts={"cuts": [100, 5000], "files": 2}, **BAND),
        "cut-one-channel": Case(noise(9000, 1), "cutSnippets", seams, **BAND, most=10),
        "cut-none": Case(data, "cutSnippets", events=np.empty((0, 5)), **BAND),
        "cut-too-near": Case(data, "cutSnippets", events=[[0, 0, 1, 0, 1], [8999, 1, 9000, 8999, 1]]),
        "cut-edges": Case(data, "cutSnippets", events=[[50, 0], [70, 3]], within=50),
        "cut-long": Case(noise(200_000, 2), "cutSnippets", [0, 70_000], **BAND, most=100_000),
        "filtered": Case(data, "writeFiltered", seams, **BAND, reference=[1, 2, 0, 1, 1]),
        "filtered-int16": Case(data, "writeFiltered", seams, low=50.0, reference="median", dtype="int16"),
        "filtered-not": Case(data, "writeFiltered", channels=[3, 1]),
        "filtered-digital": Case(data, "writeFiltered", known={"channels": probe(5)}, high=100.0),
        "downsampled": Case(data, "writeDownsampled", seams, factor=7),
        "downsampled-int16": Case(data, "writeDownsampled", seams, factor=10, dtype="int16", channels=[5, 1]),
        "downsampled-long": Case(noise(300_000, 2), "writeDownsampled", [0, 99_999], factor=30),
    }
    for dtype in ("uint8", "int8", "uint16", "int16", "int32", "float32", "float64"):
        limits = event_cases.at_limits(dtype, 400, 2)
        found[f"clipped-{dtype}"] = Case(limits, "writeFiltered", dtype="int16")
        found[f"cut-raw-{dtype}"] = Case(limits, "cutSnippets", raw=True, most=5)
    holes = event_cases.with_holes(noise(5000, 3)).astype("float32")
    found["filtered-holes"] = Case(holes, "writeFiltered", [0, 2000], **BAND, reference="median", dtype="int16")
    found["cut-holes"] = Case(holes, "cutSnippets", [0, 2000], **BAND, reference="median")
    return found


CASES = cases()


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> Path:
    """A folder with a folder of each case, with the files of NumPy and of Octave."""
    folder = tmp_path_factory.mktemp("cases")
    octave(folder, "".join(case.prepare(folder, name) for name, case in CASES.items()))
    return folder


@needs_octave
@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("cut")])
def test_snippets(compared, name):
    arrays = [np.load(compared / name / f"{one}.npy") for one in ("octave", "numpy")]
    assert arrays[0].dtype == np.dtype("<f4") and arrays[0].shape == arrays[1].shape
    single = CASES[name].options.get("precision") == "single"
    np.testing.assert_allclose(*arrays, rtol=1e-6, atol=1e-3 if single else 1e-5)
    summaries = [json.loads((compared / name / f"{one}.json").read_text()) for one in ("octave", "numpy")]
    assert summaries[0] == summaries[1]
    assert len(arrays[0]) or name in ("cut-none", "cut-too-near")


@needs_octave
@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("cut")])
def test_samples(compared, name):
    kind = "<i2" if CASES[name].options.get("dtype") == "int16" else "<f4"
    ours, expected = (np.fromfile(compared / name / f"{one}.bin", kind) for one in ("octave", "numpy"))
    assert len(ours) > 100
    if kind == "<i2":
        # Where rounding is a matter of the last bit.
        assert np.count_nonzero(ours != expected) < 3 and abs(ours.astype(int) - expected).max() <= 1
    else:
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-5)
