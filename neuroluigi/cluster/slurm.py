"""A run of the pipeline on a Slurm cluster: its scripts, its submission, and its state in the queue.

One job array, of which each element makes what depends on some groups alone, and one job after it for the rest; both
are scripts that run the same `luigi` as a workstation does (see slurm_job.py). Groups don't depend on each other and a
finished result is never made twice, so whatever is lost is made by submitting again. No process stays on the machine
that submits.

A submission is a folder, results/.slurm/N: the scripts, groups.txt with a line of groups per element (JSON), job.json,
and from the jobs a log and a record each.
"""

import contextlib
import heapq
import json
import os
import re
import shlex
import shutil
import subprocess
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import luigi

from neuroluigi.provenance.files import read_json, write_json
from neuroluigi.provenance.locks import waited_lock
from neuroluigi.provenance.record import describe_host, timestamp
from neuroluigi.recordings.recording import Group
from neuroluigi.runner.options import without_secrets
from neuroluigi.steps.config import RunStopped
from neuroluigi.steps.discovery import groups
from neuroluigi.steps.plan import plan_below
from neuroluigi.steps.scope import owners
from neuroluigi.steps.variants import in_all_variants, in_own_variant, those_there

# The time that an element has, before its walltime ends, to stop and to be queued again.
STOP_SECONDS = 60

# squeue waits longer for a controller that is down than anybody would for `neuroluigi status`.
_ASK_SECONDS = 5

_MOST_NAMED = 5

# Flags that a submission depends on.
_OWN_FLAGS = ("array", "dependency", "open-mode", "output", "parsable", "requeue", "no-requeue", "signal", "wait")


@dataclass(frozen=True)
class Job:
    """What is asked of Slurm: `words` of the luigi command line, sbatch's `flags` ("" for one without a value).

    `lab` is the folder of tasks.py, `folder` the one of the submission; `settle` the seconds that a shared disk may
    take to show on one node what was written on another.
    """

    root: str
    words: Sequence[str]
    lab: Path
    folder: Path
    python: str
    flags: Mapping[str, str] = field(default_factory=dict)
    max_jobs: int | None = None
    settle: float = 60


def array_script(job: Job, elements: int) -> str:
    """Return the script of the array."""
    most = f"%{job.max_jobs}" if job.max_jobs else ""
    flags = {
        **job.flags,
        "array": f"0-{elements - 1}{most}",
        "output": _literal(job.folder / "%a.log"),
        "signal": f"B:USR2@{STOP_SECONDS}",
    }
    about = "# Each element makes what depends on the groups in its line of groups.txt alone."
    seats = _seats(job.flags.get("licenses", ""))
    return _script(job, flags, about, "element", ["--seats", str(seats)] if seats else [], ["--of", job.root])


def last_script(job: Job) -> str:
    """Return the script of the job that runs when the array has ended."""
    flags = {**job.flags, "output": _literal(job.folder / "last.log")}
    about = "# What depends on several groups or on none; then what is missing, and why."
    return _script(job, flags, about, "last", ["--settle", f"{job.settle:g}"], [job.root])


def _literal(path: Path) -> str:
    """Return a path for --output, in which per cent signs of the folder are not a pattern."""
    return str(path.parent).replace("%", "%%") + f"/{path.name}"


def _script(job: Job, flags: Mapping[str, str], about: str, kind: str, options: list[str], words: list[str]) -> str:
    # A log goes on where the job was queued again.
    flags = {"job-name": f"neuroluigi-{job.root}", **flags, "open-mode": "append", "requeue": ""}
    directives = [_directive(name, value) for name, value in sorted(flags.items())]
    run = [job.python, "-m", "neuroluigi.cluster.slurm_job", kind, *options, str(job.folder), *words, *job.words]
    # exec: the signal before the end of the walltime goes to the process of the script alone.
    call = f'exec {shlex.join(run)} --local-scheduler --workers "$SLURM_CPUS_PER_TASK"'
    return "\n".join(["#!/bin/sh", *directives, about, f"cd {shlex.quote(str(job.lab))} || exit 1", call, ""])


def _directive(name: str, value: str) -> str:
    """Return a line for sbatch; RunStopped for a value that is no line of text, which would begin another one."""
    if not (name + value).isprintable():
        option = f"--{name}={value}"
        raise RunStopped(f"neuroluigi: Slurm can't be given {option!r}: it contains a control character or is no text")
    return f"#SBATCH --{name}{value and '=' + shlex.quote(value)}"


def _seats(licences: str) -> int:
    """Return the number of Matlab licences in sbatch's --licenses; 0 where Slurm counts none."""
    counts = re.findall(r"(?:^|[,;|])\s*matlab[^:=,;|]*(?:[:=](\d+))?", licences, re.IGNORECASE)
    return sum(int(count or 1) for count in counts)


