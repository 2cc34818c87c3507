"""A colleague who may write nothing, and a disk that takes nothing, see all that there is, and leave nothing there."""

import os
import shlex
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import BIN, clean_environment
from tests.lab import Lab
from tests.results.conftest import FAKES

NOBODY = "65534"
NEUROLUIGI = str(BIN / "neuroluigi")


@pytest.fixture(scope="module")
def made():
    """A pipeline that failed in part, in a folder that others may read, with what a run leaves that was killed."""
    if os.name != "posix":
        pytest.skip("there are no such permissions")
    # Not in the folder of pytest, which is closed to others.
    top = Path(tempfile.mkdtemp(prefix="lab-"))
    top.chmod(0o755)
    lab = Lab(top / "lab")
    lab.go()
    lab.override("Plot", "def make(self, out):\n    raise ValueError('no paper')")
    (lab.results / "s-odd" / "plot.png").unlink()
    lab.go(code=30)
    # Other bytes, so that checksums are to be computed, and could be kept.
    (lab.folder / "recordings" / "s" / "rec_0.bin").write_bytes(bytes(100))
    runs = lab.results / ".runs"
    runs.mkdir()
    for name in ("4000000.json", "4000000.lock", "4000001.json"):
        (runs / f"{socket.gethostname()}-{name}").write_text("{}")
    for path in (lab.folder, *lab.folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield lab
    for path in (lab.folder, *lab.folder.rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(top)


def as_colleague(lab, *words):
    """Run a command in the lab as somebody who may not write there, and who has no home."""
    environment = {name: value for name, value in clean_environment().items() if name not in ("HOME", "XDG_CACHE_HOME")}
    # The interpreter of root may be where nobody else can read.
    caps = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")
    drop = ("setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", *caps) if os.getuid() == 0 else ()
    return subprocess.run(
        [*drop, NEUROLUIGI, *map(str, words)],
        cwd=lab.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


def on_read_only_disk(lab, *words):
    """Run a command, as this user, in the lab on a disk that is mounted read-only."""
    folder = shlex.quote(str(lab.folder))
    mount = f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} && cd {folder} && exec {{}}"
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount.format(shlex.join([NEUROLUIGI, *map(str, words)]))],
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


@pytest.fixture(params=[as_colleague, on_read_only_disk])
def look(request, made):
    """Return a function that runs a command where nothing can be written, and checks that nothing was."""
    where = request.param
    try:
        done = where(made, "--version")
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"this machine can't try that: {error}")
    if done.returncode:
        pytest.skip(f"this machine can't try that: {done.stderr}")

    def ask(*words, code=0):
        before = everything(made)
        done = where(made, *words, *FAKES)
        assert done.returncode == code and "Traceback" not in done.stderr, done
        assert everything(made) == before
        return done.stdout + done.stderr

    return ask


def everything(lab):
    """Return all that is in the lab, hidden files and folders too, with their times."""
    return {path: path.stat().st_mtime_ns for path in (lab.folder, *lab.folder.rglob("*"))}


def test_what_there_is_is_seen(look, made, tmp_path):
    status = look("status", code=1)
    assert "! failed" in status and "ValueError: no paper" in status and "Not ours" not in status
    assert "ValueError: no paper" in look("why", "Plot", "s-odd", code=1)
    edges = np.load(made.results / "s-odd" / "edges.npy")
    assert look("results", "--where", "group=s-odd", "--csv", "--columns", "edges").splitlines()[-1] == str(len(edges))
    assert len(look("events", "s-odd", "--csv").splitlines()) == len(edges) + 1
    # The plot and the recording.
    assert "12 files, " in (verify := look("verify", code=1)) and "2 are not as recorded" in verify


def test_the_report_is_written_elsewhere(look, made):
    elsewhere = Path(tempfile.mkdtemp())
    elsewhere.chmod(0o777)
    page = elsewhere / "pages" / "report.html"
    assert look("report", "--output", page) == f"{page}\n"
    text = page.read_text(encoding="utf-8")
    assert "1 of 10 results failed" in text
    there = os.path.relpath(made.results / "s-even" / "plot.png", page.parent)
    assert f'href="{there}"' in text
    at = page.stat().st_mtime_ns
    look("report", "--output", page)
    assert page.stat().st_mtime_ns == at, "it was up to date"
    moved = page.rename(elsewhere / "report.html")
    look("report", "--output", moved)
    assert f'href="{os.path.relpath(made.results / "s-even" / "plot.png", elsewhere)}"' in moved.read_text()
    shutil.rmtree(elsewhere)


def test_what_has_to_write_there_says_so_in_one_line(look, made):
    page = made.results / "report.html"
    said = look("report", code=1)
    assert said.startswith(f"neuroluigi: can't write {page}: ") and said.count("\n") == 1
    assert said.endswith("; write it elsewhere: neuroluigi report --output FILE\n")
    for words in (["export", "rocrate"], ["accept", "s-even/plot.png", "--reason", "x"]):
        assert look(*words, code=1).count("\n") == 1
