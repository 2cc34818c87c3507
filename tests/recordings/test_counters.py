"""Gaps by a counter: each of them, at its sample, without reading what has none."""

import random

import numpy as np
import pytest

from neuroluigi.recordings.formats.counters import MOST_GAPS, clock_gaps, read_counter
from neuroluigi.recordings.formats.reader import Gap
from neuroluigi.recordings.recording import RecordingsError


def written(folder, values, dtype="<i4", head=b"") -> str:
    (folder / "time.dat").write_bytes(head + np.asarray(values).astype(dtype).tobytes())
    return str(folder / "time.dat")


def test_a_counter_without_gaps(tmp_path):
    assert read_counter(written(tmp_path, np.arange(-5, 95)), "<i4", 100) == (-5, ())
    assert read_counter(written(tmp_path, [7]), "<i4", 1) == (7, ())


def test_steps_other_than_one_are_gaps(tmp_path):
    path = written(tmp_path, [10, 11, 15, 16, 3, 4, 4], "<i8", head=b"header")
    assert read_counter(path, "<i8", 7, offset=6) == (10, (Gap(2, 3), Gap(4), Gap(6)))


@pytest.mark.parametrize("dtype", ["<i4", "<u4", "<i8", "<u8", ">i8"])
def test_gaps_of_a_long_counter_are_all_found(tmp_path, dtype):
    chance = random.Random(5)
    steps = np.ones(400_000, np.int64)
    places = sorted(chance.sample(range(1, 400_000), 50))
    for place in places:
        steps[place] = chance.randrange(2, 1000)
    path = written(tmp_path, np.cumsum(steps), dtype)
    first, gaps = read_counter(path, dtype, 400_000)
    assert first == 1
    assert gaps == tuple(Gap(place, int(steps[place]) - 1) for place in places)


def test_a_day_without_gaps_costs_two_values(tmp_path):
    """At 30 kHz, 10 GB: only its ends are there, what lies between is a hole, which as a counter would be all gaps."""
    count = 30_000 * 86_400
    with (tmp_path / "time.dat").open("wb") as file:
        file.truncate(4 * count)
        file.seek(4 * (count - 1))
        file.write(np.uint32(count - 1).tobytes())
    assert read_counter(str(tmp_path / "time.dat"), "<i4", count) == (0, ())


@pytest.mark.parametrize(("dtype", "largest"), [("<i4", 2**31 - 1), ("<u4", 2**32 - 1), ("<i8", 2**63 - 1)])
def test_a_counter_goes_on_from_its_least_value(tmp_path, dtype, largest):
    """One of 4 bytes does so after 20 or 40 hours at 30 kHz."""
    least = {"<i4": -(2**31), "<u4": 0, "<i8": -(2**63)}[dtype]
    values = np.array([largest - 1, largest, least, least + 1, least + 5], dtype)
    assert read_counter(written(tmp_path, values, dtype), dtype, 5) == (largest - 1, (Gap(4, 3),))


def test_a_counter_with_one_value_per_block(tmp_path):
    """A block of 4 samples has its first count, and 6 bytes of other things."""
    blocks = np.zeros(5, [("count", "<i4"), ("other", "V6")])
    blocks["count"] = [100, 104, 112, 116, 3]
    path = written(tmp_path, np.frombuffer(blocks.tobytes(), np.uint8), "u1")
    assert read_counter(path, "<i4", 5, 0, 4, blocks.itemsize) == (100, (Gap(8, 4), Gap(16)))


def test_gaps_of_a_clock(tmp_path):
    times = np.arange(200_000) / 30_000 * (1 + 1e-4)
    times[5:] += 3 / 30_000
    times[150_000:] += 100
    times[160_000:] -= 50
    read = []

    def values(first, count):
        read.append(count)
        return times[first : first + count]

    assert clock_gaps("x", values, len(times), 30_000.0) == (Gap(5, 3), Gap(150_000, 3_000_000), Gap(160_000))
    assert clock_gaps("x", values, 1, 30_000.0) == ()
    times[:] = np.arange(200_000) / 30_000
    read.clear()
    assert clock_gaps("x", values, len(times), 30_000.0) == () and sum(read) == 2
    times[7] = np.nan
    times[-1] = np.inf
    # Between ends that fit nothing is looked at.
    assert clock_gaps("x", values, 9, 30_000.0) == ()
    assert clock_gaps("x", values, 8, 30_000.0) == (Gap(7),)
    assert clock_gaps("x", values, len(times), 30_000.0) == (Gap(199_999),)
    with pytest.raises(RecordingsError, match="x jumps more than 10000 times"):
        clock_gaps("x", lambda first, count: np.random.default_rng(first).normal(size=count), 10**6, 30_000.0)


def test_what_jumps_all_the_time_is_no_counter(tmp_path):
    values = np.random.default_rng(0).integers(0, 1 << 30, 300_000)
    with pytest.raises(RecordingsError, match=rf"time\.dat jumps more than {MOST_GAPS} times"):
        read_counter(written(tmp_path, values), "<i4", 300_000)


def test_a_counter_that_ends_before(tmp_path):
    with pytest.raises(RecordingsError, match=r"time\.dat ends before value 11"):
        read_counter(written(tmp_path, np.arange(10)), "<i4", 11)
    with pytest.raises(RecordingsError, match="is not there"):
        read_counter(str(tmp_path / "x"), "<i4", 1)


def test_numbers_of_any_size(tmp_path):
    """Their differences go beyond 8 bytes: whatever comes out, no error and no overflow."""
    values = [0, (1 << 64) - 1, 5, 1 << 63, (1 << 63) + 1]
    first, gaps = read_counter(written(tmp_path, np.array(values, "<u8"), "<u8"), "<u8", 5)
    assert first == 0
    # From the largest value to 5 there are 5 more; half the range may be a step on or back.
    assert gaps == (Gap(1), Gap(2, 5), Gap(3, (1 << 63) - 6))
