"""Modules that are imported when they are used: those who imported them have the modules themselves from then on."""

import subprocess
import sys

from tests.conftest import REPOSITORY, clean_environment

AT_ONCE = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from neuroluigi import ephys
from neuroluigi.signals import crossings, rates
assert "numpy" not in sys.modules
together = threading.Barrier(16)
def use(number):
    together.wait()
    return int(crossings.np.zeros(number).sum() + rates.np.linalg.norm([3, 4]))
with ThreadPoolExecutor(16) as pool:
    print(set(pool.map(use, range(16))))
import numpy
print(crossings.np is rates.np is numpy, ephys.blocks.__globals__["np"] is numpy)
"""

BY_ANOTHER = """
import sys
from neuroluigi import ephys
from neuroluigi.signals import crossings
import numpy
from numpy.lib import format
assert type(numpy).__name__ == "module" and crossings.np.lib.format is format
numpy.added = 1
print(crossings.np.added, crossings.np is numpy)
"""

AT_A_TIME = """
from neuroluigi import ephys
from neuroluigi.signals import crossings, rates
from neuroluigi.steps.late_imports import import_now
print(import_now("numpy") is vars(crossings)["np"] is vars(rates)["np"])
"""

MEANWHILE = """
import sys
from neuroluigi.steps.late_imports import imported_when_used
with imported_when_used("colorsys", "not_there_at_all"):
    import colorsys
    from colorsys import rgb_to_hsv
    assert sys.modules["colorsys"] is colorsys
    try:
        import not_there_at_all
    except ImportError as error:
        print(error)
print(colorsys.rgb_to_hsv is rgb_to_hsv)
with imported_when_used("colorsys"):
    assert sys.modules["colorsys"] is colorsys
with imported_when_used("stringprep"):
    import stringprep
print("stringprep" in sys.modules)
try:
    stringprep.nothing
except AttributeError as error:
    print(error)
"""


def printed(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert not done.stderr, done.stderr
    return done.stdout.splitlines()


def test_threads_that_use_it_at_once_have_the_module():
    assert printed(AT_ONCE) == ["{5}", "True True"]


def test_who_else_imports_it_has_the_module_and_what_is_added_to_it_is_seen():
    assert printed(BY_ANOTHER) == ["1 True"]


def test_imported_for_all_before_they_use_it():
    assert printed(AT_A_TIME) == ["True"]


def test_what_is_asked_for_meanwhile_what_was_imported_before_and_what_is_not_there():
    assert printed(MEANWHILE) == [
        "No module named 'not_there_at_all'",
        "True",
        "False",
        "module 'stringprep' has no attribute 'nothing'",
    ]
