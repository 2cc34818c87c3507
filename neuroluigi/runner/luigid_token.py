"""The token of luigid, in a file that only its user can read."""

import contextlib
import os
import secrets
import sys
from pathlib import Path

from neuroluigi.provenance.own_file import NOT_READ, read_own, write_own


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
