"""Text for people has nothing in it that a terminal would obey; JSON is the same data."""

import io
import json
import sys
import unicodedata

import pytest

from neuroluigi.provenance.plain_text import PlainStream, plain, plain_json, unfiltered, use_plain_streams

# Of all characters, those that control a terminal, turn the direction of text, or end a line in one program alone.
DIRECTIONS = {"\u061c", "\u200e", "\u200f"}
CONTROL = {
    character
    for character in map(chr, range(0x3000))
    if unicodedata.category(character) in ("Cc", "Zl", "Zp")
    or unicodedata.bidirectional(character) in ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")
} | DIRECTIONS


def test_every_control_character_is_removed_and_no_other_one():
    kept = {character for character in map(chr, range(0x3000)) if plain(character)}
    assert set(map(chr, range(0x3000))) - kept == CONTROL - {"\n", "\t"}
    # A joiner is part of how words are written.
    assert plain("می\u200cخواهم ü 猫 🏴‍☠️ \xa0") == "می\u200cخواهم ü 猫 🏴‍☠️ \xa0"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[31mb\x1b[0m", "ab"),
        ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b", "ab"),
        ("a\x1b]0;never ended\nnext\x07", "a]0;never ended\nnext"),
        ("50 %\r60 %\r\n", "50 %60 %\n"),
        ("a\x9b31mb", "a31mb"),
        ("abc\u202egpj.exe", "abcgpj.exe"),
        ("one\n\ttwo\n", "one\n\ttwo\n"),
    ],
)
def test_sequences_go_as_a_whole(text, expected):
    assert plain(text) == expected
    assert plain(plain(text)) == expected


def test_json_is_the_same_data_without_a_control_character():
    data = {"".join(sorted(CONTROL)): ["a\x1b\\\u202e", '"\x7f"', "\\u0041"]}
    text = plain_json(json.dumps(data, indent=1, ensure_ascii=False))
    assert json.loads(text) == data and not CONTROL - {"\n"} & set(text)
    assert plain_json('{"ü": "猫"}') == '{"ü": "猫"}'


def test_a_stream_is_that_below_it_but_for_what_is_written():
    below = io.StringIO()
    stream = PlainStream(below)
    assert stream.write("a\x1b[2J\n") == 6
    stream.writelines(["b\x07", "c"])
    print("d\x9b", file=stream, flush=True)
    assert below.getvalue() == "a\nbcd\n" and stream.getvalue() == below.getvalue()
    assert unfiltered(stream) is below and unfiltered(below) is below and not stream.isatty()


def test_streams_are_replaced_once_and_one_that_is_closed_stays_none(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", None)
    use_plain_streams()
    use_plain_streams()
    print("ü\x1b")
    assert unfiltered(sys.stdout) is out and sys.stderr is None
    out.flush()
    assert out.buffer.getvalue().splitlines() == [b"\\xfc"]
