"""All that is measured, as one table: `make bench`, or `make bench QUICK=1` for a smaller one.

    python benchmarks/bench.py [--quick] [--peers] [FUNCTION ...]

Each function makes its data in a temporary folder and yields rows. README.md beside this file says what they mean.
"""

import argparse
import os
import platform
import shutil
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import analysis
import calls
import looks
import nwb
import peers
import pipeline
import scheduling
import spikes

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


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less of everything, in under two minutes")
    parser.add_argument("--peers", action="store_true", help="other systems too, where they are installed")
    parser.add_argument("names", nargs="*", metavar="FUNCTION", help="only these")
    options = parser.parse_args()
    functions = [*FUNCTIONS, *((*peers.FUNCTIONS, spikes.peers_spikes) if options.peers else ())]
    if unknown := set(options.names) - {one.__name__ for one in functions}:
        parser.error(f"there is no {', '.join(unknown)}; there are: {', '.join(one.__name__ for one in functions)}")
    versions = {**package_versions(("numpy", "matplotlib")), "octave": _octave_version()}
    print(f"{platform.node()}: {platform.platform()}, {os.cpu_count()} processors")
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    print(f"\n{'work':58} {'ours':>16}  {'against':34} {'ratio':>8}  to reach", flush=True)
    began = time.monotonic()
    for function in functions:
        if not options.names or function.__name__ in options.names:
            with tempfile.TemporaryDirectory() as folder:
                for row in function(Path(folder), options.quick):
                    # Of little work most is what it costs at all: it is held to no figure.
                    print(replace(row, at_most=None, at_least=None) if options.quick else row, flush=True)
    print(f"\n{time.monotonic() - began:.0f} s")


def _octave_version() -> str:
    if not shutil.which("octave-cli"):
        return "not installed"
    said = subprocess.run(["octave-cli", "--version"], capture_output=True, text=True, check=False).stdout
    return said.split("version")[1].split()[0]


if __name__ == "__main__":
    main()
