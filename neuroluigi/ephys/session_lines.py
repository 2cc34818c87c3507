"""Lines of a session: in which groups one is, by its name or place, and when it rises and falls, in seconds."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luigi.task import flatten

from neuroluigi.ephys.channels import GroupChannels
from neuroluigi.ephys.line_parameters import TTL
from neuroluigi.ephys.session_clock import ClockedTask
from neuroluigi.recordings.formats.reader import DIGITAL, UNKNOWN
from neuroluigi.recordings.recording import Group, RecordingsError
from neuroluigi.steps.config import RunStopped
from neuroluigi.steps.describe import StepError

if TYPE_CHECKING:
    import numpy as np

_PLACE = re.compile(rf"(\d{{1,6}}|{TTL})\.(\d{{1,3}})|(\d{{1,6}})", re.ASCII)
_FORMS = (
    "a line is STREAM:LINE, or LINE alone; LINE is CHANNEL.BIT of a word, ttl.BIT, CHANNEL of an analog one, from 0,"
    " or a name"
)


@dataclass(frozen=True)
class SessionLine:
    """A line as it is written: of a `stream`, "" for any, a bit of a channel (-1: of events), a channel, or a name."""

    text: str
    stream: str
    channel: int | None = None
    bit: int | None = None
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> "SessionLine":
        """Return the line that a text names. Raises RunStopped for one without any."""
        stream, colon, line = text.rpartition(":")
        if not line.strip() or (colon and not stream.strip()):
            raise RunStopped(f"luigi: line {text!r}: {_FORMS}")
        match = _PLACE.fullmatch(line.strip())
        if not match:
            return cls(text, stream.strip(), name=line.strip())
        word, bit, analog = match.groups()
        channel = -1 if word == TTL else int(word if analog is None else analog)
        return cls(text, stream.strip(), channel, None if analog else int(bit))

    def groups(self, groups: Mapping[str, Group], session: str) -> dict[str, bool]:
        """Return the groups of a session in which the line is or may be, and whether it is an analog channel there.

        Raises RecordingsError where none has it, or several streams do.
        """
        named = {key: group for key, group in groups.items() if self.stream in ("", key, _stream(key, group, session))}
        found = {key: kind for key, group in named.items() if (kind := self._kind_in(group)) is not None}
        if not found and self.name:
            # A name of [Lines] names, which Lines alone knows.
            found = {key: False for key, group in named.items() if _has_lines(group)} or dict.fromkeys(named, False)
        streams = {key: _stream(key, groups[key], session) for key in groups}
        if not found:
            raise RecordingsError(
                f"line {self.text}: no stream of the session {session} has it; they are"
                f" {', '.join(dict.fromkeys(streams.values()))}; {_FORMS}"
            )
        several = dict.fromkeys(streams[key] for key in found)
        if len(several) > 1 and not self.name:
            raise RecordingsError(
                f"line {self.text}: {', '.join(several)} have one; write which, such as"
                f" {next(iter(several))}:{self.text}"
            )
        return found

    def _kind_in(self, group: Group) -> bool | None:
        """Return whether the line is an analog channel of a group; None where the group does not have it."""
        if group.problems or not group.recordings:
            return None
        files = [one.recorded.line_files for one in group.recordings if one.recorded and one.recorded.line_files]
        channels = GroupChannels(group, ())
        if self.name:
            bits = {name for one in channels.described for name in one.get("bits") or ()}
            if self.name in bits or any(name == self.name for one in files for _, name in one.names):
                return False
            names = [one.get("name") for one in channels.described]
            return True if self.name in names and channels.kind(names.index(self.name)) != DIGITAL else None
        if self.channel == -1:
            return False if files else None
        if self.channel is None or self.channel >= len(channels.described):
            return None
        kind, is_analog = channels.kind(self.channel), self.bit is None
        return is_analog if kind == UNKNOWN or (kind == DIGITAL) != is_analog else None


def _stream(key: str, group: Group, session: str) -> str:
    columns = next((one.columns for one in group.recordings if one.session == session), {})
    return columns.get("stream") or key


def _has_lines(group: Group) -> bool:
    if group.problems or not group.recordings:
        return False
    channels = GroupChannels(group, ())
    return any(one.recorded and one.recorded.line_files for one in group.recordings) or any(
        channels.kind(place) == DIGITAL for place in range(len(channels.described))
    )


class LineTask(ClockedTask):
    """A step over a session that may look at a line.

    Requires, beside what a ClockedTask does, {"moments": {group: its Lines, or a Photodiode where is_analog(group)}}
    for groups_with_line.
    """

    @property
    def session_line(self) -> SessionLine | None:
        """The line that is looked at, None for none."""
        raise NotImplementedError

    @property
    def groups_with_line(self) -> dict[str, bool]:
        """The groups in which the line is or may be, and whether it is an analog channel there; none with a problem."""
        line = self.session_line
        try:
            return line.groups(self.groups, self.session) if line else {}
        except RecordingsError:
            # Then the step fails with it, and other sessions go on.
            self.lacks_recordings = True
            return {}

    def recordings_problem(self) -> str:
        if problem := super().recordings_problem():
            return problem
        line = self.session_line
        try:
            if line:
                line.groups(self.groups, self.session)
        except RecordingsError as error:
            return str(error)
        return ""

    def is_analog(self, group: str) -> bool:
        """Return whether the line is an analog channel of a group."""
        return self.groups_with_line[group]

    def rises_and_falls(self, line: SessionLine) -> tuple["np.ndarray", "np.ndarray"]:
        """Return the seconds, in order, at which a line rises, and at which it falls.

        Changes that a rig wrote outside the samples are left out. Raises StepError where no group has the line.
        """
        import numpy as np

        given, names = self.input(), list[str]()
        found: dict[str, list[np.ndarray]] = {}
        for group, targets in given["moments"].items():
            is_analog = not isinstance(targets, Mapping) or "lines" not in targets
            if is_analog:
                samples, is_rise = _of_channel(line, targets, given["groups"][group]["aggregate"]["layout"].load())
            else:
                which, known = _places(line, targets["summary"].load())
                names += known
                samples, is_rise = _of_bits(which, targets)
            if samples is not None:
                found[group] = [*self._seconds(group, samples, is_rise)]
        streams = {_stream(group, self.groups[group], self.session) for group in found}
        if len(streams) != 1:
            has = f"{', '.join(sorted(streams))} have one" if streams else f"there are: {', '.join(names) or 'none'}"
            raise StepError(f"line {line.text}: {has}; write which, such as STREAM:LINE; {_FORMS}")
        rises, falls = (np.concatenate(parts) for parts in zip(*found.values(), strict=True))
        return np.sort(rises), np.sort(falls)

    def _seconds(self, group: str, samples: "np.ndarray", is_rise: "np.ndarray") -> tuple["np.ndarray", "np.ndarray"]:
        import numpy as np

        times, is_ours = self.times(group), np.zeros(len(samples), bool)
        for first, end in times.ranges(self.session):
            is_ours |= (samples >= first) & (samples < end)
        samples, is_rise = samples[is_ours], is_rise[is_ours]
        seconds = times.seconds(samples)
        is_known = np.isfinite(seconds)
        return seconds[is_rise & is_known], seconds[~is_rise & is_known]


def _of_channel(line: SessionLine, targets: Any, layout: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return samples of an analog channel's crossings, and which of them are rises."""
    import numpy as np

    from neuroluigi.recordings.concatenation import describe_channels

    channel = line.channel
    if line.name:
        channel = [one.get("name") for one in describe_channels(layout)].index(line.name)
    tables = [one.path for one in flatten(targets) if one.path.endswith(".npy")]
    events = np.load(next(one for one in tables if not one.endswith("_amplitudes.npy")), mmap_mode="r")
    events = np.asarray(events[np.asarray(events[:, 1]) == channel])
    # A photodiode that starts bright falls first; of events without ends, each is a rise.
    return events[:, 0], events[:, 4] == 1 if events.shape[1] > 4 else np.ones(len(events), bool)


