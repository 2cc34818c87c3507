"""Units in NWB files: seconds of their spikes through recordings and gaps, labels, electrodes."""

import numpy as np
import pytest
from pynwb import NWBHDF5IO

from neuroluigi.ephys.nwb_electrodes import add_electrodes
from neuroluigi.ephys.nwb_units import add_units
from neuroluigi.signals.sorted_units import Unit
from tests.ephys.nwb_files import channel, group_of, written


def test_units_of_a_session(tmp_path):
    group = group_of(
        [channel("SY", "digital", None), channel("AP0"), channel("AP1")],
        (50, 10, 40),
        ("s", "other", "s"),
        gaps=({"sample": 60, "missing": 100},),
    )
    units = [
        Unit(3, "good", np.array([5, 55, 60, 99]), 2),
        Unit(7, "", np.array([1, 49]), None),
        # All of its spikes are of another session.
        Unit(9, "mua", np.array([52]), 1),
    ]

    def fill(file) -> None:
        add_electrodes(file, [(group, "CA1")])
        add_units(file, [(group, units)])

    with NWBHDF5IO(written(tmp_path / "a.nwb", fill), "r") as opened:
        found = opened.read().units
        assert found["cluster"].data[()].tolist() == [3, 7]
        assert [*found["label"].data] == ["good", ""]
        assert found["spike_times"][0] == pytest.approx([0.005, 0.160, 0.199])
        assert found["spike_times"][1] == pytest.approx([0.001, 0.049])
        assert found["electrodes"][0].channel_name.tolist() == ["AP1"]
        assert found.resolution == 0.001
