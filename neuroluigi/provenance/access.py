"""Why a user can't write to a folder that several users share: whose it is, and what they have to do."""

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path


def why_denied(path: Path, shared: Path) -> str:
    """Return why this process can't write to a file or folder, or make it, and what to do; "" where it can.

    `shared` is the folder that the users share. Of Windows nothing is known: there it is "".
    """
    there = path
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    may_write = os.access(there, os.W_OK | (os.X_OK if there.is_dir() else 0))
    return "" if may_write else _whose(there, shared if there.is_relative_to(shared) else there)


def _whose(path: Path, shared: Path) -> str:
    if sys.platform == "win32":
        return ""
    else:
        try:
            found = path.stat()
        except OSError as error:
            return f"can't write to {path}: {error.strerror}"
        mode = stat.filemode(found.st_mode)
        if found.st_uid == os.geteuid():
            return (
                f"can't write to {path}, which is yours and read-only ({mode}); chmod u+w it, or choose another folder"
            )
        owner, group = _name(path.owner, found.st_uid), _name(path.group, found.st_gid)
        share = f"chmod -R g+w {shared}"
        if found.st_gid not in (os.getegid(), *os.getgroups()):
            share = f"chgrp -R {shared} to a group that both of you are in, and {share}"
        return (
            f"can't write to {path}, which is of {owner} and the group {group} ({mode}); to share it, {owner} has to"
            f" {share}, and both of you set umask 002 before each run"
        )


def _name(ask: Callable[[], str], number: int) -> str:
    """Return the name of a user or group; of one that this machine does not know, the number."""
    try:
        return ask()
    except KeyError:
        return str(number)
