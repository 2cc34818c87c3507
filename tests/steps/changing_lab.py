"""A small pipeline that a test changes, plans, runs and plans again, and the table of states to compare with."""

import hashlib
import io
import json
import re
import shutil
import sys
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from pathlib import Path

import numpy as np

from neuroluigi.provenance.record import read_record
from neuroluigi.provenance.state_index import INDEX_FILE
from tests import commands
from tests.conftest import OF_THE_RUN

# Steps over all groups, the last of which seldom sees other bytes.
STUDY = """

class Table(StudyTask):
    def requires(self):
        return [Edges(group) for group in groups()]

    def output(self):
        return self.result("table.json")

    def fingerprint(self):
        return {"groups": list(groups())}

    def make(self, out):
        counts = [len(one.load()) for one in self.input()]
        out.write_text(json.dumps({"table": dict(zip(groups(), counts))}))


class Most(StudyTask):
    def requires(self):
        return Table()

    def output(self):
        return self.result("most.json")

    def make(self, out):
        table = json.loads(Path(self.input().path).read_text())["table"]
        out.write_text(json.dumps({"most": max(table.values()) > 3}))


class All(WrapperTask):
    def requires(self):
        return [PlotAll(), Most()]
"""

COMMAND = Path(__file__).with_name("lab_command.py")


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run lab_command.py in a folder; return its exit code and what it printed."""
    command = [sys.executable, COMMAND, *arguments]
    options = {"stdin": commands.DEVNULL, "stdout": commands.PIPE, "stderr": commands.STDOUT, "text": True}
    done = commands.run(command, cwd=folder, env=commands.clean_environment(), timeout=120, **options)
    return done.returncode, done.stdout


@dataclass(frozen=True)
class Made:
    """What a step was last made from, and its outputs, as far as its run record still has them."""

    inputs: list[tuple[str, str]]
    outputs: dict[str, bytes]
    setup: object
    code: int
    # Of each step that made an input: its setup, and the checksums of what it is made from, None where not known.
    required: list[tuple[object, list[str] | None] | None]


@dataclass(frozen=True)
class Step:
    """A step as the plan describes it."""

    name: str
    text: str
    state: str
    todo: str
    waits_for: list[str]
    inputs: list[str]
    outputs: list[str]

    @property
    def family(self) -> str:
        return Path(self.name).stem.split("-")[0]


@dataclass
class ChangingLab:
    """A pipeline in a folder, its settings, and what each of its steps was last made from."""

    folder: Path
    is_real: bool
    workers: int = 1
    settings: dict[str, str] = field(default_factory=dict)
    code: dict[str, int] = field(default_factory=dict)
    made: dict[str, Made] = field(default_factory=dict, repr=False)
    # Files whose commit was interrupted, and where they wait.
    waiting: dict[str, str] = field(default_factory=dict)
    # Records whose files were dropped.
    dropped: set[str] = field(default_factory=set)
    # The step that makes a file, by the name of the file.
    makers: dict[str, Step] = field(default_factory=dict, repr=False)
    fresh: count = field(default_factory=lambda: count(10))

    def copied_to(self, folder: Path, copy=shutil.copy2) -> "ChangingLab":
        shutil.copytree(self.folder, folder, copy_function=copy)
        return replace(self, folder=folder)

    # Commands

    def command(self, what: str, codes: tuple[int, ...] = (0,)) -> tuple[int, str]:
        """Run it, and return its exit code and what it printed."""
        fakes = ["--FakeRecording-sessions", "s", "--FakeRecording-count", "3", "--FakeRecording-bytes", "40"]
        root = ["--recordings-root", "real"] if self.is_real else fakes
        chosen = [f"--{name}={value}" for name, value in self.settings.items()]
        always = ["--matlab-engine", "numpy", "--workers", str(self.workers), "--local-scheduler"]
        code, printed = run(self.folder, what, "--module", "tasks", "All", *root, *chosen, *always)
        assert code in codes and "Traceback" not in printed, f"{what} ended with {code}\n{printed}"
        return code, printed

    def plan(self) -> list[Step]:
        self.command("plan")
        return [Step(**one) for one in json.loads((self.folder / "plan.json").read_text())]

    # Files

    def paths(self) -> dict[str, Path]:
        """Return all files but locks and the cache by name; one that waits for its commit by its final name."""
        found = {
            path.relative_to(self.folder).as_posix(): path
            for top in ("results", "recordings", "real")
            for path in sorted((self.folder / top).rglob("*"))
            if path.is_file() and path.name not in (".lock", ".checksums.jsonl", INDEX_FILE, *OF_THE_RUN)
        }
        return found | {name: found[part] for name, part in self.waiting.items() if part in found}

    def times(self) -> dict[str, int]:
        return {name: path.stat().st_mtime_ns for name, path in self.paths().items()}

    def contents(self) -> dict[str, bytes]:
        return {name: path.read_bytes() for name, path in self.paths().items()}

    def dropped_files(self) -> dict[str, bytes]:
        """Return what was in the files that are dropped."""
        there = self.paths()
        outputs = {name: data for record in self.dropped for name, data in self.made[record].outputs.items()}
        return {name: data for name, data in outputs.items() if name not in there}

    def results(self) -> list[str]:
        """Return the names of the files that steps have made."""
        return [
            name
            for name in self.paths()
            if not name.startswith("real/") and "/runs/" not in name and ".part-" not in name and "damaged" not in name
        ]

    # The table of states

    def setup(self, step: Step) -> object:
        """Return what decides over a step beside its inputs and its code."""
        if step.family == "Edges":
            return float(self.settings.get("Edges-threshold", 0.75)), self.settings.get("Edges-level")
        if step.family == "Aggregate":
            is_contiguous = self.settings.get("recordings-contiguous") == "true"
            numbers = [int(Path(name).stem.rpartition("_")[2]) for name in step.inputs]
            gaps = [not is_contiguous or second != first + 1 for first, second in pairwise(numbers)]
            return self.settings.get("recordings-sampling-rate-hz"), gaps
        return ()

    def required(self, step: Step, files: dict[str, bytes]) -> list[tuple[object, list[str] | None] | None]:
        """Return what can be read of the steps that made the inputs of a step, beside their files."""
        makers = {maker.name: maker for name in step.inputs if (maker := self.makers.get(name))}
        return [self.read_of(maker, files) for maker in makers.values()]

    def read_of(self, maker: Step, files: dict[str, bytes]) -> tuple[object, list[str] | None] | None:
        made = self.made.get(maker.name)
        if made and self.has_lost_recordings(made, files):
            return None
        # Without a record it is not known what it was made from.
        return self.setup(maker), [sha256 for _, sha256 in checksums(maker.inputs, files)] if made else None

    def has_other_required(self, step: Step, made: Made, files: dict[str, bytes]) -> bool:
        pairs = zip(made.required, self.required(step, files), strict=False)
        known = [(then, now) for then, now in pairs if then and now]
        return any(then[0] != now[0] or (then[1] and now[1] and then[1] != now[1]) for then, now in known)

    def must_be_made(self, step: Step, before: dict[str, bytes], after: dict[str, bytes]) -> bool:
        """Return whether the table has a step made, from its outputs before the run and its inputs after it."""
        made = self.made.get(step.name)
        if made and self.has_lost_recordings(made, after):
            return False
        if not all(name in before and is_whole(name, before[name]) for name in step.outputs):
            return True
        if not made:
            return False
        # Its format does not tell whether it was cut short.
        if any(len(before[name]) < len(data) for name, data in made.outputs.items() if name.endswith(".bin")):
            return True
        if any(before[name] != data for name, data in made.outputs.items()):
            return False
        is_other_code = made.code != self.code.get(step.family, 0) and "results-rerun-on" in self.settings
        is_other = made.inputs != checksums(step.inputs, after) or made.setup != self.setup(step)
        return is_other or is_other_code or self.has_other_required(step, made, after)

    def has_lost_recordings(self, made: Made, after: dict[str, bytes]) -> bool:
        may_be_missing = self.settings.get("recordings-allow-missing") == "true"
        return not may_be_missing and any(name.startswith("real/") and name not in after for name, _ in made.inputs)

    # Plan, run and plan again

    def compare(self) -> None:
        self.was_made = dict(self.made)
        before, times, self.was_dropped = self.contents() | self.dropped_files(), self.times(), set(self.dropped)
        plan = self.plan()
        self.makers = {name: step for step in plan for name in step.outputs}
        assert self.times() == times, "making the plan changed files"
        interrupted = {step.name for step in plan if pending(step.name) in before}
        code, printed = self.command("run", (0, 30))
        self.waiting = {name: part for name, part in self.waiting.items() if (self.folder / part).exists()}
        self.dropped &= {name for name in self.dropped if "dropped" in (read_record(self.folder / name) or ())}
        after, times_after = self.contents() | self.dropped_files(), self.times()

        names = {step.text: step.name for step in plan}
        made = {names[text] for text in re.findall(r"^INFO: (.*) made in [\d.]+ s$", printed, re.M)}
        wanted, stuck = self.by_the_table(plan, before, after)
        assert made == wanted, (sorted(made ^ wanted), plan, printed)
        assert bool(stuck) == (code == 30), (stuck, code, printed)
        for step in plan:
            for name in step.outputs:
                if step.name not in made and step.name not in interrupted:
                    assert times.get(name) == times_after.get(name), f"{name} of {step} was written"
                if step.state == "damaged" and step.name in made and name in before:
                    assert before[name] in [data for path, data in after.items() if path.startswith(f"{name}.damaged")]
            if step.name not in stuck and step.name not in interrupted:
                assert (step.name in made) == self.by_the_plan(step, after), (step, printed)
        # Each after those that it is made from.
        for step in plan:
            if step.name in made:
                outputs = {name: after[name] for name in step.outputs}
                made_from, code = checksums(step.inputs, after), self.code.get(step.family, 0)
                required = self.required(step, after)
                self.made[step.name] = Made(made_from, outputs, self.setup(step), code, required)
        left = [step for step in self.plan() if step.todo and step.name not in stuck]
        assert not left, (left, printed)

    def by_the_plan(self, step: Step, after: dict[str, bytes]) -> bool:
        """Return whether the plan has a step made, now that it is known which files changed."""
        assert step.todo in ("", "make", "maybe"), step
        if step.todo != "maybe":
            return step.todo == "make"
        now = dict(checksums(step.inputs, after))
        then = dict(self.made[step.name].inputs)
        is_other = any(now[name] != then.get(name) for name in step.inputs if Path(name).name in step.waits_for)
        return is_other or self.has_other_required(step, self.was_made[step.name], after)

    def by_the_table(self, plan: list[Step], before: dict, after: dict) -> tuple[set[str], set[str]]:
        """Return the steps that the table has made, and those that it has made and that can't be as things are."""
        makers = {name: step.name for step in plan for name in step.outputs}
        wanted, stuck, needed = set(), set(), self.needed(plan, makers)
        for step in plan:
            lacking = {name for name in step.inputs if not after.get(name)}
            is_lost = step.name in needed and self.has_lost_recordings(self.made[step.name], after)
            if is_lost or any(makers.get(name) in stuck for name in step.inputs):
                stuck.add(step.name)
            elif step.name in needed or self.must_be_made(step, before, after):
                # A group with an empty recording has no inputs at all.
                is_bad = step.family == "Aggregate" and not step.inputs
                (stuck if lacking or is_bad else wanted).add(step.name)
                stuck |= {makers[name] for name in lacking if name in makers}
        return wanted, stuck

    def needed(self, plan: list[Step], makers: dict[str, str]) -> set[str]:
        """Return what is dropped and is an input or a dependent of something else that may be made."""
        busy = {step.name for step in plan if step.todo}
        pairs = {(step.name, makers[name]) for step in plan for name in step.inputs if name in makers}
        found, newest = set(), busy - self.was_dropped
        while newest:
            beside = {a for a, b in pairs if b in newest} | {b for a, b in pairs if a in newest}
            newest = (beside & self.was_dropped) - found
            found |= newest
        return found


def checksums(names: list[str], files: dict[str, bytes]) -> list[tuple[str, str]]:
    return [(name, hashlib.sha256(files.get(name, b"")).hexdigest()) for name in names]


def is_whole(name: str, data: bytes) -> bool:
    try:
        if name.endswith("stats.json"):
            stats = json.loads(data)
            return all(isinstance(stats[key], list) for key in ("min", "max", "mean", "std"))
        if name.endswith(".json"):
            json.loads(data)
        if name.endswith(".npy"):
            np.load(io.BytesIO(data))
    except (ValueError, EOFError, KeyError, TypeError):
        return False
    return bool(data) and (not name.endswith(".png") or data.endswith(b"IEND\xaeB`\x82"))


def pending(record: str) -> str:
    return record.replace(".json", ".pending.json")
