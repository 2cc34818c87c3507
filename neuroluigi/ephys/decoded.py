"""Decoded: a recording whose samples don't lie in its files as they are, as a flat file."""

from typing import TYPE_CHECKING, Any, BinaryIO

from neuroluigi.recordings.formats.decoding import decoded_blocks
from neuroluigi.recordings.recording import RecordingsError
from neuroluigi.steps.discovery import decoders
from neuroluigi.steps.tasks import RecordingTask, files_of_recording

if TYPE_CHECKING:
    import numpy as np


class Decoded(RecordingTask):
    """A recording whose samples don't lie in its files as they are, as a flat file.

    Makes decoded.bin: little-endian, channels interleaved, dtype and channels as the header says. recording_task gives
    it for each recording that needs it, so that a pipeline need not name it; one that subclasses it has its own.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        decoders.append(cls)

    def requires(self):
        return files_of_recording(self.recording)

    def output(self):
        return self.result("decoded.bin")

    def make(self, out):
        recorded, done = self.recording.recorded, 0
        if recorded is None:
            raise RecordingsError(f"{self.recording.path} has no header here that says how it is decoded")
        size = recorded.samples * recorded.bytes_per_sample
        with out.open("wb", buffering=0) as file:
            for block in decoded_blocks(recorded):
                self._write(file, block, size)
                done += len(block)
                self.report_progress(done, recorded.samples, "samples")

    def _write(self, file: BinaryIO, block: "np.ndarray", size: int) -> None:
        left = block.data.cast("B")
        try:
            # A disk that is nearly full takes a part of it first.
            while left:
                left = left[file.write(left) :]
        except OSError as error:
            written = file.tell()
            # Room for the record of the failure.
            file.truncate(0)
            raise OSError(
                error.errno, f"{error.strerror} ({written} of {size} bytes were written; make room there)", file.name
            ) from error

    def fingerprint(self) -> dict[str, Any]:
        return {"dtype": self.recording.dtype, "channels": self.recording.channels}


decoders.append(Decoded)
