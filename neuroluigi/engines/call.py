"""One call of an M-function: the request, what is tried, and the answer.

The call's own answer decides whether it succeeded; what the engine prints, and its exit code, are for the log alone.
"""

import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from neuroluigi.engines import supervisor
from neuroluigi.engines.engine import Engine
from neuroluigi.engines.licence import LicenceError, Patience, find_licence_error
from neuroluigi.engines.pool import use_session
from neuroluigi.engines.prompts import IDENTIFIER, is_prompt
from neuroluigi.engines.seats import request_seat, seat_holders
from neuroluigi.engines.session import CallTimeout, Limits, NoSeat, Request, SessionEnded
from neuroluigi.engines.values import Node
from neuroluigi.provenance.files import tail
from neuroluigi.provenance.record import is_version

logger = logging.getLogger("luigi-interface")

# What Octave and Matlab call it where a function has fewer outputs than are asked for, or leaves one without a value.
_OUTPUT_ERRORS = (
    *("Octave:invalid-fun-call", "Octave:undefined-function"),
    *("MATLAB:maxlhs", "MATLAB:TooManyOutputs", "MATLAB:unassignedOutputs"),
)


class CallError(RuntimeError):
    """A call that failed; the text has the engine, the function, the error's identifier and message, and its line."""


def call_function(
    engine: Engine,
    function: str,
    arguments: Node,
    path: Collection[Path],
    log: Path,
    limits: Limits,
    on_progress: Callable[[dict], None] = lambda progress: None,
    returns: Sequence[str] = (),
) -> tuple[dict[str, object], list[Node]]:
    """Call `[returns...] = function(arguments...)`, an M-function, in a session of `engine`; the arguments are encoded.

    `path`: the folders on the engine's path, the one that wins first. While the call runs, what the engine prints is
    added to `log`, and `on_progress` is called with what reportProgress was given, {"k", "n", "message"}. An engine
    that dies is started once more; the call waits for a licence and for a seat. Returns the engine's version, its
    release, and what the call used, as far as they are known; and the values that the function returned, encoded.
    Raises CallError.
    """
    for folder in path:
        if os.pathsep in str(folder):
            raise CallError(f"the engines can't use a folder whose name contains {os.pathsep!r}: {folder}")
    request = Request(function, arguments, returns)
    patience, has_died = Patience(limits.licence_seconds), False
    while True:
        printed_before = log.stat().st_size if log.exists() else 0
        try:
            facts, answer, values = _try(engine, request, path, log, limits, on_progress)
            break
        except NoSeat:
            assert limits.seats, "a seat is missing only where seats are counted"
            _wait_for_seat(engine, *limits.seats)
        except LicenceError as error:
            _wait_for_licence(engine, function, error, patience, log)
        except CallTimeout as timeout:
            raise CallError(
                f"{engine.name}: {function} was ended: {timeout} (call_timeout in luigi.cfg, --matlab-call-timeout);"
                f" the last it printed:\n{tail(log)}"
            ) from timeout
        except SessionEnded as ended:
            if refusal := find_licence_error(_printed_since(log, printed_before)):
                _wait_for_licence(engine, function, refusal, patience, log)
            elif has_died or ended.code == supervisor.NOT_FOUND:
                raise CallError(f"{engine.name} {ended}; the last it printed:\n{tail(log)}") from ended
            else:
                has_died = True
                logger.warning("%s %s at %s; trying once more", engine.name, ended, function)
    if not answer["ok"]:
        raise CallError(_error_text(answer, engine.name, function, returns))
    return {key: facts[key] for key in ("version", "release", "used") if facts.get(key)}, values


def _try(
    engine: Engine,
    request: Request,
    path: Collection[Path],
    log: Path,
    limits: Limits,
    on_progress: Callable[[dict], None],
) -> tuple[dict, dict, list[Node]]:
    """Make a call in a session; return what the engine is and what it used, the answer, and the values."""
    try:
        with use_session(engine, path, request.function, limits, log) as session:
            facts = session.facts()
            _check_release(engine, facts, limits.release)
            answer, values, used = session.call(request, log, limits.call_seconds, on_progress)
            if not answer["ok"] and (error := find_licence_error(answer["message"], answer["identifier"])):
                # This process has not the licence that the call needs; a new one may get it.
                session.stop()
                raise error
        return {**facts, "used": used}, answer, values
    except OSError as error:
        raise CallError(
            f"{engine.name}: {request.function} could not be called: {error}; temporary files are in"
            f" {tempfile.gettempdir()}, or where the environment variable TMPDIR says"
        ) from error


def _check_release(engine: Engine, facts: Mapping, wanted: str) -> None:
    found = [text for text in (facts.get("release"), facts.get("version")) if text]
    if wanted and not any(is_version(text, wanted) for text in found):
        raise CallError(f"{engine.name} {' / '.join(found)} was found where luigi.cfg declares {wanted}")


def _wait_for_seat(engine: Engine, folder: str, count: int) -> None:
    request_seat(folder)
    if folder not in _waited_for:
        _waited_for.add(folder)
        holders = "; ".join(seat_holders(folder))
        logger.info("waiting for a seat of %s ([matlab] seats = %d); held by %s", engine.name, count, holders)
    time.sleep(0.5)


# Folders of seats that this process has waited for: the message is logged once.
_waited_for: set[str] = set()


def _wait_for_licence(engine: Engine, function: str, error: LicenceError, patience: Patience, log: Path) -> None:
    number = "" if error.code is None else f" {error.code}"
    pause = patience.pause(error)
    if pause is None:
        raise CallError(
            f"{engine.name}: no licence for {function}: error{number}: {error.licence.meaning};"
            f" the last it printed:\n{tail(log)}"
        )
    text = f"licence error{number}: {error.licence.meaning}; next try in {pause:.3g} s"
    logger.warning("%s", text)
    with log.open("a", encoding="utf-8") as stream:
        stream.write(f"% {text}\n")
    time.sleep(pause)


def _printed_since(log: Path, offset: int) -> str:
    with contextlib.suppress(FileNotFoundError), log.open("rb") as file:
        file.seek(offset)
        return file.read().decode("utf-8", errors="replace")
    return ""


def _error_text(answer: dict, engine: str, function: str, returns: Sequence[str]) -> str:
    stack = answer.get("stack") or []
    frames = stack if isinstance(stack, list) else [stack]
    # The first frame is where the error was raised; after it come the callers, the last of them neuroluigiServe.m.
    frames = [f for f in frames if f["line"] > 0 and not f["name"].startswith("neuroluigiServe")]
    if answer["identifier"] == IDENTIFIER:
        frames = [f for f in frames if not is_prompt(f["name"])]
    where = f" ({frames[0]['name']}, line {frames[0]['line']} of {Path(frames[0]['file']).name})" if frames else ""
    identifier = f"{answer['identifier']}: " if answer["identifier"] else ""
    text = f"{engine}: {function} failed: {identifier}{answer['message']}{where}"
    # Raised by the call itself, or by the end of the function.
    is_of_call = not frames or Path(frames[0]["file"]).stem == function.rpartition(".")[2]
    if returns and is_of_call and answer["identifier"] in ("", *_OUTPUT_ERRORS):
        text += f"; its step asks for {len(returns)} values: [{', '.join(returns)}] = {function}(...)"
    return text
