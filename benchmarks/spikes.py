"""Threshold crossings of 1 GB of a Neuropixels probe: band-pass, median reference, noise level and detection.

The recording is 385 x int16 at 30 kHz, its last channel a word: noise that channels have in common and of their own,
and three spikes per second and channel. All have one thread per process, read files that are in memory already, and
look at the same 384 channels: 300 to 6000 Hz, the median of all, 5 sigma downward by 40 half-seconds, 1 ms apart.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from analysis import PYTHON, describe, octave, size_of, start
from peers import PEERS_BIN, Peer
from table import BIN, Row, Usage, make_lab, run

CHANNELS, RATE = 384, 30_000
OPTIONS = (
    "'low', 300, 'high', 6000, 'reference', 'median', 'polarity', 'falling', 'noise', 5, 'release', 0.5, "
    "'refractory', 1, 'peakWithin', 1, 'channels', "
)
LOAD = "from neuroluigi.signals.events import find_events; "
PEAK = "; print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
# Those of NumPy's and SciPy's libraries, of Octave's, and of numba.
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}

SPIKEINTERFACE = """
import sys
from spikeinterface.core import BinaryRecordingExtractor
from spikeinterface.preprocessing import bandpass_filter, common_reference
from spikeinterface.sortingcomponents.peak_detection import detect_peaks

for path in sys.argv[2:]:
    whole = BinaryRecordingExtractor(path, 30000, "int16", num_channels=385, gain_to_uV=1, offset_to_uV=0)
    recording = whole.select_channels(whole.channel_ids[:384])
    recording = common_reference(bandpass_filter(recording, 300, 6000), reference="global", operator="median")
    noise = {"num_chunks_per_segment": 40, "chunk_duration": "500ms", "seed": 0}
    found = detect_peaks(
        recording,
        method="by_channel",
        method_kwargs={"peak_sign": "neg", "detect_threshold": 5, "exclude_sweep_ms": 1.0,
                       "random_slices_kwargs": noise},
        job_kwargs={"n_jobs": int(sys.argv[1]), "chunk_duration": "1s", "max_threads_per_worker": 1,
                    "progress_bar": False},
    )
    print(len(found))
