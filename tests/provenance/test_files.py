"""Files that are written whole, read, hashed and described."""

import hashlib
import os
import socket

import pytest

from neuroluigi.provenance.files import (
    MOST_BYTES_READ,
    describe_file,
    hash_file,
    last_lines,
    only_regular,
    path_in_root,
    read_bytes,
    read_json,
    tail,
    write_json,
    write_text,
)


def test_json_comes_back_as_it_was_written(tmp_path):
    content = {"name": "Grüße \udcff", "values": [1, 2.5, None, True], "below": {"a": "b"}}
    write_json(tmp_path / "a.json", content)
    assert read_json(tmp_path / "a.json") == content
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"a": 1', "7", "[" * 100_000])
def test_what_is_no_json_object_is_none(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    assert read_json(tmp_path / "a.json") is None
    assert read_json(tmp_path / "missing.json") is None


def test_a_text_that_can_not_be_encoded_leaves_the_old_file(tmp_path):
    path = tmp_path / "page.html"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800", errors="strict")
    assert path.read_text() == "old" and [one.name for one in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize("size", [0, 1, (1 << 20) + 3])
def test_the_checksum_is_that_of_all_bytes(tmp_path, size):
    data, sizes = os.urandom(size), []
    (tmp_path / "a").write_bytes(data)
    assert hash_file(tmp_path / "a", sizes.append) == hashlib.sha256(data).hexdigest()
    assert sum(sizes) == size


def test_a_file_is_described_relative_to_the_first_root_that_it_is_in(tmp_path):
    path = tmp_path / "results" / "a-even" / "edges.npy"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"abc")
    roots = {"results": tmp_path / "results", "recordings": tmp_path}
    described = describe_file(path, roots)
    assert described == {
        "root": "results",
        "path": "a-even/edges.npy",
        "bytes": 3,
        "mtime_ns": path.stat().st_mtime_ns,
        "sha256": hashlib.sha256(b"abc").hexdigest(),
    }
    assert path_in_root(tmp_path / "results-2" / "x", roots) == {"root": "recordings", "path": "results-2/x"}
    outside = tmp_path.parent / "x"
    assert path_in_root(outside, roots) == {"path": outside.as_posix()}
    assert "root" not in path_in_root(tmp_path, roots)


def test_the_last_lines_of_a_log(tmp_path):
    log = tmp_path / "a.log"
    log.write_bytes(b"first\n" + b"x" * 100_000 + b"\nlast \xff but one\nlast\n")
    assert last_lines(log, 2) == ["last \ufffd but one", "last"]
    assert tail(log, 1) == "last" and tail(tmp_path / "missing.log") == ""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_what_is_no_regular_file_or_larger_than_any_record_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket"))
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(40 << 30)
    for name in ("pipe", "device", "loop", "folder", "socket"):
        with pytest.raises(OSError):
            hash_file(tmp_path / name)
        assert read_json(tmp_path / name) is None and last_lines(tmp_path / name, 3) == []
    with pytest.raises(OSError, match=f"has {40 << 30} bytes, more than the {MOST_BYTES_READ} that are read"):
        read_bytes(tmp_path / "sparse")
    assert read_json(tmp_path / "sparse") is None


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="needs O_NOFOLLOW")
def test_a_link_is_followed_to_read_and_not_to_write(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("file")
    assert read_bytes(tmp_path / "link") == b"mine"
    with pytest.raises(OSError), open(tmp_path / "link", "a", opener=only_regular):
        pass
    with open(tmp_path / "new", "a", opener=only_regular) as file:
        file.write("new")
    assert read_bytes(tmp_path / "new") == b"new"
