"""A judge of events, a sample at a time as the definition reads, and signals on which an implementation may stumble.

It is slow and plain on purpose: nothing here is shared with what it judges. Samples are (samples, channels).
"""

import math
from dataclasses import dataclass, field

import numpy as np

NORMAL_QUARTILE = 0.6744897501960817


def stretches(samples: int, segments=(0,)) -> list[tuple[int, int]]:
    """Return first and last (exclusive) of each stretch without a seam."""
    places = [one for one in sorted({0, *segments}) if one < samples]
    return list(zip(places, [*places[1:], samples], strict=True))


def taps_of(low, high, rate) -> np.ndarray:
    """Return the taps of the band-pass: the difference of two low-passes, or one of them."""
    count = math.ceil(3.3 * rate / (low or high))
    count += count % 2 == 0
    k = np.arange(count) - count // 2

    def low_pass(corner):
        h = np.sinc(2 * corner / rate * k) * np.hamming(count)
        return h / h.sum()

    upper = low_pass(high) if high else (k == 0).astype(float)
    return upper - low_pass(low) if low else upper


def filtered(data, rate=None, segments=(0,), low=None, high=None, labels=None) -> np.ndarray:
    """Return the band-passed signal less the median of the channels of each label (0: none)."""
    x = np.array(data, dtype=float)
    if low or high:
        taps = taps_of(low, high, rate)
        for first, last in stretches(len(x), segments):
            for channel in range(x.shape[1]):
                x[first:last, channel] = _convolved(x[first:last, channel], taps)
    y = x.copy()
    for label in {*(() if labels is None else labels)} - {0}:
        members = [channel for channel, one in enumerate(labels) if one == label]
        for sample in range(len(x)):
            values = [one for one in x[sample, members] if not math.isnan(one)]
            if values:
                y[sample, members] = x[sample, members] - np.median(values)
    return y


def _convolved(x, taps):
    half = len(taps) // 2
    reflected = [min(k, len(x) - 1) for k in range(1, half + 1)]
    with np.errstate(all="ignore"):
        before = [2 * x[0] - x[k] for k in reversed(reflected)]
        after = [2 * x[-1] - x[len(x) - 1 - k] for k in reflected]
    whole = np.array([*before, *x, *after])
    is_bad = ~np.isfinite(whole)
    y = np.convolve(np.where(is_bad, 0, whole), taps, "valid")
    y[np.convolve(is_bad.astype(int), np.ones(len(taps), int), "valid") > 0] = np.nan
    return y


def noise_stretches(samples: int, rate, segments=(0,)) -> list[tuple[int, int]]:
    """Return the 40 half-seconds of which the noise of a long signal is taken."""
    m = math.floor(rate / 2 + 0.5)
    found = []
    for i in range(40):
        begin = i * (samples - m) // 39
        middle = begin + m / 2
        first, last = next(one for one in stretches(samples, segments) if one[0] <= middle < one[1])
        # As far from where it would be as it takes to lie within the stretch of its middle.
        begin = min(begin, last - m)
        begin = max(begin, first)
        found.append((begin, min(begin + m, last)))
    return found


def noise_of(y) -> np.ndarray:
    """Return sigma of each channel of the filtered signal; NaN for a channel without numbers."""
    found = []
    for channel in range(y.shape[1]):
        x = y[~np.isnan(y[:, channel]), channel]
        with np.errstate(invalid="ignore"):  # infinity less infinity
            found.append(np.median(abs(x - np.median(x))) / NORMAL_QUARTILE if len(x) else math.nan)
    return np.array(found)


