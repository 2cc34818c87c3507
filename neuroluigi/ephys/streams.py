"""The streams of a session, each with a clock of its own, and what headers and settings say of their pulses."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import luigi

from neuroluigi.ephys.quantities import Quantity
from neuroluigi.recordings.formats.reader import AP, Sync
from neuroluigi.recordings.recording import Group, Recording, RecordingsError
from neuroluigi.steps.config import RunStopped

PULSES, RECORDED, HEADER, NONE = METHODS = ("pulses", "recorded", "header", "none")
TTL = "ttl"
# Of the range of a channel: where nobody says the level of its pulses.
_MIDDLE = 0.5

_LINE = re.compile(r"(\d{1,6}|ttl)\.(\d{1,3})|(\d{1,6})", re.ASCII)


@dataclass(frozen=True)
class StreamSettings:
    """What [Aligned:STREAM] of luigi.cfg says; None is what it does not.

    `line` is CHANNEL.BIT of a word, ttl.BIT of the events that a rig wrote, or an analog CHANNEL; `offset` the seconds
    from the session's first sample on the reference to that of the stream, `threshold` the level of analog pulses:
    text of a number and a unit, such as 1.1 V, or a fraction of the channel's range. The `method` is that of
    aligned.json.
    """

    line: str | None = None
    period: float | None = None
    offset: float | None = None
    method: str | None = None
    threshold: float | str | None = None


@dataclass(frozen=True)
class AnalogLine:
    """An analog channel with pulses, its 0-based position, and their level; `level_from` who says so.

    The level is text of a number and a unit, or a fraction of the channel's range.
    """

    channel: int
    level: float | str
    level_from: str


@dataclass(frozen=True)
class Stream:
    """One clock of a session: the recordings by it, each with the key of its group, in order."""

    name: str
    clock: str
    recordings: tuple[tuple[str, Recording], ...]
    settings: StreamSettings

    @property
    def groups(self) -> list[str]:
        """The keys of the groups that its recordings are in."""
        return list(dict.fromkeys(group for group, _ in self.recordings))

    @property
    def rate(self) -> float:
        """The counts per second by the header."""
        return self.recordings[0][1].sampling_rate_hz or 0.0

    @property
    def is_ap(self) -> bool:
        """Whether it has channels of kind ap."""
        recorded = self.recordings[0][1].recorded
        return recorded is not None and any(one.kind == AP for one in recorded.channels)

    @property
    def has_seconds(self) -> bool:
        """Whether the rig wrote seconds beside the samples of all its recordings."""
        return all(one.recorded is not None and one.recorded.seconds_file for _, one in self.recordings)

    @property
    def sync(self) -> Sync | None:
        """What its header says of clock and pulses, with the line of the settings in place of that."""
        recorded = self.recordings[0][1].recorded
        sync = recorded.sync if recorded else None
        if sync is None or self.settings.line is None:
            return sync
        match = _LINE.fullmatch(self.settings.line)
        if not match:
            raise RunStopped(f"luigi: [Aligned:{self.name}] line {self.settings.line}: {_FORMS}")
        word, bit, analog = match.groups()
        channel = None if word == TTL else int(word if analog is None else analog)
        # What the header says is the level of its own line.
        threshold = sync.threshold if analog and channel == sync.channel else None
        return replace(sync, channel=channel, bit=None if analog else int(bit), threshold=threshold)

    @property
    def method(self) -> str:
        """How its clock is found: without pulses by the header alone, where nothing else is set."""
        sync, settings = self.sync, self.settings
        had_none = sync is not None and sync.is_on is False and settings.line is None
        return settings.method or (HEADER if had_none else PULSES)

    @property
    def line(self) -> str:
        """The line of its pulses, in the form of the settings; "" where none is known, or looked at."""
        sync = self.sync if self.method == PULSES else None
        if sync is None or sync.bit is None:
            return "" if sync is None or sync.channel is None else str(sync.channel)
        return f"{TTL if sync.channel is None else sync.channel}.{sync.bit}"

    @property
    def analog_line(self) -> AnalogLine | None:
        """The analog channel of its pulses, None where they are bits. The middle of its range is nobody's level."""
        sync = self.sync if self.method == PULSES else None
        if sync is None or sync.channel is None or sync.bit is not None:
            return None
        if self.settings.threshold is not None:
            return AnalogLine(sync.channel, self.settings.threshold, "setting")
        if sync.threshold is not None:
            return AnalogLine(sync.channel, f"{sync.threshold:.15g} V", "header")
        return AnalogLine(sync.channel, _MIDDLE, "range")


