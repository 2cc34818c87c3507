"""Libraries that read a format, in a process of their own: no file hangs the run, ends it, or takes all its memory.

libhdf5 follows damaged references for ever, neo reads as many sections as a damaged header says, and either may crash.
The process is this Python, started for the first such file of a listing and asked for one file after the other. What is
asked and answered are lines of JSON, and a block of samples follows its line as bytes: nothing is unpickled.

A format says what its library finds by `read(*arguments)`, a list of RecordedFile, and yields samples by
`decode(*arguments)`; arguments are plain data.
"""

import contextlib
import ctypes
import faulthandler
import importlib
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from neuroluigi.recordings.formats.libraries import read_by
from neuroluigi.recordings.formats.reader import Channel, Gap, Part, RecordedFile, size_of
from neuroluigi.recordings.recording import RecordingsError

if TYPE_CHECKING:
    import numpy as np

# The formats that may be asked for, and what their libraries are imported as.
_LIBRARIES: Mapping[str, str] = {"neo": "neo.rawio", "nwb": "h5py"}

# A header takes less than a second, also from a slow disk. What is looked through whole is more, at the rate that neo
# has for the spikes of Plexon on a slow machine.
_SECONDS, _BYTES_PER_SECOND = 20.0, 1_000_000
# More than what is there before: a chunk of HDF5 may have a gigabyte, and neo notes each record that it looks at.
_MOST_MEMORY, _MEMORY_PER_BYTE = 2 << 30, 2
# With what faulthandler ends a process; so does an error that nothing handles.
_TIMED_OUT = 1

# Without what the package itself imports, Luigi among it, which takes longer than most headers. The modules are to be
# found where this process finds them, and not beside the recordings, should that be the current folder.
_START = """
import sys, types
sys.path[:] = sys.argv[3:]
package = sys.modules["neuroluigi"] = types.ModuleType("neuroluigi")
package.__path__ = [sys.argv[2]]
from neuroluigi.recordings.formats.library_process import main
main(parent=int(sys.argv[1]))
"""

_Answer = tuple[bytes, bytes | memoryview]


@dataclass(frozen=True)
class _Call:
    """A function of a format to be called for a file; the time that each of its answers may take, and its memory."""

    format: str
    function: str
    path: str
    arguments: Sequence[Any]
    seconds: float
    memory: int

    @property
    def library(self) -> str:
        """The name of the library."""
        return _LIBRARIES[self.format].partition(".")[0]


def read(
    format: str, path: str, columns: Mapping[str, str], arguments: Sequence[Any], whole: Sequence[str] = ()
) -> list[RecordedFile]:
    """Return what a format's read(*arguments, columns) does; one recording with a problem where that comes to no end.

    `path` is the file that is read, and `whole` are those that are looked through from end to end.
    """
    try:
        size = sum(map(size_of, whole))
        seconds, memory = _SECONDS + size / _BYTES_PER_SECOND, _MOST_MEMORY + _MEMORY_PER_BYTE * size
        call = _Call(format, "read", path, (*arguments, columns), seconds, memory)
        with one_process() as process:
            return [_from_plain(plain, call) for answer, _ in process.answers(call) for plain in answer["recordings"]]
    except RecordingsError as error:
        return [RecordedFile(format, path, columns, problems=(str(error),))]


def _decoded(call: _Call) -> Iterator["np.ndarray"]:
    import numpy as np

    process = _Process()
    try:
        for answer, content in process.answers(call):
            yield np.frombuffer(content, answer["dtype"]).reshape(answer["shape"])
    finally:
        process.end()


def _as_plain(recorded: RecordedFile) -> dict[str, Any]:
    """Return a recording as JSON has it; `decode` is the list of its arguments."""
    arguments = recorded.decode.args if isinstance(recorded.decode, partial) else None
    return {**asdict(replace(recorded, decode=None)), "decode": arguments}


def _from_plain(plain: dict[str, Any], call: _Call) -> RecordedFile:
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
    for name, kind in (("parts", Part), ("channels", Channel), ("gaps", Gap)):
        values[name] = tuple(kind(**one) for one in plain[name])
    if plain["decode"] is not None:
        values["decode"] = partial(_decoded, replace(call, function="decode", arguments=plain["decode"]))
    return RecordedFile(**values)


