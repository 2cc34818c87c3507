"""What a task says of its results: the parameters that make a difference, and its code."""

import datetime

import luigi
import pytest

from neuroluigi.steps.result_task import ResultTask


class Filtered(ResultTask):
    """A task with parameters of several kinds."""

    low = luigi.FloatParameter(default=300)
    bands = luigi.ListParameter(default=[1, 2])
    day = luigi.DateParameter(default=None)
    color = luigi.Parameter(default="blue", significant=False)


def test_significant_parameters_are_numbers_or_text():
    task = Filtered(low=600.5, day=datetime.date(2026, 3, 1), color="red")
    assert task.significant_parameters() == {"low": 600.5, "bands": "[1, 2]", "day": "2026-03-01"}


def test_what_a_result_is_remade_for_makes_no_other_result():
    one, other = Filtered(), Filtered(rerun_on="inputs, code")
    assert other.rerun_on == ("inputs", "code") and one.rerun_on == () and one.task_id == other.task_id
    with pytest.raises(ValueError, match="weather: results are remade for "):
        Filtered(rerun_on="inputs, weather")


def test_without_more_it_depends_on_its_class_alone():
    task = Filtered()
    assert task.fingerprint() == {} and task.wanted_tool() == {}
    assert [one["path"] for one in task.sources("python")][-1:] == ["tests/steps/test_result_task.py:Filtered"]
    with pytest.raises(NotImplementedError):
        _ = task.record_path
