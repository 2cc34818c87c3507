"""NWB files, written with h5py by hand: each ElectricalSeries in place where it lies so, else decoded."""

from contextvars import Context

import h5py
import numpy as np
import pytest

from neuroluigi.recordings.formats import library_process, nwb
from neuroluigi.recordings.formats.decoding import decoded_blocks
from neuroluigi.recordings.formats.reader import Channel, Gap, Part
from tests.conftest import FORMATS, needs_formats
from tests.recordings.mutations import check_mutations

pytestmark = pytest.mark.usefixtures("library_process")

VALUES = np.arange(-300, 300).reshape(200, 3)


def series(group, name="raw", values=VALUES, rate=30000.0, timestamps=None, electrodes=(2, 0, 1), **options):
    """Write an ElectricalSeries; `options` are of its dataset, those of `attributes` of the data's attributes."""
    one = group.require_group(name)
    one.attrs["neurodata_type"] = np.bytes_("ElectricalSeries")
    attributes = {"conversion": 1e-6, "offset": 0.0, "unit": np.bytes_("volts"), **options.pop("attributes", {})}
    data = one.create_dataset("data", data=values, **options)
    data.attrs.update(attributes)
    if timestamps is not None:
        one["timestamps"] = timestamps
    elif rate:
        one["starting_time"] = 0.0
        one["starting_time"].attrs["rate"] = rate
    if electrodes is not None:
        one["electrodes"] = np.array(electrodes)
    return one


def file_with(path, values=VALUES, table=True, userblock=0, labels=(b"a", b"b", b"c", b"d"), **options):
    with h5py.File(path, "w", userblock_size=userblock) as file:
        series(file.require_group("acquisition"), values=values, **options)
        if table:
            electrodes = file.require_group("general/extracellular_ephys/electrodes")
            electrodes["id"] = np.arange(10, 14)
            electrodes["label"] = labels if isinstance(labels[0], str) else np.array(labels)
            electrodes["rel_x"], electrodes["rel_y"] = [0.0, 32.0, 0.0, 32.0], [0.0, 0.0, 20.0, 20.0]
    return path


def recorded(path) -> list:
    recordings = nwb.recordings_in(str(path.parent), [path.name])
    assert all(str(path.parent) in text for one in recordings for text in one.problems + one.warnings)
    return recordings


def only(path):
    (one,) = recorded(path)
    return one


def samples(recording) -> np.ndarray:
    if recording.decode:
        return np.concatenate(list(decoded_blocks(recording)))
    (part,) = recording.parts
    return np.memmap(part.path, recording.dtype, "r", part.offset, (part.samples, len(recording.channels)))


@needs_formats
def test_the_real_file():
    path = FORMATS / "nwb/ecephys_tutorial_v2.5.0.nwb"
    raw, lfp = recorded(path)
    assert raw.columns == {"session": "ecephys_tutorial_v2.5.0", "index": "0", "stream": "ElectricalSeries"}
    assert lfp.columns["stream"] == "ecephys/LFP/ElectricalSeries"
    assert raw.parts == (Part(str(path), 3464, 50),)
    assert (raw.dtype, raw.samples, len(raw.channels), raw.sampling_rate_hz) == ("float64", 50, 4, 20000.0)
    assert (lfp.sampling_rate_hz, lfp.channels[0].kind, raw.channels[0].kind) == (200.0, "lf", "unknown")
    with h5py.File(path) as file:
        assert np.array_equal(samples(raw), file["acquisition/ElectricalSeries/data"][()])
        assert np.array_equal(samples(lfp), file["processing/ecephys/LFP/ElectricalSeries/data"][()])
    # It names 12 electrodes for 4 channels.
    assert "does not say which electrodes the 4 channels" in raw.warnings[0]


@pytest.mark.parametrize("dtype", ["<i2", "<u2", "<i4", "<f4", "<f8", "i1", "u1"])
@pytest.mark.parametrize("userblock", [0, 512])
def test_contiguous_samples_are_read_in_place(tmp_path, dtype, userblock):
    values = VALUES.astype(dtype)
    path = file_with(tmp_path / "m1.nwb", values, userblock=userblock)
    one = only(path)
    assert (one.problems, one.warnings, one.decode) == ((), (), None)
    assert (one.dtype, one.samples, one.sampling_rate_hz) == (np.dtype(dtype).name, 200, 30000.0)
    assert np.array_equal(samples(one), values)
    assert one.sidecars == (str(path),)
    assert one.channels[0] == Channel("c", scale=1e-6, offset=0.0, unit="V", x=0.0, y=20.0)
    assert [channel.name for channel in one.channels] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("dtype", "options", "found"),
    [
        ("<i2", {"chunks": (64, 2)}, "int16"),
        ("<i2", {"chunks": (64, 3), "compression": "gzip", "shuffle": True}, "int16"),
        ("<f4", {"chunks": (200, 1), "compression": "gzip"}, "float32"),
        (">i2", {}, "int16"),
        (">f8", {"chunks": (10, 3)}, "float64"),
        ("<f2", {}, "float32"),
        ("<u4", {}, "float64"),
        ("<i2", {"compact": True}, "int16"),
    ],
)
def test_others_are_decoded(tmp_path, dtype, options, found):
    values = abs(VALUES).astype(dtype)
    path = tmp_path / "m1.nwb"
    if options.pop("compact", False):
        file_with(path, None, shape=(200, 3), dtype=dtype)
        with h5py.File(path, "r+") as file:
            attributes = dict(file["acquisition/raw/data"].attrs)
            del file["acquisition/raw/data"]
            layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            layout.set_layout(h5py.h5d.COMPACT)
            space, kind = h5py.h5s.create_simple(values.shape), h5py.h5t.py_create(np.dtype(dtype))
            h5py.h5d.create(file["acquisition/raw"].id, b"data", kind, space, layout)
            file["acquisition/raw/data"][...] = values
            file["acquisition/raw/data"].attrs.update(attributes)
    else:
        file_with(path, values, **options)
    one = only(path)
    assert (one.problems, one.dtype, one.parts, one.sidecars) == ((), found, (), ())
    assert np.array_equal(samples(one), values)


