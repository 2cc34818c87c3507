"""HDF5 files: their groups, datasets and attributes, never those of a file outside the folder of the first one.

A link is followed step by step, as HDF5 by itself would open any file that one leads to.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

from neuroluigi.recordings.formats.binary import opened
from neuroluigi.recordings.formats.libraries import read_by
from neuroluigi.recordings.formats.reader import as_text, path_inside
from neuroluigi.recordings.recording import RecordingsError

if TYPE_CHECKING:
    import h5py

# Links that lead to links.
_MOST_LINKS = 8


@dataclass(frozen=True)
class Node:
    """A group or dataset: the file that it is in, its path there, and all files that the way to it led through."""

    path: str
    name: str
    files: tuple[str, ...]
    item: "h5py.Group | h5py.Dataset"

    def attribute(self, name: str) -> object:
        """Return the value of an attribute, as Python has it; None where there is none, or an array."""
        if name not in self.item.attrs:
            return None
        # Not its value, before it is known to be a small one.
        shape = self.item.attrs.get_id(name).shape
        value: Any = self.item.attrs[name] if shape == () else None
        return value.item() if hasattr(value, "item") else value

    def text(self, name: str) -> str:
        """Return an attribute that is a text; "" for anything else."""
        value = self.attribute(name)
        return as_text(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)

    def dataset(self) -> "h5py.Dataset":
        """Return the dataset. Raises RecordingsError for a group."""
        import h5py

        if not isinstance(self.item, h5py.Dataset) or self.item.shape is None:
            raise RecordingsError(f"{self.path} has no dataset at {self.name}; it is damaged, or no NWB file")
        return self.item

    def values(self, most: int) -> list[Any]:
        """Return the values of a dataset of one dimension, as Python has them; [] for another, or more than `most`."""
        dataset = self.dataset()
        if len(dataset.shape) != 1 or dataset.shape[0] > most or dataset.is_virtual or dataset.external:
            return []
        values = dataset[()].tolist()
        return [one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in values]


@contextmanager
def only_opened(path: str, **options: Any) -> Iterator[Node]:
    """Open a file to read it, without a lock, which some disks don't have; yield its root.

    Whatever goes wrong within becomes a RecordingsError with the path.
    """
    with opened(path):
        pass
    with read_by("h5py", path):
        import h5py

        with h5py.File(path, "r", locking=False, **options) as file:
            yield Node(path, "/", (path,), file)


@overload
def resolve(node: Node, name: str, missing_ok: Literal[False] = False) -> Node: ...


@overload
def resolve(node: Node, name: str, missing_ok: bool) -> Node | None: ...


def resolve(node: Node, name: str, missing_ok: bool = False) -> Node | None:
    """Return what is at a path from a node, absolute or relative; None where it is not there and that is `missing_ok`.

    Raises RecordingsError where it is not there else, or is in a file outside the folder.
    """
    found = _walk(node, name, _MOST_LINKS)
    if found is None and not missing_ok:
        raise RecordingsError(f"{node.path} has no {name} in {node.name}; it is damaged, or no NWB file")
    return found


def children(node: Node, most: int) -> Iterator[Node]:
    """Yield what a group has, in the order of the names, without what no link leads to; nothing for a dataset."""
    import h5py

    if not isinstance(node.item, h5py.Group):
        return
    if len(node.item) > most:
        raise RecordingsError(f"{node.path} has more objects than any recording; it is damaged, or of another kind")
    for name in node.item:
        below = _walk(node, name, _MOST_LINKS, is_one_name=True)
        if below:
            yield below


def _walk(node: Node, name: str, links: int, is_one_name: bool = False) -> Node | None:
    import h5py

    if name.startswith("/"):
        node = Node(node.path, "/", node.files, node.item.file)
    names: Sequence[str] = [name] if is_one_name else [one for one in name.split("/") if one not in ("", ".")]
    for one in names:
        link = node.item.get(one, getlink=True) if isinstance(node.item, h5py.Group) else None
        if isinstance(link, h5py.HardLink):
            node = Node(node.path, f"{node.name.rstrip('/')}/{one}", node.files, node.item[one])
            continue
        if link is None or links <= 0:
            return None
        target = node if isinstance(link, h5py.SoftLink) else _other_file(node, link)
        found = _walk(target, link.path, links - 1)
        if found is None:
            return None
        node = found
    return node


def _other_file(node: Node, link: "h5py.ExternalLink") -> Node:
    import h5py

    path = path_inside(os.path.dirname(node.path), link.filename)
    if path is None:
        raise RecordingsError(
            f"{node.path} links to {as_text(link.filename)}, which is not in its folder; copy that file into it,"
            " or the data into one file (h5repack)"
        )
    with opened(path):
        pass
    file = h5py.File(path, "r", locking=False)
    return Node(path, "/", (*node.files, path), file)
