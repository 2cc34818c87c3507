"""What a reader says of a recording by its header: samples, where their bytes lie, and what each channel is.

A module per format has `claims(folder, names)`, whether the format owns a folder, by its listing alone, and
`recordings_in(folder, names)`, a RecordedFile for each recording there. `names` are those of files and folders in it.
"""

import functools
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from neuroluigi.provenance.files import only_regular
from neuroluigi.recordings.recording import BYTES_PER_VALUE, RecordingsError

if TYPE_CHECKING:
    import numpy as np

# The longest headers are those of Open Ephys: 0.7 KB per channel, which makes 4 MB for a rig of eight probes.
MOST_HEADER_BYTES = 1 << 23
# A rig with all its probes in one stream has some ten thousand.
MOST_CHANNELS = 1 << 16
_MOST_JSON_VALUES = 1 << 19

_LONGEST_NUMBER = 40
# As long as the name of a file.
_LONGEST_TEXT = 255
_NUMBER = re.compile(r"\s*[+-]?[0-9.]+([eE][+-]?[0-9]+)?\s*", re.ASCII)
_COUNT = re.compile(r"\s*[0-9]{1,18}\s*", re.ASCII)

_TO_DECODE = "which has to be decoded"

AP, LF, ANALOG, AUX, DIGITAL, UNKNOWN = KINDS = ("ap", "lf", "analog", "aux", "digital", "unknown")


@dataclass(frozen=True, slots=True)
class Part:
    """Where some samples of a recording lie: an absolute path, the byte of the first one, and how many there are."""

    path: str
    offset: int
    samples: int


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel: a value is scale * count + offset in `unit`; None and "" are what the header does not say.

    `x` and `y` are in um, along and up the `shank`, counted from 0; `used` is False of a site that is not connected,
    such as a reference. Of words, `bits` has the names of the lines from bit 0 on, "" for one without.
    """

    name: str
    kind: str = UNKNOWN
    scale: float | None = None
    offset: float | None = None
    unit: str = ""
    x: float | None = None
    y: float | None = None
    shank: int | None = None
    used: bool | None = None
    bits: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """A place where samples are missing: the first one after it, from 0 in the recording; None: unknown how many.

    Where the counter runs back, `missing` is None too.
    """

    sample: int
    missing: int | None = None


@dataclass(frozen=True, slots=True)
class LineFiles:
    """The .npy files of the changes of digital lines that a rig wrote beside a recording, as absolute paths.

    `states` has a number per change, +n where line n, from 1, rose and -n where it fell; `counters` the counter of the
    recording at each; `words` the state of all lines after it, "" where there is none. `names` are those of lines that
    have one, by the bit of the line, n - 1. `seconds` has the second at each change by the rig's own clock, "" where
    there is none.
    """

    states: str
    counters: str
    words: str = ""
    names: tuple[tuple[int, str], ...] = ()
    seconds: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the files that there are, but for the seconds, which say nothing of which sample it was."""
        return tuple(filter(None, (self.states, self.counters, self.words)))


@dataclass(frozen=True, slots=True)
class Sync:
    """What a header says of the clock of a stream, and of the pulses that all streams of a rig get.

    At `count` of its clock it was second `seconds` of a clock that the streams of the same `run` share, known to
    `uncertainty` seconds. The pulses are bit `bit` of the words of `channel`, from 0; without a channel bit `bit` of
    the line_files; without a bit the analog `channel`, above `threshold` in volts. They come every `period` seconds;
    where `is_on` is False, there were none. None is what is not said.
    """

    run: str
    count: int
    seconds: float
    uncertainty: float
    channel: int | None = None
    bit: int | None = None
    threshold: float | None = None
    period: float | None = None
    is_on: bool | None = None


@dataclass(frozen=True)
class RecordedFile:
    """A recording as its header describes it. If there are `problems`, only format, path and columns are reliable.

    `path` is the absolute path it is listed by. `samples` are whole ones of all channels, interleaved, of little-endian
    `dtype`; the `parts` have all of them in order, and `rest_bytes` is what the last file has beyond. `start_sample` is
    the counter at the first sample; two recordings can be compared by it if they have the same `clock`, "" where there
    is none. `sidecars` are the absolute paths of the other files whose content is in here. `columns` are those of the
    recording's row in a table: session, index, and what the format knows. Each warning and problem is a sentence that
    names the file; a recording with a problem can't be analysed. `line_files` has changes of digital lines that are no
    samples, `sync` how its clock goes with those of other streams; `sync_problem` is a sentence on why that is not
    known where it could be. `seconds_file` has the second of each sample by the rig's own clock, "" where there is
    none. `started` is when the first sample was recorded, in ISO 8601, without a zone where the header has the time of
    the place; "" where it has none.

    Of one that is encoded, whose samples don't lie in its files as they are, there are no parts: `decode()` yields its
    samples in blocks, arrays of (samples, channels) of any byte order; see decoding.decoded_blocks.
    """

    format: str
    path: str
    columns: Mapping[str, str] = field(hash=False)
    dtype: str = "int16"
    sampling_rate_hz: float | None = None
    samples: int = 0
    parts: tuple[Part, ...] = ()
    channels: tuple[Channel, ...] = ()
    start_sample: int | None = None
    clock: str = ""
    gaps: tuple[Gap, ...] = ()
    rest_bytes: int = 0
    sidecars: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    line_files: LineFiles | None = None
    sync: Sync | None = None
    sync_problem: str = ""
    seconds_file: str = ""
    started: str = ""
    decode: Callable[[], Iterator["np.ndarray"]] | None = field(default=None, compare=False, repr=False)

    @property
    def is_encoded(self) -> bool:
        """Whether its samples don't lie in its files as they are; see also needs_decoding."""
        return self.decode is not None or any(_TO_DECODE in problem for problem in self.problems)

    @property
    def first_file(self) -> Part:
        """Where its samples begin; of one that is encoded, the file that it is listed by."""
        return self.parts[0] if self.parts else Part(self.path, 0, self.samples)

    @property
    def bytes_per_sample(self) -> int:
        """Bytes of one sample of all channels."""
        return BYTES_PER_VALUE[self.dtype] * len(self.channels)


