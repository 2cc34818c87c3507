"""Finding, describing and grouping recordings; and `neuroluigi recordings`, which prints what was found."""

import csv
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from neuroluigi.recordings.concatenation import data_bytes, describe_concatenation
from neuroluigi.recordings.formats.raw import fake_samples, measure
from neuroluigi.recordings.groups import find_groups
from neuroluigi.recordings.recording import BYTES_PER_VALUE, Declaration, RecordingsError, check_folder_name
from tests.conftest import BIN, REAL_RECORDINGS, REPOSITORY, clean_environment, needs_real_recordings

SPIKEGLX = "{session}_g{gate}_t{index}.imec{probe}.{stream}.bin"


@pytest.fixture
def root(tmp_path) -> Path:
    """A folder with recordings of 10 bytes: a/rec_0.bin to rec_2.bin, b/rec_0.bin."""
    folder = tmp_path / "data"
    write_files(folder, "a/rec_0.bin", "a/rec_1.bin", "a/rec_2.bin", "b/rec_0.bin")
    return folder


def write_files(folder: Path, *names: str, size: int = 10) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes(range(size)))


def write_table(folder: Path, *lines: str, name: str = "recordings.csv", encoding: str = "utf-8") -> Path:
    (folder / name).write_text("\n".join(lines) + "\n", encoding=encoding, newline="")
    return folder / name


def found(root: Path, *lines: str, **settings) -> dict:
    """Write the table (where there are lines) and return the groups."""
    if lines:
        write_table(root, *lines)
    return find_groups(Declaration(root=str(root), **settings))


def only(groups: dict):
    """Return the one recording of the one group, which has to be without problems."""
    (group,) = groups.values()
    assert group.problems == ()
    (recording,) = group.recordings
    return recording


def problem(groups: dict) -> str:
    """Return the one problem of the one group."""
    (group,) = groups.values()
    (text,) = group.problems
    assert "\n" not in text
    return text


def refusal(root: Path, *lines: str, **settings) -> str:
    with pytest.raises(RecordingsError) as caught:
        found(root, *lines, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Tables


def test_row_describes_recording(root):
    digest = hashlib.sha256(bytes(range(10))).hexdigest()
    recording = only(
        found(
            root,
            "session,index,path,dtype,channels,sampling_rate_hz,header_bytes,scale,offset,unit,use,sha256,animal,depth",
            f"s1,3,a/rec_0.bin,int16,2,30000.5,2,0.5,-1e3,uV,yes,{digest.upper()},rat 7,",
        )
    )
    assert (recording.session, recording.index, recording.name) == ("s1", 3, "a/rec_0.bin")
    assert recording.path == str(root / "a/rec_0.bin")
    assert (recording.dtype, recording.channels, recording.bytes_per_sample) == ("int16", 2, 4)
    assert (recording.sampling_rate_hz, recording.header_bytes) == (30000.5, 2)
    assert (recording.scale, recording.offset, recording.unit) == (0.5, -1000.0, "uV")
    assert recording.sha256 == digest
    assert recording.columns["animal"] == "rat 7"
    assert recording.columns["depth"] == ""
    assert recording.columns["parity"] == "odd"
    assert recording.place == f"{root / 'recordings.csv'}, row 2"
    assert not recording.made


def test_missing_values_come_from_declaration(root):
    lines = ("session,index,path,dtype,channels", "s,0,a/rec_0.bin,,")
    recording = only(found(root, *lines))
    assert (recording.dtype, recording.channels, recording.sampling_rate_hz) == ("uint8", 1, None)
    assert (recording.header_bytes, recording.scale, recording.offset, recording.unit) == (0, None, None, "")

    declared = {"dtype": "int16", "channels": 2, "sampling_rate_hz": 250.0, "header_bytes": 2}
    declared |= {"scale": 0.1, "offset": 5.0, "unit": "mV"}
    recording = only(found(root, *lines, **declared))
    assert {name: getattr(recording, name) for name in declared} == declared

    # What the table says goes before.
    recording = only(found(root, lines[0], "s,0,a/rec_0.bin,int8,4", **declared))
    assert (recording.dtype, recording.channels) == ("int8", 4)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_tables_as_spreadsheets_write_them(root, delimiter, encoding, end):
    rows = [["session", "index", "path", "note"], ["Größe", "0", "a/rec_0.bin", f"x{delimiter}y"], ["b", "1", "", ""]]
    rows[2][2] = "b/rec_0.bin"
    with (root / "recordings.csv").open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator=end).writerows(rows)
    groups = found(root)
    assert list(groups) == ["Größe", "b"]
    assert groups["Größe"].recordings[0].columns["note"] == f"x{delimiter}y"
    assert not any(group.problems for group in groups.values())


