"""Targets: whether a file is there, and whether it is whole by its own format."""

import json
import sys

import luigi
import numpy as np
import pytest
from luigi.format import Nop

from neuroluigi.provenance.commit import pending_path
from neuroluigi.provenance.files import part_path
from neuroluigi.steps.target import DamagedError, RecordingTarget, ResultFolder, ResultTarget, WritingError, written_to


def picture(path):
    from matplotlib.figure import Figure

    Figure(figsize=(1, 1)).savefig(path)


WRITERS = {
    "a.json": lambda path: path.write_text(json.dumps({"a": [1, 2]})),
    "a.npy": lambda path: np.save(path, np.arange(100)),
    "a.png": picture,
    "a.svg": picture,
    "a.pdf": picture,
    "a.bin": lambda path: path.write_bytes(b"anything"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_whole_file_passes(tmp_path, name):
    WRITERS[name](tmp_path / name)
    ResultTarget(tmp_path / name).check(tmp_path / name)
    assert ResultTarget(tmp_path / name).exists()


@pytest.mark.parametrize("name", ["a.json", "a.npy", "a.png", "a.svg", "a.pdf"])
def test_half_a_file_is_damaged_and_named(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DamagedError, match=name):
        ResultTarget(path).check(path)


@pytest.mark.parametrize(
    "text",
    [
        "<svg/>",
        '<?xml version="1.0" encoding="utf-8"?>\n<!-- by hand -->\n<svg xmlns="http://www.w3.org/2000/svg">神</svg>\n',
        '<s:svg xmlns:s="http://www.w3.org/2000/svg"><s:g/></s:svg><!-- the end -->',
    ],
)
def test_svg_that_others_write_is_whole(tmp_path, text):
    for encoding in ("utf-8", "utf-8-sig"):
        (tmp_path / "a.svg").write_text(text, encoding=encoding)
        ResultTarget(tmp_path / "a.svg").check(tmp_path / "a.svg")
    assert ResultTarget(tmp_path / "a.svg").has_format


@pytest.mark.parametrize("text", ["<html><svg/></html>", "svg", "<svg></svg><svg/>", "<svg>\0</svg>"])
def test_what_is_no_svg_is_damaged(tmp_path, text):
    (tmp_path / "a.svg").write_text(text)
    with pytest.raises(DamagedError, match=r"a\.svg is not"):
        ResultTarget(tmp_path / "a.svg").check(tmp_path / "a.svg")


def test_a_pdf_may_have_a_line_end_after_its_end(tmp_path):
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-1.4\n...\n%%EOF\r\n\n")
    ResultTarget(path).check(path)
    path.write_bytes(b"%PDF-1.4\n...\n%%EOF" + bytes(4096))
    with pytest.raises(DamagedError, match=r"a\.pdf is not a whole PDF"):
        ResultTarget(path).check(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "a.bin was not written"),
        (lambda path: path.touch(), "a.bin is empty"),
        (lambda path: path.mkdir(), "a.bin is a folder; a result is a file"),
    ],
)
def test_what_is_no_file_with_content_is_damaged(tmp_path, make, message):
    make(tmp_path / "a.bin")
    with pytest.raises(DamagedError) as damaged:
        ResultTarget(tmp_path / "a.bin").check(tmp_path / "a.bin")
    assert str(damaged.value) == message


def test_a_result_is_not_there_before_its_commit_is_finished(tmp_path):
    target = ResultTarget(tmp_path / "a.bin", tmp_path / "runs" / "Step.json")
    assert not target.exists()
    (tmp_path / "a.bin").write_bytes(b"a")
    assert target.exists()
    pending = tmp_path / pending_path(target.record)
    pending.parent.mkdir()
    pending.touch()
    assert not target.exists()
    # Without a record there is nothing to wait for.
    assert ResultTarget(tmp_path / "a.bin").exists()


def test_a_recording_is_its_file(tmp_path):
    target = RecordingTarget(str(tmp_path / "rec.bin"), sha256="ab")
    assert not target.exists() and str(target) == str(tmp_path / "rec.bin")
    (tmp_path / "rec.bin").mkdir()
    assert not target.exists()
    (tmp_path / "rec.bin").rmdir()
    (tmp_path / "rec.bin").touch()
    assert target.exists()


def write_mat(path):
    from scipy.io import savemat

    savemat(path, {"rates": np.array([[1.5, 2.5]]), "options": {"level": 3.0, "name": "a"}})


@pytest.mark.parametrize(
    ("name", "write", "content"),
    [
        ("a.json", lambda path: path.write_text('{"a": [1, null, "é"]}', encoding="utf-8"), {"a": [1, None, "é"]}),
        ("a.txt", lambda path: path.write_text("über\n", encoding="utf-8"), "über\n"),
        # As a spreadsheet program writes it; what looks like a number may be a name.
        (
            "a.csv",
            lambda path: path.write_bytes('\ufeffname,level\r\n007,"1,5"\r\n'.encode()),
            [{"name": "007", "level": "1,5"}],
        ),
        ("a.tsv", lambda path: path.write_text("name\tlevel\na b\t2\n"), [{"name": "a b", "level": "2"}]),
    ],
)
def test_a_file_is_loaded_by_its_extension(tmp_path, name, write, content):
    write(tmp_path / name)
    assert ResultTarget(tmp_path / name).load() == content


