"""Aligned in runs of `luigi`: the figures of a real rig, settings per stream, and a run of SpikeGLX."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from neuroluigi.ephys.clock_files import Clocks
from tests import commands
from tests.conftest import BIN, FORMATS, Pipeline, clean_environment, needs_formats
from tests.ephys.spikeglx_run import NI_PPM, PULSES, RATES, write_analog, write_stream

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


def events_of(lab: Pipeline, group: str, *where: str) -> tuple[list[dict], str]:
    """Return the changes of lines that `neuroluigi events` prints of a group, and what it prints on stderr."""
    wanted = [word for one in where for word in ("--where", one)]
    command = [BIN / "neuroluigi", "--task", "PlotAll", "events", group, "--name", "lines", *wanted, "--json"]
    done = commands.run(
        [*command, "--recordings-root", "raw"],
        cwd=lab.folder, env=clean_environment(), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return json.loads(done.stdout), done.stderr


def rises_of(lab: Pipeline, group: str) -> np.ndarray:
    """Return the seconds of the rises of the first line of a group; no warning is printed."""
    rows, errors = events_of(lab, group, "bit=0", "value=1")
    assert "aligned.json" not in errors and "warning" not in rows[0]
    return np.array([row["seconds"] for row in rows])


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
    # The seconds that the rig wrote of the same pulse, beside the events of each stream.
    assert found["PXIe-6341"]["recorded_difference"] == pytest.approx(183.08e-6, abs=5e-9)
    assert found["ProbeC"]["recorded_difference"] == pytest.approx(123.78e-6, abs=5e-9)
    log = (lab.results / "sessions" / SESSION / "runs" / "Aligned.log").read_text(encoding="utf-8")
    assert "PXIe-6341 to ProbeB: +115.81 ppm, largest residual 1.478 samples, 837 pulses" in log
    assert "the seconds that the rig wrote differ by 183 us at most" in log
    # The first sample of NI is where the rig's own seconds say, 7.588 ms after that of the probe.
    ni_clock, counts = found["PXIe-6341"]["clock"], np.array(found["PXIe-6341"]["counters"])
    ni = Clocks(lab.results / "sessions" / SESSION / "aligned.json").maps()[SESSION, ni_clock]
    assert ni.to_seconds(np.array(1867001)) == pytest.approx(0.007588, abs=20e-6)
    assert "Nothing" in run(lab, SESSION)
    # The same pulse is at the same time in the events of each stream.
    rises = {name: rises_of(lab, f"{SESSION}-101-1-{name}") for name in ("ProbeB", "PXIe-6341")}
    assert len(rises["ProbeB"]) == 837
    assert np.abs(rises["PXIe-6341"] - rises["ProbeB"]).max() < 1e-9
    # The files of events are inputs.
    record = json.loads((lab.results / "sessions" / SESSION / "runs" / "Aligned.json").read_text(encoding="utf-8"))
    assert sum("/TTL/" in one["path"] for one in record["inputs"]) == 12
    assert sum(one["path"].endswith("timestamps.npy") for one in record["inputs"]) == 6
    settings(lab, "ProbeC", method="none")
    settings(lab, "PXIe-6341", method="recorded")
    assert "Made: 1 Aligned" in run(lab, SESSION)
    found = clocks(lab, SESSION)
    assert {*found} == {"ProbeB", "PXIe-6341"}
    assert found["PXIe-6341"]["seconds"][0] == pytest.approx(0.007588034)
    # At its own pulses, as far as these seconds are apart for both streams.
    recorded = Clocks(lab.results / "sessions" / SESSION / "aligned.json").maps()[SESSION, ni_clock]
    assert np.abs(recorded.to_seconds(counts) - rises["ProbeB"]).max() == pytest.approx(186e-6, abs=60e-6)


@needs_formats
def test_seconds_that_are_no_clocks_are_named(lab):
    shutil.copytree(THREE, lab.folder / "raw" / SESSION, copy_function=shutil.copyfile)
    settings(lab, "ProbeC", method="recorded")
    (file,) = lab.folder.glob("raw/**/continuous/*ProbeC/timestamps.npy")
    seconds = np.load(file)
    np.save(file, np.where(np.arange(100) == 40, np.nan, seconds))
    out = run(lab, SESSION, code=30)
    assert "timestamps.npy has nan at 40 after 62.12" in out and "seconds have to increase; copy it again" in out
    np.save(file, seconds[:-1])
    out = run(lab, SESSION, code=30)
    assert "[Aligned:ProbeC] method = recorded: " in out
    assert "timestamps.npy has seconds of shape (99,) for 100 samples; copy it again" in out


def write(lab: Pipeline, stream: str, begin: float, *arguments, **values) -> None:
    write_stream(lab.folder / "raw", stream, begin, *arguments, **values)


def test_a_run_of_spikeglx_and_its_gates(lab):
    write(lab, "imec0.ap", 10)
    write(lab, "nidq", 12.5, np.delete(PULSES, 20))
    # The next gate goes on by the same clocks.
    later = PULSES + 60.4
    write(lab, "imec0.ap", 70, later, gate=1)
    write(lab, "nidq", 69, later, gate=1)
    # In the third one NI ends early.
    last = PULSES + 120.5
    write(lab, "imec0.ap", 130, last, gate=2)
    write(lab, "nidq", 130.2, last, gate=2, seconds=9)
    run(lab, "m")
    found = clocks(lab, "m")
    assert list(found) == ["imec0.ap", "nidq"]
    ni = found["nidq"]
    assert (ni["groups"], ni["line"], ni["period_from"]) == ([f"m-{n}-nidq" for n in range(3)], "1.3", "header")
    assert (len(ni["counters"]), ni["missing"], ni["stops"], ni["unmatched"]) == (84, 1, 0, [])
    # Those before NI was recorded, the one that it did not see, the last one of the second gate, and those after it.
    alone = [*PULSES[[0, 1, 2, 20]], later[-1], *last[9:]]
    assert ni["unmatched_reference"] == [int(np.ceil(one * 3000)) for one in alone]
    assert ni["ppm"] == pytest.approx(NI_PPM, abs=3)
    (clock,) = (
        one for (_, name), one in Clocks(lab.results / "sessions/m/aligned.json").maps().items() if "nidq" in name
    )
    for moment in (12.5, 33.3, 60, 100):
        # The probe's first kept sample was 10 s after the start of the run.
        assert clock.to_seconds(moment * RATES["nidq"]) == pytest.approx(moment - 10, abs=6e-4)
    assert (lab.results / "sessions/m/aligned.png").stat().st_size > 1000
    # Of one that is stale, `events` says so.
    settings(lab, "nidq", period="1.0")
    rows, errors = events_of(lab, "m-0-nidq", "value=1")
    assert "neuroluigi: results/sessions/m/aligned.json is stale (" in errors
    assert "and seconds are by it; make it again: neuroluigi run Aligned --session m" in errors
    assert rows[0]["seconds"] == pytest.approx(3.3, abs=6e-4) and "is stale" in rows[0]["warning"]


ON_ONE_CLOCK = """
class Shown(ephys.Traces):
    def requires(self):
        aligned = [Aligned(session) for session in {one.session: None for one in self.recordings}]
        return {"aggregate": Aggregate(self.group), "aligned": aligned}


