"""What Lines can be asked for, and what is refused before anything runs."""

import pytest

from neuroluigi.ephys.line_parameters import (
    LineField,
    LineNames,
    LineNumbers,
    LineWords,
    PulseWidth,
    SettleSamples,
    names_by_bit,
)
from neuroluigi.steps.config import RunStopped


def test_what_is_asked_for():
    assert LineWords("words").normalize("384, 8") == LineWords("words").normalize([384, 8]) == ("384", "8")
    assert LineWords("words").normalize("ttl") == ("ttl",) and LineWords("words").normalize("") == ()
    assert LineNumbers("bits").normalize("0,6") == ("0", "6")
    # A field may have as many bits as the number of its first one.
    assert LineField("field").normalize("2, 2") == ("2", "2")
    assert SettleSamples().normalize(5) == 5
    assert PulseWidth().normalize(0.5) == 0.5 and PulseWidth().normalize(None) is None
    names = LineNames().normalize("384.6:sync, ttl.0: camera 1, 08.1:x:y")
    assert names_by_bit(names) == {("384", 6): "sync", ("ttl", 0): "camera 1", ("8", 1): "x:y"}


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        (LineWords("words"), "SY0", "words SY0: words are whole numbers, counted from 0"),
        (LineWords("words"), "-1", "words -1: words are whole numbers"),
        (LineWords("words"), "1.5", "words 1.5: words are whole numbers"),
        (LineWords("words"), "٣", "words ٣: words are whole numbers"),
        (LineWords("words"), "3, 3", "words 3, 3: each is named once"),
        (LineWords("words"), "3, ttl", "words 3, ttl: it is either channels or ttl"),
        (LineNumbers("bits"), "ttl", "bits ttl: bits are whole numbers"),
        (LineField("field"), "1", "field 1: a field is its first bit, from 0, and its number of bits: 0, 4"),
        (LineField("field"), "1, 0", "field 1, 0: a field is its first bit"),
        (LineField("field"), "1, x", "field 1, x: a field is its first bit"),
        (LineNames(), "sync", "names sync: a name is CHANNEL.BIT:NAME, both from 0, such as 384.6:sync"),
        (LineNames(), "384.6:", "names 384.6:: a name is CHANNEL.BIT:NAME"),
        (SettleSamples(), 0, "settle 0: settle is a whole number of samples, from 1"),
        (PulseWidth(), 0.0, "width 0: width is a time in ms, above 0"),
        (PulseWidth(), float("nan"), "width nan: width is a time in ms, above 0"),
    ],
)
def test_what_is_refused(parameter, value, message):
    with pytest.raises(RunStopped) as error:
        parameter.normalize(value)
    assert str(error.value).startswith(f"luigi: {message}")
