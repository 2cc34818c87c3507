"""The index of states says what the records say, or nothing: whatever changes, and whatever becomes of its file."""

import dataclasses
import json
import os
import random

import pytest

from neuroluigi.provenance import state_index
from neuroluigi.provenance.checksums import Checksums, FolderListings
from neuroluigi.provenance.kept_lines import line_of
from neuroluigi.provenance.state import DONE, check_result
from neuroluigi.provenance.state_index import INDEX_FILE, Known, StateIndex
from tests.provenance import odd_files
from tests.provenance.example import Result
from tests.provenance.state_cases import CASES


@pytest.fixture(autouse=True)
def later(monkeypatch):
    """Let all files be old enough for their times to prove something, and few results be worth an index."""
    monkeypatch.setattr(state_index, "_WORTH_KEEPING", 1)
    now_ns = state_index.time.time_ns
    monkeypatch.setattr(state_index.time, "time_ns", lambda: now_ns() + 10**10)


@pytest.fixture
def result(tmp_path) -> Result:
    found = Result(tmp_path)
    found.record_path.write_text(json.dumps(found.record))
    return found


def expected(result):
    """Return what is expected, with the digest of what results of a kind have in common that a plan gives."""
    one = result.expected
    return dataclasses.replace(
        one, of_kind=lambda engine: repr([one.sources(engine), one.tool, one.defaults, one.roots])
    )


def look(result, index):
    """Return the status as a plan finds it with an index."""
    return check_result(expected(result), Checksums(result.results), FolderListings(), index)


def look_up(result, index):
    return index.find(expected(result))


def indexed(result):
    """Look once, and return the index that this leaves."""
    index = StateIndex(result.results)
    assert look(result, index).state == DONE
    index.save()
    assert (result.results / INDEX_FILE).is_file()
    return StateIndex(result.results)


def test_what_is_as_it_was_is_done_and_its_record_is_not_read(result, monkeypatch):
    before = look(result, None)
    index = indexed(result)
    monkeypatch.setattr("neuroluigi.provenance.state.read_record", lambda path: pytest.fail("the record is read"))
    assert look(result, index) == before


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_with_an_index_each_state_is_what_it_is_without(result, case):
    index = indexed(result)
    case.change(result)
    if result.record is None:
        result.record_path.unlink()
    without = result.status()
    assert look(result, index) == without == look(result, StateIndex(result.results))
    assert (without.state, without.todo) == (case.state, case.todo)


@pytest.mark.parametrize("name", ["json", "npy", "first", "second", "record_path"])
@pytest.mark.parametrize("change", ["time", "size", "gone", "another file of its size and time"])
def test_each_file_on_which_it_rests_makes_it_unknown(result, name, change):
    index, path = indexed(result), getattr(result, name)
    before = path.stat()
    if change == "size":
        path.write_bytes(path.read_bytes() + b" ")
    elif change == "gone":
        path.unlink()
    elif change == "time":
        os.utime(path, (1, 1))
    else:
        # Of a record, which is never written in place, that is enough; of another file it is what no look can see.
        other = path.with_name("other")
        other.write_bytes(path.read_bytes())
        other.replace(path)
    if change != "time":
        os.utime(path.parent if change == "gone" else path, ns=(before.st_mtime_ns, before.st_mtime_ns))
    is_seen = change != "another file of its size and time" or name == "record_path"
    assert (look_up(result, index) is None) == is_seen
    assert look(result, index) == look(result, None)


def test_a_commit_that_was_interrupted_is_seen(result):
    index = indexed(result)
    result.sibling(".pending.json", "{}")
    assert look(result, index) == look(result, None)
    assert look(result, index).reasons[0].text.startswith("a commit was interrupted")


def test_what_is_young_is_not_noted(result, monkeypatch):
    """A file could be changed within the grain of the disk's times, and look the same."""
    now_ns = max(path.stat().st_mtime_ns for path in (result.json, result.npy, result.first, result.record_path))
    monkeypatch.setattr(state_index.time, "time_ns", lambda: now_ns + 1)
    index = StateIndex(result.results)
    assert look(result, index).state == DONE and index.found == {}


@pytest.mark.parametrize("seed", range(20))
def test_an_index_that_is_corrupted_at_random_says_nothing_else(result, seed):
    others = [dataclasses.replace(result.expected, record=f"{result.record_path}-{n}") for n in range(20)]
    index = StateIndex(result.results)
    for one in (result.expected, *others):
        index.note(one, [[1, 1, 1]], Known("python", "python 3", ["0" * 64, "1" * 64], "2" * 64))
    look(result, index)
    index.save()
    path, pick = result.results / INDEX_FILE, random.Random(seed)
    whole, before = path.read_bytes(), look(result, None)
    for _ in range(200):
        content = bytearray(whole)
        for _ in range(pick.choice([1, 1, 3, 50])):
            place = pick.randrange(len(content))
            how = pick.randrange(5)
            if how == 0:
                content[place] ^= 1 << pick.randrange(8)
            elif how == 1:
                del content[place : place + pick.randrange(200)]
            elif how == 2:
                content[place:place] = pick.randbytes(pick.randrange(100))
            elif how == 3:
                content[place:place] = content[pick.randrange(len(content)) :][: pick.randrange(500)]
            else:
                content[place : place + 40] = bytes(len(content[place : place + 40]))
            content = content or bytearray(b"\n")
        path.write_bytes(content)
        assert look(result, StateIndex(result.results)) == before


ENTRY = [[], "", ["python", "python 3", [], None]]


@pytest.mark.parametrize(
    "entry",
    [None, [], {}, 1, "x", ENTRY[:2], [*ENTRY, 1], [[], "", None], [[], "", ["a", "b", "c"]],
     [[], "", [1, 2, [3], 4]], [[], "", ["a", "b", ["c", "d"], 5]], [None, None, ["a", "b", None, None]],
     [[], "", ["a", "b", {"c": "d"}, ""]]],
)  # fmt: skip
def test_a_whole_line_that_is_no_entry_of_ours_counts_as_none(result, entry):
    path = result.results / INDEX_FILE
    indexed(result)
    first, line, _ = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([first, line_of(line[:32].decode(), entry), b""]))
    assert look_up(result, StateIndex(result.results)) is None
    assert look(result, StateIndex(result.results)).state == DONE


@pytest.mark.parametrize("kind", odd_files.KINDS)
def test_what_is_no_file_of_ours_is_no_error(result, kind):
    odd_files.put(result.results / INDEX_FILE, kind)
    index = StateIndex(result.results)
    assert look(result, index).state == DONE
    index.save()
    assert look(result, StateIndex(result.results)).state == DONE


def test_it_can_not_be_written_is_no_error(result):
    index = StateIndex(result.results / "absent")
    assert look(result, index).state == DONE
    index.save()
    assert not (result.results / "absent").exists()


def test_it_is_written_where_much_was_found_and_keeps_the_rest(result, monkeypatch):
    monkeypatch.setattr(state_index, "_WORTH_KEEPING", 3)
    known = Known("python", "python 3", ["0" * 64, "1" * 64], None)

    def noted(*names):
        index = StateIndex(result.results)
        for name in names:
            index.note(dataclasses.replace(result.expected, record=name), [[1, 1, 1]], known)
        index.save()
        return len(StateIndex(result.results)._lines)

    assert noted("a", "b") == 0
    assert noted("a", "b", "c") == 3
    assert noted("d") == 3
    assert noted("c", "d", "e") == 5
