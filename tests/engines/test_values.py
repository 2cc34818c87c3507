"""Values through a real Octave: as arguments, back as what a function returns, and pasted from the log."""

import math
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from luigi.freezing import FrozenOrderedDict

from neuroluigi.engines.call import CallError
from neuroluigi.engines.pool import open_pool
from neuroluigi.engines.typed import typed_call
from neuroluigi.engines.values import EncodeError, MatlabArray, Node, array_of, encode, encode_arguments
from tests.conftest import needs_octave

DTYPES = ("f8", "f4", "?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "c16", "c8", ">f8", ">i4")

_names = st.from_regex("[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name not in ("end", "if"))
_texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
_numbers = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.complex_numbers()
_arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: st_numpy.arrays(dtype, st_numpy.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3))
)
_shapes = st_numpy.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=2)


def _cells(values) -> st.SearchStrategy:
    return _shapes.flatmap(
        lambda shape: st.lists(values, min_size=math.prod(shape), max_size=math.prod(shape)).map(
            lambda some: MatlabArray(some, "cell", shape)
        )
    )


@st.composite
def _struct_arrays(draw, values) -> MatlabArray:
    shape, names = draw(_shapes), draw(st.lists(_names, max_size=2, unique=True))
    structs = [{name: draw(values) for name in names} for _ in range(math.prod(shape))]
    return MatlabArray(structs, "struct", shape, names)


values = st.recursive(
    st.none() | _numbers | _texts | _arrays,
    lambda v: st.lists(v, max_size=4) | st.dictionaries(_names, v, max_size=3) | _cells(v) | _struct_arrays(v),
    max_leaves=8,
)

# A call carries many values.
many = given(some=st.lists(values, min_size=20, max_size=40))
few_calls = settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def content(node: Node, keeps_nan: bool = True) -> tuple:
    """Return what two nodes of the same array have in common; without `keeps_nan`, all NaN are one."""
    shape = node.shape
    # As Matlab does.
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    if isinstance(node.data, str):
        return node.kind, node.data
    if isinstance(node.data, list):
        return node.kind, shape, node.fields, [content(one, keeps_nan) for one in node.data]
    data = bytes(node.data)
    if not keeps_nan and node.kind in ("double", "single"):
        parts = np.frombuffer(data, "<f8" if node.kind == "double" else "<f4")
        data = np.where(np.isnan(parts), np.array(np.nan, parts.dtype), parts).tobytes()
    return node.kind, shape, node.is_complex, data


@pytest.fixture
def echo(warm_lab):
    """Return the nodes that arrive from a function which returns its arguments."""
    (warm_lab.matlab / "echoed.m").write_text("function c = echoed(varargin)\n  c = varargin(:);\nend\n")
    return lambda *some: encode(warm_lab.values("c = echoed", *some)[0])


@needs_octave
@few_calls
@example([complex(0.0, -0.0)])
@example([complex(-0.0, 0.0), np.zeros((0, 2), complex)])
@many
def test_any_value_comes_back_as_it_was_sent(echo, some):
    back = echo(*some)
    sent = encode_arguments(some)
    assert list(map(content, back.data)) == list(map(content, sent.data))


@needs_octave
@few_calls
@many
def test_the_text_of_a_call_gives_the_same_arguments_when_it_is_pasted(warm_lab, some):
    (warm_lab.matlab / "echoed.m").write_text("function c = echoed(varargin)\n  c = varargin(:);\nend\n")
    (warm_lab.matlab / "pasted.m").write_text("function c = pasted(text)\n  c = eval(text);\nend\n")
    sent = encode_arguments(some)
    text = typed_call("echoed", sent)
    assert not re.search(r"[\x00-\x1f]", text)
    pasted = encode(warm_lab.values("c = pasted", text)[0])
    for one, node in zip(pasted.data, sent.data, strict=True):
        assert content(one, keeps_nan=False) == content(node, keeps_nan=False), node


@needs_octave
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_large_array_travels_as_it_is(echo, dtype):
    numbers = np.random.default_rng(1).integers(0, 100, (50, 60, 7))
    numbers[0, 0, 0] = 0
    array = numbers.astype(dtype)
    # Whole, with gaps between its elements, turned, and among others.
    some = [array, array[::2, :, 3], array.T, {"a": [array[:, 0, 0], "text"]}]
    back = echo(*some)
    assert list(map(content, back.data)) == list(map(content, encode_arguments(some).data))


