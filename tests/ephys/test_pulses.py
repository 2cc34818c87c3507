"""Pulses: which channel of a group has them, and at which level, by headers and settings."""

import pytest

from neuroluigi import ephys
from neuroluigi.recordings.recording import RecordingsError
from neuroluigi.steps.config import RunStopped
from tests.ephys.spikeglx_run import write_analog, write_stream
from tests.steps.conftest import declare  # noqa: F401 (a fixture)

COUNTS_PER_VOLT = 32768 / 5


class OfPulses(ephys.Aggregate):
    def requires(self):
        return []


class Pulses(ephys.Pulses):
    task_namespace = "test_pulses"

    def requires(self):
        return OfPulses(self.group)


def options(**settings) -> dict:
    return Pulses("m-0-nidq", **settings).options()


@pytest.fixture
def raw(declare, tmp_path):  # noqa: F811
    write_analog(tmp_path / "raw", 3.3)
    declare("recordings", root=tmp_path / "raw")
    return tmp_path / "raw"


def test_the_level_is_that_of_the_header(raw):
    assert options() == {
        "channels": [2],
        "level": pytest.approx(1.1 * COUNTS_PER_VOLT),
        "hysteresis": pytest.approx(0.22 * COUNTS_PER_VOLT),
        "refractory": 1.0,
    }
    assert options(settle=3)["settle"] == 3
    assert options(hysteresis=7.0)["hysteresis"] == 7


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"threshold": "2500 mV"}, {"channels": [2], "level": 2.5 * COUNTS_PER_VOLT}),
        ({"threshold": "0.3"}, {"channels": [2], "threshold": 0.3, "release": 0.8}),
        # What the header says is the level of its own line.
        ({"line": "0"}, {"channels": [1], "threshold": 0.5, "release": 0.8}),
        ({"line": "0", "threshold": "2.5 V"}, {"channels": [1], "level": 2.5 * COUNTS_PER_VOLT}),
        ({"line": "1"}, {"channels": [2], "level": pytest.approx(1.1 * COUNTS_PER_VOLT)}),
    ],
)
def test_settings_come_before_the_header(raw, declare, settings, expected):  # noqa: F811
    declare("Aligned:nidq", **settings)
    assert options().items() >= expected.items()


def test_a_header_without_a_level_has_the_middle_of_the_range(raw):
    meta = raw / "m_g0/m_g0_t0.nidq.meta"
    meta.write_text(meta.read_text().replace("syncNiThresh=1.1\n", ""))
    assert options() == {"channels": [2], "threshold": 0.5, "release": 0.8, "refractory": 1.0}


def test_what_has_no_such_channel_is_an_error(raw, declare):  # noqa: F811
    declare("Aligned:nidq", line="7")
    with pytest.raises(
        RecordingsError, match=r"channel 7, by \[Aligned:STREAM\] line .* is not there: it has channels 0"
    ):
        options()
    declare("Aligned:nidq", line="1.3")
    with pytest.raises(RecordingsError, match=r"which analog channel has the pulses; set line in \[Aligned:nidq\]"):
        options()
    for name, value in (("level", "3 V"), ("threshold", 0.5), ("noise", 4.0), ("channels", ("0",))):
        with pytest.raises(RunStopped, match=rf"{name} is set; what the pulses are is said by"):
            Pulses("m-0-nidq", **{name: value})


def test_recordings_of_a_group_that_differ_are_an_error(raw, declare):  # noqa: F811
    declare("recordings", group_by="stream")
    write_analog(raw.parent / "other", 3.3)
    folder = raw / "n_g0"
    (raw.parent / "other/m_g0").rename(folder)
    for path in folder.iterdir():
        path.rename(folder / path.name.replace("m_g0", "n_g0"))
    assert Pulses("nidq").line().level == "1.1 V"
    meta = folder / "n_g0_t0.nidq.meta"
    meta.write_text(meta.read_text().replace("syncNiThresh=1.1", "syncNiThresh=2"))
    declare("recordings", group_by="stream")
    with pytest.raises(RecordingsError, match="at different levels; group them apart"):
        Pulses("nidq").line()


def test_a_word_is_no_analog_channel(raw, declare):  # noqa: F811
    write_stream(raw, "nidq", 10)
    declare("Aligned:nidq", line="1")
    with pytest.raises(RecordingsError, match=r"is a word: line is CHANNEL.BIT"):
        options()
