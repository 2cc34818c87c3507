"""Exact medians by windows against those of all values at once, to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroluigi.signals.medians import Windows, guess_windows


def deviations(values: np.ndarray, most: int, share: float, sample: np.ndarray, block: int) -> tuple[np.ndarray, int]:
    """Return the median distance from the median of each channel, and after how many passes it was known."""
    found = np.full(len(values), np.nan)
    (low, high), left = guess_windows(sample, share), list(range(len(values)))
    passes = 0
    while left and passes < 12:
        windows = Windows(low, high, most)
        for first in range(0, values.shape[1], block):
            windows.add(values[:, first : first + block].copy())
            assert windows._waiting <= max(most, 64 * len(values))
        passes += 1
        levels, is_known = windows.deviations()
        narrower = {channel: windows.narrower(channel) for channel in left if not is_known[channel]}
        found[left] = levels[left]
        left = [channel for channel, one in narrower.items() if one]
        low, high = np.full((3, len(values)), np.inf), np.full((3, len(values)), -np.inf)
        for channel in left:
            low[:, channel], high[:, channel] = narrower[channel]
    assert not left
    return found, passes


def expected(values: np.ndarray) -> list[float]:
    found = []
    for row in values.astype(float):
        known = row[~np.isnan(row)]
        with np.errstate(invalid="ignore"):
            found.append(np.median(np.abs(known - np.median(known))) if len(known) else np.nan)
    return found


KINDS = {
    "normal": lambda random, shape: random.standard_normal(shape) * 50,
    "large offset": lambda random, shape: random.standard_normal(shape) + 1e9,
    "whole": lambda random, shape: random.integers(-4, 5, shape).astype(float),
    "int16": lambda random, shape: random.integers(-32768, 32768, shape).astype("int16"),
    "float32": lambda random, shape: random.standard_normal(shape).astype("float32"),
    "constant": lambda random, shape: np.full(shape, 7.25),
    "two values": lambda random, shape: random.choice([-1e3, 1e6], shape),
    "many decades": lambda random, shape: 10 ** random.uniform(-4, 4, shape) * random.choice([-1, 1], shape),
    "half at zero": lambda random, shape: random.standard_normal(shape) * (random.random(shape) < 0.5),
    "missing": lambda random, shape: np.where(random.random(shape) < 0.3, np.nan, random.standard_normal(shape)),
    "all missing": lambda random, shape: np.full(shape, np.nan),
}


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(list(KINDS)),
    count=st.integers(1, 400),
    seed=st.integers(0, 10_000),
    most=st.sampled_from([1, 20, 300, 1 << 20]),
    share=st.sampled_from([0.0, 0.05, 0.5]),
    is_misled=st.booleans(),
    block=st.sampled_from([1, 7, 1000]),
)
def test_they_are_those_of_all_values(kind, count, seed, most, share, is_misled, block):
    random = np.random.default_rng(seed)
    values = KINDS[kind](random, (3, count))
    sample = values[:, ::5].astype(float) + (1e4 if is_misled else 0)
    assert np.array_equal(deviations(values, most, share, sample, block)[0], expected(values), equal_nan=True)


def test_two_middle_values_that_lie_far_apart():
    values = np.array([[0.0] * 50 + [1.0] * 50, [0.0] * 50 + [1.0] * 49 + [5.0], [-3.0] * 25 + [0.0] * 50 + [3.0] * 25])
    assert deviations(values, 1, 0.1, values[:, ::3], 10)[0].tolist() == expected(values)


def test_what_is_the_same_all_along_takes_a_single_pass_with_few_values_held():
    values = np.random.default_rng(0).standard_normal((4, 50_000))
    found, passes = deviations(values, 60_000, 0.03, values[:, ::10], 5000)
    assert found.tolist() == expected(values) and passes == 1


def test_noise_that_grows_takes_a_few():
    values = np.random.default_rng(0).standard_normal((4, 50_000)) * np.linspace(1, 50, 50_000)
    found, passes = deviations(values, 3000, 0.001, values[:, :1000], 5000)
    assert found.tolist() == expected(values) and 2 <= passes <= 5


def test_infinities_are_beyond_all_windows():
    values = np.array([[-np.inf, 1.0, 2.0, 4.0, np.inf], [np.inf, np.inf, np.inf, 1.0, 2.0]])
    found, _ = deviations(values, 1, 0.1, values, 2)
    assert found[0] == 2 and np.isnan(found[1])


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_few_values(count):
    values = np.array([[5.0, -1.0, 2.5, 100.0][:count]])
    assert deviations(values, 100, 0.1, values, 1)[0].tolist() == expected(values)
