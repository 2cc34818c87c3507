"""Targets: whether a file is there, and whether it is whole by its own format."""

import json

import numpy as np
import pytest

from neuroluigi.provenance.commit import pending_path
from neuroluigi.steps.target import DamagedError, RecordingTarget, ResultTarget


def png(path):
    from matplotlib.figure import Figure

    Figure(figsize=(1, 1)).savefig(path)


WRITERS = {
    "a.json": lambda path: path.write_text(json.dumps({"a": [1, 2]})),
    "a.npy": lambda path: np.save(path, np.arange(100)),
    "a.png": png,
    "a.bin": lambda path: path.write_bytes(b"anything"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_whole_file_passes(tmp_path, name):
    WRITERS[name](tmp_path / name)
    ResultTarget(tmp_path / name).check(tmp_path / name)
    assert ResultTarget(tmp_path / name).exists()


@pytest.mark.parametrize("name", ["a.json", "a.npy", "a.png"])
def test_half_a_file_is_damaged_and_named(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DamagedError, match=name):
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
    target = RecordingTarget(str(tmp_path / "rec.bin"), header_bytes=16, sha256="ab")
    assert not target.exists() and str(target) == str(tmp_path / "rec.bin")
    (tmp_path / "rec.bin").mkdir()
    assert not target.exists()
    (tmp_path / "rec.bin").rmdir()
    (tmp_path / "rec.bin").touch()
    assert target.exists()
