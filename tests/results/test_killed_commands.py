"""Every command that writes, killed at each of its changes of a file: nothing is lost, and asked again it ends well."""

import os
import random
import shutil
import subprocess

import pytest

from tests import commands
from tests.conftest import BIN, SEED, TORTURE, clean_environment
from tests.killed import killed_at
from tests.results.conftest import FAKES, ask, everything

# So many random moments of each command; make torture has all.
MOMENTS = None if TORTURE else 2

EDITED = b"by hand"
ACCEPT = ("accept", "s-even/stats.json", "--reason", "mine")
COMMANDS = {
    "report": ("report",),
    "export": ("export", "rocrate", "--name", "All"),
    "accept": ACCEPT,
    "drop": ("drop", "--step", "Aggregate", "--yes"),
    "clean": ("clean", "--step", "Edges", "--yes"),
    "run": ("run", "PlotAll"),
}


def prepared(lab, name):
    """Bring a lab that is done to where the command has something to do; return what must not change by a kill."""
    if name == "accept":
        edited = lab.results / "s-even" / "stats.json"
        edited.write_bytes(edited.read_bytes().replace(b"{", b"{ ", 1))
    if name == "run":
        for folder in ("s-even", "s-odd"):
            (lab.results / folder / "stats.json").unlink()
            shutil.rmtree(lab.results / folder / "runs")
    return everything(lab)


def start(lab, words, environment):
    command = [BIN / "neuroluigi", *words, *FAKES]
    env = {**clean_environment(), **environment}
    return commands.run(command, cwd=lab.folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)


def is_ours(name):
    """Whether it is a result, not a record, log, report or crate."""
    folder, _, rest = name.partition("/")
    return folder != "recordings" and rest.count("/") == 1 and not rest.startswith(".")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process can be killed by SIGKILL on POSIX alone")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_kill_at_any_change_of_a_file_loses_nothing(lab, tmp_path, name):
    words = COMMANDS[name]
    before = prepared(lab, name)
    whole = lab.copied_to(tmp_path / "whole" / "lab")
    count = tmp_path / "count"
    assert start(whole, words, killed_at(whole.folder, 0, count)).returncode == 0
    after, changes = everything(whole), count.stat().st_size
    assert changes > 1
    moments = range(1, changes + 1)
    if MOMENTS:
        moments = sorted(random.Random(f"{SEED} {name}").sample(moments, min(MOMENTS, changes)))
    print(f"{name}: killed at {len(moments)} of {changes} changes, seed {SEED}")
    for moment in moments:
        killed = lab.copied_to(tmp_path / str(moment) / "lab")
        assert start(killed, words, killed_at(killed.folder, moment)).returncode == -9, moment
        left = everything(killed)
        # A result is what it was, what it is to be, or, where the command removes it, gone.
        wrong = [one for one in filter(is_ours, left) if ".part-" not in one]
        wrong = [one for one in wrong if left[one] not in (before.get(one), after.get(one))]
        assert not wrong, (moment, wrong)
        lost = [one for one in before if is_ours(one) and one in after and one not in left]
        assert not lost or name == "run", (moment, lost)
        ends_well(killed, name, words, before, after, moment)
        shutil.rmtree(killed.folder.parent)


def ends_well(lab, name, words, before, after, moment):
    """The same command again, and a run, end as if nothing had been killed."""
    if name != "run":
        # An edit may have been accepted already; then it says so.
        ask(lab, *words, code=None, notes=[])
    lab.go()
    assert not [one for one in lab.results.rglob("*.part-*")], moment
    assert not list((lab.results / ".runs").glob("*")) if (lab.results / ".runs").exists() else True, moment
    now = everything(lab)
    results = [one for one in now if is_ours(one)]
    if name in ("drop", "clean"):
        # The run makes what was cleaned, and what is needed of what was dropped.
        assert all(now[one] == before[one] for one in results), moment
    else:
        assert {one: now[one] for one in results} == {one: after[one] for one in after if is_ours(one)}, moment
    if name == "accept":
        assert "mine" in (lab.results / "s-even" / "runs" / "Stats.json").read_text(), moment
    if name in ("report", "export"):
        ending = {"report": "report.html", "export": "ro-crate-metadata.json"}[name]
        assert (lab.results / ending).read_bytes().rstrip()[-1:] in (b">", b"}"), moment