class ShownPlots(ephys.EventPlots):
    def requires(self):
        return {"aggregate": Aggregate(self.group), "events": Crossings(self.group), "aligned": Aligned("m")}


class Both(luigi.WrapperTask):
    def requires(self):
        return Shown("m-0-nidq"), ShownPlots("m-0-nidq")
"""


def test_pictures_are_drawn_on_the_clock_of_the_session(lab):
    write(lab, "imec0.ap", 10)
    write_analog(lab.folder / "raw", 3.3)
    lab.add(ON_ONE_CLOCK)
    asked = ("--recordings-root", "raw", "--matlab-engine", "numpy", "--Plot-format", "svg")
    lab.run("Both", *asked, "--Plot-window", "1-3")
    for name in ("traces", "crossings_rates", "crossings_raster"):
        text = (lab.results / f"m-0-nidq/{name}.svg").read_text()
        assert "time on the clock of imec0.ap [s]" in text and "time [s]" not in text
    # One that is left out has no time there.
    settings(lab, "nidq", method="none")
    out = lab.run("Shown", "--group", "m-0-nidq", *asked, code=30)
    assert "has no clock of all recordings of the group m-0-nidq: see there why it is not aligned" in out


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
    # Residuals are as good one period on, but the counters of both headers began within 0.1 s.
    settings_file.write_text(settings_file.read_text().replace("offset = -0.49", "offset = 0.51"))
    assert "offset is 0.51 s, and by the headers 0.000" in reason(lab)


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


def test_pulses_of_an_analog_channel_are_found_at_the_threshold_of_the_header(lab):
    write(lab, "imec0.ap", 10)
    # A fraction of 0.75 of the range is 3.6 V, which the glitch alone reaches.
    write_analog(lab.folder / "raw", 3.3, glitch_volts=4.5, noise=0.05)
    out = run(lab, "m")
    assert "1 Pulses" in out and "Crossings" not in out
    one = clocks(lab, "m")["nidq"]
    assert (one["line"], one["threshold"], one["threshold_from"]) == ("1", "1.1 V", "header")
    glitch = int(np.ceil(PULSES[0] * RATES["nidq"])) - 700
    assert (len(one["counters"]), one["unmatched"]) == (40, [glitch])
    assert np.abs(np.array(one["seconds"]) + 10 - PULSES).max() < 6e-4
    # Above all pulses: nothing else takes the place of the level.
    settings(lab, "nidq", threshold="3.6 V")
    assert "the stream has 1 pulses, too few" in reason(lab)
    # Another line has a level of its own.
    settings_file = lab.folder / "luigi.cfg"
    settings_file.write_text(settings_file.read_text().replace("threshold = 3.6 V", "line = 0\noffset = -0.08"))
    run(lab, "m")
    one = clocks(lab, "m")["nidq"]
    assert (one["line"], one["threshold"], one["threshold_from"], one["unmatched"]) == ("0", 0.5, "range", [])
    assert one["seconds"][0] == pytest.approx(0.3, abs=6e-4)
    log = (lab.results / "sessions/m/runs/Aligned.log").read_text(encoding="utf-8")
    assert "analog pulses at 0.5 of the channel's range" in log


def test_settings_that_are_none_stop_the_run(lab):
    write(lab, "imec0.ap", 10)
    settings(lab, "imec0.ap", lines="1.3")
    assert "[Aligned:imec0.ap] lines: there is no such setting; there are: line" in run(lab, "m", code=None)
    settings_file = lab.folder / "luigi.cfg"
    settings_file.write_text(settings_file.read_text().replace("[Aligned:imec0.ap]", "[Alignd:imec0.ap]"))
    assert "no step or section [Alignd:imec0.ap]; did you mean [Aligned]?" in run(lab, "m", code=None)
