"""Tables of trials as spreadsheets, labs and programs write them, and what is refused, by row and column."""

from pathlib import Path

import pytest

from neuroluigi.recordings.recording import RecordingsError
from neuroluigi.recordings.trial_table import as_seconds, check_order, outside, overlapping, read_trials

PLAIN = "start_time,stop_time,go_time,contrast,side,id\n0,1.5,,0.25,left,007\n2,3,2.5,1,right,012\n"


def table(folder: Path, text: str | bytes, name: str = "trials.csv", session: str = "m1"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_trials(path, session)


EXPECTED = {
    "start_time": [0.0, 2.0],
    "stop_time": [1.5, 3.0],
    "go_time": [None, 2.5],
    "contrast": [0.25, 1.0],
    "side": ["left", "right"],
    "id": ["007", "012"],
}


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.encode(),
        b"\xef\xbb\xbf" + PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace(",", ";").encode(),
        b"sep=;\r\n" + PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace("left", '"left"').replace("\n", ",,\n").encode(),
        PLAIN.replace(",,", ",NaN,").encode() + b"\n,,,,,\n",
    ],
    ids=["plain", "excel", "semicolons", "sep", "tabs", "emptied columns", "nan and blank rows"],
)
def test_as_programs_write_them(tmp_path, text):
    found = table(tmp_path, text)
    assert dict(found.columns) == EXPECTED and found.rows[-1].startswith(f"{tmp_path}/trials.csv, row ")
    assert list(found.columns)[:2] == ["start_time", "stop_time"]


def test_quoted_commas_whole_numbers_and_no_stops(tmp_path):
    found = table(tmp_path, 'note,start_time,n\n"a, b",1,3\n"",2e0,\n"=x",3,4.0\n')
    assert found.columns == {
        "start_time": [1, 2, 3],
        "stop_time": [None] * 3,
        "note": ["a, b", None, "=x"],
        "n": [3, None, 4],
    }
    assert [type(one) for one in found.columns["n"]] == [int, type(None), int]


def test_one_table_of_several_sessions(tmp_path):
    text = "session,start_time\nm1,1\nm2,2\nm1,3\n"
    assert table(tmp_path, text).columns == {"start_time": [1, 3], "stop_time": [None, None]}
    assert table(tmp_path, text, session="m2").rows == [f"{tmp_path / 'trials.csv'}, row 3"]
    with pytest.raises(RecordingsError, match="no trials of the session m3"):
        table(tmp_path, text, session="m3")


def test_rows_that_end_before_the_last_column(tmp_path):
    assert table(tmp_path, "start_time,cue_time\n1\n").columns == {
        "start_time": [1.0],
        "stop_time": [None],
        "cue_time": [None],
    }
    assert table(tmp_path, "session,start_time\nm1\n").columns["start_time"] == [None]


@pytest.mark.parametrize(
    "text, words",
    [
        ("start_time,side\n1,l\nsoon,r\n", "row 3, column start_time: 'soon' is not a number"),
        ("start_time\n1\ninf\n", "row 3, column start_time: 'inf' is not a number"),
        ("start_time\n1e999\n", "row 2, column start_time: 1e999 is not a finite number"),
        ("start_time;x\n1,5;2\n", "row 2, column start_time: 1,5 has a decimal comma; write a point"),
        ("start_time;x\n1;2\n2;2,5\n", "row 3, column x: 2,5 has a decimal comma"),
        ("start_time,x\n1,5,2\n", "row 2: '2' stands right of the last column; a decimal comma has to be a point"),
        ("start_time,x,x\n1,5,2\n", "more than one column 'x'"),
        ("onset,x\n1,5\n", "has no column start_time; its columns are: onset, x; see .Trials. table"),
        ("start_time,x\n", "has no trials; see .Trials. table"),
        (b"start_time\n\x00\n", "binary"),
        (b"start_time,x\n1,\xff\n", "it is a CSV file in UTF-8"),
    ],
)
def test_what_is_refused(tmp_path, text, words):
    with pytest.raises(RecordingsError, match=words):
        table(tmp_path, text)


def test_there_is_no_file(tmp_path):
    with pytest.raises(RecordingsError, match="can't read the table of trials"):
        read_trials(tmp_path / "no.csv", "a")


def test_checks_of_times(tmp_path):
    found = table(tmp_path, "start_time,stop_time,go_time\n1000,2000,1500\n1500,,9000\n3000,4000,\n")
    found = as_seconds(found, lambda times: [one / 1000 for one in times])
    assert found.columns["start_time"] == [1.0, 1.5, 3.0] and found.columns["go_time"] == [1.5, 9.0, None]
    check_order(found)
    assert overlapping(found) == 1
    assert outside(found, (1.2, 4)) == {
        0: f"{tmp_path / 'trials.csv'}, row 2, column start_time: 1 s",
        1: f"{tmp_path / 'trials.csv'}, row 3, column go_time: 9 s",
    }
    with pytest.raises(RecordingsError, match="row 3, column stop_time: the trial stops at 1"):
        check_order(table(tmp_path, "start_time,stop_time\n1,2\n1.5,1\n"))
    with pytest.raises(RecordingsError, match="row 3, column start_time is blank"):
        check_order(table(tmp_path, "start_time,stop_time\n1,2\n,1\n"))


def test_very_many_rows(tmp_path):
    lines = (f"{n / 10},{n / 10 + 0.05},{'lr'[n % 2]}" for n in range(100_000))
    found = table(tmp_path, "start_time,stop_time,side\n" + "\n".join(lines) + "\n")
    assert len(found.rows) == 100_000 and found.columns["stop_time"][-1] == 99_999 / 10 + 0.05
    assert overlapping(found) == 0
