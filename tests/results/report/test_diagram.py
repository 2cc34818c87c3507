"""The pipeline as a picture: from the tasks alone, in order, apart, and up to date where it is committed."""

import os
import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroluigi.results.report import diagram
from tests import commands
from tests.conftest import BIN, REPOSITORY

SVG = "{http://www.w3.org/2000/svg}"

# Every shape at once: a step per recording, a diamond, one over all groups, tasks that wrap, a program, a step that
# needs others of its kind, and a plain task of Luigi's.
TASKS = """
import luigi
from neuroluigi import *
class Noise(RecordingMaker):
    def make(self, out): out.write_bytes(b"x")
class Of(GroupTask):
    kinds = ()
    def requires(self): return [kind(self.group) for kind in self.kinds]
    def output(self): return self.result(f"{type(self).__name__}.npy")
class Clipped(RecordingTask):
    def requires(self): return Noise(self.recording.session, self.recording.index)
    def output(self): return self.result("clipped.bin")
class Joined(Of):
    def requires(self): return [Clipped(*r.identity) for r in self.recordings]
class Left(Of, MatlabTask): kinds, function = (Joined,), "findLeft"
class Right(Of, CommandTask): kinds, command = (Joined,), "/opt/2.1/bin/sorter"
class Both(Of): kinds = (Left, Right)
class Wrapped(WrapperTask):
    def requires(self): return [Both(g) for g in groups()]
class Level(StudyTask):
    n, filename_parameters = luigi.IntParameter(default=3), ("n",)
    def requires(self): return [Level(self.n - 1)] if self.n else [Wrapped()]
    def output(self): return {k: self.result(f"level {self.n} <{k}>.csv") for k in "ab"}
class Plain(luigi.Task):
    def requires(self): return Level()
    def output(self): return luigi.LocalTarget("/elsewhere/plain.txt")
class PlotAll(WrapperTask):
    def requires(self): return [Plain(), Wrapped()]
"""


