"""Runs of the real `luigi` on recordings of a test: what they print, and which files they change."""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests import commands
from tests.conftest import BIN, Pipeline, clean_environment

STRANGE = 'ö "x" it\'s $HOME `id` 100% %s 中文 ;&|'


@dataclass
class Run:
    """One run of `luigi`: exit code, and what it printed on either stream."""

    code: int
    out: str
    err: str


def run(pipeline: Pipeline, *arguments, engine: str = "numpy", task: str = "PlotAll") -> Run:
    command = [BIN / "luigi", "--module", "tasks", task, "--local-scheduler", "--matlab-engine", engine]
    done = commands.run(
        [*command, *map(str, arguments)],
        cwd=pipeline.folder,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return Run(done.returncode, done.stdout, done.stderr)


def snapshot(*folders: Path) -> dict[str, object]:
    """Return every path below the folders, a file's with its content and time of change."""
    return {
        str(path): (path.lstat().st_mtime_ns, path.read_bytes()) if path.is_file() else None
        for folder in folders
        for path in (folder, *sorted(folder.rglob("*")))
        if "__pycache__" not in str(path) and path != folder
    }


def stopped(pipeline: Pipeline, *arguments, **settings) -> str:
    """Run what has to stop before anything is made; return the one line that it says."""
    before = snapshot(pipeline.folder)
    done = run(pipeline, *arguments, **settings)
    assert done.code not in (0, None)
    assert done.out == ""
    (line,) = done.err.splitlines()
    assert line.startswith("luigi: ")
    assert snapshot(pipeline.folder) == before
    return line


def write_root(root: Path, table: Iterable[str] = (), **files: bytes) -> Path:
    """Write recordings, and the table where there are lines for it."""
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / f"{name}.bin").write_bytes(content)
    if table:
        (root / "recordings.csv").write_text("\n".join(table) + "\n", encoding="utf-8")
    return root


def samples(*values: float, dtype: str = "uint8") -> bytes:
    return np.array(values, dtype=np.dtype(dtype).newbyteorder("<")).tobytes()


def samples_in_place(folder: Path) -> np.ndarray:
    """Return the samples of a group that was not copied, (samples, channels), by aggregate.json in its folder alone."""
    aggregate = json.loads((folder / "aggregate.json").read_text())
    dtype, channels = np.dtype(aggregate["dtype"]).newbyteorder("<"), len(aggregate["channels"])
    found = []
    for part in aggregate["parts"]:
        path = folder / aggregate["roots"].get(part.get("root", ""), "") / part["path"]
        found.append(np.fromfile(path, dtype, part["samples"] * channels, offset=part["offset"]))
        assert len(found[-1]) == part["samples"] * channels
    return np.concatenate(found).reshape(-1, channels)


def results_of(pipeline: Pipeline, groups: Iterable[str]) -> dict:
    return snapshot(*(pipeline.results / group for group in groups))


def write_strange(root: Path, names: Iterable[str]) -> None:
    """Write two recordings for each name, of numbers that differ between names."""
    for number, name in enumerate(names):
        for index in range(2):
            write_root(root / name, **{f"rec_{index}": samples(0, 100 + number, index, 50)})


def write_two_groups(root: Path) -> Path:
    table = ("session,index,path", "a,0,x.bin", "b,0,y.bin")
    return write_root(root, table, x=samples(0, 100, 0, 100), y=samples(0, 0, 200))
