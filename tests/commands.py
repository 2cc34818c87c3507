"""The commands `luigi`, `neuroluigi` and `luigid`, started for a test as a user starts them, but for their imports.

Loading Luigi, NumPy and Matplotlib takes longer than most of what the tests ask. So a process loads them once, and each
command is a fork of it: a process of its own, with its folder, environment, pipes and exit code, that executes the
installed script. A test that is about a start itself, or looks at a process from outside (/proc/PID/environ is that of
what it is a fork of), says forks=False. With NEUROLUIGI_FORK=0 all start from nothing.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT
from threading import Thread

BIN = Path(sys.executable).parent
SCRIPTS = [BIN / name for name in ("luigi", "neuroluigi", "luigid")]
MAY_FORK = sys.platform == "linux" and os.environ.get("NEUROLUIGI_FORK") != "0"

# What takes long to load. Not neuroluigi.ephys: Luigi would know its tasks whether a tasks.py names them or not.
PACKAGES = ("jinja2", "numpy.random")
OURS = ("cli", "recordings", "runner", "signals")

# Beginnings of variables that are read where Python starts or a package is imported.
READ_AT_START = ("PYTHON", "LUIGI", "MPL", "LANG", "LC_", "OMP_", "OPENBLAS_")


# What a user has set for Python would decide here over how output is buffered, or which packages are found.
for name in [name for name in os.environ if name.startswith("PYTHON")]:
    del os.environ[name]
# Of a tasks.py that was changed within a second and is as long as before, Python would take the old bytecode.
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


def clean_environment() -> dict[str, str]:
    """Return the environment of a user, with the activated environment first on PATH."""
    return {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def read_at_start(env) -> dict[str, str]:
    """Return the variables that a fork has from the process that it is a fork of."""
    return {name: value for name, value in env.items() if name.startswith(READ_AT_START)}


AT_START = read_at_start(os.environ)


def start(command, *, forks=True, env=None, **options):
    """Start a command, from nothing if told so; options and what is returned are those of subprocess.Popen.

    A script of the tests is [sys.executable, PATH, ...].
    """
    env = dict(os.environ) if env is None else env
    words = command[1:] if command[0] == sys.executable and Path(command[1]).suffix == ".py" else command
    if forks and MAY_FORK and (words != command or words[0] in SCRIPTS) and read_at_start(env) == AT_START:
        return Forked(words, env, **options)
    return subprocess.Popen(command, env=env, **options)


def run(command, *, capture_output=False, timeout=None, check=False, **options) -> subprocess.CompletedProcess:
    """Run a command to its end; options and what is returned are those of subprocess.run."""
    if capture_output:
        options |= {"stdout": PIPE, "stderr": PIPE}
    process = start(command, **options)
    try:
        out, err = process.communicate(timeout=timeout)
    except BaseException:
        process.kill()
        process.wait()
        raise
    done = subprocess.CompletedProcess(command, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


class Forked:
    """A command that is a fork; what tests use of subprocess.Popen."""

    def __init__(self, command, env, cwd=None, stdin=None, stdout=None, stderr=None, text=False, encoding=None):
        self.args, self.returncode = command, None
        with contextlib.ExitStack() as stack:

            def end_of(given, number, is_input=False):
                """Return the command's end of a stream, and the test's end of a pipe."""
                if given == PIPE:
                    ends = os.pipe() if is_input else os.pipe()[::-1]
                    stack.callback(os.close, ends[0])
                    mode = ("w" if is_input else "r") + ("" if text or encoding else "b")
                    return ends[0], os.fdopen(ends[1], mode, encoding=encoding)
                if given == DEVNULL:
                    stack.callback(os.close, null := os.open(os.devnull, os.O_RDWR))
                    return null, None
                return (number if given is None else given if isinstance(given, int) else given.fileno()), None

            fds = [None, None, None]
            fds[0], self.stdin = end_of(stdin, 0, is_input=True)
            fds[1], self.stdout = end_of(stdout, 1)
            fds[2], self.stderr = (fds[1], None) if stderr == STDOUT else end_of(stderr, 2)
            ended, ending = os.pipe()
            stack.callback(os.close, ending)
            self._ended = os.fdopen(ended, "rb", buffering=0)
            request = [[str(word) for word in command], str(cwd or Path.cwd()), env]
            socket.send_fds(server().requests, [json.dumps(request).encode()], [*fds, ending])
        self.pid = int(self._ended.read(16))

    def poll(self):
        return self._wait(0)

    def wait(self, timeout=None):
        if self._wait(timeout) is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def _wait(self, timeout):
        if self.returncode is None and select.select([self._ended], [], [], timeout)[0]:
            self.returncode = int(self._ended.read(16))
        return self.returncode

    def communicate(self, timeout=None):
        read = {}
        streams = [stream for stream in (self.stdout, self.stderr) if stream]
        readers = [Thread(target=lambda s=s: read.update({s: s.read()}), daemon=True) for s in streams]
        for one in readers:
            one.start()
        until = None if timeout is None else time.monotonic() + timeout
        for one in readers:
            one.join(None if until is None else max(0, until - time.monotonic()))
        if any(one.is_alive() for one in readers):
            raise subprocess.TimeoutExpired(self.args, timeout)
        self.wait(None if until is None else max(0, until - time.monotonic()))
        return read.get(self.stdout), read.get(self.stderr)

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream:
                stream.close()
        self.wait()


class Server:
    """The process that commands are forks of; it ends with the process of the tests."""

    def __init__(self):
        self.requests, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            command, folder = [sys.executable, __file__, str(other.fileno())], Path(__file__).parent
            self.process = subprocess.Popen(
                command, cwd=folder, stdin=DEVNULL, stdout=DEVNULL, pass_fds=[other.fileno()]
            )
        atexit.register(self.end)

    def end(self):
        self.requests.close()
        self.process.wait()


server = functools.cache(Server)


def serve(requests: socket.socket) -> list:
    """Fork for each request; return the words of its command in the fork. Ends where there is nobody who asks."""
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    forks = {}
    while True:
        for fd, _ in poll.poll():
            if fd in forks:
                pid, ending = forks.pop(fd)
                poll.unregister(fd)
                os.close(fd)
                # Nobody waits for it any more.
                with contextlib.suppress(BrokenPipeError):
                    os.write(ending, str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
                os.close(ending)
                continue
            request, fds, _, _ = socket.recv_fds(requests, 1 << 20, 4)
            if not request:
                sys.exit()
            pid = os.fork()
            if not pid:
                return become(requests, fds, *json.loads(request))
            os.write(fds[3], str(pid).encode())
            forks[watched := os.pidfd_open(pid)] = pid, fds[3]
            poll.register(watched, select.POLLIN)
            for fd in fds[:3]:
                os.close(fd)


def become(requests: socket.socket, fds: list[int], words: list[str], folder: str, env: dict[str, str]) -> list[str]:
    """Make this process that of a command, as far as it depends on who starts it."""
    for number, fd in enumerate(fds[:3]):
        os.dup2(fd, number)
    os.closerange(3, max(requests.detach(), *fds) + 1)
    # The old ones know where in their file they are.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        old = getattr(sys, name)
        buffering = 1 if name == "stderr" else -1
        new = os.fdopen(old.fileno(), mode, buffering, encoding=old.encoding, errors=old.errors, closefd=False)
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    # It was asked for by what is imported.
    tempfile.tempdir = None
    time.tzset()
    # Luigi looked for a luigi.cfg when it was imported, where there was none.
    importlib.import_module("luigi").configuration.get_config().reload()
    return words


if __name__ == "__main__":
    # As it is for a script, whose folder is that of the scripts.
    sys.path[0] = str(BIN)
    for package in PACKAGES:
        importlib.import_module(package)
    for package in [importlib.import_module(f"neuroluigi.{name}") for name in OURS]:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    # With the first figure, Matplotlib reads its fonts.
    canvas = importlib.import_module("matplotlib.backends.backend_agg").FigureCanvasAgg
    canvas(importlib.import_module("matplotlib.figure").Figure()).print_png(os.devnull)
    # That other threads, which are NumPy's, are not in a fork.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    gc.freeze()
    sys.argv = serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_path(sys.argv[0], run_name="__main__")
