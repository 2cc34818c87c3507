"""Intan's RHD and RHS systems: info.rhd or info.rhs with a file per signal type, in place; all in one file, decoded.

Sources: Intan's application notes "Data file formats" of RHD2000, RHS2000 and RHX; neo.rawio.intanrawio. The files of
signal types have the rate of the amplifiers: a value that was sampled less often (auxiliary inputs: each fourth sample,
supply: once per block) is repeated there. In one file (intan_blocks) it is not.
"""

import os
from collections.abc import Mapping, Sequence
from functools import cached_property, partial

from neuroluigi.recordings.formats.counters import read_counter
from neuroluigi.recordings.formats.intan_blocks import recordings_in_one
from neuroluigi.recordings.formats.intan_header import (
    AMPLIFIER,
    FORMAT,
    RHD_SIGNALS,
    RHS_SIGNALS,
    Header,
    read_header,
    sync_of,
)
from neuroluigi.recordings.formats.reader import (
    Gap,
    Part,
    RecordedFile,
    described,
    natural_key,
    needs_decoding,
    size_of,
    split_bytes,
)
from neuroluigi.recordings.recording import RecordingsError

GROUP_BY = ("session", "stream")

_HEADERS = ("info.rhd", "info.rhs")
_COUNTER = "time.dat"
# Files of filtered signals of the amplifiers; the header does not say their rate.
_FILTERED = ("lowpass.dat", "highpass.dat")
# What the names of files begin with where each channel has its own.
_OF_ONE_CHANNEL = ("amp-", "aux-", "vdd-", "board-", "dc-", "stim-")
_BYTES_PER_VALUE = 2


def claims(folder: str, names: Sequence[str]) -> bool:
    """Whether there are files of this format."""
    return any(_is_header(name) for name in names)


def recordings_in(folder: str, names: Sequence[str]) -> list[RecordedFile]:
    """Return a recording for each signal type, of a file of its own, or in one file with all of them."""
    folder = os.path.abspath(folder)
    whole = [name for name in names if _is_header(name) and name.lower() not in _HEADERS]
    recordings: list[RecordedFile] = []
    for rank, name in enumerate(sorted(whole, key=natural_key)):
        columns = {"session": os.path.basename(folder), "index": str(rank), "stem": os.path.splitext(name)[0]}
        recordings += recordings_in_one(os.path.join(folder, name), columns)
    for name in sorted(names):
        if name.lower() in _HEADERS:
            recordings += _Folder(folder, name, names).recordings()
    return recordings


def _is_header(name: str) -> bool:
    return name.lower().endswith((".rhd", ".rhs"))


class _Folder:
    """A folder with a header and the files of signals beside it."""

    def __init__(self, folder: str, header: str, names: Sequence[str]):
        self._folder, self._names = folder, names
        self._path = os.path.join(folder, header)
        signals = RHS_SIGNALS if header.lower().endswith(".rhs") else RHD_SIGNALS
        self._streams = [stream for stream in signals if f"{stream}.dat" in names]
        if not self._streams or self._lacks_amplifiers():
            self._streams.insert(0, "amplifier")

    def _lacks_amplifiers(self) -> bool:
        """Whether the file of the amplifiers should be there and is not, nor one that may be saved instead."""
        try:
            should_be = bool(self._header.channels.get(AMPLIFIER.type))
        except RecordingsError:
            return False
        return should_be and not {"amplifier.dat", "dcamplifier.dat", *_FILTERED} & set(self._names)

    def recordings(self) -> list[RecordedFile]:
        """Return a recording for each file."""
        columns = {"session": os.path.basename(self._folder), "index": "0"}
        if any(name.startswith(_OF_ONE_CHANNEL) and name.endswith(".dat") for name in self._names):
            problem = needs_decoding(self._path, "the header of an Intan recording with a file per channel")
            return [RecordedFile(FORMAT, self._path, columns, problems=(problem,))]
        return [
            described(
                FORMAT,
                self._of(stream),
                {**columns, "stream": stream},
                partial(self._describe, stream, {**columns, "stream": stream}),
            )
            for stream in self._streams
        ]

    def _of(self, stream: str) -> str:
        return os.path.join(self._folder, f"{stream}.dat")

    @cached_property
    def _header(self) -> Header:
        return read_header(self._path)

    @cached_property
    def _counter(self) -> tuple[int | None, tuple[Gap, ...], int]:
        """The first sample by time.dat, the gaps, and the number of samples; None and 0 where it is not there."""
        path = self._of("time")
        count = size_of(path) // 4 if _COUNTER in self._names else 0
        return (*read_counter(path, self._header.counter_dtype, count), count) if count else (None, (), 0)

    def _describe(self, stream: str, columns: Mapping[str, str]) -> RecordedFile:
        path, header = self._of(stream), self._header
        size = size_of(path)
        signal, warnings = header.signals[stream], []
        channels = header.channels_of(stream, signal)
        if not channels:
            raise RecordingsError(f"{path} has no channels by {self._path}; take it away if it is of another recording")
        samples, rest = split_bytes(path, size, 0, _BYTES_PER_VALUE * len(channels))
        start, gaps, count = self._counter
        if not count:
            warnings.append(f"{self._of('time')} is not there, or empty; whether samples are missing is not known")
        elif count != samples:
            warnings.append(f"{path} has {samples} samples, {count} by {self._of('time')}; what is there is taken")
        if signal.unit and signal.scale is None:
            warnings.append(f"{self._path} is of a board whose scale for {path} is not known; its values have no unit")
        warnings += [
            f"{os.path.join(self._folder, name)} is not read, {self._path} says no rate of it; describe it in a table"
            for name in _FILTERED
            if name in self._names
        ]
        return RecordedFile(
            format=FORMAT,
            path=path,
            columns=columns,
            dtype=signal.dtype,
            sampling_rate_hz=header.rate,
            samples=samples,
            parts=(Part(path, 0, samples),),
            channels=channels,
            start_sample=start,
            # It begins anew with each recording, and all files of one have it in common.
            clock=f"intan {columns['session']}" if count else "",
            sync=None if start is None else sync_of(columns["session"], start, header.rate),
            gaps=tuple(gap for gap in gaps if gap.sample < samples),
            rest_bytes=rest,
            sidecars=(self._path, *([self._of("time")] if count else [])),
            warnings=tuple(warnings),
        )
