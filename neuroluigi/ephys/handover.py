"""Handover: the small files beside a group's samples by which SpikeInterface, phy and Kilosort open them."""

import contextlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuroluigi.ephys.ready_made import ReadyMade
from neuroluigi.ephys.signal_task import derived_by, given_channels
from neuroluigi.ephys.targets import Concatenation
from neuroluigi.provenance.files import path_in_root
from neuroluigi.recordings.concatenation import describe_channels
from neuroluigi.recordings.formats.reader import AP, DIGITAL, UNKNOWN
from neuroluigi.recordings.recording import BYTES_PER_VALUE, RecordingsError
from neuroluigi.steps.config import declared_roots, roots_of_paths
from neuroluigi.steps.describe import StepError
from neuroluigi.steps.target import ResultTarget

# The version of SpikeInterface whose files these are; later ones read them too.
_SPIKEINTERFACE, _PROBEINTERFACE = "0.105.3", "0.4.2"
_CLASSES = {
    "binary.json": "spikeinterface.core.binaryrecordingextractor.BinaryRecordingExtractor",
    "si_folder.json": "spikeinterface.core.binaryfolder.BinaryFolderRecording",
}
_IN_MICROVOLTS = {"uV": 1.0, "µV": 1.0, "μV": 1.0, "mV": 1e3, "V": 1e6, "nV": 1e-3}
# The kinds that are sorted: the first of these of which there are any.
_SORTED_KINDS = (AP, UNKNOWN)
# In um: so far apart, channels whose places nobody knows are sorted each for itself.
_FAR = 1000.0


class _OfOthers(ResultTarget):
    """A file that another program reads: nothing in it is a value for tables."""

    shown = ()


