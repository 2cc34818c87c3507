"""Aligned in runs of `luigi`: the figures of a real rig, settings per stream, and a run of SpikeGLX."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from neuroluigi.ephys.clock_files import Clocks
from tests import commands
from tests.conftest import BIN, FORMATS, Pipeline, clean_environment, needs_formats

THREE = FORMATS / "openephys/three_streams_v0.6"
SESSION = "three_streams_v0.6"


@pytest.fixture
def lab(pipeline) -> Pipeline:
    (pipeline.folder / "raw").mkdir()
    return pipeline


def run(lab: Pipeline, session: str, code: int | None = 0) -> str:
    asked = ("--recordings-root", "raw", "--matlab-engine", "numpy", "--workers", "1")
    return lab.run("Aligned", "--session", session, *asked, code=code)


def settings(lab: Pipeline, stream: str, **values) -> None:
    lines = "".join(f"{name} = {value}\n" for name, value in values.items())
    with (lab.folder / "luigi.cfg").open("a", encoding="utf-8") as file:
        file.write(f"\n[Aligned:{stream}]\n{lines}")


def clocks(lab: Pipeline, session: str) -> dict[str, dict]:
    target = Clocks(lab.results / "sessions" / session / "aligned.json")
    target.check(Path(target.path))
    return {one["stream"]: one for one in target.load()["streams"]}


def rises_of(lab: Pipeline, group: str) -> np.ndarray:
    """Return the seconds that `neuroluigi events` prints for the rises of the first line of a group."""
    wanted = ("--name", "lines", "--where", "bit=0", "--where", "value=1", "--json", "--recordings-root", "raw")
    command = [BIN / "neuroluigi", "--task", "PlotAll", "events", group, *wanted]
    done = commands.run(
        command, cwd=lab.folder, env=clean_environment(), capture_output=True, text=True, timeout=60, check=True
    )
    return np.array([row["seconds"] for row in json.loads(done.stdout)])


@needs_formats
def test_three_streams_of_a_real_rig(lab):
    shutil.copytree(THREE, lab.folder / "raw" / SESSION, copy_function=shutil.copyfile)
    out = run(lab, SESSION)
    assert "1 Aligned" in out
    found = clocks(lab, SESSION)
    assert (found["ProbeB"]["method"], found["ProbeB"]["counters"], found["ProbeB"]["seconds"]) == (
        "reference",
        [1863198],
        [0.0],
    )
    for name, ppm, largest in (("PXIe-6341", 115.81, 1.478), ("ProbeC", 6.80, 1.434)):
        one = found[name]
        assert (len(one["counters"]), one["unmatched"], one["unmatched_reference"]) == (837, [], [])
        assert one["ppm"] == pytest.approx(ppm, abs=0.006)
        assert one["residuals"]["largest"] == pytest.approx(largest, abs=0.001)
        assert (one["offset_from"], one["period_from"], one["line"]) == ("header", "pulses", "ttl.0")
        assert one["recorded_difference"] < 20e-6
    log = (lab.results / "sessions" / SESSION / "runs" / "Aligned.log").read_text(encoding="utf-8")
    assert "PXIe-6341 to ProbeB: +115.81 ppm, largest residual 1.478 samples, 837 pulses" in log
    assert "the seconds of the rig differ by 17 us" in log
    # The first sample of NI is where the rig's own seconds say, 7.588 ms after that of the probe.
    ni = Clocks(lab.results / "sessions" / SESSION / "aligned.json").maps()[SESSION, found["PXIe-6341"]["clock"]]
    assert ni.to_seconds(np.array(1867001)) == pytest.approx(0.007588, abs=20e-6)
    assert "Nothing" in run(lab, SESSION)
    # The same pulse is at the same time in the events of each stream.
    rises = {name: rises_of(lab, f"{SESSION}-101-1-{name}") for name in found}
    assert len(rises["ProbeB"]) == 837
    for name in ("PXIe-6341", "ProbeC"):
        assert np.abs(rises[name] - rises["ProbeB"]).max() < 1e-9
    # The files of events are inputs.
    record = json.loads((lab.results / "sessions" / SESSION / "runs" / "Aligned.json").read_text(encoding="utf-8"))
    assert sum("/TTL/" in one["path"] for one in record["inputs"]) == 9
    settings(lab, "ProbeC", method="none")
    settings(lab, "PXIe-6341", method="recorded")
    assert "Made: 1 Aligned" in run(lab, SESSION)
    found = clocks(lab, SESSION)
    assert list(found) == ["ProbeB", "PXIe-6341"] or list(found) == ["PXIe-6341", "ProbeB"]
    assert found["PXIe-6341"]["seconds"][0] == pytest.approx(0.007588034)


# A run of SpikeGLX: 40 s of a probe, one channel and the sync word, and of NI with a digital word; pulses each second.
PROBE = "typeThis=imec\nimSampRate=3000\nimMaxInt=512\nimAiRangeMax=0.6\nimDatPrb_type=0\nimDatPrb_sn=7\n"
PROBE += "acqApLfSy=1,0,1\nsnsApLfSy=1,0,1\nnSavedChans=2\nsyncSourceIdx=2\nsyncSourcePeriod=1\n"
NI = "typeThis=nidq\nniSampRate=2500\nniMaxInt=32768\nniAiRangeMax=5\nacqMnMaXaDw=0,0,1,1\nsnsMnMaXaDw=0,0,1,1\n"
NI += "nSavedChans=2\nsyncSourceIdx=2\nsyncSourcePeriod=1\nsyncNiChanType=0\nsyncNiChan=3\nsyncNiThresh=1.1\n"
NI_PPM = 100.0
RATES = {"imec0.ap": 3000.0, "nidq": 2500 * (1 + NI_PPM / 1e6)}
PULSES = 10.3 + np.arange(40)


def write(lab: Pipeline, stream: str, begin: float, pulses=PULSES, gate: int = 0, **values) -> None:
    """Write a recording of a stream from second `begin` of the run on."""
    rate, seconds = RATES[stream], 40
    start, samples = round(begin * rate), round(seconds * rate)
    high = np.zeros(start + samples + round(rate), bool)
    for rise in pulses:
        high[int(np.ceil(rise * rate)) : int(np.ceil((rise + 0.5) * rate))] = True
    bit = 6 if stream == "imec0.ap" else 3
    word = high[start : start + samples] * (1 << bit)
    folder = lab.folder / "raw" / f"m_g{gate}"
    folder.mkdir(exist_ok=True)
    np.stack([np.arange(samples) % 50, word], axis=1).astype("<i2").tofile(folder / f"m_g{gate}_t0.{stream}.bin")
    said = PROBE if stream == "imec0.ap" else NI
    said += f"firstSample={start}\nfileSizeBytes={4 * samples}\n" + "".join(f"{k}={v}\n" for k, v in values.items())
    (folder / f"m_g{gate}_t0.{stream}.meta").write_text(said)


def test_a_run_of_spikeglx_and_its_gates(lab):
    write(lab, "imec0.ap", 10)
    write(lab, "nidq", 12.5, np.delete(PULSES, 20))
    # The next gate goes on by the same clocks.
    later = PULSES + 60.4
    write(lab, "imec0.ap", 70, later, gate=1)
    write(lab, "nidq", 69, later, gate=1)
    run(lab, "m")
    found = clocks(lab, "m")
    assert list(found) == ["imec0.ap", "nidq"]
    ni = found["nidq"]
    assert (ni["groups"], ni["line"], ni["period_from"]) == (["m-0-nidq", "m-1-nidq"], "1.3", "header")
    assert (len(ni["counters"]), ni["missing"], ni["stops"], ni["unmatched"]) == (75, 1, 1, [])
    # Those before NI was recorded, the one that it did not see, and the last one, after it.
    assert ni["unmatched_reference"] == [int(np.ceil(one * 3000)) for one in (*PULSES[[0, 1, 2, 20]], later[-1])]
    assert ni["ppm"] == pytest.approx(NI_PPM, abs=3)
    (clock,) = (
        one for (_, name), one in Clocks(lab.results / "sessions/m/aligned.json").maps().items() if "nidq" in name
    )
    for moment in (12.5, 33.3, 60, 100):
        # The probe's first kept sample was 10 s after the start of the run.
        assert clock.to_seconds(moment * RATES["nidq"]) == pytest.approx(moment - 10, abs=6e-4)
    assert (lab.results / "sessions/m/aligned.png").stat().st_size > 1000


def reason(lab: Pipeline) -> str:
    out = run(lab, "m", code=30)
    return next(line for line in out.splitlines() if "is not aligned with" in line)


def test_what_leaves_it_open_is_a_failure_that_names_the_settings(lab):
    write(lab, "imec0.ap", 10)
    write(lab, "nidq", 10, syncSourcePeriod=2)
    assert "not every 2 s; correct period" in reason(lab) and "those of [Aligned:nidq]" in reason(lab)
    # The counters of NI began half a second later than those of the probe, or earlier.
    settings(lab, "nidq", period=1)
    write(lab, "nidq", 10, PULSES + 0.49)
    assert "set offset" in reason(lab)
    settings_file = lab.folder / "luigi.cfg"
    settings_file.write_text(settings_file.read_text().replace("period = 1\n", "period = 1\noffset = -0.49\n"))
    assert "1 Aligned" in run(lab, "m")
    one = clocks(lab, "m")["nidq"]
    assert (one["offset_from"], one["period_from"], len(one["counters"])) == ("setting", "setting", 40)
    assert one["seconds"][0] == pytest.approx(0.3, abs=6e-4)


def test_a_stream_of_its_own_line_and_one_without_any(lab):
    write(lab, "imec0.ap", 10)
    write(lab, "nidq", 10, syncNiChanType=1, syncNiChan=9)
    # No channel of that number was saved.
    run(lab, "m")
    content = json.loads((lab.results / "sessions/m/aligned.json").read_text(encoding="utf-8"))
    (left,) = content["unaligned"]
    assert (left["stream"], left["groups"]) == ("nidq", ["m-0-nidq"]) and "set line" in left["why"]
    settings(lab, "nidq", line="1.3")
    run(lab, "m")
    assert len(clocks(lab, "m")["nidq"]["counters"]) == 40


@needs_formats
def test_a_run_without_pulses_goes_by_its_counters(lab):
    shutil.copytree(FORMATS / "spikeglx/CI0_overlap1", lab.folder / "raw/CI0", copy_function=shutil.copyfile)
    session = "5-19-2022-CI0"
    assert "1 Aligned" in run(lab, session)
    found = clocks(lab, session)
    assert {name: one["method"] for name, one in found.items()} == {
        "imec0.ap": "reference", "imec0.lf": "header", "imec1.ap": "header", "imec1.lf": "header",
    }  # fmt: skip
    # The counters at its first sample, and at that of the reference.
    clock = Clocks(lab.results / "sessions" / session / "aligned.json").maps()[session, found["imec1.ap"]["clock"]]
    assert float(clock.to_seconds(373748)) == pytest.approx(373748 / 29999.762343 - 373751 / 30000.061088, abs=1e-9)
    log = (lab.results / "sessions" / session / "runs" / "Aligned.log").read_text(encoding="utf-8")
    assert "imec1.lf to imec0.ap: by the counters of their headers alone, without pulses: to 0.1 s" in log
    settings(lab, "imec1.ap", line="384.6")
    assert "imec1.ap is not aligned with imec0.ap: " in run(lab, session, code=30)


def test_a_session_without_any_clock_fails(lab):
    (lab.folder / "raw" / "s").mkdir()
    (lab.folder / "raw" / "s" / "rec_0.bin").write_bytes(bytes(10))
    out = run(lab, "s", code=30)
    assert "no header says how the clock of any stream of the session s goes with others" in out


def test_a_reference_without_a_line_is_named(lab):
    write(lab, "imec0.ap", 10)
    write(lab, "nidq", 10)
    meta = lab.folder / "raw/m_g0/m_g0_t0.imec0.ap.meta"
    meta.write_text(meta.read_text().replace("=1,0,1", "=2,0,0"))
    assert "nidq is not aligned with imec0.ap: of imec0.ap no header says which line has the pulses" in reason(lab)
    settings(lab, "nidq", method="none")
    run(lab, "m")
    content = json.loads((lab.results / "sessions/m/aligned.json").read_text(encoding="utf-8"))
    assert [one["method"] for one in content["streams"]] == ["reference"]
    assert content["unaligned"] == [{"stream": "nidq", "groups": ["m-0-nidq"], "why": "left out by its settings"}]


def test_pulses_of_an_analog_channel_are_crossings(lab):
    write(lab, "imec0.ap", 10)
    write(lab, "nidq", 10, snsMnMaXaDw="0,0,2,0", acqMnMaXaDw="0,0,2,0", syncNiChanType=1, syncNiChan=1)
    assert "1 Crossings" in run(lab, "m")
    one = clocks(lab, "m")["nidq"]
    assert (one["line"], len(one["counters"]), one["unmatched"]) == ("1", 40, [])


def test_settings_that_are_none_stop_the_run(lab):
    write(lab, "imec0.ap", 10)
    settings(lab, "imec0.ap", lines="1.3")
    assert "[Aligned:imec0.ap] lines: there is no such setting; there are: line" in run(lab, "m", code=None)
    settings_file = lab.folder / "luigi.cfg"
    settings_file.write_text(settings_file.read_text().replace("[Aligned:imec0.ap]", "[Alignd:imec0.ap]"))
    assert "no step or section [Alignd:imec0.ap]; did you mean [Aligned]?" in run(lab, "m", code=None)
