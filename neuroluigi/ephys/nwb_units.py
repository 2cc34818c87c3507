"""Units that a sorter found, in an NWB file; threshold crossings are none, and stay events."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuroluigi.ephys.nwb_group import SessionGroup
from neuroluigi.ephys.nwb_signals import check_known
from neuroluigi.signals.sorted_units import Unit

if TYPE_CHECKING:
    from pynwb import NWBFile


def add_units(file: "NWBFile", sorted_groups: Sequence[tuple[SessionGroup, Sequence[Unit]]]) -> None:
    """Add the units of each group that have spikes in the session. Raises RecordingsError for unknown times."""
    from pynwb.misc import Units

    table = Units(
        name="units",
        description="units of a spike sorter",
        electrode_table=file.electrodes,
        resolution=min(1 / group.rate for group, _ in sorted_groups),
    )
    table.add_column("label", "what the sorter, or a person, called it: good, mua, noise; blank: nobody did")
    table.add_column("cluster", "number of the unit in the sorter's folder")
    table.add_column("group_key", "key of the group that was sorted")
    has_electrodes = any(_electrode(group, one) for group, units in sorted_groups for one in units)
    for group, units in sorted_groups:
        for one in units:
            seconds = _seconds(group, one)
            if len(seconds):
                electrodes = {"electrodes": _electrode(group, one)} if has_electrodes else {}
                table.add_unit(
                    spike_times=seconds, label=one.label, cluster=one.id, group_key=group.group.key, **electrodes
                )
    file.units = table


def _electrode(group: SessionGroup, unit: Unit) -> list[int]:
    return [group.electrodes[unit.channel]] if unit.channel in group.electrodes else []


def _seconds(group: SessionGroup, unit: Unit) -> np.ndarray:
    """Return the seconds of the unit's spikes in recordings of the session."""
    found = [np.zeros(0)]
    for row, first, end in group.ranges():
        begin, stop = np.searchsorted(unit.samples, [first, end])
        seconds = group.times.seconds(unit.samples[begin:stop])
        check_known(group, row, seconds)
        found.append(seconds)
    return np.concatenate(found)
