"""One call of an M-function: the request, what is tried, and the answer.

Arguments travel in a JSON file, in an encoding that Matlab and Octave read alike and without loss. The call's own
answer decides whether it succeeded; what the engine prints, and its exit code, are for the log alone.
"""

import contextlib
import logging
import math
import os
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from neuroluigi.engines import supervisor
from neuroluigi.engines.engine import Engine
from neuroluigi.engines.licence import LicenceError, Patience, find_licence_error
from neuroluigi.engines.pool import use_session
from neuroluigi.engines.seats import request_seat, seat_holders
from neuroluigi.engines.session import CallTimeout, Limits, NoSeat, SessionEnded
from neuroluigi.provenance.files import tail
from neuroluigi.provenance.record import is_version

logger = logging.getLogger("luigi-interface")

# Doubles are whole up to here; a larger integer travels as int64.
_LARGEST_WHOLE_DOUBLE = 2**53


class CallError(RuntimeError):
    """A call that failed; the text has the engine, the function, the error's identifier and message, and its line."""


def call_function(
    engine: Engine,
    function: str,
    arguments: Sequence[object],
    path: Collection[Path],
    log: Path,
    limits: Limits,
    on_progress: Callable[[dict], None] = lambda progress: None,
) -> dict[str, object]:
    """Call `function(arguments...)`, an M-function, in a session of `engine`.

    `path`: the folders on the engine's path, the one that wins first. While the call runs, what the engine prints is
    added to `log`, and `on_progress` is called with what reportProgress was given, {"k", "n", "message"}. An engine
    that dies is started once more; the call waits for a licence and for a seat. Returns the engine's version, its
    release, and what the call used, as far as they are known. Raises CallError, and TypeError for an argument that
    can't be encoded.
    """
    for folder in path:
        if os.pathsep in str(folder):
            raise CallError(f"the engines can't use a folder whose name contains {os.pathsep!r}: {folder}")
    request = {
        "name": encode(function),
        # Not encode(arguments), which would make one column of numbers alone.
        "arguments": {"class": "cell", "value": [encode(argument) for argument in arguments]},
    }
    patience, has_died = Patience(limits.licence_seconds), False
    while True:
        printed_before = log.stat().st_size if log.exists() else 0
        try:
            with use_session(engine, path, limits, log) as session:
                facts = session.facts()
                _check_release(engine, facts, limits.release)
                answer, used = session.call(request, log, limits.call_seconds, on_progress)
                if not answer["ok"] and (error := find_licence_error(answer["message"], answer["identifier"])):
                    # This process has not the licence that the call needs; a new one may get it.
                    session.stop()
                    raise error
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
        raise CallError(_error_text(answer, engine.name, function))
    facts = {**facts, "used": used}
    return {key: facts[key] for key in ("version", "release", "used") if facts.get(key)}


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


def _error_text(answer: dict, engine: str, function: str) -> str:
    stack = answer.get("stack") or []
    frames = stack if isinstance(stack, list) else [stack]
    # The first frame is where the error was raised; after it come the callers, the last of them neuroluigiServe.m.
    frames = [f for f in frames if f["line"] > 0 and not f["name"].startswith("neuroluigiServe")]
    where = f" ({frames[0]['name']}, line {frames[0]['line']} of {Path(frames[0]['file']).name})" if frames else ""
    identifier = f"{answer['identifier']}: " if answer["identifier"] else ""
    return f"{engine}: {function} failed: {identifier}{answer['message']}{where}"


def encode(value: object) -> dict:
    """Encode a value for neuroluigiServe.m, as {"class": ..., "value": ...}.

    str -> char row, bool -> logical, int and float -> double (int64 above 2^53), None -> [], a list of numbers -> a
    column, any other list -> a cell column, a dict -> a struct. Numbers travel as text: no JSON reader of an engine
    keeps NaN, 1e-300 or large integers. Raises TypeError for anything else.
    """
    # Scalars and arrays of NumPy, without importing it.
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        # NUL would end the text; a lone surrogate is what Python makes of a byte of a file name that is not UTF-8.
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
        return {"class": "logical", "value": [str(int(v)) for v in values]}
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
