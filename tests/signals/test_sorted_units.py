"""read_units() on folders as Kilosort 2 to 4 and phy write them: by hand-written values, and by phylib where it is."""

import os

import numpy as np
import pytest

from neuroluigi.signals.sorted_units import read_units
from tests.signals.sorted_folder import CHANNEL_MAP, CLUSTERS, LARGEST, TIMES, table, templates, write_sorted_folder

SPIKES = {0: [20, 40, 75], 2: [10, 30, 60, 90], 3: [55]}


def spikes_of(units):
    return {one.id: one.samples.tolist() for one in units}


def labels_of(folder):
    return {one.id: one.label for one in read_units(folder)}


def channels_of(folder):
    return {one.id: one.channel for one in read_units(folder)}


def test_a_folder_as_sorted(tmp_path):
    units = read_units(write_sorted_folder(tmp_path))
    assert [(one.id, one.label, one.channel, one.outside) for one in units] == [
        (0, "good", 2, 0),
        (2, "mua", 4, 0),
        (3, "mua", 0, 0),
    ]
    assert spikes_of(units) == SPIKES
    assert {one.samples.dtype for one in units} == {np.dtype("int64")}


@pytest.mark.parametrize("dtype", ["<u8", "<i4", ">i4", "<u2", "<f8", "<f4"])
@pytest.mark.parametrize("shape", [(-1,), (-1, 1), (1, -1)])
def test_types_and_shapes_of_times(tmp_path, dtype, shape):
    write_sorted_folder(tmp_path, spike_times=np.array(TIMES, dtype).reshape(shape))
    assert spikes_of(read_units(str(tmp_path))) == SPIKES


def test_times_need_not_be_sorted(tmp_path):
    write_sorted_folder(
        tmp_path,
        spike_times=np.array(TIMES[::-1]),
        spike_clusters=np.array(CLUSTERS[::-1]),
        spike_templates=np.array(CLUSTERS[::-1]),
    )
    assert spikes_of(read_units(tmp_path)) == SPIKES


def test_clusters_of_curation_win_over_templates_and_keep_their_channel(tmp_path):
    # phy merged 0 and 3 into 4, and split 2 into 5 and 6.
    merged = np.array([5, 4, 6, 4, 4, 5, 4, 6], np.int32)
    write_sorted_folder(tmp_path, spike_clusters=merged)
    assert spikes_of(read_units(tmp_path)) == {4: [20, 40, 55, 75], 5: [10, 60], 6: [30, 90]}
    assert channels_of(tmp_path) == {4: 2, 5: 4, 6: 4}


def test_a_sorter_without_clusters_of_its_own(tmp_path):
    write_sorted_folder(tmp_path, spike_clusters=None)
    assert spikes_of(read_units(tmp_path)) == SPIKES


def test_labels_that_a_person_gave_win(tmp_path):
    write_sorted_folder(tmp_path)
    assert labels_of(tmp_path) == {0: "good", 2: "mua", 3: "mua"}
    table(tmp_path / "cluster_info.tsv", "group", {0: "noise", 2: "good", 3: ""})
    assert labels_of(tmp_path) == {0: "noise", 2: "good", 3: "mua"}
    table(tmp_path / "cluster_group.tsv", "group", {2: "unsorted", 7: "good"})
    assert labels_of(tmp_path) == {0: "noise", 2: "unsorted", 3: "mua"}


def test_labels_of_kilosort_4_where_phy_writes_others_later(tmp_path):
    write_sorted_folder(tmp_path)
    (tmp_path / "cluster_KSLabel.tsv").rename(tmp_path / "cluster_group.tsv")
    assert labels_of(tmp_path) == {0: "good", 2: "mua", 3: "mua"}
    table(tmp_path / "cluster_info.tsv", "group", {2: "good"})
    assert labels_of(tmp_path) == {0: "good", 2: "good", 3: "mua"}


