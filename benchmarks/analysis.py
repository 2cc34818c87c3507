"""The analysis at 1 GB: M-functions on Octave and NumPy functions for them, against NumPy on a memory map.

Seconds are those of the processor, without the start of the program: each has one thread, and a machine that others
use too makes little difference.
"""

import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
from table import BIN, REPOSITORY, Row, make_lab, run

from neuroluigi import fake_samples
from neuroluigi.signals.events import find_rising_edges

LEVEL = 500

TUNED_SQUARES = "np.einsum('ij,ij->j', x, x, dtype=float)"


def noise(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return bytes in which every fifth is an edge: the worst case."""
    return rng.integers(0, 256, size, dtype=np.uint8)


def tetrode(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return four channels with 1,000 edges per second each, at 30 kHz."""
    samples = rng.integers(-100, 100, (size // 8, 4), dtype=np.int16)
    samples[::30] = 2 * LEVEL
    return samples


def probe(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return the 384 channels of a Neuropixels probe, noise with rare edges."""
    samples = rng.integers(-100, 100, (size // 768, 384), dtype=np.int16)
    samples[::3000] = 2 * LEVEL
    return samples


def daq(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return eight analog channels and a word at 30 kHz: pulses of 1 Hz, of 500 Hz, and short ones of 100 Hz."""
    samples = rng.integers(-100, 100, (size // 18, 9), dtype=np.int16)
    time = np.arange(len(samples))
    samples[:, 8] = (time // 15_000 % 2) | (time // 30 % 2) << 1 | (time % 300 < 9) << 2
    return samples


# With dtype and channels.
KINDS = ((noise, "uint8", 1), (tetrode, "int16", 4), (probe, "int16", 384))


def size_of(quick: bool) -> str:
    """Return how large each recording is."""
    return "50 MB" if quick else "1 GB"


def write(path: Path, block: Callable, quick: bool) -> int:
    """Write that many samples; return the bytes."""
    rng = np.random.default_rng(1)
    parts = [block(rng, 10_000_000).tobytes() for _ in range(5)]
    with path.open("wb") as file:
        for _ in range(1 if quick else 20):
            file.writelines(parts)
    return path.stat().st_size


def write_all(folder: Path, quick: bool) -> None:
    """Write a recording of each kind, and its aggregate.json."""
    for block, dtype, channels in KINDS:
        path = folder / f"{block.__name__}.bin"
        write(path, block, quick)
        describe(path.with_suffix(".json"), dtype, channels, [path])


def describe(path: Path, dtype: str, channels: int, files: Sequence[Path], header: int = 0) -> None:
    """Write an aggregate.json at `path` of files that have so many bytes before their samples."""
    width = np.dtype(dtype).itemsize * channels
    sizes = [(file.stat().st_size - header) // width for file in files]
    parts = [{"path": one.name, "offset": header, "samples": n} for one, n in zip(files, sizes, strict=True)]
    rows = [{"session": "a", "index": 0, "first_sample": 0, "samples": sum(sizes)}]
    content = {"dtype": dtype, "channels": channels, "segments": [0], "sampling_rate_hz": 30000}
    path.write_text(json.dumps({**content, "parts": parts, "recordings": rows, "excluded": []}))


def octave(folder: Path, call: str) -> float:
    """Return the seconds of an M-function of the pipeline."""
    return cpu_seconds(folder, *OCTAVE, f"addpath('{REPOSITORY / 'matlab'}'); {call}") - start(*OCTAVE, "1;")


def numpy_function(folder: Path, call: str) -> float:
    """Return the seconds of the NumPy function for an M-function."""
    load = (
        # The package itself imports it when it is used.
        "import numpy; "
        "from neuroluigi.signals.events import find_rising_edges; "
        "from neuroluigi.signals.numpy_functions import compute_stats, concatenate_files; "
    )
    return cpu_seconds(folder, *PYTHON, load + call) - start(*PYTHON, load)


def numpy(folder: Path, name: str, dtype: str, channels: int, code: str) -> float:
    """Return the seconds of code over x, the memory map of a recording."""
    load = "import numpy as np; "
    mapped = f"x = np.memmap('{name}.bin', '{dtype}', 'r').reshape(-1, {channels}); "
    return cpu_seconds(folder, *PYTHON, f"{load}{mapped}{code}") - start(*PYTHON, load)


OCTAVE = ("octave-cli", "--norc", "--quiet", "--no-window-system", "--eval")
PYTHON = (sys.executable, "-c")


def cpu_seconds(folder: Path, *command: str) -> float:
    """Return the processor's seconds of a process."""
    return run(command, folder).cpu_seconds


@functools.cache
def start(*command: str) -> float:
    """Return the processor's seconds that a program takes to start."""
    return min(cpu_seconds(Path.cwd(), *command) for _ in range(5))


def compare(work: str, ours: float, what: str, other: float, at_most: float | None) -> Row:
    """Return the row of two times."""
    return Row(work, f"{ours:.2f} s", f"{what} {other:.2f} s", ours / other, at_most)


def _on_a_clean_disk(seconds: Callable[[], float]) -> float:
    """Return what it measures: who writes while the system flushes what another one wrote pays for that."""
    os.sync()
    return seconds()


def concatenation(folder: Path, quick: bool) -> Iterator[Row]:
    """Two files into one."""
    size = write(folder / "a.bin", tetrode, quick) // 2
    for name, first in (("a1.bin", 0), ("a2.bin", size)):
        run(["dd", "if=a.bin", f"of={name}", f"skip={first}", f"count={size}", "iflag=skip_bytes,count_bytes"], folder)
    sides = (
        lambda: cpu_seconds(folder, "sh", "-c", "cat a1.bin a2.bin > cat.bin") - start("sh", "-c", "cat /dev/null"),
        lambda: octave(folder, "concatenateFiles({'a1.bin', 'a2.bin'}, 'octave.bin')"),
        lambda: numpy_function(
            folder, f"concatenate_files(['a1.bin', 'a2.bin'], 'numpy.bin', [0, 0], [{size}, {size}])"
        ),
    )
    cat, ours, stood_in = (min(times) for times in zip(*(map(_on_a_clean_disk, sides) for _ in range(3)), strict=True))
    yield compare(f"concatenate {size_of(quick)}, Octave", ours, "cat", cat, 5)
    yield compare(f"concatenate {size_of(quick)}, NumPy function", stood_in, "cat", cat, 1.5)
    for name in ("octave.bin", "numpy.bin"):
        run(["cmp", "cat.bin", name], folder)


def statistics(folder: Path, quick: bool) -> Iterator[Row]:
    """Minimum, maximum, mean and standard deviation per channel."""
    write_all(folder, quick)
    for block, dtype, channels in KINDS:
        name = block.__name__
        sums = "x.min(0), x.max(0), x.sum(0, dtype=float), np.square(x, dtype=float).sum(0)"
        four = numpy(folder, name, dtype, channels, sums)
        # By hand, without gigabytes of temporary memory; nothing is to be reached against it.
        tuned = numpy(folder, name, dtype, channels, sums.replace("np.square(x, dtype=float).sum(0)", TUNED_SQUARES))
        std = numpy(folder, name, dtype, channels, "x.min(0), x.max(0), x.mean(0), x.std(0, ddof=1)")
        ours = octave(folder, f"computeStats('{name}.json', 'octave.json')")
        stood_in = numpy_function(folder, f"compute_stats('{name}.json', 'numpy.json')")
        assert (folder / "octave.json").read_bytes() == (folder / "numpy.json").read_bytes()
        work = f"stats of {size_of(quick)}, {channels} x {dtype}"
        yield compare(f"{work}, Octave", ours, "NumPy min, max, sum, squares", four, 5)
        yield compare(f"{work}, Octave", ours, "the same with einsum", tuned, None)
        yield compare(f"{work}, NumPy function", stood_in, "NumPy min, max, mean, std", std, 1.5)


def edges(folder: Path, quick: bool) -> Iterator[Row]:
    """Rising edges."""
    write(folder / "tetrode.bin", tetrode, quick)
    describe(folder / "tetrode.json", "int16", 4, [folder / "tetrode.bin"])
    found = f"b = x < {LEVEL}; np.save('numpy.npy', np.argwhere(~b[1:] & b[:-1]) + [1, 0])"
    other = numpy(folder, "tetrode", "int16", 4, found)
    ours = octave(folder, f"findRisingEdges('tetrode.json', 'octave.npy', {LEVEL})")
    yield compare(f"edges of {size_of(quick)}, 4 x int16, Octave", ours, "NumPy", other, 5)
    stood_in = numpy_function(folder, f"find_rising_edges('tetrode.json', 'numpy_function.npy', {LEVEL})")
    yield compare(f"edges of {size_of(quick)}, 4 x int16, NumPy function", stood_in, "NumPy", other, 1.5)
    run(["cmp", "octave.npy", "numpy_function.npy"], folder)
    assert np.array_equal(*(np.load(folder / name, mmap_mode="r") for name in ("octave.npy", "numpy.npy")))


DIFFERENCES = """
import numpy as np
from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.blocks import blocks
"""


def lines(folder: Path, quick: bool) -> Iterator[Row]:
    """Rises and falls of digital lines, against the changes of the same words alone, from the same blocks."""
    write(folder / "daq.bin", daq, quick)
    describe(folder / "daq.json", "int16", 9, [folder / "daq.bin"])
    found = "[np.flatnonzero(np.diff(block[:, 8])) for block in blocks(read_aggregate('daq.json'))]"
    work = f"lines of {size_of(quick)}, a word of 9 x int16"
    load = "import numpy; from neuroluigi.signals import lines; "
    call = "lines.find_lines('daq.json', 'numpy.npy', 'numpy.json', 'words', [9])"
    # The quickest of three, as both take little.
    other = min(cpu_seconds(folder, *PYTHON, DIFFERENCES + found) for _ in range(3)) - start(*PYTHON, DIFFERENCES)
    stood_in = min(cpu_seconds(folder, *PYTHON, load + call) for _ in range(3)) - start(*PYTHON, load)
    yield compare(f"{work}, NumPy function", stood_in, "NumPy diff", other, 1.5)
    ours = octave(folder, "findLines('daq.json', 'octave.npy', 'octave.json', 'words', 9)")
    yield compare(f"{work}, Octave", ours, "NumPy diff", other, None)
    for ending in ("npy", "json"):
        run(["cmp", f"octave.{ending}", f"numpy.{ending}"], folder)


READING = """
import time
import numpy as np
from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.blocks import blocks

def mapped():
    x = np.memmap("{name}.bin", "<i2", "r", {header}).reshape(-1, {channels})
    return x.min(0), x.max(0)

def in_place():
    of_blocks = [(block.min(0), block.max(0)) for block in blocks(read_aggregate("{name}.json"))]
    lowest, highest = zip(*of_blocks)
    return np.min(lowest, 0), np.max(highest, 0)

assert np.array_equal(mapped(), in_place())
times = []
for _ in range(15):
    for read in (mapped, in_place):
        start = time.process_time()
        read()
        times.append(time.process_time() - start)
print(*np.median(np.reshape(times, (15, 2)), 0))
"""

# As the files of formats are: name, bytes before the samples, channels.
IN_PLACE = (("SpikeGLX, probe", 0, 385), ("Open Ephys", 0, 64), ("Blackrock", 8773, 128), ("wav", 44, 2))


def reading(folder: Path, quick: bool) -> Iterator[Row]:
    """Minimum and maximum of samples where a rig wrote them, against a memory map; of which the files are in memory."""
    for name, header, channels in IN_PLACE:
        path = folder / f"{name}.bin"
        samples = np.random.default_rng(1).integers(-1000, 1000, (200_000_000 // 2 // channels, channels), "<i2")
        path.write_bytes(bytes(header) + samples.tobytes())
        describe(path.with_suffix(".json"), "int16", channels, [path], header)
        code = READING.format(name=name, header=header, channels=channels)
        other, ours = map(float, run([*PYTHON, code], folder).output.split())
        yield Row(f"read 200 MB, {name}", f"{ours:.3f} s", f"NumPy on a map {other:.3f} s", ours / other, 1.1)


def four_files(folder: Path, quick: bool) -> Iterator[Row]:
    """Stats and edges of four files, against those of one."""
    size = write(folder / "one.bin", tetrode, quick)
    files = [folder / f"part {number}.bin" for number in range(4)]
    for number, path in enumerate(files):
        skipped = f"skip={number * (size // 4)}"
        # In large writes, as the one file: the cache of what was written in small ones takes longer to map.
        run(["dd", "if=one.bin", f"of={path}", "bs=4M", skipped, f"count={size // 4}", "iflag=skip_bytes,count_bytes"],
            folder)  # fmt: skip
    describe(folder / "one.json", "int16", 4, [folder / "one.bin"])
    describe(folder / "four.json", "int16", 4, files)
    for engine, function, stats_of, edges_of in (
        ("Octave", octave, "computeStats", "findRisingEdges"),
        ("NumPy function", numpy_function, "compute_stats", "find_rising_edges"),
    ):
        for work, call, ending in (
            ("stats", f"{stats_of}('{{0}}.json', '{{0}}.stats')", "stats"),
            ("edges", f"{edges_of}('{{0}}.json', '{{0}}.npy', {LEVEL})", "npy"),
        ):
            ours, other = (min(function(folder, call.format(name)) for _ in range(3)) for name in ("four", "one"))
            run(["cmp", f"one.{ending}", f"four.{ending}"], folder)
            yield compare(f"{work} of {size_of(quick)} in four files, {engine}", ours, "in one file", other, 1.1)


PLOT = """
import numpy as np
from pathlib import Path
plotting.plot_group(Path("plot.png"), title="a", aggregate_file="{name}.json",
                    edges=np.load("edges.npy", mmap_mode="r"), levels=[{level}] * {channels}, threshold=None,
                    made_by="")
# Of this process alone: getrusage counts what started it, too.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def plot(folder: Path, quick: bool) -> Iterator[Row]:
    """The picture of a recording with all its edges."""
    write_all(folder, quick)
    for block, dtype, channels in KINDS:
        name, level = block.__name__, LEVEL if dtype == "int16" else 192
        numpy_function(folder, f"find_rising_edges('{name}.json', 'edges.npy', {level})")
        code = PLOT.format(name=name, channels=channels, level=level)
        load = "import matplotlib.figure; from neuroluigi.signals import plotting; "
        used = run([*PYTHON, load + code], folder)
        seconds = used.cpu_seconds - start(*PYTHON, load)
        other = numpy(folder, name, dtype, channels, "x.min(0), x.max(0)")
        work = f"plot of {size_of(quick)}, {channels} x {dtype}"
        yield compare(work, seconds, "NumPy min, max", other, 4)
        megabytes = int(used.output) * 1024 / 1e6
        yield Row(f"{work}: memory", f"{megabytes:.0f} MB", "in MB", megabytes, 400)


HUNDRED_PLOTS = """
import time
from pathlib import Path
import numpy as np
from neuroluigi.signals import plotting

def seconds(do, *given):
    began = time.process_time()
    do(*given)
    return time.process_time() - began

def load():
    import matplotlib.backends.backend_agg
    import matplotlib.figure

def group(name):
    edges = np.load(f"{name}.npy")
    return name, f"{name}.json", edges, [192.0], 0.75, "octave"

def ours(name):
    plotting.plot_group(Path(f"{name}.png"), *group(name))

def by_savefig(name):
    plotting.group_figure(*group(name)).savefig(f"{name}.savefig.png")

loading = seconds(load)
# What is loaded with the first picture, such as fonts, is no part of the others.
first = seconds(ours, "g0")
times = [[seconds(draw, f"g{number}") for draw in (ours, by_savefig)] for number in range(1, 101)]
print(loading, first, *np.mean(times, 0))
"""


def hundred_plots(folder: Path, quick: bool) -> Iterator[Row]:
    """The pictures of a hundred small groups, like those of the fake pipeline, by turns with matplotlib's savefig."""
    for number in range(101):
        file = folder / f"g{number}.bin"
        file.write_bytes(fake_samples("a", number, 200))
        describe(file.with_suffix(".json"), "uint8", 1, [file])
        find_rising_edges(str(file.with_suffix(".json")), str(file.with_suffix(".npy")), 192)
    printed = run([*PYTHON, HUNDRED_PLOTS], folder).output
    loading, first, ours, savefig = (1000 * float(one) for one in printed.split())
    yield Row(
        "a plot of a hundred", f"{ours:.0f} ms", f"the same figure by savefig {savefig:.0f} ms", ours / savefig, 0.75
    )
    yield Row("before the first of them", f"{loading:.0f} ms", "in ms: matplotlib is loaded", loading)
    yield Row("the first of them", f"{first:.0f} ms", "in ms", first)


def memory(folder: Path, quick: bool) -> Iterator[Row]:
    """The peak memory of every process of a run over 1 GB, above that of its engine with nothing to do."""
    for block, dtype, channels in KINDS:
        lab = make_lab(folder / block.__name__)
        (lab / "data" / "a").mkdir(parents=True)
        write(lab / "data" / "a" / "rec_0.bin", block, quick)
        # At the same time: of memory, a machine that is busy changes nothing.
        with ThreadPoolExecutor() as pool:
            both = {engine: pool.submit(_peaks, lab, engine, dtype, channels) for engine in ("octave", "numpy")}
        for engine, peaks in both.items():
            for kind, (least, most) in peaks.result().items():
                grown = (most - least) / 1e6
                work = f"memory for {size_of(quick)}, {channels} x {dtype}, {engine}: {kind}"
                yield Row(work, f"{most / 1e6:.0f} MB", f"at its start {least / 1e6:.0f} MB", grown, 200)


def _peaks(lab: Path, engine: str, dtype: str, channels: int) -> dict[str, tuple[int, int]]:
    """Return by kind of process (luigi and its steps, engine) the memory at its start and the most that one took."""
    settings = ["--recordings-root", "data", "--recordings-dtype", dtype, "--recordings-channels", str(channels)]
    settings += ["--results-root", f"results-{engine}", "--matlab-engine", engine, "--log-level", "WARNING"]
    # With one worker the engine is a child of the run as long as it lives.
    settings += ["--recordings-sampling-rate-hz", "30000", "--workers", "1"]
    luigi = psutil.Popen([BIN / "luigi", "--module", "tasks", "PlotAll", "--local-scheduler", *settings], cwd=lab,
                         stdout=subprocess.DEVNULL)  # fmt: skip
    seen: dict[str, list[int]] = {}
    while luigi.poll() is None:
        for process in (luigi, *luigi.children(recursive=True)):
            try:
                kind = "Octave" if "octave" in process.name() else "luigi and its steps"
                seen.setdefault(kind, []).append(_own_memory(process))
            except psutil.Error:
                continue
        time.sleep(0.02)
    if luigi.returncode:
        sys.exit(f"luigi failed in {lab}")
    return {kind: (_start(kind), max(sizes)) for kind, sizes in seen.items()}


def _own_memory(process: psutil.Process) -> int:
    """Return the memory of a process without files that it has mapped, which the system takes back at any time."""
    found = process.memory_info()
    return found.rss - getattr(found, "shared", 0)


def _start(kind: str) -> int:
    """Return the memory of a process that has nothing to do yet."""
    command = ["octave-cli", "--norc", "--quiet", "--no-window-system", "--eval", "pause(20)"]
    if kind != "Octave":
        command = [sys.executable, "-c", "import time, matplotlib.figure, neuroluigi.runner.run; time.sleep(20)"]
    with psutil.Popen(command) as process:
        time.sleep(4)
        size = _own_memory(process)
        process.kill()
    return size
