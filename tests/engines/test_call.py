"""Calls of real M-functions by a real Octave: what arrives, what comes back, what is left behind."""

import json
import logging
import math
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuroluigi.engines import session
from neuroluigi.engines.call import CallError, call_function, encode
from neuroluigi.engines.engine import SESSION_FOLDER_VARIABLE, Engine
from neuroluigi.engines.session import Limits, close_pool
from tests.conftest import FAKE_MATLAB, needs_octave

pytestmark = needs_octave


# Writes class, size and exact content of each argument, a line each.
DUMP = """
function dumpArguments(file, varargin)
  fid = fopen(file, 'w');
  for k = 1:numel(varargin)
    dump(fid, sprintf('%d', k), varargin{k});
  end
  fclose(fid);
end
function dump(fid, path, x)
  fprintf(fid, '%s %s %dx%d', path, class(x), rows(x), columns(x));
  if iscell(x)
    fprintf(fid, '\\n');
    for k = 1:numel(x)
      dump(fid, sprintf('%s{%d}', path, k), x{k});
    end
    return
  elseif isstruct(x)
    fprintf(fid, '\\n');
    names = fieldnames(x);
    for k = 1:numel(names)
      dump(fid, [path '.' names{k}], x.(names{k}));
    end
    return
  elseif isa(x, 'double')
    for k = 1:numel(x)
      fprintf(fid, ' %s', num2hex(x(k)));
    end
  elseif ischar(x) && ~isempty(x)
    fprintf(fid, ' %02x', double(x));
  elseif ~ischar(x)
    fprintf(fid, ' %d', x);
  end
  fprintf(fid, '\\n');
end
"""


def expected(path: str, value) -> list[str]:
    """Return the lines that dumpArguments writes for a value that arrives as encode() promises."""
    if value is None:
        return [f"{path} double 0x0"]
    if isinstance(value, str):
        codes = value.encode()
        return [" ".join([f"{path} char {'1' if codes else '0'}x{len(codes)}", *(f"{c:02x}" for c in codes)])]
    if isinstance(value, dict):
        inside = [line for key, v in value.items() for line in expected(f"{path}.{key}", v)]
        return [f"{path} struct 1x1", *inside]
    if isinstance(value, list) and not (value and all(isinstance(v, (bool, int, float)) for v in value)):
        inside = [line for k, v in enumerate(value, 1) for line in expected(f"{path}{{{k}}}", v)]
        return [f"{path} cell {len(value)}x1", *inside]
    numbers = value if isinstance(value, list) else [value]
    if all(isinstance(v, bool) for v in numbers):
        kind, texts = "logical", [str(int(v)) for v in numbers]
    elif all(isinstance(v, int) for v in numbers) and any(abs(v) > 2**53 for v in numbers):
        kind, texts = "int64", [str(int(v)) for v in numbers]
    else:
        # Octave has one NaN.
        kind, texts = "double", ["7ff8" + "0" * 12 if math.isnan(v) else struct.pack(">d", v).hex() for v in numbers]
    return [" ".join([f"{path} {kind} {len(numbers)}x1", *texts])]


class Lab:
    """A folder of M-files, and calls of them."""

    def __init__(self, folder: Path, monkeypatch):
        self.log = folder / "call.log"
        self.matlab = folder / "m files"
        self.matlab.mkdir()
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        monkeypatch.setenv("TMPDIR", str(self.temporary))
        monkeypatch.setattr(tempfile, "tempdir", None)
        self.limits = Limits(is_warm=False)
        self.engine = Engine("octave", (shutil.which("octave-cli"),))

    def write(self, name: str, *body: str) -> None:
        """Write an M-file: a function without arguments, its body from line 2 on."""
        (self.matlab / f"{name}.m").write_text("\n".join([f"function {name}()", *body, "end", ""]))

    def call(self, name: str, *arguments):
        return call_function(self.engine, name, arguments, self.matlab, self.log, self.limits)

    def failure(self, name: str, *arguments) -> str:
        with pytest.raises(CallError) as error:
            self.call(name, *arguments)
        return str(error.value)

    def fails_with(self, *body: str) -> str:
        self.write("failing", *body)
        return self.failure("failing")

    def processes(self) -> list[psutil.Process]:
        """Return what runs on behalf of this lab's calls."""
        return [p for p in psutil.process_iter() if str(self.temporary) in _call_folder(p)]


