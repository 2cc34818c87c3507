"""Damaged and hostile headers: what a reader makes of each has to be an error that names the file, or an answer."""

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from neuroluigi.recordings.formats.reader import KINDS, RecordedFile
from neuroluigi.recordings.recording import BYTES_PER_VALUE

# All of them with NEUROLUIGI_MUTATIONS=10000.
COUNT = int(os.environ.get("NEUROLUIGI_MUTATIONS", "300"))

_NUMBERS = [b"0", b"-1", b"1", b"65537", b"4294967296", b"9223372036854775807", b"-9223372036854775808", b"9" * 400,
            b"1e308", b"1e999", b"-1e-320", b"nan", b"inf", b"NaN", b"1_0", b"0x10", b"", b"text", b"1.5.2", b"null",
            "٣".encode(), b"[]", b"{}", b'"1"']  # fmt: skip
_TEXTS = [b"../../../etc/passwd", b"/etc/passwd", b"..\\..\\x", b"C:\\x", b"\0", b"\xff\xfe", b"a" * 5000, b"\n", b"=",
          b"~imroTbl=(0,384)(0 0 0 500 250 1)", b"(", b")", b"\x1b[31m", "µ\u2028".encode(), b"[" * 20000,
          b'{"a":' * 5000]  # fmt: skip


def mutations(content: bytes, seed: int, count: int = COUNT) -> Iterator[bytes]:
    """Yield damaged copies of a header: bytes flipped, cut, repeated, numbers and texts replaced."""
    for number in range(count):
        chance = random.Random(f"{seed}-{number}")
        damaged = content
        for _ in range(chance.choice([1, 1, 1, 2, 5])):
            damaged = chance.choice(_WAYS)(damaged, chance)
        yield damaged


def _flip(content: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.choice([1, 3, 30])):
        if damaged:
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    return bytes(damaged)


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _take_out(content: bytes, chance: random.Random) -> bytes:
    start, length = chance.randrange(len(content) + 1), chance.choice([1, 10, 1000])
    return content[:start] + content[start + length :]


def _repeat(content: bytes, chance: random.Random) -> bytes:
    lines = content.split(b"\n")
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
    return b"\n".join(lines)


def _replace(pattern: bytes, values: list[bytes]) -> Callable[[bytes, random.Random], bytes]:
    def replace(content: bytes, chance: random.Random) -> bytes:
        # As often in the first lines, which say most, as in the tables that fill the rest.
        found = list(re.finditer(pattern, content[: chance.choice([2500, len(content) or 1])]))
        if not found:
            return content
        match = chance.choice(found)
        return content[: match.start()] + chance.choice(values) + content[match.end() :]

    return replace


def _insert(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content) + 1)
    return content[:start] + chance.choice(_TEXTS) + content[start:]


_WAYS = (
    _flip, _cut, _take_out, _repeat, _insert, _replace(rb"-?\d+(\.\d+)?", _NUMBERS),
    _replace(rb"-?\d+(\.\d+)?", _NUMBERS), _replace(rb"(?<=[\"=])[^\"\n]+", [*_TEXTS, *_NUMBERS]),
)  # fmt: skip


def check(read: Callable[[], list[RecordedFile]], header: Path, folder: Path, note: str) -> None:
    """Fail where a reader's answer to a damaged header is neither an error that names a file nor an answer."""
    start = time.monotonic()
    try:
        recordings = read()
    except Exception as error:
        raise AssertionError(f"{note}: {type(error).__name__}: {error}") from error
    assert time.monotonic() - start < 5, f"{note}: takes too long"
    for one in recordings:
        for sentence in (*one.problems, *one.warnings):
            assert str(folder) in sentence and "\n" not in sentence and len(sentence) < 2000, f"{note}: {sentence!r}"
        for path in (one.path, *one.sidecars, *(part.path for part in one.parts)):
            assert Path(os.path.normpath(path)).is_relative_to(folder), f"{note}: {path}"  # noqa: PTH
        if not one.problems:
            _check_answer(one, note)


def _check_answer(one: RecordedFile, note: str) -> None:
    assert one.dtype in BYTES_PER_VALUE and one.channels and one.samples > 0, note
    assert one.sampling_rate_hz is None or 0 < one.sampling_rate_hz < float("inf"), note
    assert sum(part.samples for part in one.parts) == one.samples, note
    for part in one.parts:
        assert part.offset + part.samples * one.bytes_per_sample <= Path(part.path).stat().st_size, note
    for channel in one.channels:
        assert channel.kind in KINDS and channel.name.isprintable(), note
        numbers = (channel.scale, channel.offset, channel.x, channel.y)
        assert all(number is None or abs(number) < float("inf") for number in numbers), note
        assert (channel.scale is None) == (channel.offset is None) == (channel.unit == ""), note
    assert all(0 < gap.sample < one.samples and (gap.missing is None or gap.missing > 0) for gap in one.gaps), note
    assert one.clock or one.start_sample is None, note
