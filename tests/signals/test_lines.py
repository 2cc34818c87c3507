"""Changes of digital lines in words of bits, against their definition and the truth of real files."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroluigi.signals import blocks, lines
from tests.conftest import FORMATS, REAL_RECORDINGS, needs_formats, needs_real_recordings
from tests.signals.aggregates import write_aggregate, write_parts
from tests.signals.line_cases import lines_by_definition, read_lines, runs_of_words

RATE = 1000


def find(folder, data, *options, segments=(0,), **known) -> tuple[list[list[int]], dict]:
    """Return rows and summary of words (samples, channels), at a sample per ms."""
    data = np.asarray(data)
    known = {"sampling_rate_hz": RATE, **known}
    aggregate = write_aggregate(folder, data.reshape(len(data), -1), segments, **known)
    lines.find_lines(aggregate, str(folder / "lines.npy"), str(folder / "lines.json"), *options)
    return read_lines(folder)


def test_rises_and_falls_worked_out_by_hand(tmp_path):
    words = np.array([[0, 1], [1, 1], [3, 1], [2, 3], [2, 0]], np.uint8)
    rows, summary = find(tmp_path, words, "words", [1, 2], "bits", [0, 1], "names", ["go", "", "", 'é "x\\'])
    assert rows == [
        [1, 0, 0, 1], [2, 0, 1, 1], [3, 0, 0, 0], [3, 1, 1, 1], [4, 1, 0, 0], [4, 1, 1, 0],
    ]  # fmt: skip
    assert summary == {
        "source": "words",
        "lines": [
            {"channel": 0, "bit": 0, "name": "go", "rises": 1, "falls": 1, "initial": 0},
            {"channel": 0, "bit": 1, "name": "", "rises": 1, "falls": 0, "initial": 0},
            {"channel": 1, "bit": 0, "name": "", "rises": 0, "falls": 1, "initial": 1},
            {"channel": 1, "bit": 1, "name": 'é "x\\', "rises": 1, "falls": 1, "initial": 0},
        ],
        "initial": [{"sample": 0, "channel": 1, "bits": [0]}],
        "outside": [],
        "repeated": 0,
        "parameters": {"words": [0, 1], "bits": [0, 1], "settle": 1, "width_samples": None, "field": None},
    }


def test_nothing_crosses_a_seam(tmp_path):
    rows, summary = find(
        tmp_path, np.array([0, 1, 1, 0, 0, 1], np.uint8), "words", [1], "bits", [0], segments=(0, 2, 4)
    )
    assert rows == [[1, 0, 0, 1], [3, 0, 0, 0], [5, 0, 0, 1]]
    assert summary["initial"] == [{"sample": 2, "channel": 0, "bits": [0]}]
    assert summary["lines"][0]["initial"] == 0
    # Also where the word is another one at the seam.
    assert find(tmp_path, np.array([0, 1], np.uint8), "words", [1], segments=(0, 1))[0] == []


@pytest.mark.parametrize("settle", [1, 2, 3])
def test_a_change_counts_at_the_first_of_so_many_equal_samples(tmp_path, settle):
    #                 0  1  2  3  4  5  6  7  8  9 10
    words = np.array([0, 1, 0, 1, 1, 0, 1, 1, 1, 0, 0], np.uint8)
    expected = {
        1: [(1, 1), (2, 0), (3, 1), (5, 0), (6, 1), (9, 0)],
        2: [(3, 1), (9, 0)],
        # Of the last fall it is not known whether it would have lasted.
        3: [(6, 1)],
    }
    rows, _ = find(tmp_path, words, "words", [1], "bits", [0], "settle", settle)
    assert [(row[0], row[3]) for row in rows] == expected[settle]


def test_pulses_of_a_width_are_kept_or_dropped_whole(tmp_path):
    words = np.zeros(100, np.int16)
    # High at the start; of 10, 8, 12, 7 and 13 samples; and not over at the end.
    for first, last in ((0, 10), (20, 30), (32, 40), (42, 54), (56, 63), (65, 78), (90, 100)):
        words[first:last] = 1
    rows, summary = find(tmp_path, words, "words", [1], "width", 10.4)
    assert [row[0] for row in rows] == [20, 30, 32, 40, 42, 54]
    assert summary["parameters"]["width_samples"] == 10
    assert (summary["lines"][0]["rises"], summary["lines"][0]["falls"]) == (3, 3)
    # Half up; and at least one sample.
    assert find(tmp_path, words, "words", [1], "width", 10.5)[1]["parameters"]["width_samples"] == 11
    assert find(tmp_path, words, "words", [1], "width", 0.1)[1]["parameters"]["width_samples"] == 1


def test_changes_of_a_field(tmp_path):
    words = np.array([4, 4, 6, 7, 7, 3, 16], np.uint8)
    rows, summary = find(tmp_path, words, "words", [1], "field", [1, 3], segments=(0, 5))
    assert rows == [[2, 0, 1, 3], [6, 0, 1, 0]]
    assert summary["lines"] == [{"channel": 0, "bit": 1, "bits": 3, "name": "", "changes": 2, "initial": 2}]
    # The values of a field can't be told from its changes alone.
    assert [one["value"] for one in summary["initial"]] == [2, 1]
    assert summary["parameters"]["field"] == [1, 3]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32"])
def test_words_are_unsigned_up_to_their_last_bit(tmp_path, dtype):
    info = np.iinfo(dtype)
    words = np.array([0, -1 if info.min else info.max, info.min if info.min else 1 << info.bits - 1, 0]).astype(dtype)
    rows, summary = find(tmp_path, words, "words", [1])
    assert [row for row in rows if row[2] == info.bits - 1] == [[1, 0, info.bits - 1, 1], [3, 0, info.bits - 1, 0]]
    assert [row[2] for row in rows if row[0] == 1] == list(range(info.bits))
    assert len(summary["lines"]) == info.bits
    rows, _ = find(tmp_path, words, "words", [1], "field", [0, info.bits])
    assert [row[3] for row in rows] == [2**info.bits - 1, 2 ** (info.bits - 1), 0]


def test_words_are_the_digital_channels_by_default(tmp_path):
    channels = [{"name": "a", "kind": "ap"}, {"name": "b", "kind": "digital"}, {"name": "c", "kind": "digital"}]
    words = np.array([[0, 0, 0], [1, 2, 4]], np.int16)
    assert find(tmp_path, words, channels=channels)[0] == [[1, 1, 1, 1], [1, 2, 2, 1]]
    # A group whose header knows of no word is none that fails.
    rows, summary = find(tmp_path, words, channels=channels[:1] * 3)
    assert rows == [] and summary["lines"] == [] and summary["parameters"]["words"] == []
    with pytest.raises(ValueError, match="does not say which of its channels are words of bits; name them"):
        find(tmp_path, words)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("words", [3]), r"words 3: words are channels of .*, each once, counted from 1 to 2"),
        (("words", [0]), "words 0: words are channels"),
        (("words", [1.5]), "words 1.5: words are channels"),
        (("words", [1, 1]), "words 1, 1: words are channels"),
        (("words", [1], "bits", [16]), "of int16: their bits are 0 to 15"),
        (("words", [1], "bits", [-1]), "of int16: their bits are 0 to 15"),
        (("words", [1], "bits", [1, 1]), "bits are whole numbers, each once"),
        (("words", [1], "field", [15, 2]), "of int16: their bits are 0 to 15"),
        (("words", [1], "field", [1]), "field is the first bit, from 0, and the number of bits"),
        (("words", [1], "field", [1, 0]), "field is the first bit"),
        (("words", [1], "field", [1, 2], "bits", [1]), "not both with field"),
        (("words", [1], "field", [1, 2], "width", 5), "not both with field"),
        (("words", [1], "settle", 0), "settle is a whole number of samples, from 1"),
        (("words", [1], "settle", 1.5), "settle is a whole number of samples, from 1"),
        (("words", [1], "width", 0), "width is a time in ms, above 0"),
        (("words", [1], "names", ["a"]), "there are 1 names for 16 bits"),
        (("words", [1], "bits", [0], "names", ["a\nb"]), "a name has a control character"),
        (("word", [1]), "the options are pairs of a name and a value"),
        (("words",), "the options are pairs of a name and a value"),
        (("settle", 1, "settle", 2), "each name once"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        find(tmp_path, np.zeros((4, 2), np.int16), *options)


def test_floats_are_no_words_and_a_width_needs_a_rate(tmp_path):
    with pytest.raises(ValueError, match="samples of float32, which have no bits; words are integers"):
        find(tmp_path, np.zeros((4, 1), np.float32), "words", [1])
    with pytest.raises(ValueError, match="has no sampling rate, so a width in ms is no number of samples"):
        find(tmp_path, np.zeros((4, 1), np.int16), "words", [1], "width", 5, sampling_rate_hz=None)


def test_nothing_and_a_default_are_the_same(tmp_path):
    words = runs_of_words(1, 50, 1, "uint8")
    unset = ("bits", [], "width", None, "field", (), "names", [], "settle", 1)
    assert find(tmp_path, words, "words", [1], *unset) == find(tmp_path, words, "words", [1])


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_words_against_the_definition(tmp_path_factory, data):
    dtype = data.draw(st.sampled_from(["uint8", "int8", "uint16", "int16", "int32"]))
    channels, samples = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 120))
    words = runs_of_words(data.draw(st.integers(0, 1 << 32)), samples, channels, dtype)
    segments = sorted({0, *data.draw(st.lists(st.integers(0, samples - 1), max_size=5))})
    asked = {"words": data.draw(st.lists(st.integers(0, channels - 1), min_size=1, unique=True).map(sorted))}
    asked["settle"] = data.draw(st.integers(1, 6))
    kind = data.draw(st.sampled_from(["all", "bits", "field"]))
    if kind == "bits":
        asked["bits"] = data.draw(st.lists(st.integers(0, words.dtype.itemsize * 8 - 1), min_size=1, unique=True))
    if kind == "field":
        asked["field"] = (first := data.draw(st.integers(0, 6)), data.draw(st.integers(1, 8 - first)))
    elif data.draw(st.booleans()):
        asked["width"] = data.draw(st.integers(1, 20))
    options = [one for name, value in asked.items() for one in (name, list(value) if name == "field" else value)]
    options[1] = [word + 1 for word in asked["words"]]
    folder = tmp_path_factory.mktemp("lines")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_VALUES", data.draw(st.sampled_from([1, 2, 7, 64, 1 << 18])))
        rows, summary = find(folder, words, *options, segments=segments)
    assert rows == lines_by_definition(words, segments, **asked)
    for line in summary["lines"]:
        of_line = [row[3] for row in rows if row[1:3] == [line["channel"], line["bit"]]]
        if "bits" in line:
            assert line["changes"] == len(of_line)
        else:
            assert (line["rises"], line["falls"]) == (sum(of_line), len(of_line) - sum(of_line))


@pytest.mark.parametrize("options", [(), ("settle", 4), ("settle", 2, "width", 9), ("field", [1, 6])])
def test_blocks_of_any_size_give_the_same_bytes(tmp_path, monkeypatch, options):
    words, segments = runs_of_words(5, 4000, 3, "int16"), (0, 1000, 1001, 2047, 2048, 3999)
    given = {}
    for values in (1 << 18, 6000, 300, 64, 7, 3, 1):
        monkeypatch.setattr(blocks, "BLOCK_VALUES", values)
        find(tmp_path, words, "words", [1, 3], *options, segments=segments)
        given[values] = (tmp_path / "lines.npy").read_bytes(), (tmp_path / "lines.json").read_bytes()
    assert len(given[1][0]) > 1000 and len(set(given.values())) == 1


def test_words_in_several_files(tmp_path):
    words = runs_of_words(7, 3000, 2, "int16")
    aggregate = write_parts(tmp_path, words, (5, 1000, 1001, 2500), files=3, segments=(0, 1000), sampling_rate_hz=RATE)
    lines.find_lines(aggregate, str(tmp_path / "lines.npy"), str(tmp_path / "lines.json"), "words", [2])
    assert read_lines(tmp_path)[0] == lines_by_definition(words, (0, 1000), (1,))


def test_what_waits_for_a_pulse_to_end_is_no_more_than_a_pulse_has(tmp_path, monkeypatch):
    """A line that stays high must not keep the events of the others in memory."""
    words = np.zeros(100_000, np.uint8)
    words[1:] |= 1
    words[::2] |= 2
    waiting = []
    write = lines.OrderedRows.write
    monkeypatch.setattr(blocks, "BLOCK_VALUES", 1000)

    def watched(rows, *arguments):
        write(rows, *arguments)
        waiting.append(sum(map(len, rows._waiting)))

    monkeypatch.setattr(lines.OrderedRows, "write", watched)
    rows, _ = find(tmp_path, words, "words", [1], "width", 1)
    assert len(rows) > 99_000 and max(waiting) < 10


# The truth of real files


@needs_real_recordings
def test_the_trigger_word_of_an_eeg(tmp_path):
    """As in the README of the data: the rises of the two bytes of the word, pulses of a sample."""
    words = np.concatenate([np.fromfile(one, np.uint8) for one in sorted((REAL_RECORDINGS / "eeg_ttl").glob("*.bin"))])
    rows, summary = find(tmp_path, words.reshape(-1, 2), "words", [1, 2])

    def of(channel: int, bit: int, value: int) -> list[int]:
        return [row[0] for row in rows if row[1:] == [channel, bit, value]]

    assert of(0, 2, 1) == [1603, 1859, 2116, 2372, 2628, 2884] and len(of(0, 2, 0)) == 6
    assert of(1, 4, 1) == [512, 1603, 1624, 1859, 1881, 2116, 2137, 2372, 2393, 2628, 2649, 2884, 2906]
    assert len(of(1, 4, 0)) == 14 and of(1, 4, 0)[0] == 1
    assert of(1, 0, 1) == [] and of(1, 0, 0) == [1]
    assert {"sample": 0, "channel": 1, "bits": [0, 4]} in summary["initial"]


@needs_formats
def test_a_word_of_spikeglx(tmp_path):
    (data,) = (FORMATS / "spikeglx/DigitalChannelTest_g0").rglob("*.nidq.bin")
    words = np.fromfile(data, "<i2")
    rows, _ = find(tmp_path, words, sampling_rate_hz=2500, channels=[{"name": "XD0", "kind": "digital"}])
    rises, falls = ([row[0] for row in rows if row[2:] == [0, value]] for value in (1, 0))
    assert len(rises) == len(falls) == 163 and rises[:3] == [234, 2734, 5234] and rises[-1] == 405232
    assert (falls[0], falls[-1]) == (1484, 406482) and set(np.subtract(falls, rises)) == {1250}
    assert find(tmp_path, words, "words", [1], "width", 500, sampling_rate_hz=2500)[0] == rows
    assert find(tmp_path, words, "words", [1], "width", 300, sampling_rate_hz=2500)[0] == []


@needs_formats
def test_the_word_of_an_intan_board(tmp_path):
    words = np.fromfile(FORMATS / "intan/file_per_signal_type/digitalin.dat", "<u2")
    rows, summary = find(tmp_path, words, channels=[{"name": "digitalin", "kind": "digital"}])
    assert [row[0] for row in rows if row[2:] == [0, 1]] == [4956]
    assert [row[0] for row in rows if row[2:] == [1, 1]] == [19952]
    assert [(line["rises"], line["falls"]) for line in summary["lines"][:3]] == [(1, 1), (1, 0), (0, 0)]
