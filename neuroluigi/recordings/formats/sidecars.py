"""What the acquisition system wrote beside a file of raw samples: its type and number of channels."""

import json
import os
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

# Such files have some ten thousand bytes; one that is larger is no sidecar.
_LARGEST = 1 << 22


class Sidecar(NamedTuple):
    """A file that describes another one: its path, what wrote it, and the dtype and channels it says."""

    path: str
    system: str
    dtype: str
    channels: int


def sidecar_of(path: str) -> Sidecar | None:
    """Return what the file beside a recording says of it; None where there is none that can be read."""
    reader = _READERS.get(path[-4:])
    return reader(path) if reader else None


def _spikeglx(path: str) -> Sidecar | None:
    meta = f"{path[:-4]}.meta"
    channels = re.search(r"^nSavedChans=(\d+)\s*$", _text(meta), re.MULTILINE)
    return Sidecar(meta, "SpikeGLX", "int16", int(channels[1])) if channels else None


def _open_ephys(path: str) -> Sidecar | None:
    folder, name = os.path.split(path)
    if name != "continuous.dat":
        return None
    oebin = os.path.join(os.path.dirname(os.path.dirname(folder)), "structure.oebin")
    try:
        streams = json.loads(_text(oebin) or "{}")["continuous"]
        stream = next(one for one in streams if one["folder_name"].strip("/") == os.path.basename(folder))
        return Sidecar(oebin, "Open Ephys", "int16", int(stream["num_channels"]))
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration):
        return None


_BRAINVISION_TYPES = {"INT_16": "int16", "UINT_16": "uint16", "IEEE_FLOAT_32": "float32"}


def _brainvision(path: str) -> Sidecar | None:
    vhdr = f"{os.path.splitext(path)[0]}.vhdr"
    said: dict[str, str] = dict(re.findall(r"^(\w+)\s*=\s*(\w+)\s*$", _text(vhdr), re.MULTILINE))
    if not said.get("NumberOfChannels", "").isdecimal():
        return None
    kind = said.get("BinaryFormat", "")
    dtype = _BRAINVISION_TYPES.get(kind, kind)
    if said.get("DataFormat") == "ASCII":
        dtype = "text"
    elif said.get("DataOrientation") == "VECTORIZED":
        dtype += ", one channel after the other,"
    return Sidecar(vhdr, "BrainVision", dtype, int(said["NumberOfChannels"]))


_READERS: Mapping[str, Callable[[str], Sidecar | None]] = {
    ".bin": _spikeglx,
    ".dat": _open_ephys,
    ".eeg": _brainvision,
}


def _text(path: str) -> str:
    """Return the content of a text file, "" where there is none that can be read."""
    try:
        # Nearly always there is none: half the time of open().
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return ""
    try:
        return os.read(descriptor, _LARGEST).decode("utf-8", "replace").replace("\r\n", "\n")
    except OSError:
        return ""
    finally:
        os.close(descriptor)
