"""A pattern of paths: what it finds, what it leaves out and says so, and how ambiguous names are read."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from neuroluigi.recordings.groups import find_groups
from neuroluigi.recordings.recording import Declaration, RecordingsError
from tests.conftest import clean_environment
from tests.recordings.files import refusal, write_files
from tests.recordings.test_find import write_spikeglx

DEFAULT = "{session}/rec_{index}.bin"
SPIKEGLX = "{session}_g{gate}_t{index}.imec{probe}.{stream}.bin"


def search(root: Path, pattern: str = DEFAULT, **settings) -> tuple[dict, list[str]]:
    """Return the groups and what is said of files that are left out."""
    notes: list[str] = []
    return find_groups(Declaration(root=str(root), pattern=pattern, **settings), notify=notes.append), notes


def names(groups: dict) -> list[str]:
    return [recording.name for group in groups.values() for recording in group.recordings]


def test_nothing_is_said_where_nothing_looks_like_a_recording(root):
    write_files(root, "a/notes.txt", "a/rec_0.meta", "a/xrec_1.bin", "a/rec_1.bin.md5", "readme", "a/deep/rec_4.bin")
    groups, notes = search(root)
    assert names(groups) == ["a/rec_0.bin", "a/rec_1.bin", "a/rec_2.bin", "b/rec_0.bin"]
    assert notes == []


# A file beside those that are found, the pattern, and why it is left out.
NEARLY = {
    "capitals": ("a/rec_7.BIN", DEFAULT, "upper and lower case"),
    "a capital in the name": ("a/Rec_7.bin", DEFAULT, "upper and lower case"),
    "a capital in a folder": ("c/RAW/rec_7.bin", "{session}/raw/rec_{index}.bin", "upper and lower case"),
    "no number": ("a/rec_x.bin", DEFAULT, "no number can be read for {index} in {session}/rec_{index}.bin"),
    "a negative number": ("a/rec_-1.bin", DEFAULT, "no number can be read"),
    "other digits": ("a/rec_٣.bin", DEFAULT, "no number can be read"),
    "no number in capitals": ("a/REC_cat.bin", DEFAULT, "no number can be read"),
    "a folder that is no number": ("c/cat/data.bin", "{session}/{index}/data.bin", "no number can be read"),
    "CatGT": ("rat_g0_tcat.imec0.ap.bin", SPIKEGLX, "no number can be read"),
    "compressed": ("a/rec_7.bin.gz", DEFAULT, "it is compressed"),
    "compressed, in capitals": ("a/rec_7.BIN.GZ", DEFAULT, "it is compressed"),
}


@pytest.mark.parametrize(("name", "pattern", "reason"), NEARLY.values(), ids=NEARLY)
def test_a_file_that_nearly_matches_is_left_out_with_the_reason(root, name, pattern, reason):
    write_files(root, "d/raw/rec_0.bin", "d/0/data.bin", "d_g0_t0.imec0.ap.bin", name)
    groups, (note,) = search(root, pattern)
    assert name not in names(groups)
    assert note.startswith(f"left out of the recordings in {root}: {name}: ")
    assert reason in note and "\n" not in note


def test_many_names_with_one_reason_are_one_sentence(root):
    write_files(root, *(f"a/rec_{number}.BIN" for number in range(9)), "a/rec_x.bin", "b/rec_y.bin")
    _, notes = search(root)
    assert [note.split(": ")[1] for note in notes] == [
        "a/rec_0.BIN, a/rec_1.BIN, a/rec_2.BIN, a/rec_3.BIN, a/rec_4.BIN and 4 more",
        "a/rec_x.bin, b/rec_y.bin",
    ]


def test_a_folder_with_the_name_of_a_recording(root):
    (root / "b/rec_7.bin").mkdir()
    assert search(root)[1] == [f"left out of the recordings in {root}: b/rec_7.bin: it is a folder"]


def test_a_link_that_leads_nowhere_is_a_recording_with_a_problem(root):
    (root / "a/rec_3.bin").symlink_to("../.git/annex/objects/x")
    groups, notes = search(root)
    (text,) = groups["a"].problems
    assert "'a/rec_3.bin' can't be read as a file" in text
    assert "it is a link to ../.git/annex/objects/x, which is not there; with git-annex or DataLad" in text
    assert not groups["b"].problems and not notes
    # Asked for, groups are made from what is left.
    groups, _ = search(root, allow_missing=True)
    assert not groups["a"].problems
    assert [r.name for r in groups["a"].excluded] == ["a/rec_3.bin"]


def test_links_in_a_circle_and_pipes_fail_their_group(root):
    (root / "a/rec_3.bin").symlink_to("rec_3.bin")
    os.mkfifo(root / "b/rec_1.bin")
    groups, _ = search(root)
    assert "'a/rec_3.bin' can't be read" in groups["a"].problems[0]
    assert "it is no regular file" in groups["b"].problems[0]


def test_folders_of_sessions_that_are_links_to_nothing_or_empty(root):
    (root / "c").symlink_to("gone")
    (root / "d").mkdir()
    (root / "linked").symlink_to("a")
    groups, notes = search(root)
    assert list(groups) == ["a", "b", "linked"]
    assert notes == [
        f"left out of the recordings in {root}: c: the folder is a link to what is not there",
        f"left out of the recordings in {root}: d: the folder is empty; with DataLad, get it first",
    ]


def test_folders_of_a_pattern_with_dots_and_from_the_top(root):
    assert names(search(root / "a", "../{session}/rec_{index}.bin", select=("session=b",))[0]) == ["../b/rec_0.bin"]
    groups, notes = search(root / "a", f"{root}/{{session}}/./rec_{{index}}.bin", select=("session=b",))
    assert (names(groups), notes) == ([f"{root}/b/./rec_0.bin"], [])


# Name: session, index and other fields, in the order of the pattern.
READINGS = [
    (SPIKEGLX, "rat_g0_t0.imec0.ap.bin", ("rat", "0", "0", "0", "ap"), False),
    (SPIKEGLX, "rat_1_g0_t12.imec0.ap.bin", ("rat_1", "0", "12", "0", "ap"), False),
    (SPIKEGLX, "mouse_g1_x_g0_t0.imec0.ap.bin", ("mouse_g1_x", "0", "0", "0", "ap"), True),
    (SPIKEGLX, "a_g1_t2_g3_t4.imec5.lf.bin", ("a_g1_t2", "3", "4", "5", "lf"), True),
    ("{session}_{index}.bin", "a_1_2.bin", ("a_1", "2"), False),
    ("{session}_{stream}_{index}.bin", "a_b_c_0.bin", ("a_b", "c", "0"), True),
    ("{session}{index}.bin", "rat12.bin", ("rat", "12"), False),
    ("{index}{session}.bin", "12rat.bin", ("12", "rat"), False),
    ("{session}/{session}_{index}.bin", "a_1/a_1_2.bin", ("a_1", "2"), False),
]


@pytest.mark.parametrize(("pattern", "name", "fields", "is_ambiguous"), READINGS)
def test_the_first_field_is_the_longest_and_what_could_be_read_otherwise_is_told(
    tmp_path, pattern, name, fields, is_ambiguous
):
    write_files(tmp_path, name)
    groups, notes = search(tmp_path, pattern)
    ((recording,),) = [group.recordings for group in groups.values()]
    columns = dict.fromkeys(re.findall(r"\{(\w+)\}", pattern))
    assert tuple(recording.columns[column] for column in columns) == fields
    assert len(notes) == is_ambiguous
    if notes:
        assert f"{name} is read as session={recording.session}, " in notes[0]
        assert ", and not as session=" in notes[0]


def test_an_index_takes_all_digits_beside_a_session(tmp_path):
    # A session that is a number itself has no end that can be known.
    write_files(tmp_path, "rat1.bin", "rat12.bin", "2026.bin")
    groups, notes = search(tmp_path, "{session}{index}.bin")
    assert {key: [r.index for r in group.recordings] for key, group in groups.items()} == {"rat": [1, 12]}
    assert "2026.bin: no number can be read for {index}" in notes[0]


def test_fields_that_nothing_separates(tmp_path):
    text = refusal(tmp_path, pattern="{session}{stream}_{index}.bin")
    assert "pattern {session}{stream}_{index}.bin: nothing between {session} and {stream} tells where" in text


AS_NOBODY = """
import encodings.utf_8_sig, os, sys
from neuroluigi.recordings import Declaration, RecordingsError, find_groups
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
try:
    for key, group in find_groups(Declaration(root=sys.argv[1], table=sys.argv[2])).items():
        print(key, len(group.recordings), *group.problems)
