"""After a power cut: what a run had not flushed is read again, once, before anything believes it.

Sizes and times may be right where bytes are lost. What is not what its run record says is kept as <name>.damaged, so
that the next run makes it again.
"""

import functools
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from neuroluigi.provenance.commit import put_aside
from neuroluigi.provenance.contents import (
    checksum,
    digest_of_manifest,
    manifest,
    name_in_manifest,
    read_manifest,
    write_manifest,
)
from neuroluigi.provenance.disks import boot_id, flush_disk_of, machine_id
from neuroluigi.provenance.files import hash_file, is_below, only_regular, path_in_root
from neuroluigi.provenance.record import read_record
from neuroluigi.provenance.register import current, is_alive, registers
from neuroluigi.provenance.unflushed import read_unflushed, records_of

logger = logging.getLogger("luigi-interface")


def in_doubt(results: Path) -> frozenset[str]:
    """Return the paths of the run records whose results are to be read again before they are believed."""
    own = current(results)
    return _in_doubt_once(results, own.id) if own else _in_doubt(results)


# Who writes results has made sure of what was in doubt before; what is left could not be read.
@functools.lru_cache(maxsize=1)
def _in_doubt_once(results: Path, run_id: str) -> frozenset[str]:
    return _in_doubt(results)


def _in_doubt(results: Path) -> frozenset[str]:
    found = ((path, note) for path, note in registers(results) if has_lost_memory(note) and _has_ended(path, note))
    return frozenset(one for path, _ in found for one in records_of(read_unflushed(path), results))


def has_lost_memory(note: Mapping) -> bool:
    """Whether what the run of that note left to be flushed may be lost, in this start of this machine."""
    return note.get("durable") == "run" and note.get("boot") != boot_id()


def _has_ended(path: Path, note: Mapping) -> bool:
    machine = machine_id()
    return (machine != "" and note.get("machine") == machine) or not is_alive(path)


def make_sure(path: Path, note: Mapping, results: Path) -> None:
    """Make safe what the register of a run that has ended names as not flushed; after a power cut, read it again.

    The caller holds the lock of the register, and has finished the commits that were killed. Raises OSError.
    """
    if not (names := read_unflushed(path)):
        return
    if has_lost_memory(note):
        read = [one for name, outputs in names.items() if (one := _is_right(results, name, outputs)) is not None]
        why = "the machine stopped during a run" if note.get("boot") else "the disk failed during a run"
        logger.warning("%s; %d results were read again, %d of them are made again", why, len(read), read.count(False))
    flush_disk_of(results)


def _is_right(results: Path, name: str, outputs: list[str]) -> bool | None:
    """Return whether the files of a result are what its run record says, None where there is nothing of it.

    Those that are not are put aside. Raises OSError, and NewerRecordError for a record that only a later version reads.
    """
    record_path = results / name
    folder = record_path.parent.parent
    paths = [folder / one for one in outputs]
    if not all(is_below(one.parent, [results]) for one in (record_path, *paths)):
        return None
    there = [path for path in paths if os.path.lexists(path)]
    if not there and not record_path.exists():
        return None
    record = read_record(record_path) or {}
    recorded = {one["path"]: one for one in record.get("outputs", ()) if one.get("root") == "results"}
    roots, checksums, wrong = {"results": results}, {}, []
    for path in there:
        known = recorded.get(path_in_root(path, roots)["path"])
        found = _checksum(path, known, record_path) if known else None
        if found is None:
            wrong.append(path)
        else:
            checksums.update(found)
    for kept in put_aside(wrong):
        logger.warning("%s is not what its run record says; it is kept as %s", kept, kept.name)
    if checksums and read_manifest(record_path.with_suffix(".sha256")) != checksums:
        write_manifest(record_path.with_suffix(".sha256"), checksums)
    return not wrong and (len(there) == len(outputs) or bool(record.get("dropped")))


def _checksum(path: Path, known: Mapping, record_path: Path) -> dict[str, str] | None:
    """Return the checksums of the files in a folder, as a manifest has them, {} of a file; None for another content."""
    ignore = known.get("ignore", ())
    try:
        if not path.is_dir():
            sha256 = _hash_from_disk(path)
            return {} if (checksum(path, ignore) if ignore else sha256) == known["sha256"] else None
        found = manifest(path, ignore, _hash_from_disk)
    except OSError:
        return None
    above = name_in_manifest(path, record_path)
    is_right = digest_of_manifest(found) == known["sha256"]
    return {f"{above}/{name}": sha256 for name, sha256 in found.items()} if is_right else None


def _hash_from_disk(path: str | Path) -> str:
    """Return the sha256 of a file as it is on the disk; what memory has may not have been written."""
    if sys.platform == "linux":
        descriptor = only_regular(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
    return hash_file(path)
