"""Which code counts as today's; test_earlier_releases.py has the records of real ones."""

from neuroluigi.provenance import earlier_code
from neuroluigi.provenance.earlier_code import differing


def piece(path: str, sha256: str) -> dict:
    return {"path": path, "sha256": sha256}


def test_what_changed_came_or_went_is_named():
    before = [piece("tasks.py:A", "1"), piece("tasks.py:B", "2"), piece("tasks.py:C", "3")]
    now = [piece("tasks.py:A", "1"), piece("tasks.py:B", "9"), piece("neuroluigi:new", "4")]
    assert differing(before, now) == ["neuroluigi:new", "tasks.py:B", "tasks.py:C"]
    assert differing(now, now) == []


def test_what_earlier_releases_had_that_gives_the_same_is_no_change_with_what_came_beside_it():
    name, sha256 = min(one for one in earlier_code._AS_TODAY if one[0] == "find_rising_edges")
    before = [piece(f"neuroluigi:{name}", sha256), piece("tasks.py:Edges", "1")]
    now = [piece(f"neuroluigi:{name}", "9"), piece("neuroluigi:find_events", "8"), piece("tasks.py:Edges", "1")]
    assert differing(before, now) == []
    assert differing(before, [*now, piece("tasks.py:mine", "7")]) == ["tasks.py:mine"]
    # Without such a piece, what came is a change.
    assert differing(now[2:], now) == ["neuroluigi:find_events", "neuroluigi:find_rising_edges"]


def test_a_copied_m_file_is_known_in_whatever_folder_it_is():
    _, sha256 = min(one for one in earlier_code._AS_TODAY if one[0] == "findRisingEdges.m")
    before = [piece("matlab/analysis/findRisingEdges.m", sha256)]
    now = [piece("matlab/analysis/findRisingEdges.m", "9"), piece("matlab/analysis/findEvents.m", "8")]
    assert differing(before, now) == []
    assert differing(before, [*now, piece("matlab/countAbove.m", "7")]) == ["matlab/countAbove.m"]