def printed(folder):
    done = commands.run(
        [BIN / "neuroluigi", "--task", "PlotAll", "diagram"],
        cwd=folder,
        env={**os.environ, "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_picture_in_docs_is_that_of_the_tasks(pipeline):
    committed = (REPOSITORY / "docs" / "pipeline.svg").read_text(encoding="utf-8")
    assert printed(pipeline.folder) == committed, "out of date; neuroluigi diagram > docs/pipeline.svg"
    assert list(pipeline.folder.glob("re*")) == [], "drawing made something"
    assert "docs/pipeline.svg" in (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_a_lab_s_own_tasks_without_engine_or_result(tmp_path):
    (tmp_path / "tasks.py").write_text(TASKS)
    picture = ElementTree.fromstring(printed(tmp_path))
    assert picture.find(f"{SVG}title").text == "The pipeline of PlotAll"
    assert picture.find(f"{SVG}desc").text.split(". ") == [
        "Noise (Python): rec_*.bin",
        "Clipped (Python): clipped.bin from Noise",
        "Joined (Python): Joined.npy from Clipped",
        "Left (Matlab or Octave, findLeft.m): Left.npy from Joined",
        "Right (sorter): Right.npy from Joined",
        "Both (Python): Both.npy from Right, Left",
        "Level (Python): level * <a>.csv, level * <b>.csv from Level, Both",
        "Plain: plain.txt from Level.",
    ]
    texts = [text.text for text in picture.iter(f"{SVG}text")]
    assert {"Left", "findLeft.m", "→ Left.npy", "sorter", "→ level * <a>.csv"} <= set(texts)
    assert "/" not in "".join(texts), "a path of this machine"


def box(name, *needs, files=("a.txt",)):
    return diagram.Box(name, "Python", "", tuple(files), needs, False, 1)


def rectangles(picture):
    """Return {name: (left, top, right, bottom)} of the boxes."""
    found = {}
    for one in picture.iter(f"{SVG}g"):
        x, y, width, height = (float(one.findall(f"{SVG}rect")[-1].get(n)) for n in ("x", "y", "width", "height"))
        found[one.find(f"{SVG}text").text] = (x, y, x + width, y + height)
    return found


def points(arrow):
    """Yield points of a path of M, H and C."""
    x = y = 0.0
    for kind, numbers in re.findall(r"([MHC])([^MHC]+)", arrow):
        values = [float(number) for number in numbers.split()]
        ends = [x, y, *values, y, *values, y] if kind == "H" else values
        controls = [(x, y), *zip(ends[::2], ends[1::2], strict=True)]
        for s in np.linspace(0, 1, 51) if kind != "M" else ():
            weights = (1 - s) ** 3, 3 * s * (1 - s) ** 2, 3 * s**2 * (1 - s), s**3
            yield np.dot(weights, controls)
        x, y = controls[-1]


@st.composite
def pipelines(draw):
    count = draw(st.integers(1, 15))
    needs = [draw(st.sets(st.integers(0, n - 1), max_size=3)) if n else set() for n in range(count)]
    files = [draw(st.integers(1, 6)) for _ in range(count)]
    return [
        box(f"Step{n}", *(f"Step{m}" for m in sorted(some)), files=[f"{k}.npy" for k in range(files[n])])
        for n, some in enumerate(needs)
    ]


@settings(max_examples=60, deadline=None)
@given(pipelines())
def test_boxes_are_right_of_what_they_need_and_nothing_runs_through_them(boxes):
    drawn = diagram.draw("All", boxes)
    assert drawn == diagram.draw("All", boxes)
    picture = ElementTree.fromstring(drawn)
    places = rectangles(picture)
    width, height = float(picture.get("width")), float(picture.get("height"))
    assert set(places) == {one.name for one in boxes}
    for left, top, right, bottom in places.values():
        assert left >= 0 and top >= 0 and right <= width and bottom <= height
    for one, other in combinations(places.values(), 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1], "boxes overlap"
    for one in boxes:
        assert all(places[need][2] < places[one.name][0] for need in one.needs)
    linked = []
    for arrow in (path.get("d") for path in picture.iter(f"{SVG}path") if "marker-end" in path.attrib):
        along = np.round(list(points(arrow)), 3)
        assert along.min() >= 0 and (along <= (width, height)).all()
        ends = []
        for name, (left, top, right, bottom) in places.items():
            x, y = along.T
            is_at = (left <= x) & (x <= right) & (top < y) & (y < bottom)
            assert not (is_at & (left < x) & (x < right)).any(), "an arrow runs through a box"
            ends += [(np.flatnonzero(is_at)[0], name)] if is_at.any() else []
        linked.append(tuple(name for _, name in sorted(ends)))
    assert sorted(linked) == sorted((need, one.name) for one in boxes for need in one.needs)


def test_what_needs_each_other_is_drawn_too():
    picture = ElementTree.fromstring(diagram.draw("All", [box("A", "B"), box("B", "A"), box("C", "C")]))
    back = [path for path in picture.iter(f"{SVG}path") if path.get("class") == "back"]
    assert len(rectangles(picture)) == 3 and len(back) == 1


def test_a_pipeline_without_a_step_is_an_empty_picture():
    picture = ElementTree.fromstring(diagram.draw("All", []))
    assert rectangles(picture) == {} and float(picture.get("width")) > 0 and float(picture.get("height")) > 0


def test_notes_and_strange_names_are_text_and_links():
    name = "<script>&\"'\x07é" + "x" * 300
    note = diagram.Note("octave <9>", "failed", [("failed", "! 3 failed")])
    drawn = diagram.draw(name, [box(name, files=[name])], {name: note})
    picture = ElementTree.fromstring(drawn)
    texts = [text.text for text in picture.iter(f"{SVG}text")]
    assert "octave <9>" in texts and "! 3 failed" in texts and "Python" not in texts
    assert all(len(text) <= 33 for text in texts)
    assert picture.find(f"{SVG}a").get("href") == "#step-" + name.replace("\x07", " ")
    assert picture.find(f".//{SVG}g").get("class") == "box failed" and "<script>" not in drawn