"""


def probe(rng: np.random.Generator) -> np.ndarray:
    """Return four seconds of the recording."""
    samples = rng.standard_normal((4 * RATE, CHANNELS + 1), dtype=np.float32) * 12
    samples += rng.standard_normal((len(samples), 1), dtype=np.float32) * 8
    shape = -150 * np.hanning(24)
    for channel in range(CHANNELS):
        for place in rng.integers(0, len(samples) - len(shape), 12):
            samples[place : place + len(shape), channel] += shape
    samples[:, -1] = 0
    return samples.round().astype(np.int16)


def write(path: Path, quick: bool) -> None:
    """Write the recording and its aggregate.json."""
    rng = np.random.default_rng(1)
    blocks = [probe(rng).tobytes() for _ in range(1 if quick else 3)]
    with path.open("wb") as file:
        for number in range(1 if quick else 11):
            file.write(blocks[number % len(blocks)])
    describe(path.with_suffix(".json"), "int16", CHANNELS + 1, [path])


def ours(folder: Path, name: str, precision: str = "double") -> Usage:
    """Find the events of a recording; what it prints is the most memory it had, in kB."""
    files = ", ".join(f"'{name}.{ending}'" for ending in ("json", "npy", "amplitudes.npy", "found.json"))
    call = f"find_events({files}, {OPTIONS}list(range(1, {CHANNELS + 1})), 'precision', '{precision}')"
    return run([*PYTHON, LOAD + call + PEAK], folder, ONE_THREAD)


def spikes(folder: Path, quick: bool) -> Iterator[Row]:
    """The NumPy function and the M-function, and the memory of the former."""
    write(folder / "a.bin", quick)
    work = f"spikes of {size_of(quick)}, {CHANNELS + 1} x int16"
    before = int(run([*PYTHON, LOAD + PEAK[2:]], folder, ONE_THREAD).output)
    double = ours(folder, "a")
    found = np.load(folder / "a.npy")
    most = (int(double.output) - before) * 1024 / 1e6
    yield Row(f"{work}: memory", f"{most:.0f} MB", "above its start, in MB", most, 300)
    seconds = double.cpu_seconds - start(*PYTHON, LOAD)
    single = ours(folder, "a", "single").cpu_seconds - start(*PYTHON, LOAD)
    is_same = "the same events" if np.array_equal(found, np.load(folder / "a.npy")) else "other events"
    yield Row(f"{work}, float32", f"{single:.1f} s", f"float64 {seconds:.1f} s, {is_same}", single / seconds)
    call = f"findEvents('a.json', 'm.npy', 'm.amplitudes.npy', 'm.json', {OPTIONS}1:{CHANNELS})"
    other = octave(folder, call)
    assert np.array_equal(found, np.load(folder / "m.npy"))
    yield Row(f"{work}, Octave", f"{other:.1f} s", f"NumPy function {seconds:.1f} s", other / seconds)


def two_groups(folder: Path, quick: bool) -> Iterator[Row]:
    """Spikes of two groups, by one worker and by two, in turn; seconds on the clock."""
    lab = make_lab(folder / "lab")
    for session in "ab":
        (lab / "data" / session).mkdir(parents=True)
        write(lab / "data" / session / "rec_0.bin", quick)
    settings = ["--recordings-root", "data", "--recordings-dtype", "int16", "--recordings-channels", "385"]
    settings += ["--recordings-sampling-rate-hz", str(RATE), "--matlab-engine", "numpy", "--Aggregate-copy", "never"]
    settings += ["--local-scheduler", "--log-level", "WARNING"]
    seconds: dict[str, list[float]] = {"1": [], "2": []}
    for number in range(1 if quick else 2):
        for workers, taken in seconds.items():
            own = [*settings, "--workers", workers, "--results-root", f"results-{number}-{workers}"]
            command = [BIN / "luigi", "--module", "tasks", "PlotAll", *own]
            run([*command, "--unknown", "Aggregate"], lab, ONE_THREAD)
            taken.append(run([*command, "--unknown", "Spikes"], lab, ONE_THREAD).seconds)
    one, two = (min(taken) for taken in seconds.values())
    yield Row(f"Spikes of 2 x {size_of(quick)}, 2 workers", f"{two:.1f} s", f"1 worker {one:.1f} s", one / two,
              at_least=1.7)  # fmt: skip


def peers_spikes(folder: Path, quick: bool) -> Iterator[Row]:
    """SpikeInterface at the same work: one process against one, and two on two recordings against two, in turn."""
    version = Peer("spikeinterface", ()).version()
    if not version:
        print("spikeinterface is not in .venv-peers: to install it, make .venv-peers/installed")
        return
    (folder / "peer.py").write_text(SPIKEINTERFACE)
    for name in "ab":
        write(folder / f"{name}.bin", quick)

    def theirs(processes: int, names: str) -> Usage:
        paths = [f"{name}.bin" for name in names]
        return run([PEERS_BIN / "python", "peer.py", str(processes), *paths], folder, ONE_THREAD)

    begin = run([PEERS_BIN / "python", "peer.py", "1"], folder, ONE_THREAD)
    one, other = ours(folder, "a"), theirs(1, "a")
    count = len(np.load(folder / "a.npy"))
    assert abs(int(other.output.split()[-1]) - count) < 0.02 * count
    mine, their = one.cpu_seconds - start(*PYTHON, LOAD), other.cpu_seconds - begin.cpu_seconds
    work = f"spikes of {size_of(quick)}, {CHANNELS + 1} x int16"
    yield Row(work, f"{mine:.1f} s", f"SpikeInterface {version} {their:.1f} s", mine / their, 0.7)
    clocks, processors = [], []
    for _ in range(1 if quick else 2):
        began = time.perf_counter()
        with ThreadPoolExecutor() as pool:
            mine_both = list(pool.map(lambda name: ours(folder, name), "ab"))
        seconds, both = time.perf_counter() - began, theirs(2, "ab")
        clocks.append((seconds, both.seconds - begin.seconds))
        processors.append((sum(one.cpu_seconds for one in mine_both), both.cpu_seconds - begin.cpu_seconds))
    for how, rounds in ((", by the clock", clocks), ("", processors)):
        mine, their = (min(some) for some in zip(*rounds, strict=True))
        work = f"spikes of 2 x {size_of(quick)}, 2 processes{how}"
        yield Row(work, f"{mine:.1f} s", f"SpikeInterface {version} {their:.1f} s", mine / their, 0.7)
