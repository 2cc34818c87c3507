"""What lies at the path of a result: measures, checksums and manifests of folders."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from neuroluigi.provenance.contents import (
    checksum,
    describe,
    digest_of_manifest,
    manifest,
    measure,
    read_manifest,
    within,
    write_manifest,
)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def folder(tmp_path):
    """A folder of two files, with a third below and an empty folder."""
    folder = tmp_path / "sorted"
    (folder / "below" / "deeper").mkdir(parents=True)
    (folder / "empty").mkdir()
    for number, name in enumerate(("a.npy", "b.npy", "below/deeper/c.npy"), 1):
        (folder / name).write_bytes(b"x" * number)
        os.utime(folder / name, ns=(number, number))
    return folder


def test_a_folder_is_measured_by_its_files(folder):
    assert measure(folder) == (6, 3, 3)
    assert measure(folder / "a.npy") == (1, 1, None)
    assert measure(folder / "nothing") is None
    assert measure(folder / "empty") == (0, 0, 0)


def test_a_folder_that_cant_be_read_to_its_end_is_another_one_and_not_missing(folder, monkeypatch):
    scandir, recorded = os.scandir, describe(folder, {})

    def refuse(path):
        if Path(path).name == "deeper":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert measure(folder) is not None and not measure(folder).matches(recorded)
    with pytest.raises(PermissionError):
        checksum(folder)


@pytest.mark.parametrize(
    ("ignore", "files"),
    [
        ((), ["a.npy", "b.npy", "below/deeper/c.npy"]),
        (("b.npy",), ["a.npy", "below/deeper/c.npy"]),
        (("*.npy",), []),
        (("c.npy", "a.*"), ["b.npy"]),
        (("below/",), ["a.npy", "b.npy"]),
        (("deeper/",), ["a.npy", "b.npy"]),
        (("below/deeper/*",), ["a.npy", "b.npy"]),
        # A name without a slash is that of a file, one with a slash that of a folder.
        (("below", "a.npy/"), ["a.npy", "b.npy", "below/deeper/c.npy"]),
    ],
)
def test_names_that_are_ignored_count_nowhere(folder, ignore, files):
    assert list(manifest(folder, ignore)) == files
    assert measure(folder, ignore).files == len(files)


def test_the_checksum_is_that_of_names_and_contents_alone(folder, tmp_path):
    expected = "".join(f"{sha256(b'x' * n)}  {name}\n" for n, name in enumerate(manifest(folder), 1))
    assert checksum(folder) == digest_of_manifest(manifest(folder)) == sha256(expected.encode())
    copied = shutil.copytree(folder, tmp_path / "copied")
    (copied / "empty").rmdir()
    (copied / "a.npy").touch()
    assert checksum(copied) == checksum(folder) and measure(copied) != measure(folder)
    (copied / "a.npy").rename(copied / "z.npy")
    assert checksum(copied) != checksum(folder)
    assert checksum(copied / "b.npy") == sha256(b"xx")


def test_links_are_recorded_and_not_followed(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "big.bin").write_bytes(b"outside")
    before = checksum(folder)
    (folder / "link").symlink_to(outside / "big.bin")
    (folder / "links").symlink_to(outside, target_is_directory=True)
    found = manifest(folder)
    assert found["link"] == f"link:{sha256(os.fsencode(outside / 'big.bin'))}" and "links" in found
    assert not any(name.startswith("links/") for name in found) and measure(folder).files == 5
    with_links = checksum(folder)
    (outside / "big.bin").write_bytes(b"changed")
    assert checksum(folder) == with_links != before


def test_a_folder_is_described_with_what_it_ignores(folder, tmp_path):
    assert describe(folder, {"results": tmp_path}, ignore=("b.npy", "below/")) == {
        "root": "results",
        "path": "sorted",
        "bytes": 1,
        "mtime_ns": 1,
        "files": 1,
        "sha256": sha256(f"{sha256(b'x')}  a.npy\n".encode()),
        "ignore": ["b.npy", "below/"],
    }
    assert "files" not in describe(folder / "a.npy", {})


def test_the_checksum_of_json_is_that_of_the_values_that_count(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"roots": {"r": "../.."}, "n": 0.1, "parts": [{"root": "r", "path": "a", "size": 2}]}')
    kept = sha256(b'{"n": 0.1, "parts": [{"size": 2}]}')
    ignore = ("roots", "root", "path")
    assert checksum(path, ignore) == kept and checksum(path) == sha256(path.read_bytes())
    described = describe(path, {"results": tmp_path}, ignore=ignore)
    assert described == {
        "root": "results",
        "path": "x.json",
        "bytes": path.stat().st_size,
        "mtime_ns": path.stat().st_mtime_ns,
        "sha256": kept,
        "ignore": ["roots", "root", "path"],
    }
    path.write_text('{"parts": [{"size": 2, "path": "/elsewhere/b"}], "n": 0.1}\n')
    assert checksum(path, ignore) == kept
    # Its size says nothing, and whether it is the same is found by reading it.
    assert measure(path).may_be(described) and not measure(path).matches(described)
    for changed in (
        '{"n": 0.1, "parts": [{"size": 3}]}',
        '{"n": 0.1, "parts": []}',
        '{"n": 0.1, "parts": {"size": 2}}',
        '{"n": 0.10000000000000002, "parts": [{"size": 2}]}',
        '{"n": "0.1", "parts": [{"size": 2}]}',
        '{"n": 0.1, "parts": [{"size": 2}], "m": null}',
    ):
        path.write_text(changed)
        assert checksum(path, ignore) != kept


@pytest.mark.parametrize("content", [b"", b"{", b"\x00" * 9, b"[" * 100_000, b"9" * 5000], ids=repr)
def test_what_is_no_json_counts_by_its_bytes(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    assert checksum(tmp_path / "x.json", ("path",)) == sha256(content)


@pytest.mark.skipif(sys.platform != "linux", reason="names that other systems refuse")
def test_a_manifest_is_read_again_and_checked_by_sha256sum(folder, tmp_path):
    names = [
        "with space",
        "back\\slash",
        "new\nline",
        "new\\nline",
        "\\",
        b"no text \xff".decode("utf-8", "surrogateescape"),
    ]
    for number, name in enumerate(names):
        (folder / name).write_bytes(b"%d" % number)
    found = {f"sorted/{name}": one for name, one in manifest(folder).items()}
    other = {"sorted-too/a.npy": sha256(b"x")}
    write_manifest(tmp_path / "Step.sha256", {**found, **other})
    assert read_manifest(tmp_path / "Step.sha256") == {**found, **other}
    assert within(read_manifest(tmp_path / "Step.sha256"), "sorted") == manifest(folder)
    assert read_manifest(tmp_path / "nothing") == {}
    write_manifest(tmp_path / "Step.sha256", found)
    if program := shutil.which("sha256sum"):
        command = [program, "--check", "--strict", "--quiet", "Step.sha256"]
        assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
        (folder / "new\nline").write_bytes(b"changed")
        assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == 1
