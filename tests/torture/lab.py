"""A lab whose results are on the modelled disk: what its steps make, and whether that is right after a power cut."""

import functools
import json
import multiprocessing
import pickle
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import luigi

import neuroluigi
from neuroluigi import GroupTask, StudyTask, WrapperTask
from neuroluigi.provenance.register import registers
from neuroluigi.provenance.state import DONE
from neuroluigi.results import maintenance
from neuroluigi.runner import patches
from neuroluigi.steps.config import registered
from neuroluigi.steps.discovery import only_looking
from neuroluigi.steps.plan import discard_statuses, walk_statuses
from tests.torture.disk import Recorder, Tree, recording, write_tree

EDIT = b"corrected by hand\n"


class CutText(GroupTask):
    level = luigi.IntParameter(default=1)

    def output(self):
        return self.result("text.txt")

    def make(self, out):
        out.write_text(f"{self.group} {self.level}\n" * 50)


class CutPair(GroupTask):
    level = luigi.IntParameter(default=1)

    def requires(self):
        return CutText(self.group, self.level)

    def output(self):
        return {"upper": self.result("upper.txt"), "length": self.result("length.txt")}

    def make(self, out):
        text = Path(self.input().path).read_text()
        out["upper"].write_text(text.upper())
        out["length"].write_text(f"{len(text)} {self.level}\n")


class CutFolder(GroupTask):
    level = luigi.IntParameter(default=1)

    def requires(self):
        return CutPair(self.group, self.level)

    def output(self):
        return self.result_folder("lines")

    def make(self, out):
        lines = Path(self.input()["upper"].path).read_text().splitlines()
        (out / "below").mkdir()
        (out / "first.txt").write_text(lines[0])
        (out / "below" / "last.txt").write_text(lines[-1] * 20)


class CutEdited(GroupTask):
    def output(self):
        return self.result("edited.txt")

    def make(self, out):
        out.write_text("as it was made\n" * 5)


class CutDropped(GroupTask):
    def output(self):
        return self.result("dropped.txt")

    def make(self, out):
        out.write_text("large\n" * 100)


class CutSum(GroupTask):
    def requires(self):
        return [CutDropped(self.group), CutEdited(self.group)]

    def output(self):
        return self.result("sum.json")

    def make(self, out):
        out.write_text(str([len(Path(one.path).read_bytes()) for one in self.input()]))


class CutStudy(StudyTask):
    level = luigi.IntParameter(default=1)

    def requires(self):
        return [CutFolder("a", self.level), CutPair("a", self.level), CutSum("a")]

    def output(self):
        return self.result("study.txt")

    def make(self, out):
        out.write_text("".join(sorted(path.read_text() for path in Path(self.input()[0].path).rglob("*.txt"))))


class CutAll(WrapperTask):
    level = luigi.IntParameter(default=1)

    def requires(self):
        return CutStudy(self.level)


def as_read(tree: Tree) -> Tree:
    """Return what the next run can tell of a tree: records and notes that can't be read are all alike to it."""
    return {path: file and (_as_read(path, file[0]), file[1]) for path, file in tree.items()}


def _as_read(path: str, content: bytes) -> bytes:
    *_, folder, name = path.split("/")
    is_note = folder in ("runs", ".runs") and name.endswith((".json", ".unflushed"))
    return content if not is_note or _is_json(content) else b""


@functools.cache
def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


