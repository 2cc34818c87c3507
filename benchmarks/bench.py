"""All that is measured, as a table per place: `make bench`, or `make bench QUICK=1` for smaller ones.

    python benchmarks/bench.py [--quick] [--peers] [--in FOLDER ...] [FUNCTION ...]

Each function makes its data in a temporary folder and yields rows: once on a disk, as results lie on one, and once in
memory, where that can be had. README.md beside this file says what they mean.
"""

import argparse
import multiprocessing
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import analysis
import calls
import looks
import nwb
import peers
import pipeline
import psutil
import scheduling
import spikes
from table import REPOSITORY, Row

from neuroluigi.provenance.record import package_versions

FUNCTIONS = (
    scheduling.many_tasks,
    scheduling.more_tasks,
    pipeline.empty_step,
    pipeline.fake_pipeline,
    pipeline.finished_pipeline,
    pipeline.two_workers,
    analysis.concatenation,
    analysis.statistics,
    analysis.edges,
    analysis.lines,
    analysis.reading,
    analysis.four_files,
    analysis.plot,
    analysis.hundred_plots,
    analysis.memory,
    spikes.spikes,
    spikes.two_groups,
    nwb.nwb,
    calls.one_call,
    calls.slow_engine,
    looks.finished_groups,
    looks.hundred_thousand_rows,
)


# No file of theirs is as large, or flushed so often, that the place makes a difference.
ANYWHERE = (scheduling.many_tasks, scheduling.more_tasks, pipeline.two_workers, calls.one_call, calls.slow_engine)

MEMORY = Path("/dev/shm")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less of everything, in under two minutes for each place")
    parser.add_argument("--peers", action="store_true", help="other systems too, where they are installed")
    parser.add_argument(
        "--in",
        dest="places",
        action="append",
        type=Path,
        metavar="FOLDER",
        help="only in this folder; repeatable. Else in TMPDIR, or beside this repository, and in memory",
    )
    parser.add_argument("names", nargs="*", metavar="FUNCTION", help="only these")
    options = parser.parse_args()  # fmt: skip
    functions = [*FUNCTIONS, *((*peers.FUNCTIONS, spikes.peers_spikes) if options.peers else ())]
    if unknown := set(options.names) - {one.__name__ for one in functions}:
        parser.error(f"there is no {', '.join(unknown)}; there are: {', '.join(one.__name__ for one in functions)}")
    versions = {**package_versions(("numpy", "matplotlib")), "octave": _octave_version()}
    print(f"{platform.node()}: {platform.platform()}, {os.cpu_count()} processors")
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    disk = Path(os.environ.get("TMPDIR") or REPOSITORY.parent)
    places = options.places or [disk, *([MEMORY] if MEMORY.is_dir() and disk != MEMORY else [])]
    for place in places:
        wanted = [one for one in functions if not options.names or one.__name__ in options.names]
        _print_table(place, [one for one in wanted if place == places[0] or one not in ANYWHERE], options.quick)


def _print_table(place: Path, functions: Sequence[Callable[[Path, bool], Iterator[Row]]], quick: bool) -> None:
    print(f"\nin {place} ({_file_system(place)})")
    print(f"{'work':62} {'ours':>16}  {'against':36} {'ratio':>8}  to reach", flush=True)
    began = time.monotonic()
    for function in functions:
        # The peak of a process is at least what the one that starts it has at that time: so each function has its own.
        process = multiprocessing.Process(target=_print_rows, args=(function, place, quick))
        process.start()
        process.join()
        if process.exitcode:
            sys.exit(process.exitcode)
    print(f"\n{time.monotonic() - began:.0f} s")


def _print_rows(function: Callable[[Path, bool], Iterator[Row]], place: Path, quick: bool) -> None:
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place, prefix="bench-") as folder:
        for row in function(Path(folder), quick):
            # Of little work most is what it costs at all: it is held to no figure.
            print(replace(row, at_most=None, at_least=None) if quick else row, flush=True)


def _file_system(place: Path) -> str:
    """Return the kind of the disk on which a folder lies."""
    mounts = {Path(one.mountpoint): one.fstype for one in psutil.disk_partitions(all=True)}
    return next((mounts[one] for one in (place.resolve(), *place.resolve().parents) if one in mounts), "unknown")


def _octave_version() -> str:
    if not shutil.which("octave-cli"):
        return "not installed"
    said = subprocess.run(["octave-cli", "--version"], capture_output=True, text=True, check=False).stdout
    return said.split("version")[1].split()[0]


if __name__ == "__main__":
    main()
