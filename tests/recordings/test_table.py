"""Recordings by a table or a pattern of paths, and the description of each row."""

import csv
import hashlib

import pytest

from neuroluigi.recordings.formats.raw import measure
from neuroluigi.recordings.groups import find_groups
from neuroluigi.recordings.recording import Declaration, RecordingsError
from tests.recordings.files import found, only, problem, refusal, write_files, write_table

SPIKEGLX = "{session}_g{gate}_t{index}.imec{probe}.{stream}.bin"


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
    assert recording.origin == f"{root / 'recordings.csv'}, row 2"
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


SEPARATORS = [",", ";", "\t"]


@pytest.mark.parametrize("delimiter", SEPARATORS)
@pytest.mark.parametrize(
    "other", ["place (AP, ML, DV, angle)", "a;b;c;d", "a\tb\tc\td", 'say "x,y;z"', "two\nlines, and"]
)
@pytest.mark.parametrize("first", [True, False])
def test_separators_inside_a_quoted_name_separate_nothing(root, delimiter, other, first):
    header = [other, "session", "index", "path"] if first else ["session", "index", "path", other]
    row = ["x", "s", "0", "a/rec_0.bin"] if first else ["s", "0", "a/rec_0.bin", "x"]
    with (root / "recordings.csv").open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, row])
    assert only(found(root)).columns[other] == "x"


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;", "sep=|", "sep=\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_the_line_in_which_excel_names_the_separator(root, line, end, encoding):
    delimiter = line.strip('"')[-1]
    rows = [["session", "index", "path", "a,b"], ["s", "0", "gone.bin", "x"]]
    text = end.join([line, *(delimiter.join(row) for row in rows), ""])
    (root / "recordings.csv").write_text(text, encoding=encoding, newline="")
    # Excel does not show that line: the header is row 1.
    assert "recordings.csv, row 2, column path: 'gone.bin'" in problem(found(root))


@pytest.mark.parametrize("delimiter", SEPARATORS)
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
    assert [r.origin.rsplit(", ")[1] for r in group.recordings] == ["row 3", "row 5"]


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
    assert measure(recording, "fail").samples == 10


def test_numbers_as_spreadsheets_and_pandas_write_them(root):
    header = "session,index,path,channels,header_bytes"
    recording = only(found(root, header, "s,3.0,a/rec_0.bin,2.0,4.0"))
    assert (recording.index, recording.channels, recording.header_bytes) == (3, 2, 4)
    assert all(type(value) is int for value in (recording.index, recording.channels, recording.header_bytes))
    assert only(found(root, header, "s,00012,a/rec_0.bin,1e1,")).channels == 10
    assert only(found(root, header, "s,00012,a/rec_0.bin,,")).index == 12
    assert only(found(root, header, "s,20260131235959999,a/rec_0.bin,,")).index == 20260131235959999


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
    assert "rec_0.bin can't be read as a folder; see [recordings] root" in refusal(root / "a/rec_0.bin")
    (tmp_path / "bare").mkdir()
    text = refusal(tmp_path / "bare")
    assert str(tmp_path / "bare") in text
    assert "{session}/rec_{index}.bin" in text
    assert "[recordings] root" in text
    with pytest.raises(RecordingsError, match=r"\[recordings\] root"):
        find_groups(Declaration())


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("index", value) for value in ("one", "-1", "1.5", "nan", "inf", "1e400", "1.2E+12", "1_0", "0x1", "1,5")),
        *(("dtype", value) for value in ("uint12", "INT16", "<i2", "double", "complex64")),
        *(("channels", value) for value in ("0", "-2", "1.5", "two", "nan")),
        *(("sampling_rate_hz", value) for value in ("0", "-5", "fast", "nan", "inf", "30 kHz", "0,5", "30_000")),
        *(("header_bytes", value) for value in ("-1", "0.5", "some")),
        *(("scale", value) for value in ("0", "nan", "inf", "x")),
        *(("offset", value) for value in ("nan", "-inf", "x")),
        *(("use", value) for value in ("maybe", "0", "true")),
        *(("sha256", value) for value in ("abc", "g" * 64, "0" * 65)),
        *(("kind", value) for value in ("spikes", "ap|spikes", "ap|lf", "AP")),
        *(("digital", value) for value in ("1", "-1", "0|1", "x", "0,0")),
        *(("start_sample", value) for value in ("soon", "1.5", "nan")),
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


def test_default_pattern(root):
    write_files(root, "a/other_3.bin", "rec_0.bin", "a/deep/rec_0.bin", ".hidden/rec_0.bin", "a/.rec_9.bin")
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


def test_select_names_the_values_that_there_are(root):
    lines = ["session,index,path,band", *(f"s{k},0,s{k}.bin,{band}" for k, band in enumerate(["", "x" * 50, "lf"]))]
    assert refusal(root, *lines, select=("band=ap",)).endswith(f"; band is blank, {'x' * 40}..., lf")
    lines += [f"t{k},0,t{k}.bin," for k in range(20)]
    assert refusal(root, *lines, select=("session=z",)).endswith(
        "; session is s0, s1, s2, t0, t1, t2, t3, t4, t5, t6, ..."
    )


def test_of_two_conditions_on_one_column_any_holds(root):
    write_files(root, "a/rec_0.bin", "a/rec_1.bin", "b/rec_0.bin", "c/rec_1.bin")
    groups = found(root, select=("session=a", "session=b", "index=0"))
    assert [(one.session, one.index) for group in groups.values() for one in group.recordings] == [("a", 0), ("b", 0)]
    assert "no recordings with session=c and index=0; see" in refusal(root, select=("session=c", "index=0"))


def test_select_from_a_table(root):
    lines = ("session,index,path,probe", "s,0,a/rec_0.bin,1", "s,1,gone.bin,2", "t,0,b/rec_0.bin,1")
    groups = found(root, *lines, select=("probe=1", "session = s"))
    assert [r.name for r in groups["s"].recordings] == ["a/rec_0.bin"]
    assert list(groups) == ["s"]
    assert not groups["s"].problems
