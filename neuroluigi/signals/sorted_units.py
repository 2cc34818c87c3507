"""The units of a sorter's folder, as Kilosort writes it and phy leaves it: spikes, label and channel of each.

Which file is which: the documentation of phy (https://phy.readthedocs.io, "Sorting data format"), which Kilosort 2 to 4
write for. params.py, which is a program, is not read.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Unit:
    """A cluster of spikes."""

    # As the sorter, or phy, numbers it.
    id: int
    # "good", "mua", "noise", "unsorted" or what else somebody called it; "" where the folder does not say.
    label: str
    # int64 of shape (spikes,), sorted, 0-based: samples of the file that was sorted.
    samples: np.ndarray
    # 0-based position, in the file that was sorted, of the channel on which its template is largest; None where the
    # folder does not say.
    channel: int | None
    # How many spikes more the folder has, which lie before the first sample of that file, or after its last one.
    outside: int = 0


# Which columns have labels, and in which files, the first that says something of a unit counts: what a person decided
# comes before what the sorter proposed, of which Kilosort 4 puts a copy where phy later writes what was decided. Before
# 2.0, phy wrote .csv.
_LABELS = {
    "group": ("cluster_group.tsv", "cluster_groups.csv", "cluster_info.tsv"),
    "KSLabel": ("cluster_KSLabel.tsv", "cluster_group.tsv"),
}
_IDS = ("cluster_id", "id")
# Kilosort pads the last batch with zeros, and some versions find spikes there, or just before the first sample; more
# than this share of all are those of another file.
_MOST_OUTSIDE = 0.01


def read_units(folder: str, samples: int | None = None) -> list[Unit]:
    """Return the units of a sorter's folder that have spikes, by id.

    `samples` is how many the file that was sorted has, where that is known. Raises ValueError, which names the file,
    for a folder that is none of a sorter, and where more than a few spikes are at samples that the file does not have.
    """
    place = Path(folder)
    times = _whole_numbers(place / "spike_times.npy")
    is_outside = _outside(place / "spike_times.npy", times, samples)
    path = next((one for one in _files_of_clusters(place) if one.is_file()), None)
    if path is None:
        raise ValueError(f"{place} has neither {' nor '.join(one.name for one in _files_of_clusters(place))}")
    clusters = _column_for(times, path)
    labels, templates = _labels(place), _Templates(place, times)
    units = []
    for one, spikes in _by_cluster(clusters):
        inside = times[spikes[~is_outside[spikes]]]
        if len(inside):
            channel, outside = templates.channel_of(one, spikes), len(spikes) - len(inside)
            units.append(Unit(one, labels.get(one, ""), np.sort(inside), channel, outside))
    return units


def _files_of_clusters(folder: Path) -> tuple[Path, Path]:
    """Return the files with the cluster of each spike: of curation, and as sorted."""
    return folder / "spike_clusters.npy", folder / "spike_templates.npy"


def _by_cluster(clusters: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each cluster, and which spikes are of it."""
    order = np.argsort(clusters, kind="stable")
    ids, firsts = np.unique(clusters[order], return_index=True)
    if len(ids):
        yield from zip(ids.tolist(), np.split(order, firsts[1:]), strict=True)


def _load(path: Path) -> np.ndarray:
    """Return the array of a .npy file as a memory map. Raises ValueError for any other file."""
    try:
        # Objects are not read: reading them can run any program.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist: {path.parent} is not the folder of a sorter's results") from None
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path} is not a whole .npy file of numbers: {error}") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise ValueError(f"{path} is not a .npy file of numbers")
    return array


def _whole_numbers(path: Path) -> np.ndarray:
    """Return one whole number per spike as int64, from any type of number, and from a column or a row."""
    array = _load(path)
    if array.size != max(array.shape, default=1):
        raise ValueError(f"{path} has the shape {array.shape}; it should have one number per spike")
    values = np.ravel(array)
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or (np.rint(values) != values).any():
            raise ValueError(f"{path} has values that are no whole numbers, so they are not samples or clusters")
        if (abs(values) >= 2.0**63).any():
            raise ValueError(f"{path} has values beyond 2^63")
    elif values.dtype.kind == "u" and values.size and values.max() >= 1 << 63:
        raise ValueError(f"{path} has values beyond 2^63, negative ones that are read as positive perhaps")
    return values.astype(np.int64)


def _outside(path: Path, times: np.ndarray, samples: int | None) -> np.ndarray:
    """Return whether each spike is at a sample that the sorted file does not have, as far as its length is known."""
    is_outside = times < 0 if samples is None else (times < 0) | (times >= samples)
    count = int(is_outside.sum())
    if count > _MOST_OUTSIDE * len(times):
        known = "" if samples is None else f" of {samples} samples"
        raise ValueError(
            f"{path}: {count} of {len(times)} spikes lie outside of the file{known} that was sorted, the first at"
            f" sample {times[is_outside][0]}; were they found in another file? Then sort this one"
        )
    return is_outside