def test_spaces_around_cells_blank_rows_and_emptied_columns(root):
    lines = (" session , index , path ,,", "", " s , 0 , a/rec_0.bin ,,", ",,,,", " s , 1 , a/rec_1.bin ,,", ",,,,")
    (group,) = found(root, *lines).values()
    assert group.key == "s"
    assert not group.problems
    assert [r.place.rsplit(", ")[1] for r in group.recordings] == ["row 3", "row 5"]


def test_quoted_newlines_do_not_shift_row_numbers(root):
    groups = found(
        root,
        "session,index,path,note",
        '"s",0,a/rec_0.bin,"two',
        'lines"',
        's,1,a/rec_1.bin,"with ""quotes"""',
        "t,0,gone.bin,",
    )
    assert groups["s"].recordings[0].columns["note"] == "two\nlines"
    assert groups["s"].recordings[1].columns["note"] == 'with "quotes"'
    # As a spreadsheet counts.
    assert "row 4, column path: 'gone.bin'" in groups["t"].problems[0]


def test_columns_in_any_order_and_short_rows(root):
    assert only(found(root, "path,note,index,session,unit", "a/rec_0.bin,,0,s")).session == "s"


def test_paths_absolute_relative_and_of_a_table_elsewhere(root, tmp_path):
    elsewhere = tmp_path / "lists"
    elsewhere.mkdir()
    write_files(elsewhere, "near.bin")
    table = write_table(elsewhere, "session,index,path", "s,0,a/rec_0.bin", f"s,1,{root}/b/../a/rec_1.bin")
    (group,) = find_groups(Declaration(root=str(root), table=str(table))).values()
    assert [r.path for r in group.recordings] == [str(root / "a/rec_0.bin"), str(root / "a/rec_1.bin")]
    assert not group.problems

    table = write_table(elsewhere, "session,index,path", "s,0,near.bin")
    recording = only(find_groups(Declaration(table=str(table))))
    assert recording.path == str(elsewhere / "near.bin")


def test_root_with_trailing_slash_and_relative_root(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    for declared in (f"{root}/", "data", "data/", "./data//"):
        recording = only(find_groups(Declaration(root=declared, select=("index=0", "session=b"))))
        assert recording.path == str(root / "b/rec_0.bin")


def test_links_are_followed_and_kept(root):
    (root / "a/link.bin").symlink_to(root / "b/rec_0.bin")
    (root / "folder").symlink_to(root / "a")
    recording = only(found(root, "session,index,path", "s,0,folder/link.bin"))
    assert recording.path == str(root / "folder/link.bin")
    assert measure(recording, "fail") == (10, 0)


def test_numbers_as_spreadsheets_and_pandas_write_them(root):
    header = "session,index,path,channels,header_bytes"
    recording = only(found(root, header, "s,3.0,a/rec_0.bin,2.0,4.0"))
    assert (recording.index, recording.channels, recording.header_bytes) == (3, 2, 4)
    assert all(type(value) is int for value in (recording.index, recording.channels, recording.header_bytes))
    assert only(found(root, header, "s,00012,a/rec_0.bin,1e1,")).channels == 10
    assert only(found(root, header, "s,00012,a/rec_0.bin,,")).index == 12
    assert only(found(root, header, "s,20260131235959999,a/rec_0.bin,,")).index == 20260131235959999


def test_use_no_leaves_out_with_reason(root):
    groups = found(
        root,
        "session,index,path,use,reason",
        "s,0,a/rec_0.bin,,",
        "s,1,gone.bin,No,electrode broke",
        "s,2,a/rec_2.bin,YES,",
        "t,0,b/rec_0.bin,no,all of it",
    )
    assert list(groups) == ["s"]
    assert not groups["s"].problems
    assert [r.index for r in groups["s"].recordings] == [0, 2]
    assert [(r.index, r.columns["reason"]) for r in groups["s"].excluded] == [(1, "electrode broke")]


def test_nothing_is_left(root):
    assert "use = no" in refusal(root, "session,index,path,use", "s,0,a/rec_0.bin,no")


@pytest.mark.parametrize("dtype", BYTES_PER_VALUE)
def test_dtypes(root, dtype):
    write_files(root, "x.bin", size=3 * np.dtype(dtype).itemsize)
    recording = only(found(root, "session,index,path,dtype,channels", f"s,0,x.bin,{dtype},3"))
    assert measure(recording, "fail") == (1, 0)


# Tables that can't be read stop everything


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no column session, index, path; its columns are: (none)"),
        (b"\xef\xbb\xbf", "has no column session, index, path"),
        (b"session,index\na,0\n", "has no column path; its columns are: session, index"),
        (b"Session;Index;Path\n", "has no column session, index, path; its columns are: Session, Index, Path"),
        (b"session,index,path\n", "no recordings in table"),
        (b"session,index,path\n\n , ,\n", "no recordings in table"),
        (b"session,index,path,path\na,0,x,y\n", "more than one column 'path'"),
        (b'session,index,path\na,0,"x.bin\n', "unexpected end of data"),
        (b'session,index,path\na,0,"x"y.bin\n', "expected after"),
        ("session,index,path\nGröße,0,x\n".encode("latin-1"), "it is a CSV file in UTF-8"),
        ("session,index,path\na,0,x\n".encode("utf-16"), "it is a CSV file in UTF-8"),
        (b"PK\x03\x04\0\0\0\0", "binary content"),
    ],
)
def test_unreadable_table(root, content, message):
    (root / "recordings.csv").write_bytes(content)
    text = refusal(root)
    assert message in text
    assert str(root / "recordings.csv") in text
    assert "[recordings]" in text
    assert "table" in text


