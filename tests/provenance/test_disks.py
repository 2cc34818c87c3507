"""Which disks are of this machine, and how one is flushed as a whole."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from neuroluigi.provenance import disks

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="disks are flushed as a whole on Linux alone")


@pytest.mark.parametrize(
    ("folder", "is_local"),
    [
        ("/data/lab/results", True),
        ("/data/server/results", False),
        ("/data/server", False),
        ("/data/serverside", True),
        ("/data/cloud/x", False),
        ("/home/not/there/yet", True),
        ("/proc", False),
    ],
)
@needs_linux
def test_what_is_behind_a_network_or_another_program_is_not_local(monkeypatch, folder, is_local):
    mounts = {"/": "ext4", "/data": "xfs", "/data/server": "nfs4", "/data/cloud": "fuse.sshfs", "/proc": "proc"}
    found = [SimpleNamespace(mountpoint=path, fstype=fstype) for path, fstype in mounts.items()]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: found)
    monkeypatch.setattr(os.path, "realpath", lambda path: path)
    assert disks.is_local(Path(folder)) == is_local


@needs_linux
def test_a_linked_folder_is_where_it_leads(tmp_path):
    (tmp_path / "link").symlink_to("/proc")
    assert disks.file_system_of(tmp_path / "link" / "self") == "proc" != disks.file_system_of(tmp_path)


@needs_linux
def test_a_disk_is_flushed_and_an_error_of_it_is_raised(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    disks.flush_disk_of(tmp_path)
    disk = disks.Disk(tmp_path)
    disk.flush()
    disk.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        disk.flush()


def test_the_start_of_the_machine_has_one_name_also_where_the_system_has_none(monkeypatch):
    assert disks.boot_id() and disks.boot_id() == disks.boot_id()
    monkeypatch.setattr(disks, "_text_of", lambda path: "")
    assert disks.boot_id() == disks.boot_id() and str(round(psutil.boot_time())) in disks.boot_id()
    assert disks.machine_id() == ""