@pytest.mark.parametrize(
    "array",
    [np.arange(6, dtype="<i2").reshape(2, 3), np.zeros((0, 2)), np.zeros((2, 0, 3), bool), np.array(1.5)],
    ids=["2-D", "empty", "N-D", "0-D"],
)
def test_an_array_is_loaded_as_it_was_saved_and_may_be_changed(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    loaded = ResultTarget(tmp_path / "a.npy").load()
    assert type(loaded) is np.ndarray and (loaded.dtype, loaded.shape) == (array.dtype, array.shape)
    assert loaded.flags.writeable and np.array_equal(loaded, array)


def test_a_file_of_matlab_is_loaded_as_its_variables(tmp_path):
    write_mat(tmp_path / "a.mat")
    loaded = ResultTarget(tmp_path / "a.mat").load()
    assert sorted(loaded) == ["options", "rates"] and loaded["options"] == {"level": 3.0, "name": "a"}
    assert np.array_equal(loaded["rates"], [1.5, 2.5])


def test_a_file_of_matlab_says_what_to_install(tmp_path, monkeypatch):
    # As Python says where it is not installed.
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(ImportError, match=r"a\.mat needs SciPy: pip install 'neuroluigi\[mat\]'"):
        ResultTarget(tmp_path / "a.mat").load()


def test_an_extension_that_nothing_reads_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(TypeError, match=r"a\.dat has no extension that load\(\) knows \(\.json, .*with load\(\)"):
        ResultTarget(tmp_path / "a.dat").load()


def test_a_folder_is_whole_with_a_file_that_counts(tmp_path):
    path = tmp_path / "sorted"
    target = ResultFolder(f"{path}/", ignore="phy.log")
    assert target.path == str(path) and target.ignore == ("phy.log",) and not target.exists()

    def problem():
        with pytest.raises(DamagedError) as damaged:
            target.check(path)
        return str(damaged.value)

    assert problem() == "sorted was not written"
    path.touch()
    assert problem() == "sorted is a file; it is declared as a folder" and not target.exists()
    path.unlink()
    (path / "below").mkdir(parents=True)
    (path / "phy.log").write_text("ignored")
    assert problem() == "sorted is empty"
    (path / "below" / "a.txt").touch()
    target.check(path)
    assert target.exists() and target.load() == path


def test_a_class_of_the_labs_own_checks_a_folder(tmp_path):
    class Sorted(ResultFolder):
        def check(self, path):
            super().check(path)
            if not (path / "params.py").exists():
                raise DamagedError(f"{path.name} has no params.py")

        def load(self):
            return super().load() / "params.py"

    (tmp_path / "a.txt").touch()
    with pytest.raises(DamagedError, match=r"has no params\.py"):
        Sorted(tmp_path).check(tmp_path)
    (tmp_path / "params.py").touch()
    Sorted(tmp_path).check(tmp_path)
    assert Sorted(tmp_path).load() == tmp_path / "params.py"


@pytest.fixture
def made(tmp_path):
    """A target with an older file, while its step is made, and the temporary path."""
    target = ResultTarget(tmp_path / "a.txt", tmp_path / "runs" / "Step.json")
    (tmp_path / "a.txt").write_text("old")
    part = part_path(tmp_path / "a.txt")
    with written_to({target.path: part}):
        # output() gives another object each time.
        yield ResultTarget(tmp_path / "a.txt", target.record), part
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path for path in tmp_path.glob("a*") if path.name not in ("a.txt", part.name)] == []


def test_while_its_step_is_made_a_target_writes_and_reads_the_temporary_file(made):
    target, part = made
    assert isinstance(target, luigi.LocalTarget)
    with pytest.raises(FileNotFoundError):
        target.open()
    with target.open("w") as file:
        file.write("new")
        assert not part.exists()
    with target.open("a") as file:
        file.write("er")
    with target.open() as file:
        assert (file.read(), target.load(), part.read_text()) == ("newer",) * 3
    with target.temporary_path() as path:
        assert path == str(part)
    target.remove()
    assert not part.exists()


def test_bytes_are_written_and_read_by_a_format(tmp_path):
    target, part = ResultTarget(tmp_path / "a.bin", format=Nop), part_path(tmp_path / "a.bin")
    with written_to({target.path: part}):
        with target.open("wb") as file:
            file.write(b"\r\n\0")
        with target.open("rb") as file:
            assert file.read() == part.read_bytes() == b"\r\n\0"


def test_a_block_that_fails_writes_nothing(made):
    target, part = made
    with pytest.raises(KeyError), target.open("w") as file:
        file.write("half")
        raise KeyError
    del file
    assert not part.exists()


@pytest.mark.parametrize(
    ("done", "change"),
    [
        ("written", lambda target: target.open("w")),
        ("written", lambda target: target.open("a")),
        ("written", lambda target: target.temporary_path().__enter__()),
        ("moved", lambda target: target.move(target.path + "2")),
        ("moved", lambda target: target.move_dir(target.path + "2")),
        ("removed", lambda target: target.remove()),
    ],
    ids=["open w", "open a", "temporary_path", "move", "move_dir", "remove"],
)
def test_at_any_other_time_a_result_is_only_read(tmp_path, made, done, change):
    other = ResultTarget(tmp_path / "other.txt")
    (tmp_path / "other.txt").write_text("other")
    with pytest.raises(WritingError, match=rf"other\.txt can't be {done} here: only its own step writes it, in make"):
        change(other)
    assert other.load() == "other"
    other.copy(str(tmp_path / "copied"))
    assert (tmp_path / "copied").read_text() == other.open().read() == "other"


def test_a_misspelt_word_for_what_a_value_in_counts_is_fails_at_once():
    with pytest.raises(TypeError, match=r"Rms.in_counts: rms is one of sample, mean, spread, filtered, not 'spred'"):
        type("Rms", (ResultTarget,), {"in_counts": {"rms": "spred"}})
