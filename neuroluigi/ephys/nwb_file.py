"""An NWB file as a whole: written so that the same content is the same bytes, and validated."""

import contextlib
import errno
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from neuroluigi.ephys.own_process import in_own_process
from neuroluigi.steps.describe import StepError
from neuroluigi.steps.target import DamagedError, ResultTarget

if TYPE_CHECKING:
    from pynwb import NWBFile

_OBJECT_ID = "object_id"
_ERRNO = re.compile(r"errno = (\d+)")
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Of an invalid file, so many errors are named.
_MOST_ERRORS = 5


class Nwb(ResultTarget):
    """session.nwb: an NWB file, whole by its own header."""

    def check(self, path: Path) -> None:
        super().check(path)
        with path.open("rb") as file:
            start = file.read(48)
        # Of superblocks 2 and 3 the end of the file is behind two addresses, of 0 behind more fields.
        if start[:8] != _SIGNATURE:
            raise DamagedError(f"{path.name} is no HDF5 file, as NWB files are")
        place = 28 if start[8] in (2, 3) else 40
        end = int.from_bytes(start[place : place + 8], "little")
        if end > path.stat().st_size:
            raise DamagedError(f"{path.name} is cut short: {path.stat().st_size} of {end} bytes")


def write(file: "NWBFile", path: Path) -> None:
    """Write a file, with names of objects that its identifier and their places decide. Raises OSError and StepError."""
    from pynwb import NWBHDF5IO

    def write_all() -> None:
        with _errors_of_the_disk(path):
            with NWBHDF5IO(os.fspath(path), "w") as opened:
                opened.write(file)
            _name_objects(path, file.identifier)

    in_own_process(write_all, path)


def _name_objects(path: Path, identifier: str) -> None:
    """Replace the random names of objects: by the same inputs the file is the same, byte by byte."""
    import h5py

    space = uuid.UUID(identifier)
    with h5py.File(path, "r+") as file:

        def name(place: str, item: object) -> None:
            if _OBJECT_ID in item.attrs:  # type: ignore[attr-defined]
                item.attrs.modify(_OBJECT_ID, str(uuid.uuid5(space, f"/{place}")))  # type: ignore[attr-defined]

        name("", file)
        file.visititems(name)


@contextlib.contextmanager
def _errors_of_the_disk(path: Path) -> Iterator[None]:
    """Turn what HDF5 says of a full disk, in a page of its own words, into the error of the system."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        match = _ERRNO.search(str(error))
        if not match:
            raise
        number = int(match[1])
        raise OSError(number, os.strerror(number or errno.EIO), os.fspath(path)) from error


def validate(path: Path) -> None:
    """Raise StepError where the file is not as NWB's schema wants it."""
    import pynwb

    found = pynwb.validate(path=os.fspath(path))
    if found:
        listed = "; ".join(map(str, found[:_MOST_ERRORS]))
        raise StepError(f"what was written is not valid NWB, which is an error of neuroluigi: {listed}")
