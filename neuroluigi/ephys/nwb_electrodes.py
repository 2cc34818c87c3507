"""Devices, groups of electrodes and the table of electrodes of an NWB file."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from neuroluigi.ephys.nwb_group import SessionGroup

if TYPE_CHECKING:
    from pynwb import NWBFile

UNKNOWN_LOCATION = "unknown"
_MICROMETRES = "micrometres from the origin of the probe"


def add_electrodes(file: "NWBFile", located: Sequence[tuple[SessionGroup, str]]) -> list[str]:
    """Add a row for each electrode, and note it in the groups; return sentences on what is not known.

    Channels at the same place of a probe, of two bands or two gates, are one electrode.
    """
    groups = [group for group, _ in located]
    unknown, rows = dict[str, None](), dict[tuple, int]()
    devices = {name: _device(file, name, groups) for name in dict.fromkeys(one.device for one in groups)}
    has_places = any("x" in channel for group in groups for channel in group.channels)
    parts: dict[str, Any] = {}
    for group, location in located:
        location = location or UNKNOWN_LOCATION
        met: dict[tuple, int] = {}
        for place in group.electrical():
            channel = group.channels[place]
            part = f"{group.device}-shank{channel['shank']}" if "shank" in channel else group.device
            if location == UNKNOWN_LOCATION:
                unknown[part] = None
            if part not in parts:
                about = f"electrodes of {group.device}" + (f", shank {channel['shank']}" if "shank" in channel else "")
                parts[part] = file.create_electrode_group(
                    name=part, description=about, location=location, device=devices[group.device]
                )
                if not rows and not file.electrodes:
                    file.add_electrode_column("channel_name", "name of the channel by the recording system")
            key = _identity(group, place)
            met[key] = met.get(key, 0) + 1
            row = rows.setdefault((*key, met[key]), len(rows))
            group.electrodes[place] = row
            if file.electrodes is None or row == len(file.electrodes):
                file.add_electrode(
                    location=location,
                    group=parts[part],
                    channel_name=str(channel.get("name") or place),
                    **({"rel_x": _number(channel, "x"), "rel_y": _number(channel, "y")} if has_places else {}),
                )
    return [
        f"where {name} is in the brain is not known: write a column location, or set [NWB] location" for name in unknown
    ]


def _identity(group: SessionGroup, place: int) -> tuple:
    """Return what two channels have in common that are one electrode."""
    channel = group.channels[place]
    if "x" in channel and "y" in channel:
        return group.device, channel.get("shank"), channel["x"], channel["y"]
    return group.device, group.columns.get("stream") or group.group.key, place, channel.get("name")


def _number(channel: Any, name: str) -> float:
    return float(channel.get(name, math.nan))


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
