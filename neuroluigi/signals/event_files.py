"""Files of events as they are written: arrays that grow, whose rows may be written again when more of them is known."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

HEADER_BYTES = 128


def array_header(kind: str, rows: int, columns: int | None = None) -> bytes:
    """Return a .npy header, of 128 bytes whatever the number of rows; `kind` is a dtype's text, such as "<i8"."""
    shape = f"({rows},)" if columns is None else f"({rows}, {columns})"
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00" + (HEADER_BYTES - 10).to_bytes(2, "little") + text.ljust(117).encode() + b"\n"


class GrowingArray:
    """A .npy file of values of 8 bytes to which rows are added, and in which rows are replaced."""

    def __init__(self, path: str, kind: str, columns: int | None = None):
        self._kind, self._columns, self.rows = np.dtype(kind), columns, 0
        self._file: BinaryIO = Path(path).open("wb")  # noqa: SIM115 (closed by __exit__)
        self._file.write(self._header())

    def __enter__(self) -> "GrowingArray":
        return self

    def __exit__(self, kind: type | None, *error: object) -> None:
        with self._file:
            if kind is None:
                # How many there are is known only now.
                self._file.seek(0)
                self._file.write(self._header())

    def append(self, values: np.ndarray) -> None:
        """Add rows."""
        self._file.write(np.ascontiguousarray(values, self._kind).tobytes())
        self.rows += len(values)

    def replace(self, places: np.ndarray, values: np.ndarray) -> None:
        """Write some of the rows anew."""
        row_bytes = self._kind.itemsize * (self._columns or 1)
        for place, row in zip(places.tolist(), np.ascontiguousarray(values, self._kind), strict=True):
            self._file.seek(HEADER_BYTES + place * row_bytes)
            self._file.write(row.tobytes())
        self._file.seek(HEADER_BYTES + self.rows * row_bytes)

    def _header(self) -> bytes:
        return array_header(self._kind.str, self.rows, self._columns)
