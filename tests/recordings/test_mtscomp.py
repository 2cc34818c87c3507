"""Files of mtscomp, written by mtscomp itself: all values as they were, whatever differences were taken."""

import json
import zlib

import mtscomp
import numpy as np
import pytest

from neuroluigi.recordings.formats.mtscomp import decode, read_compressed
from neuroluigi.recordings.recording import RecordingsError


def compressed(folder, values, **options) -> tuple[str, str]:
    """Write values, (samples, channels), by mtscomp; return the paths of .cbin and .ch."""
    paths = folder / "x.bin", folder / "x.cbin", folder / "x.ch"
    values.tofile(paths[0])
    how = {"check_after_compress": False, "n_threads": 1, "quiet": True, **options}
    mtscomp.compress(*paths, sample_rate=1000.0, n_channels=values.shape[1], dtype=values.dtype, **how)
    return str(paths[1]), str(paths[2])


@pytest.mark.parametrize("order", ["F", "C"])
@pytest.mark.parametrize("in_time", [True, False])
@pytest.mark.parametrize("of_channels", [True, False])
def test_all_values_come_back(tmp_path, order, in_time, of_channels):
    # The differences of these wrap around.
    values = np.random.default_rng(1).integers(-(2**15), 2**15, (2500, 3)).astype("<i2")
    options = {"chunk_order": order, "do_time_diff": in_time, "do_spatial_diff": of_channels}
    found = read_compressed(*compressed(tmp_path, values, **options))
    assert (found.channels, found.samples, found.first_samples) == (3, 2500, (0, 1000, 2000, 2500))
    blocks = list(decode(found))
    assert [len(block) for block in blocks] == [1000, 1000, 500]
    assert np.array_equal(np.concatenate(blocks), values)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_channels": 0}, "has to say n_channels"),
        ({"chunk_bounds": [0, 10, 5]}, "has to say n_channels, and chunk_bounds"),
        ({"chunk_bounds": [0, "x"]}, "has to say"),
        ({"chunk_offsets": [1, 2]}, "has to say"),
        ({"chunk_bounds": [0], "chunk_offsets": [0]}, "has to say"),
        ({"dtype": "float32"}, "dtype=float32; read is int16"),
        ({"algorithm": "flac"}, "algorithm=flac"),
        ({"chunk_offsets": [0, 3]}, "by .*x.ch; copy it again, it was cut off"),
        ({"chunk_bounds": [0, 10**9]}, "a chunk of 1000000000 samples in .* bytes, which can't be"),
    ],
)
def test_an_index_that_cant_be_so(tmp_path, changes, words):
    data, index = compressed(tmp_path, np.zeros((100, 2), "<i2"))
    said = json.loads((tmp_path / "x.ch").read_text())
    (tmp_path / "x.ch").write_text(json.dumps({**said, **changes}))
    with pytest.raises(RecordingsError, match=words):
        read_compressed(data, index)


@pytest.mark.parametrize("content", [b"x" * 40, zlib.compress(bytes(399)), zlib.compress(bytes(402))])
def test_a_chunk_that_is_damaged(tmp_path, content):
    (tmp_path / "x.cbin").write_bytes(content)
    said = {"n_channels": 2, "dtype": "int16", "algorithm": "zlib", "chunk_bounds": [0, 100]}
    (tmp_path / "x.ch").write_text(json.dumps({**said, "chunk_offsets": [0, len(content)]}))
    found = read_compressed(str(tmp_path / "x.cbin"), str(tmp_path / "x.ch"))
    with pytest.raises(RecordingsError, match=r"x\.cbin has a chunk that"):
        list(decode(found))
