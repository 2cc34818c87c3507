"""Files that may be recordings, and are not among them, are said to be there."""

from pathlib import Path

from neuroluigi.recordings.groups import find_groups
from neuroluigi.recordings.recording import Declaration
from neuroluigi.recordings.unread import also_there


def said(root: Path, **settings: object) -> str:
    declaration = Declaration(root=str(root), **settings)
    return also_there(declaration, find_groups(declaration, notify=lambda note: None))


def test_what_is_not_read_is_counted_by_extension(tmp_path):
    for name in ("s/rec_0.bin", "s/rec_0.mat", "t/x.wav", "t/y.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes(5))
    assert said(tmp_path) == "Also there, and not read: 1 .mat file, 2 .wav files (format = wav)."
    assert said(tmp_path, pattern="{session}/rec_{index}.mat") == (
        "Also there, and not read: 2 .wav files (format = wav)."
    )
    # A table says what there is.
    (tmp_path / "recordings.csv").write_text("session,index,path\ns,0,s/rec_0.bin\n")
    assert said(tmp_path) == ""


def test_nothing_is_said_where_all_is_read(tmp_path):
    (tmp_path / "rec_0.bin").write_bytes(bytes(5))
    assert said(tmp_path, pattern="{session}_{index}.bin") == ""
