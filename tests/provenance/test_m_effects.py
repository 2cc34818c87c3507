"""What M-code may leave behind in an engine, told from its text."""

from pathlib import Path

import pytest

from neuroluigi.engines.mfiles import package_folder
from neuroluigi.engines.session import __file__ as of_engines
from neuroluigi.provenance.m_code import code_files_on, found_files, lasting_effects_of
from neuroluigi.provenance.m_effects import LASTING, lasting_effects


@pytest.mark.parametrize(
    "code", ["{}(1);", "x = {} + 1;", "  {} on;", "f = @{};", "cellfun(@(x) {}(x), y)", "a(b').'; {}", "if {}; end"]
)
def test_what_leaves_something_behind(code):
    assert {name: lasting_effects(code.format(name)) for name in LASTING} == {name: [name] for name in LASTING}


@pytest.mark.parametrize(
    "code",
    [
        "% setenv('A', 'b')",
        "x = 1; # setenv",
        "%{\nsetenv('A', 'b');\n%}\nx = 1;",
        "%{\n  %{\nmlock;\n  %}\nsetenv('A', 'b');\n%}\nx = 1;",
        "x = [1 ... setenv\n 2];",
        "disp('setenv'); disp(\"pkg load\"); error('it''s mlock');",
        "y = x'; % don't setenv",
        "y = [x' y']; z = {a', 'setenv'};",
        "s.setenv = 1; s.java.x = 2; t = s.py.x;",
        "pkg = 3; parfor_ = pkg2;",
        "eval('x = 1;'); evalc('disp(1)'); evalin('base', 'who'); assignin('base', name, 1);",
        "eval('x = 1;', 'x = 2;');",
        "feval('sin', 1); feval(@sin, 1); str2func('@(x) x + 1'); builtin('sin', 1);",
        "system('ls'); system('a && b > c 2>&1'); [s, out] = unix(command);",
        "for run = 1:3, x{run} = y(run); end; source(1).x = 2; z = source(2);",
        "function [fork, x] = stats(pkg, exec)\nx = pkg(exec) + fork;",
        "[popen, y] = size(x); z = popen + 1; f = @(mlock) mlock + 1;",
        "if a && b, disp('here & there'); end",
        "x = a != b & c",
        "cellfun('isempty', {'setenv'}); arrayfun(@(x) x, 1:3); profile = 3;",
    ],
)
def test_what_leaves_nothing_behind(code):
    assert lasting_effects(code) == []


@pytest.mark.parametrize(
    ("code", "effect"),
    [
        ("eval(['set' 'env'])", "eval of what is known only then"),
        ("eval('setenv(''A'', ''b'')');", "setenv"),
        ("eval('eval(name)');", "eval of what is known only then"),
        ("eval('1;', 'mlock');", "mlock"),
        ("evalin('base', text)", "evalin of what is known only then"),
        ("evalin('base', 'mlock')", "mlock"),
        ("eval(text);", "eval of what is known only then"),
        ("eval text", "eval of what is known only then"),
        ("feval(f, 1)", "feval of what is known only then"),
        ("feval('setenv', 'A', 'b')", "setenv"),
        ("eval('1;', caught)", "eval of what is known only then"),
        ("f = str2func(name);", "str2func of what is known only then"),
        ("builtin('setenv', 'A', 'b')", "setenv"),
        ("run(script)", "run of what is known only then"),
        ("cellfun('setenv', {'A'}, {'b'}, 'UniformOutput', false);", "setenv"),
        ("arrayfun('mlock', 1)", "mlock"),
        # A text that ends at the backslash for Matlab, and goes on for Octave; and the reverse.
        ('x = "say \\"hi"; setenv(\'A\', \'1\'); y = "ok";', "setenv"),
        ('x = "C:\\"; setenv("A", "b"); y = "";', "setenv"),
        ("system('sleep 10 &');", "a command in the background"),
        ("command = 'sleep 10 &'; unix(command);", "a command in the background"),
        ("system('sleep 10', false, 'async');", "a command in the background"),
        ("!sleep 10 &", "a command in the background"),
        ("java.lang.System.setProperty('a', 'b');", "java"),
        ("x = py.numpy.zeros(1);", "py"),
    ],
)
def test_what_may_leave_something_behind(code, effect):
    assert lasting_effects(code) == [effect]


@pytest.mark.parametrize("line", ["%{\n", "[", "@(", "(", "a = ", "'", "x{", "[a, b] ", "a.b(1)", "eval('", "'a' "])
def test_the_time_grows_with_the_length_of_the_code_alone(line):
    assert lasting_effects(line * (300_000 // len(line))) in ([], ["eval of what is known only then"])


def test_it_is_followed_through_all_that_a_call_reaches(tmp_path):
    files = {"stats.m": "helper(1);", "helper.m": "setenv('A', 'b'); quick(1);", "other.m": "mlock;"}
    for name, text in {**files, "quick.mexa64": ""}.items():
        (tmp_path / name).write_text(text)
    files = found_files([tmp_path])
    assert lasting_effects_of([tmp_path], "stats", files) == ["helper.m: setenv", "quick.mexa64: compiled code"]
    assert lasting_effects_of([tmp_path], "other", files) == ["other.m: mlock"]
    assert lasting_effects_of([tmp_path], "none", files) == []


def test_no_function_of_the_package_ends_its_session():
    folders = [package_folder(), Path(of_engines).parent]
    files = found_files(folders)
    names = [file.stem for file, _, _ in code_files_on(folders) if file.stem != "neuroluigiServe"]
    assert {"computeStats", "reportProgress"} <= set(names)
    assert {name: effects for name in names if (effects := lasting_effects_of(folders, name, files))} == {}
