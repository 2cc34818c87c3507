"""Plain data: values as a run record has them, equal to themselves after they were written and read again."""

import datetime
import decimal
import enum
import hashlib
import json
import math
import os
import uuid
from collections.abc import Mapping, Sequence, Set
from typing import Any


class NotPlainError(TypeError):
    """A value that a run record can't hold; the message says which, and what to give in its place."""


def plain(value: Any, what: str) -> Any:
    """Return a value as None, bool, int, finite float, text, list or dict with texts as keys.

    NaN and infinity become the texts "NaN", "Infinity" and "-Infinity": JSON has no such numbers, and NaN never equals
    itself. Tuples, sets (sorted) and NumPy arrays become lists; members of an enum, dates and paths their text; NumPy
    scalars numbers. Raises NotPlainError, with `what`, for any other value, whose text may be another one in each run,
    and for a dict of which two keys have the same text.
    """
    try:
        return _plain(value)
    except NotPlainError as error:
        raise NotPlainError(
            f"{what} {error}, which a run record can't hold: give numbers, texts, lists or dicts"
        ) from None


def digest(value: Any) -> str:
    """Return the sha256 of plain data in hexadecimal digits; the order of a dict's keys makes no difference."""
    return _DIGEST_OF_NOTHING if value == {} else _digest(value)


def digest_of_checksums(checksums: Sequence[str]) -> str:
    """Return the sha256 of checksums, one below the other, in hexadecimal digits."""
    return hashlib.sha256("\n".join(checksums).encode()).hexdigest()


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


_DIGEST_OF_NOTHING = _digest({})


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if isinstance(value, enum.Enum):
        # One of texts or numbers is what it stands for.
        return _plain(value.value) if isinstance(value, (str, int, float)) else value.name
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _not_finite(value)
    if isinstance(value, Mapping):
        return _plain_mapping(value)
    if isinstance(value, str):
        # A subclass, such as numpy.str_, may write itself in another way.
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Set):
        return sorted(map(_plain, value), key=_sortable)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        return [_plain(one) for one in value]
    # NumPy's scalars and arrays, without NumPy. One that has no Python counterpart, such as longdouble, returns itself.
    if kind.__module__ == "numpy" and type(listed := value.tolist()) is not kind:
        return _plain(listed)
    return _text(value)


def _text(value: Any) -> str:
    """Return the text of a value that has the same one in each run. Raises NotPlainError for others."""
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (datetime.timedelta, decimal.Decimal, uuid.UUID)):
        return str(value)
    if isinstance(value, os.PathLike) and isinstance(path := os.fspath(value), str):
        return path
    raise NotPlainError(f"holds {_named(value)}")


def _plain_mapping(value: Mapping) -> dict:
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = _plain(key)
        text = name if isinstance(name, str) else json.dumps(name)
        if text in found:
            raise NotPlainError(f"has two keys that are written as {text!r}")
        found[text] = _plain(item)
    return found


def _not_finite(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _sortable(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _named(value: Any) -> str:
    kind = type(value)
    return f"a value of {kind.__module__}.{kind.__qualname__}".replace("builtins.", "")