def check_flags(given: Iterable[str]) -> dict[str, str]:
    """Return sbatch's flags by name, from words such as qos=long; RunStopped for one that can't be given."""
    flags = {}
    for word in given:
        name, _, value = word.removeprefix("--").partition("=")
        if not re.fullmatch("[a-z][a-z-]+", name) or not value.isprintable():
            raise RunStopped(f"neuroluigi: --sbatch {word!r} is no option of sbatch; an example: --sbatch qos=long")
        if name in _OWN_FLAGS:
            raise RunStopped(f"neuroluigi: --sbatch {name}: neuroluigi sets it itself, and goes by it")
        flags[name] = value
    return flags


def refuse_secrets(words: Sequence[str]) -> None:
    """Raise RunStopped for a command line with a secret value: everybody can read scripts and process lists."""
    if secret := [shown for word, shown in zip(words, without_secrets(words), strict=True) if word != shown]:
        raise RunStopped(
            f"neuroluigi: Slurm can't be given what is secret ({' '.join(secret)}): set it in a luigi.cfg that only you"
            " can read"
        )


def global_options(root: luigi.Task, words: Iterable[str]) -> list[str]:
    """Return the words of a command line with options of the root task in their long form, such as --Stats-group."""
    names = {name.replace("_", "-") for name, _ in root.get_params()}

    def known(word: str) -> str:
        name = word.removeprefix("--")
        is_own = word.startswith("--") and name.partition("=")[0].replace("_", "-") in names
        return f"--{root.task_family.replace('_', '-')}-{name}" if is_own else word

    return list(map(known, words))


