"""What a second user of results is told who can't write there: by real users, which only root can become."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import Pipeline, clean_environment

pwd = pytest.importorskip("pwd")

# Users that every system has, without names in a file of the tests.
ONE, OTHER, GROUP = 1, 2, 1

# It imports first: the packages of root are not for all users to read.
AS_USER = """
import grp, importlib, os, pkgutil, pwd, sys
import multiprocessing, neuroluigi, numpy.core
for package in (multiprocessing, neuroluigi):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith(("win32", "__main__")):
            importlib.import_module(module.name)
from pathlib import Path
from neuroluigi.provenance.access import why_denied
from neuroluigi.runner.run import main
user, group, umask, *rest = sys.argv[1:]
os.setgroups([])
os.setgid(int(group))
os.setuid(int(user))
os.umask(int(umask, 8))
if rest[0] == "why":
    print(why_denied(Path(rest[1]), Path(rest[2])))
else:
    sys.argv = ["luigi", *rest]
    main()
"""


@pytest.fixture
def shared():
    """A folder that all users may enter, which those of pytest are not."""
    if os.getuid() != 0:
        pytest.skip("needs root, to be two users")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def as_user(user, group, *arguments, umask="022", cwd=None, code=0):
    command = [sys.executable, "-c", AS_USER, str(user), str(group), umask, *map(str, arguments)]
    env = {**clean_environment(), "HOME": str(cwd or "/"), "TMPDIR": str(cwd or "/tmp")}
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_whose_a_folder_is_and_what_to_do(shared):
    owner, group = pwd.getpwuid(ONE).pw_name, "daemon"
    runs = shared / "results" / "a" / "runs"
    runs.mkdir(parents=True)
    for path in (shared / "results", runs.parent, runs):
        os.chown(path, ONE, GROUP)
    whose = (
        f"can't write to {runs}, which is of {owner} and the group {group} (drwxr-xr-x); to share it, {owner} has to"
    )
    cure = f"chmod -R g+w {shared / 'results'}, and both of you set umask 002 before each run\n"
    assert as_user(OTHER, GROUP, "why", runs, shared / "results") == f"{whose} {cure}"
    # Of a file that is not there yet, the folder that is.
    assert as_user(OTHER, GROUP, "why", runs / "deeper" / "x.json", shared / "results") == f"{whose} {cure}"
    apart = f"{whose} chgrp -R {shared / 'results'} to a group that both of you are in, and {cure}"
    assert as_user(OTHER, 65534, "why", runs, shared / "results") == apart
    assert as_user(ONE, GROUP, "why", runs, shared / "results") == "\n"
    runs.chmod(0o555)
    assert "which is yours and read-only (dr-xr-xr-x)" in as_user(ONE, GROUP, "why", runs, shared / "results")


def test_the_run_of_a_second_user_ends_in_one_line_until_the_results_are_shared(shared):
    pipeline = Pipeline(shared / "lab")
    # Without plots, for which Python loads more than the users may read.
    pipeline.add(
        "class EdgesAll(WrapperTask):\n    def requires(self):\n        return [Edges(one) for one in groups()]"
    )
    lab = pipeline.folder
    for path in (lab, *lab.rglob("*")):
        os.chown(path, ONE, GROUP)
    fakes = ("--FakeRecording-sessions", "s", "--FakeRecording-count", "2", "--matlab-engine", "numpy")
    words = ("--module", "tasks", "EdgesAll", "--local-scheduler", *fakes)
    as_user(ONE, GROUP, *words, cwd=lab)
    changed = (*words, "--Edges-threshold", "0.5")
    # 1: of a run that can't begin.
    out = as_user(OTHER, GROUP, *changed, cwd=lab, code=1)
    lines = [line for line in out.splitlines() if "can't write" in line]
    assert len(lines) == 1 and "Errno" not in out
    assert lines[0].startswith(f"luigi: can't write to {lab / 'results'}/s-") and "chmod -R g+w" in lines[0]
    # Where some of the folders can be written, those steps fail for themselves, each in a line.
    (lab / "results" / "s-odd").chmod(0o775)
    (lab / "results" / "s-odd" / "runs").chmod(0o777)
    out = as_user(OTHER, GROUP, *changed, cwd=lab, code=30)
    (even,) = [line for line in out.splitlines() if line.startswith("ERROR: Edges(group=s-even")]
    assert f"can't write to {lab / 'results/s-even/runs'}, which is of" in even and "Errno" not in out
    # What the line says to do helps.
    subprocess.run(["chmod", "-R", "g+w", lab / "results"], check=True)
    assert "Made: 2 Edges." in as_user(OTHER, GROUP, *changed, cwd=lab, umask="002")
    assert "Made: 2 Edges." in as_user(ONE, GROUP, *words, cwd=lab, umask="002")