def test_table_that_is_not_there_or_not_a_file(root, tmp_path):
    declared = str(tmp_path / "no.csv")
    assert declared in refusal(root, table=declared)
    assert "[recordings] table" in refusal(root, table=declared)
    (root / "recordings.csv").mkdir()
    assert str(root / "recordings.csv") in refusal(root)
    (root / "recordings.csv").rmdir()
    (root / "recordings.csv").symlink_to(tmp_path / "gone.csv")
    assert str(root / "recordings.csv") in refusal(root)


def test_root_missing_or_without_recordings(root, tmp_path):
    text = refusal(tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in text
    assert "[recordings] root" in text
    assert "is not there" in refusal(root / "a/rec_0.bin")
    (tmp_path / "bare").mkdir()
    text = refusal(tmp_path / "bare")
    assert str(tmp_path / "bare") in text
    assert "{session}/rec_{index}.bin" in text
    assert "[recordings] root" in text
    with pytest.raises(RecordingsError, match=r"\[recordings\] root"):
        find_groups(Declaration())


# Rows with something wrong


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("index", value) for value in ("one", "-1", "1.5", "nan", "inf", "1e400", "1_0", "0x1", "1,5")),
        *(("dtype", value) for value in ("uint12", "INT16", "<i2", "double", "complex64")),
        *(("channels", value) for value in ("0", "-2", "1.5", "two", "nan")),
        *(("sampling_rate_hz", value) for value in ("0", "-5", "fast", "nan", "inf", "30 kHz", "0,5", "30_000")),
        *(("header_bytes", value) for value in ("-1", "0.5", "some")),
        *(("scale", value) for value in ("0", "nan", "inf", "x")),
        *(("offset", value) for value in ("nan", "-inf", "x")),
        *(("use", value) for value in ("maybe", "0", "true")),
        *(("sha256", value) for value in ("abc", "g" * 64, "0" * 65)),
        *(("path", value) for value in ("gone.bin", "a", "a/rec_0.bin/x", "x" * 300, "it's $HOME.bin")),
    ],
)
def test_bad_value_names_file_row_column_and_value(root, column, value):
    row = {"session": "s", "index": "1", "path": "a/rec_1.bin", column: value}
    quoted = ",".join(f'"{cell}"' for cell in row.values())
    groups = found(root, ",".join(row), '"s","0","a/rec_0.bin"', quoted, '"t","0","b/rec_0.bin"')
    (text,) = groups["s"].problems
    assert text.startswith(f"{root / 'recordings.csv'}, row 3, column {column}: {value!r} ")
    assert not groups["t"].problems


def test_folder_in_place_of_a_file(root):
    assert "it is a folder" in problem(found(root, "session,index,path", "s,0,a"))
    assert "it is not there" in problem(found(root, "session,index,path", "s,0,a/rec_9.bin"))


@pytest.mark.parametrize(("row", "column"), [("s,,a/rec_0.bin", "index"), ("s,0,", "path"), ("s,0", "path")])
def test_no_value(root, row, column):
    assert f"row 2, column {column}: there is no value" in problem(found(root, "session,index,path", row))


def test_cell_beyond_the_last_column(root):
    text = problem(found(root, "session,index,path", "s,0,a/rec_0.bin,5"))
    assert "row 2: '5' stands right of the last column" in text
    assert only(found(root, "session,index,path", "s,0,a/rec_0.bin,,")).session == "s"


def test_every_problem_of_a_row_is_told(root):
    (group,) = found(root, "session,index,path,dtype,channels", "s,x,a/rec_0.bin,uint12,0").values()
    assert [text.split("column ")[1].split(":")[0] for text in group.problems] == ["index", "dtype", "channels"]


def test_bad_default_names_the_setting(root):
    groups = found(root, "session,index,path,dtype", "s,0,a/rec_0.bin,", "t,0,b/rec_0.bin,int8", dtype="int12")
    assert groups["s"].problems[0].startswith("luigi.cfg, [recordings] dtype: 'int12' is not one of uint8, int8")
    assert not groups["t"].problems


