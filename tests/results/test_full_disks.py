"""Every command on a disk with hardly any room: it ends in a few lines, nothing is lost, and with room all is right."""

import os
import shutil
import subprocess

import pytest

from tests import commands
from tests.conftest import BIN, TORTURE, clean_environment
from tests.results.conftest import FAKES, ask, everything
from tests.results.test_killed_commands import COMMANDS, ends_well, is_ours, prepared

PAGE = 4096
# So many pages are free.
ROOM = range(64) if TORTURE else (0, 1, 3, 7)


@pytest.fixture
def disk(tmp_path):
    """A disk of 16 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a file system can be mounted by root on Linux alone")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk, pages):
    """Leave so many pages of a disk free; return the file that takes all others."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        free = os.statvfs(disk).f_bavail
        os.posix_fallocate(file.fileno(), 0, (free - pages) * PAGE)
    assert os.statvfs(disk).f_bavail <= pages
    return filler


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="needs a disk that can be filled to the page")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_costs_a_message_and_nothing_else(lab, disk, tmp_path, name):
    words = COMMANDS[name]
    before = prepared(lab, name)
    whole = lab.copied_to(tmp_path / "whole")
    ask(whole, *words, notes=[])
    after = everything(whole)
    for pages in ROOM:
        full = lab.copied_to(disk / "lab")
        filler = fill(disk, pages)
        command = [BIN / "neuroluigi", *words, *FAKES]
        done = commands.run(
            command,
            cwd=full.folder,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )
        assert done.returncode in (0, 1, 30) and "Traceback" not in done.stdout + done.stderr, (pages, done)
        if done.returncode == 1:
            assert len(done.stderr.splitlines()) <= 3 and "No space left" in done.stderr + done.stdout, (pages, done)
        left = everything(full)
        assert not [one for one in left if ".part-" in one], pages
        results = {one: content for one, content in left.items() if is_ours(one)}
        wrong = [one for one in results if results[one] not in (before.get(one), after.get(one))]
        lost = [one for one in before if is_ours(one) and one in after and one not in left]
        assert not wrong and (not lost or name == "run"), (pages, wrong, lost)
        filler.unlink()
        ends_well(full, name, words, before, after, pages)
        shutil.rmtree(full.folder)
