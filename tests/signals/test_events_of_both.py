"""The same events, and the same JSON beside them, of find_events and of findEvents.m: whatever the samples are like."""

import json
import warnings

import numpy as np
import pytest

from neuroluigi.signals.events import find_events
from tests.conftest import needs_octave
from tests.signals import event_cases
from tests.signals.aggregates import write_aggregate
from tests.signals.octave import m, octave

RATE = 1000.0
BAND = {"low": 60.0, "high": 300.0}
PLANTED = event_cases.planted(6000, 3, range(50, 6000, 170)).round()
AS_WORDS = event_cases.walks(400, 4, 3).astype("uint8")


def with_infinity() -> np.ndarray:
    data = PLANTED[:3000].astype("float32")
    data[100, 0], data[2000, 1], data[2500, 1], data[:, 2] = np.inf, -np.inf, np.nan, np.nan
    return data


def steps() -> np.ndarray:
    data = np.zeros((9000, 3), "int16")
    data[::700, 0], data[::50, 1], data[:, 2] = 300, -30_000, np.arange(9000) // 400
    return data


# Samples, segments, options.
CASES = {
    "a threshold after a band-pass": (PLANTED, [0], {**BAND, "threshold": 0.3, "release": 0.5}),
    "downward": (PLANTED, [0, 700], {**BAND, "threshold": 0.4, "release": 0.8, "polarity": "falling"}),
    "absolute": (PLANTED, [0], {"low": 60.0, "threshold": 0.75, "polarity": "absolute", "hysteresis": 3.0}),
    "channels in another order": (AS_WORDS, [0, 45, 77], {"channels": [3, 1, 4], "level": [2.0, 3.0, 4.0]}),
    "one channel": (PLANTED, [0], {**BAND, "channels": [2], "noise": 4.0, "noiseFrom": "all", "reference": [0]}),
    "noise per channel": (PLANTED, [0], {**BAND, "channels": [2, 1], "noise": [4.0, 6.0]}),
    "threshold per channel": (PLANTED, [0], {"channels": [2, 1], "threshold": [0.25, 0.5]}),
    "infinite samples": (with_infinity(), [0, 1, 900], {**BAND, "noise": 4.0}),
    "infinite samples and a reference": (with_infinity(), [0, 1, 2], {"reference": "median", "noise": 2.0}),
    "an infinite level": (with_infinity(), [0], {"threshold": 0.75}),
    "infinite noise": (np.full((3, 2), np.inf), [0, 1], {"noise": 2.0, "reference": "median"}),
    "channels of which some are nothing": (with_infinity(), [0], {"threshold": 0.5, "channels": [3, 1]}),
    "single samples and a reference": (AS_WORDS[:6], range(6), {"reference": "median", "noise": 1.0}),
    "steps without noise": (steps(), [0, 3000], {**BAND, "noise": 4.0}),
    "no sample": (np.zeros((0, 2), "int16"), [0], {"noise": 3.0}),
}


def as_read(folder, name: str) -> tuple[np.ndarray, np.ndarray, dict]:
    def refuse(constant):
        raise ValueError(f"{constant} is no JSON")

    summary = json.loads((folder / f"{name}.json").read_text(), parse_constant=refuse)
    return np.load(folder / f"{name}.npy"), np.load(folder / f"{name}_amplitudes.npy"), summary


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return the folders of all cases, in which both have made their files; NumPy without a warning."""
    folder, script = tmp_path_factory.mktemp("both"), ""
    for name, (data, segments, options) in CASES.items():
        (folder / name).mkdir()
        aggregate = write_aggregate(folder / name, data, segments, sampling_rate_hz=RATE)
        pairs = [one for pair in options.items() for one in pair]
        files = {side: [str(folder / name / f"{side}{end}") for end in (".npy", "_amplitudes.npy", ".json")]
                 for side in "nm"}  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            find_events(aggregate, *files["n"], *pairs)
        script += f"findEvents({', '.join(map(m, (aggregate, *files['m'], *pairs)))});\n"
    octave(folder, script)
    return folder


@needs_octave
@pytest.mark.parametrize("name", CASES)
def test_both_find_the_same_and_say_the_same(found, name):
    (rows, amplitudes, summary), (others, other_amplitudes, other) = (as_read(found / name, side) for side in "nm")
    assert rows.tolist() == others.tolist()
    np.testing.assert_allclose(amplitudes, other_amplitudes, rtol=1e-9)
    assert summary.keys() == other.keys()
    for key in ("noise", "level", "release", "rate_hz"):
        np.testing.assert_allclose(*(np.array(one.pop(key), float) for one in (summary, other)), rtol=1e-9)
    assert summary == other


@needs_octave
def test_a_channel_has_the_multiple_and_the_fraction_that_is_its_own(found):
    summary = as_read(found / "noise per channel", "n")[2]
    levels, noise = (np.array(summary[name][:2]) for name in ("level", "noise"))
    assert levels == pytest.approx(noise * [6, 4])
    lowest, highest = PLANTED.min(axis=0)[:2], PLANTED.max(axis=0)[:2]
    expected = lowest + np.array([0.5, 0.25]) * (highest - lowest)
    assert as_read(found / "threshold per channel", "n")[2]["level"][:2] == pytest.approx(expected)


def test_after_a_band_pass_a_threshold_is_counted_from_0(tmp_path):
    data, options = CASES["downward"][0], {**BAND, "threshold": 0.4, "polarity": "falling"}
    aggregate = write_aggregate(tmp_path, data, sampling_rate_hz=RATE)
    pairs = [one for pair in options.items() for one in pair]
    find_events(aggregate, *(str(tmp_path / one) for one in ("e.npy", "a.npy", "e.json")), *pairs)
    filtered = event_cases.filtered(data, RATE, low=60, high=300)
    level = json.loads((tmp_path / "e.json").read_text())["level"]
    assert level == pytest.approx((0.4 * filtered.min(axis=0)).tolist(), rel=1e-9)