def test_duplicates(root):
    lines = ("session,index,path,use", "s,0,a/rec_0.bin,", "s,00,a/rec_1.bin,", "t,0,b/rec_0.bin,")
    groups = found(root, *lines)
    first, second = groups["s"].problems
    table = root / "recordings.csv"
    cure = "; to tell them apart, group by another column too, or select"
    assert first == f"{table}, row 2, columns session and index: s/0 is there twice, also at {table}, row 3" + cure
    assert second == f"{table}, row 3, columns session and index: s/0 is there twice, also at {table}, row 2" + cure
    assert not groups["t"].problems
    # One of the two left out is one recording.
    assert not found(root, *lines[:2], "s,0,a/rec_1.bin,no")["s"].problems


def test_recordings_of_two_groups_that_share_session_and_index_are_told_apart(root):
    lines = ("session,index,path,probe", "s,0,a/rec_0.bin,1", "s,0,a/rec_1.bin,2", "s,1,a/rec_2.bin,3")
    groups = found(root, *lines, group_by=("session", "probe"))
    assert not any(group.problems for group in groups.values())
    identities = {key: group.recordings[0].identity for key, group in groups.items()}
    assert identities == {"s-1": ("s", 0, "s-1"), "s-2": ("s", 0, "s-2"), "s-3": ("s", 1, "")}


def test_one_file_twice_in_a_group(root):
    groups = found(root, "session,index,path", "s,0,a/rec_0.bin", "s,1,a/../a/rec_0.bin", "t,0,a/rec_0.bin")
    (text,) = groups["s"].problems
    table = root / "recordings.csv"
    assert text == f"{table}, row 3, column path: 'a/../a/rec_0.bin' is in this group already, at {table}, row 2"
    # A baseline may belong to two groups.
    assert not groups["t"].problems


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("dtype", ("uint8", "int8")),
        ("channels", ("1", "2")),
        ("sampling_rate_hz", ("100", "200")),
        ("sampling_rate_hz", ("100", "")),
        ("scale", ("0.5", "2")),
        ("offset", ("1", "")),
        ("unit", ("mV", "uV")),
    ],
)
def test_recordings_of_a_group_differ(root, column, values):
    lines = (f"session,index,path,{column}", f"s,0,a/rec_0.bin,{values[0]}", f"s,1,a/rec_1.bin,{values[1]}")
    text = problem(found(root, *lines))
    assert f"differ in {column}" in text
    first, second = (float(v) if v.replace(".", "").isdigit() else v or None for v in values)
    if column == "channels":
        first, second = 1, 2
    assert f"{root / 'a/rec_0.bin'} has {first}, {root / 'a/rec_1.bin'} has {second}" in text
    assert "row 2" in text
    assert "row 3" in text
    # Nothing is compared with what is left out, nor between groups.
    assert not found(root, f"{lines[0]},use", f"{lines[1]},", f"{lines[2]},no")["s"].problems
    lines = (lines[0], lines[1], lines[2].replace("s,", "t,"))
    assert not any(group.problems for group in found(root, *lines).values())


# Sizes


def test_measure(root):
    write_files(root, "x.bin", size=23)
    header = "session,index,path,dtype,channels,header_bytes"
    assert measure(only(found(root, header, "s,0,x.bin,int16,2,3")), "fail") == (5, 0)
    text = problem(found(root, header, "s,0,x.bin,int16,2,"))
    assert str(root / "x.bin") in text
    assert "23 bytes" in text
    assert "4 bytes (int16, 2 channels)" in text
    assert "3 bytes are left" in text
    assert "partial_sample = drop" in text
    assert measure(only(found(root, header, "s,0,x.bin,int16,2,", partial_sample="drop")), "drop") == (5, 3)


@pytest.mark.parametrize(
    ("size", "row"), [(0, "uint8,1,0"), (3, "int16,2,0"), (10, "uint8,1,10"), (10, "uint8,1,11"), (8, "float64,2,0")]
)
@pytest.mark.parametrize("partial_sample", ["fail", "drop"])
def test_no_samples(root, size, row, partial_sample):
    write_files(root, "x.bin", size=size)
    lines = ("session,index,path,dtype,channels,header_bytes", f"s,0,x.bin,{row}")
    text = problem(found(root, *lines, partial_sample=partial_sample))
    assert f"{root / 'x.bin'} has no samples: {size} bytes" in text
    assert "bytes per sample" in text


# Patterns


def test_default_pattern(root):
    write_files(root, "a/rec_x.bin", "a/other_3.bin", "rec_0.bin", "a/deep/rec_0.bin", ".hidden/rec_0.bin")
    (root / "b/rec_7.bin").mkdir()
    groups = found(root)
    assert {key: [r.index for r in group.recordings] for key, group in groups.items()} == {"a": [0, 1, 2], "b": [0]}
    assert groups["a"].recordings[1].name == "a/rec_1.bin"
    assert groups["a"].recordings[1].path == str(root / "a/rec_1.bin")
    assert groups["a"].recordings[1].dtype == "uint8"


