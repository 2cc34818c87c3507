"""aligned.json: how the clock of each stream of a session goes with that of the reference."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from neuroluigi.steps.target import DamagedError, ResultTarget

if TYPE_CHECKING:
    from neuroluigi.recordings.sample_times import ClockMap


class Clocks(ResultTarget):
    """aligned.json: `session`, `streams`, and `unaligned`, those that no header says enough of, each with the reason.

    Each of the streams has its name, `stream`, the groups that it is in, its `clock` as in aggregate.json and its
    sampling_rate_hz, and the map to seconds since the session's first kept sample on the `reference` stream: at each of
    the `counters` the `seconds`, in between straight lines, `before` and `after` them so many seconds per count.
    `method` is pulses, recorded (by the seconds that the rig wrote), header (by the counters of the headers alone,
    known to `uncertainty` seconds) or reference.

    By pulses there are `ppm`, by how many millionths it has more counts per second of the reference than its rate,
    `residuals` (largest and rms, in samples, of a straight line), `line`, `period` and `period_from`, the `offset` in
    seconds of its counter 0, its `uncertainty` and `offset_from`, the counts of `unmatched` pulses and of those of the
    reference, how many are `missing` between others, and the number of `stops`. Of analog pulses there are `threshold`
    (text of a number and a unit, or a fraction of the range) and `threshold_from`: setting, header or range.
    `recorded_difference` is how far the seconds that the rig wrote of the same pulse in both streams are apart at most;
    null where it wrote none. By recorded seconds `largest_error` is how many seconds the lines are off these at most.
    """

    def load(self) -> dict:
        """Return the content."""
        return json.loads(Path(self.path).read_text(encoding="utf-8"))

    def maps(self) -> dict[tuple[str, str], "ClockMap"]:
        """Return the map from counts to seconds for each clock, by session and `clock`."""
        from neuroluigi.recordings.sample_times import ClockMap

        content = self.load()
        return {(content["session"], one["clock"]): ClockMap.of(one) for one in content["streams"]}

    def check(self, path: Path) -> None:
        super().check(path)
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or not {"session", "streams", "unaligned"} <= content.keys():
            raise DamagedError(f"{path.name} does not have session, streams and unaligned")
        wrong = [one["stream"] for one in content["streams"] if len(one["counters"]) != len(one["seconds"])]
        if wrong:
            raise DamagedError(f"{path.name} has another number of counters than of seconds for {', '.join(wrong)}")
