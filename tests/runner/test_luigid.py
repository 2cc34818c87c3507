"""luigid: what becomes of several runs, of killed ones and of a luigid that is killed."""

import json
import re
import signal
import subprocess
import urllib.request
from collections import Counter
from pathlib import Path

import psutil
import pytest
from luigi.scheduler import DONE, FAILED, RUNNING

from neuroluigi.provenance.run_record import read_run_record
from tests import commands
from tests.conftest import BIN, FAKE_MATLAB, REPOSITORY, clean_environment, needs_octave
from tests.runner.luigid_lab import Lab, check_apart, wait_for


def test_four_runs_share_the_steps_and_take_over_those_of_one_that_is_killed(tmp_path, luigid):
    lab = Lab(tmp_path / "lab", luigid, seconds=0.1)
    runs = [lab.start("Last") for _ in range(4)]
    at_work = wait_for(lambda: len(found := lab.is_at_work()) > 2 and found)
    victim = next(run for run in runs if run.pid in at_work)
    victim.kill()
    victim.wait()
    assert [run.wait(timeout=120) for run in runs if run is not victim] == [0, 0, 0], lab.said()
    lab.check_whole()
    check_apart(lab.times(), killed={victim.pid})
    starts = Counter(step for step, what, *_ in lab.times() if what == "start")
    assert sum(count > 1 for count in starts.values()) <= 1 and max(starts.values()) <= 2
    # All of them had a share, and the dead one's step was done by another.
    assert len({pid for _, what, _, pid in lab.times() if what == "end"}) >= 3
    assert {task["status"] for task in luigid.tasks().values()} == {DONE}
    assert read_run_record(lab.results)["exit_code"] == 0
    assert not [one for one in psutil.process_iter(["cwd"]) if one.info["cwd"] == str(lab.folder)]


def test_a_run_that_is_interrupted_gives_its_steps_back(tmp_path, luigid):
    lab = Lab(tmp_path / "lab", luigid)
    (lab.folder / "hold").touch()
    run = lab.start("Last", "--workers", "2")
    wait_for(lambda: len(lab.is_at_work()) == 2)
    run.send_signal(signal.SIGINT)
    assert run.wait(timeout=60) == 130
    assert luigid.call("worker_list") == [] and not luigid.call("task_list", status=RUNNING)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_goes_on_when_luigid_is_started_again(tmp_path, luigid, number):
    """With the memory of a luigid that ended in peace, and without that of a killed one."""
    lab = Lab(tmp_path / "lab", luigid)
    run = lab.start("Last", "--workers", "2", "--matlab-seats", "3")
    wait_for(lab.is_at_work)
    luigid.end(number)
    assert (luigid.folder / "luigid.pickle").exists() == (number == signal.SIGTERM)
    wait_for(lambda: "no luigid answers at" in lab.said())
    luigid.start()
    assert run.wait(timeout=120) == 0, lab.said()
    assert ("luigid does not know this run any more" in lab.said()) == (number == signal.SIGKILL)
    assert [one["num_total"] for one in luigid.call("resource_list")] == [3]
    lab.check_whole()
    check_apart(lab.times())


def test_a_run_whose_luigid_stays_away_finishes_its_steps_and_says_so(tmp_path, luigid):
    lab = Lab(tmp_path / "lab", luigid)
    (lab.folder / "hold").touch()
    config = lab.folder / "luigi.cfg"
    config.write_text(config.read_text().replace("rpc_retry_attempts = 30", "rpc_retry_attempts = 1"))
    run = lab.start("Last", "--workers", "2")
    wait_for(lambda: len(lab.is_at_work()) == 2)
    luigid.end(signal.SIGKILL)
    (lab.folder / "hold").unlink()
    assert run.wait(timeout=60) == 1
    last = lab.said().splitlines()[-1]
    assert last.startswith("luigi: no luigid answered at http://localhost:") and "run the same command" in last
    assert "Traceback" not in lab.said()
    assert not lab.is_at_work() and len(list(lab.results.glob("*/runs/First.json"))) == 2


def test_labs_with_the_same_steps_are_not_taken_for_one_another(tmp_path, luigid):
    labs = [Lab(tmp_path / f"lab {n}" / "<i>x", luigid, sessions="a", seconds=0.02) for n in "12"]
    # A copy is another lab too.
    runs = [lab.start("Last") for lab in labs]
    assert [run.wait(timeout=60) for run in runs] == [0, 0], [lab.said() for lab in labs]
    for lab in labs:
        assert len({step for step, *_ in lab.times()}) == 5 and (lab.results / "study" / "last.txt").is_file()
        shown = {name: task for name, task in luigid.tasks().items() if str(lab.results) in name}
        assert Counter(task["name"] for task in shown.values()) == {"Noise": 4, "First": 2, "Second": 2, "Last": 1}
        assert f"First(group=a-even, results_root={lab.results})" in shown
    # What a run prints, and its records, know nothing of this.
    assert "results_root" not in labs[0].said() and "First(group=a-odd)" in labs[0].said()
    record = json.loads((labs[0].results / "a-even" / "runs" / "First.json").read_text())
    assert record["parameters"] == {"group": "a-even"}


