"""Formats with a file for each recording, such as WAV: session and index by the folder and the order of the names."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from neuroluigi.recordings.formats.reader import Channel, RecordedFile, described, natural_key


def recordings_by_name(
    format: str,
    folder: str,
    names: Iterable[str],
    describe: Callable[[str, Mapping[str, str]], RecordedFile],
    stream: Callable[[str], str] = lambda name: "",
) -> list[RecordedFile]:
    """Return the recordings in files of these names, as `describe(path, columns)` describes each.

    The session is called like the folder; index is the rank of a name in natural order, among those of its `stream`.
    """
    folder = os.path.abspath(folder)
    ranks: dict[str, int] = defaultdict(int)
    recordings = []
    for name in sorted(names, key=natural_key):
        columns = {"session": os.path.basename(folder), "index": str(ranks[stream(name)])}
        columns["stem"] = os.path.splitext(name)[0]
        if stream(name):
            columns["stream"] = stream(name)
        ranks[stream(name)] += 1
        path = os.path.join(folder, name)
        recordings.append(described(format, path, columns, partial(describe, path, columns)))
    return recordings


def plain_channels(count: int) -> tuple[Channel, ...]:
    """Return channels of which the file knows but the number; they are called by it, from 0."""
    return tuple(Channel(str(i)) for i in range(count))


def cut_warning(path: str, size: int, said: int) -> tuple[str, ...]:
    """Return a warning for a file that ends before the byte that its header says, nothing for any other."""
    if said <= size:
        return ()
    return (f"{path} has {size} bytes, {said} by its header; what is there is taken, copy it again if it was cut off",)
