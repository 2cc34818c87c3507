"""Calls are independent: a function finds the same and writes the same bytes, whatever ran before it in its engine."""

import contextlib
import dataclasses
import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuroluigi.engines.call import CallError
from tests.conftest import needs_octave

pytestmark = needs_octave

# What a function leaves behind, and what the next one finds of it.
LEAVES = {
    "persistent": ("counted();", "counted()"),
    "global": ("global CALLS; CALLS = [CALLS 1];", "numel(seen())"),
    "base workspace": ("evalin('base', 'left = 1;'); assignin('base', ['le' 'ft2'], 2);", "evalin('base', 'who')"),
    "function of the command line": ("eval('function leftBehind(), end');", "exist('leftBehind')"),
    "graphics root": ("set(0, 'DefaultAxesFontSize', 33); set(0, 'UserData', 5);", "{get(0, 'Default'), get(0)}"),
    "data of the root": ("setappdata(0, 'left', 3);", "isappdata(0, 'left')"),
    "format": ("format long g;", "evalc('x = pi')"),
    "precision": ("output_precision(3);", "evalc('x = pi')"),
    "how values are shown": (
        "fixed_point_format(true); split_long_rows(false); print_empty_dimensions(false); struct_levels_to_print(0);",
        "{evalc('x = {[1.5 1000], zeros(0, 3)}'), evalc('y.a.b.c = 1'), evalc('z = rand(1, 40)')}",
    ),
    "settings": (
        "page_screen_output(true); debug_on_error(true); beep_on_error(true); PS4('left');"
        " ignore_function_time_stamp('all'); string_fill_char('x'); svd_driver('gesdd'); save_precision(3);"
        " max_recursion_depth(10);",
        "{max_recursion_depth(), page_screen_output(), debug_on_error(), beep_on_error(), PS4(),"
        " ignore_function_time_stamp(), ['a'; 'bcd'], svd_driver(), save_precision()}",
    ),
    "errors": ("try, error('lab:left', 'behind'); catch, end", "{lasterr(), lasterror().message}"),
    "warnings": ("warning('off', 'lab:any'); warning('lab:other', 'behind');", "{warning(), lastwarn()}"),
    "path and folder": (
        "addpath('/tmp'); cd('/');",
        "strrep({path(), pwd()}, getenv('NEUROLUIGI_SESSION'), '')",
    ),
    "files": ("fid = fopen('left.txt', 'w'); fputs(fid, 'x');", "{fopen('all'), readdir('.')}"),
    "numbers": ("rand(1, 3); randn(1, 3); rande(1, 3); randg(1); randp(5); randi(9); randperm(5);", "drawn()"),
    "seeds": ("rand('state', 5); randn('seed', 5); rande('twister', 1);", "drawn()"),
    "old generators": (
        "rand('seed', 3); randn('seed', 3); rande('seed', 3); randg('seed', 3); randp('seed', 3);",
        "drawn()",
    ),
    "diary": ("diary('left.txt');", "diary()"),
    "a failure": ("format long; rand(1, 2); error('lab:broken', 'so');", "{evalc('x = pi'), drawn()}"),
    "environment": ("setenv('LEFT', 'behind');", "getenv('LEFT')"),
}
if shutil.which("gnuplot"):
    LEAVES["figures"] = ("figure('visible', 'off', 'handlevisibility', 'off'); axes();", "allchild(0)")

OTHERS = {
    "counted": "function n = counted()\n  persistent calls\n  calls(end + 1) = 1;\n  n = numel(calls);\nend\n",
    "seen": "function c = seen()\n  global CALLS\n  c = CALLS;\nend\n",
    "drawn": "function n = drawn()\n  n = {rand(1, 2), randn(), rande(), randg(2), randp(5), randi(9), randperm(9)};\n"
    "end\n",
}


def find(lab, function: str, found) -> str:
    """Call a function and return what it writes."""
    found.unlink(missing_ok=True)
    with contextlib.suppress(CallError):
        lab.call(function, found)
    return found.read_text()


