"""CommandTask: a step that runs a program, in the version that luigi.cfg declares."""

import functools
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import luigi

from neuroluigi.engines.program import ProgramTimeout, explain_exit, run_program, split_command
from neuroluigi.provenance.files import tail
from neuroluigi.provenance.record import is_version
from neuroluigi.provenance.secret_values import masked_words, without_values
from neuroluigi.steps.base import Step, setting_of_step
from neuroluigi.steps.describe import StepError
from neuroluigi.steps.parameters import secrets_of


class CommandTask(Step):
    """A step that is one run of a program, with `arguments`, never through a shell.

    Mixed with GroupTask, RecordingTask, SessionTask or StudyTask. `command` is the program, and any words in front of
    it, where luigi.cfg names no other; `version_arguments` have it print its version. Where luigi.cfg declares a
    version, the step fails before it runs with another one.
    """

    program = setting_of_step(description="the program, after any words, instead of the one of the step's code")
    version = setting_of_step(description="the version that the program must be of, such as 8 or 8.4.0")
    call_timeout = setting_of_step(luigi.OptionalFloatParameter, description="seconds that it may take; blank: any")

    command: str
    version_arguments: Sequence[str] = ("--version",)

    # A page about the program, for readers of the record; the result does not depend on it.
    home_page: str = ""

    def arguments(self, out: Any) -> Sequence[object]:
        """Return the program's arguments; numbers and paths become text; `out` as in Step.make."""
        raise TypeError(f"{self.task_family} does not say what {self.command} is called with: it has no arguments()")

    def words(self) -> list[str]:
        """Return the command that starts the program, split into words."""
        return list(split_command(self.program or self.command))

    def tool_label(self) -> tuple[str, str]:
        return Path(self.words()[-1]).name, ""

    def found_version(self) -> str:
        """Return the version that the program prints, "" for none."""
        return _version((*self.words(), *self.version_arguments))

    def make(self, out):
        words, found = self.words(), self.found_version()
        name = Path(words[-1]).name
        page = {"home_page": self.home_page} if self.home_page else {}
        self.tool = {"engine": name, "version": found, "command": masked_words(words), **page}
        if self.version and not is_version(found, self.version):
            raise StepError(
                f"{name} {found or 'without a version'} was found where luigi.cfg declares {self.version}; see"
                f" [{self.task_family}] program and version ({' '.join([*words, *self.version_arguments])})"
            )
        command = [
            *words,
            *(os.fspath(one) if isinstance(one, os.PathLike) else str(one) for one in self.arguments(out)),
        ]
        shown = without_values(subprocess.list2cmdline(masked_words(command)), secrets_of(self))
        print(f"% {shown}", flush=True)
        try:
            code, used = run_program(command, self.log, self.call_timeout)
        except ProgramTimeout as late:
            raise StepError(
                f"{name} was ended: {late} ([{self.task_family}] call_timeout); the last it printed:\n{tail(self.log)}"
            ) from late
        if code:
            raise StepError(f"{name} failed ({explain_exit(code)}); the last it printed:\n{tail(self.log)}")
        self.tool = {**self.tool, "used": used}

    def wanted_tool(self) -> dict[str, str]:
        return {"engine": Path(self.words()[-1]).name, **({"version": self.version} if self.version else {})}


@functools.lru_cache(maxsize=64)
def _version(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"\d+(\.\w+)+|\d+", (done.stdout or done.stderr).decode(errors="replace"))
    return found[0] if found else ""
