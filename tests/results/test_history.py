"""A failure is shown while another attempt would be the same one; after that it is history, wherever that is shown."""

import json
import os
import re

import pytest

from tests.lab import Lab
from tests.results.conftest import ask

FRAGILE = """
class Fragile(GroupTask):
    most = luigi.FloatParameter(default=1.0)

    def requires(self):
        return Stats(self.group)

    def output(self):
        return self.result("fragile.json")

    def make(self, out):
        if self.most > 1:
            raise ValueError("too much")
        out.write_text('{"share": 0.5}')


class PlotAll(PlotAll):
    def requires(self):
        return [*super().requires(), *(Fragile(group) for group in groups())]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("history") / "lab")
    lab.add(f"import luigi\n{FRAGILE}")
    lab.go()
    return lab


@pytest.fixture
def lab(made, tmp_path):
    return made.copied_to(tmp_path / "lab")


def shown(lab, *settings, code=None):
    """Return where a failure of Fragile is shown: in status, results, report and crate."""
    places = set()
    status = ask(lab, "status", *settings, code=code)
    places |= {"status"} if "too much" in status or "failed" in status else set()
    states = json.loads(ask(lab, "status", "--json", *settings, code=None))["results"]
    places |= {"json"} if any(one["failure"] for one in states) else set()
    notes = []
    numbers = ask(lab, "results", "--columns", "group", *settings, notes=notes)
    places |= {"results"} if "!" in numbers or any("! failed" in note for note in notes) else set()
    ask(lab, "report", *settings)
    page = (lab.results / "report.html").read_text(encoding="utf-8")
    section = re.search(r'<section id="failures">(.*?)</section>', page, re.DOTALL)[1]
    places |= {"report"} if "too much" in section or "results failed" in page else set()
    ask(lab, "export", "rocrate", *settings)
    graph = json.loads((lab.results / "ro-crate-metadata.json").read_text(encoding="utf-8"))["@graph"]
    places |= {"crate"} if any("Failed" in one.get("actionStatus", "") for one in graph) else set()
    return places


EVERYWHERE = {"status", "json", "results", "report", "crate"}
MORE = ("--Fragile-most", "3")


def test_under_other_settings(lab):
    lab.go(*MORE, code=30)
    assert (lab.results / "s-even" / "runs" / "Fragile.failed.json").exists()
    assert shown(lab, *MORE, code=1) == EVERYWHERE
    assert shown(lab, code=0) == set(), "the result of today's settings is done"
    assert shown(lab, "--Fragile-most", "0.5", code=1) == set(), "with that it never failed"
    why = ask(lab, "why", "Fragile", "s-even")
    assert "✓ Fragile" in why and "An attempt that is history failed 20" in why and "too much" in why
    assert "The last lines of" in ask(lab, "why", "Fragile", "s-even", *MORE, code=1)


def test_with_another_input_or_code(lab):
    (lab.results / "s-even" / "fragile.json").unlink()
    (lab.results / "s-odd" / "fragile.json").unlink()
    lab.go(*MORE, code=30)
    assert shown(lab, *MORE, code=1) == EVERYWHERE
    # The input is the same one, touched.
    for group in ("s-even", "s-odd"):
        os.utime(lab.results / group / "stats.json", (1, 1))
    assert shown(lab, *MORE, code=1) == EVERYWHERE
    tasks = (lab.folder / "tasks.py").read_text()
    (lab.folder / "tasks.py").write_text(tasks.replace("self.most > 1", "self.most > 5"))
    assert shown(lab, *MORE, code=1) == set()
    (lab.folder / "tasks.py").write_text(tasks)
    assert shown(lab, *MORE, code=1) == EVERYWHERE
    for group in ("s-even", "s-odd"):
        path = lab.results / group / "stats.json"
        path.write_text(path.read_text().replace("{", "{ ", 1))
    assert shown(lab, *MORE, code=1) == set()


def test_an_attempt_before_the_one_that_made_the_result(lab):
    note = lab.results / "s-even" / "runs" / "Fragile.failed.json"
    lab.go(*MORE, code=30)
    kept = note.read_text()
    tasks = (lab.folder / "tasks.py").read_text()
    (lab.folder / "tasks.py").write_text(tasks.replace("self.most > 1", "self.most > 5"))
    lab.go(*MORE)
    assert not note.exists()
    # A backup, or a program that synchronises, brings it back; and then the result is deleted.
    note.write_text(kept)
    (lab.folder / "tasks.py").write_text(tasks)
    (lab.results / "s-even" / "fragile.json").unlink()
    assert shown(lab, *MORE, code=1) == set()


def test_a_recording_that_was_wrong(tmp_path):
    lab = Lab(tmp_path / "lab")
    lab.make_real()
    recording = lab.folder / "real" / "a" / "rec_1.bin"
    content = recording.read_bytes()
    real = ("--recordings-root", "real", "--matlab-engine", "numpy")
    recording.write_bytes(b"")
    lab.go(code=30)
    state = next(one for one in json.loads(ask(lab, "status", "--json", *real, code=1))["results"] if one["row"] == "a")
    assert "rec_1.bin" in state["failure"] and "! failed" in ask(lab, "status", *real, code=1)
    recording.write_bytes(content)
    out = ask(lab, "status", *real, code=1)
    assert "failed" not in out and "○ missing" in out


def test_of_numbers_that_are_not_there_none_is_shown(lab):
    lab.go(*MORE, code=30)
    (lab.results / "s-odd" / "fragile.json").unlink()
    (lab.results / "s-odd" / "edges.npy").unlink()
    (lab.results / "s-even" / "stats.json").write_text('{"mean": [1')
    notes = []
    rows = json.loads(ask(lab, "results", "--json", notes=notes))
    assert {note.split(": ")[1] for note in notes} == {
        "edges.npy of s-odd",
        "fragile.json of s-odd",
        "stats.json of s-even",
    }
    by_group = {row["group"]: row for row in rows}
    assert by_group["s-odd"]["edges"] is None and by_group["s-even"]["edges"] > 0
    assert by_group["s-even"]["mean"] is None and by_group["s-odd"]["mean"] > 0
    assert by_group["s-even"]["share"] == 0.5 and by_group["s-odd"]["share"] is None
    table = [line.split() for line in ask(lab, "results", "--columns", "group,mean,edges,share", notes=[]).splitlines()]
    assert table[1][:2] == ["s-even", "✗"] and table[2][2:] == ["○", "○"]
    table = ask(lab, "results", *MORE, "--columns", "group,share", notes=notes).splitlines()
    assert [line.split() for line in table] == [["group", "share"], ["s-even", "!"], ["s-odd", "!"]]
    assert "neuroluigi: fragile.json of s-even and 1 more groups: ! failed" in notes
    assert ask(lab, "results", *MORE, "--csv", "--columns", "group,share", notes=[]) == "group,share\ns-even,\ns-odd,\n"
    ask(lab, "report", *MORE)
    page = (lab.results / "report.html").read_text(encoding="utf-8")
    assert "0 edges" not in page and "edges: ○ missing" in page
    assert page.count('title="missing">○</span>') >= 1 and 'title="damaged">✗</span>' in page
