"""The commit of result files together with their run record: all or none, whenever it is killed.

The files are whole, under temporary names, before a *pending* record names them. If a commit is killed after that, the
next run finishes it: it renames the files that are left, and last the pending record itself. While there is a pending
record, its step counts as not done. Where a file was lost or changed meanwhile, none is renamed; and where others had
been, they are put aside, so that old and new are never taken for one result.

Where no file is replaced there is no need of all that: the record comes first, and a step whose files are not there
counts as not done.

A pending record is data, of whoever could write there: it is believed only where it gives temporary files, in the
folder of the step, the names that they are for.

No system replaces a folder by another one at once. So an old folder is put aside first, before anything else is
renamed, and removed last; where it can't be put aside, as on Windows while a program has a file of it open, nothing is
changed.
"""

import contextlib
import errno
import itertools
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from neuroluigi.provenance.contents import checksum, describe, digest_of_json, measure, sync
from neuroluigi.provenance.files import (
    describe_file,
    flushed,
    path_in_root,
    read_bytes,
    read_json,
    remove_path,
    sync_folder,
    with_known_time,
    write_json,
    write_text,
)
from neuroluigi.provenance.locks import waited_lock
from neuroluigi.provenance.parts import final_name, part_path
from neuroluigi.provenance.record import read_record, sibling_path
from neuroluigi.provenance.unflushed import flushed_later

logger = logging.getLogger("luigi-interface")


def pending_path(record: str | Path) -> Path:
    """Return the path of the pending record: that of a record while its files are renamed."""
    return Path(sibling_path(record, ".pending.json"))


