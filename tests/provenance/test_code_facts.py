"""Facts about code that are kept: they say what the code says, whatever became of their file."""

import json
import os
import random
from pathlib import Path

import pytest

from neuroluigi.ephys import Edges
from neuroluigi.provenance import code_facts, modules
from neuroluigi.provenance.code import python_sources
from neuroluigi.provenance.code_facts import FACTS_FILE, Facts, fits
from neuroluigi.provenance.kept_lines import line_of


class EdgesOfALab(Edges):
    def requires(self):
        return {}


@pytest.fixture
def parsed(monkeypatch) -> list[str]:
    """Each module that is parsed, of which there are none yet."""
    found, parse = [], modules._Code.__init__

    def counting(self, text, package):
        found.append(text.file)
        parse(self, text, package)

    monkeypatch.setattr(modules._Code, "__init__", counting)
    monkeypatch.setattr(modules, "_views", {})
    return found


def sources_of_next_start(kept_in: Path | None) -> list[dict]:
    modules._views.clear()
    return python_sources(EdgesOfALab, (), kept_in)


def test_at_the_next_start_nothing_is_parsed(tmp_path, parsed):
    truth = sources_of_next_start(None)
    assert sources_of_next_start(tmp_path) == truth and len(parsed) > 20
    parsed.clear()
    assert sources_of_next_start(tmp_path) == truth and parsed == []


def test_a_file_that_was_damaged_at_random_changes_nothing(tmp_path, parsed):
    truth, path = sources_of_next_start(None), tmp_path / FACTS_FILE
    sources_of_next_start(tmp_path)
    whole, chance, damages = path.read_bytes(), random.Random(0), 0
    for _ in range(40):
        damaged = bytearray(whole)
        for _ in range(chance.choice([1, 10, 1000])):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        begin = chance.randrange(len(damaged))
        del damaged[begin : begin + chance.choice([0, 1, 100, len(whole)])]
        path.write_bytes(damaged)
        parsed.clear()
        assert sources_of_next_start(tmp_path) == truth
        damages += bool(parsed)
    assert damages > 30


def test_a_line_with_its_checksum_and_other_facts_counts_as_none(tmp_path, parsed):
    truth, path = sources_of_next_start(None), tmp_path / FACTS_FILE
    sources_of_next_start(tmp_path)
    lines = path.read_bytes().splitlines()
    for wrong in (None, 1, [], "text", [[]], {}, [[[1]]]):
        others = [lines[0]]
        for line in lines[1:]:
            others.append(line_of(line[:32].decode(), dict.fromkeys(json.loads(line[40:]), wrong)))
        # Of digests a text is the right shape.
        if wrong != "text" and wrong != []:
            path.write_bytes(b"\n".join([*others, b""]))
            assert sources_of_next_start(tmp_path) == truth


def test_what_is_no_file_of_ours_and_can_not_be_written_is_no_error(tmp_path, parsed):
    truth = sources_of_next_start(None)
    assert sources_of_next_start(tmp_path / "not there") == truth and not (tmp_path / "not there").exists()
    (tmp_path / FACTS_FILE).mkdir()
    assert sources_of_next_start(tmp_path) == truth
    (tmp_path / FACTS_FILE).rmdir()
    os.mkfifo(tmp_path / FACTS_FILE)
    assert sources_of_next_start(tmp_path) == truth


def test_facts_are_of_a_text_in_a_package_and_of_the_code_that_found_them(tmp_path, monkeypatch):
    facts = Facts(tmp_path)
    facts.about("labpipe", [b"a = 1", b""])["answer"] = 1
    facts.save()
    again = Facts(tmp_path)
    assert again.about("labpipe", [b"a = 1", b""]) == {"answer": 1}
    for package, parts in (("labpipe", [b"a = 2", b""]), ("labpipe", [b"", b"a = 1"]), ("other", [b"a = 1", b""])):
        assert again.about(package, parts) == {}
    monkeypatch.setattr(code_facts, "_finders", lambda: b"of a later version")
    assert Facts(tmp_path).about("labpipe", [b"a = 1", b""]) == {}


def test_facts_of_what_nobody_asked_for_are_kept_up_to_a_number(tmp_path, monkeypatch):
    monkeypatch.setattr(code_facts, "_MOST_TEXTS", 3)
    for number in range(5):
        facts = Facts(tmp_path)
        facts.about("labpipe", [b"%d" % number])["number"] = number
        facts.save()
    found = [Facts(tmp_path).about("labpipe", [b"%d" % number]).get("number") for number in range(5)]
    assert found == [None, None, 2, 3, 4]


def test_without_new_facts_nothing_is_written(tmp_path):
    facts = Facts(tmp_path)
    facts.about("labpipe", [b"1"])["number"] = 1
    facts.save()
    before = (tmp_path / FACTS_FILE).stat()
    again = Facts(tmp_path)
    again.about("labpipe", [b"1"])
    again.save()
    assert (tmp_path / FACTS_FILE).stat() == before


@pytest.mark.parametrize(
    ("value", "shape", "does"),
    [
        ("a", str, True),
        (True, int, False),
        (["a"], [str], True),
        ([1], [str], False),
        ("a", [str], False),
        (["a", [1]], (str, [int]), True),
        (["a"], (str, [int]), False),
        ({}, [str], False),
    ],
)
def test_whether_a_value_has_a_shape(value, shape, does):
    assert fits(value, shape) is does
