"""Datasets of an NWB file that are written a piece at a time, so that memory does not grow with a recording."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from hdmf.backends.hdf5 import H5DataIO

# Rows `first` up to `end`.
Read = Callable[[int, int], np.ndarray]

# Compression of samples as archives advise: gzip 4 and shuffle, chunks of a megabyte and at most so many channels.
LEVEL = 4
_CHUNK_BYTES, _CHUNK_COLUMNS = 1 << 20, 64
_BUFFER_BYTES = 1 << 24
# Smaller ones are not worth the chunks.
_SMALL_BYTES = 1 << 16


def chunk_shape(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the shape of a chunk: evenly divided columns, and as many rows as fit a megabyte."""
    columns = shape[1] if len(shape) == 2 else 1
    parts = -(-columns // _CHUNK_COLUMNS)
    wide = -(-columns // parts)
    rows = max(1, min(shape[0], _CHUNK_BYTES // (wide * itemsize)))
    return (rows, wide) if len(shape) == 2 else (rows,)


def dataset(shape: tuple[int, ...], dtype: Any, read: Read) -> "H5DataIO | np.ndarray":
    """Return what pynwb writes as a dataset of one or two dimensions, whose rows it gets from `read`."""
    from hdmf.backends.hdf5 import H5DataIO

    dtype = np.dtype(dtype)
    if dtype.itemsize * int(np.prod(shape)) <= _SMALL_BYTES:
        return read(0, shape[0]).astype(dtype, copy=False)
    chunks = chunk_shape(shape, dtype.itemsize)
    row_bytes = dtype.itemsize * int(np.prod(shape[1:]))
    rows = chunks[0] * max(1, _BUFFER_BYTES // (chunks[0] * row_bytes))
    pieces = _pieces()(shape, dtype, read, chunks, (min(shape[0], rows), *shape[1:]))
    return H5DataIO(data=pieces, compression="gzip", compression_opts=LEVEL, shuffle=True, chunks=chunks)


@functools.cache
def _pieces() -> Any:
    """Return the class of an iterator as HDMF wants it, which takes a second to import."""
    from hdmf.data_utils import GenericDataChunkIterator

    class Pieces(GenericDataChunkIterator):
        def __init__(self, shape: tuple, dtype: np.dtype, read: Read, chunks: tuple, buffer: tuple):
            self._shape, self._type, self._read = shape, dtype, read
            super().__init__(chunk_shape=chunks, buffer_shape=buffer)

        def __getitem__(self, rows: slice) -> np.ndarray:
            # References to rows of a table are compared with the number of these beforehand.
            first, end, _ = rows.indices(self._shape[0])
            return self._read(first, end)

        def _get_data(self, selection: tuple[slice, ...]) -> np.ndarray:
            rows, *columns = selection
            wanted = (slice(None), *columns)
            return self._read(rows.start, rows.stop)[wanted]

        def _get_maxshape(self) -> tuple:
            return self._shape

        def _get_dtype(self) -> np.dtype:
            return self._type

    return Pieces
