"""The guard ends its program, with everything that it started, when its lifeline closes; and does nothing else."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from neuroluigi import guard

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the programs are shell scripts")

# A child that a TERM does not end, and one that has left session and process group; each leaves its process id.
STUBBORN = "trap '' TERM; echo $$ > stubborn.pid; while true; do sleep 0.2; done"
PLAIN = "echo $$ > plain.pid; exec sleep 300"
IN_OWN_SESSION = "setsid sh -c 'echo $$ > session.pid; exec sleep 300' &"
# Its parent ends at once, so it is nobody's child but the system's, or the guard's.
ORPHAN = 'sh -c \'setsid sh -c "trap \\"\\" TERM; echo \\$\\$ > orphan.pid; while true; do sleep 0.2; done" & exit\''

TREES = {
    "program": (PLAIN, ["plain"]),
    "ignores TERM": (STUBBORN, ["stubborn"]),
    "child in its own session": (f"{IN_OWN_SESSION} {PLAIN}", ["session", "plain"]),
    "all": (
        f"{ORPHAN}; {IN_OWN_SESSION} sh -c {shlex.quote(STUBBORN)} & {PLAIN}",
        ["orphan", "session", "stubborn", "plain"],
    ),
}


def start(folder: Path, *command: str, **options) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, guard.__file__, str(folder), *command],
        stdin=subprocess.PIPE,
        cwd=folder.parent,
        start_new_session=True,
        **options,
    )


def wait_for(condition, seconds: float = 10):
    """Return what `condition` returns as soon as it is true."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)
    return value


def process_of(path: Path) -> psutil.Process:
    """Return the process whose id is in a file, once it is there."""
    return psutil.Process(int(wait_for(lambda: path.exists() and path.read_text().strip())))


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill(processes) -> None:
    """Leave nothing behind when a test fails."""
    for process in processes:
        if is_alive(process):
            process.kill()


@pytest.mark.parametrize("name", TREES)
def test_the_end_of_the_lifeline_ends_everything(tmp_path, name):
    script, leaves = TREES[name]
    process = start(tmp_path / "call", "sh", "-c", script)
    family = [process_of(tmp_path / f"{leaf}.pid") for leaf in leaves]
    try:
        assert all(map(is_alive, family))
        process.stdin.close()
        wait_for(lambda: not any(map(is_alive, family)))
        assert process.wait(timeout=10) == 128 + signal.SIGTERM
        # Nobody is left to read it.
        assert not (tmp_path / "call").exists()
    finally:
        kill(family)


def test_the_death_of_the_parent_ends_everything(tmp_path):
    script, leaves = TREES["all"]
    folder = tmp_path / "call"
    folder.mkdir()
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys; subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE).wait()",
            *(sys.executable, guard.__file__, str(folder), "sh", "-c", script),
        ],
        cwd=tmp_path,
        start_new_session=True,
    )
    family = [process_of(tmp_path / f"{leaf}.pid") for leaf in leaves]
    family += psutil.Process(parent.pid).children()
    try:
        parent.kill()
        parent.wait()
        wait_for(lambda: not any(map(is_alive, family)))
        wait_for(lambda: not folder.exists())
    finally:
        kill(family)


def test_signals_leave_the_guard_and_its_program_alone(tmp_path):
    process = start(tmp_path / "call", "sh", "-c", "echo $$ > plain.pid; until test -e go; do sleep 0.05; done; exit 3")
    program = process_of(tmp_path / "plain.pid")
    for number in (signal.SIGTERM, signal.SIGINT) * 3:
        process.send_signal(number)
    time.sleep(0.2)
    assert process.poll() is None
    assert is_alive(program)
    (tmp_path / "go").touch()
    assert process.wait(timeout=10) == 3


def test_the_program_itself_feels_signals(tmp_path):
    """What the guard ignores, its program does not inherit."""
    process = start(tmp_path / "call", "sh", "-c", "kill -INT $$; sleep 300")
    assert process.wait(timeout=10) == 128 + signal.SIGINT


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 3", 3), ("kill -SEGV $$", 139), ("kill -KILL $$", 137), ("kill -TERM $$", 143)],
)
def test_exit_codes_pass_through(tmp_path, script, code):
    process = start(tmp_path / "call", "sh", "-c", script)
    assert process.wait(timeout=10) == code


def test_a_missing_program_is_named(tmp_path):
    process = start(tmp_path / "call", str(tmp_path / "nowhere"), stderr=subprocess.PIPE, text=True)
    _, err = process.communicate(timeout=10)
    assert process.returncode == guard.NOT_FOUND
    assert err == f"{tmp_path}/nowhere: [Errno 2] No such file or directory: '{tmp_path}/nowhere'\n"


def test_usage_is_told(tmp_path):
    busy = "data = bytearray(50_000_000) + b'x'\nwhile __import__('time').process_time() < 0.3: pass"
    process = start(tmp_path / "call", sys.executable, "-c", busy)
    assert process.wait(timeout=30) == 0
    usage = json.loads((tmp_path / "call" / "usage.json").read_text())
    assert 0.3 <= usage["cpu_seconds"] < 10
    assert 50e6 < usage["peak_memory_bytes"] < 500e6


def test_the_program_gets_no_input_and_the_output_of_the_guard(tmp_path):
    process = start(tmp_path / "call", "sh", "-c", "cat; echo done; echo trouble >&2", stdout=-1, stderr=-1, text=True)
    # Not communicate(), which would close the lifeline.
    assert process.wait(timeout=10) == 0
    assert process.stdout.read() == "done\n"
    assert process.stderr.read() == "trouble\n"


def test_a_survivor_that_holds_the_output_open_does_not_hold_up_the_guard(tmp_path):
    process = start(tmp_path / "call", "sh", "-c", f"{IN_OWN_SESSION} until test -e session.pid; do sleep 0.05; done")
    survivor = process_of(tmp_path / "session.pid")
    try:
        assert process.wait(timeout=10) == 0
        # Matlab leaves such processes to the next Matlab.
        assert is_alive(survivor)
    finally:
        kill([survivor])