def _column_for(times: np.ndarray, path: Path) -> np.ndarray:
    """Return the whole number that a file has for each spike."""
    values = _whole_numbers(path)
    if len(values) != len(times):
        raise ValueError(
            f"{path} has {len(values)} values, and spike_times.npy {len(times)}: they are not of one run of the sorter"
        )
    return values


def _labels(folder: Path) -> dict[int, str]:
    """Return the labels of clusters that have one."""
    found: dict[int, str] = {}
    for column, names in _LABELS.items():
        for name in names:
            if (path := folder / name).is_file():
                found = {**_labels_of(path, column), **found}
    return found


def _labels_of(path: Path, column: str) -> dict[int, str]:
    """Return the labels in a column of a table with tabs, or of an old one with commas, which has tabs at times."""
    found = {}
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = csv.DictReader(text.splitlines(), delimiter="\t" if "\t" in text else ",")
        names = set(rows.fieldnames or ())
        key = next((one for one in _IDS if one in names), "")
        if not key or not names & _LABELS.keys():
            raise ValueError("it should have the columns cluster_id, and group or KSLabel")
        for row in rows:
            if label := (row.get(column) or "").strip():
                found[int(row[key])] = label
    except (ValueError, TypeError, csv.Error, OSError) as error:
        raise ValueError(f"{path} is not a table of labels: {error}") from error
    return found


class _Templates:
    """The templates of a sorter: on which channel of the sorted file each is largest."""

    def __init__(self, folder: Path, times: np.ndarray):
        self._channels: Callable[[int], int | None] = lambda template: None
        self._of_spikes: np.ndarray | None = None
        if (path := folder / "spike_templates.npy").is_file():
            self._of_spikes = _column_for(times, path)
        if (folder / "templates.npy").is_file():
            self._channels = partial(_largest, *_read_templates(folder))
        self._known: dict[int, int | None] = {}

    def channel_of(self, cluster: int, spikes: np.ndarray) -> int | None:
        """Return the channel of a cluster: that of the template of most of its spikes, which were merged perhaps."""
        template = cluster
        if self._of_spikes is not None:
            found, counts = np.unique(self._of_spikes[spikes], return_counts=True)
            template = int(found[np.argmax(counts)])
        if template not in self._known:
            self._known[template] = self._channels(template)
        return self._known[template]


def _read_templates(folder: Path) -> tuple[Mapping[str, np.ndarray | None], np.ndarray]:
    """Return the arrays that say where templates are, and the position of each of their channels in the sorted file.

    Raises ValueError where these don't go together.
    """
    path = folder / "templates.npy"
    templates, columns = _load(path), _load_if_there(folder / "templates_ind.npy")
    if templates.ndim != 3:
        raise ValueError(f"{path} has the shape {templates.shape}; it should be that of (templates, samples, channels)")
    if columns is not None and columns.shape != (len(templates), templates.shape[2]):
        raise ValueError(
            f"{folder}: templates_ind.npy {columns.shape} does not go with templates.npy {templates.shape}"
        )
    positions = _whole_numbers(folder / "channel_map.npy")
    if columns is None and len(positions) != templates.shape[2]:
        raise ValueError(
            f"{folder}: channel_map.npy has {len(positions)} channels, and templates.npy {templates.shape[2]}"
        )
    unwhitening = _load_if_there(folder / "whitening_mat_inv.npy")
    if unwhitening is not None and unwhitening.shape != (len(positions), len(positions)):
        raise ValueError(
            f"{folder}: whitening_mat_inv.npy {unwhitening.shape} does not go with the {len(positions)} channels of"
            " channel_map.npy"
        )
    # It is used for each template.
    unwhitening = None if unwhitening is None else np.array(unwhitening)
    return {"templates": templates, "columns": columns, "unwhitening": unwhitening}, positions


def _load_if_there(path: Path) -> np.ndarray | None:
    return _load(path) if path.is_file() else None


def _largest(arrays: Mapping[str, np.ndarray | None], positions: np.ndarray, template: int) -> int | None:
    """Return the channel on which a template goes furthest from its lowest to its highest value, as phy shows it."""
    templates, columns, unwhitening = arrays["templates"], arrays["columns"], arrays["unwhitening"]
    if templates is None or not 0 <= template < len(templates):
        return None
    waveform = np.asarray(templates[template], np.float64)
    channels = np.arange(waveform.shape[1]) if columns is None else np.asarray(columns[template]).astype(int)
    # Where a template has fewer channels than there is place for, -1 or their number fills up.
    is_there = (channels >= 0) & (channels < len(positions))
    channels, waveform = channels[is_there], waveform[:, is_there]
    if unwhitening is not None:
        is_all = np.array_equal(channels, np.arange(len(positions)))
        waveform = waveform @ (unwhitening if is_all else unwhitening[np.ix_(channels, channels)])
    sizes = np.ptp(waveform, axis=0) if waveform.size else np.zeros(0)
    return int(positions[channels[np.argmax(sizes)]]) if sizes.any() else None