def described(format: str, path: str, columns: Mapping[str, str], describe: Callable[[], RecordedFile]) -> RecordedFile:
    """Return what `describe` returns; one with a problem where it raises RecordingsError."""
    try:
        return describe()
    except RecordingsError as error:
        return RecordedFile(format, path, columns, problems=(str(error),))


def read_header(path: str, most: int = MOST_HEADER_BYTES) -> bytes:
    """Return up to `most` first bytes of a file, all of it where there are fewer. Raises RecordingsError."""
    try:
        with open(path, "rb", opener=only_regular) as file:
            return file.read(most)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None


def read_text(path: str, most: int = MOST_HEADER_BYTES) -> str:
    """Return the content of a header that is text, in UTF-8 or else in latin-1. Raises RecordingsError."""
    content = read_header(path, most + 1)
    if len(content) > most:
        raise RecordingsError(f"{path} has more than the {most} bytes that a header has; it can't be one")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n")


def read_json(path: str) -> dict:
    """Return a header that is an object of JSON. Raises RecordingsError."""
    text = read_text(path)
    # Brackets of few bytes become objects of many.
    if sum(map(text.count, "[{,")) > _MOST_JSON_VALUES:
        raise RecordingsError(f"{path} has more than the {_MOST_JSON_VALUES} values that a header has; it can't be one")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordingsError(f"{path} is no valid JSON ({error}); copy it again from where it was recorded") from None
    if not isinstance(content, dict):
        raise RecordingsError(f"{path} is no object of JSON; copy it again from where it was recorded")
    return content


def size_of(path: str) -> int:
    """Return the bytes of a file of samples, which need not be readable. Raises RecordingsError."""
    try:
        if os.path.isdir(path):
            raise RecordingsError(f"{path} is a folder, not a file of samples")
        return os.stat(path).st_size
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None


def unreadable(path: str, error: OSError | ValueError) -> RecordingsError:
    """Return the error for a file that can't be read."""
    if isinstance(error, FileNotFoundError) and os.path.islink(path):
        reason = f"it is a link to {os.readlink(path)}, which is not there; with git-annex or DataLad, get it first"
    elif isinstance(error, FileNotFoundError):
        reason = "it is not there; copy it beside the other files of the recording"
    else:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
    return RecordingsError(f"{path} can't be read: {reason}")


def needs_decoding(path: str, what: str) -> str:
    """Return the problem of a file whose samples nothing here decodes; `what` it is ("a FLAC file")."""
    return (
        f"{path} is {what}, {_TO_DECODE}, and this version can't; convert it to raw samples and describe"
        " those in a table (recordings.csv)"
    )


def path_inside(folder: str, name: str) -> str | None:
    """Return the absolute path of a file that a header names, None where that is not within the header's folder.

    Links are not followed: a lab may keep the samples on another disk, and a header makes no links.
    """
    parts = name.replace("\\", "/").rstrip("/").split("/")
    if not name.strip("/\\. ") or "\0" in name or ":" in parts[0] or not parts[0] or ".." in parts:
        return None
    return os.path.join(os.path.abspath(folder), *parts)


def split_bytes(path: str, size: int, offset: int, bytes_per_sample: int) -> tuple[int, int]:
    """Return (whole samples, bytes of an incomplete last one) behind `offset`. Raises RecordingsError for none."""
    samples, rest = divmod(size - offset, bytes_per_sample)
    if samples <= 0:
        behind = f" behind a header of {offset}" if offset else ""
        raise RecordingsError(
            f"{path} has no samples: {size} bytes{behind}, and one sample of all channels has {bytes_per_sample}"
        )
    return samples, rest


def as_number(value: object) -> float | None:
    """Return a finite number of a header, as text or from JSON; None for anything else."""
    if isinstance(value, str):
        return _number_of(value) if len(value) <= _LONGEST_NUMBER else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def as_count(value: object) -> int | None:
    """Return a whole number of at most 18 digits, from 0, of a header, as text or from JSON; None for anything else."""
    if isinstance(value, str):
        return int(value) if _COUNT.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < 10**18 else None


def as_text(value: object) -> str:
    """Return a text of a header in one line of what can be printed, up to 255 characters; "" for anything else."""
    text = value.strip()[:_LONGEST_TEXT] if isinstance(value, str) else ""
    return text if text.isprintable() else "".join(one if one.isprintable() else "?" for one in text)


# The table of a probe has a few numbers thousands of times.
@functools.lru_cache(maxsize=1 << 14)
def _number_of(text: str) -> float | None:
    if not _NUMBER.fullmatch(text):
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def natural_key(text: str) -> tuple:
    """Return what sorts names as people do: g2 before g10; never equal for two different names."""
    pieces = re.split(r"([0-9]+)", text)
    return tuple((int(piece), "") if i % 2 else (0, piece.casefold()) for i, piece in enumerate(pieces)), text
