"""What may lie in place of a file that is ours: nothing hangs at it, and nothing fails."""

import os
from pathlib import Path

KINDS = ("folder", "link", "pipe", "sparse", "of something else")


def put(path: Path, kind: str) -> None:
    """Leave something of that kind at a path at which there is nothing."""
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(path.with_name("nowhere"))
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "sparse":
        with path.open("wb") as file:
            file.truncate(10**12)
    else:
        path.write_bytes(b"something else\n" * 100)
