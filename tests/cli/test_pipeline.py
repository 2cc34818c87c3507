"""The pipeline that a command works on: by its module and task, or without tasks.py by its records alone."""

import sys

import click
import pytest
from luigi.task_register import Register

from neuroluigi.cli.pipeline import answered, optional_argument, pipeline_of, task_of_pipeline
from neuroluigi.results.query import QueryError
from neuroluigi.steps.config import RunStopped, results_root, whole_pipeline

TASKS = """
import luigi
from neuroluigi import ReportTask
class ThePipeline(luigi.Task):
    size = luigi.IntParameter(default=1)
class OtherPipeline(luigi.Task):
    pass
class TheReport(ReportTask):
    def shows(self):
        return OtherPipeline()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a pipeline of its own in a module mine.py."""
    (tmp_path / "mine.py").write_text(TASKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(Register, "_reg", list(Register._reg))
    yield tmp_path
    sys.modules.pop("mine", None)


def context_of(module, task, *words):
    context = click.Context(click.Command("some"))
    context.obj, context.args = (module, task), list(words)
    return context


def test_task_and_settings_are_those_of_the_command(folder):
    with pipeline_of(context_of("mine", "ThePipeline", "--size", "3", "--results-root", "elsewhere")) as root:
        assert (root.task_family, root.size) == ("ThePipeline", 3) and results_root().name == "elsewhere"
    assert results_root().name != "elsewhere"


def test_of_a_report_it_is_what_the_report_shows(folder):
    with pipeline_of(context_of("mine", "TheReport")) as root:
        assert root.task_family == "OtherPipeline"


def test_without_the_module_only_what_needs_tasks_is_refused(folder):
    with pytest.raises(RunStopped, match=r"there is no absent\.py in"), pipeline_of(context_of("absent", "All")):
        pass
    words = ["--results-root", "travelled"]
    with pipeline_of(context_of("absent", "All", *words), needs_tasks=False) as root:
        assert root.task_family == "results" and results_root().name == "travelled"


def test_a_misspelt_option_may_be_one_of_the_command(folder):
    context = context_of("mine", "ThePipeline", "--onyl", "stale")
    context.command.params.append(click.Option(["--only"]))
    with pytest.raises(RunStopped, match=r"there is no option --onyl; did you mean --only\?"), pipeline_of(context):
        pass


def test_an_option_is_not_taken_for_an_argument_that_may_be_left_out():
    context = context_of("mine", "", "--group", "a")
    assert optional_argument(context, "--workers") == "" and context.args == ["--workers", "--group", "a"]
    assert optional_argument(context, "Stats") == "Stats" and len(context.args) == 3


def test_a_query_without_an_answer_is_one_line():
    def ask(name):
        if name != "known":
            raise QueryError(f"there is no {name}")
        return 7

    assert answered(ask, "known") == 7
    with pytest.raises(RunStopped, match=r"^neuroluigi: there is no such$"):
        answered(ask, "such")


def test_the_whole_pipeline_is_named_in_luigi_cfg(pipeline, monkeypatch):
    monkeypatch.chdir(pipeline.folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert task_of_pipeline("tasks", []) == "PlotAll" and sys.path[0] == str(pipeline.folder)


@pytest.mark.parametrize("words", [["--neuroluigi-task", "Stats"], ["--x", "1", "--neuroluigi-task=Stats"]])
def test_the_whole_pipeline_may_be_named_on_the_command_line_as_any_setting(words):
    assert whole_pipeline(words=words) == "Stats"
