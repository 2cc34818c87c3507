"""1 GB of a Neuropixels probe copied into an NWB file, against the same written by a plain script with pynwb.

Both write the 384 channels with gzip 4, shuffle and the same chunks; ours is the whole step in a run of `luigi`, with
its checksums, the word beside the channels, and the validation of what was written.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from analysis import size_of
from spikes import CHANNELS, PEAK, RATE, write
from table import Row, make_lab, run

from neuroluigi.ephys.nwb_streamed import chunk_shape

META = f"""typeThis=imec
imSampRate={RATE}
imMaxInt=512
imAiRangeMax=0.6
imDatPrb_type=0
imDatPrb_sn=1
acqApLfSy={CHANNELS},0,1
snsApLfSy={CHANNELS},0,1
nSavedChans={CHANNELS + 1}
firstSample=0
fileCreateTime=2026-01-31T14:30:00
~imroTbl=(0,{CHANNELS}){"".join(f"({n} 0 0 500 250 1)" for n in range(CHANNELS))}
"""
SAID = [
    "--NWB-session-description",
    "d",
    "--NWB-subject-id",
    "m",
    "--NWB-sex",
    "U",
    "--NWB-age",
    "P90D",
    "--NWB-timezone",
    "UTC",
]

PLAIN = """
import sys
from datetime import datetime, timezone

import numpy as np
from pynwb import H5DataIO, NWBHDF5IO, NWBFile
from pynwb.ecephys import ElectricalSeries

path, channels, rows, columns = sys.argv[1], *map(int, sys.argv[2:])
file = NWBFile("plain", "1", datetime(2026, 1, 31, tzinfo=timezone.utc))
group = file.create_electrode_group("probe", "", "CA1", file.create_device("probe"))
for _ in range(channels):
    file.add_electrode(location="CA1", group=group)
samples = np.memmap(path, "<i2", "r").reshape(-1, channels + 1)[:, :channels]
data = H5DataIO(samples, compression="gzip", compression_opts=4, shuffle=True, chunks=(rows, columns))
region = file.create_electrode_table_region(list(range(channels)), "")
file.add_acquisition(ElectricalSeries("ElectricalSeriesAP", data, region, starting_time=0.0, rate=30000.0))
with NWBHDF5IO("plain.nwb", "w") as opened:
    opened.write(file)
"""

OURS = """
import sys

from neuroluigi.runner.run import luigi_command

code = luigi_command(sys.argv[1:])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
sys.exit(code)
"""


def nwb(folder: Path, quick: bool) -> Iterator[Row]:
    """Time and memory of copying a recording."""
    lab, recording = make_lab(folder / "lab"), folder / "raw" / "m_g0" / "m_g0_t0.imec0.ap.bin"
    recording.parent.mkdir(parents=True)
    write(recording, quick)
    recording.with_suffix(".meta").write_text(META)
    (lab / "plain.py").write_text(PLAIN)
    (lab / "ours.py").write_text(OURS)
    options = [
        "--local-scheduler",
        "--module",
        "tasks",
        "--log-level",
        "WARNING",
        "--recordings-root",
        recording.parents[1],
    ]
    said = [*options, "--matlab-engine", "numpy", "--session", "m", "--NWB-species", "Mus musculus", *SAID]
    # All that it requires.
    run([sys.executable, "ours.py", "NWB", *said], lab)
    before = int(run([sys.executable, "-c", f"import pynwb, neuroluigi.ephys{PEAK}"], lab).output.split()[-1])
    ours = run([sys.executable, "ours.py", "NWB", *said, "--NWB-raw", "copy"], lab)
    chunks = chunk_shape((10**6, CHANNELS), 2)
    plain = run([sys.executable, "plain.py", recording, *map(str, (CHANNELS, *chunks))], lab)
    work = f"NWB with {size_of(quick)}, {CHANNELS} x int16"
    what = f"a plain script {plain.seconds:.1f} s"
    yield Row(work, f"{ours.seconds:.1f} s", what, ours.seconds / plain.seconds, 1.3)
    most = int(ours.output.split()[-1]) * 1024 / 1e6
    yield Row(f"{work}: memory", f"{most:.0f} MB", f"at its start {before * 1024 / 1e6:.0f} MB", most, 400)