def folder_lock(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Return the lock that a step holds while it commits into `folder`; the system frees it when its process ends."""
    return waited_lock(folder / ".lock", "a folder of results")


def commit(
    parts: Mapping[Path, Path],
    record_path: Path,
    record: dict,
    obsolete: Iterable[Path] = (),
    is_done: Callable[[], bool] = lambda: False,
) -> bool:
    """Rename all parts {temporary: final} and write the record, all or none; then remove `obsolete` files.

    A part may be a folder. Returns False, and changes nothing, if `is_done()` under the lock: another run was faster,
    and a file that others read already is not replaced by its equal. Raises OSError.
    """
    with flushed_later(record_path):
        return _commit(parts, record_path, record, obsolete, is_done)


def _commit(
    parts: Mapping[Path, Path], record_path: Path, record: dict, obsolete: Iterable[Path], is_done: Callable[[], bool]
) -> bool:
    folder, renames = record_path.parent, []
    for part, final in parts.items():
        sync(part)
        identity = _identity(part)
        renames.append(_Rename(part, final, part_path(final) if "files" in identity else None, identity))
    with folder_lock(folder):
        _finish(record_path)
        if is_done():
            return False
        if any(os.path.lexists(one.final) for one in renames if one.final.parent != folder):
            write_json(pending_path(record_path), {**record, "renames": [one.described(folder) for one in renames]})
            _carry_out(record_path, record, renames)
        else:
            # Nothing is replaced: killed before the last rename, it is a step whose files are not there.
            write_json(record_path, record)
            _keep_folder(folder)
            for one in renames:
                one.carry_out(record)
        for path in obsolete:
            path.unlink(missing_ok=True)
    return True


def recover(record_path: Path) -> bool:
    """Finish the commit of a run record, if one was killed; return whether there was one. Raises OSError."""
    if not _is_interrupted(record_path):
        return False
    with folder_lock(record_path.parent):
        _finish(record_path)
    return True


def finish_commits(folder: Path) -> None:
    """Finish the commits that were killed whose records are in a folder, if there are any. Raises OSError."""
    # A session may be called like one.
    if left := [path for path in folder.glob("*.pending.json") if path.is_file()]:
        with folder_lock(folder):
            for pending in left:
                _finish(pending.with_name(f"{pending.name.removesuffix('.pending.json')}.json"), is_own=False)


def follow_moved(record_path: Path, moved: Mapping[int, str], roots: Mapping[str, Path]) -> None:
    """Record where the inputs lie now that were moved or renamed, by their position in the record. Raises OSError."""
    with folder_lock(record_path.parent):
        # As it is, whatever its schema.
        record = read_json(record_path) or {}
        inputs = record.get("inputs", [])
        for position, path in moved.items():
            described = describe_file(Path(path), roots, inputs[position]["sha256"])
            kept = {name: value for name, value in inputs[position].items() if name != "root"}
            inputs[position] = {**kept, **with_known_time(described, time.time_ns())}
        write_json(record_path, record)


def rewrite(record_path: Path, path: Path, text: str, ignore: Sequence[str], roots: Mapping[str, Path]) -> None:
    """Write the JSON file of a result anew, where it differs in nothing but what is ignored. Raises OSError.

    Its record has its size and time afterwards, also where the file is as it should be and was only touched.
    """
    with folder_lock(record_path.parent):
        before, content, record = read_bytes(path), text.encode(), read_json(record_path) or {}
        if digest_of_json(before, ignore) != (sha256 := digest_of_json(content, ignore)):
            return
        if before != content:
            write_text(path, text)
        described = describe(path, roots, sha256, ignore)
        for one in record.get("outputs", ()):
            # Of a file that was edited it has another checksum; a time that is not right has the file read again.
            if path_in_root(path, roots).items() <= one.items() and one["sha256"] == sha256:
                one.update(with_known_time(described, time.time_ns(), tick_ns=0))
                write_json(record_path, record)


def put_aside(paths: Iterable[Path], what: str = "damaged") -> list[Path]:
    """Rename files to <name>.damaged, or <name>.damaged-2 and so on, or as `what` they are; return the new paths."""
    kept = []
    for path in paths:
        if os.path.lexists(path):
            names = itertools.chain([f".{what}"], (f".{what}-{number}" for number in itertools.count(2)))
            free = (aside for name in names if not os.path.lexists(aside := path.with_name(path.name + name)))
            kept.append(path.replace(next(free)))
            # It can't be made again.
            with flushed(at_once=True):
                if _identity(kept[-1]):
                    sync(kept[-1])
                sync_folder(path.parent)
    return kept


def _identity(path: Path) -> dict[str, int]:
    """Return size, time, and of a folder the number of files; {} for what is no result, such as a link."""
    found = None if path.is_symlink() else measure(path)
    return found.described() if found else {}


@dataclass(frozen=True)
class _Rename:
    """One rename of a commit: `identity` is what the part was; `aside`, of a folder, where the old one goes."""

    part: Path
    final: Path
    aside: Path | None
    identity: Mapping[str, int]

    def described(self, folder: Path) -> dict:
        """Return it as a pending record in a folder has it."""
        paths = {"part": self.part, "final": self.final, **({"aside": self.aside} if self.aside else {})}
        return {**{name: os.path.relpath(path, folder) for name, path in paths.items()}, **self.identity}

    def is_at(self, path: Path, record: Mapping) -> bool:
        """Whether what is at a path is the file, or folder, that the record describes."""
        found, outputs = _identity(path), record.get("outputs")
        if found == self.identity or not found or not outputs:
            return found == self.identity != {}
        if self.aside is None and found["bytes"] != self.identity.get("bytes"):
            return False
        # It was copied or touched since. The record has no checksum of the log.
        named = [one for one in outputs if Path(one["path"]).name == self.final.name]
        return not named or any(checksum(path, one.get("ignore", ())) == one["sha256"] for one in named)

    def is_ready(self, record: Mapping) -> bool:
        """Whether the part, or what has its final name already, is what the record describes."""
        return self.is_at(self.part if os.path.lexists(self.part) else self.final, record)

    def put_old_aside(self) -> None:
        if self.aside and self.part.exists() and os.path.lexists(self.final) and not os.path.lexists(self.aside):
            self.final.replace(self.aside)

    def carry_out(self, record: Mapping) -> None:
        if os.path.lexists(self.part):
            self._clear_final()
            self.part.replace(self.final)
            sync_folder(self.final.parent)
        elif not self.is_at(self.final, record):
            raise FileNotFoundError(errno.ENOENT, "was removed while it was committed", str(self.part))

    def take_back(self) -> None:
        """Put the old folder back, where it was put aside."""
        if self.aside and os.path.lexists(self.aside):
            self._clear_final()
            self.aside.replace(self.final)

    def undo(self, record: Mapping) -> None:
        """Leave nothing new under the final name: what was there before, if that is there, or nothing."""
        if not os.path.lexists(self.part) and self.is_at(self.final, record):
            for kept in put_aside([self.final]):
                logger.warning("a commit could not be finished: %s is kept as %s", self.final, kept.name)
        self.take_back()

    def _clear_final(self) -> None:
        # Somebody made another folder since the old one was put aside.
        if self.aside and os.path.lexists(self.final):
            put_aside([self.final])

    def remove_old(self) -> None:
        # What can't be removed has a temporary name, and is tried again when this run has ended.
        with contextlib.suppress(OSError):
            if self.aside:
                remove_path(self.aside)


def _is_interrupted(record_path: Path) -> bool:
    # Each commit asks twice.
    return os.path.lexists(sibling_path(record_path, ".pending.json"))


def _renames(record: Mapping, folder: Path) -> list[_Rename]:
    """Return the renames of a pending record; ValueError for one that no commit wrote, or that leads elsewhere."""
    found = []
    for one in record.get("renames") or [{}]:
        paths = {name: Path(os.path.normpath(folder / one[name])) for name in ("part", "final", "aside") if name in one}
        identity = {name: value for name, value in one.items() if name not in paths}
        if not {"part", "final"} <= paths.keys() or not all(isinstance(value, int) for value in identity.values()):
            raise ValueError("it is not of a commit")
        final = paths.pop("final")
        above = Path(os.path.relpath(final.parent, folder.parent))
        if ".." in above.parts:
            raise ValueError("it leads out of the folder")
        if Path(os.path.realpath(final.parent)) != Path(os.path.realpath(folder.parent), above):
            raise ValueError("it leads through a link")
        if any(path.parent != final.parent or final_name(path.name) != final.name for path in paths.values()):
            raise ValueError("it renames what is no temporary file of that name")
        found.append(_Rename(paths["part"], final, paths.get("aside"), identity))
    return found


def _finish(record_path: Path, is_own: bool = True) -> None:
    """Carry out the renames of a pending record, if there is one; the caller holds the folder's lock.

    A file of that name which no commit wrote is put aside, unless another step than that of the caller has the name.
    """
    if not _is_interrupted(record_path):
        return
    pending = pending_path(record_path)
    record = read_record(pending) or {}
    try:
        renames = _renames(record, record_path.parent)
    except (ValueError, TypeError, AttributeError) as error:
        if is_own:
            for kept in put_aside([pending]):
                logger.warning("%s is passed over, and kept as %s: %s", pending, kept.name, error)
        return
    whole = {name: value for name, value in record.items() if name != "renames"}
    # Once the record is written there is no way back: what happened to the files since is not the commit's.
    if read_record(record_path) == whole:
        _clear_up(record_path, renames)
    elif all([one.is_ready(whole) for one in renames]):
        _carry_out(record_path, whole, renames)
    else:
        # A part was removed, or changed, by hand: there would be a record of another file.
        for one in renames:
            one.undo(whole)
        pending.unlink()


def _keep_folder(folder: Path) -> None:
    """Make sure, before a file gets its name, that a power cut can't take away the folder of its record."""
    sync_folder(folder.parent)


def _carry_out(record_path: Path, record: Mapping, renames: Sequence[_Rename]) -> None:
    _keep_folder(record_path.parent)
    _put_olds_aside(renames, pending_path(record_path))
    for one in renames:
        one.carry_out(record)
    write_json(record_path, record)
    _clear_up(record_path, renames)


def _clear_up(record_path: Path, renames: Sequence[_Rename]) -> None:
    for one in renames:
        one.remove_old()
    pending_path(record_path).unlink()


def _put_olds_aside(renames: Sequence[_Rename], pending: Path) -> None:
    """Put all old folders aside, or none; then there is no commit any more. Raises OSError."""
    for one in renames:
        try:
            one.put_old_aside()
        except OSError as error:
            for other in renames:
                other.take_back()
            pending.unlink()
            raise OSError(
                f"{one.final} can't be replaced ({error.strerror}), and stays as it was; close the program that has one"
                " of its files open, and run again"
            ) from error
