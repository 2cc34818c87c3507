"""Copies of the package's M-files as an earlier release had them, which a lab may still have in its folder."""

import shutil
from pathlib import Path

import pytest

from neuroluigi.engines.earlier_copies import problem_of_copies
from neuroluigi.engines.mfiles import listed_folders, package_folder, search_path
from tests.conftest import Pipeline, needs_octave

# As they were, as far as it matters here.
EARLIER = {
    "computeStats": "function computeStats(dataFile, statsFile, dtype, channels)\n  readBlock(1);\n",
    "findRisingEdges": "function findRisingEdges(dataFile, edgesFile, dtype, channels, level, segments)\n",
    "readBlock": "function block = readBlock(fid, name, dtype, channels)\n  block = zeros(channels, 0);\n",
}


@pytest.fixture
def lab(tmp_path):
    """Write M-files by name below tmp_path, and return all folders on the path."""

    def write(**files: str) -> dict[Path, str]:
        for name, text in files.items():
            (tmp_path / f"{name}.m").write_text(text)
        return dict(search_path(listed_folders([str(tmp_path)])))

    return write


def earlier(*names: str) -> dict[str, str]:
    return {name: EARLIER[name] for name in names}


@pytest.mark.parametrize(
    ("copies", "function", "arguments", "named"),
    [
        (["computeStats", "readBlock"], "computeStats", 2, "computeStats"),
        (["findRisingEdges"], "findRisingEdges", 3, "findRisingEdges"),
        # What the package's own function calls, or a lab's own that reads aggregates.
        (["readBlock"], "computeStats", 2, "readBlock"),
        (["readBlock"], "countAbove", 3, "readBlock"),
        (["readBlock"], "concatenateFiles", 4, ""),
        (["findRisingEdges"], "computeStats", 2, ""),
        # All code and all arguments are as they were.
        (["computeStats", "readBlock"], "computeStats", 4, ""),
        ([], "computeStats", 2, ""),
    ],
)
def test_a_copy_that_takes_other_arguments_is_named(lab, tmp_path, copies, function, arguments, named):
    own = "function countAbove(a, b, c)\n  x = readBlock(readAggregate(a), 0);\n"
    problem = problem_of_copies(lab(countAbove=own, **earlier(*copies)), function, arguments)
    expected = (
        f"{tmp_path / named}.m is a copy of what came with an earlier release, which took other arguments; remove it,"
        f" so that the package's own is called, or change it as {package_folder() / named}.m was changed"
    )
    assert problem == (expected if named else "")


def test_copies_of_today_and_functions_of_a_lab_s_own_are_none(lab, tmp_path):
    for file in package_folder().glob("*.m"):
        shutil.copy(file, tmp_path)
    assert problem_of_copies(lab(), "computeStats", 2) == ""
    assert problem_of_copies(lab(readBlock="function x = readBlock(name)\n"), "computeStats", 2) == ""
    assert problem_of_copies(lab(readBlock="x = 1;\n"), "computeStats", 2) == ""


@needs_octave
def test_the_step_fails_with_one_line(tmp_path):
    pipeline = Pipeline(tmp_path / "lab")
    (pipeline.folder / "matlab" / "readBlock.m").write_text(EARLIER["readBlock"])
    out = pipeline.run("Stats", "--group", "a-even", "--matlab-engine", "octave", code=30)
    (line,) = [line for line in out.splitlines() if "earlier release" in line and "Stats(group=a-even)" in line]
    assert f"{pipeline.folder / 'matlab' / 'readBlock.m'} is a copy of what came with an earlier release" in line
    assert "Traceback" not in out
    (pipeline.folder / "matlab" / "readBlock.m").unlink()
    pipeline.run("Stats", "--group", "a-even", "--matlab-engine", "octave")