def test_blocks_are_whole_chunks(tmp_path):
    values = np.random.default_rng(2).integers(-9, 9, (700_000, 4)).astype("<i2")
    one = only(file_with(tmp_path / "m.nwb", values, electrodes=None, table=False, chunks=(100_000, 4)))
    blocks = list(decoded_blocks(one))
    assert [len(block) for block in blocks] == [500_000, 200_000]
    assert np.array_equal(np.concatenate(blocks), values)


def test_one_dimension_is_one_channel(tmp_path):
    one = only(file_with(tmp_path / "m.nwb", VALUES[:, 0].astype("<i2"), electrodes=[3]))
    assert (one.samples, [channel.name for channel in one.channels]) == (200, ["d"])
    assert np.array_equal(samples(one)[:, 0], VALUES[:, 0])


def test_scale_and_offset_are_those_of_the_schema(tmp_path):
    path = file_with(tmp_path / "m.nwb", VALUES.astype("<i2"), attributes={"conversion": 2e-6, "offset": 0.5})
    with h5py.File(path, "r+") as file:
        file["acquisition/raw/channel_conversion"] = [1.0, 2.0, 4.0]
    assert [(one.scale, one.offset, one.unit) for one in only(path).channels] == [
        (2e-6, 0.5, "V"), (4e-6, 0.5, "V"), (8e-6, 0.5, "V"),
    ]  # fmt: skip
    with h5py.File(path, "r+") as file:
        del file["acquisition/raw/channel_conversion"]
        file["acquisition/raw/channel_conversion"] = [1.0, 2.0]
    one = only(path)
    assert {channel.scale for channel in one.channels} == {None} and "no scale of" in one.warnings[0]
    for name, value in (("conversion", np.nan), ("conversion", [1.0, 2.0]), ("conversion", "x"), ("offset", np.inf)):
        with h5py.File(path, "r+") as file:
            file["acquisition/raw"].pop("channel_conversion", None)
            file["acquisition/raw/data"].attrs["conversion"] = 1.0
            file["acquisition/raw/data"].attrs[name] = value
        one = only(path)
        assert one.problems == () and [channel.scale for channel in one.channels] in ([1.0] * 3, [None] * 3)


def test_timestamps_give_rate_and_gaps(tmp_path):
    times = 7 + np.arange(200) / 30000
    times[50:] += 10 / 30000
    times[150:] -= 1
    one = only(file_with(tmp_path / "m.nwb", VALUES.astype("<i2"), timestamps=times))
    assert one.sampling_rate_hz == pytest.approx(30000, rel=1e-6)
    assert one.gaps == (Gap(50, 10), Gap(150))
    even = only(file_with(tmp_path / "m.nwb", VALUES.astype("<i2"), timestamps=3600 + np.arange(200) / 30000))
    assert (even.sampling_rate_hz, even.gaps) == (30000.0, ())
    for times in (np.zeros(200), np.full(200, np.nan), np.arange(5.0)):
        one = only(file_with(tmp_path / "m.nwb", VALUES.astype("<i2"), timestamps=times))
        assert one.sampling_rate_hz is None and "says no rate" in one.warnings[0]


def test_series_of_modules_and_through_links(tmp_path):
    path = file_with(tmp_path / "m.nwb", VALUES.astype("<i2"))
    with h5py.File(path, "r+") as file:
        lfp = file.create_group("processing/ecephys/LFP")
        lfp.attrs["neurodata_type"] = "LFP"
        one = series(lfp, "lfp", VALUES.astype("<i2"), rate=None, electrodes=None)
        one["starting_time"] = h5py.SoftLink("/acquisition/raw/starting_time")
        one["electrodes"] = h5py.SoftLink("../../../../acquisition/nothing")
        lfp["loop"] = h5py.SoftLink("/processing/ecephys/LFP/loop")
        lfp["round"] = file["processing"]
        series(file["processing/ecephys"], "other", VALUES.astype("<i2")).attrs["neurodata_type"] = "TimeSeries"
    raw, lfp = recorded(path)[:2]
    assert (lfp.columns["stream"], lfp.sampling_rate_hz, lfp.channels[0].kind) == ("ecephys/LFP/lfp", 30000.0, "lf")
    assert raw.columns["stream"] == "raw"


