"""What SpikeInterface gets; where it is not installed, a stand-in that does what is asked of it here."""

import sys
import types

import numpy as np
import pytest

from neuroluigi.notebook import spikeinterface
from neuroluigi.signals.aggregate import AggregateFile, SamplePart


class Segment:
    def __init__(self, sampling_frequency):
        self.sampling_frequency = sampling_frequency


class Recording:
    def __init__(self, rate, ids, dtype):
        self.channel_ids, self.dtype, self.properties, self.chosen = np.array(ids), dtype, {}, None
        self._serializability = {}

    def add_recording_segment(self, segment):
        self.segment = segment

    def set_property(self, name, values):
        self.properties[name] = values

    def set_channel_gains(self, values):
        self.properties["gains"] = values

    def set_channel_offsets(self, values):
        self.properties["offsets"] = values

    def annotate(self, **values):
        self.annotations = values

    def select_channels(self, ids):
        self.chosen = list(ids)
        return self

    def set_probe(self, probe):
        self.probe = probe


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    core = types.ModuleType("spikeinterface.core")
    core.BaseRecording, core.BaseRecordingSegment = Recording, Segment
    monkeypatch.setitem(sys.modules, "spikeinterface", types.ModuleType("spikeinterface"))
    monkeypatch.setitem(sys.modules, "spikeinterface.core", core)
    spikeinterface._classes.cache_clear()
    yield
    spikeinterface._classes.cache_clear()


@pytest.fixture
def aggregate(tmp_path):
    """Six samples of two sites of a probe and a channel of words, in two files."""
    counts = np.arange(18, dtype="<i2").reshape(6, 3)
    counts[:4].tofile(tmp_path / "0.bin")
    counts[4:].tofile(tmp_path / "1.bin")
    site = {"scale": 0.002, "offset": 0.5, "unit": "mV", "kind": "ap", "shank": 1}
    channels = [{"name": "A", "x": 0, "y": 20, **site}, {"name": "B", "x": 16, "y": 40, **site}, {"name": "sync"}]
    parts = (SamplePart(str(tmp_path / "0.bin"), 0, 0, 4), SamplePart(str(tmp_path / "1.bin"), 0, 4, 2))
    return AggregateFile("", "int16", 3, ("ap", "ap", "digital"), 6, (0, 4), 1000.0, parts, {"channels": channels})


def test_samples_are_read_over_the_parts(aggregate):
    segment = spikeinterface.recording_of(aggregate, "a").segment
    assert segment.get_num_samples() == 6 and segment.sampling_frequency == 1000.0
    everything = np.arange(18).reshape(6, 3)
    for begin, end, channels in (
        (None, None, None), (3, 5, [2, 0]), (0, 6, slice(1, 3)), (5, 99, np.array([True, False, True])), (2, 2, None),
    ):  # fmt: skip
        expected = everything[begin:end][:, slice(None) if channels is None else channels]
        np.testing.assert_array_equal(segment.get_traces(begin, end, channels), expected)


def test_it_has_the_probe_and_uv(aggregate):
    found = spikeinterface.recording_of(aggregate, "a")
    assert found.chosen == ["A", "B"] and found.annotations == {"group": "a", "first_samples_after_gaps": [4]}
    assert found.properties["gains"] == [2.0, 2.0] and found.properties["offsets"] == [500.0, 500.0]
    assert found.properties["kind"] == ["ap", "ap", "digital"]
    assert found.probe.contact_positions.tolist() == [[0, 20], [16, 40]] and list(found.probe.shank_ids) == ["1", "1"]


def test_without_a_rate_there_is_none(aggregate):
    object.__setattr__(aggregate, "sampling_rate_hz", None)
    with pytest.raises(ValueError, match="the sampling rate of a is not known"):
        spikeinterface.recording_of(aggregate, "a")
