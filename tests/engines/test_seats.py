"""Seats: counted over all runs on the same results, given up by idle sessions."""

from dataclasses import replace

from filelock import FileLock

from neuroluigi.engines import supervisor
from neuroluigi.engines.seats import is_seat_free, request_seat, seat_holders
from neuroluigi.engines.session import Limits


def test_a_seat_is_given_up_by_an_idle_session_of_another_run(warm_matlab_lab):
    seats = warm_matlab_lab.folder / "seats"
    warm_matlab_lab.limits = Limits(seats=(str(seats), 1))
    warm_matlab_lab.call("quick")
    assert warm_matlab_lab.in_another_run("quick").wait(60) == 0
    assert warm_matlab_lab.starts()["start"] == 2
    running = 0
    for word in warm_matlab_lab.starts_file.read_text().split():
        running += 1 if word == "start" else -1
        assert running <= 1


def test_holders_are_named_while_they_hold_a_seat(tmp_path):
    folder = str(tmp_path / "seats")
    assert is_seat_free(folder, 1) and not is_seat_free(folder, 0)
    assert seat_holders(folder) == []
    (tmp_path / "seats" / "seat-0.json").write_text('{"user": "ada", "host": "node7", "pid": 4711}')
    (tmp_path / "seats" / "seat-1.json").write_text("{}")
    with FileLock(tmp_path / "seats" / "seat-0.lock"), FileLock(tmp_path / "seats" / "seat-1.lock"):
        # Who holds the second seat is not known.
        assert seat_holders(folder) == ["ada on node7 (process 4711)"]
        assert not is_seat_free(folder, 2) and is_seat_free(folder, 3)
    # The file of a former holder stays.
    assert seat_holders(folder) == [] and is_seat_free(folder, 1)


def test_a_request_is_a_file_that_holders_find(tmp_path):
    request_seat(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [supervisor.REQUEST]


def test_a_step_waits_for_a_busy_seat_and_takes_over_its_session(warm_matlab_lab):
    seats = warm_matlab_lab.folder / "seats"
    warm_matlab_lab.limits = replace(warm_matlab_lab.limits, seats=(str(seats), 1))
    warm_matlab_lab.write("slow", "pause(1);")
    both = [warm_matlab_lab.in_another_process("slow") for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0]
    assert warm_matlab_lab.starts()["start"] == 1
