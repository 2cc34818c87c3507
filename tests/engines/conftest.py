"""Labs of which no call may leave a folder or a process behind."""

import pytest

from neuroluigi.engines.engine import Engine
from neuroluigi.engines.pool import close_pool
from tests.conftest import FAKE_MATLAB
from tests.engines.lab import Lab, use_temporary_folder


def _lab(folder, monkeypatch, is_warm: bool):
    close_pool()
    lab = Lab(folder, is_warm)
    use_temporary_folder(lab.temporary, monkeypatch)
    monkeypatch.delenv("FAKE_MATLAB", raising=False)
    monkeypatch.setenv("FAKE_MATLAB_STARTS", str(lab.starts_file))
    yield lab
    close_pool()
    assert list(lab.temporary.iterdir()) == []
    assert lab.processes() == []


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A lab with an engine process for each call."""
    yield from _lab(tmp_path, monkeypatch, is_warm=False)


@pytest.fixture
def warm_lab(tmp_path, monkeypatch):
    """A lab with a warm engine."""
    yield from _lab(tmp_path, monkeypatch, is_warm=True)


def _with_matlab(lab: Lab) -> Lab:
    lab.engine = Engine("matlab", (str(FAKE_MATLAB),))
    lab.write("quick", "disp('worked');")
    return lab


@pytest.fixture
def matlab_lab(lab):
    """The same with the fake `matlab`; the variable FAKE_MATLAB says what that does beside."""
    return _with_matlab(lab)


@pytest.fixture
def warm_matlab_lab(warm_lab):
    """Likewise, with a warm `matlab`."""
    return _with_matlab(warm_lab)
