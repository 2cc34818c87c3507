"""What waits for a person is an error at once, and endless output fills no disk."""

import threading
from itertools import pairwise

import pytest

from neuroluigi.engines import follower
from neuroluigi.engines.pool import open_pool
from neuroluigi.engines.session import Limits
from tests.conftest import needs_octave
from tests.engines.lab import wait_for

pytestmark = needs_octave

PROMPTS = [
    *("keyboard", "keyboard('debug> ');", "x = input('How many? ');", "x = yes_or_no('Go on? ');", "x = kbhit();"),
    *("pause", "pause();", "uiwait();", "uiwait(1);", "waitfor(0);", "dbstop in quick at 1", "waitforbuttonpress();"),
]


@pytest.mark.parametrize("statement", PROMPTS)
def test_a_prompt_is_an_error_at_once(warm_lab, statement):
    error = warm_lab.fails_with("x = 1;", statement)
    name = statement.removeprefix("x = ").split("(")[0].split()[0].rstrip(";")
    assert error.startswith(f"octave: failing failed: neuroluigi:prompt: {name} waits for a person, and nobody sits at")
    assert error.endswith("(failing, line 3 of failing.m)")


def test_a_prompt_of_matlab_is_an_error_too(warm_matlab_lab):
    assert "neuroluigi:prompt: keyboard waits" in warm_matlab_lab.fails_with("keyboard")


def test_what_waits_for_a_time_alone_is_none(warm_lab):
    warm_lab.write("waits", "pause(0.01); pause(0); kbhit(1); uiwait(0, 0.01);", "disp('worked');")
    assert warm_lab.printed("waits") == "worked\n"
    # Nor is anything printed where the path is set back.
    warm_lab.write("goes", "addpath('/tmp'); rmpath(fileparts(which('keyboard')));")
    assert warm_lab.printed("goes") == ""
    assert warm_lab.printed("waits") == "worked\n"


def test_a_function_of_the_lab_comes_first(warm_lab):
    warm_lab.write("input(varargin)", "disp('own');")
    warm_lab.write("asks", "input('x');")
    assert warm_lab.printed("asks") == "own\n"


def test_what_an_engine_prints_without_end_does_not_fill_its_folder(warm_lab, monkeypatch):
    monkeypatch.setattr(follower, "MOST_BYTES", 1_000_000)
    flag = warm_lab.folder / "stop"
    warm_lab.write("prints", f"while ~isfile('{flag}'), printf('%0999d\\n', 0); fflush(stdout); end")
    pool, sizes = open_pool(), []

    def is_enough() -> bool:
        sizes.extend(one.stat().st_size for one in pool.glob("session-*/log"))
        return warm_lab.log.exists() and warm_lab.log.stat().st_size > 3_000_000

    stopper = threading.Thread(target=lambda: (wait_for(is_enough), flag.touch()))
    stopper.start()
    warm_lab.call("prints")
    stopper.join()
    assert any(after < before for before, after in pairwise(sizes))


def test_what_prints_faster_than_it_can_be_copied_is_ended_in_time(warm_lab, monkeypatch):
    monkeypatch.setattr(follower, "MOST_BYTES", 1_000_000)
    warm_lab.limits = Limits(call_seconds=2)
    warm_lab.write("floods", "system('yes &');", "while true, pause(0.1); end")
    assert "no answer within 2 s" in warm_lab.failure("floods")
    text = warm_lab.log.read_bytes()
    assert b" bytes are left out here: too much was printed at once\ny\n" in text
    # At most so much per look.
    assert len(text) < 100_000_000
