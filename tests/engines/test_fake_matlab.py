"""The fake `matlab` of the tests refuses and expands what Matlab's launcher does; needs Octave."""

import os
import subprocess

import pytest

from tests.conftest import FAKE_MATLAB, needs_octave

pytestmark = needs_octave


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-batch", "disp(1)\ndisp(2)"], "No MATLAB command specified for -batch command line argument."),
        (["-r", "disp(1)", "-batch", "disp(2)"], "can not be used together"),
        (["-nojvm", "-unknown", "-batch", "error('lab:broken', 'so')"], "error: so"),
    ],
)
def test_the_stand_in_refuses_what_matlab_refuses(arguments, message):
    run = subprocess.run([FAKE_MATLAB, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stdout == ""
    assert message in run.stderr


def test_the_stand_in_expands_what_the_launcher_of_matlab_expands(tmp_path):
    """The trap that keeps values of the user out of the command line."""
    statement = "disp('$LAB `echo run`')"
    run = subprocess.run(
        [FAKE_MATLAB, "-batch", statement],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "LAB": "expanded"},
    )
    assert run.stdout == "expanded run\n"
