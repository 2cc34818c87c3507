"""Files of this user alone: those that nobody else can read, or change."""

import os
import stat
import sys
from pathlib import Path

from neuroluigi.provenance.parts import part_path

# What others must not be able to do with a file.
NOT_WRITE, NOT_READ = 0o022, 0o077


def read_own(path: Path, denied: int, most: int = -1) -> bytes:
    """Return the content of a regular file of this user with which others can't do what is `denied`.

    Of a larger file no more than `most` bytes are read, where that is given.
    Raises OSError for any other one. On Windows, which has no such permissions, they are not checked.
    """
    # A link may lead to any file, and a FIFO would be waited for.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise PermissionError(f"{path} is no regular file")
        if sys.platform != "win32":
            if found.st_uid != os.geteuid():
                raise PermissionError(f"{path} belongs to another user")
            if found.st_mode & denied:
                what = "write" if found.st_mode & denied & NOT_WRITE else "read"
                raise PermissionError(f"{path}: others can {what} it (chmod 600 ends that)")
        return file.read(most)


def write_own(path: Path, content: bytes, is_new: bool = False) -> None:
    """Write a file that only this user can read, whole or not at all. Raises OSError, FileExistsError if `is_new`."""
    part = part_path(path)
    try:
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(content)
        if is_new:
            path.hardlink_to(part)
        else:
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)
