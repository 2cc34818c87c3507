"""The pipeline with two small groups, whose runs return what was made and what was unchanged."""

import os
import shutil
import textwrap
from collections import Counter
from pathlib import Path

from tests.conftest import OF_THE_RUN, Pipeline


class Lab(Pipeline):
    """Two groups of fake recordings, s-even and s-odd, whose runs return what was made and what was unchanged."""

    engine = "numpy"
    workers = 1
    real = False

    def copied_to(self, folder: Path) -> "Lab":
        shutil.copytree(self.folder, folder)
        copied = object.__new__(type(self))
        copied.folder = folder
        return copied

    def go(self, *arguments, code=0):
        """Run the pipeline; return what was made and unchanged, and everything that was printed."""
        fakes = ["--FakeRecording-sessions", "s", "--FakeRecording-count", "2"]
        root = ["--recordings-root", "real"] if self.real else fakes
        before = self.times()
        out = self.run(
            "PlotAll", *root, "--matlab-engine", self.engine, "--workers", self.workers, *arguments, code=code
        )
        made = Counter(
            line.split("INFO: ")[1].split("(")[0] for line in out.splitlines() if " made in " in line and "INFO" in line
        )
        unchanged = Counter(
            line.split("INFO: ")[1].split("(")[0] for line in out.splitlines() if line.endswith(" unchanged")
        )
        self.changed = {path for path, at in self.times().items() if before.get(path) != at}
        return dict(made), dict(unchanged), out

    def override(self, step: str, code: str) -> None:
        """Add members to a step of tasks.py."""
        tasks = self.folder / "tasks.py"
        head = f"class {step}(ephys.{step}):\n"
        assert head in tasks.read_text()
        tasks.write_text(tasks.read_text().replace(head, f"{head}{textwrap.indent(code, '    ')}\n"))

    def times(self):
        folders = (self.results, self.folder / "recordings")
        return {
            path.relative_to(self.folder).as_posix(): path.stat().st_mtime_ns
            for folder in folders
            for path in folder.rglob("*")
            if path.is_file()
            and "runs" not in path.parts
            and not path.name.startswith(".")
            and path.name not in OF_THE_RUN
        }

    def make_real(self):
        """Give it a folder of real recordings of two groups, two files each."""
        self.real = True
        for session in "ab":
            folder = self.folder / "real" / session
            folder.mkdir(parents=True)
            for index in range(2):
                (folder / f"rec_{index}.bin").write_bytes(os.urandom(60))


def nothing(outcome):
    made, unchanged, out = outcome
    return not made and not unchanged and "Nothing to make" in out
