"""Targets: the files of recordings and of results; how a file is read, and checked to be whole, by its own format."""

import codecs
import contextlib
import csv
import io
import json
import os
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.parsers import expat

import luigi
from luigi.local_target import atomic_file
from luigi.target import FileSystemTarget

from neuroluigi.provenance.commit import pending_path
from neuroluigi.provenance.contents import measure
from neuroluigi.provenance.parts import part_path


class DamagedError(ValueError):
    """A file that is not what its format demands; the message has its name and the reason."""


class WritingError(RuntimeError):
    """A result that somebody else than its step would change through its target; the message says what to do."""


def check_json(path: Path) -> None:
    """Raise DamagedError unless the file is JSON."""
    try:
        with path.open("rb") as file:
            if b"\0" in file.read(_BLOCK):
                # As a power cut leaves it, or a sparse file of any size.
                raise ValueError("it has zero bytes")
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DamagedError(f"{path} is not valid JSON: {error}") from error


def check_npy(path: Path) -> None:
    """Raise DamagedError unless the file is a .npy array of the size in its header."""
    import numpy as np

    try:
        np.load(path, mmap_mode="r")
    except (ValueError, EOFError, OSError) as error:
        raise DamagedError(f"{path} is not a whole .npy file: {error}") from error


def check_png(path: Path) -> None:
    """Raise DamagedError unless the file begins and ends as a PNG picture does."""
    with path.open("rb") as file:
        start = file.read(8)
        file.seek(max(0, path.stat().st_size - 12))
        end = file.read()
    if start != b"\x89PNG\r\n\x1a\n" or end != struct.pack(">I4sI", 0, b"IEND", 0xAE426082):
        raise DamagedError(f"{path} is not a whole PNG picture")


def check_svg(path: Path) -> None:
    """Raise DamagedError unless the file is whole XML whose outermost element is an SVG picture."""
    outermost: list[str] = []
    parser = expat.ParserCreate()

    def note(name: str, _: object) -> None:
        outermost.append(name)
        # A picture has many thousands.
        parser.StartElementHandler = None

    parser.StartElementHandler = note
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
    except expat.ExpatError as error:
        raise DamagedError(f"{path} is not a whole SVG picture: {error}") from error
    if outermost[0].rpartition(":")[2] != "svg":
        raise DamagedError(f"{path} is not an SVG picture but <{outermost[0]}>")


def check_pdf(path: Path) -> None:
    """Raise DamagedError unless the file begins and ends as a PDF does; readers allow for some bytes around it."""
    with path.open("rb") as file:
        start = file.read(_AROUND_PDF)
        file.seek(max(0, path.stat().st_size - _AROUND_PDF))
        end = file.read()
    if b"%PDF-" not in start or b"%%EOF" not in end:
        raise DamagedError(f"{path} is not a whole PDF")


def check_text(path: Path) -> None:
    """Raise DamagedError for a text file with zero bytes, which a power cut leaves; any encoding will do."""
    with path.open("rb") as file:
        is_utf16 = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        file.seek(0)
        if not is_utf16 and any(b"\0" in block for block in iter(lambda: file.read(_BLOCK), b"")):
            raise DamagedError(f"{path} is not text: it has zero bytes")


CHECKS: Mapping[str, Callable[[Path], None]] = {
    ".json": check_json,
    ".npy": check_npy,
    ".png": check_png,
    ".svg": check_svg,
    ".pdf": check_pdf,
    **dict.fromkeys((".csv", ".tsv", ".txt"), check_text),
}
_BLOCK = 1 << 20
_AROUND_PDF = 1024


def _load_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _load_npy(path: Path) -> Any:
    import numpy as np

    return np.load(path)


def _load_mat(path: Path) -> dict[str, Any]:
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise ImportError(f"reading {path.name} needs SciPy: pip install 'neuroluigi[mat]'") from error
    return {name: value for name, value in loadmat(path, simplify_cells=True).items() if not name.startswith("__")}


def _load_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))


LOADERS: Mapping[str, Callable[[Path], Any]] = {
    ".json": _load_json,
    ".npy": _load_npy,
    ".mat": _load_mat,
    ".csv": _load_rows,
    ".tsv": _load_rows,
    ".txt": lambda path: path.read_text(encoding="utf-8"),
}


