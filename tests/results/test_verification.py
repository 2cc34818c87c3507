"""Every result is read again and compared with its run record."""

import json
import os
import shutil

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
