"""Every result is read again and compared with its run record."""

import hashlib
import json
import os
import shutil

import pytest

from tests.lab import nothing
from tests.results.conftest import ask


def test_verify_finds_a_flipped_bit_and_everything_else_that_is_not_as_recorded(lab):
    assert "all as recorded" in ask(lab, "verify")
    path = lab.results / "s-even" / "aggregate.bin"
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[17] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert nothing(lab.go()), "size and time are as recorded"
    os.truncate(lab.results / "s-odd" / "plot.png", 10)
    (lab.results / "s-odd" / "stats.json").unlink()
    (lab.results / "s-odd" / "runs" / "Edges.json").write_text("{")
    (lab.folder / "recordings" / "s" / "rec_0.bin").write_bytes(b"other")
    answer = json.loads(ask(lab, "verify", "--json", code=1))
    found = {os.path.relpath(one["path"], lab.folder): one["state"] for one in answer["problems"]}
    assert found == {
        "results/s-even/aggregate.bin": "changed",
        "results/s-odd/plot.png": "damaged",
        "results/s-odd/stats.json": "missing",
        "results/s-odd/runs/Edges.json": "unreadable",
        "recordings/s/rec_0.bin": "damaged",
    }
    text = ask(lab, "verify", code=1)
    assert "changed: results/s-even/aggregate.bin has other bytes" in text and "5 are not as" in text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_no_command_reads_what_a_link_leads_to_nor_what_is_no_file(lab, tmp_path):
    folder = lab.results / "s-odd"
    private = tmp_path / "private.json"
    private.write_text('{"count": 98765}')
    for name in ("stats.json", "plot.png", "edges.npy"):
        (folder / name).unlink()
    (folder / "stats.json").symlink_to(private)
    (folder / "plot.png").symlink_to("/dev/zero")
    os.mkfifo(folder / "edges.npy")
    answer = json.loads(ask(lab, "verify", "--json", code=1))
    link, other = "is a link, which is not followed", "is neither a file nor a folder"
    assert {os.path.relpath(one["path"], folder): (one["state"], one["why"]) for one in answer["problems"]} == {
        "stats.json": ("changed", link),
        "plot.png": ("changed", link),
        "edges.npy": ("changed", other),
    }
    ask(lab, "export", "rocrate")
    ask(lab, "report")
    crate = (lab.results / "ro-crate-metadata.json").read_text()
    assert hashlib.sha256(private.read_bytes()).hexdigest() not in crate
    left = ask(lab, "clean", "--group", "s-odd", "--yes", "--modified")
    assert left.count(link) == 2 and other in left and os.path.lexists(folder / "plot.png")


def test_verify_needs_no_recordings(lab):
    shutil.rmtree(lab.folder / "recordings")
    lab.results.rename(lab.folder / "copy")
    before = sorted(path.name for path in (lab.folder / "copy").iterdir())
    out = ask(lab, "verify", "--results-root", "copy", "--recordings-root", "gone", "--recordings-select", "x=y")
    assert out.startswith("10 files, ") and out.endswith(": all as recorded.\n")
    assert sorted(path.name for path in (lab.folder / "copy").iterdir()) == before


def test_verify_names_what_no_record_describes(lab):
    shutil.rmtree(lab.results / "s-odd" / "runs")
    out = ask(lab, "verify")
    assert out.count("untracked: results/s-odd/") == 5
    assert len(json.loads(ask(lab, "verify", "--json"))["untracked"]) == 5