def levels_of(
    y, polarity="rising", level=None, threshold=None, noise=None, hysteresis=0, release=None, low=None, sigma=None
) -> tuple[np.ndarray, np.ndarray]:
    """Return level and release of each channel; `sigma` is by default that of all samples of y."""
    channels = y.shape[1]
    base = np.zeros(channels)
    if level is not None:
        levels = np.broadcast_to(np.asarray(level, float), channels).copy()
    elif noise is not None:
        sigma = noise_of(y) if sigma is None else sigma
        levels = np.where(sigma == 0, np.nan, {"falling": -1}.get(polarity, 1) * noise * sigma)
    else:
        levels = np.full(channels, np.nan)
        for channel in range(channels):
            x = [abs(one) if polarity == "absolute" else one for one in y[:, channel] if not math.isnan(one)]
            if x:
                near, far = (max(x), min(x)) if polarity == "falling" else (min(x), max(x))
                base[channel] = 0 if low else near
                levels[channel] = float(f"{base[channel] + threshold * (far - base[channel]):.15g}")
    if release is not None:
        return levels, base + release * (levels - base)
    return levels, levels + hysteresis if polarity == "falling" else levels - hysteresis


def ms(duration, rate) -> int:
    """Return a duration in samples: half up, and at least 1 where there is any."""
    return max(1, math.floor(duration * rate / 1000 + 0.5)) if duration > 0 else 0


@dataclass
class Judged:
    """Rows (sample, channel, end, peak, polarity), amplitudes, and what else is said of them."""

    rows: np.ndarray
    amplitudes: np.ndarray
    open: list
    rejected: dict
    count: list = field(default_factory=list)


def events_of(
    y, levels, releases, segments=(0,), polarity="rising", settle=1, width=0, width_tolerance=0.2, refractory=0,
    peak_within=None, peak_past_end=False, ends=False,
) -> Judged:  # fmt: skip
    """Return the events of a filtered signal; durations are in samples."""
    found, rejected = [], {"width": 0, "refractory": 0}
    for channel in range(y.shape[1]):
        for first, last in stretches(len(y), segments):
            x = y[first:last, channel]
            last_accepted = -math.inf
            for onset, end, is_open in _crossings(x, levels[channel], releases[channel], polarity, settle):
                if width and not abs((end - onset) - width) <= width_tolerance * width:
                    rejected["width"] += 1
                    continue
                if onset - last_accepted < refractory:
                    rejected["refractory"] += 1
                    continue
                last_accepted = onset
                until = end if peak_within is None else onset + peak_within
                until = min(until, len(x) if peak_past_end else end)
                peak = _peak(x, onset, until, polarity)
                sign = -1 if polarity == "falling" or (polarity == "absolute" and not x[onset] > 0) else 1
                found.append((first + onset, channel, first + end, first + peak, sign, x[peak], is_open))
                if ends and not is_open:
                    found.append((first + end, channel, first + end + 1, first + end, -sign, x[end], False))
    found.sort(key=lambda one: one[:2])
    return Judged(
        np.array([one[:5] for one in found], np.int64).reshape(-1, 5),
        np.array([one[5] for one in found], float),
        [row for row, one in enumerate(found) if one[6]],
        rejected,
        [sum(one[1] == channel for one in found) for channel in range(y.shape[1])],
    )


def _beyond(x, level, polarity) -> bool:
    if polarity == "falling":
        return x <= level
    return (abs(x) if polarity == "absolute" else x) >= level


def _near(x, level, release, polarity) -> bool:
    if polarity == "falling":
        return x >= release and x > level
    value = abs(x) if polarity == "absolute" else x
    return value <= release and value < level


def _crossings(x, level, release, polarity, settle):
    """Yield onset, end and whether it was open, of each event of a stretch of a channel."""

    def settled(states, i):
        return i + settle <= len(x) and all(states[i : i + settle])

    beyond = [_beyond(one, level, polarity) for one in x]
    near = [_near(one, level, release, polarity) for one in x]
    is_armed, onset = not beyond[0] and not math.isnan(x[0]) and not math.isnan(level), None
    for i in range(len(x)):
        if onset is not None:
            if math.isnan(x[i]) or settled(near, i):
                yield onset, i, math.isnan(x[i])
                is_armed, onset = not math.isnan(x[i]), None
        elif is_armed and settled(beyond, i):
            onset, is_armed = i, False
        else:
            is_armed = not math.isnan(x[i]) and (is_armed or settled(near, i))
    if onset is not None:
        yield onset, len(x), True


