"""luigid: what becomes of several runs, of killed ones and of a luigid that is killed."""

import contextlib
import fcntl
import json
import os
import re
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import psutil
import pytest
from luigi.scheduler import DONE, FAILED, RUNNING

from neuroluigi.provenance.run_record import read_run_record
from neuroluigi.runner import luigid_token
from tests import commands
from tests.conftest import BIN, FAKE_MATLAB, REPOSITORY, clean_environment, needs_octave
from tests.runner.luigid_lab import Lab, Luigid, check_apart, wait_for


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


def test_what_another_run_made_since_the_plan_is_seen_by_the_first_step(tmp_path, luigid):
    lab = Lab(tmp_path / "lab", luigid)
    with (lab.folder / "tasks.py").open("a") as file:
        file.write(
            "import luigi.worker, sys\n"
            "luigis_run = luigi.worker.Worker.run\n"
            "def run(self):\n"
            "    open('planned', 'w').close()\n"
            "    while 'First' in sys.argv and not os.path.exists('made'):\n        time.sleep(0.02)\n"
            "    return luigis_run(self)\n"
            "luigi.worker.Worker.run = run\n"
        )
    run = lab.start("First", "--group", "a-even")
    wait_for((lab.folder / "planned").exists)
    for index in ("0", "2"):
        lab.run("Noise", "--session", "a", "--index", index)
    (lab.folder / "made").touch()
    assert run.wait(timeout=60) == 0, lab.said()
    assert "Made: 1 First." in lab.said() and "ERROR" not in lab.said()


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


def mine(run, luigid):
    """Return the name of the worker of a run, and what luigid adds to the names of its tasks."""
    (worker,) = wait_for(lambda: luigid.call("worker_list"))
    suffix = next(iter(luigid.call("task_list"))).rpartition("_")[2]
    return worker["name"], suffix


def test_a_run_refuses_what_it_did_not_schedule(tmp_path, luigid):
    lab = Lab(tmp_path / "lab", luigid)
    (lab.folder / "hold").touch()
    (lab.folder / "evil.py").write_text("open('ran', 'w')")
    run = lab.start("Last")
    wait_for(lab.is_at_work)
    worker, suffix = mine(run, luigid)
    task = {"worker": worker, "module": "evil", "params": {"group": "x"}, "priority": 1000}
    luigid.order("add_task", task_id=f"First_x_{suffix}", family="First", **task)
    # Two that luigid makes one batch of.
    luigid.order("add_task_batcher", worker=worker, task_family="Evil", batched_args=["n"])
    for n in "12":
        more = {**task, "params": {"n": n}, "family": "Evil", "batchable": True}
        luigid.order("add_task", task_id=f"Evil_{n}_{suffix}", **more)
    (lab.folder / "hold").unlink()
    assert run.wait(timeout=120) == 0, lab.said()
    lab.check_whole()
    assert not (lab.folder / "ran").exists() and not (lab.results / "x").exists()
    assert f"luigid gave out First_x_{suffix}, which is refused: this run did not schedule it" in lab.said()
    assert f"luigid gave out Evil_1_{suffix}, Evil_2_{suffix}, which is refused" in lab.said()
    foreign = {name: one["status"] for name, one in luigid.call("task_list").items() if one["status"] != DONE}
    assert foreign == dict.fromkeys([f"First_x_{suffix}", f"Evil_1_{suffix}", f"Evil_2_{suffix}"], FAILED)


BATCHES = """
import luigi

class One(luigi.Task):
    n = luigi.IntParameter(batch_method=max)
    def complete(self):
        return any(open("made").read().split().count(str(n)) for n in range(self.n, 9))
    def run(self):
        with open("made", "a") as file:
            file.write(f"{self.n}\\n")

class All(luigi.WrapperTask):
    def requires(self):
        return [One(n) for n in range(3)]
"""


def test_a_batch_of_tasks_that_a_run_scheduled_is_its_own(tmp_path, luigid):
    lab = Lab(tmp_path / "lab", luigid)
    (lab.folder / "tasks.py").write_text(BATCHES)
    (lab.folder / "made").touch()
    lab.run("All")
    assert (lab.folder / "made").read_text() == "2\n"


def test_an_assistant_would_make_what_others_schedule(tmp_path, luigid):
    lab = Lab(tmp_path / "lab", luigid, sessions="a")
    assert "--assistant: a run makes nothing that it did not schedule" in lab.run("Last", "--assistant", code=1)


