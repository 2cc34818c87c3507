"""The streams of a session, and the settings of each."""

from dataclasses import replace

import pytest

from neuroluigi.ephys.streams import HEADER, StreamSettings, settings_of, streams_of
from neuroluigi.steps.config import RunStopped
from neuroluigi.steps.discovery import groups
from tests.conftest import FORMATS, needs_formats
from tests.steps.conftest import declare  # noqa: F401 (a fixture)

THREE = FORMATS / "openephys/three_streams_v0.6"


def test_what_is_not_set_is_not_known(declare):  # noqa: F811
    assert settings_of("nidq") == StreamSettings()
    declare("Aligned:nidq", line="1.3", period="2", offset="-0.5", method="recorded")
    assert settings_of("nidq") == StreamSettings("1.3", 2.0, -0.5, "recorded")
    declare("Aligned:imec", threshold="1.10 V")
    assert settings_of("imec").threshold == "1.1 V"
    declare("Aligned:imec", threshold="0.4")
    assert settings_of("imec").threshold == 0.4


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"lines": "1"}, r"\[Aligned:nidq\] lines: there is no such setting"),
        ({"method": "guess"}, "method guess: it is one of pulses, recorded, header, none"),
        ({"period": "0"}, "above 0"),
        ({"offset": "soon"}, "offset soon: it is a number of seconds"),
        ({"threshold": "1.1"}, r"threshold 1.1: it is a number with a unit, such as 1.1 V, or a fraction"),
        ({"threshold": "high"}, "threshold high: it is a number with a unit"),
        ({"period": "nan"}, "period nan: it is a number of seconds"),
    ],
)
def test_what_can_not_be_set_is_refused(declare, values, reason):  # noqa: F811
    declare("Aligned:nidq", **values)
    with pytest.raises(RunStopped, match=reason):
        settings_of("nidq")


@needs_formats
def test_the_streams_of_a_real_session(declare):  # noqa: F811
    declare("recordings", root=THREE.parent)
    declare("Aligned:PXIe-6341", line="ttl.1")
    declare("Aligned:ProbeC", line="5")
    streams, unaligned = streams_of(groups(), THREE.name)
    assert unaligned == []
    found = {one.name: one for one in streams}
    assert {name: one.line for name, one in found.items()} == {"ProbeB": "ttl.0", "ProbeC": "5", "PXIe-6341": "ttl.1"}
    assert found["ProbeB"].groups == [f"{THREE.name}-101-1-ProbeB"] and found["ProbeB"].rate == 30000
    assert {name for name, one in found.items() if one.is_ap} == {"ProbeB", "ProbeC"}
    # Of another session, and of a rig of before 0.6, nothing is known.
    assert streams_of(groups(), "another") == ([], [])
    _, unaligned = streams_of(groups(), "two_recordings_v0.5")
    assert all("timestamps.npy has no seconds but int64, as before version 0.6" in one["why"] for one in unaligned)
    declare("Aligned:ProbeC", line="SY.6")
    streams, _ = streams_of(groups(), THREE.name)
    with pytest.raises(RunStopped, match=r"line SY.6: it is CHANNEL.BIT, ttl.BIT"):
        _ = [one.line for one in streams]


@needs_formats
def test_signals_of_one_recorder_are_one_stream_unless_its_counter_begins_again(declare):  # noqa: F811
    declare("recordings", root=FORMATS / "intan")
    found, session = groups(), "file_per_signal_type"
    (stream,), unaligned = streams_of(found, session)
    assert (stream.groups, stream.method, stream.line, unaligned) == ([*found], HEADER, "", [])
    twice = {key: replace(one, recordings=one.recordings * 2) for key, one in found.items()}
    streams, (amplifier,) = streams_of(twice, session)
    assert streams == [] and amplifier["groups"] == [*found]
    assert "begins again in" in amplifier["why"] and "make each a session" in amplifier["why"]
