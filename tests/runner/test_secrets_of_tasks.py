"""What Luigi itself writes of tasks, ours and plain ones, has nothing that is secret."""

import warnings

import luigi
import luigi.execution_summary
import luigi.notifications
import luigi.scheduler
import luigi.worker
import pytest
from luigi.parameter import ParameterVisibility

import neuroluigi  # noqa: F401 (by whose import it is so)
from tests import commands
from tests.conftest import BIN, clean_environment

URL = "scheme://me:hunter2@host/x"


class Connected(luigi.Task):
    token = luigi.Parameter("")
    url = luigi.Parameter(URL)
    n = luigi.IntParameter(1)
    private = luigi.Parameter("hunter2", visibility=ParameterVisibility.PRIVATE, significant=False)


class OneParameter(luigi.Task):
    api_key = luigi.Parameter()


class Plain(luigi.Task):
    n = luigi.IntParameter(1)


def test_texts_ids_and_parameters():
    assert str(Connected(token="hunter2")) == "Connected(token=***)"
    task = Connected(token="hunter2", url=f"{URL}/y", n=2)
    assert str(task) == repr(task) == "Connected(token=***, url=scheme://me:***@host/x/y, n=2)"
    assert "hunter" not in task.task_id
    assert task.to_str_params(only_significant=True) == {"url": "scheme://me:***@host/x/y", "n": "2"}
    # From these, Luigi makes it anew in another process.
    assert task.to_str_params()["url"] == task.url == f"{URL}/y" and task.token == "hunter2"
    assert Plain(2).task_id == f"Plain_2_{Plain(2).task_id[-10:]}" and str(Plain(2)) == "Plain(n=2)"


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_luigis_summary(count):
    tasks = {"OneParameter": [OneParameter(f"hunter2{k}") for k in range(count)]}
    tasks |= {"Connected": [Connected(n=k) for k in range(count)], "Plain": [Plain(k + 2) for k in range(count)]}
    text = luigi.execution_summary._get_str(tasks, False)
    assert "hunter2" not in text and f"- {count} OneParameter(...)" in text and f"- {count} Connected(...)" in text
    assert f"- {count} Plain(n=2" in text


def test_luigis_mail(monkeypatch):
    monkeypatch.setattr("sys.argv", ["luigi", "Connected", "--Connected-private", "hunter2", "--n", "5"])
    text = luigi.notifications.format_task_error("it failed", Connected(token="hunter2"), "luigi hunter2", "at hunter2")
    assert "hunter2" not in text and "--Connected-private *** --n 5" in text and "it failed" in text


def test_a_value_of_another_type_is_not_shown():
    with pytest.warns(UserWarning, match="'5'|\"5\"|5") as found:
        Connected(token=12345678, url=5)
    assert not any("12345678" in str(one.message) for one in found)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Connected(token=12345678)


FAILING = """import luigi
from neuroluigi import StudyTask

class Failing:
    password = luigi.Parameter(default="hunter2")
    where = luigi.Parameter()
    def raise_in(self, name):
        if self.where == name:
            raise KeyError(f"no entry with {self.password}") from ValueError(self.password)

class Plain(Failing, luigi.Task):
    def requires(self):
        self.raise_in("requires")
        return []
    def complete(self):
        self.raise_in("complete")
        return hasattr(self, "was_run")
    def output(self):
        self.raise_in("output")
        return []
    def run(self):
        self.raise_in("run")
        self.was_run = True
    def on_success(self):
        self.raise_in("on_success")

class Ours(Failing, StudyTask):
    def requires(self):
        self.raise_in("requires")
        return []
    def output(self):
        self.raise_in("output")
        return self.result("x.txt")
    def make(self, out):
        self.raise_in("run")
        out.write_text("made")
"""


@pytest.mark.parametrize("where", ["requires", "complete", "output", "run", "on_success"])
@pytest.mark.parametrize("family", ["Plain", "Ours"])
def test_no_error_of_a_task_shows_its_secrets(tmp_path, family, where):
    (tmp_path / "tasks.py").write_text(FAILING)
    command = [BIN / "luigi", "--module", "tasks", family, "--where", where, "--local-scheduler"]
    done = commands.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=60)
    is_made = family == "Ours" and where in ("complete", "on_success")
    assert (done.returncode == 0) == is_made and ("no entry with ***" in done.stdout + done.stderr) != is_made
    files = [path.read_text() for path in tmp_path.glob("results/**/*") if path.is_file()]
    assert "hunter2" not in "".join((done.stdout, done.stderr, *files))


def test_luigid_is_told_no_secrets_of_an_error():
    task, told = Connected(token="hunter2"), []
    try:
        raise KeyError("hunter2")
    except KeyError as error:
        assert "hunter2" not in task.on_failure(error) and "***" in task.on_failure(error)
    with luigi.worker.Worker(scheduler=luigi.scheduler.Scheduler()) as worker:
        worker._scheduler.announce_scheduling_failure = lambda **told_of: told.append(told_of["expl"])
        worker._announce_scheduling_failure(task, "at hunter2")
    assert told == ["at ***"]