class _Process:
    """The process, started where it is needed, and again where a file ended it."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self.asker = os.getpid()

    def answers(self, call: _Call) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Yield the answers to a call, with the bytes of each. Raises RecordingsError, also where there is no end."""
        asked = time.monotonic()
        try:
            questions, answers = self._pipes()
            questions.write(_line(asdict(call)))
            questions.flush()
            while "end" not in (answer := _answer(answers)):
                content = answers.read(answer.get("bytes", 0))
                asked = time.monotonic()
                yield answer, content
        except (OSError, EOFError) as error:
            raise RecordingsError(_explain(call, time.monotonic() - asked, self.end(), error)) from None
        except BaseException:
            # What is still to come would be taken for the answer to the next question.
            self.end()
            raise
        if answer["end"]:
            raise RecordingsError(answer["end"])

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._child is None:
            package = str(Path(__file__).parents[2])
            command = [sys.executable, "-c", _START, str(os.getpid()), package, *map(str, sys.path)]
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return cast(IO[bytes], self._child.stdin), cast(IO[bytes], self._child.stdout)

    def end(self) -> int | None:
        """End the process, and return its exit code; None where there is none."""
        child, self._child = self._child, None
        if child is None:
            return None
        child.kill()
        # What was not written is for nobody.
        with contextlib.suppress(OSError):
            child.communicate()
        return child.returncode


_current: ContextVar[_Process | None] = ContextVar("library_process", default=None)


@contextlib.contextmanager
def one_process() -> Iterator[_Process]:
    """Read all files of this context by one process, which is started for the first one and ends with the context."""
    current = _current.get()
    # A fork has the pipes of its parent, which are not for it.
    if current and current.asker == os.getpid():
        yield current
        return
    process = _Process()
    token = _current.set(process)
    try:
        yield process
    finally:
        _current.reset(token)
        process.end()


def _explain(call: _Call, seconds: float, code: int | None, error: Exception) -> str:
    """Return what became of a call whose process has ended after some seconds."""
    if code is None:
        return f"{call.path} can't be read: {sys.executable} does not start ({error})"
    library = call.library
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        library += f" {importlib.metadata.version(library)}"
    if code == _TIMED_OUT and seconds >= call.seconds:
        what = f"{call.path} could not be read within {call.seconds:.0f} s by {library}"
    else:
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        what = f"{call.path} ended the process in which {library} read it ({how})"
    return f"{what}; it is damaged: copy it again from where it was recorded, or take it away"


def _line(content: object) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _answer(answers: IO[bytes]) -> dict[str, Any]:
    line = answers.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    return json.loads(line)


def main(parent: int) -> None:
    """Answer what is asked on standard input; end with it, and with the process `parent`."""
    # Ctrl-C reaches the parent too, which decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        # Elsewhere a library that does not come back is ended by the limit of time.
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            return
    with os.fdopen(os.dup(1), "wb") as answers, open(os.devnull, "wb") as nowhere:
        # What a library prints is no answer.
        for number in (1, 2):
            os.dup2(nowhere.fileno(), number)
        for line in sys.stdin.buffer:
            _serve(_Call(**json.loads(line)), answers, nowhere)


def _serve(call: _Call, answers: IO[bytes], nowhere: IO[bytes]) -> None:
    problem = ""
    try:
        # From a slow disk that takes longer than any header, and that is not the file's fault.
        with read_by(call.library, call.path):
            importlib.import_module(_LIBRARIES[call.format])
        _limit_memory(call.memory)
        found = _found(call)
        while answer := _within(call.seconds, found, nowhere):
            answers.writelines(answer)
    except RecordingsError as error:
        problem = str(error)
    answers.write(_line({"end": problem}))
    answers.flush()


def _within(seconds: float, found: Iterator[_Answer], nowhere: IO[bytes]) -> _Answer | None:
    """Return the next answer, None where there is no more; end this process where that takes too long."""
    # A thread in C does that, which no library that keeps Python's lock can stop.
    faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
    try:
        return next(found, None)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _found(call: _Call) -> Iterator[_Answer]:
    """Yield each answer to a call: its line, and the bytes that follow that."""
    format = importlib.import_module(f"neuroluigi.recordings.formats.{call.format}")
    if call.function == "read":
        yield _line({"recordings": [_as_plain(one) for one in format.read(*call.arguments)]}), b""
        return
    import numpy as np

    for block in format.decode(*call.arguments):
        content = np.ascontiguousarray(block)
        yield _line({"dtype": content.dtype.str, "shape": content.shape, "bytes": content.nbytes}), content.data


def _limit_memory(more: int) -> None:
    """Let this process have so many bytes more than now; where the system has no such limit, it has none."""
    if sys.platform == "linux":
        import resource

        # Not the address space, of which a file that is mapped takes as much as it is long.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        now = int(status.partition("VmData:")[2].split()[0]) << 10
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        soft = now + more if hard == resource.RLIM_INFINITY else min(now + more, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
