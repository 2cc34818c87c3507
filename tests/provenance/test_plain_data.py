"""Plain data: what is written to a run record and read again equals what was written, or it is refused."""

import datetime
import decimal
import enum
import json
import math
import uuid
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroluigi.provenance.plain_data import NotPlainError, digest, plain


class Band(enum.Enum):
    THETA = (4, 8)
    NOT_A_NUMBER = math.nan


class Mode(str, enum.Enum):
    FAST = "fast"


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(Band),
    st.sampled_from(Mode),
    st.dates(),
    st.datetimes(timezones=st.none() | st.just(datetime.timezone.utc)),
    st.times(),
    st.timedeltas(),
    st.decimals(),
    st.uuids(),
    st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1).map(Path),
    st.floats(width=32).map(np.float32),
    st.floats().map(np.float64),
    st.integers(-128, 127).map(np.int8),
    st.booleans().map(np.bool_),
    st.lists(st.floats(), max_size=3).map(np.array),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.frozensets(st.integers() | st.text(), max_size=4),
        st.dictionaries(st.text(), inner, max_size=4),
    ),
    max_leaves=10,
)


@given(values)
def test_what_is_written_and_read_again_equals_what_was_written(value):
    written = plain(value, "value")
    read = json.loads(json.dumps(written, allow_nan=False))
    assert read == written
    assert plain(read, "value") == written and digest(read) == digest(written)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        ((1, (2, 3)), [1, [2, 3]]),
        ({"b", "a"}, ["a", "b"]),
        ({2: "x", None: "y"}, {"2": "x", "null": "y"}),
        (Band.THETA, "THETA"),
        (Mode.FAST, "fast"),
        (datetime.date(2024, 2, 29), "2024-02-29"),
        (datetime.timedelta(hours=1), "1:00:00"),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Path("a") / "b", str(Path("a") / "b")),
        (np.float32(0.5), 0.5),
        (np.uint8(7), 7),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(math.nan), "NaN"),
        (np.datetime64("2024-02-29"), "2024-02-29"),
    ],
)
def test_what_each_kind_of_value_becomes(value, expected):
    assert plain(value, "value") == expected


class Other:
    pass


@pytest.mark.parametrize("value", [Other(), Other, lambda: 1, b"bytes", {"a": [Other()]}, 1 + 2j, np.array([Other()])])
def test_what_may_have_another_text_in_each_run_is_refused_by_name(value):
    with pytest.raises(NotPlainError, match=r"^Step\.name.* which a run record can't hold"):
        plain(value, "Step.name")


def test_two_keys_of_one_text_are_refused():
    with pytest.raises(NotPlainError, match="two keys that are written as '1', which a run record"):
        plain({1: "a", "1": "b"}, "Step.fingerprint()")


def test_the_order_of_keys_makes_no_difference_to_a_digest():
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})
    # sha256 of {"a":1}
    assert digest({"a": 1}) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
