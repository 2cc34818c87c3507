"""Memory does not grow with the length of a recording: the peak of a process that works on a short and a long one."""

import json
import subprocess
import sys

import numpy as np
import pytest

CHANNELS, RATE = 385, 30_000
# Of the process itself: getrusage counts what started it, too.
PEAK = """
import sys
from pathlib import Path
from neuroluigi.signals import events, filtered_file, lines, snippets

def peak():
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024

before = peak()
{call}
print(before, peak())
"""
BAND = "'low', 300, 'high', 6000, 'reference', 'median', 'channels', list(range(1, 385))"
SPIKES = f"{BAND}, 'polarity', 'falling', 'noise', 5, 'release', 0.5, 'refractory', 1, 'peakWithin', 1"
CALLS = {
    "spikes": f"events.find_events('a.json', 'a.npy', 'b.npy', 'c.json', {SPIKES})",
    "edges": "events.find_rising_edges('a.json', 'a.npy', 30, 'channels', list(range(1, 385)))",
    "lines": "lines.find_lines('a.json', 'a.npy', 'b.json', 'words', [385])",
}
# 35 and 116 MB, both with more values than the noise level holds.
SHORT, LONG = 45_000, 150_000

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def recorded(folder, samples: int) -> None:
    """Write noise with rare spikes on each channel and a word that changes, again and again, up to so many samples."""
    random = np.random.default_rng(0)
    block = random.integers(-30, 31, (6000, CHANNELS), dtype=np.int16)
    for channel in range(CHANNELS - 1):
        place = 50 + channel * 15
        block[place : place + 12, channel] -= 150
    block[:, -1] = np.arange(len(block)) // 50 % 2 << 6
    with (folder / "a.bin").open("wb") as file:
        for first in range(0, samples, len(block)):
            file.write(block[: samples - first].tobytes())
    kinds = [{"name": f"{channel}", "kind": "ap"} for channel in range(CHANNELS - 1)] + [
        {"name": "SY", "kind": "digital"}
    ]
    content = {"dtype": "int16", "channels": kinds, "segments": [0], "sampling_rate_hz": RATE, "recordings": []}
    parts = [{"path": "a.bin", "offset": 0, "samples": samples}]
    (folder / "a.json").write_text(json.dumps({**content, "parts": parts}))


def peaks(folder, call: str) -> list[int]:
    """Return the bytes that a process has taken at most before a call and at its end."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK.format(call=call)], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return [int(one) for one in done.stdout.split()]


@needs_proc
@pytest.mark.parametrize("name", CALLS)
def test_it_takes_300_MB_at_most_and_no_more_for_three_times_the_length(tmp_path, name):
    most = []
    for samples in (SHORT, LONG):
        recorded(tmp_path, samples)
        before, after = peaks(tmp_path, CALLS[name])
        assert after - before < 300e6
        most.append(after)
    assert len(np.load(tmp_path / "a.npy", mmap_mode="r")) > 1000
    assert most[1] - most[0] < 12e6
