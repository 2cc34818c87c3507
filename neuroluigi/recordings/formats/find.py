"""Find the recordings of the formats that describe themselves, in one walk through the folders below a root."""

import os
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from neuroluigi.provenance.files import read_json
from neuroluigi.recordings.formats import brainvision, edf, intan, neo, npy, nsx, nwb, openephys, phy, spikeglx, wav
from neuroluigi.recordings.formats.library_process import one_process
from neuroluigi.recordings.formats.reader import RecordedFile, natural_key
from neuroluigi.recordings.formats.signatures import OF_RECORDINGS


class Format(Protocol):
    """What each module of a format has: its name, and more."""

    FORMAT: str

    @property
    def GROUP_BY(self) -> tuple[str, ...]:
        """The columns by whose values recordings of this format are grouped."""

    def claims(self, folder: str, names: Sequence[str]) -> bool:
        """Whether there are recordings of this format in a folder, by the names of files and folders in it."""

    def recordings_in(self, folder: str, names: Sequence[str]) -> list[RecordedFile]:
        """Return the recordings of the folder; what is wrong with one is in its problems."""


# Those that are looked for where none is named, the one that is preferred first: their files are never anything else.
_BY_THEMSELVES: tuple[Format, ...] = (spikeglx, openephys, intan, nsx, brainvision)
# Those that are looked for by their name alone: others have such files too.
_BY_NAME: tuple[Format, ...] = (wav, npy, phy, edf, nwb, neo)

FORMATS: Mapping[str, Format] = MappingProxyType({one.FORMAT: one for one in (*_BY_THEMSELVES, *_BY_NAME)})
AUTO = tuple(one.FORMAT for one in _BY_THEMSELVES)
# Not even a row of a table that names no format is described by these: other files have their extensions.
NEVER_GUESSED = frozenset({neo.FORMAT})

# Of so many .json files in a folder `runs` one is looked at as a run record, at most.
_MOST_RECORDS_TRIED = 5


class Found(NamedTuple):
    """Recordings in natural order of their paths, and a sentence for each folder that could not be looked at."""

    recordings: tuple[RecordedFile, ...]
    problems: tuple[str, ...]


@one_process()
def find_recordings(root: str, formats: Sequence[str] = AUTO, results: Iterable[str] = ()) -> Found:
    """Return the recordings of some formats below a root; those that are named have to be in FORMATS.

    A folder belongs to the format that claims it, and what lies below it is nobody's recording by name alone: the .npy
    files and params.py of a sorter beside the data are none. Folders of `results`, and others with our run records, are
    passed over; so are hidden files. A link to a folder is followed, but no link below that one.
    """
    walk = _Walk(os.path.abspath(root), results)
    recordings: list[RecordedFile] = []
    for folder, names, is_claimed in walk.folders():
        owner = next((one for one in _BY_THEMSELVES if one.claims(folder, names)), None)
        if owner:
            walk.claim(folder)
        elif not is_claimed:
            owner = next((FORMATS[name] for name in formats if FORMATS[name].claims(folder, names)), None)
        if owner and owner.FORMAT in formats:
            recordings += owner.recordings_in(folder, names)
    recordings.sort(key=lambda recording: [natural_key(name) for name in recording.path.split(os.sep)])
    return Found(tuple(recordings), tuple(walk.problems))


def count_unread(root: str, read: Container[str], results: Iterable[str] = ()) -> Counter[tuple[str, str]]:
    """Count the files below a root that have the extension of recordings, by extension and the format that reads them.

    The paths in `read` are not counted, nor is what lies below a folder that a format claims. The format is "" where
    there is none, or where the folder is that of another one.
    """
    walk = _Walk(os.path.abspath(root), results)
    counted: Counter[tuple[str, str]] = Counter()
    for folder, names, is_claimed in walk.folders():
        if is_claimed:
            continue
        is_owned = any(one.claims(folder, names) for one in _BY_THEMSELVES)
        if is_owned:
            walk.claim(folder)
        for name in names:
            path, extension = os.path.join(folder, name), os.path.splitext(name)[1].lower()
            if extension[1:] in OF_RECORDINGS and path not in read and os.path.isfile(path):
                readers = [] if is_owned else [one.FORMAT for one in _BY_NAME if one.claims(folder, [name])]
                counted[extension, readers[0] if readers else ""] += 1
    return counted


class _Walk:
    """One walk: where it has been, and what it could not look at."""

    def __init__(self, root: str, results: Iterable[str]):
        self._root, self.problems = root, list[str]()
        self._seen = {identity for folder in results if (identity := _identity(folder))}
        self._claimed: set[str] = set()

    def claim(self, folder: str) -> None:
        """Say that all below a folder belongs to a format."""
        self._claimed.add(folder)

    def folders(self) -> Iterator[tuple[str, list[str], bool]]:
        """Yield each folder with the names in it, sorted, and whether a folder above it was claimed."""
        links: list[tuple[str, bool]] = []
        yield from self._below([(self._root, False)], links)
        # Last, so that a folder below the root has its own path, not that of a link to it.
        yield from self._below([one for one in links if not self._leads_up(one[0])], None)

    def _below(
        self, waiting: list[tuple[str, bool]], links: list[tuple[str, bool]] | None
    ) -> Iterator[tuple[str, list[str], bool]]:
        """Yield these folders and those below them; links to folders are added to `links`, where they are wanted."""
        while waiting:
            folder, is_claimed = waiting.pop()
            identity = _identity(folder)
            if identity:
                if identity in self._seen:
                    continue
                self._seen.add(identity)
            try:
                with os.scandir(folder) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as error:
                self._note(folder, error)
                continue
            if _has_our_records(folder, {entry.name for entry in entries}):
                continue
            visible = [entry for entry in entries if not entry.name.startswith(".")]
            yield folder, [entry.name for entry in visible], is_claimed
            is_claimed = is_claimed or folder in self._claimed
            for entry in reversed(visible):
                if _is_folder(entry):
                    waiting.append((entry.path, is_claimed))
                elif links is not None and entry.is_symlink() and os.path.isdir(entry.path):
                    links.append((entry.path, is_claimed))

    def _leads_up(self, link: str) -> bool:
        """Whether a link leads to a folder above the root, which is not what anybody wants to be looked through."""
        return f"{os.path.realpath(self._root)}{os.sep}".startswith(f"{os.path.realpath(link).rstrip(os.sep)}{os.sep}")

    def _note(self, folder: str, error: OSError) -> None:
        what = "make it readable, or take it out of the folder" if folder != self._root else "correct [recordings] root"
        self.problems.append(f"can't look for recordings in the folder {folder}: {error.strerror}; {what}")


def _identity(folder: str) -> tuple[int, int] | None:
    """Return what a folder is under any name; None where it can't be known, as on some disks of Windows."""
    try:
        found = os.stat(folder)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found.st_ino else None


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _has_our_records(folder: str, names: set[str]) -> bool:
    """Whether a folder is one of results: of all (.runs), or of a group (runs/STEP.json)."""
    if ".runs" in names:
        return True
    if "runs" not in names:
        return False
    try:
        records = [name for name in sorted(os.listdir(os.path.join(folder, "runs"))) if name.endswith(".json")]
    except OSError:
        return False
    tried = (read_json(os.path.join(folder, "runs", name)) for name in records[:_MOST_RECORDS_TRIED])
    return any(isinstance(one, dict) and "schema" in one and "step" in one for one in tried)
