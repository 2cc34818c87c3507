"""Recordings in groups: keys, order, what differs, what is refused."""

import tracemalloc

import pytest

from neuroluigi.recordings.concatenation import describe_concatenation
from neuroluigi.recordings.formats.raw import measure
from neuroluigi.recordings.groups import find_groups
from neuroluigi.recordings.recording import Declaration, RecordingsError
from tests.conftest import REAL_RECORDINGS, needs_real_recordings
from tests.recordings.files import found, problem, refusal, write_files, write_table

TWO_GROUPS = ("session,index,path", "a,0,x.bin", "b,0,y.bin")

# What a run of `luigi` prints as its one line, too: settings, table, what the message names.
REFUSED = {
    "folder without recordings": ({}, (), ["data", "{session}/rec_{index}.bin", "recordings.csv", "[recordings] root"]),
    "folder is a file": ({"root": "x.bin"}, (), ["x.bin", "[recordings] root", "--recordings-root"]),
    "table missing": ({"table": "no.csv"}, (), ["no.csv", "[recordings] table"]),
    "table is a folder": ({"table": "folder"}, (), ["folder", "[recordings] table"]),
    "table of the header alone": ({}, ("session,index,path",), ["recordings.csv", "no recordings", "table"]),
    "table without a column": ({}, ("session,index,file", "a,0,x.bin"), ["recordings.csv", "path", "session, index"]),
    "table with an open quote": ({}, ("session,index,path", 'a,0,"x.bin'), ["recordings.csv", "[recordings] table"]),
    "no such column": ({"group_by": ("probe",)}, TWO_GROUPS, ["group_by = probe", "session"]),
    "no such selection": ({"select": ("session=z",)}, TWO_GROUPS, ["session=z", "[recordings] select"]),
    "name with a separator": ({}, ("session,index,path", "a/b,0,x.bin"), ["row 2, column session", "'a/b'"]),
    "name with a backslash": ({}, ("session,index,path", "a\\b,0,x.bin"), ["row 2, column session"]),
    "name with two dots": ({}, ("session,index,path", "a..b,0,x.bin"), ["row 2, column session", "'a..b'"]),
    "name with a leading dot": ({}, ("session,index,path", ".a,0,x.bin"), ["row 2, column session", "'.a'"]),
    "name with a leading dash": ({}, ("session,index,path", "-a,0,x.bin"), ["row 2, column session", "'-a'"]),
    "name with a control character": ({}, ("session,index,path", "a\x1bb,0,x.bin"), ["column session", r"'a\x1bb'"]),
    "group with a line break": (
        {"group_by": ("session", "day")},
        ("session,index,path,day", 'a,0,x.bin,"1\n2"'),
        ["row 2, column day", r"'1\n2'"],
    ),
}


@pytest.mark.parametrize(("settings", "table", "words"), REFUSED.values(), ids=REFUSED)
def test_refusal_names_place_and_setting(tmp_path, settings, table, words):
    folder = tmp_path / "data"
    (folder / "folder").mkdir(parents=True)
    write_files(folder, "x.bin", "y.bin")
    paths = {name: str(folder / value) for name, value in settings.items() if name in ("root", "table")}
    if table:
        write_table(folder, *table)
    with pytest.raises(RecordingsError) as caught:
        find_groups(Declaration(**{"root": str(folder), **settings, **paths}))
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


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


def test_duplicates(root):
    lines = ("session,index,path,use", "s,0,a/rec_0.bin,", "s,00,a/rec_1.bin,", "t,0,b/rec_0.bin,")
    groups = found(root, *lines)
    (once,) = groups["s"].problems
    table = root / "recordings.csv"
    cure = (
        "; to tell them apart, group by another column too, select, or name a session anew in a table"
        " (neuroluigi recordings --csv)"
    )
    assert once == f"{table}, row 2, columns session and index: s/0 is there twice, also at {table}, row 3" + cure
    assert not groups["t"].problems
    more = (*lines, "s,0,b/rec_0.bin,", "s,7,b/rec_0.bin,", "s,7,b/rec_0.bin,")
    (once,) = found(root, *more)["s"].problems
    assert f"s/0 is there 3 times, also at {table}, row 3, {table}, row 5; so is s/7; to tell" in once
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
    (once,) = found(root, *lines, f"s,2,b/rec_0.bin,{values[1]}")["s"].problems
    assert f"{root / 'a/rec_1.bin'} and 1 more have {second}" in once and once.count("a/rec_0.bin") == 1
    # Nothing is compared with what is left out, nor between groups.
    assert not found(root, f"{lines[0]},use", f"{lines[1]},", f"{lines[2]},no")["s"].problems
    lines = (lines[0], lines[1], lines[2].replace("s,", "t,"))
    assert not any(group.problems for group in found(root, *lines).values())


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


