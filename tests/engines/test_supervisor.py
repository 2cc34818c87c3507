"""The supervisor ends its program, with everything that it started, on request or when nobody is left to use it."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from neuroluigi.engines import supervisor
from tests.conftest import needs_octave
from tests.engines.lab import wait_for

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the programs are shell scripts")

# A child that a TERM does not end, and one that has left session and process group; each leaves its process id.
STUBBORN = "trap '' TERM; echo $$ > stubborn.pid; while true; do sleep 0.2; done"
PLAIN = "echo $$ > plain.pid; exec sleep 300"
IN_OWN_SESSION = "setsid sh -c 'echo $$ > session.pid; exec sleep 300' &"
# Its parent ends at once, so it is a child of the system alone, or of the supervisor.
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


def start(folder: Path, *command: str, more=None, **options) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    plan = {"owner": supervisor.process_identity(), "command": command, **(more or {})}
    (folder / "supervisor.json").write_text(json.dumps(plan))
    return subprocess.Popen(
        [sys.executable, supervisor.__file__, str(folder)],
        stdin=subprocess.DEVNULL,
        cwd=folder.parent,
        start_new_session=True,
        **options,
    )


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


def ended(folder: Path) -> dict:
    return json.loads((folder / "ended.json").read_text())


@pytest.mark.parametrize("name", TREES)
def test_a_file_named_end_ends_everything(tmp_path, name):
    script, leaves = TREES[name]
    process = start(tmp_path / "call", "sh", "-c", script)
    family = [process_of(tmp_path / f"{leaf}.pid") for leaf in leaves]
    try:
        assert all(map(is_alive, family))
        (tmp_path / "call" / "end").touch()
        wait_for(lambda: not any(map(is_alive, family)))
        number = signal.SIGKILL if name == "ignores TERM" else signal.SIGTERM
        assert process.wait(timeout=60) == 128 + number
        assert ended(tmp_path / "call")["code"] == 128 + number
    finally:
        kill(family)


def test_a_folder_that_is_removed_ends_everything(tmp_path):
    process = start(tmp_path / "call", "sh", "-c", PLAIN)
    program = process_of(tmp_path / "plain.pid")
    try:
        shutil.rmtree(tmp_path / "call")
        wait_for(lambda: not is_alive(program))
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
    finally:
        kill([program])


@pytest.mark.parametrize("is_reaped", [True, False])
def test_the_death_of_the_owner_ends_everything(tmp_path, is_reaped):
    script, leaves = TREES["all"]
    owner = subprocess.Popen(["sleep", "300"])
    process = start(tmp_path / "call", "sh", "-c", script, more={"owner": supervisor.process_identity(owner.pid)})
    family = [process_of(tmp_path / f"{leaf}.pid") for leaf in leaves]
    try:
        assert all(map(is_alive, family))
        owner.kill()
        if is_reaped:
            owner.wait()
        wait_for(lambda: not any(map(is_alive, family)))
        process.wait(timeout=60)
        # Nobody is left to read the folder.
        wait_for(lambda: not (tmp_path / "call").exists())
    finally:
        kill(family)
        owner.wait()


def test_the_death_of_a_caller_ends_everything_and_none_does_not(tmp_path):
    caller = subprocess.Popen(["sleep", "300"])
    process = start(tmp_path / "call", "sh", "-c", PLAIN)
    program = process_of(tmp_path / "plain.pid")
    try:
        (tmp_path / "call" / "caller").write_text(json.dumps(supervisor.process_identity(caller.pid)))
        time.sleep(3 * supervisor.POLL_SECONDS)
        assert is_alive(program)
        caller.kill()
        wait_for(lambda: not is_alive(program))
        process.wait(timeout=60)
        # Its owner may still read how it ended.
        assert ended(tmp_path / "call")["code"] == 128 + signal.SIGTERM
    finally:
        kill([program])
        caller.wait()


def test_the_death_of_the_supervisor_ends_the_program(tmp_path):
    process = start(tmp_path / "call", "sh", "-c", PLAIN)
    program = process_of(tmp_path / "plain.pid")
    try:
        process.kill()
        wait_for(lambda: not is_alive(program))
        assert not is_alive(program)
    finally:
        kill([program])


def test_a_seat_is_held_while_the_program_runs_and_given_up_when_asked_idle(tmp_path):
    seats = {"folder": str(tmp_path), "count": 1}
    holder = start(
        tmp_path / "a",
        "sh",
        "-c",
        f"echo $$ > plain.pid; until test -e {tmp_path}/a/stop; do sleep 0.05; done",
        more={"seats": seats},
    )
    process_of(tmp_path / "plain.pid")
    second = start(tmp_path / "b", "true", more={"seats": seats})
    assert second.wait(timeout=60) == supervisor.NO_SEAT and ended(tmp_path / "b")["code"] == supervisor.NO_SEAT
    told = json.loads(wait_for(lambda: (tmp_path / "seat-0.json").exists() and (tmp_path / "seat-0.json").read_text()))
    assert told["pid"] == holder.pid
    # Busy, it stays.
    (tmp_path / "a" / "ready.json").write_text("{}")
    (tmp_path / "a" / "caller").write_text(json.dumps(supervisor.process_identity()))
    (tmp_path / supervisor.REQUEST).touch()
    time.sleep(3 * supervisor.POLL_SECONDS + supervisor.BETWEEN_CALLS_SECONDS)
    assert holder.poll() is None and not (tmp_path / "a" / "stop").exists()
    (tmp_path / "a" / "caller").unlink()
    assert holder.wait(timeout=60) == 0
    assert not (tmp_path / supervisor.REQUEST).exists()
    # The seat is free, and what was asked of the one before is not asked of the next.
    (tmp_path / supervisor.REQUEST).touch()
    third = start(tmp_path / "c", "true", more={"seats": seats})
    assert third.wait(timeout=60) == 0 and not (tmp_path / supervisor.REQUEST).exists()


def test_signals_leave_the_supervisor_and_its_program_alone(tmp_path):
    process = start(tmp_path / "call", "sh", "-c", "echo $$ > plain.pid; until test -e go; do sleep 0.05; done; exit 3")
    program = process_of(tmp_path / "plain.pid")
    for number in (signal.SIGTERM, signal.SIGINT) * 3:
        process.send_signal(number)
    assert process.poll() is None
    assert is_alive(program)
    (tmp_path / "go").touch()
    assert process.wait(timeout=60) == 3


def test_the_program_itself_receives_signals(tmp_path):
    """The program does not inherit that the supervisor ignores signals."""
    process = start(tmp_path / "call", "sh", "-c", "kill -INT $$; sleep 300")
    assert process.wait(timeout=60) == 128 + signal.SIGINT


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 3", 3), ("kill -SEGV $$", 139), ("kill -KILL $$", 137), ("kill -TERM $$", 143)],
)
def test_exit_codes_pass_through(tmp_path, script, code):
    process = start(tmp_path / "call", "sh", "-c", script)
    assert process.wait(timeout=60) == code


def test_a_missing_program_is_named(tmp_path):
    process = start(tmp_path / "call", str(tmp_path / "nowhere"), stderr=subprocess.PIPE, text=True)
    _, err = process.communicate(timeout=60)
    assert process.returncode == supervisor.NOT_FOUND
    assert err == f"{tmp_path}/nowhere: [Errno 2] No such file or directory: '{tmp_path}/nowhere'\n"


def test_usage_is_written(tmp_path):
    busy = "data = bytearray(50_000_000) + b'x'\nwhile __import__('time').process_time() < 0.3: pass"
    process = start(tmp_path / "call", sys.executable, "-c", busy)
    assert process.wait(timeout=60) == 0
    usage = ended(tmp_path / "call")["used"]
    assert 0.3 <= usage["cpu_seconds"] < 10
    assert 50e6 < usage["peak_memory_bytes"] < 500e6


def test_the_program_gets_no_input_and_the_output_of_the_supervisor(tmp_path):
    process = start(tmp_path / "call", "sh", "-c", "cat; echo done; echo trouble >&2", stdout=-1, stderr=-1, text=True)
    assert process.communicate(timeout=60) == ("done\n", "trouble\n")


def test_a_survivor_of_the_program_is_ended_too(tmp_path):
    script = f"{IN_OWN_SESSION} until test -e session.pid; do sleep 0.05; done"
    process = start(tmp_path / "call", "sh", "-c", script)
    survivor = process_of(tmp_path / "session.pid")
    try:
        assert process.wait(timeout=60) == 0
        assert not is_alive(survivor)
    finally:
        kill([survivor])


def test_identities_tell_processes_apart():
    pid, started = supervisor.process_identity()
    assert supervisor.is_alive([pid, started])
    assert not supervisor.is_alive([pid, started - 1])
    other = subprocess.Popen(["sleep", "300"])
    identity = supervisor.process_identity(other.pid)
    other.kill()
    # A zombie, and then nothing.
    wait_for(lambda: not supervisor.is_alive(identity))
    other.wait()
    assert not supervisor.is_alive(identity)
    with pytest.raises(ProcessLookupError):
        supervisor.process_identity(other.pid)


# Has the clock set while a call is on: Linux then says that the system started at another time.
CLOCK_IS_SET = """
import subprocess, sys, threading
from pathlib import Path
from neuroluigi.engines import supervisor

