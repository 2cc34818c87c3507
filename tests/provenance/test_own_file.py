"""Files of this user alone: which are read, and how they are written."""

import os

import pytest

from neuroluigi.provenance.own_file import NOT_READ, NOT_WRITE, read_own, write_own


@pytest.mark.skipif(os.name != "posix", reason="there are no such permissions")
@pytest.mark.parametrize(
    ("mode", "denied", "why"),
    [
        (0o600, NOT_READ, ""),
        (0o640, NOT_READ, "others can read it"),
        (0o604, NOT_READ, "others can read it"),
        (0o644, NOT_WRITE, ""),
        (0o664, NOT_WRITE, "others can write it"),
        (0o646, NOT_WRITE, "others can write it"),
        (0o620, NOT_READ, "others can write it"),
    ],
)
def test_what_others_can_do_decides(tmp_path, mode, denied, why):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    path.chmod(mode)
    if not why:
        assert read_own(path, denied) == b"content"
        return
    with pytest.raises(PermissionError, match=why):
        read_own(path, denied)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user_is_not_read(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    path.chmod(0o600)
    os.chown(path, 12345, -1)
    with pytest.raises(PermissionError, match="belongs to another user"):
        read_own(path, NOT_WRITE)


@pytest.mark.skipif(os.name != "posix", reason="needs links and FIFOs")
def test_only_a_regular_file_is_read_and_nothing_is_written_through_a_link(tmp_path):
    link, target = tmp_path / "link", tmp_path / "target"
    target.write_bytes(b"of somebody")
    link.symlink_to(target)
    os.mkfifo(tmp_path / "fifo", 0o600)
    for path in (link, tmp_path / "fifo", tmp_path):
        with pytest.raises(OSError):
            read_own(path, NOT_WRITE)
    with pytest.raises(FileExistsError):
        write_own(link, b"mine", is_new=True)
    write_own(link, b"mine")
    assert target.read_bytes() == b"of somebody" and not link.is_symlink() and link.read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo", "link", "target"]
