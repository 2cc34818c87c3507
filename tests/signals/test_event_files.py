"""Arrays that grow, as NumPy reads them."""

import numpy as np
import pytest

from neuroluigi.signals.event_files import GrowingArray


@pytest.mark.parametrize("columns", [None, 2, 5])
@pytest.mark.parametrize("kind", ["<i8", "<f8"])
def test_rows_are_added_and_replaced(tmp_path, columns, kind):
    path, shape = tmp_path / "a.npy", () if columns is None else (columns,)
    expected = np.arange(7 * (columns or 1)).reshape(7, *shape).astype(kind)
    with GrowingArray(str(path), kind, columns) as array:
        array.append(expected[:4] * 0)
        array.append(expected[4:6])
        array.replace(np.array([0, 1, 2, 3]), expected[:4])
        array.append(expected[6:])
        assert array.rows == 7
    read = np.load(path)
    assert read.dtype == np.dtype(kind) and np.array_equal(read, expected)
    assert path.stat().st_size == 128 + expected.nbytes


def test_no_rows(tmp_path):
    with GrowingArray(str(tmp_path / "a.npy"), "<i8", 5):
        pass
    assert np.load(tmp_path / "a.npy").shape == (0, 5)