def test_labels_of_old_versions_of_phy(tmp_path):
    write_sorted_folder(tmp_path)
    (tmp_path / "cluster_KSLabel.tsv").unlink()
    assert labels_of(tmp_path) == {0: "", 2: "", 3: ""}
    (tmp_path / "cluster_groups.csv").write_text("cluster_id\tgroup\n0\tgood\n")
    assert labels_of(tmp_path)[0] == "good"
    (tmp_path / "cluster_groups.csv").write_text("cluster_id,group\r\n0,mua\r\n")
    table(tmp_path / "cluster_info.tsv", "group", {2: "noise"}, key="id")
    assert labels_of(tmp_path) == {0: "mua", 2: "noise", 3: ""}


def test_no_templates_no_channel(tmp_path):
    write_sorted_folder(tmp_path, templates=None)
    assert channels_of(tmp_path) == {0: None, 2: None, 3: None}


def test_templates_of_few_channels_each(tmp_path):
    columns = np.array([[1, 0], [2, 1], [3, -1], [0, 1]])
    few = np.zeros((4, 21, 2), np.float32)
    few[:, 10, 0] = -1
    few[2, :, 1] = 9 * np.arange(21)  # where there is no channel
    write_sorted_folder(tmp_path, templates=few, templates_ind=columns)
    assert channels_of(tmp_path) == {0: 2, 2: 4, 3: 0}


def test_templates_are_compared_as_they_were_before_whitening(tmp_path):
    scales = np.diag([100.0, 1, 1, 1])
    write_sorted_folder(tmp_path, whitening_mat_inv=scales)
    # 0.25 on the first channel is 25 there.
    assert channels_of(tmp_path) == {0: 0, 2: 0, 3: 0}


def test_the_few_spikes_that_kilosort_finds_in_its_padding_are_left_out_and_counted(tmp_path):
    times = np.arange(400)
    times[[0, 399]] = -3, 1203
    clusters = np.repeat([0, 3], 200)
    write_sorted_folder(tmp_path, spike_times=times, spike_clusters=clusters, spike_templates=clusters)
    assert [(len(one.samples), one.outside) for one in read_units(tmp_path, 400)] == [(199, 1), (199, 1)]
    assert [(len(one.samples), one.outside) for one in read_units(tmp_path)] == [(199, 1), (200, 0)]
    with pytest.raises(ValueError, match=r"spike_times.npy: 101 of 400 spikes lie outside of the file of 300 samples"):
        read_units(tmp_path, 300)


def test_a_cluster_without_spikes_is_none(tmp_path):
    none = np.zeros(0, np.int64)
    write_sorted_folder(tmp_path, spike_times=none, spike_clusters=none, spike_templates=none)
    assert read_units(tmp_path) == []


class Runs:
    """An object that runs a program when it is read."""

    def __reduce__(self):
        return os.mkdir, ("was run",)


BAD = {
    "a text": ("spike_times", b"no array", "spike_times.npy is not a whole .npy file"),
    "cut": ("spike_clusters", b"\x93NUMPY\x01\x00", "spike_clusters.npy is not a whole .npy file"),
    "fewer clusters": ("spike_clusters", np.arange(7), "spike_clusters.npy has 7 values, and spike_times.npy 8"),
    "fewer templates": ("spike_templates", np.arange(3), "spike_templates.npy has 3 values"),
    "seconds": ("spike_times", np.arange(8) / 3, "no whole numbers"),
    "not a number": ("spike_times", np.full(8, np.nan), "no whole numbers"),
    "infinite": ("spike_times", np.full(8, np.inf), "no whole numbers"),
    "large": ("spike_times", np.full(8, 1e300), "beyond 2"),
    "negative as unsigned": ("spike_times", np.full(8, 2**64 - 1, np.uint64), "beyond 2"),
    "all negative": ("spike_times", np.full(8, -1), "8 of 8 spikes lie outside"),
    "texts": ("spike_times", np.array(list("abcdefgh")), "not a .npy file of numbers"),
    "a table": ("spike_times", np.zeros((4, 2)), "one number per spike"),
    "objects": ("spike_times", np.array([Runs()], object), "Python objects"),
    "flat templates": ("templates", np.zeros((4, 21)), r"templates.npy has the shape \(4, 21\)"),
    "channels": ("channel_map", np.arange(3), "channel_map.npy has 3 channels, and templates.npy 4"),
    "indices": ("templates_ind", np.zeros((4, 3)), "templates_ind.npy"),
    "whitening": ("whitening_mat_inv", np.eye(3), "whitening_mat_inv.npy"),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD.values(), ids=BAD)
