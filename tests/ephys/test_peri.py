"""Peri in runs of `luigi`: counts by hand over seams, units of a sorter, lines, and clocks that drift."""

import csv
import json

import numpy as np
import pytest

from neuroluigi.steps.target import CHECKS
from tests.conftest import Pipeline
from tests.ephys.session_lab import folder_of, run, session_lab, settings, write_raw, write_trials

WINDOW = ("--before", "20", "--after", "40", "--bin", "10")
TABLE = ("--Trials-table", "{session}.csv")
BIN_STARTS = [-20, -10, 0, 10, 20, 30]


@pytest.fixture
def lab(pipeline) -> Pipeline:
    return session_lab(pipeline)


def counted(lab: Pipeline, stem: str = "around") -> dict[tuple[str, str, str], list[tuple[int, int]]]:
    """Return trials and count of each bin, by channel, unit and condition."""
    found: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    with (folder_of(lab) / f"{stem}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            bins = found.setdefault((row["channel"], row["unit"], row["condition"]), [])
            assert float(row["bin_start_ms"]) == BIN_STARTS[len(bins)]
            trials, count = int(row["trials"]), int(row["count"])
            assert row["rate_hz"] == (repr(count / trials / 0.01) if trials else "")
            bins.append((trials, count))
    return found


def summary(lab: Pipeline, stem: str = "around") -> dict:
    (picture,) = (one for one in folder_of(lab).glob(f"{stem}.*") if one.suffix in (".png", ".svg"))
    CHECKS[picture.suffix](picture)
    return json.loads((folder_of(lab) / f"{stem}.json").read_text(encoding="utf-8"))


def test_counts_over_a_seam_in_a_group_of_several_sessions(lab):
    # A second each; of the second recording of s, samples are 1000 later. The session t has events at the same times.
    first = [[478, 480, 500, 510, 540, 995], []]
    write_raw(lab, ("t", 0, [[500], [500]]), ("s", 0, first), ("s", 1, [[5, 499], [520]]), rig="a")
    rows = "0.5,,left\n0.98,0.99,right\n1.5,,left\n1.8,,\n"
    write_trials(lab, f"start_time,cue_time,side\n{rows}")
    asked = (*WINDOW, *TABLE, "--recordings-group-by", "rig")
    out = run(lab, "Around", *asked, "--by", "side")
    assert "Made: 1 Aggregate, 1 Around, 1 Fires, 1 Trials." in out
    found = counted(lab)
    assert found["0", "", "left"] == [(2, 1), (2, 1), (2, 1), (2, 1), (2, 0), (2, 0)]
    # 15 ms after the moment; what is behind the seam, at 25 ms by the samples, was recorded nobody knows when.
    assert found["0", "", "right"] == [(1, 0), (1, 0), (1, 0), (1, 1), (0, 0), (0, 0)]
    assert found["1", "", "left"] == [(2, 0), (2, 0), (2, 0), (2, 0), (2, 1), (2, 0)]
    assert found["0", "", ""] == [(1, 0)] * 6 and len(found) == 6
    said = summary(lab)
    assert said["trials"] == 4 and said["blank"] == 0
    assert [(one["value"], one["trials"]) for one in said["conditions"]] == [("", 1), ("left", 2), ("right", 1)]
    (group,) = said["groups"]
    assert group == {"group": "a", "what": "Fires, threshold crossings, not sorted", "whole": 3, "partly": 1, "none": 0}
    assert said["rows"][0]["responses"][1] == {
        "condition": "left", "count": 4, "baseline_hz": 50.0, "peak_hz": 50.0, "peak_ms": 0.0,
    }  # fmt: skip
    log = (folder_of(lab) / "runs" / "Around.log").read_text(encoding="utf-8")
    said = (
        "a: Fires, threshold crossings, not sorted, 6 events in the windows; 1 partly recorded: only whole bins count"
    )
    assert " ".join(log.split()) == said
    out = run(lab, "Around", *asked, "--align", "cue_time", "--channels", "0", "--shown", "0")
    assert "Made: 1 Around." in out
    assert counted(lab) == {("0", "", ""): [(1, 0), (1, 0), (1, 1), (0, 0), (0, 0), (0, 0)]}
    assert summary(lab)["blank"] == 3


SORTER = """
import numpy as np


class Sorter(GroupTask):
    def requires(self):
        return Aggregate(self.group)

    def output(self):
        return self.result_folder("sorter")

    def make(self, out):
        np.save(out / "spike_times.npy", np.array([100, 205, 300, 505, 505, 525]))
        np.save(out / "spike_clusters.npy", np.array([3, 7, 3, 3, 7, 9]))
        (out / "cluster_group.tsv").write_text("cluster_id\\tgroup\\n3\\tgood\\n7\\tmua\\n9\\tgood\\n")


class OfUnits(ephys.Peri):
    def requires(self):
        groups = {group: {"aggregate": Aggregate(group), "units": Sorter(group)} for group in self.groups}
        return {**Peri.requires(self), "groups": groups}
"""


def test_units_of_a_sorter(lab):
    lab.add(SORTER)
    write_raw(lab, ("s", 0, [[], []]))
    write_trials(lab, "start_time\n0.2\n0.5\n")
    run(lab, "OfUnits", *WINDOW, *TABLE, "--Plot-format", "svg")
    assert (lab.results / "sessions/s/ofunits.svg").read_text(encoding="utf-8").startswith("<?xml")
    found = counted(lab, "ofunits")
    assert found == {("", "3", ""): [(2, 0), (2, 0), (2, 1), (2, 0), (2, 0), (2, 0)],
                     ("", "9", ""): [(2, 0), (2, 0), (2, 0), (2, 0), (2, 1), (2, 0)]}  # fmt: skip
    assert summary(lab, "ofunits")["groups"][0]["what"] == "Sorter, 2 of 3 units (good)"


def test_around_the_fall_of_a_line(lab):
    write_raw(lab, ("s", 0, [[395, 410, 615], [300, *range(390, 400), *range(590, 600)]]), kind="unknown", digital="1")
    run(lab, "Around", *WINDOW, "--align", "1.3", "--edge", "fall", "--Fires-channels", "0")
    assert counted(lab) == {("0", "", ""): [(3, 0), (3, 1), (3, 0), (3, 2), (3, 0), (3, 0)]}
    assert summary(lab)["edge"] == "fall"


def test_what_can_not_be_counted(lab):
    write_raw(lab, ("s", 0, [[5]]))
    write_trials(lab, "start_time,side\n0.5,left\n")
    for options, words in (
        (("--before", "25", "--bin", "10"), "before 25 ms is not a whole number of bins of 10 ms"),
        (("--align", "0.1", "--by", "side"), "by = side is a column of the trials, and align = 0.1 a line"),
    ):
        assert words in run(lab, "Around", *TABLE, *options, code=None)
    out = run(lab, "Around", *WINDOW, *TABLE, "--by", "colour", code=30)
    assert "by = colour: the trials of s have no such column; they have start_time, stop_time, side" in out
    write_raw(lab, ("s", 0, [[5]]), rate="")
    assert "the seconds of the session s are not known" in run(lab, "Around", *WINDOW, *TABLE, code=30)


# 100 s of SpikeGLX: a probe whose channel fires, and NI, 116 ppm fast, with sync pulses and a stimulus on a line.
META = "fileSizeBytes={bytes}\nfirstSample=0\nnSavedChans=2\nsyncSourceIdx=2\nsyncSourcePeriod=1\n"
PROBE = "typeThis=imec\nimSampRate=3000\nimMaxInt=512\nimAiRangeMax=0.6\nimDatPrb_type=0\nimDatPrb_sn=7\n"
PROBE += f"acqApLfSy=1,0,1\nsnsApLfSy=1,0,1\n{META}"
NI = "typeThis=nidq\nniSampRate=2500\nniMaxInt=32768\nniAiRangeMax=5\nacqMnMaXaDw=0,0,1,1\nsnsMnMaXaDw=0,0,1,1\n"
NI += f"syncNiChanType=0\nsyncNiChan=3\nsyncNiThresh=1.1\n{META}"
SECONDS, PPM = 100, 116


def write_stream(lab: Pipeline, stream: str, meta: str, rate: float, signal: np.ndarray, word: np.ndarray) -> None:
    folder = lab.folder / "raw" / "s_g0"
    folder.mkdir(exist_ok=True)
    samples = np.stack([signal, word], axis=1).astype("<i2")
    samples.tofile(folder / f"s_g0_t0.{stream}.bin")
    (folder / f"s_g0_t0.{stream}.meta").write_text(meta.format(bytes=samples.nbytes))


def high_at(rises: np.ndarray, rate: float, lasting: float) -> np.ndarray:
    found = np.zeros(round(SECONDS * rate), bool)
    for rise in rises:
        found[int(np.ceil(rise * rate)) : int(np.ceil((rise + lasting) * rate))] = True
    return found


def test_a_response_is_in_the_right_bin_on_the_aligned_clock_alone(lab):
    pulses, stimuli = 0.3 + np.arange(99), 1.05 + 1.9 * np.arange(51)
    probe_rate, ni_rate = 3000, 2500 * (1 + PPM / 1e6)
    fires = np.zeros(round(SECONDS * probe_rate))
    # 25 ms after each, in the middle of a bin of 10 ms.
    fires[np.round((stimuli + 0.025) * probe_rate).astype(int)] = 511
    write_stream(lab, "imec0.ap", PROBE, probe_rate, fires, high_at(pulses, probe_rate, 0.5) * 64)
    word = high_at(pulses, ni_rate, 0.5) * 8 + high_at(stimuli, ni_rate, 0.2) * 1
    write_stream(lab, "nidq", NI, ni_rate, np.zeros(len(word)), word)
    asked = (*WINDOW, "--align", "nidq:1.0")
    out = run(lab, "Around", *asked)
    assert "1 Aligned" in out and "2 Lines" in out
    assert [count for _, count in counted(lab)["0", "", ""]] == [0, 0, 0, 0, 51, 0]
    assert summary(lab)["rows"][0]["responses"][0]["peak_ms"] == 20
    # By what the headers say of the rates, the stimulus seems to come later and later.
    settings(lab, "Aligned:nidq", method="header")
    run(lab, "Around", *asked)
    by_header = [count for _, count in counted(lab)["0", "", ""]]
    seen = np.ceil(stimuli * ni_rate) / 2500
    late = int(np.count_nonzero(np.round((stimuli + 0.025) * probe_rate) / probe_rate - seen < 0.02))
    assert by_header == [0, 0, 0, late, 51 - late, 0] and late > 25
