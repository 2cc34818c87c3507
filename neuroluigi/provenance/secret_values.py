"""Secret values: by which names they are known, and what stands for them in texts and in run records.

In a text it is `***`. In a run record it is a seal, an HMAC with the key of the folder of results: who has the key can
tell that a value is another one; without it nobody can try values out. Two seals of different keys can't be compared:
they are taken as of the same value.
"""

import contextlib
import functools
import hashlib
import hmac
import json
import logging
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

from neuroluigi.provenance.own_file import NOT_READ, read_own, write_own

logger = logging.getLogger("luigi-interface")

MASK = "***"
KEY_FILE = ".key"

# Shorter values are parts of many words.
_SHORTEST = 4

# Each as the words of a name.
_SECRET = (
    *(("password",), ("passwords",), ("passwd",), ("secret",), ("secrets",), ("token",)),
    *(("api", "key"), ("apikey",), ("api", "keys"), ("credential",), ("credentials",)),
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# scheme://user:PASSWORD@host, up to the last @ of a line: a password may have any character in it.
_URL = re.compile(r"([A-Za-z][\w+.-]*://[^\s:/@]*:)(.+)(?=@)")
_SEAL = re.compile(r"hmac-sha256:([0-9a-f]{8}):[0-9a-f]{64}")
_KEY = re.compile("[0-9a-f]{64}")


@functools.lru_cache(maxsize=1 << 12)
def is_secret_name(name: str) -> bool:
    """Whether a name has password, secret, token or the like as a word: apiKey, DB_PASSWORD; not tokenize."""
    words = [word.lower() for word in _WORD.findall(name)]
    return any(tuple(words[k : k + len(one)]) == one for one in _SECRET for k in range(len(words)))


def replaced(value: Any, replacement: Callable[[Any], str], name: str = "") -> Any:
    """Return plain data with replacement(value) in place of each secret: by its name in a dict, or a password in a URL.

    `name` is that of the value itself. None and "" are no secrets.
    """
    if name and is_secret_name(name):
        return value if value is None or value == "" else replacement(value)
    if isinstance(value, str):
        return _replaced_in_text(value, replacement)
    if value is None or isinstance(value, (int, float)):
        # What a plan has most of.
        return value
    if isinstance(value, Mapping):
        return {key: replaced(one, replacement, str(key)) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [replaced(one, replacement) for one in value]
    return value


def _replaced_in_text(text: str, replacement: Callable[[Any], str]) -> str:
    # A parameter that is a dict is JSON in a record, on a command line and in luigi.cfg.
    if text[:1] in ("{", "["):
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            found = replaced(content, replacement)
            return text if found == content else json.dumps(found)
    return _URL.sub(lambda found: found[1] + replacement(found[2]), text) if "://" in text else text


def masked(value: Any, name: str = "") -> Any:
    """Return plain data with *** in place of each secret."""
    return replaced(value, lambda _: MASK, name)


def masked_words(words: Iterable[str], options: Collection[str] = ()) -> list[str]:
    """Return the words of a command line with *** in place of each secret.

    `options` have a secret value, as have those with the name of one, in the word or behind it.
    """
    shown, is_value = [], False
    for word in words:
        option, equals, value = word.partition("=")
        is_secret = word.startswith("-") and (option in options or is_secret_name(option))
        with_value = f"{option}={MASK if is_secret else masked(value)}" if equals and word.startswith("-") else ""
        shown.append(MASK if is_value else with_value or masked(word))
        is_value = is_secret and not equals
    return shown


def without_values(text: str, values: Iterable[object]) -> str:
    """Return a text with *** in place of secret values; a short one is found only where it is the whole text."""
    # The longest first: another one may be a part of it.
    for one in sorted({one for value in values for one in _spellings(value)}, key=len, reverse=True):
        text = MASK if one == text else text.replace(one, MASK) if len(one) >= _SHORTEST else text
    return text


def _spellings(value: object) -> Iterator[str]:
    """Yield a value as it may be in a text: as it is, and as it is quoted in Python, in JSON, and in a URL."""
    yield str(value)
    if not isinstance(value, str):
        yield repr(value)
        return
    raw = value.encode(errors="surrogatepass")
    # Python's quotes are double ones where a text has single ones alone.
    in_code = repr(f'"{value}')[2:-1]
    yield from (in_code, in_code.replace("\\'", "'"), repr(b'"' + raw)[3:-1])
    yield from (json.dumps(value, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False))
    yield from (quote(raw), quote(raw, safe=""), quote_plus(raw))


def without_seals(text: str) -> str:
    """Return a text of a run record, for people: with *** in place of each seal."""
    return _SEAL.sub(MASK, text) if "hmac-" in text else text


class Key(NamedTuple):
    """A key, and the name by which seals say that they are of it."""

    name: str
    secret: bytes

    def seal(self, value: Any) -> str:
        """Return what stands for a value in a run record; a seal stays as it is."""
        if isinstance(value, str) and _SEAL.fullmatch(value):
            return value
        text = json.dumps(value, sort_keys=True, separators=(",", ":"))
        return f"hmac-sha256:{self.name}:{hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()}"


def _key(text: str) -> Key:
    secret = bytes.fromhex(text)
    return Key(hashlib.sha256(b"name of the key" + secret).hexdigest()[:8], secret)


@functools.cache
def _new_key() -> str:
    """Return a key of this process: that of a folder which has none yet, or none that this user can read."""
    return secrets.token_hex(32)


# By folder those that were read, and by name all that this process has; and the folders whose key it may make.
_of_folder: dict[Path, Key] = {}
_named: dict[str, Key] = {}
_to_make: set[Path] = set()


def may_make_key(results: Path) -> None:
    """Let this process make the key of a folder of results, as soon as anything is sealed: a look writes nothing."""
    _to_make.add(results)


def key_of(results: Path) -> Key:
    """Return the key of a folder of results; one of this process alone where there is none that this user can read."""
    if results not in _of_folder:
        if results in _to_make:
            # There may be one, or nothing can be written there.
            with contextlib.suppress(OSError):
                results.mkdir(parents=True, exist_ok=True)
                write_own(results / KEY_FILE, _new_key().encode(), is_new=True)
        text = ""
        with contextlib.suppress(OSError):
            text = read_own(results / KEY_FILE, NOT_READ, most=100).decode("ascii", "replace")
        is_there = _KEY.fullmatch(text) is not None
        key = _key(text if is_there else _new_key())
        _named[key.name] = key
        if not is_there:
            return key
        _of_folder[results] = key
    return _of_folder[results]


def agree(old: Any, new: Any) -> bool:
    """Whether two values, plain data of a run record and of today, are the same as far as it can be known."""
    if old == new:
        return True
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(agree(old[name], new[name]) for name in new)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(agree, old, new))
    old, new = as_sealed(old, new), as_sealed(new, old)
    if not (isinstance(old, str) and isinstance(new, str)):
        return False
    pairs = list(zip(_SEAL.finditer(old), _SEAL.finditer(new), strict=False))
    if not pairs or _SEAL.sub(MASK, old) != _SEAL.sub(MASK, new):
        return False
    comparable = [(one[0], other[0]) for one, other in pairs if one[1] == other[1]]
    if len(comparable) < len(pairs):
        _warn_of_other_key()
    return all(one == other for one, other in comparable)


def as_sealed(value: Any, other: Any) -> Any:
    """Return a value in the clear, of an earlier release, as it is sealed in the other one."""
    found = _SEAL.search(other) if isinstance(other, str) else None
    if not found or value is None or value == "" or (isinstance(value, str) and _SEAL.search(value)):
        return value
    key = _named.get(found[1]) or _key(_new_key())
    return key.seal(value) if found[0] == other else replaced(value, key.seal)


@functools.cache
def _warn_of_other_key() -> None:
    logger.warning(
        "some secret values in the run records were sealed with another key than %s in the folder of results, or with"
        " one that only another user can read: whether they changed can't be known, and they are taken as unchanged",
        KEY_FILE,
    )
