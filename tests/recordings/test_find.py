"""One walk that finds the recordings of all formats below a root, and nothing in results."""

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np

from neuroluigi.recordings.formats.find import AUTO, FORMATS, count_unread, find_recordings
from tests.conftest import FORMATS as SHARED
from tests.conftest import needs_formats
from tests.recordings.test_openephys import made as made_openephys
from tests.recordings.test_openephys import stream

META = "typeThis=imec\nimSampRate=30000\nnSavedChans=1\nsnsApLfSy=0,0,1\nfirstSample=0\n"


def write_spikeglx(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.meta").write_text(META)
        (folder / f"{name}.bin").write_bytes(bytes(8))


def paths(root: Path, *formats: str, results: tuple = ()) -> list[str]:
    found = find_recordings(str(root), formats or AUTO, [str(one) for one in results])
    assert found.problems == ()
    assert all(one.problems == () for one in found.recordings), found
    return [Path(one.path).relative_to(root).as_posix() for one in found.recordings]


@needs_formats
def test_several_formats_below_one_root():
    found = find_recordings(str(SHARED))
    counts = {}
    for one in found.recordings:
        counts[one.format] = counts.get(one.format, 0) + (not one.problems)
    assert found.problems == ()
    assert counts == {"spikeglx": 17, "openephys": 5, "intan": 4, "nsx": 1, "brainvision": 1}
    assert [Path(one.path).name for one in find_recordings(str(SHARED), ("wav",)).recordings] == ["920061fe_2_4.wav"]
    assert len(find_recordings(str(SHARED), ("openephys",)).recordings) == 5
    # Headers without data are named, each.
    without = [one for one in found.recordings if one.problems and one.format == "spikeglx"]
    assert without and all("/metas/" in one.path and "is not there" in one.problems[0] for one in without)


@needs_formats
def test_a_folder_takes_at_most_40_ms():
    found = [one for one in find_recordings(str(SHARED)).recordings if not one.problems]
    folders = {(one.format, Path((*one.sidecars, one.path)[0]).parent) for one in found}
    assert len(folders) > 10
    for name, folder in folders:
        names = sorted(path.name for path in folder.iterdir())
        times = []
        for _ in range(5):
            start = time.process_time()
            FORMATS[name].recordings_in(str(folder), names)
            times.append(time.process_time() - start)
        assert min(times) < 0.04, folder


def test_natural_order(tmp_path):
    for gate in (10, 9):
        write_spikeglx(tmp_path / f"m_g{gate}", *(f"m_g{gate}_t{i}.imec0.ap" for i in (10, 2, 1)))
    write_spikeglx(tmp_path / "m_g9 b", "x_g0_t0.nidq")
    assert paths(tmp_path).pop(3) == "m_g9 b/x_g0_t0.nidq.bin"
    shutil.rmtree(tmp_path / "m_g9 b")
    assert paths(tmp_path) == [f"m_g{gate}/m_g{gate}_t{i}.imec0.ap.bin" for gate in (9, 10) for i in (1, 2, 10)]


def test_any_shape_of_folders_below_a_claimed_one(tmp_path):
    write_spikeglx(tmp_path, "m_g0_t0.nidq")
    write_spikeglx(tmp_path / "m_g0_imec0", "m_g0_t0.imec0.ap")
    made_openephys(tmp_path / "Mäuse 1/Record Node 101/experiment1/recording1", stream())
    assert paths(tmp_path) == [
        "m_g0_imec0/m_g0_t0.imec0.ap.bin",
        "m_g0_t0.nidq.bin",
        "Mäuse 1/Record Node 101/experiment1/recording1/continuous/Acq-100.0/continuous.dat",
    ]


def test_what_lies_in_a_claimed_folder_is_nobodys_by_name(tmp_path):
    made_openephys(tmp_path / "a/recording1", stream(), numbers=range(10))
    write_spikeglx(tmp_path / "m_g0", "m_g0_t0.nidq")
    for folder in ("m_g0/kilosort4", "b", "b/c"):
        (tmp_path / folder).mkdir(parents=True)
        np.save(tmp_path / folder / "spike_times.npy", np.arange(9, dtype="int32"))
    assert paths(tmp_path, "npy") == ["b/c/spike_times.npy", "b/spike_times.npy"]
    assert [path for path in paths(tmp_path) if path.endswith(".npy")] == []
    assert len(paths(tmp_path, *AUTO, "npy")) == 4


def test_files_of_other_formats_are_counted_but_for_those_that_are_read(tmp_path):
    write_spikeglx(tmp_path / "m_g0", "m_g0_t0.nidq")
    names = (
        "a.wav",
        "b.WAV",
        "day/c.wav",
        "d.plx",
        "notes.txt",
        "day/.e.wav",
        "m_g0/f.wav",
        "m_g0/sorted/g.npy",
        "g.mat",
    )
    for path in (tmp_path / name for name in (*names, "results/x.wav", "results/.runs/y")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "folder.h5").mkdir()
    # That in the folder of SpikeGLX, format = wav would not find.
    expected = {(".wav", "wav"): 2, (".plx", "neo"): 1, (".wav", ""): 1, (".mat", ""): 1}
    assert count_unread(str(tmp_path), {str(tmp_path / "a.wav")}, [str(tmp_path / "results")]) == expected


def test_hidden_files_are_passed_over(tmp_path):
    # What macOS writes beside each file on a disk of Windows, and a folder that is put away.
    write_spikeglx(tmp_path, "m_g0_t0.nidq", "._m_g0_t0.nidq")
    write_spikeglx(tmp_path / ".trash", "x_g0_t0.nidq")
    assert paths(tmp_path) == ["m_g0_t0.nidq.bin"]


def test_nothing_is_looked_for_in_results(tmp_path):
    write_spikeglx(tmp_path / "data", "m_g0_t0.nidq")
    for folder in ("results", "elsewhere", "copy/m"):
        write_spikeglx(tmp_path / folder / "deep", "x_g0_t0.nidq")
    (tmp_path / "elsewhere/.runs").mkdir()
    (tmp_path / "copy/m/runs").mkdir()
    (tmp_path / "copy/m/runs/Stats.json").write_text(json.dumps({"schema": 2, "step": "Stats"}))
    # A folder that is called so by a lab.
    write_spikeglx(tmp_path / "day/runs", "y_g0_t0.nidq")
    (tmp_path / "day/runs/notes.json").write_text('{"step": 5}')
    (tmp_path / "day/runs/broken.json").write_text("{")
    wanted = ["data/m_g0_t0.nidq.bin", "day/runs/y_g0_t0.nidq.bin"]
    assert paths(tmp_path, results=(tmp_path / "results", tmp_path / "gone")) == wanted
    # By whatever name they have.
    (tmp_path / "link").symlink_to(tmp_path / "results")
    assert paths(tmp_path, results=(tmp_path / "link",)) == wanted


def test_links_are_followed_once_and_loops_end(tmp_path):
    root, other = tmp_path / "root", tmp_path / "other"
    write_spikeglx(root / "b", "m_g0_t0.nidq")
    write_spikeglx(other / "deep", "x_g0_t0.nidq")
    write_spikeglx(tmp_path / "third", "y_g0_t0.nidq")
    (root / "a").symlink_to(root / "b")
    (root / "b/loop").symlink_to(root)
    (root / "up").symlink_to(tmp_path)
    (root / "z").symlink_to(other)
    (root / "again").symlink_to(other / "deep")
    (other / "further").symlink_to(tmp_path / "third")
    (root / "broken").symlink_to(tmp_path / "gone")
    # Each file once, and under its own path where it has one below the root.
    assert paths(root) == ["again/x_g0_t0.nidq.bin", "b/m_g0_t0.nidq.bin"]


def test_a_link_to_a_file_of_samples_counts(tmp_path):
    # As in a clone by DataLad.
    write_spikeglx(tmp_path / "store", "m_g0_t0.nidq")
    shutil.move(tmp_path / "store", tmp_path / ".store")
    (tmp_path / "m_g0_t0.nidq.bin").symlink_to(".store/m_g0_t0.nidq.bin")
    (tmp_path / "m_g0_t0.nidq.meta").symlink_to(".store/m_g0_t0.nidq.meta")
    assert paths(tmp_path) == ["m_g0_t0.nidq.bin"]


def test_a_folder_that_cannot_be_listed_is_named_and_the_others_go_on(tmp_path, monkeypatch):
    write_spikeglx(tmp_path / "a", "m_g0_t0.nidq")
    (tmp_path / "b").mkdir()
    listing = os.scandir

    def scandir(path):
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", path)
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = find_recordings(str(tmp_path))
    (text,) = found.problems
    assert text == (
        f"can't look for recordings in the folder {tmp_path / 'b'}: Permission denied; make it readable, or take it out"
        " of the folder"
    )
    assert len(found.recordings) == 1


def test_a_root_that_is_not_there_is_named(tmp_path):
    found = find_recordings(str(tmp_path / "gone"))
    assert found.recordings == () and "correct [recordings] root" in found.problems[0]


def test_a_deep_tree_is_no_problem(tmp_path):
    write_spikeglx(tmp_path / "/".join(["d"] * 200), "m_g0_t0.nidq")
    assert len(paths(tmp_path)) == 1
