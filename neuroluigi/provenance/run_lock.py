"""Runs at the same time on one folder of results: those whose settings agree run side by side, others wait.

Whoever writes results has a register (register.py) as long as it writes. That of a run says which settings decide; that
of a command, or of a step with no run around it, does not.
"""

import contextlib
import logging
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuroluigi.provenance.clearing import clear_killed
from neuroluigi.provenance.register import LOCK_ERRORS, Register, current, is_alive, registers

logger = logging.getLogger("luigi-interface")

_POLL_SECONDS = 0.5


@contextlib.contextmanager
def side_by_side(
    results: Path, settings: Mapping[str, str], command: str, roots: Sequence[Path] = ()
) -> Iterator[None]:
    """Wait for the end of runs with other settings, and make such runs wait until the context ends.

    `settings` are those that determine the results, by name; two runs agree if each name that both have has the same
    value. `command` is what other runs print while they wait. What killed runs left in the results, or in one of the
    folders `roots`, is cleared away.
    """
    has_warned = False
    while True:
        with _open_register(results, {"command": command, "settings": dict(settings)}, roots) as register:
            # Each run opens its register before it reads those of others, so of two at least one finds the other.
            other = _other(register, settings) if register else ""
            if not other:
                yield
                return
        if not has_warned:
            has_warned = True
            logger.warning("waiting for another run on these results, which has other settings: %s", other)
        time.sleep(_POLL_SECONDS * (0.5 + random.random()))


@contextlib.contextmanager
def registered(results: Path, command: str, roots: Sequence[Path] = ()) -> Iterator[None]:
    """Have a register for what is written in this context: that of the run around it, or one of its own."""
    if current(results):
        yield
    else:
        with _open_register(results, {"command": command}, roots):
            yield


@contextlib.contextmanager
def _open_register(results: Path, note: Mapping[str, Any], roots: Sequence[Path]) -> Iterator[Register | None]:
    """Have a register of its own, None where none can be written: then what is written fails with the reason."""
    was_there = results.is_dir()
    try:
        register = Register.open(results, note)
    except LOCK_ERRORS:
        yield None
        return
    clear_killed(results, (results, *roots))
    try:
        yield register
    finally:
        with contextlib.suppress(OSError):
            register.end()
        register.close()
        # What killed children left; the register stays where one lives on.
        clear_killed(results, (results, *roots))
        if not was_there:
            with contextlib.suppress(OSError):
                results.rmdir()


def running(results: Path) -> list[str]:
    """Return a line for each run at work on these results: command, process and host."""
    return [_described(path, run) for path, run in _alive(results)]


def others(results: Path) -> list[str]:
    """Return the lines of `running` without the run of this process."""
    own = current(results)
    return [_described(path, run) for path, run in _alive(results) if not own or path != own.path]


def is_running(results: Path, run_id: str = "", host: str = "", pid: int = 0) -> bool:
    """Whether the run with that id is at work on these results; of records without one, that of host and process."""
    return any(path.stem == run_id if run_id else _who(path, run) == (host, str(pid)) for path, run in _alive(results))


def _other(own: Register, settings: Mapping[str, str]) -> str:
    """Return a run at work with other settings, and up to three of these; "" where there is none."""
    for path, run in _alive(own.results):
        theirs = run["settings"]
        differing = [name for name in settings.keys() & theirs.keys() if settings[name] != theirs[name]]
        if path != own.path and differing:
            values = (f"{name} {theirs[name]}, here {settings[name]}" for name in sorted(differing)[:3])
            return f"{_described(path, run)} ({'; '.join(values)})"
    return ""


def _alive(results: Path) -> Iterator[tuple[Path, dict]]:
    return ((path, note) for path, note in registers(results) if "settings" in note and is_alive(path))


def _who(path: Path, run: Mapping) -> tuple[str, str]:
    """Return host and process of a run; earlier releases had them in the name of the register."""
    host, _, pid = path.stem.rpartition("-")
    return str(run.get("host", host)), str(run.get("pid", pid))


def _described(path: Path, run: Mapping) -> str:
    host, pid = _who(path, run)
    return f"{run['command']}, process {pid} on {host}"
