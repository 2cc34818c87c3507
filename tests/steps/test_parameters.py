"""The value of a parameter: given, else of the command line, else of luigi.cfg, else the default."""

import datetime
import enum
import json
from pathlib import Path

import luigi
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from luigi import date_interval
from luigi.parameter import (
    DuplicateParameterException,
    MissingParameterException,
    UnconsumedParameterWarning,
    UnknownParameterException,
)

from neuroluigi.steps.config import RunStopped, WordsParameter
from neuroluigi.steps.parameters import ResolvedParameters, default_of, plain_value, plain_values


class Counted(luigi.IntParameter):
    """An integer that counts how often it was resolved."""

    calls = 0

    def task_value(self, *names):
        type(self).calls += 1
        return super().task_value(*names)


class Resolved(ResolvedParameters):
    key = luigi.Parameter()
    number = Counted(default=1)
    words = luigi.ListParameter(default=[1, 2], positional=False)


class OfLuigi(luigi.Task):
    key = luigi.Parameter()
    number = luigi.IntParameter(default=1)
    words = luigi.ListParameter(default=[1, 2], positional=False)


def number(*args, **kwargs):
    return Resolved(*args, **kwargs).number


def test_what_is_given_wins_over_command_line_luigi_cfg_and_default(declare, command_line):
    assert number("a") == 1
    declare("Resolved", number=2)
    assert number("b") == 2
    command_line("Resolved", "--Resolved-number", "3")
    assert number("c") == 3
    assert number("d", 4) == 4 and number("e", number=5) == 5 and number(key="f") == 3


def test_what_is_declared_is_resolved_once_in_a_run(declare, command_line):
    command_line("Resolved")
    Counted.calls = 0
    assert [number(f"once-{k}") for k in range(5)] == [1] * 5
    assert Counted.calls == 1


def test_another_run_is_resolved_anew(declare, command_line):
    from luigi.cmdline_parser import CmdlineParser

    for value in (6, 7):
        with CmdlineParser.global_instance(["Resolved", "--Resolved-number", str(value)]):
            assert number("same") == value


@pytest.mark.parametrize("has_command_line", [False, True])
def test_values_are_hashable_and_arguments_need_not_be(declare, command_line, has_command_line):
    if has_command_line:
        command_line("Resolved")
    assert Resolved("a").words == (1, 2)
    assert Resolved("a", words=[3, [4]]).words == (3, (4,))
    # As Luigi asks for the text of a task.
    values = Resolved.get_param_values(Resolved.get_params(), [], {"key": "a", "words": [5]})
    assert values == [("key", "a"), ("number", 1), ("words", (5,))]


@pytest.mark.parametrize("has_command_line", [False, True])
@pytest.mark.parametrize(
    ("args", "kwargs", "error"),
    [
        ((), {}, MissingParameterException),
        (("a", 1, 2), {}, UnknownParameterException),
        (("a",), {"key": "b"}, DuplicateParameterException),
        (("a",), {"other": 1}, UnknownParameterException),
    ],
)
def test_errors_are_those_of_luigi_in_its_words(declare, command_line, has_command_line, args, kwargs, error):
    if has_command_line:
        command_line("Resolved")
    with pytest.raises(error) as ours:
        Resolved(*args, **kwargs)
    with pytest.raises(error) as of_luigi:
        OfLuigi(*args, **kwargs)
    assert str(ours.value).replace("Resolved", "OfLuigi") == str(of_luigi.value)


def test_a_setting_that_cant_be_read_is_luigis_error(declare):
    declare("Resolved", number="many")
    declare("OfLuigi", number="many")
    with pytest.raises(ValueError) as ours:
        Resolved("a")
    with pytest.raises(ValueError) as of_luigi:
        OfLuigi("a")
    assert str(ours.value).replace("Resolved", "OfLuigi") == str(of_luigi.value)
    assert "Error when parsing the default value of 'number'" in str(ours.value)
    assert number("a", 3) == 3  # a value that is given needs no setting


def test_a_setting_that_is_there_for_nothing_is_warned_of_in_a_notebook(declare):
    declare("Resolved", nmber=3)
    with pytest.warns(UnconsumedParameterWarning, match="parameter 'nmber' with value '3' that is not consumed"):
        Resolved("warned")


