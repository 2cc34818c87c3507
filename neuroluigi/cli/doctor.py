"""What `neuroluigi doctor` prints: what a run would find on this machine, and what would keep it from starting."""

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import luigi

from neuroluigi.engines.call import CallError, call_function
from neuroluigi.engines.engine import CURE, EngineError, find_engine
from neuroluigi.engines.mfiles import search_path
from neuroluigi.engines.program import split_command
from neuroluigi.engines.seats import seat_holders
from neuroluigi.engines.session import Limits
from neuroluigi.engines.values import encode_arguments
from neuroluigi.provenance import run_lock
from neuroluigi.provenance.m_code import m_files
from neuroluigi.provenance.record import package_versions
from neuroluigi.runner.luigi_script import NAMES, script_owner, script_path, script_problem
from neuroluigi.runner.options import in_force
from neuroluigi.steps.config import RunStopped, recordings, recordings_root, results_root, setting
from neuroluigi.steps.discovery import groups
from neuroluigi.steps.matlab import MatlabTask, m_folders, m_path, matlab, seats_folder
from neuroluigi.steps.plan import walk_statuses

# Bytes. With less, the next larger result fills the disk.
_LITTLE_SPACE = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that was examined: its name, what was found, and the problem with its cure ("" if there is none).

    `is_fatal`: a run could not start.
    """

    what: str
    text: str
    problem: str = ""
    is_fatal: bool = False


def examine(root: luigi.Task) -> Iterator[Finding]:
    """Yield all findings, in the order in which a run needs things; each engine is started once."""
    yield Finding("host", f"{platform.node()}, {platform.platform()}, {os.cpu_count()} processors")
    versions = package_versions(("numpy", "matplotlib", "pynwb"))
    for name, version in versions.items():
        yield Finding(name, version)
    if "pynwb" not in versions:
        yield Finding("pynwb", "not installed; for NWB files: pip install 'neuroluigi[nwb]'")
    yield from commands()
    yield from _engines()
    yield from _seats()
    yield from _folders()
    yield from _recordings()
    yield from _steps(root)
    yield from (Finding("at work", run) for run in run_lock.running(results_root()))
    for one in in_force(root):
        yield Finding(one.name, f"{one.value or 'blank'} ({one.source})")


def commands() -> Iterator[Finding]:
    """Yield the script of each command that Luigi has too, with its owner."""
    for name in NAMES:
        path, problem = script_path(name), script_problem(name)
        owner = f", of {script_owner(path)}" if path.is_file() else ""
        yield Finding(f"{name} command", f"{path}{owner}", problem)


def _engines() -> Iterator[Finding]:
    settings = setting(matlab)
    commands = {"matlab": split_command(settings.command), "octave": split_command(settings.octave_command)}
    for name in ("matlab", "octave"):
        try:
            engine = find_engine(name, commands, may_use_numpy=False)
        except EngineError:
            text = f"not found (looked for {commands[name][0]} on PATH)"
            # Not fatal: the other engine may do, and a step that needs this one has a finding of its own.
            yield Finding(name, f"{text}; {CURE[name]}")
            continue
        began = time.monotonic()
        log = Path(tempfile.mkdtemp(prefix="neuroluigi-")) / "doctor.log"
        try:
            # Without a seat: that all licences are in use is a finding, not a reason to wait.
            found, _ = call_function(engine, "version", encode_arguments([]), m_path(), log, Limits(is_warm=False))
        except CallError as error:
            yield Finding(name, str(engine), f"it can't be started: {error}", is_fatal=settings.engine == name)
        else:
            release = f", release {found['release']}" if found.get("release") else ""
            seconds = time.monotonic() - began
            version = f"version {found.get('version', '?')}{release}"
            yield Finding(name, f"{engine.command[0]}, {version}, starts, answers and exits in {seconds:.1f} s")
        finally:
            shutil.rmtree(log.parent, ignore_errors=True)


def _seats() -> Iterator[Finding]:
    held = seat_holders(seats_folder())
    text = f"{setting(matlab).seats} of Matlab" + (f", held by {'; '.join(held)}" if held else ", none held")
    yield Finding("seats", text)


def _folders() -> Iterator[Finding]:
    folders = {"results": results_root(), "temporary": Path(tempfile.gettempdir())}
    if not setting(recordings).are_real():
        folders["fake recordings"] = recordings_root()
    for name, folder in folders.items():
        existing = next(one for one in (folder, *folder.parents) if one.exists())
        free = shutil.disk_usage(existing).free
        text = f"{folder}, {free / 1e9:.1f} GB free"
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            problem = f"{existing} can't be written to; choose another folder or ask its owner"
            yield Finding(name, text, problem, is_fatal=True)
        elif free < _LITTLE_SPACE:
            yield Finding(name, text, "there is little space left; neuroluigi drop gives some back")
        else:
            yield Finding(name, text)
    listed = m_folders().items()
    counts = {folder: sum(len(m_files(one)) for one, _ in search_path({folder: name})) for folder, name in listed}
    text = "; ".join(f"{folder}, {count} files" for folder, count in counts.items())
    yield Finding("M-files", text, "" if any(counts.values()) else "there are none; see [matlab] folder")


def _recordings() -> Iterator[Finding]:
    try:
        found = groups()
    except RunStopped as error:
        yield Finding("recordings", str(recordings_root()), str(error).removeprefix("luigi: "), is_fatal=True)
        return
    count = sum(len(group.recordings) for group in found.values())
    bad = sum(bool(group.problems) for group in found.values())
    problem = f"{bad} groups have problems; see neuroluigi recordings" if bad else ""
    yield Finding("recordings", f"{recordings_root()}: {count} in {len(found)} groups", problem)


def _steps(root: luigi.Task) -> Iterator[Finding]:
    """Yield the engine on which each kind of step would run."""
    try:
        kinds = {type(step): step for step, _ in walk_statuses(root)}
    except RunStopped as error:
        yield Finding("pipeline", root.task_family, str(error).removeprefix("luigi: "), is_fatal=True)
        return
    for kind, step in kinds.items():
        if isinstance(step, MatlabTask):
            try:
                yield Finding(kind.__name__, f"runs on {step.found_engine()}")
            except EngineError as error:
                yield Finding(kind.__name__, "runs on nothing", str(error), is_fatal=True)
