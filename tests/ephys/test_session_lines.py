"""Lines as they are written, and in which groups of a session they are, by what headers and tables say."""

import pytest

from neuroluigi.ephys.session_lines import SessionLine
from neuroluigi.recordings.formats.reader import Channel, LineFiles, RecordedFile
from neuroluigi.recordings.recording import Group, Recording, RecordingsError
from neuroluigi.steps.config import RunStopped


@pytest.mark.parametrize(
    "text, stream, channel, bit, name",
    [
        ("8.0", "", 8, 0, ""),
        ("nidq:8.0", "nidq", 8, 0, ""),
        ("ttl.2", "", -1, 2, ""),
        ("a-0-nidq : 3", "a-0-nidq", 3, None, ""),
        ("camera", "", None, None, "camera"),
        ("nidq:AI3", "nidq", None, None, "AI3"),
    ],
)
def test_forms(text, stream, channel, bit, name):
    line = SessionLine.parse(text)
    assert (line.stream, line.channel, line.bit, line.name) == (stream, channel, bit, name)


@pytest.mark.parametrize("text", ["", ":3", "nidq:"])
def test_what_is_no_line(text):
    with pytest.raises(RunStopped, match="a line is STREAM:LINE"):
        SessionLine.parse(text)


def group(key: str, channels: list[Channel], lines: LineFiles | None = None, stream: str = "") -> Group:
    recorded = RecordedFile("x", "/x", {}, channels=tuple(channels), line_files=lines)
    one = Recording(
        "s", 0, "/x", "x", "int16", len(channels), 1000.0, 0, None, None, "", "",
        {"session": "s", "stream": stream or key}, "x", recorded=recorded,
    )  # fmt: skip
    return Group(key, {}, (one,), (), ())


GROUPS = {
    "s-probe": group("s-probe", [Channel("AP0", "ap"), Channel("SY0", "digital")], stream="probe"),
    "s-nidq": group("s-nidq", [Channel("AI0", "analog"), Channel("XD0", "digital", bits=("", "lick"))], stream="nidq"),
    "s-ni": group("s-ni", [Channel("CH1", "analog")], LineFiles("a", "b", names=((1, "laser"),)), stream="ni"),
}


@pytest.mark.parametrize(
    "text, found",
    [
        ("nidq:1.0", {"s-nidq": False}),
        ("s-probe:1.6", {"s-probe": False}),
        ("nidq:0", {"s-nidq": True}),
        ("AI0", {"s-nidq": True}),
        ("lick", {"s-nidq": False}),
        ("laser", {"s-ni": False}),
        ("ttl.1", {"s-ni": False}),
        # A name that only [Lines] names may have.
        ("camera", {"s-probe": False, "s-nidq": False, "s-ni": False}),
    ],
)
def test_groups_that_have_a_line(text, found):
    assert SessionLine.parse(text).groups(GROUPS, "s") == found


@pytest.mark.parametrize(
    "text, words",
    [
        ("1.0", "line 1.0: probe, nidq have one; write which, such as probe:1.0"),
        ("nidq:7.0", "no stream of the session s has it; they are probe, nidq, ni"),
        ("nidq:0.1", "no stream of the session s has it"),
        ("camera:1.0", "no stream"),
    ],
)
def test_what_no_stream_has_or_several(text, words):
    with pytest.raises(RecordingsError, match=words):
        SessionLine.parse(text).groups(GROUPS, "s")
