"""Seams by the counters, against those of real runs and what CatGT makes of them."""

import json
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import pytest

from neuroluigi.recordings.formats.find import find_recordings
from neuroluigi.recordings.formats.reader import Gap, RecordedFile
from neuroluigi.recordings.seams import Joined, join
from tests.conftest import FORMATS, needs_formats

TRUTH = json.loads((FORMATS / "truth.json").read_text()) if FORMATS.is_dir() else {"spikeglx_seams": {}}


def one(samples: int, start: int | None, clock: str = "a", format: str = "openephys", gaps: tuple = ()) -> RecordedFile:
    return RecordedFile(
        format, f"/{clock}/{start}", {}, samples=samples, start_sample=start, clock=clock if start is not None else "",
        gaps=gaps,
    )  # fmt: skip


def spikeglx(samples: int, start: int | None) -> RecordedFile:
    return one(samples, start, format="spikeglx")


def real_runs() -> dict[str, list[RecordedFile]]:
    """Return the recordings of SpikeGLX by run and stream, in the order of gates and triggers."""
    runs = defaultdict(list)
    for recording in find_recordings(str(FORMATS / "spikeglx"), ("spikeglx",)).recordings:
        if not recording.problems:
            runs[f"{recording.columns['session']}.{recording.columns['stream']}"].append(recording)
    return runs


@needs_formats
@pytest.mark.parametrize("run", TRUTH["spikeglx_seams"])
def test_gaps_of_real_runs(run):
    recordings = real_runs()[run]
    names = [f"g{recording.columns['gate']}_t{recording.columns['trigger']}" for recording in recordings]
    seams = TRUTH["spikeglx_seams"][run]
    assert [seam["between"] for seam in seams] == [list(pair) for pair in pairwise(names)]
    joined = join(recordings)
    assert joined.problems == ()
    assert joined.dropped == (0, *(max(0, -seam["gap_samples"]) for seam in seams))
    assert [gap.missing for gap in joined.gaps] == [seam["gap_samples"] for seam in seams if seam["gap_samples"] > 0]


@needs_formats
def test_what_catgt_makes_of_a_gate():
    runs = real_runs()
    for line in (FORMATS / "spikeglx/CatGT_offsets_CI0_g0.txt").read_text().splitlines():
        key, _, offsets = line.partition(":")
        if not key.startswith("smp_"):
            continue
        stream = f"imec{key[-1]}.{'ap' if 'imap' in key else 'lf'}"
        gate = [one for one in runs[f"5-19-2022-CI0.{stream}"] if one.columns["gate"] == "0"]
        joined = join(gate)
        assert list(joined.origins) == [int(offset) for offset in offsets.split()]
        assert joined.segments == (0,) and joined.gaps == ()
    gates = join(runs["5-19-2022-CI0.imec0.ap"])
    # 300 + 300 samples, of which the one that both have is taken once; the gates are 158114 apart.
    assert gates.gaps == (Gap(599, 158114),) and gates.segments == (0, 599)
    assert gates.first_samples == (0, 300, 599, 899) and gates.dropped == (0, 1, 0, 1)


@needs_formats
def test_recordings_of_open_ephys():
    found = find_recordings(str(FORMATS / "openephys/two_recordings_v0.5")).recordings
    assert join(found) == Joined((0, 20000), (0, 0), (0, 20000), (Gap(20000, 313152),), ())


def test_hand_computed_cases():
    # What follows at once, what has a gap, and what is within the tolerance.
    assert join([one(10, 5), one(10, 15)]).segments == (0,)
    assert join([one(10, 5), one(10, 18)]) == Joined((0, 10), (0, 0), (0, 10), (Gap(10, 3),), ())
    assert join([one(10, 5), one(10, 18)], gap_tolerance=3).segments == (0,)
    assert join([one(10, 5), one(10, 18)], gap_tolerance=2).segments == (0, 10)
    assert join([one(10, 5)]) == Joined((0,), (0,), (0,), (), ())


def test_an_overlap_is_dropped_of_spikeglx_and_a_reset_elsewhere():
    assert join([spikeglx(10, 0), spikeglx(10, 7), spikeglx(5, 17)]) == Joined((0, 10, 17), (0, 3, 0), (0,), (), ())
    assert join([one(10, 0), one(10, 7)]) == Joined((0, 10), (0, 0), (0, 10), (Gap(10),), ())


def test_gaps_of_what_is_dropped_are_dropped_too():
    following = replace(spikeglx(10, 7), gaps=(Gap(2, 5), Gap(5, 6)))
    assert join([spikeglx(10, 0), following]) == Joined((0, 10), (0, 3), (0, 12), (Gap(12, 6),), ())


@pytest.mark.parametrize("start", [0, 2, 5])
def test_a_file_of_which_nothing_is_new_is_a_problem(start):
    (text,) = join([spikeglx(10, 0), spikeglx(5, start)]).problems
    assert text.startswith(f"/a/{start} has 5 samples, all of which are in /a/0 too")
    assert join([spikeglx(10, 0), spikeglx(5, 6)]).problems == ()


def test_without_a_counter_or_with_another_each_stands_for_itself():
    for following in (one(10, None), one(10, 10, clock="b")):
        assert join([one(10, 0), following]) == Joined((0, 10), (0, 0), (0, 10), (Gap(10),), ())
    assert join([one(10, None), one(10, None)]).gaps == (Gap(10),)
    assert join([replace(one(10, 0), clock=""), replace(one(10, 10), clock="")]).gaps == (Gap(10),)


def test_gaps_within_a_recording_are_seams_and_count():
    # 10 samples with 5 missing in the middle: the counter is at 15 after them.
    first = one(10, 0, gaps=(Gap(4, 5),))
    assert join([first, one(10, 15)]) == Joined((0, 10), (0, 0), (0, 4), (Gap(4, 5),), ())
    assert join([one(10, 0), one(10, 10, gaps=(Gap(4, 5), Gap(6)))]).gaps == (Gap(14, 5), Gap(16))
    assert join([first, one(10, 15)], gap_tolerance=5).gaps == ()
    # After a counter that ran back nobody knows how far it came.
    assert join([one(10, 0, gaps=(Gap(4),)), one(10, 10)]).gaps == (Gap(4), Gap(10))
