"""Binary headers: their fields, read in order from a file, and an error where the file ends too early."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from neuroluigi.provenance.files import only_regular
from neuroluigi.recordings.formats.reader import MOST_HEADER_BYTES, as_text, unreadable
from neuroluigi.recordings.recording import RecordingsError


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Open a regular file to read it. An OSError, also one within, becomes a RecordingsError with its path."""
    try:
        with open(path, "rb", opener=only_regular) as file:
            yield file
    except OSError as error:
        raise unreadable(path, error) from None


class BinaryHeader:
    """The header of an opened file, read field by field, little-endian; at most MOST_HEADER_BYTES of it.

    Raises RecordingsError where the file ends too early.
    """

    def __init__(self, path: str, file: BinaryIO):
        self._path, self._file = path, file
        self._left = MOST_HEADER_BYTES
        self.size = file.seek(0, 2)
        file.seek(0)

    @property
    def position(self) -> int:
        """The byte at which the next field begins."""
        return self._file.tell()

    def go_to(self, position: int) -> None:
        """Go on from a byte, which may be beyond the end of the file."""
        self._file.seek(position)

    def read(self, count: int) -> bytes:
        """Return the next bytes."""
        content = self._file.read(count) if 0 <= count <= self._left else b""
        self._left -= count
        if len(content) != count:
            raise RecordingsError(
                f"{self._path} has no whole header in its {self.size} bytes; it was cut off or is damaged: copy it"
                " again from the rig"
            )
        return content

    def unpack(self, layout: str) -> tuple:
        """Return the next fields, described as for the module struct."""
        return struct.unpack("<" + layout, self.read(struct.calcsize("<" + layout)))


def text_field(content: bytes) -> str:
    """Return the text in a field of fixed width, which ends at the first zero."""
    return as_text(content.partition(b"\0")[0].decode("latin-1"))
