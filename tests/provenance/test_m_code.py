"""The M-files that a call reaches: by name, in packages and classes, and in folders that an M-file adds to the path."""

import hashlib
import os
from pathlib import Path

import pytest

from neuroluigi.provenance import m_code
from neuroluigi.provenance.m_code import code_files_on, matlab_sources, matlab_writes


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def lab(tmp_path):
    """Write M-files below tmp_path: lab({"matlab/stats.m": "..."}); returns tmp_path/matlab."""

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "matlab"

    return write


def reached(folder: Path, function: str = "stats") -> list[str]:
    return [one["path"] for one in matlab_sources({folder: "matlab"}, function)]


def test_m_files_that_a_call_reaches(lab):
    folder = lab(
        {
            "matlab/stats.m": "x = 'in a literal: %'; y = helper(x); % unused\n",
            "matlab/helper.m": "fopen('a'); deep(1);\n",
            "matlab/private/deep.m": "stats;\n",
            "matlab/unused.m": "",
        }
    )
    found = matlab_sources({folder: "matlab"}, "stats")
    assert [one["path"] for one in found] == ["matlab/helper.m", "matlab/private/deep.m", "matlab/stats.m"]
    assert found[2]["sha256"] == sha256(folder / "stats.m")
    (folder / "helper.m").write_text("1;\n")
    os.utime(folder / "helper.m", (1, 1))
    assert reached(folder) == ["matlab/helper.m", "matlab/stats.m"]
    assert reached(folder, "none") == []


def test_packages_and_classes(lab):
    folder = lab(
        {
            "matlab/stats.m": "g = pk.gain(); t = Tool(g); t.run();\n",
            "matlab/+pk/gain.m": "",
            "matlab/+pk/other.m": "",
            "matlab/@Tool/Tool.m": "",
            "matlab/@Tool/run.m": "deep();",
            "matlab/@Tool/private/deep.m": "",
        }
    )
    assert reached(folder) == [
        "matlab/+pk/gain.m",
        "matlab/@Tool/Tool.m",
        "matlab/@Tool/private/deep.m",
        "matlab/@Tool/run.m",
        "matlab/stats.m",
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "addpath(fullfile(fileparts(mfilename('fullpath')), '..', 'lib'));",
        "addpath(fullfile(fileparts(fileparts(mfilename('fullpath'))), 'lib'), '-begin');",
        'here = fileparts(mfilename(\'fullpath\'));\naddpath(fullfile(here, "..", "lib"))',
        "addpath([fileparts(mfilename('fullpath')) '/../lib']);",
        "addpath('LAB/lib');",
        "addpath LAB/lib",
        "addpath(genpath(fullfile(fileparts(mfilename('fullpath')), '..')));",
    ],
)
def test_folders_that_an_m_file_adds(lab, tmp_path, statement):
    folder = lab(
        {
            "matlab/stats.m": f"{statement.replace('LAB', str(tmp_path))}\nx = smooth(1);\n",
            "lib/smooth.m": "y = kernel(2); pk.gain();\n",
            "lib/private/kernel.m": "",
            "lib/+pk/gain.m": "",
            "lib/unused.m": "",
            "lib2/smooth.m": "",
        }
    )
    expected = ["lib/+pk/gain.m", "lib/private/kernel.m", "lib/smooth.m", "matlab/stats.m"]
    assert [path for path in reached(folder) if not path.startswith("lib2")] == expected
    assert ("lib2/smooth.m" in reached(folder)) == ("genpath" in statement)


def test_folders_that_are_no_code_of_the_project(lab, tmp_path):
    toolbox = tmp_path.parent / f"{tmp_path.name}-toolbox"
    toolbox.mkdir()
    (toolbox / "smooth.m").write_text("")
    text = f"addpath('{toolbox}'); % addpath('lib')\nmessage = '{'a' * 300}'; x = smooth(1);\n"
    folder = lab({"matlab/stats.m": text, "matlab/other.m": "", "lib/smooth.m": ""})
    assert reached(folder) == ["matlab/stats.m"]
    assert [file.name for file, _, _ in code_files_on([folder])] == ["other.m", "stats.m"]


def test_folders_that_add_each_other(lab):
    add = "addpath(fullfile(fileparts(mfilename('fullpath')), '..', '{}'));"
    folder = lab(
        {
            "matlab/stats.m": f"{add.format('one')} first();",
            "one/first.m": f"{add.format('two')} second();",
            "two/second.m": f"{add.format('one')} first();",
        }
    )
    assert reached(folder) == ["matlab/stats.m", "one/first.m", "two/second.m"]


def test_a_file_of_the_same_size_and_time_is_read_again(lab):
    folder = lab({"matlab/stats.m": "x = 1;\n"})
    assert matlab_sources({folder: "matlab"}, "stats")[0]["sha256"] == sha256(folder / "stats.m")
    before = (folder / "stats.m").stat()
    (folder / "stats.m").write_text("x = 2;\n")
    os.utime(folder / "stats.m", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert matlab_sources({folder: "matlab"}, "stats")[0]["sha256"] == sha256(folder / "stats.m")


def test_one_look_finds_each_folder_once_and_the_next_one_finds_what_changed(lab, monkeypatch):
    folder = lab({"matlab/stats.m": "helper(1);\n", "matlab/helper.m": "1;\n"})
    looked = []
    monkeypatch.setattr(m_code, "code_files_on", lambda folders: looked.append(1) or code_files_on(folders))
    with m_code.one_look_at_code():
        before = matlab_writes({folder: "matlab"}, "stats")
        with m_code.one_look_at_code():
            assert reached(folder) == ["matlab/helper.m", "matlab/stats.m"]
        (folder / "helper.m").write_text("12;\n")
        assert matlab_writes({folder: "matlab"}, "stats") == before and len(looked) == 1
    with m_code.one_look_at_code():
        assert matlab_writes({folder: "matlab"}, "stats") != before and len(looked) == 2
    assert reached(folder) == reached(folder) and len(looked) == 4
