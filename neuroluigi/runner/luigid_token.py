"""The token of luigid, in a file that only its user can read; and files of this user alone in general."""

import contextlib
import os
import secrets
import stat
import sys
import tempfile
from pathlib import Path

# What others must not be able to do with a file.
NOT_WRITE, NOT_READ = 0o022, 0o077


def token_path(port: int | str) -> Path:
    """Return where this user's token of luigid on a port is."""
    folder = Path(os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_STATE_HOME", ""))
    if not folder.is_absolute():
        folder = Path.home() / ".local" / "state"
    return folder / "neuroluigi" / f"luigid-{port}.token"


def read_token(port: int | str) -> str:
    """Return this user's token for a port, "" where there is none. Raises OSError where others can read it."""
    try:
        return read_own(token_path(port), NOT_READ).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return ""


def make_token(port: int | str) -> str:
    """Return this user's token for a port, a new one where there is none. Raises OSError."""
    path = token_path(port)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # It lasts, so that runs and pages outlive a luigid that is started again; of two at the same time the first counts.
    with contextlib.suppress(FileExistsError):
        write_own(path, secrets.token_urlsafe(32).encode(), is_new=True)
    return read_token(port)


def read_own(path: Path, denied: int) -> bytes:
    """Return the content of a regular file of this user with which others can't do what is `denied`.

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
        return file.read()


def write_own(path: Path, content: bytes, is_new: bool = False) -> None:
    """Write a file that only this user can read, whole or not at all. Raises OSError, FileExistsError if `is_new`."""
    # O_EXCL, 0600, and a name that nobody can guess.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        if is_new:
            path.hardlink_to(part)
        else:
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)
