"""neuroluigi alone, as a wheel or from a clone: what is installed, and a ten-line tasks.py in an empty folder."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.conftest import BIN, HAS_OCTAVE, REPOSITORY, clean_environment

SCRIPTS = "Scripts" if os.name == "nt" else "bin"

TEN_LINES = """
from neuroluigi import GroupTask, RecordingMaker, WrapperTask, groups
class Noise(RecordingMaker):
    def make(self, out):
        out.write_bytes(bytes(range(self.index, 10)))
class Sizes(GroupTask):
    def requires(self): return [Noise(r.session, r.index) for r in self.recordings]
    def output(self): return self.result("sizes.json")
    def make(self, out): out.write_text(str([open(f.path, "rb").read().__len__() for f in self.input()]))
class AllSizes(WrapperTask):
    def requires(self): return [Sizes(group) for group in groups()]
"""

WITH_M_FILES = """
from neuroluigi import RecordingMaker, WrapperTask, ephys, groups, recording_task
class Noise(RecordingMaker):
    def make(self, out): out.write_bytes(bytes(range(self.index, 10)))
class Aggregate(ephys.Aggregate):
    def requires(self): return [recording_task(recording) for recording in self.recordings]
class Stats(ephys.Stats):
    def requires(self): return Aggregate(self.group)
class AllStats(WrapperTask):
    def requires(self): return [Stats(group) for group in groups()]
"""


def run(*command, cwd):
    done = subprocess.run(
        command, cwd=cwd, env=clean_environment(), capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def lab(folder: Path, tasks: str) -> Path:
    """Return a new folder with that tasks.py of at most ten lines, and nothing else."""
    assert len(tasks.strip().splitlines()) <= 10
    folder.mkdir()
    (folder / "tasks.py").write_text(tasks)
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with an sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    # From a copy, because a build leaves files beside its source.
    for name in ("neuroluigi", "matlab"):
        shutil.copytree(REPOSITORY / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, folder / "source")
    run(BIN / "uv", "build", "--quiet", "--out-dir", folder, "source", cwd=folder)
    return folder


def test_sdist_and_wheel_have_the_whole_package_and_the_m_files(built):
    (sdist,), (wheel,) = built.glob("*.tar.gz"), built.glob("*.whl")
    package = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "neuroluigi").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    m_files = {path.relative_to(REPOSITORY / "matlab").as_posix() for path in (REPOSITORY / "matlab").rglob("*.m")}
    assert {"neuroluigi/py.typed", "neuroluigi/results/report/report.html"} <= package and "readBlock.m" in m_files
    in_wheel = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert in_wheel == package | {f"neuroluigi/mfiles/{name}" for name in m_files}
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    assert package | {f"matlab/{name}" for name in m_files} | {"requirements.txt"} <= in_sdist
    assert not {"tasks.py", "targets.py"} & in_sdist


@pytest.fixture(scope="module")
def of_pip(tmp_path_factory, built) -> Path:
    """The folder of scripts of an environment into which pip has installed the wheel."""
    (wheel,) = built.glob("*.whl")
    folder = tmp_path_factory.mktemp("of_pip")
    run(sys.executable, "-m", "venv", folder / "env", cwd=folder)
    scripts = folder / "env" / SCRIPTS
    run(scripts / "python", "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    return scripts


def test_the_wheel_alone_runs_pipelines_of_ten_lines(tmp_path, of_pip):
    scripts, folder = of_pip, lab(tmp_path / "empty folder", TEN_LINES)
    makes_all_sizes(scripts, folder)
    assert json.loads((folder / "results" / "c-odd" / "sizes.json").read_text()) == [9, 7]
    assert (folder / "results" / "c-odd" / "runs" / "Sizes.json").is_file()
    assert "c-odd" in run(scripts / "neuroluigi", "--task", "AllSizes", "recordings", cwd=folder)
    run(scripts / "neuroluigi", "--task", "AllSizes", "report", cwd=folder)
    assert "All 30 results are done" in (folder / "results" / "report.html").read_text(encoding="utf-8")

    calls_m_files_of_the_package(scripts, tmp_path / "another lab")


def test_the_wheel_alone_begins_a_lab_folder(tmp_path, of_pip):
    (tmp_path / "raw" / "a").mkdir(parents=True)
    (tmp_path / "raw" / "a" / "rec_0.bin").write_bytes(bytes(range(200)))
    out = run(of_pip / "neuroluigi", "init", "--data", "raw", "my lab", cwd=tmp_path)
    assert out.endswith("my lab' && neuroluigi run\n") and (tmp_path / "my lab" / "matlab" / "countAbove.m").is_file()
    run(of_pip / "neuroluigi", "run", cwd=tmp_path / "my lab")
    assert (tmp_path / "my lab" / "results" / "a" / "plot.png").is_file()


def test_after_an_update_of_luigi_by_pip(tmp_path, of_pip):
    """What pip install -U luigi does where there is a later Luigi."""
    run(of_pip / "python", "-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps", "luigi", cwd=tmp_path)
    luigi_is_restored(of_pip, tmp_path)


@pytest.mark.parametrize("is_editable", [False, True], ids=["wheel", "editable"])
def test_after_an_installation_by_uv(tmp_path, built, is_editable):
    """It installs all packages at the same time, so that the scripts may be either's; and there is no pip."""
    run(BIN / "uv", "venv", "--quiet", "--python", sys.executable, "env", cwd=tmp_path)
    scripts, (wheel,) = tmp_path / "env" / SCRIPTS, built.glob("*.whl")
    install = (BIN / "uv", "pip", "install", "--quiet", "--python", scripts / "python")
    run(
        *install,
        *(["--editable", shutil.copytree(built / "source", tmp_path / "source")] if is_editable else [wheel]),
        cwd=tmp_path,
    )
    assert not list(scripts.glob("pip*"))
    run(scripts / "neuroluigi", "doctor", "--fix", cwd=tmp_path)
    makes_all_sizes(scripts, lab(tmp_path / "first lab", TEN_LINES))

    run(*install, "--reinstall-package", "luigi", "luigi", cwd=tmp_path)
    luigi_is_restored(scripts, tmp_path)