def test_recordings_go_by_number_and_not_by_name(root):
    write_files(root, "a/rec_10.bin", "a/rec_0009.bin")
    assert [r.index for r in found(root)["a"].recordings] == [0, 1, 2, 9, 10]
    write_files(root, "a/rec_00.bin")
    assert "a/0 is there twice" in found(root)["a"].problems[0]


def test_spikeglx_pattern(tmp_path):
    names = [f"rat_1_g{gate}_t{index}.imec0.{stream}" for gate in (0, 1) for index in (0, 1) for stream in ("ap", "lf")]
    write_files(tmp_path, *(f"{name}.bin" for name in names), *(f"{name}.meta" for name in names))
    groups = found(tmp_path, pattern=SPIKEGLX, select=("stream=ap", "gate = 1"), group_by=("session", "probe"))
    assert list(groups) == ["rat_1-0"]
    assert not groups["rat_1-0"].problems
    assert groups["rat_1-0"].values == {"session": "rat_1", "probe": "0"}
    assert [r.name for r in groups["rat_1-0"].recordings] == ["rat_1_g1_t0.imec0.ap.bin", "rat_1_g1_t1.imec0.ap.bin"]
    columns = groups["rat_1-0"].recordings[1].columns
    assert {name: columns[name] for name in ("gate", "index", "probe", "stream", "parity")} == {
        "gate": "1", "index": "1", "probe": "0", "stream": "ap", "parity": "odd"
    }  # fmt: skip
    # A recording is known by session and index: two streams of one are told apart by select, never mixed.
    (group,) = found(tmp_path, pattern=SPIKEGLX, select=("gate=0",)).values()
    assert "imec0.ap.bin" in group.problems[0]
    assert "imec0.lf.bin" in group.problems[0]


def test_pattern_is_no_wildcard_and_no_regular_expression(tmp_path):
    write_files(tmp_path, "a[1]/x.y+0.bin", "a1/x.y+0.bin", "a[1]/xzy+1.bin")
    assert only(found(tmp_path, pattern="{session}[1]/x.y+{index}.bin")).session == "a"


def test_field_twice_has_one_value(tmp_path):
    write_files(tmp_path, "a/a_0.bin", "a/b_1.bin")
    assert only(found(tmp_path, pattern="{session}/{session}_{index}.bin")).index == 0


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("rec_{index}.bin", "has no {session}"),
        ("{session}/rec.bin", "has no {index}"),
        ("", "has no {session}"),
        ("{session}/{1}_{index}.bin", "{1} is no name of a column"),
        ("{session}/nothing_{index}.bin", "no recordings in"),
        ("{session}/../../{index}", "no recordings in"),
    ],
)
def test_pattern_refused(root, pattern, message):
    text = refusal(root, pattern=pattern)
    assert message in text
    assert f"pattern {pattern}" in text


@pytest.mark.parametrize("select", ["probe=1", "session", "session>a", "=a", ""])
def test_select_refused(root, select):
    text = refusal(root, select=(select,))
    assert f"[recordings] select {select!r}" in text
    assert "index, path, session" in text


def test_select_that_leaves_nothing(root):
    assert "no recordings with session=z; see [recordings] select" in refusal(root, select=("session=z",))


def test_select_from_a_table(root):
    lines = ("session,index,path,probe", "s,0,a/rec_0.bin,1", "s,1,gone.bin,2", "t,0,b/rec_0.bin,1")
    groups = found(root, *lines, select=("probe=1", "session = s"))
    assert [r.name for r in groups["s"].recordings] == ["a/rec_0.bin"]
    assert list(groups) == ["s"]
    assert not groups["s"].problems


# Groups


def test_group_by_session_and_parity(root):
    groups = found(root, group_by=("session", "parity"))
    assert {key: [r.index for r in group.recordings] for key, group in groups.items()} == {
        "a-even": [0, 2],
        "a-odd": [1],
        "b-even": [0],
    }
    assert groups["a-odd"].values == {"session": "a", "parity": "odd"}


def test_parity_of_the_table_goes_before(root):
    lines = ("session,index,path,parity", "s,0,a/rec_0.bin,left", "s,2,a/rec_2.bin,right")
    assert list(found(root, *lines, group_by=("parity",))) == ["left", "right"]


def test_groups_over_sessions_are_in_index_order(root):
    groups = found(root, group_by=("parity",))
    assert [(r.session, r.index) for r in groups["even"].recordings] == [("a", 0), ("b", 0), ("a", 2)]


def test_group_by_unknown_column(root):
    text = refusal(root, group_by=("session", "probe"))
    assert "group_by = session, probe" in text
    assert "has no column probe; its columns are:" in text


