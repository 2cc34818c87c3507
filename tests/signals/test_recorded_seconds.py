"""The seconds that a rig wrote: at counts, and as straight lines."""

import numpy as np
import pytest

from neuroluigi.signals.recorded_seconds import (
    LARGEST_ERROR,
    RecordedSeconds,
    SecondsOfLines,
    SecondsOfSamples,
    straight_corners,
)

GAPS = ((300, 50), (700, 5))


def saved(folder, name: str, values) -> str:
    np.save(folder / name, np.asarray(values))
    return str(folder / name)


def corrected(samples: int = 600_000) -> np.ndarray:
    """Return seconds of a rig that corrects its clock by up to 30 us each second."""
    jumps = np.cumsum(np.random.default_rng(3).uniform(0, 30e-6, -(-samples // 30_000)))
    return 5 + np.arange(samples) / 30_000 * (1 + 4e-6) + np.repeat(jumps, 30_000)[:samples]


def test_seconds_at_counts_and_in_gaps(tmp_path):
    seconds = 2 + np.arange(1000) / 100
    one = SecondsOfSamples(saved(tmp_path, "t.npy", seconds), 1000, 1000, GAPS)
    # The counts of samples 0, 299, 300, 699, 700 and 999, and around them.
    counts = np.array([999, 1000, 1299, 1300, 1349, 1350, 1749, 1750, 1754, 1755, 2054, 2055])
    expected = [np.nan, 2, 4.99, np.nan, np.nan, 5, 8.99, np.nan, np.nan, 9, 11.99, np.nan]
    assert np.array_equal(one.at(counts), expected, equal_nan=True)
    assert one.counts(np.array([0, 299, 300, 999])).tolist() == [1000, 1299, 1350, 2054]


def test_corners_are_few_and_lines_between_them_right(tmp_path):
    seconds = corrected()
    one = SecondsOfSamples(saved(tmp_path, "t.npy", seconds), len(seconds), 70, GAPS)
    counts, corners = one.corners()
    assert len(counts) < 60
    all_counts = one.counts(np.arange(len(seconds)))
    assert np.abs(np.interp(all_counts, counts, corners) - seconds).max() <= LARGEST_ERROR


def test_a_straight_line_has_two_ends():
    x = np.arange(1000.0)
    assert straight_corners(x, 3 + x / 30_000, 100).tolist() == [0, 999]
    assert straight_corners(x[:1], x[:1], 100).tolist() == [0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t[:-1], r"has seconds of shape \(99999,\) for 100000 samples; copy it again"),
        (lambda t: t.astype("f4"), r"has float32 of shape"),
        (lambda t: np.where(np.arange(len(t)) == 70_000, np.nan, t), r"has nan at 70000 after .*have to increase"),
        (lambda t: np.where(np.arange(len(t)) == 70_000, t[69_999], t), r"have to increase; .*method = pulses"),
        (lambda t: t + 1e-5 * np.random.default_rng(1).random(len(t)), "at more than one of 100 samples"),
    ],
)
def test_what_is_no_clock_is_an_error(tmp_path, change, reason):
    one = SecondsOfSamples(saved(tmp_path, "t.npy", change(corrected(100_000))), 100_000, 0)
    with pytest.raises(ValueError, match=reason):
        one.corners()


def test_a_file_that_is_not_there_or_none(tmp_path):
    with pytest.raises(ValueError, match=r"can't be read .*; copy it again"):
        SecondsOfSamples(str(tmp_path / "t.npy"), 10, 0).load()
    (tmp_path / "t.npy").write_bytes(b"no array")
    with pytest.raises(ValueError, match=r"can't be read .*; copy it again"):
        SecondsOfSamples(str(tmp_path / "t.npy"), 10, 0).load()


def test_lines_before_and_after_samples_say_more(tmp_path):
    samples = SecondsOfSamples(saved(tmp_path, "t.npy", 2 + np.arange(100) / 100), 100, 500)
    # Two lines change at count 900; that at 550 is among the samples.
    counts, seconds = [100, 550, 900, 900, 1000], [-2.0, 9.0, 6.5, 6.5, 7.7]
    lines = SecondsOfLines(saved(tmp_path, "c.npy", counts), saved(tmp_path, "s.npy", seconds))
    both = RecordedSeconds([samples], [lines])
    found = both.at(np.array([100, 101, 500, 550, 599, 900, 1000]))
    assert np.array_equal(found, [-2, np.nan, 2, 2.5, 2.99, 6.5, 7.7], equal_nan=True)
    corners = both.corners()
    assert corners[0].tolist() == [100, 500, 599, 900, 1000]
    assert corners[1].tolist() == [-2, 2, 2.99, 6.5, 7.7]
    none = SecondsOfLines(saved(tmp_path, "c0.npy", np.empty(0, int)), saved(tmp_path, "s0.npy", np.empty(0)))
    assert np.isnan(none.at(np.array([5]))).all()
    with pytest.raises(ValueError, match="has 4 seconds of 5 changes; copy it again"):
        SecondsOfLines(lines.counts_file, saved(tmp_path, "s.npy", seconds[:4])).load()


def test_recordings_that_go_back_in_time_are_an_error(tmp_path):
    parts = [SecondsOfSamples(saved(tmp_path, f"{at}.npy", at + np.arange(10) / 10), 10, 100 * n)
             for n, at in enumerate((5, 3))]  # fmt: skip
    with pytest.raises(ValueError, match=r"has 3 at .* after 5.9: seconds have to increase"):
        RecordedSeconds(parts, []).corners()
