"""What is refused before anything is made, and names that HDF5 and archives take."""

from types import SimpleNamespace
from typing import Any

import pytest

from neuroluigi.ephys.nwb_group import Names, check_group, labels_of, safe_name
from neuroluigi.recordings.formats.reader import Channel
from neuroluigi.recordings.recording import RecordingsError
from tests.ephys.nwb_files import channel, group_of


def group(*channels: Channel, rate: float | None = 1000.0, path: str = "a.bin") -> Any:
    recorded = SimpleNamespace(channels=channels)
    of_table = {"scale": None, "offset": None, "unit": "", "columns": {}, "sampling_rate_hz": rate}
    recording = SimpleNamespace(path=path, recorded=recorded, channels=len(channels), **of_table)
    return SimpleNamespace(key="g", recordings=[recording])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (group(Channel("I", scale=1.0, unit="pA")), "a.bin is an intracellular recording.*neuroconv"),
        (group(Channel("V", scale=1.0, unit="mV"), path="c/File.ABF"), "File.ABF is an intracellular recording"),
        (group(Channel("CH1", "ap", 1.0, 0.0, "uV"), rate=None), "set .recordings. sampling_rate_hz"),
        (group(Channel("CH1"), Channel("SY", "digital")), r"1 channels is \(CH1\).*set scale and unit.*raw = none"),
    ],
)
def test_refusals_name_the_cure(given, words):
    with pytest.raises(RecordingsError, match=words):
        check_group(given, needs_scales=True)


def test_samples_that_are_left_out_need_no_scale():
    without = group(Channel("CH1"), Channel("SY", "digital"))
    with pytest.raises(RecordingsError, match="set scale and unit"):
        check_group(without, needs_scales=True)
    check_group(without, needs_scales=False)
    check_group(group(Channel("CH1", "ap", 1.0, 0.0, "uV")), needs_scales=True)


def test_electrodes_by_kind():
    kinds = ("digital", "ap", "unknown", "lf", "analog")
    assert group_of([channel(kind, kind) for kind in kinds]).electrical() == [1, 3]
    unknown = [channel("Fp1", "unknown"), channel("T", "unknown", 1.0, "C"), channel("raw", "unknown", None)]
    assert group_of(unknown).electrical() == [0, 2]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a/b", "a_b"),
        (" imec0.ap\n", "imec0.ap"),
        ("a\tb:c\\d\0", "a_b_c_d_"),
        ("..", "_.."),
        ("", "_"),
        ("Über", "Über"),
        ("x" * 500, "x" * 200),
    ],
)
def test_safe_names(text, name):
    assert safe_name(text) == name


def test_names_are_not_twice():
    names = Names()
    assert [names.add(str(n), text) for n, text in enumerate(("a b", "a/b", "c", "a_b"))] == [
        "a_b",
        "a_b_2",
        "c",
        "a_b_3",
    ]


def test_labels_tell_groups_apart_without_the_session():
    def of(**values):
        return SimpleNamespace(values=values)

    assert labels_of("m", {"m-0": of(session="m", gate="0")}) == {"m-0": ""}
    two = {"m-0-imec0.ap": of(session="m", gate="0", stream="imec0.ap"), "k": of(session="m")}
    assert labels_of("m", two) == {"m-0-imec0.ap": "0-imec0.ap", "k": "k"}
