"""A recording, a group of recordings, and the declaration of them in luigi.cfg; plain data."""

import functools
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

BYTES_PER_VALUE = {"uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "int32": 4, "float32": 4, "float64": 8}

# File systems take names of up to 255 bytes; temporary files add to the name of the group's files, not to the group's.
LONGEST_NAME = 255


class RecordingsError(ValueError):
    """Recordings that can't be found, described or grouped; the message says which, where, and what to set."""


@dataclass(frozen=True)
class Declaration:
    """The section [recordings] of luigi.cfg: where they are, how they are grouped, values that no table has.

    `header_bytes` are skipped at the start of each file; a sample is `scale` * value + `offset` in `unit`.
    """

    root: str = ""
    table: str = ""
    pattern: str = "{session}/rec_{index}.bin"
    select: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ("session",)
    dtype: str = "uint8"
    channels: int = 1
    sampling_rate_hz: float | None = None
    header_bytes: int = 0
    scale: float | None = None
    offset: float | None = None
    unit: str = ""
    partial_sample: str = "fail"
    allow_missing: bool = False

    @property
    def folder(self) -> Path:
        """The folder to which paths are relative; where nothing is set, the one for recordings that are made."""
        if self.root or not self.table:
            return Path(self.root or "recordings")
        return Path(self.table).parent


@dataclass(frozen=True)
class Recording:
    """One file of samples. If there are `problems`, the other fields are not reliable.

    `path` is absolute, `name` the path as declared (relative to the root where it can be), `columns` every column of
    its row, `origin` where it is declared ("recordings.csv, row 3"). `made`: a step makes it. `group` is the key of its
    group if another group has a recording of the same session and index (two probes of one session), else blank.
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

    @property
    def identity(self) -> tuple[str, int, str]:
        """What distinguishes the recording from all others."""
        return self.session, self.index, self.group

    @property
    def bytes_per_sample(self) -> int:
        """Bytes of one sample of all channels."""
        return BYTES_PER_VALUE[self.dtype] * self.channels


@dataclass(frozen=True)
class Group:
    """The recordings that share the values of the group_by columns, in index order, and those left out (`use` = no)."""

    key: str
    values: Mapping[str, str] = field(hash=False)
    recordings: tuple[Recording, ...]
    excluded: tuple[Recording, ...]
    problems: tuple[str, ...]


@functools.lru_cache(maxsize=1 << 16)
def check_folder_name(name: str, what: str) -> None:
    """Raise RecordingsError for a name that can't name a folder on every machine; `what` is where the name is from."""
    reason = ""
    if not name.strip():
        reason = "it is empty"
    elif name[0] in ".-":
        reason = f"it begins with {name[0]!r}"
    elif ".." in name:
        reason = "it contains '..'"
    elif any(character in "/\\" for character in name):
        reason = "it contains a path separator"
    elif any(unicodedata.category(character) == "Cs" for character in name):
        reason = "it is not valid UTF-8"
    elif any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in name):
        reason = "it contains a control character"
    elif len(name.encode("utf-8")) > LONGEST_NAME:
        reason = f"it is longer than {LONGEST_NAME} bytes"
    if reason:
        raise RecordingsError(f"{what}: {name!r} can't name a folder: {reason}")