def set_clock():
    folder = Path({folder!r})
    while not (folder / "on").exists():
        pass
    lines = Path("/proc/stat").read_text().splitlines()
    lines = [f"btime {{int(one.split()[1]) + {by}}}" if one.startswith("btime") else one for one in lines]
    (folder / "stat").write_text("\\n".join(lines) + "\\n")
    subprocess.run(["mount", "--bind", folder / "stat", "/proc/stat"], check=True)
    # Several looks of each who looks.
    threading.Event().wait(5 * supervisor.POLL_SECONDS)
    (folder / "go").touch()

threading.Thread(target=set_clock).start()
{call}
"""


@needs_octave
@pytest.mark.parametrize("by", [-3600, -1, 1, 3600])
def test_a_clock_that_is_set_ends_no_call(warm_lab, by):
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs a mount namespace")
    here = warm_lab.folder
    body = f"fclose(fopen('{here}/on', 'w')); while ~isfile('{here}/go'), pause(0.05); end, printf('%d', getpid());"
    warm_lab.write("waits", body)
    code = CLOCK_IS_SET.format(folder=str(here), by=by, call=warm_lab.calling_code("waits") * 2)
    subprocess.run(["unshare", "--mount", sys.executable, "-c", code], check=True, timeout=60)
    # The second call found the session of the first.
    pids = warm_lab.log.read_text()
    assert pids[: len(pids) // 2] * 2 == pids


def test_a_folder_is_kept_fresh(tmp_path):
    folder = tmp_path / "pool" / "session"
    (folder / "work").mkdir(parents=True)
    file = folder / "work" / "file"
    file.touch()
    paths = (folder.parent, folder, file.parent, file)
    for path in reversed(paths):
        os.utime(path, (1000, 2000))
    supervisor.keep_fresh(folder)
    assert all(time.time() - path.stat().st_atime < 60 and path.stat().st_mtime == 2000 for path in paths)


def test_modules_beside_the_script_stand_for_no_others(tmp_path):
    """Run by its path, a script's folder comes first where modules are searched."""
    script = shutil.copy(supervisor.__file__, tmp_path)
    for name in ("json", "signal", "psutil", "filelock", "platform"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(99)\n")
    folder = tmp_path / "call"
    folder.mkdir()
    plan = {"owner": supervisor.process_identity(), "command": ["true"], "seats": {"folder": str(folder), "count": 1}}
    (folder / "supervisor.json").write_text(json.dumps(plan))
    assert subprocess.run([sys.executable, script, str(folder)], cwd=folder, timeout=60, check=False).returncode == 0
    assert ended(folder)["code"] == 0
