"""A group as an NWB file has it: its recordings of one session, its channels in volts, and names for its parts."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from neuroluigi.recordings.concatenation import channels_of, describe_channels
from neuroluigi.recordings.formats.reader import AP, DIGITAL, LF, UNKNOWN
from neuroluigi.recordings.recording import Group, RecordingsError
from neuroluigi.recordings.sample_times import SampleTimes
from neuroluigi.signals.aggregate import AggregateFile

# Volts in one of a unit.
VOLTS: Mapping[str, float] = {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "µV": 1e-6, "μV": 1e-6, "nV": 1e-9, "kV": 1e3}
ELECTRICAL = (AP, LF, UNKNOWN)

_CURRENTS = re.compile(r"[fpnuµμm]?A")
# Files of programs for patch clamp.
_INTRACELLULAR = (".abf", ".wcp", ".edr")
_OF_SITES = re.compile(r"[.-](ap|lf|lfp)$", re.IGNORECASE)


@dataclass(frozen=True)
class SessionGroup:
    """What one group has of a session: `rows` are its recordings as in aggregate.json, `label` tells it from others.

    `electrodes` has the row in the table of electrodes of each channel that has one, by its 0-based position.
    """

    session: str
    group: Group
    label: str
    content: Mapping[str, Any]
    times: SampleTimes
    rows: Sequence[Mapping[str, Any]]
    electrodes: dict[int, int] = field(default_factory=dict)

    @property
    def channels(self) -> list[dict[str, Any]]:
        """What is said of each channel, as in aggregate.json."""
        return describe_channels(self.content)

    @property
    def rate(self) -> float:
        """The samples per second by the header or the table; see check_group()."""
        return float(self.content["sampling_rate_hz"])

    @property
    def samples(self) -> int:
        """How many samples the whole group has, of other sessions too."""
        return sum(row["samples"] for row in self.content["recordings"])

    @property
    def columns(self) -> Mapping[str, str]:
        """The columns of its first recording of the session."""
        return next(one.columns for one in self.group.recordings if one.session == self.session)

    @property
    def device(self) -> str:
        """What its channels were recorded with: a probe or a board, by the name of its stream."""
        recorded = self.group.recordings[0].recorded
        stream = _OF_SITES.sub("", self.columns.get("stream", ""))
        return safe_name(stream or (recorded.format if recorded else "") or "recorder")

    def electrical(self) -> list[int]:
        """Return the 0-based positions of the channels that are electrodes: of kind ap or lf, or unknown and in volts.

        Of those that are unknown none is in a group with one of the others.
        """
        channels = self.channels
        kinds = [one.get("kind", UNKNOWN) for one in channels]
        known = [place for place, kind in enumerate(kinds) if kind in (AP, LF)]
        unknown = (place for place, kind in enumerate(kinds) if kind == UNKNOWN)
        return known or [place for place in unknown if channels[place].get("unit") in (None, "", *VOLTS)]

    def ranges(self) -> Iterator[tuple[Mapping[str, Any], int, int]]:
        """Yield each recording of the session, with its first sample in the group and the one after its last."""
        for row in self.rows:
            yield row, row["first_sample"], row["first_sample"] + row["samples"]


def check_group(group: Group, needs_scales: bool) -> None:
    """Raise RecordingsError for a group that can't be in the file, with `needs_scales` for one without scales."""
    recording, channels = group.recordings[0], channels_of(group.recordings[0])
    units = {one.get("unit", "") for one in channels}
    if any(map(_CURRENTS.fullmatch, units)) or recording.path.lower().endswith(_INTRACELLULAR):
        raise RecordingsError(
            f"group {group.key}: {recording.path} is an intracellular recording, whose electrodes and stimuli NWB wants"
            " described in other ways than this step does; neuroconv (https://neuroconv.readthedocs.io) writes these"
        )
    if not recording.sampling_rate_hz:
        raise RecordingsError(
            f"group {group.key}: nothing says how many samples a second has, and times in NWB are seconds; set"
            " [recordings] sampling_rate_hz, or write a column of that name"
        )
    without = [
        str(one.get("name") or place)
        for place, one in enumerate(channels)
        if one.get("kind") != DIGITAL and (one.get("scale") is None or not one.get("unit"))
    ]
    if needs_scales and without:
        raise RecordingsError(
            f"group {group.key}: nothing says what a count of {len(without)} channels is ({', '.join(without[:3])}), so"
            " NWB can't have their samples in volts; set scale and unit in [recordings], or write columns of these"
            " names, or leave all samples out with [NWB] raw = none"
        )


def session_group(
    session: str, group: Group, label: str, content: Mapping[str, Any], times: SampleTimes
) -> SessionGroup:
    """Return what a group has of a session, by the content of its aggregate.json."""
    rows = [row for row in content["recordings"] if row["session"] == session]
    return SessionGroup(session, group, label, content, times, rows)


def labels_of(session: str, groups: Mapping[str, Group]) -> dict[str, str]:
    """Return a short name for each group of a session, by its key: "" where there is no other."""
    if len(groups) == 1:
        return dict.fromkeys(groups, "")
    names = Names()
    for key, group in groups.items():
        values = [value for name, value in group.values.items() if name != "session" and value]
        names.add(key, "-".join(values) or key)
    return names.given


class Names:
    """Names that HDF5 and archives take, no two of which are the same."""

    def __init__(self) -> None:
        self.given: dict[str, str] = {}

    def add(self, key: str, wanted: str) -> str:
        """Return the name for `key`: the wanted one without what is not allowed, with a number where it is taken."""
        name, number = safe_name(wanted), 2
        taken = set(self.given.values())
        while name in taken:
            name, number = f"{safe_name(wanted)}_{number}", number + 1
        self.given[key] = name
        return name


def safe_name(text: str) -> str:
    """Return a text as the name of a part of the file: _ for each character that has a meaning there."""
    plain = unicodedata.normalize("NFC", text.strip())
    name = "".join("_" if one in "/:\\" or one.isspace() or not one.isprintable() else one for one in plain)[:200]
    return f"_{name}" if not name.strip(".") else name


def aggregate_samples(aggregate: AggregateFile, first: int, end: int, channels: Any) -> Any:
    """Return some samples of some channels of a group, (samples, channels), of the aggregate's dtype."""
    import numpy as np

    from neuroluigi.signals.blocks import blocks

    # Copied block by block: of a word beside a probe, all channels have hundreds of times the bytes.
    return np.concatenate([block[:, channels].copy() for block in blocks(aggregate, first, end)])