except RecordingsError as error:
    print("refused:", error)
"""


@pytest.fixture
def root_for_all():
    """A folder with recordings that all users may read, which those of pytest are not."""
    if os.getuid() != 0:
        pytest.skip("needs root, to drop its rights")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = Path(folder) / "data"
        write_files(root, "a/rec_0.bin", "a/rec_1.bin", "a/rec_2.bin", "b/rec_0.bin")
        yield root


def as_nobody(root: Path, table: str = "") -> str:
    """Look for recordings as a user without rights; return what is found or refused."""
    command = [sys.executable, "-c", AS_NOBODY, str(root), table]
    return subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=True).stdout


def test_a_folder_without_permission_is_an_error(root_for_all):
    root = root_for_all
    (root / "a").chmod(0o700)
    assert as_nobody(root).startswith(f"refused: can't look for recordings in the folder {root}/a: Permission denied; ")
    (root / "a").chmod(0o755)
    root.chmod(0o711)
    assert as_nobody(root).startswith(f"refused: can't look for recordings in the folder {root}: Permission denied; ")
    root.parent.chmod(0o700)
    assert f"recordings folder {root} can't be read as a folder" in as_nobody(root)
    root.parent.chmod(0o755)


def test_beside_recordings_that_describe_themselves_a_folder_without_permission_is_a_warning(root_for_all):
    root = root_for_all
    (root / "lost+found").mkdir(0o700)
    write_spikeglx(root / "m_g0", "m_g0_t0.nidq")
    # What the pattern finds, it has to find whole.
    assert as_nobody(root).startswith("refused: can't look for recordings in the folder")
    shutil.rmtree(root / "a")
    shutil.rmtree(root / "b")
    assert as_nobody(root) == "m-0-nidq 1\n"
    shutil.rmtree(root / "m_g0")
    assert as_nobody(root).startswith(f"refused: can't look for recordings in the folder {root}/lost+found: Permission")


def test_a_file_without_permission_fails_its_group(root_for_all):
    root = root_for_all
    (root / "a/rec_1.bin").chmod(0o600)
    first, second = as_nobody(root).splitlines()
    assert first.startswith("a 3 ") and "'a/rec_1.bin' can't be read as a file" in first
    assert "Permission denied" in first
    assert second.split() == ["b", "1"]


def test_without_permission_a_recording_is_not_taken_for_missing(root_for_all):
    root = root_for_all
    (root / "t.csv").write_text("session,index,path\na,0,a/rec_0.bin\nb,0,b/rec_0.bin\n")
    (root / "a").chmod(0o700)
    first, second = as_nobody(root, str(root / "t.csv")).splitlines()
    assert "Permission denied" in first and second.split() == ["b", "1"]
    (root / "a").chmod(0o755)


def test_without_a_listener_python_warns(root):
    write_files(root, "a/rec_7.BIN")
    with pytest.warns(UserWarning, match=r"a/rec_7\.BIN"):
        find_groups(Declaration(root=str(root)))


def test_a_table_says_what_the_recordings_are_and_no_more_is_looked_for(root):
    write_files(root, "a/rec_7.BIN")
    (root / "recordings.csv").write_text("session,index,path\na,0,a/rec_7.BIN\n")
    groups, notes = search(root)
    assert (names(groups), notes) == (["a/rec_7.BIN"], [])


def test_only_near_misses_are_no_recordings(tmp_path):
    write_files(tmp_path, "a/rec_0.BIN")
    notes: list[str] = []
    with pytest.raises(RecordingsError, match="no recordings in"):
        find_groups(Declaration(root=str(tmp_path)), notify=notes.append)
    assert "a/rec_0.BIN" in notes[0]