def test_seats_are_those_of_the_run_for_each_lab(tmp_path, luigid):
    for name, seats in (("one", "1"), ("two", "3")):
        Lab(tmp_path / name, luigid, sessions="a", seconds=0).run("First", "--group", "a-odd", "--matlab-seats", seats)
    assert sorted(one["num_total"] for one in luigid.call("resource_list")) == [1, 3]


def half_done(luigid):
    """Return a step First that is shown to be half done, None where there is none."""
    running = luigid.call("task_list", status=RUNNING).values()
    return next((one for one in running if one["name"] == "First" and one["progress_percentage"] == 50), None)


def test_what_is_shown_of_a_step_while_it_runs_and_after(tmp_path, luigid):
    lab = Lab(tmp_path / "lab", luigid, sessions="fails, a")
    for words in ([], ["--worker-force-multiprocessing"]):
        for path in lab.results.glob("a-*/first.txt"):
            path.unlink()
        (lab.folder / "hold").touch()
        run = lab.start("Last", *words)
        text, place = wait_for(lambda: half_done(luigid))["status_message"].split("\n")
        assert text == "2/4 &lt;b&gt;of four&lt;/b&gt;"
        log = Path(place.split(": ")[1])
        assert log.parent.name == "runs" and ".part-" in log.name
        (lab.folder / "hold").unlink()
        assert run.wait(timeout=120) == 30
    tasks = luigid.tasks()
    of = f"results_root={lab.results})"
    good, bad = (tasks[f"First(group={group}, {of}"] for group in ("a-odd", "fails-odd"))
    assert (good["status"], bad["status"]) == (DONE, FAILED)
    assert good["status_message"].endswith(f": {lab.results}/a-odd/runs/First.log")
    assert bad["status_message"].endswith(f": {lab.results}/fails-odd/runs/First.failed.log")
    error = json.loads(luigid.call("fetch_error", task_id=bad["id"])["error"]).splitlines()
    assert " ".join(error).startswith("First(group=fails-odd): AssertionError: no <i>good</i> (tasks.py, line")
    assert error[-1] == "AssertionError: no <i>good</i>" and len(error) < 20
    # A failed step is not tried again but by the next run, and then at once.
    starts = Counter(step for step, what, *_ in lab.times() if what == "start")
    assert starts["First/fails-odd"] == 2
    (lab.folder / "good").touch()
    out = lab.run("Last")
    assert "Made: 2 First, 1 Last, 2 Second." in out
    (lab.results / "a-odd" / "first.txt").unlink()
    assert "Made: 1 First." in lab.run("Last")
    assert {task["status"] for task in luigid.tasks().values()} == {DONE}


def test_it_listens_on_this_machine_alone_and_a_second_one_is_refused(luigid):
    listening = [one for one in psutil.Process(luigid.process.pid).net_connections() if one.status == "LISTEN"]
    assert [(one.laddr.ip, one.laddr.port) for one in listening] == [("127.0.0.1", luigid.port)]
    done = commands.run(
        [BIN / "luigid", "--port", str(luigid.port)], cwd=luigid.folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith("luigid: ") and "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_history_of_tasks_goes_into_sqlite(tmp_path, luigid):
    pytest.importorskip("sqlalchemy")
    config = (REPOSITORY / "luigi.cfg").read_text()
    declared = [line[2:] for line in config.splitlines() if re.match("# (record_task_history|db_connection) =", line)]
    assert len(declared) == 2
    luigid.end()
    (luigid.folder / "luigi.cfg").write_text(f"[scheduler]\n{declared[0]}\n[task_history]\n{declared[1]}\n")
    luigid.start()
    Lab(tmp_path / "lab", luigid, sessions="a", seconds=0).run("First", "--group", "a-odd")
    assert (luigid.folder / "luigid-history.db").is_file()
    with urllib.request.urlopen(f"{luigid.url}history/by_name/First", timeout=60) as answer:
        page = answer.read().decode()
    assert "a-odd" in page and "DONE" in page
    with urllib.request.urlopen(f"{luigid.url}history", timeout=60) as answer:
        assert "First" in answer.read().decode()


@needs_octave
def test_seats_hold_over_several_runs(pipeline, luigid, tmp_path):
    starts = tmp_path / "starts"
    fake = [f"--matlab-command={FAKE_MATLAB}", "--matlab-engine", "matlab", "--FakeRecording-sessions", "a,b"]
    command = [BIN / "luigi", "--module", "tasks", "Stats", "--scheduler-port", str(luigid.port), *fake]
    runs = [
        subprocess.Popen(
            [*command, "--group", group, "--workers", "2"],
            cwd=pipeline.folder,
            env={**clean_environment(), "FAKE_MATLAB_STARTS": str(starts)},
            stdin=subprocess.DEVNULL,
        )
        for group in ("a-odd", "b-even")
    ]
    assert [run.wait(timeout=120) for run in runs] == [0, 0]
    # One seat: each Matlab starts after the end of the one before.
    lines = starts.read_text().split()
    assert lines == ["start", "end"] * (len(lines) // 2) and len(lines) >= 4
