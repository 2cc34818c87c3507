"""Levels as people write them, in the counts of a channel."""

import pytest

from neuroluigi.ephys.quantities import Quantity, in_counts
from neuroluigi.recordings.recording import RecordingsError

LEVEL = Quantity(default=None)
LEAD = {"name": "MLII", "scale": 0.005, "offset": -5.12, "unit": "mV"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        (" 5 ", 5.0),
        ("-1e2", -100.0),
        ("-50mV", "-50 mV"),
        ("+.5 µV", "0.5 uV"),
        ("-50.12345678 mV", "-50.12345678 mV"),
        ("1234567 uV", "1234567 uV"),
        ("0.1 mV", "0.1 mV"),
    ],
)
def test_what_is_written_is_kept_to_the_last_digit(text, value):
    assert LEVEL.parse(text) == value == LEVEL.parse(LEVEL.serialize(value))


@pytest.mark.parametrize("text", ["high", "5 m V", "5.5.5 mV", "1e400 mV"])
def test_what_is_no_number(text):
    with pytest.raises(ValueError, match=text.split()[0]):
        LEVEL.parse(text)


def test_a_level_that_is_a_whole_number_of_counts_is_that_number():
    for count in range(800, 1300):
        written = f"{count * 0.005 - 5.12:.3f} mV"
        assert in_counts(LEVEL.parse(written), LEAD, "level", with_offset=True) == count
    for factor, unit in ((1, "mV"), (1000, "uV"), (1e-3, "V")):
        written = f"{0.35 * factor:.10g} {unit}"
        assert in_counts(LEVEL.parse(written), LEAD, "hysteresis", with_offset=False) == 70


@pytest.mark.parametrize(
    ("channel", "words"),
    [
        ({"name": "a"}, "nothing says how many mV a count of channel a is"),
        ({"scale": 1.0, "unit": "pA"}, "its channels is in pA"),
        ({"scale": -1.0, "unit": "mV"}, "is below 0"),
    ],
)
def test_a_channel_that_has_no_such_level(channel, words):
    with pytest.raises(RecordingsError, match=words):
        in_counts("-50 mV", channel, "[Spikes] level", with_offset=True)
