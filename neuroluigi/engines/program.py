"""Run a program under a supervisor, which ends it with everything it started when its owner is gone."""

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
from neuroluigi.engines.run_folder import run_folder, run_owner

# The folder of temporary files, in the folder of a program.
TEMPORARY = "temporary"


class ProgramTimeout(RuntimeError):
    """A program that was ended because it took too long."""


def start_supervised(folder: Path, plan: Mapping[str, object], log: Path, cwd: Path) -> subprocess.Popen:
    """Start a supervisor in `folder`; what its program prints is added to `log`.

    `plan` has command and seats as in supervisor.py; the owner is the run, and the caller this process. The program
    runs in the folder `cwd`, with the environment of this process, but for its temporary files: these are in `folder`.
    """
    supervisor.write_whole(folder / "caller", supervisor.process_identity())
    supervisor.write_whole(folder / "supervisor.json", {**plan, "owner": run_owner()})
    temporary = folder / TEMPORARY
    temporary.mkdir()
    # What is left there by a program, or by one that was killed, is so removed; nobody else's is in its way.
    own = {supervisor.FOLDER_VARIABLE: str(folder), **dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(temporary))}
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, supervisor.__file__, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=cwd,
            env={**os.environ, **own},
            start_new_session=True,
        )


def run_program(command: Sequence[str], log: Path, seconds: float | None = None) -> tuple[int, dict]:
    """Run a program to its end in the current folder; return its exit code and what it used.

    The exit code is as in a shell: 127 for a program that can't be started, 128 + n for one that signal n ended. What
    it used: cpu_seconds and peak_memory_bytes, as far as they are known. Raises ProgramTimeout after `seconds`.
    """
    folder = Path(tempfile.mkdtemp(prefix="program-", dir=run_folder()))
    try:
        process = start_supervised(folder, {"command": list(command)}, log, Path.cwd())
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ProgramTimeout(f"no end within {seconds:g} s") from None
        finally:
            if process.poll() is None:
                try:
                    (folder / "end").touch()
                except OSError:
                    supervisor.end_marked(folder)
                process.wait()
        with contextlib.suppress(OSError, ValueError):
            ended = json.loads((folder / "ended.json").read_text(encoding="utf-8"))
            return ended["code"], ended["used"]
        return process.returncode, {}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def split_command(command: str) -> tuple[str, ...]:
    """Return the words of a command in luigi.cfg: a program, whose path may have spaces, or one with arguments."""
    if shutil.which(command):
        return (command,)
    # On Windows a backslash is part of the path.
    found = shlex.split(command, posix=os.name == "posix")
    return tuple(word.strip('"') for word in found) or ("",)


def absolute_word(word: str) -> str:
    """Return a word of a command, as an absolute path where it is a file: the program starts in another folder."""
    return os.path.abspath(word) if os.path.isfile(word) else word  # noqa: PTH100, PTH113 (keeps links)


def explain_exit(code: int) -> str:
    """Return how a program with this exit code ended, in words."""
    if code == supervisor.NOT_FOUND:
        return "exit code 127: the program could not be started"
    if code == supervisor.SIGNALLED + 9:
        return "killed by signal 9: out of memory?"
    if supervisor.SIGNALLED < code < supervisor.SIGNALLED + 65:  # above are codes of Windows
        return f"killed by signal {code - supervisor.SIGNALLED}"
    return f"exit code {code}"
