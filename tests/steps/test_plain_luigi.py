"""Errors of the whole where Luigi itself runs the tasks: one line that every log level shows, and False."""

import subprocess
import sys

import pytest

from tests.conftest import clean_environment

TASKS = """
import luigi
import neuroluigi
from neuroluigi import GroupTask, StudyTask, WrapperTask, groups


class OfGroup(GroupTask):
    number = luigi.IntParameter(default=0)

    def output(self):
        return self.result("one.txt")

    def make(self, out):
        out.write_text("x")


class NoSuchGroup(WrapperTask):
    def requires(self):
        return OfGroup("nobody")


class SameFile(WrapperTask):
    def requires(self):
        return [OfGroup("a", 1), OfGroup("a", 2)]


class Itself(StudyTask):
    def requires(self):
        return Itself()

    def output(self):
        return self.result("itself.txt")


class Theirs(luigi.Task):
    def requires(self):
        return [OfGroup(group) for group in (*groups(), "nobody")]

    def complete(self):
        return False


class TheirsAsk(luigi.Task):
    def requires(self):
        neuroluigi.steps.discovery.find_recording("a", 9, "")
"""

BUILD = """
import luigi, sys, tasks
print(luigi.build([getattr(tasks, sys.argv[1])()], local_scheduler=True, log_level=sys.argv[2]))
"""

BY_HAND = """
import neuroluigi, tasks
try:
    tasks.NoSuchGroup().complete()
except neuroluigi.RunStopped as error:
    print(error)
"""


@pytest.fixture
def lab(tmp_path):
    (tmp_path / "real" / "a").mkdir(parents=True)
    (tmp_path / "real" / "a" / "rec_0.bin").write_bytes(b"0123")
    (tmp_path / "luigi.cfg").write_text("[recordings]\nroot = real\n[retcode]\nscheduling_error = 35\n")
    (tmp_path / "tasks.py").write_text(TASKS)
    return tmp_path


def run(lab, *command):
    return subprocess.run(
        [sys.executable, *command], cwd=lab, env=clean_environment(), capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("level", ["CRITICAL", "INFO"])
@pytest.mark.parametrize(
    ("task", "line"),
    [
        ("NoSuchGroup", "luigi: there is no group 'nobody'; the groups are: a"),
        ("SameFile", " both make "),
        ("Itself", "luigi: Itself() requires itself, by way of Itself()"),
        ("Theirs", "luigi: there is no group 'nobody'; the groups are: a"),
    ],
)
def test_luigi_build_logs_one_line_and_returns_false(lab, task, line, level):
    done = run(lab, "-c", BUILD, task, level)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
    (logged,) = (one for one in done.stderr.splitlines() if line in one)
    assert logged.startswith("CRITICAL: luigi: ") and "Traceback" not in done.stderr
    assert level == "INFO" or done.stderr == f"{logged}\n"
    # Of a task of theirs that does not ask them, Luigi makes what can be made.
    assert (lab / "results").exists() == (task == "Theirs")


def test_in_requires_of_a_task_that_is_not_ours_it_is_a_warning(lab):
    done = run(lab, "-c", BUILD, "TheirsAsk", "WARNING")
    assert done.stdout == "False\n" and "Traceback" not in done.stderr
    assert "WARNING: luigi: there is no recording 9 of session 'a'; see: neuroluigi recordings\n" in done.stderr


def test_python_m_luigi_ends_with_the_exit_code_of_luigi_cfg(lab):
    done = run(lab, "-m", "luigi", "--module", "tasks", "NoSuchGroup", "--local-scheduler")
    assert done.returncode == 35 and "Traceback" not in done.stderr
    assert done.stderr.count("there is no group 'nobody'") == 1


def test_an_error_of_one_task_keeps_its_traceback(lab):
    (lab / "tasks.py").write_text(TASKS.replace("return False", "raise KeyError(7)"))
    done = run(lab, "-c", BUILD, "Theirs", "WARNING")
    assert done.stdout == "False\n" and "Traceback" in done.stderr and "KeyError: 7" in done.stderr


def test_a_call_by_hand_raises_and_logs_nothing(lab):
    done = run(lab, "-c", BY_HAND)
    assert done.stdout == "luigi: there is no group 'nobody'; the groups are: a\n" and not done.stderr
