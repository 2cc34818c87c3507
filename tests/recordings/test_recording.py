"""Names of sessions and groups that can name a folder on every machine, and those that are refused."""

import os

import pytest

from neuroluigi.recordings.groups import find_groups
from neuroluigi.recordings.recording import Declaration, RecordingsError, check_folder_name, folder_identity
from tests.recordings.files import only, refusal, write_files

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
    **{f"a{character}b": f"it contains {character}, which Windows" for character in '<>:"|?*'},
    "*": "it contains *, which Windows",
    **dict.fromkeys(("a.", "a ", " a ", "x" * 200 + " "), "which Windows drops"),
    **dict.fromkeys(
        ("CON", "nul", "Nul.txt", "aux.a.b", "COM1", "lpt9.bin", "COM²", "con .x", "CONIN$"), "for a device"
    ),
    "": "empty",
    " ": "empty",
}


GOOD_NAMES = [
    "a", "rat 7", " a", "O'Brien", "$HOME", "`id`", "100%", "%s", "Größe", "猫の脳", "e\u0301", "a;b&c", "a.b", "a-b",
    "{session}", "[x]", "~", "#1", "x" * 255, "猫" * 85, "🧠", "COM", "COM10", "console", "com1x", "a.con", "NULL",
]  # fmt: skip


def test_the_identity_of_a_folder_is_one_for_all_names_that_a_disk_may_take_for_it():
    assert folder_identity("M1") == folder_identity("m1") != folder_identity("m2")
    assert len({folder_identity(name) for name in ("É", "e\u0301", "E\u0301", "é")}) == 1


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
