"""Band-pass filters of finite length: windowed sincs, centred, without delay.

A low-pass is a sinc with a Hamming window, normalised to a sum of 1; a band-pass is the difference of two, and a
high-pass that of one and an impulse. Neither SciPy nor a toolbox is needed, and M-code has the same taps.
"""

from __future__ import annotations

import math

import numpy as np

# Of the main lobe's width, in cycles of the lower corner: -6 dB there, -56 dB at a sixth of it.
_CYCLES = 3.3


def check_band(low: float | None, high: float | None, rate: float | None) -> None:
    """Raise ValueError for a band that no filter has: corners in Hz, None where there is none; samples per second.

    An infinite rate is one that is to be known later.
    """
    if low is None and high is None:
        return
    if rate is None:
        raise ValueError("a band in Hz needs the sampling rate, which is not known; set sampling_rate_hz")
    for name, corner in (("low", low), ("high", high)):
        if corner is not None and math.isinf(rate) and not 0 < corner < rate:
            raise ValueError(f"{name} = {corner:g} Hz is not a frequency above 0 Hz")
        if corner is not None and not 0 < corner < rate / 2:
            raise ValueError(f"{name} = {corner:g} Hz is not between 0 and {rate / 2:g} Hz, half the sampling rate")
    if low is not None and high is not None and low >= high:
        raise ValueError(f"low = {low:g} Hz is not below high = {high:g} Hz")


def taps_of(low: float | None, high: float | None, rate: float) -> np.ndarray:
    """Return the taps, float64, an odd number of them, of the filter that passes from `low` to `high` Hz.

    None is a side without a corner. -6 dB at each corner. Raises ValueError; see check_band.
    """
    check_band(low, high, rate)
    longest = low if low is not None else high
    if longest is None:
        return np.ones(1)
    # What rounding adds to a whole number is no reason for two taps more.
    count = math.ceil(_CYCLES * rate / longest - 1e-9) // 2 * 2 + 1
    if low is None:
        return _low_pass(longest / rate, count)
    if high is None:
        passed = np.zeros(count)
        passed[count // 2] = 1
    else:
        passed = _low_pass(high / rate, count)
    return passed - _low_pass(low / rate, count)


def _low_pass(corner: float, count: int) -> np.ndarray:
    """Return the taps of a low-pass; `corner` is in cycles per sample."""
    taps = np.sinc(2 * corner * (np.arange(count) - count // 2)) * np.hamming(count)
    return taps / taps.sum()
