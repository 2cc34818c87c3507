"""The sessions of the report: rows of streams, and pictures beside them."""

import json
from types import SimpleNamespace

import pytest

from neuroluigi import SessionTask
from neuroluigi.provenance import state
from neuroluigi.results.report.sessions import sessions
from tests.results.report.about import a_result, facts_of
from tests.steps.conftest import declare  # noqa: F401 (a fixture)

PULSES = {
    "stream": "nidq", "groups": ["m-0-nidq"], "reference": "imec0.ap", "method": "pulses", "counters": [1, 2, 3],
    "ppm": -115.8, "residuals": {"largest": 1.4781}, "line": "1", "threshold": "1.1 V", "period": 1.0, "missing": 2,
    "stops": 1, "unmatched": [], "unmatched_reference": [7, 9], "recorded_difference": 183.08e-6,
}  # fmt: skip
REFERENCE = {"stream": "imec0.ap", "method": "reference", "counters": [0]}
HEADER = {"stream": "imec1.lf", "method": "header", "uncertainty": 0.1}
LEFT = {"stream": "x", "groups": ["m-x"], "why": "left out by its settings"}


class Aligned(SessionTask):
    task_namespace = "test_report_sessions"

    def output(self):
        return {"clocks": self.result("aligned.json"), "picture": self.result("aligned.png")}


@pytest.fixture
def shown(declare, tmp_path):  # noqa: F811
    """Return a function that returns what is shown of a session whose aligned.json has some content."""

    def shown(content, status=None):
        task = Aligned("m")
        task.folder.mkdir(parents=True, exist_ok=True)
        (task.folder / "aligned.json").write_text(content if isinstance(content, str) else json.dumps(content))
        one = a_result("Aligned", "sessions/m", *([status] if status else []))
        entry = SimpleNamespace(task=task, row="sessions/m", step="Aligned", shown_state=one.entry.shown_state)
        plots = [{"group": "sessions/m", "name": "aligned.png"}, {"group": "m-0-nidq", "name": "plot.png"}]
        facts = facts_of(a_result("Stats", "m-0-nidq"))
        facts = SimpleNamespace(found=[*facts.found, SimpleNamespace(entry=entry)], link=lambda path: path.name)
        (found,) = sessions(facts, plots)
        return found

    return shown


def test_a_row_for_each_stream_and_the_pictures_of_the_session(shown):
    found = shown({"session": "m", "streams": [REFERENCE, PULSES, HEADER], "unaligned": [LEFT]})
    assert (found["session"], found["link"], found["states"]) == ("m", "aligned.json", [])
    assert [one["name"] for one in found["plots"]] == ["aligned.png"]
    assert found["unaligned"] == [{"stream": "x", "why": "left out by its settings"}]
    reference, pulses, header = found["streams"]
    assert pulses == {
        "stream": "nidq", "groups": "m-0-nidq", "method": "pulses of line 1, every 1 s, at 1.1 V", "ppm": "-115.80",
        "residual": "1.478", "pulses": "3", "unmatched": "0", "unmatched_reference": "2", "missing": "2", "stops": "1",
        "recorded": "183",
    }  # fmt: skip
    assert {name: text for name, text in reference.items() if text} == {"stream": "imec0.ap", "method": "the reference"}
    assert header["method"] == "headers alone, to 0.1 s"


@pytest.mark.parametrize(
    "content",
    ["{", [], {"streams": 5}, {"streams": [7, None]}, {"streams": [{"ppm": True, "counters": 3, "residuals": []}]}],
)
def test_a_file_of_any_content_is_shown_as_far_as_it_goes(shown, content):
    for row in shown(content)["streams"]:
        assert set(row.values()) == {""}


def test_of_one_that_is_damaged_the_state_alone_is_shown(shown):
    damaged = state.Status(state.DAMAGED, (state.Reason("", "x"),), todo=state.MAKE)
    found = shown({"streams": [PULSES], "unaligned": []}, damaged)
    assert found["streams"] == [] and found["states"] == [("Aligned", "damaged", "✗")]