def test_two_groups_with_one_key(root):
    lines = ("session,index,path,day", "a-b,0,a/rec_0.bin,c", "a,1,a/rec_1.bin,b-c")
    text = refusal(root, *lines, group_by=("session", "day"))
    assert "two groups have the key a-b-c: session=a-b, day=c (" in text
    assert "row 2) and session=a, day=b-c (" in text
    assert "row 3); change [recordings] group_by" in text


@pytest.mark.parametrize("name", ["recordings", "Study", "runs", "run.json", "report.html"])
def test_reserved_keys(root, name):
    assert f"in the folder of results, {name} is kept" in refusal(root, "session,index,path", f"{name},0,a/rec_0.bin")
    lines = ("session,index,path,day", f"{name},0,a/rec_0.bin,1")
    assert list(found(root, *lines, group_by=("session", "day"))) == [f"{name}-1"]


def test_group_that_is_not_known_for_a_bad_index(root):
    text = refusal(root, "session,index,path", "s,x,a/rec_0.bin", group_by=("session", "parity"))
    assert "row 2, column index: 'x'" in text
    assert "its group is not known" in text


def test_blank_value_in_a_group_by_column(root):
    lines = ("session,index,path,day", "s,0,a/rec_0.bin,")
    assert "row 2, column day: '' can't name a folder: it is empty" in refusal(root, *lines, group_by=("day",))


# Names

BAD_NAMES = {
    "a/b": "path separator",
    "a\\b": "path separator",
    "/etc": "path separator",
    "..": "begins with '.'",
    "a..b": "contains '..'",
    "a..": "contains '..'",
    ".hidden": "begins with '.'",
    "-rf": "begins with '-'",
    "a\tb": "control character",
    "a\nb": "control character",
    "a\x1b[31m": "control character",
    "a\x7f": "control character",
    "a\x85b": "control character",
    "a\u2028b": "control character",
    "x" * 256: "longer than 255 bytes",
    "猫" * 86: "longer than 255 bytes",
    "": "empty",
    " ": "empty",
}

GOOD_NAMES = [
    "a", "rat 7", " a ", "O'Brien", 'say "hi"', "$HOME", "`id`", "100%", "%s", "Größe", "猫の脳", "e\u0301", "a;b&c|d",
    "a.b", "a-b", "{session}", "[x]", "~", "*", "#1", "x" * 255, "猫" * 85, "🧠",
]  # fmt: skip


@pytest.mark.parametrize(("name", "reason"), BAD_NAMES.items())
def test_names_refused(name, reason):
    with pytest.raises(RecordingsError) as caught:
        check_folder_name(name, "t.csv, row 2, column session")
    assert str(caught.value).startswith(f"t.csv, row 2, column session: {name!r} can't name a folder: ")
    assert reason in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_names_that_work(tmp_path, name):
    check_folder_name(name, "here")
    write_files(tmp_path, f"{name}/rec_0.bin")
    assert only(find_groups(Declaration(root=str(tmp_path)))).session == name


def test_names_are_refused_wherever_they_come_from(root):
    assert "row 3, column session" in refusal(root, "session,index,path", "s,0,a/rec_0.bin", "../s,1,a/rec_1.bin")
    lines = ("session,index,path,day", "s,0,a/rec_0.bin,1/2")
    assert "row 2, column day: '1/2'" in refusal(root, *lines, group_by=("session", "day"))
    lines = ("session,index,path,day", f"{'s' * 200},0,a/rec_0.bin,{'d' * 55}")
    assert "longer than 255 bytes" in refusal(root, *lines, group_by=("session", "day"))
    (root / "recordings.csv").unlink()
    write_files(root, "-c/rec_0.bin")
    assert "'-c' can't name a folder" in refusal(root)
    with pytest.raises(RecordingsError, match=r"made recording \.\./x/0, column session"):
        find_groups(Declaration(), [{"session": "../x", "index": "0", "path": "x"}])


def test_name_that_is_no_text(tmp_path):
    write_files(tmp_path, os.fsdecode(b"\xff\xfe/rec_0.bin"))
    assert "it is not valid UTF-8" in refusal(tmp_path)


# Recordings that the pipeline makes


def test_made_recordings(root, tmp_path):
    rows = [{"session": "a", "index": str(i), "path": str(tmp_path / f"{i}.bin")} for i in range(3)]
    groups = find_groups(Declaration(group_by=("session", "parity"), channels=2), rows)
    assert {key: [r.index for r in group.recordings] for key, group in groups.items()} == {
        "a-even": [0, 2],
        "a-odd": [1],
    }
    # Their files may not be there yet.
    assert not any(group.problems for group in groups.values())
    assert all(r.made and r.channels == 2 for group in groups.values() for r in group.recordings)
    # Real ones go before.
    assert not any(r.made for r in find_groups(Declaration(root=str(root)), rows)["a"].recordings)


