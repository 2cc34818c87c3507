"""What a Slurm job of a submission (see slurm.py) does on its node.

    python -m neuroluigi.cluster.slurm_job element [--seats N] FOLDER --of PlotAll ...
    python -m neuroluigi.cluster.slurm_job last [--settle SECONDS] FOLDER PlotAll ...

An element is a plain `luigi` run of some groups. It is queued again by Slurm where its node is lost, and by itself
where the walltime ends first; it goes on where it was, as any run does. The last job goes by the state of the results
alone, not by exit codes, neither of an element nor of Slurm.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from neuroluigi.cluster import slurm
from neuroluigi.provenance.files import read_json, write_json
from neuroluigi.provenance.record import read_record, timestamp
from neuroluigi.provenance.run_record import write_run_record
from neuroluigi.runner.command_line import exit_on_error, named_module
from neuroluigi.runner.run import Run, command_line, interrupt, prepare_process
from neuroluigi.runner.run_log import describe_run
from neuroluigi.steps.attempt import MADE, Attempt
from neuroluigi.steps.base import Step
from neuroluigi.steps.config import RunStopped, results_root
from neuroluigi.steps.describe import start_clock
from neuroluigi.steps.matlab import SEATS_VARIABLE
from neuroluigi.steps.plan import status_of, walk_statuses
from neuroluigi.steps.spawn import INTERRUPTED

# The commands of `neuroluigi` that the last job ends with.
_LAST_COMMANDS = ("report", "status")

_OUT_OF_TIME = "the walltime ended; it was queued again"


def element(folder: Path, words: list[str], seats: int | None) -> int:
    """Run the groups of this element of the array; return the exit code.

    `seats` is the number of Matlabs for which Slurm gave it licences, None where it gives none.
    """
    number = int(os.environ["SLURM_ARRAY_TASK_ID"])
    with (folder / "groups.txt").open(encoding="utf-8") as file:
        groups = next(line for position, line in enumerate(file) if position == number).strip()
    start, out_of_time, run = start_clock(), False, None

    def stop(signum, frame):
        nonlocal out_of_time
        out_of_time = True
        # A run sends itself this signal again where it is lost.
        signal.raise_signal(signal.SIGTERM)

    # SIGUSR1 has a meaning for Luigi. There is no Slurm on Windows.
    if sys.platform != "win32":
        signal.signal(signal.SIGUSR2, stop)
    signal.signal(signal.SIGTERM, interrupt)
    path = folder / f"{number}.json"
    before = slurm.Submission(folder, {}).record(number)
    about = {
        "job": f"{os.environ['SLURM_ARRAY_JOB_ID']}_{number}",
        "node": os.environ.get("SLURMD_NODENAME", ""),
        "host": socket.gethostname(),
        "restarts": int(os.environ.get("SLURM_RESTART_COUNT", "0")),
        "started": start["started"],
    }
    print(f"neuroluigi: element {about['job']} on {about['node']}, restart {about['restarts']}", flush=True)
    code, why = 1, "an error stopped it; see its log"
    try:
        write_json(path, about)
        with _own_seats(folder / f"seats-{number}", seats) as settings:
            run = Run(["neuroluigi.Subset", *words, *settings, "--groups", groups], is_whole=False)
            code, why = _execute(run)
        if out_of_time and code == INTERRUPTED:
            code, why = _go_on_later(about["job"], start, before, run)
    finally:
        end = {"ended": timestamp(), "exit_code": code, "made": _count_made(run), "why": why}
        write_json(path, {**about, **end})
    if why:
        print(f"neuroluigi: {why}", file=sys.stderr)
    return code


def _execute(run: Run) -> tuple[int, str]:
    """Run luigi; return the exit code, and why it ended where one step is not the reason."""
    try:
        code = run.execute()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except RunStopped as error:
        return 1, str(error)
    return code, "it was ended by a signal (scancel, preemption)" if code == INTERRUPTED else ""


@contextlib.contextmanager
def _own_seats(folder: Path, seats: int | None) -> Iterator[list[str]]:
    """Give the settings for this element's share of the seats, where Slurm counts the licences of Matlab."""
    if seats is None:
        yield []
        return
    os.environ[SEATS_VARIABLE] = str(folder)
    try:
        yield ["--matlab-seats", str(seats)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _go_on_later(job: str, start: dict, before: dict, run: Run) -> tuple[int, str]:
    """Queue the element again, unless it would never end; return the exit code and the reason.

    `before` is the record of how it ended the last time, {} where this was the first.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if before.get("why") == _OUT_OF_TIME and not (before["made"] or _count_made(run)):
        limit = f"the walltime ended after {time.monotonic() - start['monotonic']:.0f} s, before it was made"
        interrupted = run.worker.running_tasks if run.worker else []
        for step in interrupted:
            if isinstance(step, Step):
                Attempt(step).note_failure(f"{limit}; give more with neuroluigi slurm --time", start)
        steps = ", ".join(map(str, interrupted)) or "no step began"
        return 1, f"nothing was made in two walltimes, so it is not queued again; give more with --time ({steps})"
    done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
    if done.returncode:
        return 1, f"the walltime ended, and it could not be queued again: {' '.join(done.stderr.split())}"
    return INTERRUPTED, _OUT_OF_TIME


def _count_made(run: Run | None) -> int:
    return run.worker.outcomes[MADE].total() if run and run.worker else 0


def last(folder: Path, words: list[str], settle: float) -> int:
    """Run what is left when the array has ended, and print what is missing; return 1 where something is."""
    undone, has_more = _undone_in_the_end(folder, words, settle)
    if undone:
        print(f"neuroluigi: not everything was made of {len(undone)} groups, so what depends on several is not run")
    elif has_more and (why := _execute(Run(words, is_whole=False))[1]):
        print(f"neuroluigi: {why}")
    sys.stdout.flush()
    # The rest only reads results.
    write_json(folder / "last.json", {"ended": timestamp()})
    _write_run_record(folder, words)
    root, *settings = words
    neuroluigi = [sys.executable, "-m", "neuroluigi", "--module", named_module(words), "--task", root]
    commands = ([*neuroluigi, command, *settings] for command in _LAST_COMMANDS)
    return [subprocess.run(command, check=False).returncode for command in commands][-1]


def _write_run_record(folder: Path, words: list[str]) -> None:
    """Write the record of all jobs of the submission as one run, from the results that they made."""
    job = read_json(folder / "job.json")
    if not job:
        return
    submitted = datetime.fromisoformat(job["submitted"])
    made: Counter[str] = Counter()
    failed: list[str] = []
    with command_line(words) as root:
        is_done = status_of(root).is_complete
        for step, status in walk_statuses(root):
            is_done &= status.is_complete
            made[step.task_family] += _is_since(submitted, read_record(step.record_path))
            failed += [str(step)] if status.failure else []
        results = results_root()
        record = {
            **describe_run(root, job["command"], results),
            "started": job["submitted"],
            "made": dict(sorted((+made).items())),
            "failed": sorted(failed),
            "ended": timestamp(),
            "seconds": round((datetime.now().astimezone() - submitted).total_seconds(), 3),
            "exit_code": 0 if is_done else 1,
            "log": folder.relative_to(results).as_posix(),
        }
    write_run_record(results, record)


def _is_since(moment: datetime, record: dict | None) -> bool:
    """Return whether a result was made after a moment, by its record."""
    with contextlib.suppress(KeyError, TypeError, ValueError):
        return datetime.fromisoformat((record or {})["started"]) >= moment
    return False


def _undone_in_the_end(folder: Path, words: list[str], settle: float) -> tuple[list[str], bool]:
    """Return what slurm.undone does, after waiting for a shared disk to show what others wrote."""
    until, pause = time.monotonic() + settle, 1.0
    while True:
        with command_line(words) as root:
            undone, has_more = slurm.unfinished_groups(root)
            results = results_root()
        if time.monotonic() + pause > until or not _may_be_late(folder, undone):
            return undone, has_more
        print(f"neuroluigi: waiting for the disk to show the results of {len(undone)} groups", flush=True)
        time.sleep(pause)
        pause *= 2
        # A network file system refreshes its cache of a folder when that is listed.
        for name in undone:
            for cached in (results, results / name, results / name / "runs", folder):
                with contextlib.suppress(OSError):
                    os.listdir(cached)  # noqa: PTH208 (for its side effect)


def _may_be_late(folder: Path, undone: list[str]) -> bool:
    """Return whether any of the undone groups are of an element that succeeded, or that has no end record."""
    submission, missing = slurm.Submission(folder, {}), set(undone)
    ended = {
        number: submission.record(number)
        for number, names in enumerate(submission.groups())
        if missing.intersection(names)
    }
    return any("ended" not in record or record.get("exit_code") == 0 for record in ended.values())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("element", "last"))
    parser.add_argument("--seats", type=int)
    parser.add_argument("--settle", type=float, default=0)
    parser.add_argument("folder", type=Path)
    parser.add_argument("words", nargs=argparse.REMAINDER)
    job = parser.parse_args()
    prepare_process()
    with exit_on_error():
        if job.kind == "element":
            sys.exit(element(job.folder, job.words, job.seats))
        sys.exit(last(job.folder, job.words, job.settle))


if __name__ == "__main__":
    main()
