"""Settings of some groups, in runs of `luigi` and what the commands say of them."""

import json

import numpy as np
import pytest

from neuroluigi.steps.config import RunStopped
from neuroluigi.steps.group_settings import GroupSection
from tests import commands
from tests.conftest import BIN, Pipeline, clean_environment

NUMPY = ("--matlab-engine", "numpy", "--workers", "1")


@pytest.fixture
def lab(pipeline) -> Pipeline:
    """Two sessions of two groups each, of a column `rig` that the sessions have of their own."""
    raw = pipeline.folder / "raw"
    rows = ["session,index,path,rig,note"]
    for session, rig in (("a", "east"), ("b", "west")):
        for index in range(2):
            path = raw / session / f"rec_{index}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(np.arange(200, dtype=np.uint8).tobytes())
            rows.append(f"{session},{index},{session}/rec_{index}.bin,{rig},{session}{index}")
    (raw / "recordings.csv").write_text("\n".join(rows) + "\n")
    path = pipeline.folder / "luigi.cfg"
    path.write_text("[neuroluigi]\ntask = PlotAll\n", encoding="utf-8")
    declare(pipeline, "recordings", "root = raw", "group_by = session, parity", "channels = 2")
    return pipeline


def declare(lab: Pipeline, section: str, *lines: str) -> None:
    with (lab.folder / "luigi.cfg").open("a", encoding="utf-8") as file:
        file.write("\n".join(["", f"[{section}]", *lines, ""]))