def _call_folder(process: psutil.Process) -> str:
    try:
        return process.environ().get(SESSION_FOLDER_VARIABLE, "")
    except psutil.Error:
        return ""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A lab of which no call may leave a folder or a process behind."""
    close_pool()
    lab = Lab(tmp_path, monkeypatch)
    yield lab
    close_pool()
    assert list(lab.temporary.iterdir()) == []
    assert lab.processes() == []


@pytest.fixture
def dump(lab):
    (lab.matlab / "dumpArguments.m").write_text(DUMP)

    def dump(*values) -> str:
        lab.call("dumpArguments", lab.log.with_name("dump.txt"), *values)
        return lab.log.with_name("dump.txt").read_text()

    return dump


TEXTS = [
    "",
    " ",
    "it's",
    'say "yes"',
    "two\nlines\r\n\ttab",
    "$HOME ${HOME} `touch nowhere` $(touch nowhere)",
    "back\\slash \\n %d %s %% \\",
    "\\",
    "'; exit(3); '",
    "{'a'; [1]}",
    "Grüße, 神经元, нейрон, 🧠",
    "\x01\x7f\u0085\u2028\ufeff\uffff\U0010ffff",
    "x" * 10_000,
    "神" * 3_000,
]
NUMBERS = [
    *(0, 1, -1, 2**53, -(2**53), 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 10**18, 999_999_999, 10**9),
    *(0.0, -0.0, 0.5, 0.1 + 0.2, 1e-300, 5e-324, 2.2250738585072014e-308, 1e6, 1e16, 1e308, sys.float_info.max),
    *(math.nan, math.inf, -math.inf),
]
LISTS = [
    [],
    [None],
    [[]],
    [1],
    [-0.0],
    [True],
    [True, False],
    [1, 2.5, math.nan, -math.inf],
    [1, True],
    [2**53 + 1, -5, 0],
    [""],
    ["a"],
    ["a", "", "bc", "神"],
    ["a", 1, None, [2, 3], {"b": []}],
    [[1, 2], [3, 4]],
    [[1, 2], [3]],
    [["a"], ["b"]],
    [{"a": 1}, {"a": 2}],
    [{"a": 1}, {"b": 2}],
    {},
    {"x": None},
    {"a": 1, "B2_": "two", "nested": {"list": [1, 2], "deeper": {"flag": True, "empty": {}}}},
    {"cells": ["a", ["b", ["c"]]], "one": ["a"]},
]


def test_every_kind_of_argument_arrives_as_it_was_sent(dump):
    values = [*TEXTS, *NUMBERS, True, False, None, *LISTS]
    lines = [line for k, value in enumerate(values, 1) for line in expected(str(k), value)]
    assert dump(*values).splitlines() == lines


_names = st.from_regex("[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name not in ("end", "if"))
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
)
_values = st.recursive(
    _scalars, lambda v: st.lists(v, max_size=4) | st.dictionaries(_names, v, max_size=3), max_leaves=8
)


# A call takes a fifth of a second, so one carries many values.
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(_values, min_size=20, max_size=60))
def test_any_argument_arrives_as_it_was_sent(dump, values):
    lines = [line for k, value in enumerate(values, 1) for line in expected(str(k), value)]
    assert dump(*values).split("\n") == [*lines, ""]


def test_numbers_alone_are_arguments_of_their_own(lab):
    (lab.matlab / "sumOf.m").write_text("function sumOf(a, b)\n  disp(a + b);\nend\n")
    lab.call("sumOf", 1, 2)
    assert lab.log.read_text() == "3\n"


def test_arguments_of_numpy_and_paths_arrive_too(dump):
    import numpy as np

    values = [np.float64(0.1), np.int64(7), np.bool_(True), np.array([1.5, 2]), np.array([], dtype=int), Path("a b")]
    plain = [0.1, 7, True, [1.5, 2.0], [], "a b"]
    assert dump(*values).splitlines() == [line for k, v in enumerate(plain, 1) for line in expected(str(k), v)]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1, 2}, "can't be given a set"),
        (1j, "can't be given a complex"),
        (2**63, "9223372036854775808 does not fit into an int64"),
        ({"a b": 1}, "'a b' can't name a field"),
        ({1: 1}, "1 can't name a field"),
        ("a\0b", "has a character that can't be given"),
        (os.fsdecode(b"m\xfcl"), "has a character that can't be given"),
    ],
)
def test_what_can_not_be_given_to_an_m_function_is_refused(lab, value, message):
    with pytest.raises(TypeError, match=message):
        lab.call("never", [value])


def test_an_answer_tells_version_and_use(lab):
    # More than the ticks in which some systems count.
    lab.write("quick", "x = ones(1000); began = cputime(); while cputime() - began < 0.3, end")
    facts = lab.call("quick")
    assert facts["version"] == lab.engine.version()
    assert 0.1 < facts["used"]["cpu_seconds"] < 30
    assert facts["used"]["peak_memory_bytes"] > 8e6


def test_an_error_names_function_identifier_message_and_line(lab):
    lab.write("helper", "", "  error('lab:broken', 'electrode %d of %s', 3, 'shank ''A''');")
    assert lab.fails_with("helper();") == (
        "octave: failing failed: lab:broken: electrode 3 of shank 'A' (helper, line 3 of helper.m)"
    )


def test_an_error_without_an_identifier(lab):
    assert lab.fails_with("error('just so');") == "octave: failing failed: just so (failing, line 2 of failing.m)"


def test_an_error_with_characters_of_all_kinds(lab):
    lab.write("unused")
    assert lab.fails_with("error('lab:name', '%s', 'Grüße \"神\"\\ %d');") == (
        'octave: failing failed: lab:name: Grüße "神"\\ %d (failing, line 2 of failing.m)'
    )
    # Latin-1, as old files have it.
    assert "lab:name: M\ufffdnchen (failing" in lab.fails_with("error('lab:name', '%s', char([77 252 'nchen']));")
    assert "lab:name: one\ntwo (failing" in lab.fails_with("error('lab:name', 'one\\ntwo');")


def test_a_function_that_is_missing(lab):
    message = lab.fails_with("noSuchFunction(1);")
    assert "octave: failing failed: Octave:undefined-function: 'noSuchFunction' undefined" in message
    assert message.endswith("(failing, line 2 of failing.m)")
    assert "'noSuchEither'" in lab.failure("noSuchEither")


def test_an_m_file_that_can_not_be_parsed(lab):
    lab.write("broken", "x = (1;")
    message = lab.fails_with("broken();")
    assert "failing failed: parse error near line 2 of file" in message
    assert "broken.m" in message


def test_wrong_number_of_arguments(lab):
    lab.write("quick")
    assert "quick: function called with too many inputs" in lab.failure("quick", 1)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("exit(0);", "exit code 0"),
        ("exit(3);", "exit code 3"),
        ("kill(getpid(), 11);", "killed by signal 11"),
        ("kill(getpid(), 9);", "killed by signal 9: out of memory?"),
    ],
)
def test_an_engine_that_ends_without_an_answer(lab, statement, reason):
    message = lab.fails_with("disp('the last words');", "fflush(stdout);", statement)
    assert message.startswith(f"octave ended without an answer ({reason}); the last it printed:\nthe last words")


def test_an_engine_that_can_not_be_started(lab):
    lab.engine = Engine("octave", (str(lab.matlab / "nowhere"),))
    message = lab.failure("quick")
    assert message.startswith("octave ended without an answer (exit code 127: the program could not be started);")
    assert "No such file or directory" in message


def test_printed_text_decides_nothing(lab):
    lab.write("chatty", "fprintf(2, 'error: not at all\\n');", "disp(['m' char(252) 'l']);", "warning('lab:w', 'hm');")
    lab.call("chatty")
    printed = lab.log.read_bytes()
    assert b"error: not at all\n" in printed
    assert b"m\xfcl\n" in printed
    assert b"warning: hm" in printed


def test_the_log_is_added_to(lab):
    lab.write("one", "disp('one');")
    lab.log.write_text("before\n")
    lab.call("one")
    lab.call("one")
    assert lab.log.read_text() == "before\none\none\n"


def test_the_log_grows_while_the_call_runs(lab, tmp_path):
    # The function goes on only when it has been seen to print.
    lab.write("slow", "disp('first');", f"while ~exist('{tmp_path}/go', 'file'), pause(0.05); end", "disp('second');")
    code = _calling_code(lab, "slow")
    caller = subprocess.Popen([sys.executable, "-c", code])
    try:
        _wait_for(lambda: lab.log.exists() and lab.log.read_text() == "first\n")
        assert caller.poll() is None
    finally:
        (tmp_path / "go").touch()
    assert caller.wait(timeout=30) == 0
    assert lab.log.read_text() == "first\nsecond\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_end_of_the_caller_ends_the_engine(lab, number):
    lab.write("endless", "disp('on'); fflush(stdout);", "while true, pause(0.1); end")
    caller = subprocess.Popen([sys.executable, "-c", _calling_code(lab, "endless")], stderr=subprocess.PIPE)
    _wait_for(lambda: lab.log.exists() and lab.log.read_text() == "on\n")
    assert len(lab.processes()) == 2  # the guard and Octave
    caller.send_signal(number)
    _, err = caller.communicate(timeout=15)
    assert caller.returncode == -number
    assert number == signal.SIGKILL or b"KeyboardInterrupt" in err
    _wait_for(lambda: not lab.processes() and not list(lab.temporary.iterdir()))


def _calling_code(lab: Lab, name: str) -> str:
    arguments = f"{lab.engine!r}, {name!r}, [], Path({str(lab.matlab)!r}), Path({str(lab.log)!r}), {lab.limits!r}"
    return (
        "from pathlib import Path\nfrom neuroluigi.engines.call import call_function\nfrom neuroluigi.engines.engine import Engine\n"
        "from neuroluigi.engines.session import Limits\n"
        f"call_function({arguments})"
    )


def _wait_for(condition, seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)


@pytest.mark.parametrize(
    "statement",
    ["cd('/');", "fclose('all');", "clear('all');", "cd('/'); clear('all');", "restoredefaultpath(); cd('/');"],
)
def test_a_function_that_turns_everything_over_still_answers(lab, statement):
    lab.write("careless", statement)
    assert lab.call("careless")["version"]


def test_a_function_reads_no_input(lab):
    assert "reading user-input failed" in lab.fails_with("input('Which channel? ');")


def test_the_folder_of_the_temporary_files_may_have_any_name(lab, monkeypatch):
    folder = lab.temporary / 'it\'s "my" Gerät $HOME `x` 神'
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    lab.write("quick", "disp(pwd());")
    lab.call("quick")
    close_pool()
    # And it was the one that was used.
    assert lab.log.read_text().startswith(f"{folder}/neuroluigi-")
    assert list(folder.iterdir()) == []
    folder.rmdir()


def test_a_folder_that_no_engine_can_use_is_refused(lab):
    with pytest.raises(CallError, match="can't use a folder whose name contains ':'"):
        call_function(lab.engine, "quick", [], lab.matlab / "a:b", lab.log, lab.limits)


def test_startup_files_of_the_user_are_left_alone(lab, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    (home / ".octaverc").write_text("disp('from octaverc'); exit(7);\n")
    monkeypatch.setenv("HOME", str(home))
    lab.write("quick", "disp('only this');")
    lab.call("quick")
    assert lab.log.read_text() == "only this\n"
    assert [path.name for path in home.iterdir()] == [".octaverc"]


@pytest.fixture
def matlab_lab(lab, monkeypatch):
    """The same with the stand-in `matlab`; FAKE_MATLAB says what it does beside."""
    lab.engine = Engine("matlab", (str(FAKE_MATLAB),))
    lab.write("quick", "disp('worked');")
    monkeypatch.delenv("FAKE_MATLAB", raising=False)
    return lab


def test_matlab_answers_as_octave_does(matlab_lab):
    assert matlab_lab.call("quick")["version"]
    assert matlab_lab.log.read_text() == "worked\n"
    assert matlab_lab.fails_with("error('lab:broken', 'so');") == (
        "matlab: failing failed: lab:broken: so (failing, line 2 of failing.m)"
    )


@pytest.mark.parametrize("mode", ["banner prompt", "grandchild"])
def test_what_matlab_does_beside_is_no_failure(matlab_lab, monkeypatch, mode):
    monkeypatch.setenv("FAKE_MATLAB", mode)
    matlab_lab.call("quick")
    assert "worked\n" in matlab_lab.log.read_text()
    # The survivor did not hold up the call, and is ended too.
    assert not matlab_lab.processes()


@pytest.mark.parametrize(
    ("mode", "reason"), [("crash-before-answer", "killed by signal 11"), ("exit-0-without-output", "exit code 0")]
)
def test_a_matlab_that_ends_without_an_answer(matlab_lab, monkeypatch, mode, reason):
    monkeypatch.setenv("FAKE_MATLAB", mode)
    assert matlab_lab.failure("quick").startswith(f"matlab ended without an answer ({reason})")


def test_a_crash_after_the_answer_is_a_warning(matlab_lab, monkeypatch, caplog):
    monkeypatch.setenv("FAKE_MATLAB", "crash-after-answer")
    with caplog.at_level(logging.WARNING, "luigi-interface"):
        matlab_lab.call("quick")
    assert "matlab ended badly after its last answer (killed by signal 11)" in caplog.text


@pytest.mark.parametrize("succeeds", [True, False])
def test_an_engine_that_hangs_after_its_answer_is_ended(matlab_lab, monkeypatch, caplog, succeeds):
    monkeypatch.setenv("FAKE_MATLAB", "hang-after-answer")
    monkeypatch.setattr(session, "EXIT_SECONDS", 0.1)
    with caplog.at_level(logging.WARNING, "luigi-interface"):
        if succeeds:
            assert matlab_lab.call("quick")["version"]
        else:
            assert "lab:broken: so" in matlab_lab.fails_with("error('lab:broken', 'so');")
    assert "matlab did not exit within" in caplog.text


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


def test_a_request_is_plain_json_without_a_number_in_it():
    """No JSON reader of an engine keeps NaN, 1e-300 or large integers."""
    text = json.dumps(encode([1, 2.5, math.nan, 2**62, "神", {"a": [1e-300]}]))
    assert text.isascii()

    def refuse(word):
        raise AssertionError(word)

    json.loads(text, parse_int=refuse, parse_float=refuse, parse_constant=refuse)