def _places(line: SessionLine, summary: Mapping[str, Any]) -> tuple[set[tuple[int, int]], Sequence[str]]:
    """Return channel and bit of the lines that are meant among those of a lines.json, and the names of all."""
    named = [((one["channel"], one["bit"]), one["name"]) for one in summary["lines"] if "rises" in one]
    if line.name:
        places = {place for place, name in named if name == line.name}
    else:
        places = {place for place, _ in named if place == (line.channel, line.bit)}
    return places, [name or f"{TTL if place[0] < 0 else place[0]}.{place[1]}" for place, name in named]


def _of_bits(places: set[tuple[int, int]], targets: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return samples of the changes of a bit, and which of them are rises; None, None where there is no such bit."""
    import numpy as np

    if len(places) != 1:
        return None, None
    ((channel, bit),) = places
    changes, outside = targets["lines"].load(), targets["summary"].load()["outside"]
    is_wanted = (np.asarray(changes[:, 1]) == channel) & (np.asarray(changes[:, 2]) == bit)
    # Where these lie among the samples is not what their number says.
    outside = [row for row in outside if is_wanted[row]]
    is_wanted[outside] = False
    if outside:
        print(f"{len(outside)} changes of the line are outside the samples, and left out")
    wanted = np.asarray(changes[is_wanted])
    return wanted[:, 0], wanted[:, 3] == 1
