"""Two processes share the work on many tasks, and whatever happens to the second one is no error."""

import os
import signal

import pytest

from neuroluigi.recordings.formats.raw import checked
from neuroluigi.recordings.groups import find_groups
from neuroluigi.recordings.recording import Declaration
from neuroluigi.steps import two_processes
from neuroluigi.steps.two_processes import by_two, in_parts, is_worth_sharing
from tests.conftest import FORMATS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the second process is forked")


def test_each_half_is_worked_on_in_a_process_of_its_own():
    (first, here), (second, there) = by_two([1, 2, 3, 4, 5], lambda some: (list(some), os.getpid()))
    assert (first, second) == ([1, 2], [3, 4, 5]) and here == os.getpid() != there


@pytest.mark.parametrize(
    "end",
    [lambda: 1 / 0, lambda: os._exit(0), lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: exit(3)],
    ids=["error", "exit at once", "kill", "exit"],
)
def test_of_a_second_process_that_fails_nothing_is_known(end):
    parent = os.getpid()
    assert by_two([1, 2], lambda some: (os.getpid() == parent or end(), list(some))) == ((True, [1]), None)


def test_what_can_not_be_sent_is_not_known():
    assert by_two([1, 2], lambda some: lambda: some)[1] is None


def test_an_error_here_ends_the_second_process(tmp_path):
    parent = os.getpid()

    def work(some):
        if os.getpid() == parent:
            while not (tmp_path / "began").exists():
                pass
            raise ValueError
        (tmp_path / "part").write_text(str(os.getpid()))
        (tmp_path / "part").replace(tmp_path / "began")
        signal.pause()

    with pytest.raises(ValueError):
        by_two([1, 2], work)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "began").read_text()), 0)


def test_without_a_command_there_is_one_process():
    assert not is_worth_sharing(range(10_000))


@pytest.mark.parametrize("fails", [False, True])
def test_in_parts_has_all_in_order_also_where_the_second_process_fails(monkeypatch, fails):
    parent = os.getpid()

    def work(some):
        return [one for one in some if os.getpid() == parent or not fails or 1 / 0]

    assert in_parts(range(5), work) == [[0, 1, 2, 3, 4]]
    monkeypatch.setattr(two_processes, "is_worth_sharing", lambda items, least: len(items) == 5)
    assert in_parts(range(5), work) == [[0, 1], [2, 3, 4]]


def test_an_error_of_the_second_half_is_raised_here(monkeypatch):
    monkeypatch.setattr(two_processes, "is_worth_sharing", lambda items, least: True)
    with pytest.raises(ZeroDivisionError):
        in_parts([1, 1, 1, 0], lambda some: [1 / one for one in some])


@pytest.mark.skipif(not FORMATS.is_dir(), reason="needs recordings of many formats")
def test_recordings_found_by_two_processes_are_those_found_by_one(tmp_path, monkeypatch):
    for path in ("nwb", "abf", "spikeglx", "openephys", "ecg", "wav", "intan"):
        (tmp_path / path).symlink_to(FORMATS / path)
    rows = [f"ecg/mitdb_{number}/rec_0.bin,raw," for number in (105, 108)]
    rows += [f"{path.relative_to(tmp_path)},nwb," for path in tmp_path.glob("nwb/*.nwb")]
    rows += [f"{path.relative_to(tmp_path)},," for path in tmp_path.glob("*/**/continuous.dat")]
    rows += [f"{path.relative_to(tmp_path)},neo," for path in tmp_path.glob("abf/*.abf")]
    rows += ["nowhere.bin,,", "wav,,", *(f"{path.relative_to(tmp_path)},wav," for path in tmp_path.glob("wav/*.wav"))]
    lines = [f"s{number:02},0,{row}" for number, row in enumerate(rows)]
    for order in (lines, lines[::-1]):
        (tmp_path / "recordings.csv").write_text("\n".join(["session,index,path,format,stream", *order]))
        checked.clear()
        whole, notes = find_groups(Declaration(root=str(tmp_path)), notify=(alone := []).append), alone
        seen = dict(checked)
        checked.clear()
        monkeypatch.setattr(two_processes, "is_worth_sharing", lambda items, least: True)
        halves = find_groups(Declaration(root=str(tmp_path)), notify=(shared := []).append, in_parts=in_parts)
        monkeypatch.undo()
        # How a recording is decoded is a function, the same one for the same file.
        assert repr(halves) == repr(whole) and shared == notes and checked == seen and len(seen) > 5
        assert sum(bool(group.problems) for group in whole.values()) >= 2


@pytest.mark.skipif(not FORMATS.is_dir(), reason="needs recordings of many formats")
def test_what_headers_have_described_already_is_not_sent(tmp_path):
    (tmp_path / "recordings").symlink_to(FORMATS / "openephys")
    found = find_groups(Declaration(root=str(tmp_path)), in_parts=lambda rows, work: pytest.fail("are shared"))
    assert len(found) >= 2