@pytest.fixture
def functions(warm_lab):
    """Return the names of functions that write what they find of all that any of them leaves, and what that is."""
    for name, text in OTHERS.items():
        (warm_lab.matlab / f"{name}.m").write_text(text)
    finds = (f"found{{{k}}} = {finds};" for k, (_, finds) in enumerate(LEAVES.values(), 1))
    warm_lab.write("findAll(file)", *finds, "fid = fopen(file, 'w'); fputs(fid, jsonencode(found)); fclose(fid);")
    names = [f"leaves{k}" for k in range(len(LEAVES))]
    for name, (leaves, _) in zip(names, LEAVES.values(), strict=True):
        warm_lab.write(f"{name}(file)", "findAll(file);", leaves)
    # The first call of a new session.
    warm_lab.call("findAll", warm_lab.folder / "found")
    cold = (warm_lab.folder / "found").read_text()
    # One engine serves them all, but for the one that has to end it.
    ended = []
    for name, what in zip(names, LEAVES, strict=True):
        before = warm_lab.process()
        find(warm_lab, name, warm_lab.folder / "found")
        ended += [what] * (warm_lab.process() != before)
    assert ended == ["environment"]
    return names, cold


@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_function_finds_nothing_of_those_before_it(warm_lab, functions, data):
    names, cold = functions
    for name in data.draw(st.lists(st.sampled_from(names), min_size=10, max_size=30)):
        assert json.loads(find(warm_lab, name, warm_lab.folder / "found")) == json.loads(cold), name


def test_each_function_finds_the_same_in_a_process_of_its_own(warm_lab, functions):
    names, cold = functions
    warm_lab.limits = dataclasses.replace(warm_lab.limits, is_warm=False)
    assert {find(warm_lab, name, warm_lab.folder / "found") for name in names} == {cold}


def test_what_is_left_would_be_found(warm_lab, functions):
    """Without a new state in between, each function changes what is found: none of them tests nothing."""
    names, cold = functions
    warm_lab.write("twice(file, name)", "try, feval(name, file); catch, end", "findAll(file);")
    for name, what in zip(names, LEAVES, strict=True):
        warm_lab.call("twice", warm_lab.folder / "found", name)
        found = json.loads((warm_lab.folder / "found").read_text())
        k = names.index(name)
        assert found[k] != json.loads(cold)[k], what


LOCKED = "function n = locked()\n  mlock();\n  persistent calls\n  calls(end + 1) = 1;\n  n = numel(calls);\nend\n"

LASTING = {
    "locked": ("locked();", "locked()"),
    "eval": ("name = 'set'; eval([name 'env(''LEFT'', ''x'')']);", "getenv('LEFT')"),
    "feval": ("name = ['set' 'env']; feval(name, 'LEFT', 'x');", "getenv('LEFT')"),
    "options of a solver": ("quad_options('absolute tolerance', 1);", "quad_options('absolute tolerance')"),
    "background": ("system('sleep 60 &');", "0"),
}


@pytest.mark.parametrize("what", LASTING)
def test_a_call_that_leaves_what_can_not_be_undone_ends_its_session(warm_lab, what):
    leaves, finds = LASTING[what]
    (warm_lab.matlab / "locked.m").write_text(LOCKED)
    warm_lab.write("leaves", leaves)
    warm_lab.write("finds", f"printf('%g|', {finds});")
    warm_lab.process()
    fresh = warm_lab.printed("finds").partition("|")[0]
    first = warm_lab.process()
    assert "% the session of octave ends for what this call may leave: " in warm_lab.printed("leaves")
    assert warm_lab.printed("finds").partition("|")[0] == fresh
    assert warm_lab.process() != first


def test_a_function_that_forbids_further_calls_does_not_forbid_those_of_the_engine(warm_lab):
    warm_lab.write("shallow", "max_recursion_depth(3);")
    first = warm_lab.process()
    warm_lab.call("shallow")
    assert warm_lab.process() == first