class CutLab:
    """The lab; `disk` is what may be lost, with the results in it."""

    def __init__(self, folder: Path, monkeypatch):
        self.disk, self.results = folder / "disk", folder / "disk" / "results"
        self.disk.mkdir()
        self._monkeypatch = monkeypatch
        self.root = CutAll()
        # What has to be there in some file, as nothing can make it again.
        self.kept: set[bytes] = set()
        # Whether temporary files are cleared: not where what says whose they are may be lost, as nothing was flushed.
        self.is_cleared = True
        # Of no interest here: a process per run, and what its settings are, for the record and for other runs.
        monkeypatch.setattr("neuroluigi.runner.run_log.git_state", lambda *about: {})
        monkeypatch.setattr("neuroluigi.runner.run_log.in_force", lambda root: [])
        monkeypatch.setattr("neuroluigi.runner.run.deciding_settings", lambda root: {})

    def run(self) -> None:
        """Make all that there is to make."""
        assert neuroluigi.build([self.root], log_level="CRITICAL")

    def edit(self) -> None:
        """Edit a result by hand."""
        (self.results / "a" / "edited.txt").write_bytes(EDIT)

    def accept(self) -> None:
        """Accept the edit."""
        with registered("accept"):
            maintenance.accept(self.root, str(self.results / "a" / "edited.txt"), "by hand")

    def drop(self) -> None:
        """Drop a result."""
        with registered("drop"):
            maintenance.drop(maintenance.plan_drop(self.root, "CutDropped"))
        assert not (self.results / "a" / "dropped.txt").exists()

    def clean(self) -> None:
        """Remove the results of a step and of what depends on it."""
        with registered("clean"):
            assert maintenance.clean(maintenance.plan_clean(self.root, step="CutPair"))

    def recorded(self, *actions: Callable[[], object], recorder: Recorder | None = None) -> Recorder:
        """Do something, and return what was done to the disk."""
        with recording(recorder or Recorder(self.disk)) as recorder:
            for action in actions:
                action()
                recorder.mark()
        return recorder

    def killed(self, after: int, kept: Path) -> Recorder:
        """Run in a process that is killed after so many calls; return what it did to the disk until then."""
        process = multiprocessing.get_context("fork").Process(
            target=self.recorded, args=(self.run,), kwargs={"recorder": Recorder(self.disk, after, kept)}
        )
        process.start()
        process.join()
        assert process.exitcode == 9
        return pickle.loads(kept.read_bytes())

    def files(self) -> dict[str, bytes]:
        """Return all results, by path."""
        return {
            path.relative_to(self.results).as_posix(): path.read_bytes()
            for path in self.results.rglob("*")
            if path.is_file() and path.parent.name not in ("results", "runs", ".runs") and ".damaged" not in f"{path}"
        }

    def start_again(self, tree: Tree) -> None:
        """Have the disk as it is after the machine has stopped, and started again."""
        write_tree(self.disk, tree)
        starts = self._starts = getattr(self, "_starts", 0) + 1
        for module in ("disks", "unflushed", "power_cut"):
            self._monkeypatch.setattr(f"neuroluigi.provenance.{module}.boot_id", lambda: f"start {starts}")

    def wrong(self, right: Mapping[str, bytes]) -> str:
        """Return the first that is wrong, before the next run or after it; "" where all is right."""
        # Settings are read once, as on the command line: without it that is most of the time.
        with patches.applied(patches.empty_command_line()):
            return next(self._wrong(right), "")

    def _wrong(self, right: Mapping[str, bytes]) -> Iterator[str]:
        yield from (f"before the next run {one}" for one in self._wrongly_done(right, is_all=False))
        if not neuroluigi.build([self.root], log_level="CRITICAL"):
            yield "the next run fails"
        yield from (f"after it {one}" for one in self._wrongly_done(right, is_all=True))
        found = self.files()
        yield from (f"after it {name} is {found.get(name)!r}" for name in right if found.get(name) != right[name])
        parts = self.results.rglob("*") if self.is_cleared else ()
        there = {path.read_bytes() for path in self.results.rglob("*") if path.is_file()}
        yield from (f"{one!r} is lost" for one in self.kept - there)
        others = {path.name for path in parts if ".part-" in path.name and path.parent.name != ".runs"}
        yield from (f"{name} is left" for name in others)
        yield from (f"the register {path} is left" for path, _ in registers(self.results))

    def _wrongly_done(self, right: Mapping[str, bytes], is_all: bool) -> Iterator[str]:
        discard_statuses()
        with only_looking():
            found = list(walk_statuses(self.root))
        files = self.files()
        for step, status in found:
            if status.state != DONE and is_all:
                yield f"{step} is {status.state}"
            is_done = not status.todo and not status.is_dropped
            names = [one.path[len(f"{self.results}/") :] for one in luigi.task.flatten(step.output())]
            for name, content in right.items():
                if is_done and any(f"{name}/".startswith(f"{one}/") for one in names) and files.get(name) != content:
                    yield f"{step} is taken as done with {name} {files.get(name)!r} ({status.state})"