def test_links_to_other_files_stay_in_the_folder(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    inside = file_with(folder / "raw.h5", VALUES.astype("<i2"))
    outside = file_with(tmp_path / "secret.h5", VALUES.astype("<i2"))
    path = file_with(folder / "m.nwb", VALUES.astype("<i2"))

    def link(name, file):
        with h5py.File(path, "r+") as one:
            if one.get(name, getlink=True):
                del one[name]
            one[name] = h5py.ExternalLink(
                file, "/acquisition/raw/data" if name.endswith("data") else "/acquisition/raw"
            )

    link("acquisition/raw/data", "raw.h5")
    one = only(path)
    assert one.parts[0].path == str(inside) and one.sidecars == (str(path), str(inside))
    assert np.array_equal(samples(one), VALUES)
    link("acquisition/copy", "raw.h5")
    assert [one.columns["stream"] for one in recorded(path)] == ["raw", "copy"] or len(recorded(path)) == 2
    for name in (str(outside), "../secret.h5", "/etc/passwd"):
        link("acquisition/raw/data", name)
        texts = [text for one in recorded(path) for text in one.problems]
        assert any("which is not in its folder" in text for text in texts), texts
    link("acquisition/raw/data", "gone.h5")
    assert any(f"{folder / 'gone.h5'} can't be read" in text for one in recorded(path) for text in one.problems)


def test_samples_in_other_files_are_refused(tmp_path):
    path = tmp_path / "m.nwb"
    (tmp_path / "x.raw").write_bytes(VALUES.astype("<i2").tobytes())
    file_with(path, None, shape=(200, 3), dtype="<i2", external=[(str(tmp_path / "x.raw"), 0, 1200)])
    assert "in other files (a virtual dataset, or external storage)" in only(path).problems[0]
    layout = h5py.VirtualLayout((200, 3), "<i2")
    layout[:] = h5py.VirtualSource(str(tmp_path / "y.h5"), "d", (200, 3))
    file_with(path)
    with h5py.File(path, "r+") as file:
        del file["acquisition/raw/data"]
        file["acquisition/raw"].create_virtual_dataset("data", layout)
    assert "in other files" in only(path).problems[0]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((5, 3), "<i8"), "has values of int64 and shape (5, 3) in /acquisition/raw/data"),
        (np.zeros((5, 3, 2), "<i2"), "shape (5, 3, 2)"),
        (np.zeros((0, 3), "<i2"), "shape (0, 3)"),
        (np.zeros((5, 70000), "i1"), "shape (5, 70000)"),
        (np.zeros(5, "c16"), "complex128"),
        (np.array([b"a", b"b"]), "has values of"),
        (np.int16(3), "shape ()"),
    ],
)
def test_what_are_no_samples(tmp_path, values, words):
    assert words in only(file_with(tmp_path / "m.nwb", values, electrodes=None)).problems[0]


def test_files_that_are_no_nwb(tmp_path):
    path = tmp_path / "m.nwb"
    for content in (b"", b"no HDF5", b"\x89HDF\r\n\x1a\n" + bytes(100)):
        path.write_bytes(content)
        assert f"{path} can't be read by h5py (OSError" in only(path).problems[0]
    with h5py.File(path, "w") as file:
        file.create_group("acquisition")
    assert "has no ElectricalSeries in acquisition or processing" in only(path).problems[0]
    with h5py.File(path, "r+") as file:
        series(file["acquisition"])
        del file["acquisition/raw/data"]
    assert f"{path} has no data in /acquisition/raw" in only(path).problems[0]
    path.unlink()
    path.mkdir()
    assert "can't be read: " in only(path).problems[0]


def test_without_h5py_the_line_to_type_is_said(tmp_path, without_library):
    without_library("h5py")
    path = file_with(tmp_path / "m.nwb")
    (problem,) = Context().run(only, path).problems
    assert f"{path} is read by h5py, for which h5py is needed" in problem
    assert problem.endswith("pip install 'neuroluigi[formats]'")


def test_a_folder_with_such_files_is_claimed():
    assert nwb.claims("", ["A.NWB"])
    assert not nwb.claims("", ["nwb", "a.h5"])


HOSTILE = {
    "contiguous": {},
    "chunked": {"chunks": (50, 3), "compression": "gzip"},
    # These lie in a heap, whose damaged references libhdf5 may follow for ever.
    "texts of any length": {"labels": ["first", "second", "third", "fourth"], "attributes": {"unit": "volts"}},
}


@pytest.mark.parametrize("options", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files(tmp_path, monkeypatch, options):
    monkeypatch.setattr(library_process, "_SECONDS", 1.0)
    content = file_with(tmp_path / "m.nwb", VALUES.astype("<i2"), **options).read_bytes()
    check_mutations(nwb, {"m.nwb": content}, "m.nwb", tmp_path, decoded=0.05)