def test_without_its_token_luigid_refuses_a_run_in_one_line(tmp_path, luigid):
    lab = Lab(tmp_path / "lab", luigid, sessions="a", seconds=0)
    path = luigid_token.token_path(luigid.port)
    cure = f"copy {path} from the user and machine of that luigid, or give its token: --scheduler-url"
    for token, why in (("", "no token was given"), ("other", "another token was given")):
        path.write_text(token)
        said = lab.run("Last", code=1)
        (line,) = [line for line in said.splitlines() if "refuses" in line]
        place = f"localhost:{luigid.port}"
        assert line.startswith(f"luigi: luigid at http://{place} refuses this run: {why}; it is in the link")
        assert line == said.splitlines()[-1] and "Traceback" not in said
        assert line.endswith(f"; {cure} http://luigi:TOKEN@{place}")
        assert f"401 POST /api/prune (127.0.0.1): {why}" in (luigid.folder / "luigid.log").read_text()
    path.chmod(0o644)
    assert f"the token of luigid is not used: {path}: others can read it" in lab.run("Last", code=1)
    assert not lab.times() and not luigid.call("worker_list")
    # The password of the URL is the token.
    url = f"http://luigi:{luigid.token}@127.0.0.1:{luigid.port}"
    assert "Made: 2 First, 1 Last, 4 Noise, 2 Second." in lab.run("Last", "--scheduler-url", url)
    assert "Bad" not in lab.said() and luigid.token not in lab.said()


def test_another_name_of_luigid_is_allowed_by_its_luigi_cfg(tmp_path, luigid):
    def ask():
        request = urllib.request.Request(f"{luigid.url}api/is_paused", headers={"Host": "Lab1.example:80"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    assert ask() == 403
    luigid.end()
    (luigid.folder / "luigi.cfg").write_text("[scheduler]\nhosts = lab2.example, lab1.example\n")
    luigid.start()
    assert ask() == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_luigid_ends_when_told_to_while_it_writes_its_log(tmp_path, number):
    folder = tmp_path / "luigid"
    folder.mkdir()
    os.mkfifo(folder / "luigid.log")
    log = os.open(folder / "luigid.log", os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(log, fcntl.F_SETPIPE_SZ, 4096)
    luigid = Luigid(folder)
    with pytest.raises(TimeoutError):
        # Each refusal is a line of the log, which nobody reads.
        for _ in range(1000):
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(f"{luigid.url}api/prune", timeout=1)
    luigid.process.send_signal(number)

    def has_ended():
        with contextlib.suppress(BlockingIOError):
            os.read(log, 1 << 16)
        return luigid.process.poll() is not None

    wait_for(has_ended)
    os.close(log)
    assert luigid.process.returncode == 0 and (folder / "luigid.pickle").exists()


def test_luigis_own_client_sends_the_token_as_the_password_of_its_url(tmp_path, luigid):
    (tmp_path / "plain.py").write_text(
        "import luigi\n"
        "class Made(luigi.Task):\n"
        "    def output(self):\n        return luigi.LocalTarget('made')\n"
        "    def run(self):\n        open('made', 'w').close()\n"
    )
    command = [sys.executable, "-m", "luigi", "--module", "plain", "Made", "--scheduler-url"]
    (tmp_path / "luigi.cfg").write_text("[core]\nrpc_retry_attempts = 1\n[retcode]\nscheduling_error = 35\n")
    for token, is_good in (("other", False), (luigid.token, True)):
        url = f"http://user:{token}@127.0.0.1:{luigid.port}"
        options = {"env": {**clean_environment(), "PYTHONPATH": str(tmp_path)}, "capture_output": True, "text": True}
        done = subprocess.run([*command, url], cwd=tmp_path, **options, timeout=60)
        assert (tmp_path / "made").exists() == is_good, done.stderr
        assert is_good or "another token was given; it is in the link that luigid printed" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such permissions")
def test_a_state_that_others_could_write_is_not_read(tmp_path, luigid):
    luigid.end()
    state, ran = luigid.folder / "luigid.pickle", tmp_path / "ran"
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    state.write_bytes(f"cbuiltins\nopen\n(V{ran}\nVw\ntR.".encode())
    state.chmod(0o666)
    luigid.start()
    assert not ran.exists() and luigid.call("task_list") == {}
    log = (luigid.folder / "luigid.log").read_text()
    assert "luigid.pickle is not used: luigid.pickle: others can write it (chmod 600 ends that); the runs" in log


def test_a_luigid_without_a_place_for_its_token_does_not_start(luigid, tmp_path):
    (tmp_path / "file").touch()
    environment = {**clean_environment(), "XDG_STATE_HOME": str(tmp_path / "file")}
    done = commands.run([BIN / "luigid", "--port", "1"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("luigid: there is no token of your own: ")
    assert "XDG_STATE_HOME" in done.stderr and "Traceback" not in done.stderr
