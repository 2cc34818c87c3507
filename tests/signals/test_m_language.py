"""Each M-file is in the language that both engines know, and has a complete help text."""

import re

import pytest

from tests.conftest import REPOSITORY
from tests.signals.m_language import DENIED, DENIED_WITH_STRINGS, MATLAB_ONLY, OCTAVE_ONLY, findings, without
from tests.signals.octave import MATLAB, PUBLIC, documented_errors

M_FILES = [*sorted(MATLAB.glob("*.m")), *sorted((REPOSITORY / "neuroluigi" / "engines").glob("*.m"))]


@pytest.mark.parametrize("file", M_FILES, ids=lambda file: file.name)
def test_the_language_is_matlab_and_octave(file):
    assert findings(file.read_text(encoding="utf-8"), frozenset(PUBLIC)) == set()


@pytest.mark.parametrize(
    ("names", "branch"),
    [
        (OCTAVE_ONLY, r"^( *)if isOctave\n(.*?)^\1(?:else|end)\b"),
        (MATLAB_ONLY, r"^( *)if isOctave\n(?:(?!^\1end).)*?^\1else\n(.*?)^\1end\b"),
    ],
    ids=["Octave", "Matlab"],
)
def test_functions_of_one_engine_stay_where_that_runs(names, branch):
    for file in M_FILES:
        code = without(file.read_text(), strings=False)
        used = set(re.findall(r"\bfeval\(\s*'(\w+)'", code)) & names
        guarded = "".join(inside for _, inside in re.findall(branch, code, re.M | re.S))
        assert used == {name for name in names if f"feval('{name}'" in guarded}, file.name


# A line of code, and what it must be found guilty of.
BAD = [
    ("x += 1;", "assignment operator"),
    ("x -= 1;", "assignment operator"),
    ("x *= 2;", "assignment operator"),
    ("x /= 2;", "assignment operator"),
    ("x(3) |= y;", "assignment operator"),
    ("x++;", "increment"),
    ("x--;", "increment"),
    ("y = !x;", "exclamation mark"),
    ("y = x != 2;", "exclamation mark"),
    ("y = x ** 2;", "double asterisk"),
    ("x = 1; # one", "hash sign"),
    ("y = \"text\";", "double quote"),
    ("y = [\"a\" 'b'];", "double quote"),
    ("y = x' + \"it's\";", "double quote"),
    ("y = zeros(3)(1);", "index of a result"),
    ("y = x(2)(1);", "index of a result"),
    ("y = [1 2 3](1);", "index of a result"),
    ("y = x(2){1};", "index of a result"),
    ("y = 'abc'(1);", "index of a text"),
    ("if x, y = 1; endif", "long end"),
    ("for k = 1:3, endfor", "long end"),
    ("while true, endwhile", "long end"),
    ("endfunction", "long end"),
    ("try, y = 1; end_try_catch", "long end"),
    ("unwind_protect", "unwind_protect"),
    ("unwind_protect_cleanup", "unwind_protect"),
    ("end_unwind_protect", "long end"),
    ("do", "do until"),
    ("until x > 3", "do until"),
    ("arguments", "arguments block"),
    ("arguments (Input)", "arguments block"),
    ("printf('x');", "printf"),
    ("puts('x');", "printf"),
    ("fdisp(x, 2);", "printf"),
    ("fflush(stdout);", "fflush(stdout)"),
    ("rename('a', 'b');", "rename"),
    ("y = string(x);", "string"),
    ("y = contains(x, 'a');", "string"),
    ("y = strlength(x);", "string"),
    ("throw(MException('a:b', 'c'));", "MException"),
    ("y = e.getReport();", "MException"),
    ("y = getReport(e);", "MException"),
    ("y = sum(x, 'all');", "option 'all'"),
    ("y = mean(x, 'omitnan');", "option 'all'"),
    ("y = sum(x, [1 2]);", "reduction over several dimensions"),
    ("y = max(x, [], [1, 2]);", "reduction over several dimensions"),
    ("y = round(x, 2);", "round to digits"),
    ("if x = 3, y = 1; end", "assignment in a condition"),
    ("if (x = 3) y = 1; end", "assignment in a condition"),
    ("while y = x, end", "assignment in a condition"),
    ("y = memmapfile(x);", "unknown memmapfile"),
    ("y = histcounts(x);", "unknown histcounts"),
    ("y = readtable('a');", "unknown readtable"),
    ("y = cellfun(@butter, x);", "unknown butter"),
    ("y = getpid;", "unknown getpid"),
    ("y = x(getpid() + 1);", "unknown getpid"),
    ("feval('setenv', 'a', 'b');", "unknown setenv"),
    ("y = 'ü';", "not ASCII"),
    ("% Grüße", "not ASCII"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "name"), BAD)
def test_the_check_finds(line, name):
    sample = f"function y = sample(x, e)\n  y = x;\n  {line}\nend\n"
    assert name in findings(sample)
    assert findings(sample.replace(f"  {line}\n", "")) == set()


def test_the_check_finds_scripts():
    assert "no function file" in findings("% a script\nx = 1;\n")


def test_every_rule_is_tried():
    assert set(DENIED) | set(DENIED_WITH_STRINGS) <= {name for _, name in BAD}


@pytest.mark.parametrize(
    "line",
    [
        'y = x\';  % x += 1 != "endif"',
        "y = [x', x'];",
        "y = {x', 'it''s != 1', x.'};",
        "y = sum(x, 2) - sum(x(:));",
        "y = min(x, [], 2);",
        "y(1, :) = x(2, :)';",
        "y = x(find(x >= 2 & x <= 3 | x ~= 5));",
        "y.end_ = x.string(1);",
        "[y, ~] = max(x ...  do until\n  );",
        "if x == 3 && ~any(x), y = 1; end",
        "if x(y == 2) >= 1, y = 1; end",
        "y = {x}; y{1}(2) = 3;",
        "y = x(:, 1) (1:2);",
        "y = fopen('all');",
        "y = 1e9 - -1;",
        "y = @(t) t + 1;",
        "y = x.*x - x./x;",
    ],
)
def test_the_check_lets_pass(line):
    assert findings(f"function y = sample(x)\n  {line}\nend\n") == set()


@pytest.mark.parametrize("file", M_FILES, ids=lambda file: file.name)
def test_help_text(file):
    lines = file.read_text().splitlines()
    # What the help texts call the pairs at the end.
    signature = lines[0].removeprefix("function ").replace("varargin", "name, value, ...")
    help_lines = []
    for line in lines[1:]:
        if not line.startswith("  %"):
            break
        help_lines.append(line[3:].strip())
    assert help_lines[0].startswith(f"{file.stem.upper()} ")
    assert signature in help_lines, "the help text lacks the signature"
    inputs = re.search(r"\((.*)\)", lines[0]).group(1).replace("varargin", "Options").split(", ")
    outputs = re.findall(r"\w+", signature.split("=")[0]) if "=" in signature else []
    words = [line.split()[0] for line in help_lines if line]
    for name in filter(None, inputs + outputs):
        assert name in words, f"the help text does not say what {name} is"
    raised_here = set(re.findall(r"error\('(\w+:\w+)'", file.read_text()))
    if file.parent == MATLAB:
        assert raised_here <= documented_errors(file.stem)
        assert any(line.startswith("Example") for line in help_lines)
