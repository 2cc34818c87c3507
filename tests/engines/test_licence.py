"""Licence errors: recognised, waited for where that helps, and not longer than allowed."""

import logging

import pytest

from neuroluigi.engines import licence
from neuroluigi.engines.call import CallError
from neuroluigi.engines.licence import LicenceError, Patience, find_licence_error
from neuroluigi.engines.session import Limits
from tests.conftest import needs_octave


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("License checkout failed.\nLicense Manager Error -4\nMaximum number of users for MATLAB reached.", -4),
        ("noise\nMathWorks Licensing Error 4410\nmore", 4410),
        ("License Manager Error   -96", -96),
    ],
)
def test_the_number_of_a_licence_error_is_found_in_what_matlab_prints(text, code):
    found = find_licence_error(text)
    assert found.code == code
    assert str(found) == text


def test_a_toolbox_that_can_not_be_checked_out_is_known_by_its_identifier():
    found = find_licence_error(" no licence for Signal_Toolbox ", "MATLAB:license:checkouterror")
    assert (found.code, str(found)) == (None, "no licence for Signal_Toolbox")
    assert found.licence.meaning == "a toolbox has no licence left"


@pytest.mark.parametrize("text", ["", "License checked out.", "Error -4", "License Manager Error", "lme/4"])
def test_other_text_is_no_licence_error(text):
    assert find_licence_error(text, "lab:broken") is None


class Clock:
    """A clock that goes on only by what is waited."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(licence, "time", clock)
    return clock


def pauses(clock: Clock, patience: Patience, *codes: int | None) -> list[float | None]:
    """Return the pauses after errors with these codes, each waited for."""
    found = []
    for code in codes:
        found.append(patience.pause(LicenceError(code, "")))
        clock.now += found[-1] or 0
    return found


def test_pauses_grow_up_to_five_minutes_until_the_time_is_over(clock):
    # 10 + 20 + ... + 160 = 310 s, and with two of 300 s 910 s: a third would end after 1000 s.
    assert pauses(clock, Patience(1000), *[-4] * 8) == [10, 20, 40, 80, 160, 300, 300, None]
    # The first pause is a twentieth of a short time: 1 + 2 + 4 + 8 = 15 s of 20.
    assert pauses(clock, Patience(20), *[None] * 5) == [1, 2, 4, 8, None]
    assert pauses(clock, Patience(0), -4) == [0]


def test_each_error_is_tried_again_as_often_as_it_is_worth(clock):
    assert pauses(clock, Patience(1e6), *[-15] * 6) == [10, 20, 40, 80, 160, None]
    assert pauses(clock, Patience(1e6), -9, -9) == [10, None]
    assert pauses(clock, Patience(1e6), -1) == [None]
    assert pauses(clock, Patience(1e6), -12345) == [None]
    # Counted for each code alone, but the pauses grow over all.
    assert pauses(clock, Patience(1e6), -9, -18, -4, -9) == [10, 20, 40, None]


@needs_octave
def test_a_licence_that_is_taken_is_waited_for(warm_matlab_lab, monkeypatch, caplog):
    monkeypatch.setenv("FAKE_MATLAB", "licence=-4,3")
    warm_matlab_lab.limits = Limits(licence_seconds=20)
    monkeypatch.setattr(licence, "_FIRST_PAUSE", 0.1)
    with caplog.at_level(logging.WARNING, "luigi-interface"):
        warm_matlab_lab.call("quick")
    assert warm_matlab_lab.starts()["start"] == 4
    waits = [line for line in caplog.text.splitlines() if "licence error -4: all licences are in use; next try" in line]
    assert [line.split()[-2] for line in waits] == ["0.1", "0.2", "0.4"]
    log = warm_matlab_lab.log.read_text()
    assert log.count("License Manager Error -4") == 3 and log.endswith("worked\n") and log.count("% licence error") == 3


@pytest.mark.parametrize(
    ("code", "tries", "meaning"),
    [
        (-1, 1, "there is no licence file"),
        (-10, 1, "the licence has expired"),
        (-9, 2, "another host or user"),
        (4410, 2, "more than a day old"),
        (-15, 6, "can't be reached"),
        (-999, 1, "not known here"),
    ],
)
def test_a_licence_that_will_not_come_stops_the_step(warm_matlab_lab, monkeypatch, code, tries, meaning):
    monkeypatch.setenv("FAKE_MATLAB", f"licence={code},100")
    monkeypatch.setattr(licence, "_FIRST_PAUSE", 0.01)
    warm_matlab_lab.limits = Limits(licence_seconds=60)
    with pytest.raises(CallError, match=f"no licence for quick: error {code}: .*{meaning}(?s:.*)Error {code}"):
        warm_matlab_lab.call("quick")
    assert warm_matlab_lab.starts()["start"] == tries


def test_waiting_for_a_licence_has_an_end(warm_matlab_lab, monkeypatch):
    monkeypatch.setenv("FAKE_MATLAB", "licence=-4,100")
    warm_matlab_lab.limits = Limits(licence_seconds=0.5)
    assert "no licence for quick: error -4: all licences are in use" in warm_matlab_lab.failure("quick")


def test_a_toolbox_without_a_licence_is_waited_for_in_a_new_session(warm_matlab_lab, monkeypatch):
    flag = warm_matlab_lab.folder / "tried"
    monkeypatch.setattr(licence, "_FIRST_PAUSE", 0.01)
    warm_matlab_lab.write(
        "toolbox",
        f"if ~isfile('{flag}'), fclose(fopen('{flag}', 'w'));",
        "error('MATLAB:license:checkouterror', 'no licence for Signal_Toolbox'); end",
    )
    warm_matlab_lab.limits = Limits(licence_seconds=10)
    warm_matlab_lab.call("toolbox")
    assert warm_matlab_lab.starts()["start"] == 2
