"""bandPass.m, planFilter.m, planBlocks.m and readFiltered.m on Octave: the same signal as the judge convolves."""

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import needs_octave
from tests.signals.aggregates import write_parts
from tests.signals.event_cases import filtered, planted, taps_of, with_dead_channels, with_holes
from tests.signals.octave import m, octave

RATE = 30_000
BANDS = [(300, 6000), (300, None), (None, 3000), (200, 210)]


def corner(value) -> str:
    return m(value or [])


@needs_octave
def test_taps(tmp_path):
    calls = "".join(f"fwrite(fid, bandPass({corner(low)}, {corner(high)}, {RATE}), 'double');\n" for low, high in BANDS)
    octave(tmp_path, f"fid = fopen('taps.bin', 'w');\n{calls}")
    expected = np.concatenate([taps_of(low, high, RATE) for low, high in BANDS])
    assert np.abs(np.fromfile(tmp_path / "taps.bin") - expected).max() < 1e-15
    assert len(taps_of(300, 6000, RATE)) == 331


class Case:
    """Samples, and parts of them (first, last) to read filtered; channels are counted from 0 and have labels."""

    def __init__(self, data, low=300, high=6000, segments=(0,), channels=None, labels=None, precision="double"):
        self.data, self.low, self.high, self.segments, self.precision = data, low, high, segments, precision
        self.channels = list(range(data.shape[1])) if channels is None else channels
        self.labels = labels or [0] * len(self.channels)
        n = len(data)
        self.places = [(0, n), (0, 1), (n - 1, n), (n // 2, n // 2 + 3), (3765, 3767), (7531, 7534), (n // 3, n)]
        self.places = [(first, last) for first, last in self.places if first < last <= n]

    def calls(self, folder: Path, name: str) -> str:
        (folder / name).mkdir()
        write_parts(folder / name, self.data, [len(self.data) // 2], 2, self.segments, sampling_rate_hz=RATE)
        channels = [channel + 1 for channel in self.channels]
        arguments = f"{m(channels)}, {corner(self.low)}, {corner(self.high)}, {m(self.labels)}, '{self.precision}'"
        text = f"p = planFilter(readAggregate('{name}/aggregate.json'), {arguments});\n"
        text += f"fid = fopen('{name}/found.bin', 'w'); fwrite(fid, p.shortStretches, 'double');\n"
        for first, last in self.places:
            text += f"fwrite(fid, readFiltered(p, {first}, {last}), 'double');\n"
        blocks = "b = planBlocks(p, p.stretches); assert(isequal(sum(b(:, 2) - b(:, 1)), p.aggregate.samples));\n"
        return text + "fclose(fid);\n" + blocks

    def expected(self) -> np.ndarray:
        return filtered(self.data[:, self.channels], RATE, self.segments, self.low, self.high, self.labels)


def cases() -> dict[str, Case]:
    counts = planted(9000, 5, range(50, 9000, 301)).round().astype("int16") + 2000
    found = {f"band-{low}-{high}": Case(counts, low, high) for low, high in BANDS}
    found["no band"] = Case(counts, None, None, labels=[1, 1, 1, 0, 0])
    found["seams"] = Case(counts, segments=[0, 1, 3, 100, 266, 3866, 8990])
    found["low-pass-seams"] = Case(counts, None, 2000, segments=[0, 2, 3000, 3005])
    for number, labels in enumerate(([1, 1, 1, 1, 1], [1, 1, 2, 2, 0], [3, 0, 3, 3, 3])):
        found[f"median-{number}"] = Case(counts, labels=labels)
        found[f"median-holes-{number}"] = Case(with_holes(counts, number, 0.002), labels=labels)
    found["channels"] = Case(counts, channels=[3, 0, 1], labels=[1, 1, 1])
    found["infinity"] = Case(
        np.where(counts > 2055, np.inf, np.where(counts < 1700, -np.inf, counts)).astype("float32")
    )
    found["low-pass-holes"] = Case(with_holes(counts, 5, 0.001), None, 3000, segments=[0, 4000])
    found["dead"] = Case(with_dead_channels(counts), labels=[0, 1, 1, 1, 1])
    found["many"] = Case(planted(4500, 200, range(40, 4500, 11)), labels=[1] * 200)
    found["single"] = Case(counts, precision="single")
    for samples in (1, 2, 165, 166, 167, 332):
        found[f"short-{samples}"] = Case(counts[:samples])
    return found


CASES = cases()


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("filtered")
    octave(folder, "".join(case.calls(folder, name) for name, case in CASES.items()))
    return folder


@needs_octave
@pytest.mark.parametrize("name", CASES)
def test_the_signal_is_that_of_a_convolution(found, name):
    case, values = CASES[name], np.fromfile(found / name / "found.bin")
    expected, parts, taken = case.expected(), [], 1
    for first, last in case.places:
        size = (last - first) * len(case.channels)
        parts.append(values[taken : taken + size].reshape(len(case.channels), -1).T)
        taken += size
    assert taken == len(values)
    whole = parts[0]
    assert np.array_equal(np.isnan(whole), np.isnan(expected))
    scale = np.abs(case.data[np.isfinite(case.data)]).max()
    is_number = ~np.isnan(whole)
    error = np.abs(whole[is_number] - expected[is_number]).max(initial=0)
    assert error <= (1e-5 if case.precision == "single" else 1e-11) * scale
    for (first, last), part in zip(case.places, parts, strict=True):
        assert np.array_equal(part, whole[first:last], equal_nan=True), "a result depends on what is read"


@needs_octave
def test_stretches_too_short_for_the_reflection_are_counted(found):
    half = 165  # of 331 taps
    for name in ("seams", "short-1", "short-165", "short-166"):
        case = CASES[name]
        lengths = np.diff([*case.segments, len(case.data)])
        assert np.fromfile(found / name / "found.bin")[0] == np.count_nonzero(lengths <= half)


@needs_octave
def test_a_constant_is_0_to_the_last_bit(tmp_path):
    write_parts(tmp_path, np.full((9000, 2), 0.1), [], sampling_rate_hz=RATE)
    out = octave(
        tmp_path,
        "a = readAggregate('aggregate.json'); p = planFilter(a, 1:2, 300, 6000, 0, 'double');\n"
        "x = readFiltered(p, 0, 9000); q = planFilter(a, 1:2, [], 6000, 0, 'double'); y = readFiltered(q, 0, 9000);\n"
        "fprintf('%d %d %d\\n', any(x(:)), any(y(:) ~= 0.1), any(noiseLevel(p)));",
    )
    assert out.split() == ["0", "0", "0"]
