"""What a Python step finds around it: the same whatever ran before, and nothing of it stays behind."""

import contextlib
import decimal
import locale
import os
import random
import subprocess
import sys
import time
import warnings
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroluigi.steps.surroundings import own_surroundings


def use_another_generator():
    np.random.set_bit_generator(np.random.PCG64(5))
    np.random.seed(7)


def live_elsewhere():
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()


def warn_nobody():
    warnings.simplefilter("ignore")


def warn_by_raising():
    warnings.simplefilter("error")


def call_on_errors():
    np.seterrcall(print)
    np.seterr(all="call")


def plot():
    plt.plot([1, 2])


def set_everyones_name():
    os.environ["LEFT_OVER"] = "yes"


def forget_path():
    del os.environ["PATH"]


def speak_another_language():
    for name in ("C.UTF-8", "en_US.UTF-8", "en-US"):
        with contextlib.suppress(locale.Error):
            locale.setlocale(locale.LC_ALL, name)


# What a step may leave behind.
LEAKS = (
    lambda: os.chdir("/"),
    set_everyones_name,
    forget_path,
    lambda: os.environ.update(PATH="nowhere"),
    lambda: os.umask(0o077),
    lambda: sys.path.insert(0, "elsewhere"),
    speak_another_language,
    lambda: decimal.setcontext(decimal.Context(prec=3)),
    lambda: random.seed(1),
    random.random,
    lambda: np.random.seed(2),
    np.random.standard_normal,
    use_another_generator,
    *([live_elsewhere] if hasattr(time, "tzset") else []),
    lambda: mpl.use("svg"),
    lambda: np.seterr(all="raise"),
    call_on_errors,
    lambda: np.set_printoptions(precision=2),
    warn_nobody,
    warn_by_raising,
    lambda: mpl.rcParams.update({"lines.linewidth": 9}),
    lambda: mpl.rc("font", size=3),
    plot,
)


def seen() -> dict:
    """Return what a step can see of all that others may have left behind, and what its generators give."""
    mask = os.umask(0)
    os.umask(mask)
    return {
        "folder": str(Path.cwd()),
        "environment": dict(os.environ),
        "umask": mask,
        "path": list(sys.path),
        "locale": locale.setlocale(locale.LC_ALL),
        "decimal": str(decimal.Decimal(1) / 3),
        "random": [random.random(), random.gauss(0, 1)],
        "numpy.random": [np.random.random(), np.random.standard_normal(), type(np.random.get_bit_generator()).__name__],
        "errors": [np.geterr(), np.geterrcall()],
        "printed": str(np.array([1 / 3])),
        "filters": list(warnings.filters),
        "time zone": time.localtime(0).tm_hour,
        "parameters": {**mpl.rcParams},
        "figures": plt.get_fignums(),
    }


@given(leaks=st.lists(st.sampled_from(LEAKS), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_step_sees_the_same_after_whatever_others_left_behind(leaks):
    with own_surroundings():
        alone = seen()
    for leak in leaks:
        with own_surroundings():
            leak()
    with own_surroundings():
        assert seen() == alone


@pytest.mark.parametrize("leak", LEAKS)
def test_every_leak_is_one(leak):
    """The test above can fail: each leak is seen by what follows it in the same surroundings."""
    with own_surroundings():
        alone = seen()
    with own_surroundings():
        leak()
        assert seen() != alone


def test_numbers_go_on_around_a_step_and_around_a_step_in_a_step():
    def normal():
        # They are made in pairs, of which one waits.
        return np.random.standard_normal(3).tolist()

    np.random.seed(12)
    outer = [normal(), normal()]
    np.random.seed(0)
    inner = [normal(), normal()]
    np.random.seed(12)
    found = [normal()]
    with own_surroundings():
        within = [normal()]
        with own_surroundings():
            assert [normal(), normal()] == inner
        within.append(normal())
    assert [*found, normal()] == outer and within == inner


def test_around_a_step_all_stays_as_it_was_when_it_fails_too():
    random.seed(11)
    np.random.seed(12)
    figure = plt.figure().number
    expected = [random.getstate(), np.random.get_state(legacy=False)["state"]["key"].tolist(), str(Path.cwd())]
    with pytest.raises(ZeroDivisionError), own_surroundings():
        for leak in LEAKS:
            leak()
        os.environ["HALF"] = str(1 / 0)
    assert [random.getstate(), np.random.get_state(legacy=False)["state"]["key"].tolist(), str(Path.cwd())] == expected
    assert "LEFT_OVER" not in os.environ and plt.get_fignums() == [figure]
    plt.close(figure)


IMPORTING = """
import sys
from neuroluigi.steps.surroundings import own_surroundings

def draw():
    import numpy, random
    import matplotlib as mpl
    print(numpy.random.random(), random.random(), mpl.rcParams["lines.linewidth"], numpy.geterr()["over"])
    mpl.rcParams["lines.linewidth"] = 9
    numpy.seterr(all="ignore")
    numpy.random.random(3)

assert not {"numpy", "matplotlib"} & sys.modules.keys()
for _ in range(2):
    with own_surroundings():
        draw()
"""


def test_the_first_step_that_imports_a_library_finds_it_as_the_second_one_does():
    out = subprocess.run([sys.executable, "-c", IMPORTING], capture_output=True, text=True, check=True).stdout
    first, second = out.splitlines()
    assert first == second and first.split()[2:] == ["1.5", "warn"]


def test_a_step_that_removes_the_current_folder_fails_alone(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    with pytest.raises(OSError, match="gone"), own_surroundings():
        os.chdir("/")
        gone.rmdir()
        os.environ["LEFT_OVER"] = "yes"
    assert "LEFT_OVER" not in os.environ
