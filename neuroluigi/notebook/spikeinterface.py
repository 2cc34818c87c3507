"""A group's samples as a SpikeInterface recording; nothing of SpikeInterface is imported before it is asked for."""

import functools
from typing import Any

import numpy as np

from neuroluigi.signals.aggregate import AggregateFile
from neuroluigi.signals.kept_samples import read_samples, units_of
from neuroluigi.signals.shown_channels import described_channels

# uV of a unit of voltage.
_MICROVOLTS = {"V": 1e6, "mV": 1e3, "uV": 1.0, "µV": 1.0, "μV": 1.0, "nV": 1e-3}


@functools.cache
def _classes() -> tuple[type, type]:
    from spikeinterface.core import BaseRecording, BaseRecordingSegment

    class KeptSegment(BaseRecordingSegment):
        """All kept samples of a group, one after the other."""

        def __init__(self, aggregate: AggregateFile):
            super().__init__(sampling_frequency=aggregate.sampling_rate_hz)
            self._aggregate = aggregate

        def get_num_samples(self) -> int:
            return self._aggregate.samples

        def get_traces(self, start_frame=None, end_frame=None, channel_indices=None):
            everything = range(self._aggregate.channels)
            if channel_indices is None:
                chosen = list(everything)
            elif isinstance(channel_indices, slice):
                chosen = list(everything[channel_indices])
            else:
                chosen = [int(one) for one in np.arange(self._aggregate.channels)[np.asarray(channel_indices)]]
            first, last, _ = slice(start_frame, end_frame).indices(self._aggregate.samples)
            return read_samples(self._aggregate, first, max(first, last), chosen, physical=False)

    class KeptRecording(BaseRecording):
        """The kept samples of a group of a lab."""

        def __init__(self, aggregate: AggregateFile):
            ids = [one.get("name") or str(n) for n, one in enumerate(described_channels(aggregate))]
            ids = ids if len(set(ids)) == len(ids) else [str(n) for n in range(len(ids))]
            super().__init__(aggregate.sampling_rate_hz, ids, np.dtype(aggregate.dtype))
            self.add_recording_segment(KeptSegment(aggregate))
            # The class is made here: another process knows it where that is a copy of this one.
            self._serializability.update(json=False, pickle=False)

    return KeptRecording, KeptSegment


def recording_of(aggregate: AggregateFile, key: str) -> Any:
    """Return the SpikeInterface recording of a group; ValueError where it has no sampling rate.

    Where channels have places on a probe, it has those alone. Its segment has all kept samples, one after the other;
    the annotation `first_samples_after_gaps` says where samples are missing in between.
    """
    if not aggregate.sampling_rate_hz:
        raise ValueError(f"the sampling rate of {key} is not known; set [recordings] sampling_rate_hz")
    recording_class, _ = _classes()
    recording, described = recording_class(aggregate), described_channels(aggregate)
    recording.set_property("kind", list(aggregate.kinds))
    recording.set_property("is_bad", [one in aggregate.bad for one in range(aggregate.channels)])
    recording.annotate(group=key, first_samples_after_gaps=[one for one in aggregate.segments if one])
    placed = [n for n, one in enumerate(described) if "x" in one and "y" in one]
    chosen = placed or list(range(aggregate.channels))
    if len(chosen) < aggregate.channels:
        recording = recording.select_channels(recording.channel_ids[chosen])
    units = [units_of(aggregate)[one] for one in chosen]
    if all(unit in _MICROVOLTS for _, _, unit in units):
        recording.set_channel_gains([scale * _MICROVOLTS[unit] for scale, _, unit in units])
        recording.set_channel_offsets([offset * _MICROVOLTS[unit] for _, offset, unit in units])
    if placed:
        # Some versions set it on the recording itself.
        recording = recording.set_probe(_probe([described[one] for one in placed])) or recording
    return recording


def _probe(channels: list[dict[str, Any]]) -> Any:
    """Return the probe of some channels, um."""
    from probeinterface import Probe

    probe = Probe(ndim=2, si_units="um")
    probe.set_contacts(
        positions=[(one["x"], one["y"]) for one in channels],
        shapes="circle",
        shape_params={"radius": 5},
        shank_ids=[str(one.get("shank", 0)) for one in channels],
    )
    probe.set_device_channel_indices(np.arange(len(channels)))
    return probe
