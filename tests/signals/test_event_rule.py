"""Levels as values of a dtype: comparing in it says what comparing numbers says."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroluigi.signals.event_rule import Bounds, Rule

DTYPES = ("uint8", "int8", "uint16", "int16", "int32", "float32", "float64")


@pytest.mark.parametrize("polarity", ["rising", "falling", "absolute"])
@given(
    dtype=st.sampled_from(DTYPES),
    level=st.one_of(st.floats(), st.integers(-70_000, 70_000).map(lambda one: one / 2)),
    seed=st.integers(0, 99),
)
def test_comparing_in_the_dtype_is_comparing_as_numbers(polarity, dtype, level, seed):
    random = np.random.default_rng(seed)
    near = [level, level + 0.5, level - 0.5, -level, np.nextafter(level, math.inf), np.nextafter(level, -math.inf)]
    values = np.array([one for one in near if math.isfinite(one)] + random.normal(0, 200, 20).tolist())
    if dtype.startswith("float"):
        with np.errstate(over="ignore"):
            block = values.astype(dtype)[None]
    else:
        info = np.iinfo(dtype)
        block = np.clip(np.append(values, [info.min, info.max]), info.min, info.max).astype(dtype)[None]
    levels = np.array([level])
    release = levels - 3 if polarity != "falling" else levels + 3
    exact = [float(one) for one in block[0].tolist()]
    tests = {
        "rising": lambda x: (x >= level, x <= release[0] and x < level),
        "falling": lambda x: (x <= level, x >= release[0] and x > level),
        "absolute": lambda x: (abs(x) >= level, abs(x) <= release[0] and abs(x) < level),
    }
    expected = [tests[polarity](one) for one in exact]
    bounds = Bounds(Rule(polarity, levels, release), np.dtype(dtype))
    beyond = bounds.beyond(block)
    near_ones = bounds.near(block, beyond, np.isnan(block) if dtype.startswith("float") else None)
    assert beyond[0].tolist() == [one[0] for one in expected]
    if not math.isnan(level):
        assert near_ones[0].tolist() == [one[1] for one in expected]