def local_path(target: Any) -> str | None:
    """Return the path of a target that is a file or folder of this machine; None for any other.

    A target of the lab's own has a path of whatever kind: it is one of this machine unless the target is there and no
    such file is.
    """
    if isinstance(target, (luigi.LocalTarget, RecordingTarget)):
        return target.path
    path = getattr(target, "path", None)
    if isinstance(target, FileSystemTarget) or not isinstance(path, (str, os.PathLike)):
        return None
    return os.fspath(path) if os.path.lexists(path) or not target.exists() else None


# What says which one of its kind a target is: of Luigi's own, files elsewhere and tables of databases.
_NAMES = ("path", "database", "table", "target_table", "update_id")


def describe_target(target: Any) -> dict[str, str]:
    """Return the class of a target that is no file of this machine, and what names it, if anything does, as texts."""
    values = [str(value) for name in _NAMES if isinstance(value := getattr(target, name, None), (str, os.PathLike))]
    kind = type(target)
    # Python's own text of an object is its address, another one in each run.
    if not values and " at 0x" not in (text := str(target)):
        values = [text]
    # An address may have a password in it.
    name = re.sub(r"(?<=://)[^/\s]*@", "", " ".join(values))
    return {"class": f"{kind.__module__}.{kind.__qualname__}", "name": name}


class RecordingTarget(luigi.Target):
    """The file of an existing recording; never written to.

    `sha256` is that of the table, "" for none; `recording` is its session and index: "a/0". `beside` are its other
    files, such as its header, which are inputs too: "a/0/info.rhd".
    """

    def __init__(self, path: str, sha256: str = "", recording: str = "", beside: Sequence["RecordingTarget"] = ()):
        self.path = path
        self.recording = recording
        self.sha256 = sha256
        self.beside = beside

    def exists(self) -> bool:
        return os.path.isfile(self.path)  # noqa: PTH113

    def __str__(self) -> str:
        return self.path


def files_beside(targets: Iterable[Any]) -> list[Any]:
    """Return the files that come with some targets and are none of them, each once: two may have one header."""
    targets = list(targets)
    beside = {one.path: one for target in targets for one in getattr(target, "beside", ())}
    among = {path for target in targets if beside and (path := getattr(target, "path", None))}
    return [one for path, one in beside.items() if path not in among]


# What a value of a result in counts is: one as samples are, their mean, a spread, which has no offset, or one as the
# samples are after the file's own `band`: without offset where that has a low end; of their size where the file's
# parameters have the polarity `absolute`.
SAMPLE, MEAN, SPREAD, FILTERED = _IN_COUNTS = ("sample", "mean", "spread", "filtered")

# The temporary path of each file of the step that is made now, by the file's own path.
_parts: Mapping[str, Path] = {}


@contextlib.contextmanager
def written_to(parts: Mapping[str, Path]) -> Iterator[None]:
    """While a step is made, let the targets of its files write to, and read, their temporary paths."""
    global _parts
    before, _parts = _parts, parts
    try:
        yield
    finally:
        _parts = before


class _PartFile(atomic_file):
    """A file that appears when it is closed, and not where the block that writes it fails."""

    def generate_tmp_path(self, path):
        return os.fspath(part_path(Path(path)))