def luigi_is_restored(scripts: Path, folder: Path) -> None:
    """Check that Luigi's own script is named, with what to do, and that this makes it ours, also without settings."""
    tasks = lab(folder / "another lab", TEN_LINES)
    words = ["--module", "tasks", "AllSizes", "--local-scheduler"]
    theirs = subprocess.run(
        [scripts / "luigi", *words], cwd=tasks, env=clean_environment(), capture_output=True, text=True
    )
    assert theirs.returncode != 0 and "No module named 'tasks'" in theirs.stderr
    # What needs no script of Luigi's works all the same.
    assert "10 sizes" in run(scripts / "neuroluigi", "run", "AllSizes", cwd=tasks)
    run(scripts / "python", "-m", "luigi", *words, cwd=tasks)
    found = run(scripts / "neuroluigi", "--task", "AllSizes", "doctor", cwd=tasks)
    assert "of luigi" in found and "run neuroluigi doctor --fix; or use neuroluigi run" in " ".join(found.split())

    broken = folder / "broken"
    broken.mkdir()
    (broken / "luigi.cfg").write_text("[core]\nworkers 2\n")
    (broken / "tasks.py").write_text("import nowhere\n")
    lines = run(scripts / "neuroluigi", "doctor", "--fix", cwd=broken).splitlines()
    assert all(line.endswith(" is neuroluigi's now.") for line in lines) and len(lines) == 2
    makes_all_sizes(scripts, lab(folder / "third lab", TEN_LINES))
    assert "all addresses" not in run(scripts / "neuroluigi", "--task", "AllSizes", "doctor", cwd=tasks)
    assert "--background" in run(scripts / "luigid", "--help", cwd=tasks)


def makes_all_sizes(scripts: Path, folder: Path) -> None:
    out = run(scripts / "luigi", "--module", "tasks", "AllSizes", "--local-scheduler", cwd=folder)
    assert out.splitlines()[-1] == "10 sizes: results/*/sizes.json"


def test_a_clone_alone_runs_a_pipeline_of_ten_lines(tmp_path):
    calls_m_files_of_the_package(BIN, tmp_path / "lab")


def calls_m_files_of_the_package(scripts: Path, folder: Path) -> None:
    engine = "octave" if HAS_OCTAVE else "numpy"
    run(scripts / "neuroluigi", "run", "AllStats", "--matlab-engine", engine, cwd=lab(folder, WITH_M_FILES))
    group = folder / "results" / "c-odd"
    # Recordings 1 and 3 of the session
    samples = [*range(1, 10), *range(3, 10)]
    assert json.loads((group / "stats.json").read_text())["mean"] == [sum(samples) / len(samples)]
    record = json.loads((group / "runs" / "Stats.json").read_text())
    assert record["tool"]["engine"] == engine
    # The same name wherever the package is, so that no result looks changed by the way it was installed
    assert ("neuroluigi/mfiles/computeStats.m" in {source["path"] for source in record["sources"]}) == HAS_OCTAVE
