"""A recording, a group of recordings, and the declaration of them in luigi.cfg; plain data."""

import functools
import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neuroluigi.recordings.formats.reader import RecordedFile

BYTES_PER_VALUE = {"uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "int32": 4, "float32": 4, "float64": 8}

# The format of what no header describes.
RAW = "raw"

# File systems take names of up to 255 bytes; temporary files add to the name of the group's files, not to the group's.
LONGEST_NAME = 255

_SEPARATORS = frozenset("/\\")
# With these characters a name is right on every machine, unless it is one that Windows keeps.
_COMMON_NAME = re.compile(r"\w[\w-]{0,99}", re.ASCII)
# What Windows refuses in a name, and the names that it keeps for devices, with any extension.
_NOT_ON_WINDOWS = frozenset('<>:"|?*')
_DEVICES = frozenset(
    {
        "con",
        "prn",
        "aux",
        "nul",
        "conin$",
        "conout$",
        *(f"{port}{n}" for port in ("com", "lpt") for n in "0123456789¹²³"),
    }
)


class RecordingsError(ValueError):
    """Recordings that can't be found, described or grouped; the message says which, where, and what to set."""


@dataclass(frozen=True)
class Declaration:
    """The section [recordings] of luigi.cfg: where they are, how they are grouped, values that no table has.

    `header_bytes` are skipped at the start of each file; a sample is `scale` * value + `offset` in `unit`. Without
    `group_by` a recording is grouped by the columns of the format that its row names, or by its session.
    """

    root: str = ""
    table: str = ""
    format: tuple[str, ...] = ("auto",)
    metadata: str = ""
    pattern: str = "{session}/rec_{index}.bin"
    select: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    dtype: str = "uint8"
    channels: int = 1
    sampling_rate_hz: float | None = None
    header_bytes: int = 0
    scale: float | None = None
    offset: float | None = None
    unit: str = ""
    partial_sample: str = "fail"
    allow_missing: bool = False
    made_folder: str = "recordings"
    results_folder: str = ""

    @functools.cached_property
    def folder(self) -> Path:
        """The folder to which paths are relative; where nothing is set, the one for recordings that are made."""
        if self.root or not self.table:
            return Path(self.root or self.made_folder)
        return Path(self.table).parent


@dataclass(frozen=True, slots=True)
class Recording:
    """One file of samples. If there are `problems`, the other fields are not reliable.

    `path` is absolute, `name` the path as declared (relative to the root where it can be), `columns` every column of
    its row, `origin` where it is declared ("recordings.csv, row 3"). `made`: a step makes it. `group` is the key of its
    group if another group has a recording of the same session and index (two probes of one session), else blank.
    `recorded` is what its header says, where it is described by that, or its row says of channels and counter; `path`
    is then the first file of its samples.
    `is_encoded`: these don't lie there as they are, and a step decodes them.
    """

    session: str
    index: int
    path: str
    name: str
    dtype: str
    channels: int
    sampling_rate_hz: float | None
    header_bytes: int
    scale: float | None
    offset: float | None
    unit: str
    sha256: str
    columns: Mapping[str, str] = field(hash=False)
    origin: str
    problems: tuple[str, ...] = ()
    made: bool = False
    group: str = ""
    recorded: "RecordedFile | None" = field(default=None, hash=False)
    is_encoded: bool = False

    @property
    def identity(self) -> tuple[str, int, str]:
        """What distinguishes the recording from all others."""
        return self.session, self.index, self.group

    @property
    def is_by_header(self) -> bool:
        """Whether a header describes it."""
        return self.recorded is not None and self.recorded.format != RAW

    @property
    def bytes_per_sample(self) -> int:
        """Bytes of one sample of all channels."""
        return BYTES_PER_VALUE[self.dtype] * self.channels

    @property
    def beside(self) -> tuple[str, ...]:
        """The absolute paths of its other files: where its samples go on, and what describes them."""
        if not self.recorded:
            return ()
        paths = (*(part.path for part in self.recorded.parts), *self.recorded.sidecars)
        return tuple(path for path in dict.fromkeys(paths) if path != self.path)


@dataclass(frozen=True)
class Group:
    """The recordings that share the values of the group_by columns, in index order, and those left out (`use` = no)."""

    key: str
    values: Mapping[str, str] = field(hash=False)
    recordings: tuple[Recording, ...]
    excluded: tuple[Recording, ...]
    problems: tuple[str, ...]


def check_folder_name(name: str, what: str) -> None:
    """Raise RecordingsError for a name that can't name a folder on every machine; `what` is where the name is from."""
    if reason := _why_no_folder(name):
        raise RecordingsError(f"{what}: {name!r} can't name a folder: {reason}")


def as_folder_name(text: str) -> str:
    """Return a text of a header as a part of a folder's name: _ for each character that such a name can't have."""
    allowed = "".join(
        "_" if one in _SEPARATORS or one in _NOT_ON_WINDOWS or not one.isprintable() else one for one in text
    )
    return re.sub(r"\.\.+|^[.-]|[. ]+$", "_", allowed)


@functools.lru_cache(maxsize=1 << 16)
def _why_no_folder(name: str) -> str:
    """Return why a name can't name a folder on every machine; "" where it can."""
    if _COMMON_NAME.fullmatch(name):
        return _refused_by_windows(name)
    categories = {unicodedata.category(character) for character in name}
    if not name.strip():
        return "it is empty"
    if name[0] in ".-":
        return f"it begins with {name[0]!r}"
    if ".." in name:
        return "it contains '..'"
    if not _SEPARATORS.isdisjoint(name):
        return "it contains a path separator"
    if "Cs" in categories:
        return "it is not valid UTF-8"
    if categories & {"Cc", "Zl", "Zp"}:
        return "it contains a control character"
    if len(name.encode("utf-8")) > LONGEST_NAME:
        return f"it is longer than {LONGEST_NAME} bytes"
    return _refused_by_windows(name)


def _refused_by_windows(name: str) -> str:
    """Return why Windows, or a disk that it shares, can't have a file or folder of this name; "" where it can."""
    if found := sorted(_NOT_ON_WINDOWS.intersection(name)):
        return f"it contains {' '.join(found)}, which Windows does not allow"
    if name[-1] in ". ":
        return f"it ends with {name[-1]!r}, which Windows drops"
    device = name.partition(".")[0].rstrip(" ")
    return f"Windows keeps {device} for a device" if device.casefold() in _DEVICES else ""


@functools.lru_cache(maxsize=1 << 16)
def folder_identity(name: str) -> str:
    """Return what two names share that are one folder on a disk that ignores case or normalises Unicode."""
    if name.isascii():
        return name.lower()
    # Twice: folding the case of a normal form need not give one.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def is_missing(path: str | os.PathLike) -> bool:
    """Whether nothing is there, or a link to nothing; False where it can't be known, as without permission."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
