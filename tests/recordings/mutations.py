"""Hostile headers: files changed at random, of which a reader says what is wrong, or something that holds.

MUTATIONS in the environment is how many of each file are tried, 200 without it.
"""

import math
import os
import random
import re
import time
from pathlib import Path

from neuroluigi.recordings.formats.decoding import decoded_blocks
from neuroluigi.recordings.formats.library_process import one_process
from neuroluigi.recordings.formats.reader import KINDS, RecordedFile
from neuroluigi.recordings.recording import RecordingsError

MUTATIONS = int(os.environ.get("MUTATIONS", "200"))
_MOST_BYTES_MORE = 100 << 20
_MOST_SECONDS = 2
_TEXTS = [b"", b"-1", b"0", b"nan", b"inf", b"1e999", b"9" * 400, b"4294967296", b"../x", b"/etc/passwd", b"C:\\x",
          b"\x00", b"\xff\xfe", b"text", b"0.5.5", b"[" * 3000, b"(" * 3000, b"-" * 5000 + b"1", b"$b$b"]  # fmt: skip
_NUMBERS = [
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 62,
    (1 << 64) - 1,
]


def check_mutations(
    module, files: dict[str, bytes], changed: str, folder: Path, most_bytes: int = 0, decoded: float = 1
) -> None:
    """Try a reader on a folder with these files, of which `changed` is another one each time.

    Its first `most_bytes` are changed, all of it for 0. Names may be those of files in folders below. `decoded` is the
    share of encoded recordings that are decoded: a library does so in a new process each time.
    """
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}, file {changed}")
    chance = random.Random(seed)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    names = sorted(path.name for path in folder.iterdir())
    # The process of a library, too.
    module.recordings_in(str(folder), names)
    before = _peak_bytes()
    with one_process():
        for _ in range(MUTATIONS):
            head, tail = files[changed][: most_bytes or None], files[changed][most_bytes:] if most_bytes else b""
            (folder / changed).write_bytes(mutated(head, chance) + (tail if chance.random() < 0.8 else b""))
            # Not of the clock on the wall: other tests run too.
            start = time.process_time()
            recordings = module.recordings_in(str(folder), names)
            assert time.process_time() - start < _MOST_SECONDS
            is_decoded = chance.random() < decoded
            for recording in recordings:
                check_recording(recording, folder, is_decoded)
    assert _peak_bytes() - before < _MOST_BYTES_MORE


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Return the content with some changes: of bytes, numbers, paths, lines; cut off, repeated."""
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        content = chance.choice(_CHANGES)(content, chance)
    return content


def check_recording(recording: RecordedFile, folder: Path, is_decoded: bool = True) -> None:
    """Check that a recording has a problem that can be read, or that all it says fits its files."""
    for text in (*recording.problems, *recording.warnings):
        assert str(folder) in text, text
        assert len(text) < 2000 and "\n" not in text, text
    paths = (recording.path, *recording.sidecars, *(part.path for part in recording.parts))
    assert all(Path(os.path.normpath(path)).is_relative_to(folder) for path in paths), paths
    if recording.problems:
        return
    assert recording.samples > 0
    assert recording.rest_bytes >= 0
    assert recording.channels
    if recording.decode:
        assert recording.parts == ()
        if is_decoded:
            check_decoding(recording, folder)
    else:
        assert recording.samples == sum(part.samples for part in recording.parts)
    for part in recording.parts:
        size = Path(part.path).stat().st_size
        assert part.offset >= 0
        assert part.offset + part.samples * recording.bytes_per_sample <= size
    assert recording.sampling_rate_hz is None or 0 < recording.sampling_rate_hz < math.inf
    for channel in recording.channels:
        assert channel.kind in KINDS and channel.name.isprintable()
        numbers = (channel.scale, channel.offset, channel.x, channel.y)
        assert all(number is None or math.isfinite(number) for number in numbers)
        assert (channel.scale is None) == (channel.offset is None)
    samples = [gap.sample for gap in recording.gaps]
    assert samples == sorted(set(samples))
    assert all(0 < sample < recording.samples for sample in samples)
    assert all(gap.missing is None or gap.missing > 0 for gap in recording.gaps)
    assert recording.start_sample is None or abs(recording.start_sample) < 1 << 62


def check_decoding(recording: RecordedFile, folder: Path) -> None:
    """Check that a recording is decoded to all its samples, or that an error says why it is not."""
    try:
        assert sum(map(len, decoded_blocks(recording))) == recording.samples
    except RecordingsError as error:
        text = str(error)
        assert str(folder) in text and len(text) < 2000 and "\n" not in text, text


def _flip(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        if changed:
            changed[chance.randrange(len(changed))] = chance.choice((0, 1, 255, chance.randrange(256)))
    return bytes(changed)


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _repeat(content: bytes, chance: random.Random) -> bytes:
    first, last = sorted((chance.randrange(len(content) + 1), chance.randrange(len(content) + 1)))
    return content[:last] + content[first:last] * chance.choice((1, 3)) + content[last:]


def _remove(content: bytes, chance: random.Random) -> bytes:
    first = chance.randrange(len(content) + 1)
    return content[:first] + content[first + chance.choice((1, 4, 100)) :]


def _number(content: bytes, chance: random.Random) -> bytes:
    size = chance.choice((1, 2, 4, 8))
    number = (chance.choice(_NUMBERS) & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    at = chance.randrange(len(content) + 1)
    return content[:at] + number + content[at + size :]


def _text(content: bytes, chance: random.Random) -> bytes:
    found = list(re.finditer(rb"[0-9.]+|[A-Za-z_.]{3,}|\S+", content)) or [re.match(b"", content)]
    match = chance.choice(found)
    return content[: match.start()] + chance.choice(_TEXTS) + content[match.end() :]


_CHANGES = (_flip, _cut, _repeat, _remove, _number, _number, _text, _text)


def _peak_bytes() -> int:
    """Return the most memory of this process, and of the largest one that it started; 0 where it is not known."""
    try:
        import resource
    except ImportError:
        return 0
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (own + children) << 10