def _peak(x, first, last, polarity) -> int:
    best = first
    for i in range(first, last):
        if polarity == "falling":
            is_better = x[i] < x[best]
        elif polarity == "absolute":
            is_better = abs(x[i]) > abs(x[best])
        else:
            is_better = x[i] > x[best]
        if is_better:
            best = i
    return best


def judge(data, rate=None, segments=(0,), low=None, high=None, labels=None, sigma=None, **options) -> Judged:
    """Return the events of raw samples; options are those of find_events, `labels` in place of reference."""
    y = filtered(data, rate, segments, low, high, labels)
    polarity = options.pop("polarity", "rising")
    of_level = {name: options.pop(name) for name in ("level", "threshold", "noise", "hysteresis", "release")
                if name in options}  # fmt: skip
    levels, releases = levels_of(y, polarity, low=low, sigma=sigma, **of_level)
    for name in ("width", "refractory", "peak_within"):
        if options.get(name) is not None:
            options[name] = ms(options[name], rate)
    return events_of(y, levels, releases, segments, polarity, **options)


# Signals.


def planted(samples: int, channels: int, places=(), seed=0, height=400.0, deviation=20.0) -> np.ndarray:
    """Return coloured noise, float64, with a spike that goes down across each of `places`, on channels in turn.

    Some have their first, some their middle and some their last samples there; every third has another one soon after.
    """
    random = np.random.default_rng(seed)
    white = random.standard_normal((samples + 4, channels))
    x = deviation * (white[4:] + 0.8 * white[3:-1] + 0.5 * white[2:-2] + 0.2 * white[1:-3])
    shape = -height * np.array([0.3, 0.8, 1.0, 0.7, 0.2, -0.2, -0.3, -0.15])
    for number, place in enumerate(places):
        for begin in [place - number % 8] + [place + 9] * (number % 3 == 0):
            for k in range(8):
                if 0 <= begin + k < samples:
                    x[begin + k, number % channels] += shape[k]
    return x


def at_limits(dtype: str, samples: int, channels: int, seed=0) -> np.ndarray:
    """Return runs of the least and the largest values of a dtype, and of what lies beside them and at 0."""
    random = np.random.default_rng(seed)
    if dtype.startswith("float"):
        largest = float(np.finfo(dtype).max)
        values = np.array([-largest, largest, 0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf], dtype)
    else:
        info = np.iinfo(dtype)
        values = np.unique([info.min, info.min + 1, 0, 1, info.max - 1, info.max]).astype(dtype)
    lengths = random.integers(1, 4, (samples, channels))
    return np.stack(
        [np.repeat(random.choice(values, samples), lengths[:, k])[:samples] for k in range(channels)], axis=1
    )


def walks(samples: int, channels: int, seed=0, low=-6, high=6) -> np.ndarray:
    """Return int16 that wanders by small whole steps, so that values equal to a level are common."""
    random = np.random.default_rng(seed)
    x = random.integers(low, high, (samples, channels), endpoint=True)
    stays = random.random((samples, channels)) < 0.4
    for sample in range(1, samples):
        x[sample] = np.where(stays[sample], x[sample - 1], x[sample])
    return x.astype("int16")


def with_holes(data, seed=0, share=0.01) -> np.ndarray:
    """Return float64 of which some samples are NaN, one by one and in rows."""
    random, x = np.random.default_rng(seed), np.array(data, dtype=float)
    for channel in range(x.shape[1]):
        for place in random.integers(0, len(x), max(1, int(share * len(x)))).tolist():
            x[place : place + int(random.choice([1, 1, 2, 7])), channel] = np.nan
    return x


def with_dead_channels(data) -> np.ndarray:
    """Return the same samples with channels, from the last on, that are constant, saturated in part, and NaN alone."""
    x = np.array(data, dtype=float)
    if x.shape[1] > 3:
        x[:, -1] = 512.0
        x[:, -2] = np.clip(x[:, -2], -30, 30)
        x[len(x) // 3 : len(x) // 2, -3] = -32768.0
        x[:, -4] = np.nan
    return x
