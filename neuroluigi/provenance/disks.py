"""Disks: which are of this machine, how all that was written to one is flushed, and whether the machine has stopped."""

import ctypes
import os
import platform
import sys
from pathlib import Path

import psutil

# Those of this machine, whose cache the kernel writes out when it is told to. What is behind a network, or another
# program (FUSE), may answer before anything is safe.
_LOCAL = frozenset(
    ("bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "overlay", "reiserfs", "tmpfs", "xfs", "zfs")
)


def can_flush_disks() -> bool:
    """Whether this system flushes all that was written to a disk at once."""
    return sys.platform == "linux"


def is_local(folder: Path) -> bool:
    """Whether a folder, or the one above where it will be, is on a disk of this machine that can be flushed at once."""
    return can_flush_disks() and file_system_of(folder) in _LOCAL


def file_system_of(folder: Path) -> str:
    """Return the type of the file system of a folder, which need not be there yet; "" where it is not known."""
    place = Path(os.path.realpath(folder))
    mounted = {Path(one.mountpoint): one.fstype for one in psutil.disk_partitions(all=True)}
    return next((mounted[one] for one in (place, *place.parents) if one in mounted), "")


class Disk:
    """The disk that a folder is on, open: errors of what was written since then are found when it is flushed."""

    def __init__(self, folder: Path):
        self._descriptor = os.open(folder, os.O_RDONLY)
        self._library = ctypes.CDLL(None, use_errno=True)

    def flush(self) -> None:
        """Wait until all that was written to it outlives a power cut. Raises OSError where something does not."""
        if self._library.syncfs(self._descriptor):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def close(self) -> None:
        """Close it; it is not flushed."""
        os.close(self._descriptor)


def flush_disk_of(folder: Path) -> None:
    """Flush the disk that a folder is on. Raises OSError."""
    disk = Disk(folder)
    try:
        disk.flush()
    finally:
        disk.close()


def boot_id() -> str:
    """Return what is another after each start of the machine: what it had in memory alone is lost since."""
    return _text_of("/proc/sys/kernel/random/boot_id") or f"{platform.node()} {psutil.boot_time():.0f}"


def machine_id() -> str:
    """Return what no other machine has, "" where that is not known."""
    return _text_of("/etc/machine-id")


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
