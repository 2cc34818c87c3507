"""Files: written whole or not at all; read, hashed, described."""

import contextlib
import contextvars
import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from neuroluigi.provenance.parts import part_path

_BLOCK = 1 << 20
# The records and tables of even the largest studies are smaller; a sparse file that is read whole fills the memory.
MOST_BYTES_READ = 1 << 28
# The last lines of a log are searched in so much of its end.
_TAIL_BYTES = 1 << 16
# Two writes so close to each other may leave a file with one time: whole seconds are kept by some network disks, every
# second one by exFAT; other times come from a clock of at most 16 ms.
_SECOND = 1_000_000_000
_TICK = _SECOND // 50

_is_flushed = contextvars.ContextVar("_is_flushed", default=True)


def only_regular(path: str | Path, flags: int) -> int:
    """Open a file as the `opener` of open() does. Raises OSError for what is no regular file.

    What may never end, or waits for another process, such as a device or a pipe, is so found at once. A link is
    followed to read, and not to write.
    """
    is_written = flags & (os.O_WRONLY | os.O_RDWR)
    flags |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags | (getattr(os, "O_NOFOLLOW", 0) if is_written else 0), 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is no regular file", os.fspath(path))
    return descriptor


def read_stamped(path: str | Path) -> tuple[bytes, os.stat_result]:
    """Return the content of a file, and what the disk says of it. Raises OSError as read_bytes() does."""
    # Half the system calls of open(); a plan reads tens of thousands.
    descriptor = only_regular(path, os.O_RDONLY)
    try:
        found = os.fstat(descriptor)
        if (size := found.st_size) > MOST_BYTES_READ:
            raise OSError(errno.EFBIG, f"has {size} bytes, more than the {MOST_BYTES_READ} that are read", str(path))
        return os.read(descriptor, size), found
    finally:
        os.close(descriptor)


def read_bytes(path: str | Path) -> bytes:
    """Return the content of a file. Raises OSError, also for what is no regular file, or larger than any record."""
    return read_stamped(path)[0]


def read_json(path: str | Path) -> dict | None:
    """Return the content of a JSON file, None where it is no object or can't be read."""
    try:
        return as_object(read_bytes(path))
    except OSError:
        return None


def as_object(content: bytes) -> dict | None:
    """Return the JSON object that is in the content of a file, None where there is none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def write_json(path: Path, record: Mapping, is_durable: bool = True) -> None:
    """Write a record so that a kill, or a power cut if it `is_durable`, leaves the old one or the new one whole."""
    write_text(path, json.dumps(record, indent=1, ensure_ascii=False) + "\n", is_durable=is_durable)


def write_text(path: Path, text: str, errors: str = "surrogatepass", is_durable: bool = True) -> None:
    """Write a text file in UTF-8 so that a kill, or a power cut if it `is_durable`, leaves the old one or the new one.

    Raises OSError.
    """
    # A folder's name may have bytes that are no text; Python's json reads them back.
    content = text.encode("utf-8", errors)
    part = part_path(path)
    try:
        # A link is not followed.
        with part.open("xb") as file:
            file.write(content)
            if is_durable and is_flushed_at_once():
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if is_durable:
        sync_folder(path.parent)


def remove_path(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it."""
    try:
        path.unlink(missing_ok=True)
        return
    except OSError:
        # Each system refuses a folder in its own way.
        if path.is_symlink() or not path.is_dir():
            raise
    try:
        shutil.rmtree(path)
    except PermissionError:
        # Of what can't be written nothing can be removed.
        for top, _, names in os.walk(path):
            for one in (top, *(os.path.join(top, name) for name in names)):
                if not os.path.islink(one):
                    os.chmod(one, 0o700)
        shutil.rmtree(path)


def remove_whole(path: Path) -> None:
    """Remove a file or folder at once: of a folder, a kill or a power cut leaves all or nothing under its name."""
    if path.is_dir() and not path.is_symlink():
        path = path.replace(part_path(path))
        sync_folder(path.parent)
    remove_path(path)


@contextlib.contextmanager
def flushed(at_once: bool) -> Iterator[None]:
    """Flush what is written in this context at once, or leave it to whoever flushes the disk later."""
    token = _is_flushed.set(at_once)
    try:
        yield
    finally:
        _is_flushed.reset(token)


def is_flushed_at_once() -> bool:
    """Whether what is written now is to be flushed at once."""
    return _is_flushed.get()


def sync_file(path: str | Path) -> None:
    """Make the content of a file durable against a power cut."""
    if not is_flushed_at_once():
        return
    # Windows wants a file that may be written; elsewhere, one that may be read is enough.
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the renames in `folder` durable against a power cut, where the system can."""
    if os.name == "posix" and is_flushed_at_once():
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def describe_file(path: Path, roots: Mapping[str, Path], sha256: str | None = None) -> dict:
    """Return path (relative to one of `roots`), size in bytes, mtime and sha256 of a file. Raises OSError."""
    stat = path.stat()
    return {
        **path_in_root(path, roots),
        "bytes": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "sha256": sha256 or hash_file(path),
    }


def is_young(mtime_ns: int, now_ns: int, tick_ns: int = _TICK) -> bool:
    """Return whether a file that has this time could change right after `now_ns` and have it still."""
    grain = 2 * _SECOND if mtime_ns % (2 * _SECOND) == 0 else _SECOND if mtime_ns % _SECOND == 0 else tick_ns
    # The clock of a file server is not ours.
    return -60 * _SECOND < now_ns - mtime_ns < grain


def with_known_time(described: Mapping, now_ns: int, tick_ns: int = _TICK) -> dict:
    """Return the description of a file, of `now_ns`, for a record: a time that proves nothing becomes None.

    The file is then read again at each look, until its checksum is kept for a time that does.
    """
    young = is_young(described["mtime_ns"], now_ns, tick_ns)
    return {**described, "mtime_ns": None if young else described["mtime_ns"]}


def path_in_root(path: str | Path, roots: Mapping[str, str | Path]) -> dict:
    """Return {"root": name, "path": path within it} of an absolute path; {"path": path} where it is in no root."""
    text = os.fspath(path)
    for name, root in roots.items():
        top = os.fspath(root).rstrip(os.sep)
        if text.startswith(top + os.sep):
            return {"root": name, "path": text[len(top) + 1 :].replace(os.sep, "/")}
    return {"path": text.replace(os.sep, "/")}


def is_below(folder: Path, roots: Sequence[Path]) -> bool:
    """Whether a folder is below one of these, or one of them, and no link is on the way there."""
    for root in roots:
        if folder.is_relative_to(root):
            return Path(os.path.realpath(folder)) == Path(os.path.realpath(root), folder.relative_to(root))
    return False


def last_lines(path: str | Path, count: int) -> list[str]:
    """Return up to `count` last lines of a log; none where it can't be read."""
    try:
        with open(path, "rb", opener=only_regular) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()[-count:]
    except OSError:
        return []


def hash_file(path: str | Path, on_block: Callable[[int], None] = lambda size: None) -> str:
    """Return the sha256 of a file in hexadecimal digits; `on_block` gets the size of each block. Raises OSError."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0, opener=only_regular) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            on_block(len(block))
    return digest.hexdigest()


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log as one text, "" where it can't be read."""
    return "\n".join(last_lines(log, lines))