def ask(lab: Pipeline, *words: str, code: int = 0) -> str:
    done = commands.run(
        [BIN / "neuroluigi", *words], cwd=lab.folder, env=clean_environment(), capture_output=True, encoding="utf-8",
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code, done
    return done.stdout + done.stderr


def parameters(lab: Pipeline, step: str = "Edges") -> dict[str, dict]:
    folders = ("a-even", "a-odd", "b-even", "b-odd")
    return {one: json.loads((lab.results / one / "runs" / f"{step}.json").read_text())["parameters"] for one in folders}


def test_the_closest_section_decides(lab):
    declare(lab, "Edges:*", "threshold = 0.1")
    declare(lab, "Edges:*-odd", "threshold = 0.2")
    declare(lab, "Edges:rig=west", "threshold = 0.3", "settle = 2")
    declare(lab, "Edges:session=b, parity=o*", "threshold = 0.4")
    lab.run("PlotAll", *NUMPY)
    found = {group: (one["threshold"], one["settle"]) for group, one in parameters(lab).items()}
    assert found == {"a-even": (0.1, 1), "a-odd": (0.2, 1), "b-even": (0.3, 2), "b-odd": (0.4, 2)}
    # Levels are those of the thresholds: 198 is the largest value of the first channel.
    first = np.load(lab.results / "b-odd" / "edges.npy")
    assert first[first[:, 1] == 0, 0].tolist() == [40]
    assert "threshold = 0.4 is of [Edges:session=b, parity=o*]" in ask(lab, "why", "Edges", "b-odd")
    assert " is of [" not in ask(lab, "why", "Stats", "b-odd")
    said = ask(lab, "recordings")
    assert "[Edges:rig=west] settle = 2: b-even, b-odd" in said
    assert "[Edges:*] threshold = 0.1: a-even\n" in said
    listed = json.loads(ask(lab, "recordings", "--json"))["b-even"]["settings"]
    assert listed == [
        {"section": "Edges:rig=west", "name": "settle", "value": "2"},
        {"section": "Edges:rig=west", "name": "threshold", "value": "0.3"},
    ]
    run = json.loads((lab.results / "run.json").read_text())
    assert any("[Edges:rig=west] settle" in str(one) for one in run["settings"])


def test_a_change_makes_that_group_alone_again_and_the_command_line_decides(lab):
    assert "4 Edges" in lab.run("PlotAll", *NUMPY)
    declare(lab, "Edges:a-odd", "level = 50")
    out = lab.run("PlotAll", *NUMPY)
    assert "Made: 1 Edges, 1 Plot." in out
    assert "Nothing to make" in lab.run("PlotAll", *NUMPY) or "Made" not in lab.run("PlotAll", *NUMPY)
    lab.run("PlotAll", *NUMPY, "--Edges-level", "60")
    assert {one["level"] for one in parameters(lab).values()} == {60.0}
    # In a process that is started anew the settings are the same.
    (lab.folder / "tasks.py").write_text(
        "import multiprocessing\nmultiprocessing.set_start_method('spawn', force=True)\n"
        + (lab.folder / "tasks.py").read_text()
    )
    lab.run("PlotAll", *NUMPY[:2], "--workers", "2", forks=False)
    assert {group: one.get("level") for group, one in parameters(lab).items()} == {
        "a-even": None, "a-odd": 50.0, "b-even": None, "b-odd": None,
    }  # fmt: skip


def test_channels_have_values_of_their_own(lab):
    declare(lab, "Edges:a-*", "level = 50, 1: 101")
    declare(lab, "Edges:b-*", "threshold = 0.5, 0: 0.25")
    lab.run("PlotAll", *NUMPY)
    # Channels are 0, 2, ..., 198 and 1, 3, ..., 199.
    assert np.load(lab.results / "a-even" / "edges.npy").tolist() == [[25, 0], [50, 1]]
    # 198 / 4 = 49.5 and 1 + 198 / 2 = 100.
    assert np.load(lab.results / "b-even" / "edges.npy").tolist() == [[25, 0], [50, 1]]
    declare(lab, "Edges:a-even", "level = 50, 7: 101")
    out = lab.run("PlotAll", *NUMPY, code=30)
    assert "[Edges] level: group a-even has no channel of the name, position or kind '7'" in out


def test_bad_channels_of_a_group(lab):
    declare(lab, "recordings:a-*", "bad_channels = 1")
    lab.run("PlotAll", *NUMPY)
    assert set(np.load(lab.results / "a-even" / "edges.npy")[:, 1]) == {0}
    assert set(np.load(lab.results / "b-even" / "edges.npy")[:, 1]) == {0, 1}
    assert "bad_channels = 1 is of [recordings:a-*]" in ask(lab, "why", "Edges", "a-odd")
    lab.run("PlotAll", *NUMPY, "--recordings-bad-channels", "0")
    assert set(np.load(lab.results / "a-even" / "edges.npy")[:, 1]) == {1}
    declare(lab, "recordings:a-odd", "bad_channels = V9")
    out = lab.run("PlotAll", *NUMPY, code=30)
    assert "[recordings:a-odd] bad_channels: group a-odd has no channel of the name, position or kind 'V9'" in out


def test_pictures_have_those_of_plot(lab):
    declare(lab, "Plot:a-even", "format = svg")
    lab.run("PlotAll", *NUMPY)
    assert (lab.results / "a-even" / "plot.svg").is_file() and (lab.results / "a-odd" / "plot.png").is_file()


@pytest.mark.parametrize(
    ("section", "line", "words"),
    [
        ("Edges:c-*", "threshold = 0.5", "[Edges:c-*]: no group is called so; the nearest is "),
        ("Edges:a-evn", "threshold = 0.5", "[Edges:a-evn]: no group is called so; the nearest is a-even"),
        ("Edges:rog=west", "threshold = 0.5", "no group has one value of a column rog; the nearest column is rig"),
        ("Edges:rig=wet", "threshold = 0.5", "no group has rig = wet; the nearest is west"),
        ("Edges:rig=west,session=a", "threshold = 0.5", "no group has all these values"),
        ("Edges:rig=", "threshold = 0.5", "behind the colon is a pattern of groups, such as [Edges:a-*]"),
        ("Edges:a-*", "treshold = 0.5", "[Edges:a-*] treshold: there is no such setting of some groups; there are: "),
        ("Edges:a-*", "engine = numpy", "it holds for all groups, set it in [Edges]"),
        ("Edges:a-*", "threshold = high", "[Edges:a-*] threshold: 'high' is no number"),
        ("recordings:a-*", "channels = 1", "[recordings:a-*] channels: there is no such setting of some groups"),
        (
            "FakeRecording:a",
            "bytes = 1",
            "[FakeRecording:a] is of some groups, and FakeRecording is no step for a group",
        ),
        ("results:a", "root = x", "[results:a] is of some groups, and results is no step for a group"),
        ("Edgs:a-*", "threshold = 0.5", "there is no step or section [Edgs:a-*]; did you mean [Edges]?"),
    ],
)
def test_what_is_wrong_stops_the_run_before_anything_is_made(lab, section, line, words):
    declare(lab, section, line)
    assert words in lab.run("PlotAll", *NUMPY, code=None)
    assert not list(lab.results.glob("*/*.json"))


def test_two_sections_of_the_same_groups_are_refused(lab):
    declare(lab, "Edges:rig=west,session=b", "threshold = 0.5")
    declare(lab, "Edges:session=b, rig=west", "settle = 2")
    assert "are of the same groups, neither closer than the other; join the two" in lab.run(
        "PlotAll", *NUMPY, code=None
    )


def test_how_close_a_section_is():
    names = ("S:a*", "S:*", "S:x=*", "S:x=1,y=*", "S:x=12", "S:b*")
    sections = [GroupSection.of(name, place) for place, name in enumerate(names)]
    ordered = sorted(sections, key=lambda one: one.closeness)
    assert [one.name for one in ordered] == ["S:*", "S:a*", "S:b*", "S:x=*", "S:x=12", "S:x=1,y=*"]
    with pytest.raises(RunStopped, match="behind the colon"):
        GroupSection.of("S:", 0)
