"""Run a program under a guard, which ends it with everything it started when whoever asked for it is gone."""

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from neuroluigi.engines import supervisor


class ProgramTimeout(RuntimeError):
    """A program that took too long and was ended."""


def start_supervised(
    folder: Path, plan: Mapping[str, object], log: Path, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.Popen:
    """Start a guard with `plan` (see guard.py) in `folder`; what its program prints goes to the end of `log`."""
    supervisor.write_whole(folder / "guard.json", plan)
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, supervisor.__file__, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )


def run_program(command: Sequence[str], log: Path, seconds: float | None = None) -> tuple[int, dict]:
    """Run a program to its end; return its exit code, and what it used. Raises ProgramTimeout after `seconds`."""
    folder = Path(tempfile.mkdtemp(prefix="neuroluigi-"))
    try:
        process = start_supervised(
            folder, {"owner": supervisor.process_identity(), "command": list(command)}, log, Path.cwd()
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ProgramTimeout(f"no end within {seconds:g} s") from None
        finally:
            if process.poll() is None:
                (folder / "end").touch()
                process.wait()
        with contextlib.suppress(OSError, ValueError):
            ended = json.loads((folder / "ended.json").read_text(encoding="utf-8"))
            return ended["code"], ended["used"]
        return process.returncode, {}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def split_command(command: str) -> tuple[str, ...]:
    """Return the words of a command as luigi.cfg has it: a path, which may have spaces, or words in front of it."""
    if shutil.which(command):
        return (command,)
    # On Windows a backslash is part of the path.
    found = shlex.split(command, posix=os.name == "posix")
    return tuple(word.strip('"') for word in found) or ("",)


def absolute_word(word: str) -> str:
    """Return a word of a command with its file's whole path, for a program that is started in another folder."""
    return os.path.abspath(word) if os.path.isfile(word) else word  # noqa: PTH100, PTH113 (keeps links)


def explain_exit(code: int) -> str:
    """Return what an exit code says of how a program ended."""
    if code == supervisor.NOT_FOUND:
        return "exit code 127: the program could not be started"
    if code == supervisor.SIGNALLED + 9:
        return "killed by signal 9: out of memory?"
    if code > supervisor.SIGNALLED:
        return f"killed by signal {code - supervisor.SIGNALLED}"
    return f"exit code {code}"
