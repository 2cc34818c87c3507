"""The token of luigid: whose it is, and where."""

import os
import stat
import sys

import pytest

from neuroluigi.runner.luigid_token import make_token, read_token, token_path


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCALAPPDATA" if sys.platform == "win32" else "XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_a_token_is_of_its_port_and_stays(state):
    assert read_token(8082) == ""
    first, other = make_token(8082), make_token("9000")
    assert first == make_token("8082") == read_token(8082) and len(first) > 40 and other != first
    assert token_path(8082) == state / "neuroluigi" / "luigid-8082.token"
    assert sorted(path.name for path in token_path(1).parent.iterdir()) == ["luigid-8082.token", "luigid-9000.token"]


def test_a_folder_that_is_not_absolute_is_no_folder(monkeypatch, tmp_path):
    for value in ("", "here"):
        monkeypatch.setenv("LOCALAPPDATA" if sys.platform == "win32" else "XDG_STATE_HOME", value)
        monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)
        assert token_path(1) == tmp_path / ".local" / "state" / "neuroluigi" / "luigid-1.token"


@pytest.mark.skipif(os.name != "posix", reason="there are no such permissions")
@pytest.mark.parametrize("umask", [0o000, 0o002, 0o077])
def test_others_can_not_read_it_whatever_the_umask(umask):
    before = os.umask(umask)
    try:
        make_token(8082)
    finally:
        os.umask(before)
    assert stat.S_IMODE(token_path(8082).stat().st_mode) == 0o600
