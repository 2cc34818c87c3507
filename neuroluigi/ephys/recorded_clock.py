"""The clock of a stream by the seconds that a rig wrote beside its samples, such as timestamps.npy of Open Ephys."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import luigi

from neuroluigi.ephys.streams import Stream
from neuroluigi.steps.spawn import CarriesSettings
from neuroluigi.steps.target import RecordingTarget
from neuroluigi.steps.tasks import OfRecording

if TYPE_CHECKING:
    import numpy as np

    from neuroluigi.recordings.sample_times import ClockMap
    from neuroluigi.signals.recorded_seconds import RecordedSeconds

# Beyond the ends a clock goes on as in the first and the last minute.
_MINUTE = 60.0


class SecondsFiles(OfRecording, CarriesSettings, luigi.ExternalTask):
    """The files with the seconds that a rig wrote beside a recording: inputs of Aligned alone."""

    @property
    def of_lines(self) -> str:
        """The path of those of the changes of lines, "" where there is none."""
        recorded = self.recording.recorded
        return recorded.line_files.seconds if recorded and recorded.line_files else ""

    def output(self):
        recording = self.recording
        recorded = recording.recorded
        paths = {"samples": recorded.seconds_file if recorded else "", "lines": self.of_lines}
        name = f"{recording.session}/{recording.index}/seconds"
        there = {kind: path for kind, path in paths.items() if path}
        return [RecordingTarget(path, recording=f"{name}/{kind}/{Path(path).name}") for kind, path in there.items()]


def recorded_seconds(stream: Stream) -> "RecordedSeconds":
    """Return all that a rig wrote of the seconds of a stream. Raises ValueError where it is not known which these are.

    That is so for a counter that runs back.
    """
    from neuroluigi.signals.recorded_seconds import RecordedSeconds, SecondsOfLines, SecondsOfSamples

    samples, lines = list[SecondsOfSamples](), list[SecondsOfLines]()
    for _, recording in stream.recordings:
        recorded = recording.recorded
        if recorded is None or recorded.start_sample is None or not recorded.seconds_file:
            raise ValueError(f"the rig wrote no seconds beside the samples of {recording.path}; use another method")
        gaps = [(gap.sample, gap.missing) for gap in recorded.gaps if gap.missing is not None]
        if len(gaps) < len(recorded.gaps):
            raise ValueError(f"the counter of {recording.path} runs back, so which sample a second is of is unknown")
        samples.append(SecondsOfSamples(recorded.seconds_file, recorded.samples, recorded.start_sample, tuple(gaps)))
        files = recorded.line_files
        if files and files.seconds:
            lines.append(SecondsOfLines(files.counters, files.seconds))
    return RecordedSeconds(samples, lines)


def recorded_map(stream: Stream, reference: Stream, zero: int) -> dict[str, Any]:
    """Return the map from counts of a stream to seconds of a reference since its count `zero`, as aligned.json has it.

    The seconds that the rig wrote are on a clock of its own; counts of the same second on that belong together. Raises
    ValueError for seconds that are no clock's.
    """
    import numpy as np

    from neuroluigi.signals.recorded_seconds import LARGEST_ERROR

    own, others = (_clock(one) for one in (stream, reference))
    # Wherever either of them changes its slope.
    theirs = others.seconds
    moments = np.union1d(own.seconds, theirs[(theirs > own.seconds[0]) & (theirs < own.seconds[-1])])
    seconds = (others.to_counter(moments) - zero) / reference.rate
    clock = _with_ends(own.to_counter(moments), seconds, stream.rate)
    return {
        "counters": clock.counters.tolist(),
        "seconds": clock.seconds.tolist(),
        "before": clock.before,
        "after": clock.after,
        # Of the lines through either.
        "largest_error": 2 * LARGEST_ERROR,
    }


def recorded_difference(
    stream: Stream, reference: Stream, counts: "np.ndarray", of_reference: "np.ndarray"
) -> float | None:
    """Return how far the seconds that the rig wrote of the same pulses in two streams are apart at most.

    `counts` and `of_reference` are those of the pulses. None where it wrote none of both. Raises ValueError.
    """
    import numpy as np

    if not all(one.has_seconds for one in (stream, reference)):
        return None
    apart = abs(recorded_seconds(stream).at(counts) - recorded_seconds(reference).at(of_reference))
    known = apart[np.isfinite(apart)]
    return float(known.max()) if len(known) else None


def _clock(stream: Stream) -> "ClockMap":
    """Return the map from counts to the seconds that the rig wrote."""
    counts, seconds = recorded_seconds(stream).corners()
    if len(counts) < 2:
        raise ValueError(f"the rig wrote a single second of {stream.name}; use another method")
    return _with_ends(counts, seconds, stream.rate)


def _with_ends(counts: "np.ndarray", seconds: "np.ndarray", rate: float) -> "ClockMap":
    import numpy as np

    from neuroluigi.recordings.sample_times import ClockMap

    first, last = min(counts[0] + _MINUTE * rate, counts[-1]), max(counts[-1] - _MINUTE * rate, counts[0])
    before = (np.interp(first, counts, seconds) - seconds[0]) / (first - counts[0])
    after = (seconds[-1] - np.interp(last, counts, seconds)) / (counts[-1] - last)
    return ClockMap(counts, seconds, float(before), float(after))