def test_bad_files_are_named(tmp_path, monkeypatch, name, content, message):
    monkeypatch.chdir(tmp_path)
    write_sorted_folder(tmp_path)
    if isinstance(content, bytes):
        (tmp_path / f"{name}.npy").write_bytes(content)
    else:
        np.save(tmp_path / f"{name}.npy", content, allow_pickle=True)
    with pytest.raises(ValueError, match=message):
        read_units(tmp_path)
    assert not (tmp_path / "was run").exists()


@pytest.mark.parametrize("text", ["", "cluster_id\n0\n", "cluster_id\tgroup\nfirst\tgood\n", "cluster_id\tgroup\n\xff"])
def test_bad_tables_are_named(tmp_path, text):
    write_sorted_folder(tmp_path)
    (tmp_path / "cluster_group.tsv").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"cluster_group\.tsv is not a table of labels"):
        read_units(tmp_path)


def test_other_folders_are_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"spike_times.npy does not exist: .* is not the folder of a sorter"):
        read_units(tmp_path)
    write_sorted_folder(tmp_path, spike_clusters=None, spike_templates=None)
    with pytest.raises(ValueError, match=r"neither spike_clusters\.npy nor spike_templates\.npy"):
        read_units(tmp_path)


def test_params_of_phy_are_not_run(tmp_path):
    (write_sorted_folder(tmp_path) / "params.py").write_text("raise SystemExit('it was run')")
    assert len(read_units(tmp_path)) == 3


def test_what_phylib_reads(tmp_path):
    model = pytest.importorskip("phylib.io.model")
    rng = np.random.default_rng(5)
    whitening = rng.normal(size=(4, 4)) + 3 * np.eye(4)
    noisy = (templates() + 0.3 * rng.normal(size=templates().shape)).astype(np.float32)
    write_sorted_folder(tmp_path, templates=noisy, whitening_mat=np.linalg.inv(whitening), whitening_mat_inv=whitening)
    theirs = model.TemplateModel(
        dir_path=tmp_path, dat_path=[], n_channels_dat=6, sample_rate=30000.0, dtype="int16", offset=0
    )
    units = {one.id: one for one in read_units(tmp_path)}
    for one in LARGEST.keys() & units.keys():
        assert theirs.spike_samples[theirs.spike_clusters == one].tolist() == units[one].samples.tolist()
        assert CHANNEL_MAP[theirs.get_template(one).channel_ids[0]] == units[one].channel


def test_what_spikeinterface_reads(tmp_path):
    extractors = pytest.importorskip("spikeinterface.extractors")
    write_sorted_folder(tmp_path, spike_times=np.array(TIMES, np.uint64).reshape(-1, 1))
    (tmp_path / "params.py").write_text("sample_rate = 30000.\n")
    table(tmp_path / "cluster_group.tsv", "group", {0: "good", 2: "mua", 3: "mua"})
    theirs = extractors.read_phy(tmp_path)
    units = read_units(tmp_path)
    assert {one: theirs.get_unit_spike_train(one).tolist() for one in theirs.unit_ids} == spikes_of(units)
    assert list(theirs.get_property("quality")) == [one.label for one in units]
