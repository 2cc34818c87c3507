"""findLines.m as a Matlab user calls it, on Octave: the same bytes as the NumPy function makes."""

from pathlib import Path

import numpy as np
import pytest

from neuroluigi.signals import lines
from tests.conftest import needs_octave
from tests.signals.aggregates import write_aggregate, write_parts
from tests.signals.line_cases import runs_of_words
from tests.signals.octave import BLOCK_VALUES, m, octave

KINDS = [{"name": "a", "kind": "ap"}, {"name": "SY0", "kind": "digital"}, {"name": "c", "kind": "digital"}]
SEAMS = (0, 1000, 1001, 2047, 2048, 3999)


class Case:
    """Words (samples, channels), and options of both functions."""

    def __init__(self, data: np.ndarray, *options, segments=(0,), cuts=(), **known):
        self.data, self.options, self.segments, self.cuts = data, options, segments, cuts
        self.known = {"sampling_rate_hz": 1000, **known}

    def prepare(self, place: Path) -> str:
        """Write the words and what the NumPy function makes of them; return the call that does the same on Octave."""
        place.mkdir()
        aggregate = write_aggregate(place, self.data, self.segments, **self.known)
        lines.find_lines(aggregate, str(place / "numpy.npy"), str(place / "numpy.json"), *self.options)
        if self.cuts:
            write_parts(place, self.data, self.cuts, 3, self.segments, **self.known)
        files = (m(f"{place.name}/{one}") for one in ("aggregate.json", "lines.npy", "lines.json"))
        return f"findLines({', '.join((*files, *map(m, self.options)))});\n"


def words(channels: int, dtype: str = "int16", samples: int = 4000) -> np.ndarray:
    return runs_of_words(samples + channels, samples, channels, dtype)


CASES = {
    **{dtype: Case(words(2, dtype), "words", [1, 2], segments=SEAMS) for dtype in ("uint8", "int8", "uint16", "int32")},
    "settle": Case(words(3), "words", [1, 3], "settle", 4, segments=SEAMS),
    "width": Case(words(3), "words", [1, 3], "width", 9, segments=SEAMS),
    "settled width": Case(words(3), "words", [3, 2], "settle", 3, "width", 9.5, "bits", [9, 0, 3], segments=SEAMS),
    "field": Case(words(3), "words", [1, 3], "field", [2, 5], segments=SEAMS),
    "settled field": Case(words(3), "words", [2], "field", [2, 3], "settle", 2, segments=SEAMS),
    "field of a bit": Case(words(1), "words", [1], "field", [8, 1]),
    "all of 32 bits": Case(words(1, "int32"), "words", [1], "field", [0, 32]),
    "digital": Case(words(3), channels=KINDS),
    "no words": Case(words(1), channels=KINDS[:1]),
    "names": Case(words(1), "words", [1], "bits", [0, 7], "names", ["naïve \\ 刺激", 'say "go"']),
    "defaults": Case(words(1), "words", [1], "bits", [], "names", [], "field", [], "width", []),
    "one sample": Case(np.array([[-1]], np.int16), "words", [1]),
    "nothing changes": Case(np.full((100, 1), 5, np.uint8), "words", [1], segments=(0, 50)),
    "blocks": Case(words(1, samples=2 * BLOCK_VALUES + 3), "words", [1], "settle", 5, "width", 20,
                   segments=(0, BLOCK_VALUES, BLOCK_VALUES + 1)),
    "blocks of three": Case(words(3, samples=100_000), "words", [2], "width", 5, segments=(0, BLOCK_VALUES // 3)),
    "parts": Case(words(2), "words", [2], segments=SEAMS, cuts=(5, 1000, 1001, 2500)),
    "no rate": Case(words(1), "words", [1], sampling_rate_hz=None),
}  # fmt: skip


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> Path:
    """A folder with a folder of each case, with what NumPy and what Octave made."""
    folder = tmp_path_factory.mktemp("cases")
    calls = [case.prepare(folder / name) for name, case in CASES.items()]
    octave(folder, "".join(calls) + "assert(isempty(fopen('all')));")
    return folder


@needs_octave
@pytest.mark.parametrize("name", CASES)
def test_same_bytes_as_the_numpy_function(compared, name):
    place = compared / name
    assert (place / "lines.npy").read_bytes() == (place / "numpy.npy").read_bytes()
    assert (place / "lines.json").read_bytes() == (place / "numpy.json").read_bytes()
    # They are not equal because there is nothing.
    rows = np.load(place / "lines.npy")
    assert len(rows) > 20 or name in ("one sample", "nothing changes", "no words")


@needs_octave
def test_what_is_wrong_has_the_words_of_the_numpy_function(tmp_path):
    aggregate = write_aggregate(tmp_path, np.zeros((4, 2), np.int16))
    wrong = [
        ("badWords", "words", [3]), ("badWords", "words", [0]), ("badWords", "words", [1.5]),
        ("badWords", "words", [1, 1]), ("badBits", "words", [1], "bits", [16]), ("noWords",),
        ("badBits", "words", [1], "field", [15, 2]), ("badOption", "words", [1], "field", [1]),
        ("badOption", "words", [1], "field", [1, 0]), ("badOption", "words", [1], "field", [1, 2], "width", 5),
        ("badOption", "words", [1], "settle", 0), ("badOption", "words", [1], "width", 0),
        ("badOption", "words", [1], "names", ["a"]), ("badOption", "word", [1]), ("badOption", "words"),
        ("badOption", "words", [1], "bits", [1, 1]), ("badOption", "settle", 1, "settle", 2),
        ("noRate", "words", [1], "width", 5),
    ]  # fmt: skip
    script = "".join(
        f"try, findLines({', '.join(map(m, (aggregate, 'o.npy', 'o.json', *options)))}); catch e,"
        " fprintf('%s %s\\n', e.identifier, e.message); end\n"
        for _, *options in wrong
    )
    said = octave(tmp_path, script).splitlines()
    for (identifier, *options), line in zip(wrong, said, strict=True):
        with pytest.raises(ValueError) as error:
            lines.find_lines(aggregate, str(tmp_path / "n.npy"), str(tmp_path / "n.json"), *options)
        found, _, message = line.partition(" ")
        assert found == f"findLines:{identifier}"
        assert str(error.value).endswith(message) or identifier == "badOption"


@needs_octave
def test_a_rate_that_is_null_is_none(tmp_path):
    aggregate = write_aggregate(tmp_path, np.zeros((4, 1), np.int16), sampling_rate_hz=None)
    call = f"findLines({m(aggregate)}, 'o.npy', 'o.json', 'words', 1, 'width', 5)"
    assert octave(tmp_path, f"try, {call}; catch e, disp(e.identifier); end").strip() == "findLines:noRate"
