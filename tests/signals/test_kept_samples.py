"""Samples between two places: which, of which channels, in which units."""

import numpy as np
import pytest

from neuroluigi.signals.aggregate import AggregateFile, SamplePart
from neuroluigi.signals.kept_samples import checked_span, named_channels, read_samples, units_of


@pytest.fixture
def aggregate(tmp_path):
    """Five samples of three channels behind a header of 4 bytes, the last one words of bits."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"head" + np.arange(15, dtype="<i2").tobytes())
    channels = [
        {"name": "A", "scale": 2.0, "unit": "uV"},
        {"name": "B", "scale": -1.0, "offset": 3.0, "unit": "V"},
        {"scale": 9.0, "unit": "V"},
    ]
    return AggregateFile(
        "",
        "int16",
        3,
        ("ap", "aux", "digital"),
        5,
        (0,),
        None,
        (SamplePart(str(path), 4, 0, 5),),
        {"channels": channels},
    )


def test_units(aggregate):
    assert units_of(aggregate) == [(2.0, 0.0, "uV"), (-1.0, 3.0, "V"), (1.0, 0.0, "counts")]


def test_each_channel_has_its_unit(aggregate):
    assert read_samples(aggregate, 1, 3, [1, 2, 0]).tolist() == [[-1.0, 5.0, 6.0], [-4.0, 8.0, 12.0]]
    assert read_samples(aggregate, 4, 5, [0], physical=False).tolist() == [[12]]


def test_channels_by_name_and_position(aggregate):
    assert named_channels(aggregate, ["B", 0, np.int64(2)]) == [1, 0, 2] and named_channels(aggregate, None) == [
        0,
        1,
        2,
    ]
    with pytest.raises(ValueError, match="there is no channel 'C': positions are from 0 to 2; the names are A, B"):
        named_channels(aggregate, ["C"])


def test_spans(aggregate):
    assert checked_span(aggregate, 2, None) == (2, 5)
    with pytest.raises(ValueError, match="samples 2 to 6: the group has samples 0 to 5"):
        checked_span(aggregate, 2, 6)
