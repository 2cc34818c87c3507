"""What is said of filtered and of downsampled samples, against counting them one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroluigi.ephys.derived import derived_content, downsampled_channels, filtered_channels
from neuroluigi.recordings.concatenation import describe_channels, is_concatenation

CHANNELS = [
    {"name": "AP0", "kind": "ap", "scale": 2.34, "offset": 5.0, "unit": "uV", "x": 11.0, "y": 20.0, "shank": 0},
    {"name": "AP1", "kind": "ap", "scale": 2.34, "offset": 5.0, "unit": "uV", "used": False},
    {"name": "SY0", "kind": "digital"},
]


def content(counts, segments=(0,), **known) -> dict:
    firsts = [0, *np.cumsum(counts).tolist()]
    rows = [
        {"session": "s", "index": k, "path": f"{k}.bin", "first_sample": firsts[k], "samples": count}
        for k, count in enumerate(counts)
    ]
    layout = {"dtype": "int16", "channels": CHANNELS, "sampling_rate_hz": 1000.0, "recordings": rows}
    return {**layout, "segments": list(segments), "excluded": [], **known}


def test_filtered_samples_are_where_they_were():
    before = content([5, 7], [0, 5], roots={"recordings": "raw"}, parts=[{"path": "x"}], gaps=[])
    after = derived_content(before, CHANNELS[:1], "float32", "filtered.bin")
    assert after == {
        "dtype": "float32",
        "channels": CHANNELS[:1],
        "sampling_rate_hz": 1000.0,
        "recordings": before["recordings"],
        "segments": [0, 5],
        "excluded": [],
        "gaps": [],
        "roots": {},
        "parts": [{"path": "filtered.bin", "offset": 0, "first_sample": 0, "samples": 12}],
    }
    assert is_concatenation(after)


def test_channels_of_a_header_and_of_a_table():
    assert describe_channels({"channels": CHANNELS}) == CHANNELS
    assert describe_channels({"channels": 2, "scale": 0.5, "unit": "mV", "channel_names": ["a", "b"]}) == [
        {"name": "a", "scale": 0.5, "unit": "mV"},
        {"name": "b", "scale": 0.5, "unit": "mV"},
    ]
    assert describe_channels({"channels": 2}) == [{"name": ""}, {"name": ""}]


def test_what_was_taken_away_was_the_offset():
    one, other = filtered_channels(CHANNELS, [1, 0], [False, True])
    assert one == {"name": "AP1", "kind": "ap", "scale": 2.34, "unit": "uV", "used": False} and other == CHANNELS[0]


def test_of_an_ap_channel_the_local_field_is_left():
    assert downsampled_channels(CHANNELS, [0, 2]) == [{**CHANNELS[0], "kind": "lf"}, CHANNELS[2]]


def test_downsampled_by_hand():
    # Kept are 0 4 8 | 10 14 | 17 21: of recordings that begin at 0, 6, 10 and 17.
    before = content([6, 4, 7, 7], [0, 10, 17], gaps=[{"sample": 10, "missing": 10}, {"sample": 17, "missing": None}])
    before["recordings"][1] |= {"start_sample": 106, "dropped_samples": 5, "clock": "c"}
    after = derived_content(before, CHANNELS[:2], "int16", "downsampled.bin", 4)
    assert [(row["first_sample"], row["samples"]) for row in after["recordings"]] == [(0, 2), (2, 1), (3, 2), (5, 2)]
    assert after["segments"] == [0, 3, 5] and after["sampling_rate_hz"] == 250.0
    assert after["gaps"] == [{"sample": 3, "missing": 2}, {"sample": 5, "missing": None}]
    assert after["parts"][0]["samples"] == 7
    assert {"start_sample": 27, "dropped_samples": 1, "clock": "c"}.items() <= after["recordings"][1].items()


@given(
    st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=1, max_size=8),
    st.lists(st.none() | st.integers(0, 90), min_size=8, max_size=8),
    st.integers(2, 30),
)
def test_each_recording_has_the_kept_samples_that_are_its_own(recordings, missing, factor):
    counts = [count for count, _ in recordings]
    firsts = [0, *np.cumsum(counts).tolist()]
    seams = [first for first, (_, is_seam) in zip(firsts, recordings, strict=False) if is_seam and first]
    gaps = [{"sample": seam, "missing": count} for seam, count in zip(seams, missing, strict=False)]
    after = derived_content(content(counts, [0, *seams], gaps=gaps), CHANNELS, "int16", "x", factor)
    begins = [0, *seams]
    kept = [k for k in range(firsts[-1]) if (k - max(one for one in begins if one <= k)) % factor == 0]
    assert after["segments"] == [kept.index(one) for one in begins]
    for row, first, last in zip(after["recordings"], firsts, firsts[1:], strict=False):
        own = [kept.index(one) for one in kept if first <= one < last]
        assert row["samples"] == len(own) and own[:1] in ([], [row["first_sample"]])
    # Where time passes as it did, each stretch begins at its time, to one of the new samples.
    passed = new_passed = 0
    for gap, new in zip(gaps, after["gaps"], strict=True):
        assert new["sample"] == kept.index(gap["sample"])
        if gap["missing"] is None:
            return
        passed, new_passed = passed + gap["missing"], new_passed + new["missing"]
        off = new["sample"] + new_passed - (gap["sample"] + passed) / factor
        assert abs(off) <= 0.5 or (new["missing"] == 0 and off > 0)


@pytest.mark.parametrize("factor", [1, 3])
def test_what_is_of_all_channels_is_said_of_each(factor):
    layout = content([9], scale=0.5, offset=1.0, unit="mV", channel_names=["a"])
    channels = describe_channels({**layout, "channels": 1})
    after = derived_content({**layout, "channels": 1}, channels, "float32", "x", factor)
    assert after["channels"] == [{"name": "a", "scale": 0.5, "offset": 1.0, "unit": "mV"}]
    assert not {"scale", "offset", "unit", "channel_names"} & after.keys()
