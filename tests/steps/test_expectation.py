"""What a plan expects of a step's inputs that are no files of this machine: they count by whether they are there."""

import json

import luigi
import pytest
from luigi.mock import MockTarget

from neuroluigi import StudyTask
from neuroluigi.provenance import state
from neuroluigi.steps.plan import discard_statuses, status_of
from neuroluigi.steps.target import RecordingTarget, ResultTarget, describe_target, local_path

# The rows of a database, by table.
ROWS: dict[str, list] = {}


class Row(luigi.Target):
    """A row of a database, as those of luigi.contrib.rdbms."""

    def __init__(self, table, update_id):
        self.table, self.update_id, self.password = table, update_id, "secret"

    def exists(self):
        return self.update_id in ROWS.get(self.table, ())


class Sensor(luigi.Target):
    """A target of the lab's own, without anything that names it."""

    def exists(self):
        return True


class Described(Sensor):
    def __str__(self):
        return "the sensor in room 2"


class Elsewhere(luigi.Target):
    """A target of the lab's own whose path is none of this machine."""

    path = "subject/7"

    def exists(self):
        return True


class ExpectRow(luigi.ExternalTask):
    table = luigi.Parameter(default="subjects", significant=False)

    def output(self):
        return {"row": Row(self.table, "u1"), "more": [Sensor(), Elsewhere()]}


class ExpectComputed(luigi.Task):
    def output(self):
        return Row("computed", "u2")

    def run(self):
        ROWS["computed"] = ["u2"]


class ExpectFile(luigi.Task):
    def output(self):
        return luigi.LocalTarget("plain.txt")

    def run(self):
        with self.output().open("w") as file:
            file.write("plain")


class ExpectStep(StudyTask):
    table = luigi.Parameter(default="subjects", significant=False)

    def requires(self):
        return [ExpectRow(self.table), ExpectComputed(), ExpectFile()]

    def output(self):
        return self.result("step.txt")

    def make(self, out):
        out.write_text("made")


@pytest.fixture
def made(declare, command_line, tmp_path):
    ROWS.clear()
    ROWS["subjects"] = ["u1"]
    ExpectComputed().run()
    ExpectFile().run()
    step = ExpectStep()
    step.run()
    return step


def test_the_record_names_inputs_that_are_no_files_and_hashes_those_that_are(made):
    record = json.loads(made.record_path.read_text())
    here = __name__
    assert sorted(record["other_inputs"], key=lambda one: one["name"]) == [
        {"class": f"{here}.Sensor", "name": ""},
        {"class": f"{here}.Row", "name": "computed u2"},
        {"class": f"{here}.Elsewhere", "name": "subject/7"},
        {"class": f"{here}.Row", "name": "subjects u1"},
    ]
    assert [one["path"] for one in record["inputs"]] == ["plain.txt"]
    assert "secret" not in json.dumps(record) and " at 0x" not in json.dumps(record)
    assert status_of(made).state == state.DONE and made.complete()


def test_one_from_outside_that_is_gone_leaves_the_result_alone(made):
    ROWS["subjects"].remove("u1")
    made.run()  # which looks anew
    status = status_of(made)
    assert (status.state, status.todo) == (state.INPUT_MISSING, state.NOTHING)
    assert [one.text for one in status.reasons] == ["subjects u1 is not there any more"]
    ROWS["subjects"].append("u1")
    made.run()
    assert status_of(made).is_simply_done


def test_one_that_a_task_makes_again_is_waited_for_and_changes_nothing(made):
    del ROWS["computed"]
    made.run()
    status = status_of(made)
    assert (status.state, status.todo, status.waits_for) == (state.DONE, state.MAYBE, ("computed u2",))
    ExpectComputed().run()
    made.run()
    assert made.run_outcome.what == "unchanged" and status_of(made).is_simply_done


def test_another_one_makes_the_result_stale(made):
    ROWS["animals"] = ["u1"]
    status = status_of(ExpectStep(table="animals"))
    assert (status.state, status.todo) == (state.STALE, state.MAKE)
    assert [one.text for one in status.reasons] == ["animals u1 is new", "subjects u1 is not used now"]


def test_a_file_from_outside_that_is_gone_leaves_the_result_alone(declare, command_line, tmp_path):
    class ExpectExternal(luigi.ExternalTask):
        def output(self):
            return luigi.LocalTarget("external.txt")

    class ExpectAfter(ExpectStep):
        def requires(self):
            return ExpectExternal()

    external = tmp_path / "external.txt"
    external.write_text("external")
    step = ExpectAfter()
    step.run()
    external.rename(tmp_path / "away.txt")
    step.run()
    assert status_of(step).state == state.INPUT_MISSING
    assert [one.text for one in status_of(step).reasons] == ["external.txt is not there any more"]
    (tmp_path / "away.txt").rename(external)
    step.run()
    assert status_of(step).is_simply_done


def test_a_folder_from_outside_is_an_input_with_all_that_is_in_it(declare, command_line, tmp_path):
    class ExpectFolder(luigi.ExternalTask):
        def output(self):
            return luigi.LocalTarget(tmp_path / "probe")

    class ExpectOfFolder(ExpectStep):
        def requires(self):
            return ExpectFolder()

    def status():
        discard_statuses()
        return status_of(step)

    step, probe = ExpectOfFolder(), tmp_path / "probe"
    (probe / "below").mkdir(parents=True)
    (probe / "below" / "map.txt").write_text("map")
    step.run()
    assert status().is_simply_done
    (described,) = json.loads(step.record_path.read_text())["inputs"]
    assert (described["files"], described["bytes"]) == (1, 3)
    (probe / "below" / "map.txt").touch()
    assert status().is_simply_done
    (probe / "more.txt").write_text("more")
    assert [(one.kind, one.text) for one in status().reasons] == [("inputs", "probe changed")]
    step.run()
    assert status().is_simply_done


@pytest.mark.parametrize(
    ("target", "described"),
    [
        (MockTarget("memory/a"), {"class": "luigi.mock.MockTarget", "name": "memory/a"}),
        (Described(), {"class": f"{__name__}.Described", "name": "the sensor in room 2"}),
        (Sensor(), {"class": f"{__name__}.Sensor", "name": ""}),
    ],
    ids=["mock", "described", "nameless"],
)
def test_a_target_that_is_no_file_is_named_by_what_stays_the_same(target, described):
    assert local_path(target) is None and describe_target(target) == described


def test_an_address_is_recorded_without_its_password():
    target = Elsewhere()
    target.path = "ftp://ada:secret@lab.example/a.bin"
    assert describe_target(target)["name"] == "ftp://lab.example/a.bin"


def test_files_of_this_machine_are_known_by_their_targets(tmp_path):
    own = Elsewhere()
    own.path = str(tmp_path / "own.bin")
    assert local_path(own) is None  # it is there, and no such file is
    (tmp_path / "own.bin").touch()
    for one in (own, luigi.LocalTarget("a"), ResultTarget("a"), RecordingTarget("a")):
        assert local_path(one) == one.path
