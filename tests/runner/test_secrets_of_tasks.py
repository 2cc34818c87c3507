"""What Luigi itself writes of tasks, ours and plain ones, has nothing that is secret."""

import warnings

import luigi
import luigi.execution_summary
import luigi.notifications
import pytest
from luigi.parameter import ParameterVisibility

import neuroluigi  # noqa: F401 (by whose import it is so)

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
    task = Connected(token="hunter2")
    assert str(task) == repr(task) == "Connected(token=***, url=scheme://me:***@host/x, n=1)"
    assert "hunter" not in task.task_id
    assert task.to_str_params(only_significant=True) == {"url": "scheme://me:***@host/x", "n": "1"}
    # From these, Luigi makes it anew in another process.
    assert task.to_str_params()["url"] == URL and task.url == URL and task.token == "hunter2"
    assert Plain(2).task_id == f"Plain_2_{Plain(2).task_id[-10:]}" and str(Plain(2)) == "Plain(n=2)"


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_luigis_summary(count):
    tasks = {"OneParameter": [OneParameter(f"hunter2{k}") for k in range(count)]}
    tasks |= {"Connected": [Connected(n=k) for k in range(count)], "Plain": [Plain(k) for k in range(count)]}
    text = luigi.execution_summary._get_str(tasks, False)
    assert "hunter2" not in text and f"- {count} OneParameter(...)" in text and f"- {count} Connected(...)" in text
    assert f"- {count} Plain(n=0" in text


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
