"""Large files, mapped where that is safe: as fast as a memory map, with the errors of reading.

With a plain memory map, a file that is cut or a disk that fails ends the process (SIGBUS). Linux can be asked to read
the pages first, and then reports what is wrong: only what goes wrong while a view is worked on is not noticed. Where it
can't be asked, there is no view, and bytes are read.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
from io import FileIO
from pathlib import Path

import numpy as np

# Of Linux 5.14 and later; Python has no name for it.
_POPULATE_READ = 22
# What is mapped counts as memory of the process, so it is given back from time to time.
_MOST_MAPPED_BYTES = 1 << 25


class MappedFiles:
    """Files to read from, of which one is open at a time: the last that was asked for."""

    def __init__(self) -> None:
        self._name = ""
        self._file: FileIO | None = None
        self._map: mmap.mmap | None = None
        self._mapped_bytes = 0

    def __enter__(self) -> "MappedFiles":
        return self

    def __exit__(self, *error: object) -> None:
        if self._file:
            self._file.close()

    def view(self, name: str, offset: int, size: int, alignment: int) -> np.ndarray | None:
        """Return `size` bytes, from `offset` on, as read-only uint8 that are not copied; None where that can't be.

        They begin at a multiple of `alignment` bytes in memory: on others NumPy is slower than a copy.
        """
        file = self._open(name)
        if not self._map or offset % alignment or not self._has_read(self._map, file, offset, size):
            return None
        return np.frombuffer(self._map, np.uint8, size, offset)

    def read_into(self, data: np.ndarray, name: str, offset: int) -> bool:
        """Fill uint8 with the bytes from `offset` on; return whether the file has as many."""
        file = self._open(name)
        file.seek(offset)
        filled = 0
        while filled < len(data) and (count := file.readinto(data.data[filled:])):
            filled += count
        return filled == len(data)

    def _open(self, name: str) -> FileIO:
        if not self._file or name != self._name:
            self.__exit__()
            self._name, self._map, self._mapped_bytes = name, None, 0
            self._file = Path(name).open("rb", buffering=0)  # noqa: SIM115 (__exit__ closes it)
            if sys.platform == "linux" and os.fstat(self._file.fileno()).st_size:
                # Open as long as there is an array that views it.
                self._map = mmap.mmap(self._file.fileno(), 0, prot=mmap.PROT_READ)
                self._map.madvise(mmap.MADV_SEQUENTIAL)
        return self._file

    def _has_read(self, mapped: mmap.mmap, file: FileIO, offset: int, size: int) -> bool:
        is_read = False
        if sys.platform == "linux":
            if self._mapped_bytes > _MOST_MAPPED_BYTES:
                mapped.madvise(mmap.MADV_DONTNEED)
                self._mapped_bytes = 0
            self._mapped_bytes += size
            begin = offset - offset % mmap.PAGESIZE
            # An older kernel refuses; and what is wrong with the file, read_into() will say.
            with contextlib.suppress(OSError, ValueError):
                mapped.madvise(_POPULATE_READ, begin, offset + size - begin)
                # In the last page, what is beyond the end of a file reads as zeros.
                is_read = os.fstat(file.fileno()).st_size >= offset + size
        return is_read
