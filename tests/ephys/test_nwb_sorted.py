"""A sorter's units in NWB files of a run: through triggers and clocks, as a person labelled them, beside trials."""

import numpy as np
import pytest
from pynwb import NWBHDF5IO

from tests.ephys.session_lab import run
from tests.ephys.spikeglx_run import RATES, write_stream
from tests.results.conftest import ask
from tests.signals.sorted_folder import table, write_sorted_folder

# The program copies what was sorted before.
SORTER = """
import shutil, sys
sys.exit(print("4.1")) if sys.argv[1:] == ["--version"] else shutil.copytree(*sys.argv[1:], dirs_exist_ok=True)
"""
STEPS = """
class Sorted(GroupTask, CommandTask):
    command = "python sorter.py"

    def requires(self):
        return Aggregate(self.group)

    def output(self):
        return self.result_folder("sorted")

    def arguments(self, out):
        return [f"as sorted/{self.group}", out]


class Curated(ephys.Curated):
    def requires(self):
        return Sorted(self.group)

"""
TRIGGERS = (10.0, 40.0)
SECONDS = 20
SETTINGS = """
[neuroluigi]
task = NWBAll
[recordings]
root = raw
[Trials]
table = {session}.csv
[NWB]
session_start_time = 2026-01-31T14:30:00Z
session_description = two triggers
subject_id = m1
species = Mus musculus
sex = F
age = P90D
"""


@pytest.fixture
def lab(pipeline):
    pipeline.add(STEPS)
    tasks = pipeline.folder / "tasks.py"
    text = tasks.read_text(encoding="utf-8")
    events = '                "events": [steps[kind]'
    assert text.count(events) == 1
    tasks.write_text(text.replace(events, f'                "units": Curated(group),\n{events}'), encoding="utf-8")
    (pipeline.folder / "sorter.py").write_text(SORTER)
    raw = pipeline.folder / "raw"
    for number, begin in enumerate(TRIGGERS):
        for stream in RATES:
            write_stream(raw, stream, begin, np.arange(10.3, 65), number, SECONDS)
    for path in (raw / "m_g1").iterdir():
        path.rename(raw / "m_g0" / path.name.replace("m_g1_t0", "m_g0_t1"))
    (raw / "m.csv").write_text("start_time,stop_time\n1,2\n")
    (pipeline.folder / "luigi.cfg").write_text(SETTINGS)
    return pipeline


def sort(lab, stream: str, samples: list[int]) -> None:
    folder = write_sorted_folder(
        lab.folder / "as sorted" / f"m-0-{stream}",
        spike_times=np.array(samples, np.int64),
        spike_clusters=np.array([4, 7, 4, 7], np.int32),
        spike_templates=np.array([0, 1, 0, 1], np.int32),
        templates=np.array([[[0], [-1], [0]]] * 2, np.float32),
        channel_map=np.array([0]),
        **dict.fromkeys(("amplitudes", "channel_positions", "similar_templates", "whitening_mat", "whitening_mat_inv")),
    )
    table(folder / "cluster_KSLabel.tsv", "KSLabel", {4: "mua", 7: "good"})


def units(lab) -> dict:
    """Return label, seconds and electrodes of each unit by group and number."""
    with NWBHDF5IO(lab.results / "sessions/m/session.nwb", "r") as opened:
        file = opened.read()
        assert len(file.trials) == 1
        found = file.units.to_dataframe()
    return {
        (row.group_key, row.cluster): (row.label, row.spike_times.tolist(), [*row.electrodes.channel_name])
        for _, row in found.iterrows()
    }


def test_units_of_two_streams_over_two_triggers(lab):
    # Spikes of two units in turn: the second sample, the last one of the first trigger, the first one of the second.
    lengths = {stream: round(SECONDS * rate) for stream, rate in RATES.items()}
    samples = {stream: [1, length - 1, length, length + 500] for stream, length in lengths.items()}
    for stream in RATES:
        sort(lab, stream, samples[stream])
    # The counters say that the second one began 30 s after the first.
    seconds = {
        stream: [
            (round(TRIGGERS[one >= lengths[stream]] * rate) + one % lengths[stream]) / rate - TRIGGERS[0]
            for one in samples[stream]
        ]
        for stream, rate in RATES.items()
    }
    run(lab, "NWB", session="m")
    found = units(lab)
    assert [*found] == [("m-0-imec0.ap", 4), ("m-0-imec0.ap", 7), ("m-0-nidq", 4), ("m-0-nidq", 7)]
    for stream, exact in (("imec0.ap", 1e-9), ("nidq", 1 / RATES["nidq"])):
        for first, cluster, label in ((0, 4, "mua"), (1, 7, "good")):
            of_unit = found[f"m-0-{stream}", cluster]
            # nidq by pulses whose edges are known to a sample; by its header it would be 4 ms off.
            assert of_unit[1] == pytest.approx(seconds[stream][first::2], abs=exact)
            assert (of_unit[0], of_unit[2]) == (label, ["AP0"] if stream == "imec0.ap" else [])
    # What a person decides in phy is in the file when it was accepted.
    table(lab.results / "m-0-imec0.ap/curated/cluster_group.tsv", "group", {4: "good", 7: "noise"})
    lab.real = True  # `ask` adds no settings
    ask(lab, "accept", "m-0-imec0.ap/curated", "--reason", "looked at", notes=[])
    run(lab, "NWB", session="m")
    assert [one[0] for one in units(lab).values()] == ["good", "noise", "mua", "good"]
