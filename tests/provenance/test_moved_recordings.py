"""Recordings that moved, are gone, or can't be told from others by their time: in runs of the real `luigi`."""

import json
import os
import time

import pytest

from tests import commands
from tests.commands import BIN, clean_environment
from tests.lab import Lab, nothing


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("moved") / "lab")
    lab.make_real()
    write_table(lab, "a", "b")
    lab.go()
    return lab


@pytest.fixture
def lab(first, tmp_path) -> Lab:
    """Two groups of two recordings each, a and b, of which all is made; a table names the recordings."""
    copied = first.copied_to(tmp_path / "lab")
    copied.real = True
    return copied


def write_table(lab: Lab, *folders: str) -> None:
    rows = [
        f"{session},{k},{folder}/rec_{k}.bin" for session, folder in zip("ab", folders, strict=True) for k in (0, 1)
    ]
    (lab.folder / "real" / "recordings.csv").write_text("\n".join(["session,index,path", *rows]) + "\n")


def status(lab: Lab, *words: str) -> tuple[int, str]:
    command = [BIN / "neuroluigi", "status", "--recordings-root", "real", "--matlab-engine", "numpy", *words]
    done = commands.run(
        command, cwd=lab.folder, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def recorded(lab: Lab, step: str = "Aggregate") -> dict:
    return json.loads((lab.results / "a" / "runs" / f"{step}.json").read_text())


def test_recordings_that_were_moved_are_done_and_the_run_follows_them(lab):
    before = recorded(lab)
    (lab.folder / "real" / "2026").mkdir()
    (lab.folder / "real" / "a").rename(lab.folder / "real" / "2026" / "a")
    write_table(lab, "2026/a", "b")
    assert status(lab)[0] == 0
    assert nothing(lab.go())
    after = recorded(lab)
    assert [one["path"] for one in after["inputs"]] == ["2026/a/rec_0.bin", "2026/a/rec_1.bin"]
    assert [one["sha256"] for one in after["inputs"]] == [one["sha256"] for one in before["inputs"]]
    # A change in the new place is seen.
    (lab.folder / "real" / "2026" / "a" / "rec_1.bin").write_bytes(os.urandom(60))
    assert lab.go()[0] == {"Aggregate": 1, "Stats": 1, "Edges": 1, "Plot": 1}


def test_recordings_that_were_copied_elsewhere_are_checked_by_a_run_and_not_by_a_look(lab):
    nas = lab.folder / "nas"
    nas.mkdir()
    for path in (lab.folder / "real" / "a").iterdir():
        (nas / path.name).write_bytes(path.read_bytes())
        os.utime(nas / path.name, (1_700_000_000.5, 1_700_000_000.5))
        path.unlink()
    write_table(lab, "../nas", "b")
    code, out = status(lab)
    assert code == 1 and "a/rec_0.bin moved, not yet checked: the next run reads it" in " ".join(out.split())
    assert nothing(lab.go())
    assert status(lab)[0] == 0
    assert [one["path"] for one in recorded(lab)["inputs"]] == [(nas / f"rec_{k}.bin").as_posix() for k in (0, 1)]


@pytest.mark.parametrize("left_out", ["", "a,1,"], ids=["all rows", "a row less"])
def test_recordings_on_a_disk_that_is_off_leave_the_group_alone(lab, left_out):
    (lab.folder / "nas").mkdir()
    for path in (lab.folder / "real" / "a").iterdir():
        path.rename(lab.folder / "nas" / path.name)
    write_table(lab, "../nas", "b")
    lab.go()
    (lab.folder / "nas").rename(lab.folder / "off")
    table = lab.folder / "real" / "recordings.csv"
    rows = table.read_text().splitlines(keepends=True)
    table.write_text("".join(row for row in rows if not left_out or not row.startswith(left_out)))
    outcome = lab.go()
    assert nothing(outcome)
    (told,) = [line for line in outcome[2].splitlines() if "not there any more" in line]
    assert "Left alone: 1 results whose inputs are missing" in told


@pytest.mark.parametrize("grain", [1, 2])
def test_a_change_of_the_same_size_and_time_is_seen_where_the_time_proves_nothing(lab, grain):
    """On exFAT and some network disks two writes within one or two seconds have the same time."""
    path = lab.folder / "real" / "a" / "rec_0.bin"
    # That of a server whose clock is ahead; the test has half a minute.
    at = (time.time() + 30) // 2 * 2 + grain % 2

    def write(content: bytes) -> None:
        path.write_bytes(content)
        os.utime(path, (at, at))

    write(b"x" * 60)
    assert lab.go()[0]["Aggregate"] == 1
    assert recorded(lab)["inputs"][0]["mtime_ns"] is None
    write(b"y" * 60)
    assert lab.go()[0] == {"Aggregate": 1, "Stats": 1, "Edges": 1, "Plot": 1}
    assert nothing(lab.go())


def test_a_recording_of_before_1970_is_made_once(lab):
    os.utime(lab.folder / "real" / "a" / "rec_0.bin", (-1, -1))
    (lab.results / "a" / "aggregate.bin").unlink()
    assert lab.go()[0] == {"Aggregate": 1}
    assert recorded(lab)["inputs"][0]["mtime_ns"] == -1_000_000_000
    assert nothing(lab.go())