def test_fake_samples_are_the_same_on_every_machine():
    # By: printf a/0 | openssl dgst -shake256 -xoflen 100 -binary | sha256sum
    assert (
        hashlib.sha256(fake_samples("a", 0, 100)).hexdigest()
        == "e50a9ba6f104ef770dadc66e0e28f3d6a3944ac1b8afe07f4a9c53bfd08ea031"
    )
    assert (
        hashlib.sha256(fake_samples("Größe", 12, 100)).hexdigest()
        == "88023decbfb421c3354508954c597f284eabd10ca1f47a09101d7cbde476a684"
    )
    assert fake_samples("a", 0, 5) == fake_samples("a", 0, 100)[:5]
    assert fake_samples("a", 0, 0) == b""
    assert len({fake_samples(session, index, 100) for session in "abcde" for index in range(4)}) == 20


# The layout of an aggregate


def test_lay_out(root):
    for name, size in (("x.bin", 14), ("y.bin", 4), ("z.bin", 11)):
        write_files(root, name, size=size)
    header = (
        "session,index,path,dtype,channels,sampling_rate_hz,header_bytes,scale,offset,unit,use,reason,channel_names"
    )
    tail = "int16,2,250,{},0.5,-1,mV"
    (group,) = found(
        root,
        header,
        f"s,5,z.bin,{tail.format(0)},,,A|B",
        f"s,0,x.bin,{tail.format(2)},,,A|B",
        f"s,1,gone.bin,{tail.format(0)},no,noise,",
        f"s,3,y.bin,{tail.format(0)},,,A|B",
        partial_sample="drop",
    ).values()
    files = [(r.path, r.header_bytes) for r in group.recordings]
    layout = describe_concatenation(group, files, "drop", contiguous=False)
    # 14 - 2 bytes are 3 samples of 4 bytes, 4 bytes 1, 11 bytes 2 and 3 bytes left.
    assert layout == {
        "dtype": "int16",
        "channels": 2,
        "sampling_rate_hz": 250.0,
        "scale": 0.5,
        "offset": -1.0,
        "unit": "mV",
        "channel_names": ["A", "B"],
        "recordings": [
            {"session": "s", "index": 0, "path": "x.bin", "first_sample": 0, "samples": 3},
            {"session": "s", "index": 3, "path": "y.bin", "first_sample": 3, "samples": 1},
            {"session": "s", "index": 5, "path": "z.bin", "first_sample": 4, "samples": 2, "trimmed_bytes": 3},
        ],
        "segments": [0, 3, 4],
        "excluded": [{"session": "s", "index": 1, "path": "gone.bin", "reason": "noise"}],
    }
    assert json.loads(json.dumps(layout)) == layout
    assert data_bytes(layout) == [12, 4, 8]
    assert describe_concatenation(group, files, "drop", contiguous=True)["segments"] == [0]


def test_lay_out_of_what_is_not_known(root):
    group = found(root)["b"]
    layout = describe_concatenation(group, [(group.recordings[0].path, 0)], "fail", contiguous=False)
    assert layout == {
        "dtype": "uint8",
        "channels": 1,
        "recordings": [{"session": "b", "index": 0, "path": "b/rec_0.bin", "first_sample": 0, "samples": 10}],
        "segments": [0],
        "excluded": [],
    }


def test_lay_out_measures_the_files_it_is_given(root):
    write_files(root, "filtered/0.bin", size=16)
    group = found(root, header_bytes=4, select=("session=b",))["b"]
    layout = describe_concatenation(group, [(str(root / "filtered/0.bin"), 0)], "fail", contiguous=False)
    assert layout["recordings"][0]["samples"] == 16
    assert layout["recordings"][0]["path"] == "b/rec_0.bin"


def test_lay_out_refuses_what_changed_and_what_has_problems(root):
    group = found(root, dtype="int16")["b"]
    write_files(root, "b/rec_0.bin", size=9)
    with pytest.raises(RecordingsError, match="9 bytes"):
        describe_concatenation(group, [(group.recordings[0].path, 0)], "fail", contiguous=False)
    group = found(root, "session,index,path", "s,x,a/rec_0.bin", "s,y,a/rec_1.bin")["s"]
    with pytest.raises(RecordingsError, match=r"row 2, column index: 'x'.*\n.*row 3, column index: 'y'"):
        describe_concatenation(group, [], "fail", contiguous=False)


# neuroluigi recordings


