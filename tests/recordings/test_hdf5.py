"""Nodes of HDF5 files: links step by step, and small values alone."""

import h5py
import numpy as np
import pytest

from neuroluigi.recordings.formats.hdf5 import children, only_opened, resolve
from neuroluigi.recordings.recording import RecordingsError


@pytest.fixture
def path(tmp_path) -> str:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/data"] = [1, 2, 3]
        file["soft"] = h5py.SoftLink("/group/data")
        file["group/up"] = h5py.SoftLink("data")
        file["outside"] = h5py.ExternalLink("../b.h5", "/x")
        file["beside"] = h5py.ExternalLink("b.h5", "/deep/x")
        for i in range(20):
            file[f"chain{i}"] = h5py.SoftLink(f"/chain{i + 1}")
        file["chain20"] = 7.0
        attributes = {"number": np.float32(1.5), "text": "m\ttext", "fixed": np.bytes_("abc"), "array": [1.0, 2.0]}
        file["group"].attrs.update(attributes)
        file["texts"] = ["a", "ö"]
        file["table"] = np.zeros((2, 2))
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["deep/x"] = [4.0]
        file["deep/back"] = h5py.ExternalLink("a.h5", "/group")
    return str(tmp_path / "a.h5")


def test_links_within_the_folder(path, tmp_path):
    with only_opened(path) as root:
        for name in ("group/data", "/group/data", "./group/data/", "soft", "group/up"):
            node = resolve(root, name)
            assert (node.name, node.path, node.values(9)) == ("/group/data", path, [1, 2, 3]), name
        assert resolve(resolve(root, "group"), "/soft").name == "/group/data"
        other = resolve(root, "beside")
        assert (other.name, other.path, other.values(9)) == ("/deep/x", str(tmp_path / "b.h5"), [4.0])
        assert other.files == (path, str(tmp_path / "b.h5"))
        assert resolve(other, "/deep/back/data").values(9) == [1, 2, 3]
        assert resolve(root, "chain13").dataset()[()] == 7


def test_what_is_not_there_and_what_leads_out(path):
    with only_opened(path) as root:
        for name in ("nothing", "group/data/x", "chain0", "group/nothing/x"):
            assert resolve(root, name, missing_ok=True) is None, name
            with pytest.raises(RecordingsError, match=f"{path} has no {name} in /"):
                resolve(root, name)
        with pytest.raises(RecordingsError, match=r"a\.h5 links to \.\./b\.h5, which is not in its folder"):
            resolve(root, "outside", missing_ok=True)
        with pytest.raises(RecordingsError, match="no dataset at /group"):
            resolve(root, "group").dataset()


def test_values_and_attributes(path):
    with only_opened(path) as root:
        group = resolve(root, "group")
        assert (group.attribute("number"), group.attribute("array"), group.attribute("none")) == (1.5, None, None)
        assert (group.text("text"), group.text("fixed"), group.text("number")) == ("m?text", "abc", "")
        assert resolve(root, "texts").values(2) == ["a", "ö"]
        assert resolve(root, "texts").values(1) == [] == resolve(root, "table").values(9)
        assert [one.name for one in children(group, 9)] == ["/group/data", "/group/data"]
        assert list(children(resolve(root, "texts"), 9)) == []
        with pytest.raises(RecordingsError, match="more objects than any recording"):
            list(children(root, 3))


def test_errors_have_the_path(path, tmp_path):
    with pytest.raises(RecordingsError, match=rf"{path} can't be read by h5py \(KeyError: 'x'\)"), only_opened(path):
        raise KeyError("x")
    with (
        pytest.raises(RecordingsError, match=r"gone\.h5 can't be read: it is not there"),
        only_opened(str(tmp_path / "gone.h5")),
    ):
        pass
