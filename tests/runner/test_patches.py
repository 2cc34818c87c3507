"""What is changed of Luigi: it holds inside its context, nested ones too, and nothing of it stays."""

import contextlib
import logging
import signal
import sys

import luigi
import luigi.interface
import luigi.worker
import pytest
import tornado.web
from luigi.cmdline_parser import CmdlineParser
from luigi.task_register import Register
from luigi.worker import TaskException

from neuroluigi.runner import patches, scheduler
from neuroluigi.runner.run import Run, command_line
from neuroluigi.steps.base import Step
from neuroluigi.steps.config import RunStopped
from neuroluigi.steps.describe import StepError
from neuroluigi.steps.matlab import MatlabTask, matlab
from neuroluigi.steps.tasks import StudyTask

LOGGER = logging.getLogger("luigi-interface")


def luigis_state() -> list:
    """Return all that the patches change, and the handler of SIGTERM."""
    import luigi.server

    return [
        luigi.interface.__dict__["_WorkerSchedulerFactory"],
        CmdlineParser.__dict__["_build_parser"],
        CmdlineParser.get_task_obj,
        luigi.worker.TaskProcess.__dict__["terminate"],
        luigi.server.Scheduler,
        luigi.server.app,
        luigi.server.signal,
        tornado.web.RequestHandler.set_default_headers,
        list(LOGGER.filters),
        list(logging.getLogger("tornado.access").filters),
        signal.getsignal(signal.SIGTERM),
    ]


ALL = [
    lambda: patches.factory(scheduler.Factory),
    patches.one_exact_parser,
    patches.options_of_sections,
    patches.plain_log_lines,
    patches.processes_end,
    lambda: patches.luigid_scheduler(scheduler.Scheduler),
    lambda: patches.luigid_server(lambda server: server),
    patches.luigid_ends_between_calls,
    patches.pages_from_luigid_alone,
    patches.no_log_line_per_call,
]


@pytest.mark.parametrize("make", ALL)
def test_each_is_undone_also_after_an_exception_and_inside_another(make):
    before = luigis_state()
    with patches.applied(make()):
        outer = luigis_state()
        assert outer != before
        with contextlib.suppress(KeyError), patches.applied(*(one() for one in ALL)):
            raise KeyError
        assert luigis_state() == outer
    assert luigis_state() == before


class Odd(luigi.Task):
    n = luigi.IntParameter(default=1)


def test_options_are_exact_and_a_parser_serves_a_whole_run():
    with patches.applied(patches.one_exact_parser()):
        first, second = (CmdlineParser._build_parser(root_task="Odd") for _ in range(2))
        assert first is second and not first.allow_abbrev
        with CmdlineParser.global_instance(["Odd", "--n", "5", "--local-scheduler"]) as parser:
            assert parser.get_task_obj().n == 5 and not parser.known_args.core_no_lock
        # A task that was imported meanwhile is known.
        with_more = type("Later", (luigi.Task,), {"__module__": __name__})
        assert CmdlineParser._build_parser(root_task="Odd") is not first and "Later" in Register.task_names()
    assert with_more and CmdlineParser._build_parser().allow_abbrev


class clash(luigi.Config):
    word = luigi.Parameter(default="section")


class Clashing(luigi.Task):
    clash_word = luigi.Parameter(default="task")


@pytest.mark.parametrize(
    ("words", "of_section", "of_task"),
    [
        ([], "section", "task"),
        (["--clash-word", "x"], "x", "task"),
        (["--Clashing-clash-word", "y"], "section", "y"),
        (["--clash-word=x", "--Clashing-clash-word=y"], "x", "y"),
    ],
)
def test_an_option_of_a_section_is_not_one_of_the_task_that_is_run(words, of_section, of_task):
    with given("Clashing", *words) as parser:
        assert (clash().word, parser.get_task_obj().clash_word) == (of_section, of_task)


def test_a_step_of_matlab_has_a_command_of_its_own_beside_that_of_all():
    step = type("ClashingStep", (StudyTask, MatlabTask), {"__module__": __name__})
    before = luigi.cmdline_parser.argparse
    with given(step.__name__, "--matlab-command", "of all", "--ClashingStep-matlab-command", "own") as parser:
        assert (matlab().command, parser.get_task_obj().matlab_command) == ("of all", "own")
    with given(step.__name__, "--matlab-command", "of all") as parser:
        assert (matlab().command, parser.get_task_obj().matlab_command) == ("of all", None)
    assert luigi.cmdline_parser.argparse is before
    # Luigi itself makes a parser for such a task too.
    with CmdlineParser.global_instance([step.__name__, "--ClashingStep-matlab-command", "own"]) as parser:
        assert parser.get_task_obj().matlab_command == "own"


@contextlib.contextmanager
def given(*words):
    """Put a command line in force, as a run does."""
    ours = patches.one_exact_parser(), patches.options_of_sections()
    with patches.applied(*ours), CmdlineParser.global_instance(list(words)) as parser:
        yield parser


def test_a_step_that_failed_is_logged_in_one_line_and_chatter_not_at_all(caplog):
    with patches.applied(patches.plain_log_lines()), caplog.at_level(logging.INFO, "luigi-interface"):
        LOGGER.addHandler(caplog.handler)
        try:
            LOGGER.info("Informed scheduler that task   %s   has status   %s", "A", "DONE")
            LOGGER.info("Stats made")
            try:
                raise StepError("Stats: no samples; see its log")
            except StepError:
                LOGGER.exception("[pid %s] Worker %s failed    %s", 1, "W", "Stats")
            try:
                raise TaskException("Task finished running, but complete() is still returning false.")
            except TaskException:
                LOGGER.exception("[pid %s] Worker %s failed    %s", 1, "W", Step())
        finally:
            LOGGER.removeHandler(caplog.handler)
    lines = list(dict.fromkeys(record.getMessage() for record in caplog.records))
    assert lines == [
        "Stats made",
        "Stats: no samples; see its log",
        "Step(): what it is made from changed while it was made; run the same command again",
    ]
    assert all(record.exc_info is None for record in caplog.records)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A folder with one step, in which runs are made in this process."""
    (tmp_path / "one_step.py").write_text(
        "from neuroluigi import StudyTask\n"
        "class OnlyStep(StudyTask):\n"
        "    def output(self):\n        return self.result('one.txt')\n"
        "    def make(self, out):\n        out.write_text('1')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "one_step", raising=False)
    return tmp_path


def test_runs_in_one_process_leave_luigi_as_it_was(lab, capsys):
    before = luigis_state()
    words = ["--module", "one_step", "OnlyStep", "--local-scheduler"]
    with command_line(words) as root:
        assert root.task_family == "OnlyStep"
    assert luigis_state() == before
    assert Run(words).execute() == 0 and "Made: 1 OnlyStep." in capsys.readouterr().out
    assert luigis_state() == before
    assert Run(words).execute() == 0 and capsys.readouterr().out.startswith("Nothing to make: everything is there.")
    # A refusal is an exception, and prints nothing of the run before it.
    with pytest.raises(RunStopped):
        Run([*words, "--no-such-option"]).execute()
    assert not capsys.readouterr().out
    assert luigis_state() == before
    # A notebook goes on with Luigi's own.
    (lab / "results" / "study" / "one.txt").unlink()
    assert luigi.build([root], local_scheduler=True)
    assert type(luigi.interface._WorkerSchedulerFactory()).__module__ == "luigi.interface"
