"""One call of an M-function: the request, the process, the answer.

Arguments travel in a JSON file, in an encoding that arrives on Matlab and Octave alike as it was sent. The call's own
answer decides whether it went well; what the engine prints, and its exit code, are for the log.
"""

import contextlib
import json
import logging
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from neuroluigi import guard
from neuroluigi.engines import CALL_FOLDER_VARIABLE, Engine

logger = logging.getLogger("luigi-interface")

# An engine that has answered may take its time to exit (a Matlab with Simulink in a container: minutes).
EXIT_SECONDS = 30

# Doubles are whole up to here; a larger integer travels as int64.
_LARGEST_WHOLE_DOUBLE = 2**53


class CallError(RuntimeError):
    """A call that failed; the message has function, identifier, message and M-file line."""


def call_function(
    engine: Engine, function: str, arguments: Sequence[object], folder: Path, log: Path
) -> dict[str, object]:
    """Call `function(arguments...)`, an M-function in `folder`, in a process of its own.

    What the engine prints goes to the end of `log` while it runs. Returns the facts of the answer: engine, version,
    release, and what it used. Raises CallError.
    """
    if os.pathsep in str(folder):
        raise CallError(f"the engines can't use a folder whose name contains {os.pathsep!r}: {folder}")
    request = {
        "folder": encode(str(folder)),
        "name": encode(function),
        # Not encode(arguments), which would make one column of numbers alone.
        "arguments": {"class": "cell", "value": [encode(argument) for argument in arguments]},
    }
    # A private folder with an ASCII name: the engine's current folder, with nothing of the user's in it.
    call_folder = Path(tempfile.mkdtemp(prefix="neuroluigi-"))
    try:
        shutil.copy(Path(__file__).with_name("neuroluigiCall.m"), call_folder)
        (call_folder / "request.json").write_text(json.dumps(request), encoding="ascii")
        code = _run(engine, call_folder, log)
        answer = _read_answer(call_folder)
        if answer is None:
            raise CallError(
                f"{engine.name} ended without an answer ({_explain(code)}); the last it printed:\n{_tail(log)}"
            )
        if not answer["ok"]:
            raise CallError(_error_text(answer, engine.name, function))
        if code != 0:
            logger.warning(
                "%s answered that %s went well, then ended badly (%s)", engine.name, function, _explain(code)
            )
        with contextlib.suppress(OSError, ValueError):
            answer["used"] = json.loads((call_folder / "usage.json").read_text())
        return {key: answer[key] for key in ("version", "release", "used") if answer.get(key)}
    finally:
        shutil.rmtree(call_folder, ignore_errors=True)


def _run(engine: Engine, call_folder: Path, log: Path) -> int:
    """Run the engine under a guard until it exits, and return its exit code."""
    environment = {**os.environ, CALL_FOLDER_VARIABLE: str(call_folder)}
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, guard.__file__, str(call_folder), *engine.call_command()],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=stream,
            cwd=call_folder,
            env=environment,
            start_new_session=True,
        )
    try:
        answered_at = None
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(timeout=1)
            if answered_at is None and (call_folder / "answer.json").exists():
                answered_at = time.monotonic()
            if answered_at is not None and time.monotonic() - answered_at > EXIT_SECONDS:
                answer = (call_folder / "answer.json").read_bytes()
                process.stdin.close()
                process.wait()
                # The guard has removed the folder: it knows of nobody who would read it.
                call_folder.mkdir(mode=0o700, exist_ok=True)
                (call_folder / "answer.json").write_bytes(answer)
                logger.warning("%s did not exit within %d s after its answer and was ended", engine.name, EXIT_SECONDS)
                return 0
    finally:
        process.stdin.close()
        process.wait()


def _read_answer(call_folder: Path) -> dict | None:
    try:
        text = (call_folder / "answer.json").read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return None
    return json.loads(text)


def _error_text(answer: dict, engine: str, function: str) -> str:
    stack = answer.get("stack") or []
    frames = stack if isinstance(stack, list) else [stack]
    # The first frame is where it happened; below it are the callers, and at last this project's own.
    frames = [f for f in frames if f["line"] > 0 and not f["name"].startswith("neuroluigiCall")]
    where = f" ({frames[0]['name']}, line {frames[0]['line']} of {Path(frames[0]['file']).name})" if frames else ""
    identifier = f"{answer['identifier']}: " if answer["identifier"] else ""
    return f"{engine}: {function} failed: {identifier}{answer['message']}{where}"


def _explain(code: int) -> str:
    if code == guard.NOT_FOUND:
        return "exit code 127: the program could not be started"
    if code == guard.SIGNALLED + 9:
        return "killed by signal 9: out of memory?"
    if code > guard.SIGNALLED:
        return f"killed by signal {code - guard.SIGNALLED}"
    return f"exit code {code}"


def _tail(log: Path, lines: int = 15) -> str:
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 8192))
        return "\n".join(file.read().decode("utf-8", errors="replace").splitlines()[-lines:])


def encode(value: object) -> dict:
    """Encode a value for neuroluigiCall.m, as {"class": ..., "value": ...}.

    str -> char row, bool -> logical, int and float -> double (int64 above 2^53), None -> [], a list of numbers -> a
    column, any other list -> a cell column, a dict -> a struct. Numbers travel as text: no JSON reader of an engine
    keeps NaN, 1e-300 or large integers. Raises TypeError for anything else.
    """
    # NumPy's scalars and arrays, without asking for NumPy.
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        # NUL would end the text; half a character is what Python makes of a file name that is not UTF-8.
        if re.search("[\0\ud800-\udfff]", value):
            raise TypeError(f"{value!r} has a character that can't be given to Matlab or Octave")
        return {"class": "char", "value": value}
    if value is None:
        return {"class": "double", "value": []}
    if isinstance(value, (bool, int, float)):
        return _encode_numbers([value])
    if isinstance(value, dict):
        wrong = [key for key in value if not (isinstance(key, str) and re.fullmatch("[A-Za-z][A-Za-z0-9_]*", key))]
        if wrong:
            raise TypeError(f"{wrong[0]!r} can't name a field of a Matlab struct")
        return {"class": "struct", "value": [{"name": k, "value": encode(v)} for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(v, (bool, int, float)) for v in value):
            return _encode_numbers(value)
        return {"class": "cell", "value": [encode(v) for v in value]}
    raise TypeError(f"a Matlab function can't be given a {type(value).__name__}: {value!r}")


def _encode_numbers(values: Sequence[bool | int | float]) -> dict:
    if all(isinstance(v, bool) for v in values):
        return {"class": "logical", "value": ["01"[v] for v in values]}
    whole = [v for v in values if isinstance(v, int)]
    if len(whole) == len(values) and any(abs(v) > _LARGEST_WHOLE_DOUBLE for v in whole):
        if any(not -(2**63) <= v < 2**63 for v in whole):
            raise TypeError(f"{max(whole, key=abs)} does not fit into an int64")
        # High and low part, because text of 19 digits passes through a double on both engines.
        parts = [divmod(abs(v), 10**9) for v in whole]
        signs = [-1 if v < 0 else 1 for v in whole]
        halves = [f"{sign * part}" for sign, pair in zip(signs, parts, strict=True) for part in pair]
        return {"class": "int64", "value": halves}
    return {"class": "double", "value": [_number_text(float(v)) for v in values]}


def _number_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return repr(value)
