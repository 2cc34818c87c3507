"""Steps over a session on one clock, in runs of `luigi`."""

import json

import numpy as np
import pytest

from tests.conftest import Pipeline

STEP = """
from neuroluigi.ephys.session_clock import ClockedTask


class Span(ClockedTask):
    def requires(self):
        return {"groups": {group: {"aggregate": Aggregate(group)} for group in self.groups}} | MORE

    def output(self):
        return self.result("span.json")

    def make(self, out):
        import json

        import numpy as np

        firsts = {group: self.times(group).seconds(np.array([0])).tolist() for group in self.groups}
        out.write_text(json.dumps([self.has_several_streams, firsts, self.span()]))
"""


@pytest.fixture
def lab(pipeline) -> Pipeline:
    (pipeline.folder / "raw").mkdir()
    return pipeline


# At 10 kHz: two probes that began 0.5 s apart.
META = "typeThis=imec\nimSampRate=10000\nimMaxInt=512\nimAiRangeMax=0.6\nimDatPrb_type=0\nimDatPrb_sn=7\n"
META += "acqApLfSy=1,0,1\nsnsApLfSy=1,0,1\nnSavedChans=2\nsyncSourceIdx=0\nfileSizeBytes=400\n"


def write(lab: Pipeline, stream: str, start: int, gate: int = 0) -> None:
    folder = lab.folder / "raw" / f"m_g{gate}"
    folder.mkdir(parents=True, exist_ok=True)
    np.zeros((100, 2), "<i2").tofile(folder / f"m_g{gate}_t0.{stream}.bin")
    (folder / f"m_g{gate}_t0.{stream}.meta").write_text(f"{META}firstSample={start}\n")


def span(lab: Pipeline, *options: str, aligned: bool = True, code: int | None = 0):
    more = '({"aligned": Aligned(self.session)} if self.has_several_streams else {})' if aligned else "{}"
    if "class Span" not in (lab.folder / "tasks.py").read_text(encoding="utf-8"):
        lab.add(STEP.replace("MORE", more))
    out = lab.run("Span", "--session", "m", "--recordings-root", "raw", "--matlab-engine", "numpy", *options, code=code)
    return out if code else json.loads((lab.results / "sessions/m/span.json").read_text())


def test_one_stream_has_its_own_clock(lab):
    write(lab, "imec0.ap", 5000)
    assert span(lab) == [False, {"m-0-imec0.ap": [0.0]}, [0.0, 0.0099]]


def test_of_several_streams_there_is_one_zero(lab):
    write(lab, "imec0.ap", 5000)
    write(lab, "imec1.ap", 10000)
    several, firsts, ends = span(lab)
    assert several and firsts == {"m-0-imec0.ap": [0.0], "m-0-imec1.ap": [0.5]}
    assert ends == pytest.approx([0, 0.5099])


def test_gates_of_one_stream_are_groups_of_one_clock(lab):
    write(lab, "imec0.ap", 5000)
    write(lab, "imec0.ap", 30000, gate=1)
    several, firsts, ends = span(lab)
    assert several and firsts == {"m-0-imec0.ap": [0.0], "m-1-imec0.ap": [2.5]}
    assert ends == pytest.approx([0, 2.5099])


def test_without_an_alignment_several_streams_have_no_times(lab):
    write(lab, "imec0.ap", 5000)
    write(lab, "imec1.ap", 10000)
    out = span(lab, aligned=False, code=30)
    assert "nothing says how the clock of the group m-0-imec0.ap goes with that of m-0-imec1.ap" in out
    assert 'add "aligned": Aligned(self.session) to requires()' in out


def test_a_stream_that_is_left_out_is_named(lab):
    write(lab, "imec0.ap", 5000)
    write(lab, "imec1.ap", 10000)
    with (lab.folder / "luigi.cfg").open("a") as file:
        file.write("\n[Aligned:imec1.ap]\nmethod = none\n")
    out = span(lab, code=30)
    assert "the clock of the group m-0-imec1.ap" in out and "aligned.json says why it is not aligned" in out


def test_a_session_of_two_runs_has_two_zeros(lab):
    write(lab, "imec0.ap", 5000)
    write(lab, "imec1.ap", 10000)
    (lab.folder / "raw" / "m_g0").rename(lab.folder / "raw" / "n_g0")
    for path in (lab.folder / "raw" / "n_g0").iterdir():
        path.rename(path.with_name(path.name.replace("m_g0", "n_g0")))
    write(lab, "imec0.ap", 5000)
    rows = ["session,gate,stream,index,path,format"]
    rows += [f"m,{gate},{stream},{gate},{run}_g0/{run}_g0_t0.{stream}.bin,spikeglx"
             for gate, run in enumerate("mn") for stream in ("imec0.ap", "imec1.ap")[: gate + 1]]  # fmt: skip
    (lab.folder / "raw" / "recordings.csv").write_text("\n".join(rows) + "\n")
    out = span(lab, "--recordings-group-by", "session,gate,stream", code=30)
    assert "the session m has 2 runs, each with a clock of its own (spikeglx m" in out, out


def raw(lab: Pipeline, *names: str) -> None:
    for name in names:
        path = lab.folder / "raw" / "m" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(10))


def test_groups_of_raw_recordings_have_no_common_clock(lab):
    raw(lab, "rec_0.bin", "rec_1.bin")
    options = ("--recordings-sampling-rate-hz", "10")
    out = span(lab, *options, "--recordings-group-by", "session,parity", code=30)
    assert "goes with that of m-odd" in out and "group_by = session" in out
    assert span(lab, *options)[1:] == [{"m": [0.0]}, [0.0, 1.9]]


def test_without_a_rate_there_are_no_seconds(lab):
    raw(lab, "rec_0.bin")
    assert "the seconds of the session m are not known: set [recordings] sampling_rate_hz" in span(lab, code=30)