def neuroluigi(folder: Path, *arguments, code: int = 0) -> subprocess.CompletedProcess:
    """Run `neuroluigi` in a folder with this pipeline's tasks."""
    folder.mkdir(exist_ok=True)
    for name in ("tasks.py", "targets.py", "luigi.cfg"):
        shutil.copy(REPOSITORY / name, folder)
    before = sorted(folder.iterdir())
    done = subprocess.run(
        [BIN / "neuroluigi", *map(str, arguments)],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    # It only looks.
    assert [path for path in sorted(folder.iterdir()) if path.name != "__pycache__"] == before
    return done


def test_command_prints_fake_recordings_before_any_run(tmp_path):
    out = neuroluigi(tmp_path / "lab", "recordings").stdout
    lines = out.splitlines()
    assert lines[0].split() == ["group", "session", "index", "dtype", "channels", "rate", "[Hz]", "samples", "file"]
    assert lines[1].split() == ["a-even", "a", "0", "uint8", "1", "recordings/a/rec_0.bin", "(to", "be", "made)"]
    assert lines[2].split()[:3] == ["a", "2", "uint8"]
    assert lines[-1] == "20 recordings in 10 groups, 0 left out."


def test_command_prints_table_and_json(root, tmp_path):
    write_table(
        root,
        "session,index,path,dtype,channels,sampling_rate_hz,use,reason",
        "[bold]猫,0,a/rec_0.bin,int16,1,250.5,,",
        "[bold]猫,1,gone.bin,int16,1,250.5,no,broke [red]off",
        "b,0,b/rec_0.bin,uint8,5,,,",
    )
    out = neuroluigi(tmp_path / "lab", "recordings", "--recordings-root", root).stdout
    lines = [line.split() for line in out.splitlines()]
    assert lines[1] == ["[bold]猫", "[bold]猫", "0", "int16", "1", "250.5", "5", str(root / "a/rec_0.bin")]
    assert "(left out: broke [red]off)" in out
    assert lines[3] == ["b", "b", "0", "uint8", "5", "2", str(root / "b/rec_0.bin")]
    assert out.splitlines()[-1] == "2 recordings in 2 groups, 1 left out."

    listed = json.loads(neuroluigi(tmp_path / "lab", "recordings", "--json", "--recordings-root", root).stdout)
    assert list(listed) == ["[bold]猫", "b"]
    assert listed["[bold]猫"]["values"] == {"session": "[bold]猫"}
    assert listed["[bold]猫"]["recordings"][0]["samples"] == 5
    assert listed["[bold]猫"]["recordings"][0]["path"] == str(root / "a/rec_0.bin")
    assert [r["index"] for r in listed["[bold]猫"]["excluded"]] == [1]
    assert listed["[bold]猫"]["excluded"][0]["reason"] == "broke [red]off"
    assert listed["b"]["problems"] == []


def test_command_lists_problems_last_and_fails(root, tmp_path):
    write_table(root, "session,index,path", "s,0,gone.bin", "t,x,b/rec_0.bin", "u,0,a/rec_0.bin")
    for options in ([], ["--json"]):
        out = neuroluigi(tmp_path / "lab", "recordings", "--recordings-root", root, *options, code=1).stdout
        assert "column path: 'gone.bin'" in out
        assert "column index: 'x'" in out
    listed = json.loads(out)
    assert [bool(group["problems"]) for group in listed.values()] == [True, True, False]
    assert listed["s"]["recordings"][0]["samples"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recordings-root", "nowhere"], "recordings folder nowhere is not there"),
        (["--recordings-partial-sample", "maybe"], "[recordings] partial_sample (--recordings-partial-sample)"),
        (["--recordings-channels", "two"], "[recordings] channels (--recordings-channels)"),
        (["--recordings-rooot", "x"], "there is no option --recordings-rooot; did you mean --recordings-root?"),
        (["--recordings-root"], "--recordings-root: expected one argument"),
        (["surplus"], "unrecognized arguments: surplus"),
    ],
)
def test_command_refuses(tmp_path, arguments, message):
    process = neuroluigi(tmp_path / "lab", "recordings", *arguments, code=2 if "argument" in message else 1)
    assert message in process.stderr.splitlines()[-1]
    assert process.stdout == ""


def test_command_without_tasks_says_where_it_looked(tmp_path):
    done = subprocess.run(
        [BIN / "neuroluigi", "recordings"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"there is no tasks.py in {tmp_path}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@needs_real_recordings
def test_real_recordings():
    groups = find_groups(Declaration(root=str(REAL_RECORDINGS)))
    assert set(groups) == {"locust20010201", "mitdb_100", "eeg_ttl", "eeg_biosemi139"}
    assert not any(group.problems for group in groups.values())
    ecg = groups["mitdb_100"]
    layout = describe_concatenation(ecg, [(r.path, r.header_bytes) for r in ecg.recordings], "fail", contiguous=True)
    assert (layout["dtype"], layout["channels"], layout["sampling_rate_hz"]) == ("int16", 2, 360.0)
    assert layout["channel_names"] == ["MLII", "V5"]
    assert [r["first_sample"] for r in layout["recordings"]] == [0, 200000, 450001]
    declared = {(r.session, r.index): r for group in groups.values() for r in group.recordings}
    for recording in declared.values():
        assert measure(recording, "fail") == (int(recording.columns["samples_per_channel"]), 0)
