"""Spikes, digital lines and heart beats as other packages find them; `make opinions` has what these tests need.

Without the packages they are skipped, as none is needed for anything else.
"""

import csv

import numpy as np
import pytest

from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.filtered import Signal
from neuroluigi.signals.lines import find_lines
from neuroluigi.signals.noise import MEDIAN_OF_NORMAL
from tests.conftest import FORMATS, REAL_RECORDINGS, needs_formats, needs_real_recordings
from tests.signals.aggregates import write_aggregate
from tests.signals.test_events import BEATS, SPIKES, Found, locust


@needs_real_recordings
@pytest.mark.parametrize("has_own_filter", [True, False], ids=["their filter", "our filter"])
def test_spikes_of_spikeinterface(tmp_path, has_own_filter):
    core = pytest.importorskip("spikeinterface.core")
    detection = pytest.importorskip("spikeinterface.sortingcomponents.peak_detection")
    preprocessing = pytest.importorskip("spikeinterface.preprocessing")
    file, second = locust(tmp_path)
    ours = Found(tmp_path, file, **SPIKES, noise=5)
    signal = Signal(read_aggregate(file), (0, 1, 2, 3), *((None, None) if has_own_filter else (300, 6000)))
    samples = np.concatenate([piece for _, piece in signal.pieces()], axis=1).T
    counts = []
    for first, last in ((0, second), (second, len(samples))):
        recording = core.NumpyRecording([samples[first:last].astype("float32")], sampling_frequency=15000)
        sigma = np.array(ours.summary["noise"])
        if has_own_filter:
            recording = preprocessing.bandpass_filter(recording, 300, 6000)
            filtered = recording.get_traces()
            sigma = np.median(np.abs(filtered - np.median(filtered, axis=0)), axis=0) / MEDIAN_OF_NORMAL
        theirs = detection.detect_peaks(
            recording,
            method="by_channel",
            method_kwargs={"peak_sign": "neg", "detect_threshold": 5, "exclude_sweep_ms": 1.0, "noise_levels": sigma},
            job_kwargs={"n_jobs": 1, "progress_bar": False},
        )
        counts.append(len(theirs))
        is_here = (ours.rows[:, 0] >= first) & (ours.rows[:, 0] < last)
        mine = [(channel, peak - first) for channel, peak in ours.rows[is_here][:, [1, 3]].tolist()]
        other = list(zip(theirs["channel_index"].tolist(), theirs["sample_index"].tolist(), strict=True))
        assert matched(mine, other) >= 0.985 and matched(other, mine) >= 0.985
    assert counts == ([1083, 1144] if has_own_filter else [1081, 1151])


def matched(some: list[tuple[int, int]], others: list[tuple[int, int]], within: float = 7.5) -> float:
    """Return of how many peaks, as a share, the others have one of the channel within half a millisecond at 15 kHz."""
    found = 0
    for channel, peak in some:
        found += any(one == channel and abs(place - peak) <= within for one, place in others)
    return found / len(some)


@needs_real_recordings
def test_lines_of_mne(tmp_path):
    mne = pytest.importorskip("mne")
    words = np.concatenate([np.fromfile(one, np.uint8) for one in sorted((REAL_RECORDINGS / "eeg_ttl").glob("*.bin"))])
    words = words.reshape(-1, 2)
    file = write_aggregate(tmp_path, words, sampling_rate_hz=512)
    find_lines(file, str(tmp_path / "lines.npy"), str(tmp_path / "lines.json"), "words", [1, 2])
    ours = np.load(tmp_path / "lines.npy")
    count = 0
    for channel in range(2):
        for bit in range(8):
            line = (words[:, channel] >> bit & 1).astype(float)
            # Low before and behind, as it leaves out half a pulse at either end.
            padded = np.concatenate([[0], line, [0]])[None]
            raw = mne.io.RawArray(padded, mne.create_info(["line"], 512, "stim"), verbose="error")
            theirs = mne.find_events(raw, output="step", consecutive=True, shortest_event=1, verbose="error")
            steps = [(int(sample) - 1, int(value)) for sample, _, value in theirs if 1 < sample <= len(line)]
            mine = ours[(ours[:, 1] == channel) & (ours[:, 2] == bit)][:, [0, 3]]
            assert [tuple(row) for row in mine.tolist()] == steps
            count += len(steps)
    assert count == len(ours) == 40


@needs_formats
@pytest.mark.parametrize("record", ["mitdb_105", "mitdb_108"])
def test_beats_of_wfdb(tmp_path, record):
    processing = pytest.importorskip("wfdb.processing")
    folder = FORMATS / "ecg" / record
    samples = np.fromfile(folder / "rec_0.bin", "<i2")
    with (folder / "events.csv").open() as file:
        marked = np.array([int(row.get("sample") or row["sample_in_session"]) for row in csv.DictReader(file)])
    peaks = processing.xqrs_detect(samples / 200, 360, verbose=False)
    theirs = processing.compare_annotations(marked, peaks, 54)
    mine = Found(tmp_path, write_aggregate(tmp_path, samples[:, None], sampling_rate_hz=360), **BEATS)
    ours = processing.compare_annotations(marked, np.sort(mine.rows[:, 3]), 54)
    # The figures of the definition; theirs are 99.84 / 98.69 and 94.27 / 86.11.
    expected = {"mitdb_105": (99.65, 98.09, 99.84, 98.69), "mitdb_108": (97.11, 96.51, 94.27, 86.11)}
    found = [one for both in (ours, theirs) for one in (both.sensitivity, both.positive_predictivity)]
    assert [round(100 * one, 2) for one in found] == list(expected[record])
    # Not far behind on one, and far ahead on the other.
    assert ours.fp + ours.fn <= theirs.fp + theirs.fn + 0.01 * len(marked)