class Handover(ReadyMade):
    """Files by which others open a group's samples where they lie: si.load(FOLDER), params.py, and Kilosort's probe.

    Requires {"aggregate": an Aggregate, or what stands in for one, such as Filtered; "flat": a Flat of it}; the Flat is
    made only where the samples are not in one file. Makes binary.json and si_folder.json of SpikeInterface, and where
    the places of channels are known probegroup.json, and their shanks in properties/group.npy; params.py of phy;
    kilosort_probe.json, without channels that are digital, not used, or bad. They lie in the folder of the group, those
    of derived samples in a folder below that is named after these: results/<group>/filtered/.
    """

    def __init_subclass__(cls, **kwargs):
        if declared := vars(cls).get("requires"):
            cls.requires = _with_flat_where_needed(declared)
        super().__init_subclass__(**kwargs)

    @property
    def place(self) -> Path:
        """The folder of the files."""
        return Path(self.folder, self._below)

    @property
    def _below(self) -> str:
        derived = derived_by(self.input())
        return derived[-1].stem if derived else ""

    def output(self):
        names = {
            "recording": "binary.json",
            "folder": "si_folder.json",
            "params": "params.py",
            # SpikeInterface before 0.105 takes a probe.json for a file of its own.
            "probe": "kilosort_probe.json",
        }
        with contextlib.suppress(RecordingsError):
            if not self._group().problems and _placed(given_channels(self._group(), self.input()).described):
                names |= {"places": "probegroup.json", "shanks": "properties/group.npy"}
        paths = {key: os.path.join(self._below, name) for key, name in names.items()}  # noqa: PTH118
        return {key: self.result(path, _OfOthers) for key, path in paths.items()}

    def fingerprint(self):
        # What aggregate.json does not count: where the samples lie, and which channels somebody calls bad.
        channels = given_channels(self._group(), self.input())
        files = [self._path_from_here(one.path) for one in self.input()["aggregate"]["layout"].beside]
        return {"bad": sorted(channels.bad), "files": files}

    def make(self, out):
        import numpy as np

        layout = self.input()["aggregate"]["layout"]
        content = layout.load()
        rate = content.get("sampling_rate_hz")
        if not rate:
            raise RecordingsError(
                f"the sampling rate of group {self.group} is not known; set [recordings] sampling_rate_hz, or a column"
                " of that name in the table"
            )
        path, offset = self._file_of(layout, content)
        channels = describe_channels(content)
        is_filtered = any(getattr(one, "low", None) for one in derived_by(self.input()))
        binary = _binary(content, channels, self._path_from_here(path), offset, is_filtered)
        self._write(out["recording"], _spikeinterface("binary.json", binary))
        self._write(out["folder"], _spikeinterface("si_folder.json", {"folder_path": "."}))
        if "places" in out:
            self._write(out["places"], _probegroup(channels[: _placed(channels)]))
            np.save(out["shanks"], np.array([one.get("shank") or 0 for one in channels], np.int64))
        self._write(out["probe"], self._kilosort_probe(channels))
        params = {
            "dat_path": self._path_from_here(path),
            "n_channels_dat": len(channels),
            "dtype": content["dtype"],
            "offset": offset,
            "sample_rate": float(rate),
            "hp_filtered": is_filtered,
        }
        # phy runs it as a program: whatever is in a name is quoted, for any encoding.
        out["params"].write_text("".join(f"{name} = {value!a}\n" for name, value in params.items()))

    def _write(self, path: Path, content: Mapping[str, Any]) -> None:
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def _path_from_here(self, path: str) -> str:
        """Return a path relative to the files, where results and recordings are moved together; else absolute."""
        if Path(path).is_relative_to(self.folder):
            return Path(os.path.relpath(path, self.place)).as_posix()
        within = path_in_root(path, roots_of_paths())
        root = declared_roots(self.place).get(within.get("root", ""), "")
        return os.path.normpath(os.path.join(root, within["path"])).replace(os.sep, "/")  # noqa: PTH118

    def _file_of(self, layout: Concatenation, content: Mapping[str, Any]) -> tuple[str, int]:
        """Return the path of the file of samples, and the byte of the first one."""
        given = self.input()
        if "flat" in given:
            return given["flat"].path, 0
        parts = layout.parts()
        size = BYTES_PER_VALUE[content["dtype"]] * len(describe_channels(content))
        if len(parts) != 1 or Path(parts[0][0]).stat().st_size - sum(parts[0][1:]) >= size:
            raise StepError(
                "the samples are not in one file: requires() has to give a Flat too, {'aggregate': ..., 'flat': ...}"
            )
        return parts[0][:2]

    def _kilosort_probe(self, channels: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        of_group = given_channels(self._group(), self.input())
        kinds = next((kind for kind in _SORTED_KINDS if of_group.of_kinds(kind)), AP)
        chosen = of_group.of_kinds(kinds)
        places = [(channels[one].get("x"), channels[one].get("y")) for one in chosen]
        if any(None in place for place in places):
            print(f"places of channels are not known: to Kilosort they are {_FAR:.0f} um apart, so it sorts each alone")
            places = [(0.0, _FAR * number) for number in range(len(chosen))]
        return {
            "chanMap": chosen,
            "xc": [x for x, _ in places],
            "yc": [y for _, y in places],
            "kcoords": [channels[one].get("shank") or 0 for one in chosen],
            "n_chan": len(chosen),
        }


def _with_flat_where_needed(declared: Callable[[Handover], Any]) -> Callable[[Handover], dict[str, Any]]:
    """Return a requires() without the Flat where the samples are in one file."""

    def requires(handover: Handover) -> dict[str, Any]:
        given = declared(handover)
        return {key: one for key, one in given.items() if key != "flat" or not given["aggregate"].is_in_one_file()}

    return requires


def _spikeinterface(name: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "class": _CLASSES[name],
        "module": "spikeinterface",
        "version": _SPIKEINTERFACE,
        "kwargs": kwargs,
        "annotations": {},
        "properties": {},
        "relative_paths": True,
    }


def _binary(
    content: Mapping[str, Any], channels: Sequence[Mapping[str, Any]], path: str, offset: int, is_filtered: bool
) -> dict[str, Any]:
    names = [one.get("name", "") for one in channels]
    gains = [_microvolts(one) for one in channels]
    has_gains = any(gain is not None for gain in gains)
    # SpikeInterface has one for all channels, or none; words of bits, and what has no unit, stay counts.
    known = [gain or (1.0, 0.0) for gain in gains]
    return {
        "file_paths": [path],
        "sampling_frequency": float(content["sampling_rate_hz"]),
        "t_starts": None,
        "num_channels": len(channels),
        "dtype": content["dtype"],
        "channel_ids": names if all(names) and len({*names}) == len(names) else list(range(len(channels))),
        "time_axis": 0,
        "file_offset": offset,
        "gain_to_uV": [gain for gain, _ in known] if has_gains else None,
        "offset_to_uV": [zero for _, zero in known] if has_gains else None,
        "is_filtered": is_filtered,
        "file_timestamps_paths": None,
    }


def _placed(channels: Sequence[Mapping[str, Any]]) -> int:
    """Return how many channels have a place, if these are the first ones; else 0."""
    have_place = [one.get("x") is not None and one.get("y") is not None for one in channels]
    count = sum(have_place)
    # SpikeInterface takes the first contact for that of the first channel, and so on.
    return count if all(have_place[:count]) else 0


def _probegroup(channels: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the contacts of channels, each of which has a place, as probeinterface has them in a file."""
    count = len(channels)
    probe = {
        "ndim": 2,
        "si_units": "um",
        "annotations": {},
        "contact_annotations": {},
        "contact_positions": [[float(one["x"]), float(one["y"])] for one in channels],
        "contact_plane_axes": [[[1.0, 0.0], [0.0, 1.0]]] * count,
        # No header says what they look like.
        "contact_shapes": ["circle"] * count,
        "contact_shape_params": [{"radius": 6.0}] * count,
        "device_channel_indices": list(range(count)),
        "shank_ids": [str(one.get("shank") or 0) for one in channels],
    }
    return {"specification": "probeinterface", "version": _PROBEINTERFACE, "probes": [probe]}


def _microvolts(channel: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return gain and offset of a channel in uV; None where it is no voltage, or nobody knows."""
    factor = _IN_MICROVOLTS.get(channel.get("unit", ""))
    if factor is None or "scale" not in channel or channel.get("kind") == DIGITAL:
        return None
    return factor * channel["scale"], factor * channel.get("offset", 0.0)
