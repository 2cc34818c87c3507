"""`neuroluigi.build`: luigi.build with all that the `luigi` command puts around a run."""

from collections.abc import Mapping, Sequence
from typing import Any

import luigi
from luigi.execution_summary import LuigiRunResult, LuigiStatusCode

from neuroluigi.runner import patches
from neuroluigi.runner.progress import Display
from neuroluigi.runner.run import CheckingWorker, RecordedRun, check_tasks
from neuroluigi.steps.config import RunStopped, set_defaults


def build(
    tasks: Sequence[luigi.Task], workers: int = 1, detailed_summary: bool = False, **options: Any
) -> bool | LuigiRunResult:
    """Run tasks as the `luigi` command does. Return whether all is made; with `detailed_summary` luigi.build's answer.

    `options` are those of luigi.build; local_scheduler is True unless it is given. What concerns the run as a whole is
    found before anything is made, and raises RunStopped: settings that can't be read, a group that there is not, two
    tasks that make the same file. A step that fails raises nothing, as with luigi.build.
    """
    result, code, _ = run_tasks(["neuroluigi.build"], tasks, {"workers": workers, **options})
    return result if detailed_summary else code == 0


def run_tasks(
    command: Sequence[str], tasks: Sequence[luigi.Task], options: Mapping[str, Any], display: Display | None = None
) -> tuple[LuigiRunResult, int, CheckingWorker | None]:
    """Run tasks with the options of luigi.build; return Luigi's answer, the exit code of such a run, and its worker.

    `command` stands before the tasks in the run record. Raises what build() does.
    """
    tasks = [tasks] if isinstance(tasks, luigi.Task) else list(tasks)
    if wrong := [one for one in tasks if not isinstance(one, luigi.Task)]:
        raise RunStopped(f"luigi: {command[0]} takes tasks; {wrong[0]!r} is none")
    set_defaults()
    with patches.applied(patches.empty_command_line(), patches.plain_log_lines(), patches.processes_end()):
        check_tasks(tasks)
        run = RecordedRun([*command, *map(str, tasks)], tasks, display=display)
        options = {"worker_scheduler_factory": run.factory, "local_scheduler": True, **options}
        with run.under_way():
            result = luigi.build(tasks, detailed_summary=True, **options)
            # Luigi's own answer is True where what an ExternalTask has is missing, and nothing was made.
            is_good = result.status in (LuigiStatusCode.SUCCESS, LuigiStatusCode.SUCCESS_WITH_RETRY)
            run.recorder.exit_code = 0 if is_good else 1
    return result, run.recorder.exit_code, run.factory.worker
