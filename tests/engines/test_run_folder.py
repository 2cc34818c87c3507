"""The temporary folder of a run: on a full disk, read-only or gone; and what the next run removes of it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from neuroluigi.engines.call import CallError
from neuroluigi.engines.pool import close_pool, open_pool
from neuroluigi.engines.program import run_program
from neuroluigi.engines.run_folder import remove_run_folder, run_folder
from tests.conftest import needs_octave
from tests.engines.lab import use_temporary_folder

pytestmark = pytest.mark.skipif(os.name != "posix", reason="folders are locked there alone")

# Calls with a small disk for temporary files, of several sizes; each prints its seconds, what is left, and its error.
SMALL_DISKS = """
import contextlib, shutil, subprocess, time
from neuroluigi.engines.call import CallError
from neuroluigi.engines.pool import close_pool
disk = Path({disk!r})
for option in {options!r}:
    subprocess.run(["mount", "-t", "tmpfs", "-o", option, "tmpfs", disk], check=True)
    began, error = time.monotonic(), "none"
    try:
        {call}
    except CallError as failed:
        error = str(failed)
    close_pool()
    print(f"{{time.monotonic() - began:.1f}}", [*disk.iterdir()], ascii(error), sep="|")
    subprocess.run(["umount", disk], check=True)
"""


@needs_octave
def test_a_full_disk_for_temporary_files_fails_soon_and_in_words(warm_lab):
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs a mount namespace")
    # Too small for more and more of what a session needs, and at last large enough.
    options = [f"size={size}k" for size in (4, 24, 40, 44, 48, 56)]
    options += [f"nr_inodes={count}" for count in (1, 2, 3, 6, 9, 12, 15, 18)] + ["ro", "size=1m"]
    warm_lab.write("quick", "disp('worked');")
    imports, _, call = warm_lab.calling_code("quick").rpartition("\ncall_function")
    code = SMALL_DISKS.format(disk=str(warm_lab.temporary), options=options, call=f"call_function{call.strip()}")
    out = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", f"{imports}\n{code}"], check=True, capture_output=True, text=True
    ).stdout
    lines = [one.split("|", 2) for one in out.splitlines()]
    assert len(lines) == len(options) and lines[-1][2] == "'none'" and lines[0][2] != "'none'"
    for option, (seconds, left, error) in zip(options, lines, strict=True):
        assert (option, left) == (option, "[]")
        assert float(seconds) < 5, (option, error)
        assert error == "'none'" or re.search("could not be called|disk that is full", error), (
            option,
            error,
        )


@needs_octave
def test_a_folder_for_temporary_files_that_is_gone_is_named(warm_lab):
    warm_lab.write("quick", "disp('worked');")
    warm_lab.call("quick")
    close_pool()
    warm_lab.temporary.rmdir()
    with pytest.raises(CallError, match=rf"could not be called: .*No such file.*{warm_lab.temporary}.*TMPDIR"):
        warm_lab.call("quick")
    warm_lab.temporary.mkdir()
    warm_lab.call("quick")


@pytest.fixture
def above(tmp_path, monkeypatch):
    close_pool()
    folder = tmp_path / "tmp"
    folder.mkdir()
    use_temporary_folder(folder, monkeypatch)
    yield folder
    remove_run_folder()


def left_by_a_killed_run(above: Path) -> Path:
    """Return the folder of a run that was killed."""
    code = "from neuroluigi.engines.run_folder import run_folder; print(run_folder(), flush=True); input()"
    run = subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True)
    folder = Path(run.stdout.readline().strip())
    # Another run leaves it alone while the first one lives.
    subprocess.run(
        [sys.executable, "-c", "from neuroluigi.engines.run_folder import run_folder; run_folder()"], check=True
    )
    assert [*above.iterdir()] == [folder]
    run.kill()
    run.communicate()
    return folder


def test_the_folder_of_a_killed_run_is_removed_by_the_next(above):
    left = left_by_a_killed_run(above)
    (left / "session-abc" / "work").mkdir(parents=True)
    (left / "session-abc" / "log").write_text("text")
    assert [run_folder()] == [*above.iterdir()]
    assert not left.exists()


def test_nothing_else_is_removed(above, tmp_path):
    left = left_by_a_killed_run(above)
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o700)
    (theirs / "file").touch()
    others = {
        "neuroluigi-run-abcdefgh": lambda path: path.symlink_to(theirs),
        "neuroluigi-run-abcdefgi": lambda path: (path.mkdir(), path.chmod(0o755)),
        "neuroluigi-run-abcdefgj": lambda path: path.touch(),
        "neuroluigi-run-my-notes": lambda path: path.mkdir(mode=0o700),
        "neuroluigi-abcdefgh": lambda path: path.mkdir(mode=0o700),
    }
    for name, make in others.items():
        make(above / name)
    if os.getuid() == 0:
        path = above / "neuroluigi-run-abcdefgk"
        path.mkdir(mode=0o700)
        os.chown(path, 12345, 12345)
        others[path.name] = None
    made = run_folder()
    assert {one.name for one in above.iterdir()} == {*others, made.name}
    assert (theirs / "file").exists() and not left.exists()


def test_a_program_has_its_folder_in_that_of_the_run(above, tmp_path):
    assert run_program(["sh", "-c", 'echo "$NEUROLUIGI_SESSION"'], tmp_path / "log")[0] == 0
    assert Path((tmp_path / "log").read_text().strip()).parent == open_pool()
    assert [*open_pool().iterdir()] == []
