"""The clock of a stream by the seconds of a rig, against the clocks that they were made of."""

from dataclasses import replace

import numpy as np
import pytest

from neuroluigi.ephys.recorded_clock import recorded_difference, recorded_map
from neuroluigi.ephys.streams import Stream, StreamSettings
from neuroluigi.recordings.formats.reader import Gap, LineFiles, Part, RecordedFile
from neuroluigi.recordings.recording import Recording
from neuroluigi.recordings.sample_times import ClockMap

RATE = 1000.0
# In the rig's own seconds: the reference runs fast by 50 ppm, the stream slow by 80, and slower after 40 s.
REFERENCE, SLOW, SLOWER, CHANGE = 1 + 50e-6, 1 - 80e-6, 1 - 200e-6, 40.0


def stream(folder, name: str, seconds: np.ndarray, start: int, **said) -> Stream:
    folder.mkdir(exist_ok=True)
    np.save(folder / f"{name}.npy", seconds)
    recorded = RecordedFile(
        "openephys", str(folder), {}, sampling_rate_hz=RATE, samples=len(seconds), start_sample=start, clock=name,
        parts=(Part(str(folder), 0, len(seconds)),), seconds_file=str(folder / f"{name}.npy"), **said,
    )  # fmt: skip
    recording = Recording(
        "m", 0, str(folder), "m", "int16", 1, RATE, 0, None, None, "", "", {}, "here", recorded=recorded
    )
    return Stream(name, name, (("m", recording),), StreamSettings())


def of_reference(folder) -> Stream:
    return stream(folder, "ref", 10 + np.arange(100_000) / RATE / REFERENCE, 5000)


def of_stream(folder, samples=90_000, **said) -> Stream:
    counts = np.arange(samples)
    change = CHANGE * RATE
    later = change / SLOW + (counts - change) / SLOWER
    return stream(folder, "ni", 12 + np.where(counts < change, counts / SLOW, later) / RATE, 700, **said)


def test_what_is_of_one_second_is_of_one_moment(tmp_path):
    ref, ni = of_reference(tmp_path), of_stream(tmp_path)
    found = recorded_map(ni, ref, 5000)
    assert found["largest_error"] == 2e-6 and len(found["counters"]) < 10
    clock = ClockMap.of(found)
    # The first sample of the stream is 2 s after that of the reference, by whose fast clock that is more.
    assert clock.to_seconds(np.array([700]))[0] == pytest.approx(2 * REFERENCE, abs=2e-6)
    at_change = 2 * REFERENCE + CHANGE / SLOW * REFERENCE
    assert clock.to_seconds(np.array([700 + 40_000]))[0] == pytest.approx(at_change, abs=3e-6)
    # Behind its end it goes on as in its last minute: some of it before the change.
    assert clock.after == pytest.approx(REFERENCE / SLOWER / RATE, rel=3e-5)
    assert clock.to_seconds(np.array([700 + 80_000]))[0] == pytest.approx(at_change + 40 / SLOWER * REFERENCE, abs=3e-6)


def test_the_difference_is_that_of_the_same_pulses(tmp_path):
    ref, ni = of_reference(tmp_path), of_stream(tmp_path)
    counts, others = np.array([700, 1700, 10]), np.array([7000, 8000, 7000])
    # 12 s and 12 + 1 / SLOW against 10 + 2 / REFERENCE and 10 + 3 / REFERENCE; the third is before the samples.
    expected = 1 / SLOW + 2 - 3 / REFERENCE
    assert recorded_difference(ni, ref, counts, others) == pytest.approx(expected, abs=1e-12)
    assert recorded_difference(ni, ref, counts[2:], others[2:]) is None
    # Of words of lines beside the samples, also before them.
    np.save(tmp_path / "counters.npy", [10, 20])
    np.save(tmp_path / "seconds.npy", [11.0, 11.5])
    lines = LineFiles("", str(tmp_path / "counters.npy"), seconds=str(tmp_path / "seconds.npy"))
    with_lines = of_stream(tmp_path, line_files=lines)
    expected = abs(11 - 10 - 2 / REFERENCE)
    assert recorded_difference(with_lines, ref, counts[2:], others[2:]) == pytest.approx(expected, abs=1e-12)


def test_what_is_not_known_is_an_error(tmp_path):
    ref = of_reference(tmp_path)
    with pytest.raises(ValueError, match="runs back, so which sample a second is of is unknown"):
        recorded_map(of_stream(tmp_path, gaps=(Gap(50, None),)), ref, 5000)
    with pytest.raises(ValueError, match="a single second of ni"):
        recorded_map(of_stream(tmp_path, samples=1), ref, 5000)
    ((key, recording),) = of_stream(tmp_path).recordings
    without = replace(recording, recorded=replace(recording.recorded, seconds_file=""))
    lacking = Stream("ni", "ni", ((key, without),), StreamSettings())
    with pytest.raises(ValueError, match="wrote no seconds beside the samples of"):
        recorded_map(lacking, ref, 5000)
    assert recorded_difference(lacking, ref, np.array([700]), np.array([7000])) is None