def test_a_default_is_that_of_the_declaration(declare, command_line):
    declare("Resolved", number=2, words="[9]")
    command_line("Resolved", "--Resolved-number", "3")
    parameters = dict(Resolved.get_params())
    assert default_of("number", parameters["number"]) == 1
    assert default_of("words", parameters["words"]) == (1, 2)
    assert default_of("key", parameters["key"]) is None


@pytest.mark.parametrize(
    ("parameter", "value", "plain"),
    [
        (luigi.FloatParameter(), 0.75, 0.75),
        (luigi.OptionalFloatParameter(), None, None),
        (luigi.BoolParameter(), True, True),
        (WordsParameter(), ("a", "b"), "a, b"),
    ],
)
def test_a_plain_value_is_what_json_can_have(parameter, value, plain):
    assert plain_value(parameter, value) == plain


class Mode(enum.Enum):
    FAST = 1
    SLOW = 2


plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
texts = st.text(st.characters(codec="utf-8"))
days = st.dates(datetime.date(1900, 1, 1))
moments = st.datetimes(datetime.datetime(1900, 1, 1)).map(lambda one: one.replace(microsecond=0))
KINDS_OF_PARAMETERS = {
    "text": (luigi.Parameter(), texts),
    "number": (luigi.FloatParameter(), st.floats()),
    "NumPy number": (luigi.FloatParameter(), st.floats(width=32).map(np.float32)),
    "whole number": (luigi.IntParameter(), st.integers()),
    "NumPy whole number": (luigi.IntParameter(), st.integers(-99, 99).map(np.int16)),
    "yes or no": (luigi.BoolParameter(), st.booleans()),
    "number or none": (luigi.OptionalFloatParameter(), st.none() | st.floats()),
    "in a range": (luigi.NumericalParameter(var_type=float, min_value=0, max_value=1), st.floats(0, 1)),
    "choice": (luigi.ChoiceParameter(choices=["a", "b"]), st.sampled_from("ab")),
    "choices": (luigi.ChoiceListParameter(choices=["a", "b"]), st.lists(st.sampled_from("ab")).map(tuple)),
    "enum": (luigi.EnumParameter(enum=Mode), st.sampled_from(Mode)),
    "enums": (luigi.EnumListParameter(enum=Mode), st.lists(st.sampled_from(Mode)).map(tuple)),
    "list": (luigi.ListParameter(), st.lists(plain_json)),
    "tuple": (luigi.TupleParameter(), st.lists(plain_json).map(tuple)),
    "dict": (luigi.DictParameter(), st.dictionaries(st.text(), plain_json)),
    "set of no parameter's own": (luigi.Parameter(), st.frozensets(texts)),
    "day": (luigi.DateParameter(), days),
    "month": (luigi.MonthParameter(), days),
    "year": (luigi.YearParameter(), days),
    "hour": (luigi.DateHourParameter(), moments),
    "minute": (luigi.DateMinuteParameter(), moments),
    "second": (luigi.DateSecondParameter(), moments),
    "span": (luigi.TimeDeltaParameter(), st.timedeltas(datetime.timedelta(0))),
    "interval": (luigi.DateIntervalParameter(), days.map(date_interval.Date.from_date)),
    "path": (luigi.PathParameter(), texts.filter(lambda one: "\0" not in one).map(Path)),
    "task": (luigi.TaskParameter(), st.just(Resolved)),
}


@pytest.mark.parametrize("kind", KINDS_OF_PARAMETERS)
@given(data=st.data())
def test_a_value_that_was_recorded_and_read_again_is_the_value(kind, data):
    parameter, values = KINDS_OF_PARAMETERS[kind]
    value = parameter.normalize(data.draw(values))
    recorded = plain_value(parameter, value)
    read = json.loads(json.dumps(recorded, allow_nan=False))
    assert read == recorded == plain_value(parameter, value)


@pytest.mark.parametrize("value", [object(), lambda: 1, (object(),), {"a": object()}])
def test_a_value_with_another_text_in_each_run_is_refused_with_its_name(value):
    with pytest.raises(RunStopped, match=r"^luigi: Step\.name holds .* a run record can't hold"):
        plain_values([("name", luigi.Parameter(), value)], lambda: "Step")
