"""The raw data of a sorter's folder, as params.py of phy names it: read as text, never run.

Source: phy's documentation (params.py) and phylib.io.model: dat_path, n_channels_dat, dtype, offset, sample_rate.
"""

import ast
import os
import warnings
from collections.abc import Mapping, Sequence

from neuroluigi.recordings.formats.one_file import plain_channels
from neuroluigi.recordings.formats.reader import (
    MOST_CHANNELS,
    Part,
    RecordedFile,
    as_count,
    as_number,
    described,
    path_inside,
    read_header,
    size_of,
    split_bytes,
)
from neuroluigi.recordings.recording import BYTES_PER_VALUE, RecordingsError

FORMAT = "phy"
GROUP_BY = ("session",)

_NAME = "params.py"
# Real ones have some two hundred; what nests deeper than this allows would be hard on Python's parser.
_MOST_BYTES = 1 << 13
_DTYPES = {
    **{name: name for name in BYTES_PER_VALUE},
    "<i2": "int16",
    "<u2": "uint16",
    "<i4": "int32",
    "<f4": "float32",
}


def claims(folder: str, names: Sequence[str]) -> bool:
    """Whether there is a params.py."""
    return _NAME in names


def recordings_in(folder: str, names: Sequence[str]) -> list[RecordedFile]:
    """Return the recording that params.py of a folder describes, in one file or several, one after the other."""
    folder = os.path.abspath(folder)
    columns = {"session": os.path.basename(folder), "index": "0"}
    path = os.path.join(folder, _NAME)
    return [described(FORMAT, path, columns, lambda: _describe(path, columns))] if _NAME in names else []


def _describe(path: str, columns: Mapping[str, str]) -> RecordedFile:
    said = _assignments(path)
    channels, offset = as_count(said.get("n_channels_dat")), as_count(said.get("offset", 0))
    rate, dtype = as_number(said.get("sample_rate")), _DTYPES.get(str(said.get("dtype")))
    if not channels or channels > MOST_CHANNELS or offset is None or dtype is None or not rate or rate < 0:
        raise RecordingsError(
            f"{path} has to say n_channels_dat, dtype (one of {', '.join(BYTES_PER_VALUE)}) and sample_rate as plain"
            f" values, and offset in bytes; it says {_shown(said)}"
        )
    rest = 0
    parts: list[Part] = []
    for data in _data_paths(path, said.get("dat_path")):
        if rest:
            raise RecordingsError(
                f"{parts[-1].path} ends within a sample, and {path} names another file after it; correct n_channels_dat"
                " and dtype there"
            )
        samples, rest = split_bytes(data, size_of(data), offset, channels * BYTES_PER_VALUE[dtype])
        parts.append(Part(data, offset, samples))
    return RecordedFile(
        format=FORMAT,
        path=path,
        columns=columns,
        dtype=dtype,
        sampling_rate_hz=rate,
        samples=sum(part.samples for part in parts),
        parts=tuple(parts),
        channels=plain_channels(channels),
        rest_bytes=rest,
        sidecars=(path,),
        warnings=(f"{path} says no unit; set scale and unit where they are known",),
    )


def _assignments(path: str) -> dict[str, object]:
    """Return the values of `name = value` in a file of Python, of those whose value is written out."""
    content = read_header(path, _MOST_BYTES + 1)
    try:
        if len(content) > _MOST_BYTES:
            raise ValueError("it is too long")
        with warnings.catch_warnings():
            # Such as of '\d' in a path of Windows, which Python reads as it is meant.
            warnings.simplefilter("ignore")
            statements = ast.parse(content).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise RecordingsError(
            f"{path} can't be read as {_MOST_BYTES} bytes or fewer of Python; write it anew as phy documents it"
        ) from None
    said: dict[str, object] = {}
    for statement in statements:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            try:
                said[statement.targets[0].id] = ast.literal_eval(statement.value)
            except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
                # A name that is computed counts as not said, also where it was said before.
                said.pop(statement.targets[0].id, None)
    return said


def _data_paths(path: str, named: object) -> list[str]:
    names = [named] if isinstance(named, str) else named
    if not isinstance(names, (list, tuple)) or not names or not all(isinstance(name, str) for name in names):
        raise RecordingsError(f"{path} has to say dat_path as a text or a list of texts")
    paths = []
    for name in names:
        data = path_inside(os.path.dirname(path), name)
        if data is None:
            raise RecordingsError(
                f"{path} names {name!r} as its data, which is not in its folder; describe that file in a table"
                " (recordings.csv), or link it into the folder and name it so"
            )
        paths.append(data)
    return paths


def _shown(said: Mapping[str, object]) -> str:
    wanted = ("n_channels_dat", "dtype", "offset", "sample_rate")
    return ", ".join(f"{name} = {str(said[name])[:40]}" for name in wanted if name in said) or "none of them"
