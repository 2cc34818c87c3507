"""The state of a result, case by case: record, files and what is expected -> state, reasons and what a run does."""

import os

import pytest

from neuroluigi.provenance.checksums import Checksums
from neuroluigi.provenance.state import STATES, Status
from tests.provenance.example import (
    Result,
)
from tests.provenance.state_cases import CASES


@pytest.fixture
def result(tmp_path) -> Result:
    return Result(tmp_path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_status(result, case):
    case.change(result)
    status = result.status()
    assert (status.state, status.todo) == (case.state, case.todo)
    assert [
        f"{one.kind}: {one.text}" + (f" ({one.detail})" if one.detail else "") for one in status.reasons
    ] == case.reasons
    for name, value in case.more.items():
        assert (list(status.checksums.values()) if name == "sha256" else getattr(status, name)) == value, name


def test_every_state_has_a_case():
    assert {case.state for case in CASES} == set(STATES)
    assert len({case.name for case in CASES}) == len(CASES)


def test_an_output_that_can_not_be_read_is_damaged(result, monkeypatch):
    def of(self, path, ignore):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(Checksums, "of", of)
    result.json.touch()
    os.utime(result.json, (1, 1))
    status = result.status()
    assert (status.state, status.todo) == ("damaged", "make")
    assert "Permission denied" in status.reasons[0].text and str(result.json) in status.reasons[0].text


def test_of_a_damaged_result_of_another_size_not_all_is_read(result, monkeypatch):
    def of(self, path, ignore):
        raise AssertionError(f"{path} is read")

    monkeypatch.setattr(Checksums, "of", of)
    result.json.write_bytes(b"{" + bytes(1 << 16))
    assert (result.status().state, result.status().todo) == ("damaged", "make")


def test_results_and_recordings_that_were_copied_are_done(result, tmp_path):
    """Records name paths relative to the two folders, so new folders and new times change nothing."""
    elsewhere = Result(tmp_path / "elsewhere")
    elsewhere.record = result.record
    assert [one["mtime_ns"] for one in result.record["outputs"]] != [elsewhere.json.stat().st_mtime_ns] * 2
    assert elsewhere.status().is_simply_done


def test_code_is_asked_for_by_the_engine_of_the_record(result):
    result.status()
    assert result.engines_asked == ["octave"]


@pytest.mark.parametrize(
    ("status", "is_simply_done", "is_complete"),
    [
        (Status("done"), True, True),
        (Status("done", todo="maybe"), False, False),
        (Status("done", rests_on_work=True), True, False),
        (Status("modified"), False, True),
        (Status("input missing", is_there=False), False, False),
    ],
)
def test_what_luigi_finds_complete(status, is_simply_done, is_complete):
    assert (status.is_simply_done, status.is_complete) == (is_simply_done, is_complete)
