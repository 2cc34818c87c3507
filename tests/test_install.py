"""neuroluigi alone: its wheel in an environment of its own, with a ten-line tasks.py in an empty folder."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

from tests.conftest import REPOSITORY, clean_environment

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


def run(*command, cwd):
    done = subprocess.run(
        command, cwd=cwd, env=clean_environment(), capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_alone_runs_a_pipeline_of_ten_lines(tmp_path):
    assert len(TEN_LINES.strip().splitlines()) <= 10
    # From a copy, because a build leaves files beside its source.
    source = tmp_path / "source"
    shutil.copytree(REPOSITORY / "neuroluigi", source / "neuroluigi", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, source, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"neuroluigi/neuroluigiServe.m", "neuroluigi/report.html"} <= set(names)
    assert not {"tasks.py", "targets.py"} & set(names)

    run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    scripts = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    run(scripts / "python", "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    folder = tmp_path / "empty folder"
    folder.mkdir()
    (folder / "tasks.py").write_text(TEN_LINES)
    out = run(scripts / "luigi", "--module", "tasks", "AllSizes", "--local-scheduler", cwd=folder)
    assert out.splitlines()[-1] == "10 sizes: results/*/sizes.json"
    assert json.loads((folder / "results" / "c-odd" / "sizes.json").read_text()) == [9, 7]
    assert (folder / "results" / "c-odd" / "runs" / "Sizes.json").is_file()
    assert "c-odd" in run(scripts / "neuroluigi", "--task", "AllSizes", "recordings", cwd=folder)
    run(scripts / "neuroluigi", "--task", "AllSizes", "report", cwd=folder)
    assert "All 30 results are done" in (folder / "results" / "report.html").read_text(encoding="utf-8")
