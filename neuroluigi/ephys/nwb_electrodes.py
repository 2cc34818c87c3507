"""Devices, groups of electrodes and the table of electrodes of an NWB file."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neuroluigi.ephys.nwb_group import SessionGroup

if TYPE_CHECKING:
    from pynwb import NWBFile

UNKNOWN_LOCATION = "unknown"
_PLACES = ("rel_x", "rel_y")
_COLUMNS = {
    "location": "where in the brain it is",
    "group": "probe, or shank of it",
    "group_name": "name of that",
    "channel_name": "name of the channel by the recording system",
    "rel_x": "micrometres across the probe",
    "rel_y": "micrometres from its tip upwards, as the header counts",
}


def add_electrodes(file: "NWBFile", located: Sequence[tuple[SessionGroup, str]]) -> list[str]:
    """Add the electrodes of groups, each with its location, and note their rows in the groups.

    Channels at the same place of a probe, of two bands or two gates, are one electrode. Returns sentences on what is
    not known.
    """
    groups = [group for group, _ in located]
    devices = {name: _device(file, name, groups) for name in dict.fromkeys(one.device for one in groups)}
    unknown, rows = dict[str, None](), dict[tuple, dict[str, Any]]()
    parts: dict[str, Any] = {}
    for group, location in located:
        met: dict[tuple, int] = {}
        channels = group.channels
        for place in group.electrical():
            channel = channels[place]
            of_shank = "shank" in channel
            part = f"{group.device}-shank{channel['shank']}" if of_shank else group.device
            if not location:
                unknown[part] = None
            if part not in parts:
                parts[part] = file.create_electrode_group(
                    name=part,
                    description=f"electrodes of {group.device}" + (f", shank {channel['shank']}" if of_shank else ""),
                    location=location or UNKNOWN_LOCATION,
                    device=devices[group.device],
                )
            key = _identity(group, place, channel)
            met[key] = met.get(key, 0) + 1
            row = rows.setdefault(
                (*key, met[key]),
                {
                    "number": len(rows),
                    "location": location or UNKNOWN_LOCATION,
                    "group": parts[part],
                    "group_name": part,
                    "channel_name": str(channel.get("name") or place),
                    "rel_x": float(channel.get("x", math.nan)),
                    "rel_y": float(channel.get("y", math.nan)),
                },
            )
            group.electrodes[place] = row["number"]
    if rows:
        file.electrodes = _table([*rows.values()])
    return [
        f"where {name} is in the brain is not known: write a column location, or set [NWB] location" for name in unknown
    ]


def _table(rows: Sequence[dict[str, Any]]) -> Any:
    """Return the table of electrodes of some rows, made at once: row by row it takes milliseconds for each."""
    from hdmf.common import VectorData
    from pynwb.ecephys import ElectrodesTable

    has_places = not all(math.isnan(row["rel_x"]) for row in rows)
    columns = [
        VectorData(name=name, description=about, data=[row[name] for row in rows])
        for name, about in _COLUMNS.items()
        if has_places or name not in _PLACES
    ]
    return ElectrodesTable(columns=columns)


def _identity(group: SessionGroup, place: int, channel: Mapping[str, Any]) -> tuple:
    """Return what two channels have in common that are one electrode."""
    if "x" in channel and "y" in channel:
        return group.device, channel.get("shank"), channel["x"], channel["y"]
    return group.device, group.columns.get("stream") or group.group.key, place, channel.get("name")


def _device(file: "NWBFile", name: str, groups: Sequence[SessionGroup]) -> Any:
    group = next(one for one in groups if one.device == name)
    columns, recorded = group.columns, group.group.recordings[0].recorded
    kind, serial = columns.get("probe_type", ""), columns.get("probe_serial", "")
    is_probe = bool(kind) or "neuropix" in columns.get("source", "").casefold()
    said = [f"recorded as {recorded.format}" if recorded else "", columns.get("source", "")]
    model = None
    if is_probe:
        model_name = f"Neuropixels-{kind}" if kind else "Neuropixels"
        model = file.device_models.get(model_name) if file.device_models else None
        model = model or file.create_device_model(
            name=model_name,
            manufacturer="IMEC",
            description=f"Neuropixels probe{f', type {kind} of SpikeGLX (imDatPrb_type)' if kind else ''}",
        )
    about = ", ".join(filter(None, said)) or "the recording system"
    return file.create_device(name=name, description=about, serial_number=serial or None, model=model)
