"""Why a user can't write to a folder that several users share: whose it is, and what they have to do."""

import os
import stat
import sys
from pathlib import Path

if sys.platform != "win32":
    import grp
    import pwd


def why_denied(path: Path, shared: Path) -> str:
    """Return why this process can't write to a file or folder, or make it, and what to do; "" where it can.

    `shared` is the folder that the users share. Of Windows nothing is known: there it is "".
    """
    there = path
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if sys.platform == "win32" or os.access(there, os.W_OK | (os.X_OK if there.is_dir() else 0)):
        return ""
    try:
        found = there.stat()
    except OSError as error:
        return f"can't write to {there}: {error.strerror}"
    mode = stat.filemode(found.st_mode)
    if found.st_uid == os.geteuid():
        return f"can't write to {there}, which is yours and read-only ({mode}); chmod u+w it, or choose another folder"
    owner, group = _user(found.st_uid), _group(found.st_gid)
    top = shared if there.is_relative_to(shared) else there
    share = f"chmod -R g+w {top}"
    if found.st_gid not in (os.getegid(), *os.getgroups()):
        share = f"chgrp -R {top} to a group that both of you are in, and {share}"
    return (
        f"can't write to {there}, which is of {owner} and the group {group} ({mode}); to share it, {owner} has to"
        f" {share}, and both of you set umask 002 before each run"
    )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
