"""What arrives at an M-function: arguments of every kind, by a real Octave."""

import json
import math
import os
import re
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuroluigi.engines.values import EncodeError, encode, pack
from tests.conftest import needs_octave

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
  fprintf(fid, '%s %s %s', path, class(x), sprintf('%dx', size(x))(1:end - 1));
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
  elseif isfloat(x) || isa(x, 'uint64')
    parts = {real(x), imag(x)};
    for k = 1:numel(x)
      fprintf(fid, ' %s', num2hex(parts{1}(k)));
      if iscomplex(x)
        fprintf(fid, '+%s', num2hex(parts{2}(k)));
      end
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
        kind, texts = "double", [struct.pack(">d", v).hex() for v in numbers]
    return [" ".join([f"{path} {kind} {len(numbers)}x1", *texts])]


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


def _has_a_class(values: list) -> bool:
    """Whether one class holds all these numbers; large integers beside fractions are refused."""
    numbers = [one for one in values if isinstance(one, (int, float))]
    is_mixed = any(isinstance(one, float) for one in numbers) and any(
        isinstance(one, int) and abs(one) > 2**53 for one in numbers
    )
    return not (is_mixed and len(numbers) == len(values))


_values = st.recursive(
    _scalars,
    lambda v: st.lists(v, max_size=4).filter(_has_a_class) | st.dictionaries(_names, v, max_size=3),
    max_leaves=8,
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


# Each with what the M-function finds: class, size, elements in Matlab's order.
OF_NUMPY = [
    (np.float64(0.1), "double 1x1 3fb999999999999a"),
    (np.int64(-(2**63)), "int64 1x1 -9223372036854775808"),
    (np.uint64(2**64 - 1), "uint64 1x1 ffffffffffffffff"),
    (np.bool_(True), "logical 1x1 1"),
    (np.float32(-0.0), "single 1x1 80000000"),
    (np.complex128(complex(1, -0.0)), "double 1x1 3ff0000000000000+8000000000000000"),
    (np.array(3, "i2"), "int16 1x1 3"),
    (np.array([1.5, 2]), "double 2x1 3ff8000000000000 4000000000000000"),
    (np.array([[1, 2, 3], [4, 5, 6]], "u1"), "uint8 2x3 1 4 2 5 3 6"),
    (np.arange(8, dtype="i4").reshape(2, 2, 2), "int32 2x2x2 0 4 2 6 1 5 3 7"),
    (np.array([[True, False]]), "logical 1x2 1 0"),
    (np.array([1, 2], ">i4"), "int32 2x1 1 2"),
    (np.arange(10, dtype="i8")[::-3], "int64 4x1 9 6 3 0"),
    (np.asfortranarray(np.array([[1, 2], [3, 4]], "i1")), "int8 2x2 1 3 2 4"),
    (np.array([np.nan, np.inf], "f4"), "single 2x1 7fc00000 7f800000"),
    (np.zeros((1, 2), "c8"), "single 1x2 00000000+00000000 00000000+00000000"),
    (np.array([], dtype=int), "int64 0x1"),
    (np.zeros((3, 0, 2)), "double 3x0x2"),
    ([np.int16(1), np.int16(2)], "int16 2x1 1 2"),
]


def test_arguments_of_numpy_and_paths_arrive_too(dump):
    values = [*(value for value, _ in OF_NUMPY), Path("a b")]
    lines = [f"{k} {text}" for k, (_, text) in enumerate(OF_NUMPY, 1)]
    found = [line.rstrip() for line in dump(*values).splitlines()]
    assert found[: len(lines)] == lines
    assert found[len(lines) :] == expected(str(len(values)), "a b")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1, 2}, "can't be given a set"),
        (2**63, "9223372036854775808 does not fit into an int64"),
        ({"a b": 1}, "'a b' can't name a field"),
        ({1: 1}, "1 can't name a field"),
        (np.float16(1), "a NumPy array of float16; make it one of float64"),
        (np.array([1], "f2"), "argument 1{1}: a Matlab function can't be given a NumPy array of float16"),
        (np.array(["2026-01-01"], "M8[D]"), r"a NumPy array of datetime64\[D\]"),
        (np.array([1, "a"], dtype=object), "a NumPy array of object"),
        (np.zeros(2, [("a", "f8"), ("b", "i4")]), "a NumPy array of "),
        (np.ma.masked_array([1.0, 2.0], [True, False]), "a masked array"),
        ({"window": [1, b""]}, "argument 1{1}.window{2}: a Matlab function can't be given a bytes"),
        ("a\0b", "has a character that can't be given"),
        (os.fsdecode(b"m\xfcl"), "has a character that can't be given"),
    ],
)
def test_what_can_not_be_given_to_an_m_function_is_refused(lab, value, message):
    with pytest.raises(EncodeError, match=re.sub(r"([{}])", r"\\\1", message)):
        lab.call("never", [value])


def test_a_request_is_plain_json_without_a_number_in_it():
    """No JSON reader of an engine keeps NaN, 1e-300 or large integers."""
    text = json.dumps(pack(encode([1, 2.5, math.nan, 2**62, "神", {"a": [1e-300]}]), []))
    assert text.isascii()

    def refuse(word):
        raise AssertionError(word)

    json.loads(text, parse_int=refuse, parse_float=refuse, parse_constant=refuse)
