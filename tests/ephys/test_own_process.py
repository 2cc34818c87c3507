"""A function in a process of its own."""

import errno
import os
import signal
import sys

import pytest

from neuroluigi.ephys.own_process import in_own_process
from neuroluigi.steps.describe import StepError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is called in this process")


def test_what_it_writes_is_there_and_nothing_of_it_in_this_process(tmp_path):
    path, seen = tmp_path / "a", []

    def write() -> None:
        seen.append(os.getpid())
        path.write_text(str(os.getpid()))

    in_own_process(write, path)
    assert path.read_text() != str(os.getpid()) and not seen


def test_errors_are_raised_again(tmp_path):
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "b"))

    with pytest.raises(OSError, match="No space left on device") as caught:
        in_own_process(full, tmp_path / "a")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "b"))
    with pytest.raises(FileNotFoundError):
        in_own_process((tmp_path / "nowhere").read_text, tmp_path / "a")
    with pytest.raises(StepError, match=r"^ZeroDivisionError: division by zero$"):
        in_own_process(lambda: 1 / 0, tmp_path / "a")
    with pytest.raises(StepError, match=r"^as it is$"):
        in_own_process(lambda: (_ for _ in ()).throw(StepError("as it is")), tmp_path / "a")


def test_a_crash_is_an_error_of_the_step(tmp_path):
    with pytest.raises(StepError, match=r"the library that writes a\.nwb crashed \(SIGSEGV\)"):
        in_own_process(lambda: os.kill(os.getpid(), signal.SIGSEGV), tmp_path / "a.nwb")
    with pytest.raises(StepError, match=r"crashed \(exit code 3\)"):
        in_own_process(lambda: os._exit(3), tmp_path / "a.nwb")


def test_it_ends_when_this_process_is_interrupted(tmp_path):
    reader, writer = os.pipe()

    def wait() -> None:
        os.write(writer, str(os.getpid()).encode())
        os.kill(os.getppid(), signal.SIGINT)
        signal.pause()

    with pytest.raises(KeyboardInterrupt):
        in_own_process(wait, tmp_path / "a")
    child = int(os.read(reader, 20))
    with pytest.raises(ChildProcessError):
        os.waitpid(child, 0)
