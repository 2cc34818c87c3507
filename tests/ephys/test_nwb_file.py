"""NWB files as a whole: the same bytes by the same content, and what is no whole file."""

import errno
import shutil
import subprocess

import h5py
import numpy as np
import pytest

from neuroluigi.ephys.nwb_file import Nwb, validate
from neuroluigi.ephys.nwb_group import Names
from neuroluigi.ephys.nwb_signals import add_signals
from neuroluigi.ephys.nwb_tables import add_recordings
from neuroluigi.steps.target import DamagedError
from tests.ephys.nwb_files import aggregate_of, channel, group_of, written


def test_the_same_content_is_the_same_bytes(tmp_path):
    def fill(file) -> None:
        add_recordings(file, [group_of([channel("A")])])
        file.add_scratch("{}", name="run_record", description="JSON")

    first, second = (written(tmp_path / f"{n}.nwb", fill).read_bytes() for n in range(2))
    assert first == second
    with h5py.File(tmp_path / "0.nwb") as file:
        found = []
        file.visititems(lambda place, item: found.append(item.attrs.get("object_id")))
        ids = [one for one in found if one]
        assert len(ids) == len(set(ids)) > 5
    validate(tmp_path / "0.nwb")


def test_a_file_that_is_cut_short_or_another_one(tmp_path):
    path = written(tmp_path / "session.nwb", lambda file: None)
    target = Nwb(path)
    target.check(path)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(DamagedError, match=rf"session\.nwb is cut short: {len(content) - 1} of {len(content)} bytes"):
        target.check(path)
    path.write_bytes(b"no HDF5" * 100)
    with pytest.raises(DamagedError, match="no HDF5 file"):
        target.check(path)


# With 40 KB left, libhdf5 crashes.
@pytest.mark.parametrize("left", [0, 40, 900])
def test_a_full_disk_is_told_as_the_system_does(tmp_path, left):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a file system can be mounted by root on Linux alone")
    group = group_of([channel("X", "analog", 1.0, "V")], (2_000_000,))
    samples = np.random.default_rng(1).integers(-30000, 30000, (2_000_000, 1))
    aggregate = aggregate_of(group, samples, tmp_path)
    (folder / "filler").write_bytes(bytes(1024 * (1024 - left)))
    try:
        with pytest.raises(OSError, match="No space left on device") as caught:
            written(folder / "a.nwb", lambda file: add_signals(file, group, aggregate, Names()))
        assert caught.value.errno == errno.ENOSPC and "HDF5" not in str(caught.value)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError):
        written(tmp_path / "nowhere" / "a.nwb", lambda file: None)