def test_groups_over_sessions_are_in_the_order_of_sessions_and_then_of_indices(root):
    groups = found(root, group_by=("parity",))
    assert [(r.session, r.index) for r in groups["even"].recordings] == [("a", 0), ("a", 2), ("b", 0)]


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


# Names that are one folder on the disks of macOS and Windows, or on those that they share.
ONE_FOLDER = [
    ("m1", "M1"),
    ("Größe", "GRÖSSE"),
    ("e\u0301", "é"),
    ("E\u0301", "é"),
    ("Å", "\u212b"),
    ("가", "\u1100\u1161"),
    ("\u01c4", "\u01c6"),
    ("Σ", "ς"),
]


@pytest.mark.parametrize("names", ONE_FOLDER)
@pytest.mark.parametrize("group_by", [("session",), ("note",), ("session", "note")])
def test_names_that_are_one_folder_on_some_disks(root, names, group_by):
    one, other = names
    rows = (f"{one},0,a/rec_0.bin,{one}", "z,0,b/rec_0.bin,z", f"{other},1,a/rec_1.bin,{other}")
    text = refusal(root, "session,index,path,note", *rows, group_by=group_by)
    assert text.startswith("two groups have the same folder for the keys ")
    assert "row 2" in text and "row 4" in text
    assert "where case or the form of Unicode does not count" in text


@pytest.mark.parametrize("names", ONE_FOLDER)
def test_sessions_that_are_one_folder_on_some_disks(root, names):
    # The folders of steps per recording.
    lines = ("session,index,path,note", f"{names[0]},0,a/rec_0.bin,x", f"{names[1]},1,a/rec_1.bin,y")
    for group_by in (("note",), ("use",)):
        text = refusal(root, *lines, group_by=group_by)
        assert text.startswith("two sessions have the same folder for the sessions ")
        assert "row 2" in text and "row 3" in text


def test_names_that_are_two_folders_everywhere(root):
    lines = ("session,index,path", "m1,0,a/rec_0.bin", "m10,0,a/rec_1.bin", "ml,0,a/rec_2.bin", "é,0,b/rec_0.bin")
    assert list(found(root, *lines, "e,0,a/../a/rec_0.bin")) == ["m1", "m10", "ml", "é", "e"]


def test_recordings_that_are_made_have_folders_of_their_own(tmp_path):
    rows = [{"session": name, "index": "0", "path": str(tmp_path / name)} for name in ("a", "A")]
    with pytest.raises(RecordingsError, match=r"made recording a/0.*made recording A/0"):
        find_groups(Declaration(), rows)


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


@needs_real_recordings
def test_real_recordings():
    groups = find_groups(Declaration(root=str(REAL_RECORDINGS)))
    assert set(groups) == {"locust20010201", "mitdb_100", "eeg_ttl", "eeg_biosemi139"}
    assert not any(group.problems for group in groups.values())
    ecg = groups["mitdb_100"]
    layout, _ = describe_concatenation(ecg, [r.path for r in ecg.recordings], "fail", contiguous="true")
    assert (layout["dtype"], layout["channels"], layout["sampling_rate_hz"]) == ("int16", 2, 360.0)
    assert layout["channel_names"] == ["MLII", "V5"]
    assert [r["first_sample"] for r in layout["recordings"]] == [0, 200000, 450001]
    declared = {(r.session, r.index): r for group in groups.values() for r in group.recordings}
    for recording in declared.values():
        assert measure(recording, "fail").samples == int(recording.columns["samples_per_channel"])


def test_what_a_recording_of_a_large_table_takes_of_memory(tmp_path):
    """Of 100,000 it is 100 MB: cells that rows have in common are there once."""
    folder, count = tmp_path / "data", 2000
    folder.mkdir()
    (folder / "x.bin").write_bytes(b"abc")
    common = f"{'a note on all of them ' * 20},"
    write_table(folder, "session,index,path,note,mouse", *(f"s{n},0,x.bin,{common}m{n % 3}" for n in range(count)))
    find_groups(Declaration(root=str(folder)))
    tracemalloc.start()
    groups = find_groups(Declaration(root=str(folder)))
    live, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(groups) == count
    assert live < 1500 * count and peak < 3500 * count
