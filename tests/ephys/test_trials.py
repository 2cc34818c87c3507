"""Trials in runs of `luigi`: of tables in any unit, of lines, and what is wrong in them."""

import pytest

import targets
from tests.conftest import Pipeline
from tests.ephys.session_lab import folder_of, run, session_lab, write_raw, write_trials

TABLE = "{session}.csv"


@pytest.fixture
def lab(pipeline) -> Pipeline:
    return session_lab(pipeline)


def trials(lab: Pipeline, *options: object, session="s") -> str:
    run(lab, "Trials", *options, session=session)
    return (folder_of(lab, session) / "trials.csv").read_text(encoding="utf-8")


def test_of_a_table_that_is_an_input(lab):
    write_raw(lab, ("s", 0, [[]]), ("t", 0, [[]]), subject="m1")
    asked = ("--table", "{subject}/{session}.csv")
    (lab.folder / "raw/m1").mkdir()
    text = "side,start_time,cue_time,stop_time,n\nleft,0.5,,0.9,1\nright,0.1,0.125,0.6,\n"
    write_trials(lab, text, "m1/s.csv")
    assert trials(lab, *asked) == ("start_time,stop_time,side,cue_time,n\n0.1,0.6,right,0.125,\n0.5,0.9,left,,1\n")
    log = (folder_of(lab) / "runs" / "Trials.log").read_text(encoding="utf-8")
    assert log == "2 trials; put into the order of their starts; 1 start before another one has stopped\n"
    loaded = targets.Trials(folder_of(lab) / "trials.csv").load()
    assert loaded["side"].tolist() == ["right", "left"] and loaded["n"][1] == 1 and loaded["n"][0] != loaded["n"][0]
    write_trials(lab, text.replace("0.9", "0.95"), "m1/s.csv")
    assert "Made: 1 Trials." in run(lab, "Trials", *asked)
    out = run(lab, "Trials", *asked, session="t", code=None)
    assert "Data for TrialFile(table=m1/t.csv) does not exist" in out


def test_of_samples_and_ms(lab):
    write_raw(lab, ("s", 0, [[]]), ("t", 0, [[]]), ("t", 1, [[]]), rig="a")
    write_trials(lab, "start_time,stop_time,x\n0,500,1\n1200,1999,2\n", "t.csv")
    asked = ("--table", TABLE, "--recordings-group-by", "rig", "--unit")
    # The session t is behind another one in its group.
    assert trials(lab, *asked, "samples", session="t") == "start_time,stop_time,x\n0.0,0.5,1\n1.2,1.999,2\n"
    write_trials(lab, "start_time\n2000\n", "t.csv")
    said = "unit = samples: 2000 is no sample of a, which are 0 to 1999 in the session t"
    assert said in run(lab, "Trials", *asked, "samples", session="t", code=30)


def test_what_is_wrong_is_named_by_row_and_column(lab):
    write_raw(lab, ("s", 0, [[]]))
    write_trials(lab, "start_time,stop_time\n0.1,0.2\n0.3,0.25\n")
    assert "s.csv, row 3, column stop_time: the trial stops at 0.25 s" in run(lab, "Trials", "--table", TABLE, code=30)
    write_trials(lab, "start_time,stop_time\n100,200\n300,400000\n999,1000\n1500,\n")
    in_ms = ("--table", TABLE, "--unit", "ms")
    out = run(lab, "Trials", *in_ms, code=30)
    said = "s.csv, row 3, column stop_time: 400 s is outside the session s, which is from 0 to 0.999 s, and 1 more"
    assert said in out
    assert trials(lab, *in_ms, "--outside", "drop") == "start_time,stop_time\n0.1,0.2\n0.999,1.0\n"
    assert "2 trials are left out" in (folder_of(lab) / "runs" / "Trials.log").read_text(encoding="utf-8")


def test_settings_that_say_nothing_or_too_much(lab):
    write_raw(lab, ("s", 0, [[]]), rate="")
    assert "[Trials] table and line are blank; one of them has to say where the trials are" in run(
        lab, "Trials", code=None
    )
    assert "[Trials] table and line are set; one of them says" in run(
        lab, "Trials", "--table", TABLE, "--line", "0.1", code=None
    )
    assert "the column mouse of the recordings has no value in the session s" in run(
        lab, "Trials", "--table", "{mouse}.csv", code=None
    )
    write_trials(lab, "start_time\n1\n")
    out = run(lab, "Trials", "--table", TABLE, code=30)
    assert "the seconds of the session s are not known: set [recordings] sampling_rate_hz" in out


def test_of_a_line(lab):
    # A word in channel 1 of which bit 3 and others are high at 1000, twice for a sample, and one that is analog.
    write_raw(lab, ("s", 0, [[], [100, 101, 102, 500]]), kind="unknown", digital="1")
    names = ("--Lines-names", "1.3:camera")
    expected = "start_time,stop_time\n0.1,0.103\n0.5,0.501\n"
    assert trials(lab, "--line", "camera", *names) == expected
    assert trials(lab, "--line", "s:1.3", *names) == expected
    out = run(lab, "Trials", "--line", "lick", *names, code=30)
    assert "line lick: there are: 1.0, 1.1, 1.2, camera, 1.4" in out


def test_of_an_analog_line(lab):
    write_raw(lab, ("s", 0, [[200, *range(300, 350)], []]))
    assert trials(lab, "--line", "0", "--Photodiode-channels", "0") == "start_time,stop_time\n0.2,0.201\n0.3,0.35\n"