_NO_CLOCK = "no header says how its clock goes with those of others"
_FORMS = "it is CHANNEL.BIT, ttl.BIT or, of an analog one, CHANNEL, from 0"


def streams_of(groups: Mapping[str, Group], session: str) -> tuple[list[Stream], list[dict[str, Any]]]:
    """Return the streams of a session with a clock, and those without: name, groups and why, as in aligned.json."""
    found: dict[str, list[tuple[str, Recording]]] = {}
    unaligned: list[dict[str, Any]] = []
    for key, group in groups.items():
        for recording in group.recordings:
            if recording.session != session:
                continue
            recorded = recording.recorded
            if recorded and recorded.clock and recorded.sync and recording.sampling_rate_hz:
                found.setdefault(recorded.clock, []).append((key, recording))
            else:
                why = (recorded.sync_problem if recorded else "") or _NO_CLOCK
                unaligned.append({"stream": _name(key, recording), "groups": [key], "why": why})
    streams = []
    for clock, recordings in found.items():
        name = _name(*recordings[0])
        stream = Stream(name, clock, tuple(recordings), settings_of(name))
        if again := _begins_again(recordings):
            why = f"the counter begins again in {again}; make each a session, in the column session of a table"
            unaligned.append({"stream": name, "groups": stream.groups, "why": why})
        else:
            streams.append(stream)
    return streams, [one for n, one in enumerate(unaligned) if one not in unaligned[:n]]


def _begins_again(recordings: Sequence[tuple[str, Recording]]) -> str:
    """Return the path of the first recording whose counter is not above that of the one before in its group, or ""."""
    counts: dict[str, int] = {}
    for group, one in recordings:
        start = one.recorded.start_sample if one.recorded else None
        if start is not None:
            if start <= counts.get(group, start - 1):
                return one.path
            counts[group] = start
    return ""


def analog_line_of(group: Group) -> AnalogLine:
    """Return the analog channel with the pulses in a group. Raises RecordingsError where it has none, or several."""
    sessions = {one.session: None for one in group.recordings}
    streams = [one for session in sessions for one in streams_of({group.key: group}, session)[0]]
    names = ", ".join(dict.fromkeys(one.name for one in streams)) or group.key
    lines = {one.analog_line for one in streams}
    if len(lines) > 1:
        raise RecordingsError(
            f"group {group.key}: by headers and settings, its recordings have their pulses on different channels, or at"
            " different levels; group them apart ([recordings] group_by)"
        )
    line = lines.pop() if lines else None
    if line is None:
        raise RecordingsError(
            f"group {group.key}: no header says which analog channel has the pulses; set line in [Aligned:{names}]"
        )
    return line


def _name(group: str, recording: Recording) -> str:
    return recording.columns.get("stream") or group


def settings_of(name: str) -> StreamSettings:
    """Return what [Aligned:NAME] of luigi.cfg says; RunStopped for what it can't say."""
    section, config = f"Aligned:{name}", luigi.configuration.get_config()
    said = {key: config.get(section, key) for key in _options(config, section)}
    if unknown := said.keys() - {"line", "period", "offset", "method", "threshold"}:
        raise RunStopped(
            f"luigi: luigi.cfg, [{section}] {min(unknown)}: there is no such setting; there are: line, method, offset,"
            " period, threshold"
        )
    method = said.get("method")
    if method is not None and method not in METHODS:
        raise RunStopped(f"luigi: luigi.cfg, [{section}] method {method}: it is one of {', '.join(METHODS)}")
    numbers = {key: _number(section, key, said[key]) for key in ("period", "offset") if key in said}
    if numbers.get("period", 1) <= 0:
        raise RunStopped(f"luigi: luigi.cfg, [{section}] period: it is a number of seconds above 0")
    threshold = _level(section, said["threshold"]) if "threshold" in said else None
    return StreamSettings(said.get("line"), numbers.get("period"), numbers.get("offset"), method, threshold)


def _level(section: str, text: str) -> float | str | None:
    try:
        level = Quantity(default=None).parse(text)
    except ValueError:
        level = float("nan")
    if isinstance(level, float) and not 0 < level < 1:
        raise RunStopped(
            f"luigi: luigi.cfg, [{section}] threshold {text}: it is a number with a unit, such as 1.1 V, or a fraction"
            " of the channel's range, between 0 and 1"
        )
    return level


def _options(config: Any, section: str) -> list[str]:
    return list(config.options(section)) if config.has_section(section) else []


def _number(section: str, name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not abs(number) < float("inf"):
        raise RunStopped(f"luigi: luigi.cfg, [{section}] {name} {text}: it is a number of seconds")
    return number
