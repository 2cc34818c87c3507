"""Where M-functions are found: in a lab's own folders, below them, in packages, and at last with the package."""

import os
import shutil
from pathlib import Path

import pytest

from neuroluigi.engines import mfiles
from neuroluigi.engines.call import CallError, call_function
from neuroluigi.engines.engine import Engine
from neuroluigi.engines.mfiles import has_function, listed_folders, package_folder, relative_path, search_path
from neuroluigi.engines.pool import close_pool
from neuroluigi.engines.session import Limits
from neuroluigi.engines.values import encode_arguments
from neuroluigi.provenance.m_code import matlab_sources
from tests.conftest import REPOSITORY, needs_octave


def write(file: Path, printed: str) -> Path:
    """Write an M-function that prints a text."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"function {file.stem}()\n  disp('{printed}');\nend\n")
    return file


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """The package's own folder of M-files, with one function, shared."""
    folder = tmp_path / "package"
    write(folder / "shared.m", "of the package")
    monkeypatch.setattr(mfiles, "package_folder", lambda: folder)
    return folder


def test_in_a_checkout_the_package_has_the_m_files_of_the_folder_matlab():
    assert package_folder() == REPOSITORY / "matlab"


def test_an_installed_package_has_its_m_files_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(mfiles, "_PACKAGE", tmp_path / "neuroluigi")
    # MathWorks' package of that name may be where ours is installed.
    (tmp_path / "matlab").mkdir()
    (tmp_path / "neuroluigi" / "mfiles").mkdir(parents=True)
    assert package_folder() == tmp_path / "neuroluigi" / "mfiles"


def test_the_package_comes_last_and_once(package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert listed_folders(["lab", "/opt/toolbox"]) == {
        tmp_path / "lab": "lab",
        Path("/opt/toolbox"): "toolbox",
        package: "neuroluigi/mfiles",
    }
    assert listed_folders([]) == {package: "neuroluigi/mfiles"}
    # A checkout lists it as its own.
    (tmp_path / "link").symlink_to(package)
    assert listed_folders(["package"]) == {package: "package"}
    assert listed_folders(["lab", "link"]) == {tmp_path / "lab": "lab", tmp_path / "link": "link"}


def test_the_path_has_a_folder_before_its_subfolders_and_none_twice(tmp_path):
    for name in ("b/deep", "a/private", "a/@Spikes", "a/+tools/+deep", "a/resources", "a/.git", "b/.hidden"):
        (tmp_path / "lab" / name).mkdir(parents=True)
    (tmp_path / "lab" / "loop").symlink_to(tmp_path / "lab")
    lab = tmp_path / "lab"
    assert list(search_path({lab / "b": "b", lab: "lab", tmp_path / "nowhere": "nowhere"})) == [
        (lab / "b", "b"),
        (lab / "b" / "deep", "b/deep"),
        (lab, "lab"),
        (lab / "a", "lab/a"),
    ]


@pytest.mark.parametrize(
    ("function", "file"),
    [("f", "f.m"), ("tools.f", "+tools/f.m"), ("tools.deep.f", "+tools/+deep/f.m")],
)
def test_a_function_is_found_by_the_name_that_it_is_called_by(tmp_path, function, file):
    assert relative_path(function) == file
    assert not has_function({tmp_path / "lab": "lab"}, function)
    write(tmp_path / "lab" / "sub" / file, "found")
    assert has_function({tmp_path / "lab": "lab"}, function)


class Lab:
    """Two folders of a lab, and calls with both and the package's on the path of one warm engine."""

    def __init__(self, folder: Path):
        self.first, self.second = folder / "first", folder / "second"
        self.first.mkdir()
        self.log = folder / "call.log"
        self.engine = Engine("octave", (shutil.which("octave-cli"),))

    def path(self) -> dict[Path, str]:
        return dict(search_path(listed_folders([os.fspath(self.first), os.fspath(self.second)])))

    def printed(self, function: str) -> str:
        self.log.unlink(missing_ok=True)
        call_function(self.engine, function, encode_arguments([]), self.path(), self.log, Limits())
        return self.log.read_text().strip()

    def sources(self, function: str) -> list[str]:
        return [one["path"] for one in matlab_sources(self.path(), function)]


@pytest.fixture
def lab(tmp_path, package):
    yield Lab(tmp_path)
    close_pool()


@needs_octave
def test_a_lab_without_an_m_file_uses_the_package_and_its_own_file_wins(lab):
    assert lab.printed("shared") == "of the package"
    assert lab.sources("shared") == ["neuroluigi/mfiles/shared.m"]
    write(lab.second / "below" / "shared.m", "of the second folder")
    assert lab.printed("shared") == "of the second folder"
    assert lab.sources("shared") == ["second/below/shared.m"]
    write(lab.first / "shared.m", "of the first folder")
    assert lab.printed("shared") == "of the first folder"
    assert lab.sources("shared") == ["first/shared.m"]


@needs_octave
def test_packages_subfolders_and_private_folders_are_reached_and_recorded(lab):
    with pytest.raises(CallError, match=r"tools\.deep\.outer"):
        lab.printed("tools.deep.outer")
    # A new file, a new folder: the next call sees each.
    outer = write(lab.first / "sub" / "+tools" / "+deep" / "outer.m", "outer")
    assert lab.printed("tools.deep.outer") == "outer"
    outer.write_text("function outer()\n  tools.inner();\n  below();\nend\n")
    write(lab.second / "+tools" / "inner.m", "inner")
    below = lab.second / "two" / "levels" / "below.m"
    write(below.parent / "private" / "helper.m", "private")
    below.write_text("function below()\n  helper();\nend\n")
    write(lab.first / "helper.m", "not this one")
    write(lab.first / "unused.m", "unused")
    write(lab.first / "private" / "below.m", "private to another folder")
    write(lab.second / "+others" / "inner.m", "of another package")
    assert lab.printed("tools.deep.outer").split() == ["inner", "private"]
    assert lab.sources("tools.deep.outer") == [
        "first/helper.m",
        "first/sub/+tools/+deep/outer.m",
        "second/+tools/inner.m",
        "second/two/levels/below.m",
        "second/two/levels/private/helper.m",
    ]


def test_the_files_of_a_class_and_the_private_ones_of_a_package_are_recorded(lab):
    write(lab.first / "@Spikes" / "Spikes.m", "class")
    write(lab.first / "@Spikes" / "count.m", "method")
    outer = write(lab.first / "+tools" / "outer.m", "outer")
    outer.write_text("function outer()\n  x = Spikes(); % unused();\n  helper('it''s % used');\nend\n")
    write(lab.first / "+tools" / "private" / "helper.m", "helper")
    write(lab.first / "unused.m", "in a comment alone")
    assert lab.sources("tools.outer") == [
        "first/+tools/outer.m",
        "first/+tools/private/helper.m",
        "first/@Spikes/Spikes.m",
        "first/@Spikes/count.m",
    ]