@needs_octave
def test_what_a_function_returns_as_python_has_it(warm_lab):
    (warm_lab.matlab / "several.m").write_text(
        "function [a, b, c, d, e, f, g, h, i] = several()\n"
        "  a = 0.1; b = int16([1 2; 3 4]); c = 'Gerät ''神'''; d = true; e = struct('n', 5, 'names', {{'a'; 'b'}});\n"
        "  f = {1, 'x'}; g = struct('n', {1, 2}); h = single(2);\n"
        "  i = {1:3, eye(2), eye(2)(:, [2 1]), 'a' == 'ab'};\nend\n"
    )
    a, b, c, d, e, f, g, h, i = warm_lab.values("[a, b, c, d, e, f, g, h, i] = several")
    assert (a, type(a)) == (0.1, float) and d is True and c == "Gerät '神'"
    assert b.dtype == np.int16 and b.tolist() == [[1, 2], [3, 4]]
    assert e == {"n": 5.0, "names": ["a", "b"]} and type(e["names"]) is list
    assert isinstance(f, MatlabArray) and (f.kind, f.shape, list(f)) == ("cell", (1, 2), [1.0, "x"])
    assert (g.kind, g.shape, g.fields, list(g)) == ("struct", (1, 2), ("n",), [{"n": 1.0}, {"n": 2.0}])
    assert (h, h.dtype) == (2, np.float32)
    # Octave keeps some of these in another way.
    assert [one.tolist() for one in i] == [[[1, 2, 3]], [[1, 0], [0, 1]], [[0, 1], [1, 0]], [[True, False]]]


@needs_octave
def test_text_that_is_no_row_or_no_unicode_keeps_its_codes(warm_lab):
    (warm_lab.matlab / "odd.m").write_text(
        "function [a, b, c] = odd()\n  a = ['ab'; 'cd']; b = char([77 252]); c = char(zeros(1, 0));\nend\n"
    )
    returned = warm_lab.values("[a, b, c] = odd")
    assert [(one.kind, one.shape, list(one)) for one in returned] == [
        ("char", (2, 2), [97, 99, 98, 100]),
        ("char", (1, 2), [77, 252]),
        ("char", (1, 0), []),
    ]


@needs_octave
@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("fit.models = {1, @sin};", r"fit.models\{2\} is a function_handle, which no file holds: return .* func2str"),
        ("fit = containers.Map();", r"fit is a containers.Map, which no file holds"),
        ("fit.weights = sparse(eye(3));", r"fit.weights is a sparse matrix, which no file holds: return full\("),
    ],
)
def test_a_value_that_no_file_holds_is_named_with_its_class(warm_lab, statement, message):
    (warm_lab.matlab / "fitted.m").write_text(f"function fit = fitted()\n  {statement}\nend\n")
    with pytest.raises(CallError, match=message):
        warm_lab.values("fit = fitted")
    assert not [one for one in open_pool().rglob("*.answer.*")]


@needs_octave
@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("one = short()", "short: function called with too many outputs"),
        ("short()", "short: function called with too many outputs"),
        ("[one, two] = short()", "'two' undefined"),
        ("varargout = short()", "some elements undefined in return list"),
    ],
)
def test_fewer_outputs_than_are_asked_for(warm_lab, signature, message):
    body = "varargout{1} = 1;" if "varargout" in signature else "one = 1;"
    (warm_lab.matlab / "short.m").write_text(f"function {signature}\n  {body}\nend\n")
    with pytest.raises(CallError, match=message) as error:
        warm_lab.values("[count, rate] = short")
    assert str(error.value).endswith("; its step asks for 2 values: [count, rate] = short(...)")


@needs_octave
def test_an_error_of_the_function_says_nothing_of_outputs(warm_lab):
    (warm_lab.matlab / "short.m").write_text("function one = short()\n  error('lab:broken', 'so');\nend\n")
    with pytest.raises(CallError, match=r"lab:broken: so \(short, line 2 of short.m\)$"):
        warm_lab.values("one = short")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.array([[1, 2], [3, 4]], "i2"), "int16([1 2; 3 4])"),
        (np.zeros((0, 3)), "zeros(0, 3)"),
        (np.arange(8.0).reshape(2, 2, 2, order="F"), "reshape([0 1 2 3 4 5 6 7], 2, 2, 2)"),
        ({"a": ["x", 1]}, "struct('a', {{'x'; 1}})"),
        ("it's\n", "['it''s' char(10)]"),
        ([0.1, -0.0, math.nan, -math.inf], "[0.1; -0; NaN; -Inf]"),
        (2**53 + 1, "int64(9007199)*int64(1000000000)+int64(254740993)"),
        (np.float32(0.1), "single(0.1)"),
        ([True, False], "[true; false]"),
        (None, "[]"),
        ([], "cell(0, 1)"),
        (np.zeros((50, 50), "u1"), "<50x50 uint8, too large to be shown>"),
        ("x" * 2001, "<1x2001 char, too large to be shown>"),
    ],
    ids=lambda one: one[:20] if isinstance(one, str) else "",
)
def test_the_text_of_an_argument(value, text):
    assert typed_call("f", encode_arguments([value]), ["a", "b"]) == f"[a, b] = f({text})"
    if isinstance(value, np.ndarray) and value.size:
        assert array_of(encode(value)).tolist() == value.tolist()


def test_options_of_any_mapping_are_a_struct_and_numbers_lose_no_digits():
    options = {"a": 1, "b": {"c": "x"}}
    assert encode_arguments([FrozenOrderedDict(options)]) == encode_arguments([options])
    with pytest.raises(EncodeError, match="argument 1: a column of doubles can't hold 9007199254740993 with all its"):
        encode_arguments([[2**53 + 1, 1.5]])


def test_an_argument_is_named_by_its_position_where_it_is_refused():
    with pytest.raises(EncodeError, match=r"^argument 2: a Matlab function can't be given a NumPy array of float16"):
        encode_arguments([1, np.zeros(3, "f2")])