class ResultTarget(luigi.LocalTarget):
    """One file that a step makes. A pipeline's own formats subclass this: `check` their content, `load` it.

    A step gets it by self.result(NAME), with its run record. A script or notebook needs no record:
    targets.Edges("results/a-even/edges.npy").load().

    While its step is made, it writes, reads, moves and removes the temporary file that make(out) has in `out`. At any
    other time it only reads: what would change the file raises WritingError.
    """

    # What in it doesn't count: of a folder, names of files; of a JSON file, names of values, at any depth.
    ignore: Sequence[str] = ()
    # Of a JSON file: the values in counts, which are shown in units, and what they are: {"max": "sample"}.
    in_counts: Mapping[str, str] = {}
    # Of a JSON file: the values that tables show; None for all of one that has nothing nested.
    shown: Sequence[str] | None = None
    # Files that lie elsewhere and belong to it: inputs of each step that is given this one.
    beside: Sequence[Any] = ()
    _is_there: Callable[[Any], bool] = staticmethod(os.path.isfile)

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        for name, what in cls.in_counts.items():
            if what not in _IN_COUNTS:
                raise TypeError(f"{cls.__name__}.in_counts: {name} is one of {', '.join(_IN_COUNTS)}, not {what!r}")

    def __init__(self, path: str | Path, record: str | Path = "", format: Any = None):
        super().__init__(os.fspath(path), format)
        self.record = os.fspath(record)

    def exists(self) -> bool:
        """Return whether the file is there; not while a commit of it that was interrupted is still to be finished."""
        # Not Path.is_file(): that raises where a folder can't be read, and complete() must not.
        is_pending = self.record and os.path.exists(pending_path(self.record))  # noqa: PTH110
        return self._is_there(self.path) and not is_pending

    def load(self) -> Any:
        """Return the content by the extension of the file, whole, in memory.

        .json: what it holds; .npy: an array; .csv and .tsv: a dict of texts per row, by the names in the first row;
        .txt: a text; .mat: a dict of variables, by SciPy's loadmat with simplify_cells. Raises TypeError for any other.
        """
        path = Path(self._path_to_read())
        if path.suffix not in LOADERS:
            raise TypeError(
                f"{self.path} has no extension that load() knows ({', '.join(LOADERS)}): read its path, or give it a"
                " class of yours, self.result(NAME, KIND), with load() and a base of ResultTarget"
            )
        return LOADERS[path.suffix](path)

    def open(self, mode: str = "r") -> Any:
        """Open the file as luigi.LocalTarget does, for "r", "w" or "a"; how bytes become text is said by `format`."""
        kind = mode.replace("b", "").replace("t", "")
        if kind == "w":
            return self.format.pipe_writer(_PartFile(self._path_to_write("written")))
        if kind == "a":
            return self.format.pipe_writer(io.BufferedWriter(io.FileIO(self._path_to_write("written"), "a")))
        return luigi.LocalTarget(self._path_to_read(), self.format).open(mode)

    @contextlib.contextmanager
    def temporary_path(self) -> Iterator[str]:
        """Give the temporary path at which the step makes the file."""
        yield self._path_to_write("written")

    def move(self, new_path: str, raise_if_exists: bool = False) -> None:
        self.fs.move(self._path_to_write("moved"), new_path, raise_if_exists)

    def remove(self) -> None:
        self.fs.remove(self._path_to_write("removed"))

    def copy(self, new_path: str, raise_if_exists: bool = False) -> None:
        self.fs.copy(self._path_to_read(), new_path, raise_if_exists)

    def _path_to_read(self) -> str:
        return os.fspath(_parts.get(self.path, self.path))

    def _path_to_write(self, done: str) -> str:
        if self.path not in _parts:
            raise WritingError(
                f"{self.path} can't be {done} here: only its own step writes it, in make(), so that file and run record"
                " agree; to have it made again, delete the file by hand, or see neuroluigi clean and drop"
            )
        return os.fspath(_parts[self.path])

    @property
    def has_format(self) -> bool:
        """Whether check() knows the format, and so tells a file that was cut short from one that was edited."""
        return type(self).check is not ResultTarget.check or os.path.splitext(self.path)[1] in CHECKS  # noqa: PTH122

    def check(self, path: Path) -> None:
        """Raise DamagedError unless `path` holds what this target should: by default by its extension."""
        if path.is_dir():
            raise DamagedError(f"{path.name} is a folder; a result is a file")
        if not path.is_file():
            raise DamagedError(f"{path.name} was not written")
        if path.stat().st_size == 0:
            raise DamagedError(f"{path.name} is empty")
        if path.suffix in CHECKS:
            CHECKS[path.suffix](path)


class ResultFolder(ResultTarget):
    """A folder that a step makes, and that is one result with all files in it, such as what Kilosort or Zarr write.

    A step gets it by self.result_folder(NAME). `ignore` are names in it that don't count (see contents.measure), such
    as what a viewer leaves there: they don't make the result modified, and go with it when it is made again or removed.
    """

    _is_there = staticmethod(os.path.isdir)
    # That a file is gone does not tell a folder that was damaged from one that was edited.
    has_format = True

    def __init__(self, path: str | Path, record: str | Path = "", ignore: str | Sequence[str] = ()):
        super().__init__(os.path.normpath(path), record)
        self.ignore = (ignore,) if isinstance(ignore, str) else tuple(ignore)

    def load(self) -> Any:
        """Return the path of the folder, for who knows what is in it."""
        return Path(self._path_to_read())

    def check(self, path: Path) -> None:
        """Raise DamagedError unless `path` is a folder with a file in it that counts."""
        found = measure(path, self.ignore)
        if found is None:
            raise DamagedError(f"{path.name} was not written")
        if found.files is None:
            raise DamagedError(f"{path.name} is a file; it is declared as a folder")
        if not found.files:
            raise DamagedError(f"{path.name} is empty")