def chunks(sizes: Mapping[str, int], most: int) -> list[list[str]]:
    """Return groups in as few lists of up to `most` as possible, of similar sizes in bytes (`sizes`, by group)."""
    found: list[list[str]] = [[] for _ in range(-(-len(sizes) // most))]
    # The largest first, each to the list that has the least so far.
    lightest = [(0, 0, position) for position in range(len(found))]
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
        size, count, position = heapq.heappop(lightest)
        found[position].append(name)
        if count + 1 < most:
            heapq.heappush(lightest, (size + sizes[name], count + 1, position))
    order = {name: position for position, name in enumerate(sizes)}
    return [sorted(one, key=order.__getitem__) for one in found]


def size_of(group: Group) -> int:
    """Return the bytes of a group's recordings, without those that are missing."""
    size = 0
    for one in group.recordings:
        with contextlib.suppress(OSError):
            size += Path(one.path).stat().st_size
    return size


def unfinished_groups(root: luigi.Task) -> tuple[list[str], bool]:
    """Return the groups with unfinished results that depend on them alone, and whether there are other ones.

    Of variants, those count that the command names.
    """
    found: set[str] = set()
    with those_there(counts=False):
        for of_variant in in_all_variants(root):
            statuses = plan_below(of_variant).statuses
            with in_own_variant(of_variant):
                found |= {owner for one, owner in owners(of_variant) if statuses[one.task_id].todo}
    names = [name for name in groups() if name in found]
    return names, len(found) > len(names)


# Submitting


def next_folder(results: Path) -> Path:
    """Return the folder of the next submission."""
    return results / ".slurm" / str(max(_numbers(results), default=0) + 1)


def _numbers(results: Path) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(name) for name in os.listdir(results / ".slurm") if name.isdecimal()]  # noqa: PTH208 (names alone)
    return []


def submit(job: Job, elements: Sequence[Sequence[str]], command: Sequence[str]) -> list[str]:
    """Hand an array with these groups for each element, if any, and the job after it to Slurm; return the jobs' ids.

    RunStopped while an earlier submission is in the queue, and where sbatch refuses. Needs a command line.
    """
    results = job.folder.parent.parent
    try:
        job.folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunStopped(f"neuroluigi: can't write to {results}: {error}") from error
    with waited_lock(job.folder.parent / "lock", "the submissions to Slurm"):
        _refuse_a_second(results)
        job.folder.mkdir()
        ids: list[str] = []
        about = {"schema": 1, "command": list(command), "submitted": timestamp(), "host": describe_host()}
        try:
            _write(job.folder / "groups.txt", "".join(f"{json.dumps(one)}\n" for one in elements))
            if elements:
                _write(job.folder / "array.sh", array_script(job, len(elements)))
                ids.append(_sbatch(job, "array.sh"))
            _write(job.folder / "last.sh", last_script(job))
            ids.append(_sbatch(job, "last.sh", *(f"--dependency=afterany:{one}" for one in ids)))
            write_json(job.folder / "job.json", {**about, "array": ids[0] if elements else "", "last": ids[-1]})
        except BaseException:
            # Half a submission would have no record.
            for one in ids:
                subprocess.run(["scancel", one], check=False)
            shutil.rmtree(job.folder, ignore_errors=True)
            raise
    return ids


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _refuse_a_second(results: Path) -> None:
    earlier = latest_submission(results)
    if earlier is None or earlier.has_ended:
        return
    queue, problem = earlier.ask()
    if problem:
        raise RunStopped(f"neuroluigi: nothing was submitted, as the state of {earlier} is unknown: {problem}")
    if queue:
        raise RunStopped(
            f"neuroluigi: nothing was submitted: {earlier} is in the queue; see neuroluigi status, or scancel"
            f" {' '.join(earlier.ids)}"
        )


def _sbatch(job: Job, name: str, *flags: str) -> str:
    try:
        done = subprocess.run(
            ["sbatch", "--parsable", *flags, name], cwd=job.folder, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise RunStopped("neuroluigi: there is no sbatch on PATH; submit on a machine of a Slurm cluster") from None
    if done.returncode:
        reason = " ".join(done.stderr.split())
        hint = "; fewer elements: raise --groups-per-job" if "array specification" in reason else ""
        raise RunStopped(f"neuroluigi: sbatch refused {name} (see it with --print): {reason}{hint}")
    return done.stdout.split(";")[0].strip()


# Afterwards


@dataclass(frozen=True)
class Element:
    """One element in the queue: its number (None: the job after the array), state, node, and why it waits."""

    number: int | None
    state: str
    node: str
    reason: str


@dataclass(frozen=True)
class Submission:
    """A submission, from its folder and the content of its job.json."""

    folder: Path
    about: Mapping

    def __str__(self) -> str:
        return f"Slurm job {self.ids[0]}"

    @property
    def ids(self) -> list[str]:
        """The ids of its jobs."""
        return [str(one) for one in (self.about.get("array"), self.about.get("last")) if one]

    @property
    def has_ended(self) -> bool:
        """Whether its last job has ended."""
        return "ended" in (read_json(self.folder / "last.json") or {})

    def groups(self) -> list[list[str]]:
        """Return the groups of each element."""
        with contextlib.suppress(OSError, ValueError):
            return [json.loads(line) for line in (self.folder / "groups.txt").read_text("utf-8").splitlines()]
        return []

    def record(self, number: int) -> dict:
        """Return the record of an element, {} where it has none."""
        return read_json(self.folder / f"{number}.json") or {}

    def ask(self) -> tuple[list[Element], str]:
        """Return its elements in the queue, and a problem where squeue can't be asked, "" if there is none."""
        command = ["squeue", "--noheader", "--array", "--jobs", ",".join(self.ids), "--format", "%F|%K|%T|%N|%r"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_SECONDS, check=False)
        except FileNotFoundError:
            return [], "there is no squeue on PATH"
        except subprocess.TimeoutExpired:
            return [], f"squeue did not answer within {_ASK_SECONDS} s"
        if done.returncode:
            # The queue forgets jobs some minutes after their end.
            problem = " ".join(done.stderr.split())
            return [], "" if "Invalid job id" in problem else problem
        found = [line.split("|", 4) for line in done.stdout.splitlines() if line.count("|") >= 4]
        return [Element(int(n) if n.isdecimal() else None, state, node, why) for _, n, state, node, why in found], ""


def latest_submission(results: Path) -> Submission | None:
    """Return the latest submission, None where there is none."""
    for number in sorted(_numbers(results), reverse=True):
        folder = results / ".slurm" / str(number)
        about = read_json(folder / "job.json")
        if about and about.get("last"):
            return Submission(folder, about)
    return None


def queue_lines(results: Path, unfinished: Collection[str]) -> list[str]:
    """Return lines about the latest submission: what is in the queue, and each element without all its results.

    `unfinished` are the groups that are not done. There are no lines where it has ended and all is done.
    """
    submission = latest_submission(results)
    if submission is None:
        return []
    elements = submission.groups()
    queue, problem = ([], "") if submission.has_ended else submission.ask()
    lines = [f"{submission}: {problem}"] if problem else []
    if queue:
        lines.append(f"{submission}: {_counted(queue, len(elements))}; logs: {submission.folder}")
    at_work = {one.number: one for one in queue if one.number is not None}
    for number, names in enumerate(elements):
        left = [name for name in names if name in unfinished]
        # Where it succeeded, what is not done now has changed since.
        if submission.has_ended and submission.record(number).get("exit_code") == 0:
            continue
        if number in at_work and at_work[number].node:
            one = at_work[number]
            lines.append(f"element {number}, {one.state.lower()} on {one.node}: {_named(names)}")
        elif left and number not in at_work and not problem:
            lines.append(f"element {number}, {_end(submission, number)}: {_named(left)}")
    return lines


def _counted(queue: Sequence[Element], total: int) -> str:
    elements = [one for one in queue if one.number is not None]
    waiting = Counter(one.reason for one in elements if not one.node)
    counts = [f"{sum(bool(one.node) for one in elements)} of {total} elements run"] if total else []
    counts += [f"{count} wait ({reason})" for reason, count in waiting.items()]
    counts += [f"{total - len(elements)} have ended"] if total > len(elements) else []
    return ", ".join(
        counts + [f"the last job {one.state.lower()} ({one.reason})" for one in queue if one.number is None]
    )


def _end(submission: Submission, number: int) -> str:
    """Return how an element ended, by its own record."""
    record, log = submission.record(number), submission.folder / f"{number}.log"
    if not record:
        return f"which could not begin, see {log}" if log.exists() else "which never ran"
    where = f" on {record.get('node', '?')}"
    if "ended" not in record:
        return f"which was lost{where}"
    why = f": {record['why']}" if record.get("why") else ""
    return f"which ended{where} with exit code {record.get('exit_code')}{why}"


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
