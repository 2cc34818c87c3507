"""What differs between a record and what is expected today: of parameters, of what is required, of code and tool."""

import pytest

from neuroluigi.provenance.differences import changed_requirements
from neuroluigi.provenance.expected import Requirement

DIGEST, OTHER = "1" * 64, "2" * 64


def edges(**changes) -> Requirement:
    known = {
        "step": "Edges",
        "parameters": {"group": "a", "threshold": 0.75, "level": None},
        "defaults": {"threshold": 0.75, "level": None, "polarity": "up"},
        "fingerprint": DIGEST,
        "inputs": DIGEST,
        "made_by": "numpy 2.1",
    }
    return Requirement(**{**known, **changes})


def texts(recorded: list[dict], today: list[Requirement]) -> list[str]:
    return [f"{one.kind}: {one.text}" for one in changed_requirements(recorded, today)]


def test_what_was_recorded_is_what_is_there():
    recorded = edges().as_recorded(is_tool_read=True)
    assert recorded == {
        "step": "Edges",
        "parameters": {"group": "a", "threshold": 0.75, "level": None},
        "fingerprint": DIGEST,
        "inputs": DIGEST,
        "made_by": "numpy 2.1",
    }
    assert texts([recorded], [edges()]) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"parameters": {"group": "a", "threshold": 0.75, "level": 191.5}},
            ["parameters: Edges.level not set, now 191.5"],
        ),
        ({"fingerprint": OTHER}, ["parameters: what Edges adds to its record changed"]),
        ({"inputs": OTHER}, ["inputs: the inputs of Edges changed"]),
        ({"made_by": "octave 8.4"}, ["inputs: Edges made by numpy 2.1, now octave 8.4"]),
        # A parameter that was added since counts as its default.
        ({"parameters": {"group": "a", "polarity": "up"}}, []),
        ({"parameters": {"group": "a", "polarity": "down"}}, ["parameters: Edges.polarity up, now down"]),
        # What is not known today, while an input is to be made, contradicts nothing.
        ({"fingerprint": None, "inputs": None, "made_by": ""}, []),
    ],
)
def test_what_changed_in_a_required_task(changes, expected):
    assert texts([edges().as_recorded(is_tool_read=True)], [edges(**changes)]) == expected


def test_a_tool_that_was_not_asked_for_makes_no_difference():
    recorded = edges().as_recorded(is_tool_read=False)
    assert "made_by" not in recorded and texts([recorded], [edges(made_by="octave 8.4")]) == []


def test_the_files_of_what_a_wrapper_wraps():
    recorded = edges(files=DIGEST).as_recorded(is_tool_read=False)
    assert texts([recorded], [edges(files=OTHER)]) == ["inputs: the files of Edges changed"]
    assert texts([recorded], [edges(files=None, pending=("edges.npy",))]) == []


def test_a_field_that_a_record_lacks_contradicts_nothing():
    assert texts([], [edges()]) == []
    assert texts([{"step": "Edges", "parameters": {"group": "a"}}], [edges()]) == []


def test_of_many_required_tasks_each_difference_is_named_once_and_the_first_three():
    groups = [edges(parameters={"group": name, "threshold": 0.75}) for name in "abcd"]
    recorded = [one.as_recorded(is_tool_read=False) for one in groups]
    lower = [edges(parameters={"group": name, "threshold": 0.5}) for name in "abcd"]
    assert texts(recorded, lower) == ["parameters: Edges.threshold 0.75, now 0.5"]
    others = [edges(parameters={"group": name}) for name in "wxyz"]
    renamed = ["a, now w", "b, now x", "c, now y"]
    assert texts(recorded, others) == [f"parameters: Edges.group {names}" for names in renamed]
