"""Electrodes and devices in NWB files: one row per site of a probe, whatever band or gate it was recorded in."""

from pynwb import NWBHDF5IO

from neuroluigi.ephys.nwb_electrodes import add_electrodes
from tests.ephys.nwb_files import channel, group_of, written


def sites(kind: str, count: int = 3) -> list[dict]:
    return [channel(f"{kind.upper()}{n}", kind, x=16.0 * (n % 2), y=20.0 * n, shank=n // 2) for n in range(count)]


def test_bands_and_gates_of_a_probe_share_its_electrodes(tmp_path):
    probe = {"probe_type": "21", "probe_serial": "77"}
    groups = [
        group_of([*sites("ap"), channel("SY", "digital", None)], label="0-ap", stream="imec0.ap", **probe),
        group_of(sites("lf"), label="0-lf", stream="imec0.lf", **probe),
        group_of(sites("ap"), label="1-ap", stream="imec0.ap", **probe),
        group_of([channel("XA0", "analog", 1.0, "V")], label="ni", stream="nidq"),
        group_of([channel("CH1"), channel("CH1")], label="other", stream="Acq/Board"),
    ]
    sentences = []
    path = written(
        tmp_path / "a.nwb",
        lambda file: sentences.extend(
            add_electrodes(file, [(one, "CA1" if one.label != "other" else "") for one in groups])
        ),
    )
    assert [one.electrodes for one in groups] == [
        {0: 0, 1: 1, 2: 2},
        {0: 0, 1: 1, 2: 2},
        {0: 0, 1: 1, 2: 2},
        {},
        {0: 3, 1: 4},
    ]
    assert sentences == ["where Acq_Board is in the brain is not known: write a column location, or set [NWB] location"]
    with NWBHDF5IO(path, "r") as opened:
        file = opened.read()
        table = file.electrodes.to_dataframe()
        assert table.channel_name.tolist() == ["AP0", "AP1", "AP2", "CH1", "CH1"]
        assert table.group_name.tolist() == ["imec0-shank0", "imec0-shank0", "imec0-shank1", "Acq_Board", "Acq_Board"]
        assert table.location.tolist() == ["CA1"] * 3 + ["unknown"] * 2
        assert table.rel_y.tolist()[:3] == [0, 20, 40]
        assert set(file.devices) == {"imec0", "nidq", "Acq_Board"}
        device = file.devices["imec0"]
        assert (device.serial_number, device.model.name, device.model.manufacturer) == ("77", "Neuropixels-21", "IMEC")
