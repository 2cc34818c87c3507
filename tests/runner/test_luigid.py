"""luigid: what it shows of runs, and what becomes of several runs, of killed ones and of a luigid that is killed."""

import contextlib
import json
import os
import pickle
import re
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections import Counter, defaultdict
from pathlib import Path

import psutil
import pytest
from luigi.scheduler import DONE, FAILED, PENDING, RUNNING

from neuroluigi.provenance.run_record import read_run_record
from neuroluigi.runner.luigid import Scheduler, _identity
from tests.browser import needs_browser
from tests.conftest import BIN, FAKE_MATLAB, REPOSITORY, clean_environment, needs_octave

# Luigid's own luigi.cfg and that of the runs, with shorter waits.
HASTE = """
[scheduler]
worker_disconnect_delay = 3
[core]
rpc_retry_attempts = 30
rpc_retry_wait = 1
"""

# A chain of two steps for each of 12 groups, that log when they start and end; a study over all of them.
TASKS = """
import os, time
from pathlib import Path
from neuroluigi import GroupTask, RecordingMaker, StudyTask, WrapperTask, groups

class Noise(RecordingMaker):
    def make(self, out):
        out.write_bytes(bytes([self.index]))

class Timed:
    def make(self, out):
        self.note("start")
        for k in range(4):
            self.report_progress(k, 4, "<b>of four</b>")
            while k == 2 and os.path.exists("hold"):
                time.sleep(0.05)
                self.report_progress(k, 4, "<b>of four</b>")
            time.sleep(SECONDS)
        assert Path("good").exists() or "fails" not in self.folder.name, "no <i>good</i>"
        out.write_text(self.task_family)
        self.note("end")

    def note(self, what):
        with open("times.log", "a") as log:
            log.write(f"{self.task_family}/{self.folder.name} {what} {time.time()} {os.getpid()}\\n")

class First(Timed, GroupTask):
    def requires(self):
        return [Noise(one.session, one.index) for one in self.recordings]
    def output(self):
        return self.result("first.txt")

class Second(Timed, GroupTask):
    def requires(self):
        return First(self.group)
    def output(self):
        return self.result("second.txt")

class Last(Timed, StudyTask):
    def requires(self):
        return {group: Second(group) for group in groups()}
    def output(self):
        return self.result("last.txt")
"""


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


class Luigid:
    """A luigid on a free port of this machine."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "luigi.cfg").write_text(HASTE)
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        self.start()

    def start(self, *arguments):
        with (self.folder / "luigid.log").open("a") as log:
            command = [BIN / "luigid", "--port", str(self.port), *arguments]
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=clean_environment(), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        wait_for(self.is_answering)

    def is_answering(self):
        assert self.process.poll() is None, (self.folder / "luigid.log").read_text()
        with contextlib.suppress(OSError):
            return self.call("is_paused") is not None
        return False

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait(timeout=30)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def call(self, method, **data):
        query = urllib.parse.urlencode({"data": json.dumps(data)})
        with urllib.request.urlopen(f"{self.url}api/{method}?{query}", timeout=10) as answer:
            return json.load(answer)["response"]

    def tasks(self, **of):
        """Return the tasks that it shows by name, as (status, task id, all that is known of them)."""
        shown = self.call("task_list")
        return {task["display_name"]: {**task, "id": name} for name, task in shown.items()}


@pytest.fixture
def luigid(tmp_path):
    one = Luigid(tmp_path / "luigid")
    yield one
    if one.process.poll() is None:
        one.end(signal.SIGKILL)


class Lab:
    """A folder with TASKS, in which `luigi` is run with a luigid."""

    def __init__(self, folder: Path, luigid: Luigid, sessions="a,b,c", seconds=0.05):
        self.folder, self.luigid = folder, luigid
        folder.mkdir(parents=True)
        (folder / "tasks.py").write_text(TASKS.replace("SECONDS", str(seconds)))
        (folder / "luigi.cfg").write_text(f"{HASTE}\n[Noise]\nsessions = {sessions}\n")

    @property
    def results(self):
        return self.folder / "results"

    def start(self, *arguments):
        command = [BIN / "luigi", "--module", "tasks", *arguments, "--scheduler-port", str(self.luigid.port)]
        with (self.folder / "run.log").open("a") as log:
            return subprocess.Popen(
                command, cwd=self.folder, env=clean_environment(), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def run(self, *arguments, code=0):
        """Run it to its end and return what it printed."""
        before = len(self.said()) if (self.folder / "run.log").exists() else 0
        assert self.start(*arguments).wait(timeout=120) == code, self.said()
        return self.said()[before:]

    def said(self):
        return (self.folder / "run.log").read_text()

    def times(self):
        """Return (step, what, when, process) of all that was started and ended."""
        path = self.folder / "times.log"
        rows = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(step, what, float(when), int(pid)) for step, what, when, pid in rows]

    def is_at_work(self):
        """Return the processes that started a step and did not end it yet."""
        open_steps = {}
        for step, what, _, pid in self.times():
            open_steps[pid] = step if what == "start" else None
        return {pid: step for pid, step in open_steps.items() if step}

    def check_whole(self):
        steps = [f"{family}/{s}-{p}" for family in ("First", "Second") for s in "abc" for p in ("even", "odd")]
        assert Counter(step for step, what, *_ in self.times() if what == "end").keys() == {*steps, "Last/study"}
        assert (self.results / "study" / "last.txt").read_text() == "Last"
        assert not list(self.folder.rglob("*.part-*"))


def check_apart(times, killed=()):
    """No step was started before all earlier starts of it had ended, or their process was killed."""
    is_open = defaultdict(set)
    for step, what, _, pid in sorted(times, key=lambda one: one[2]):
        if what == "start":
            assert is_open[step] <= set(killed), f"{step} ran twice at the same time"
        (is_open[step].add if what == "start" else is_open[step].discard)(pid)


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


def test_a_folder_whose_identity_was_half_written_gets_one(tmp_path):
    (tmp_path / ".luigid").touch()
    first = _identity(tmp_path)
    assert len(first) == 16 and _identity(tmp_path) == first


def test_a_run_that_is_interrupted_gives_its_steps_back(tmp_path, luigid):
    lab = Lab(tmp_path / "lab", luigid, seconds=1)
    run = lab.start("Last", "--workers", "2")
    wait_for(lambda: len(lab.is_at_work()) == 2)
    run.send_signal(signal.SIGINT)
    assert run.wait(timeout=30) == 130
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
    lab = Lab(tmp_path / "lab", luigid, seconds=1.5)
    config = lab.folder / "luigi.cfg"
    config.write_text(config.read_text().replace("rpc_retry_attempts = 30", "rpc_retry_attempts = 1"))
    run = lab.start("Last", "--workers", "2")
    wait_for(lambda: len(lab.is_at_work()) == 2)
    luigid.end(signal.SIGKILL)
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
    done = subprocess.run(
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
    with urllib.request.urlopen(f"{luigid.url}history/by_name/First", timeout=10) as answer:
        page = answer.read().decode()
    assert "a-odd" in page and "DONE" in page
    with urllib.request.urlopen(f"{luigid.url}history", timeout=10) as answer:
        assert "First" in answer.read().decode()


# The scheduler itself


def scheduler_with_two_runs() -> Scheduler:
    """Return a scheduler with runs X and Y, both of which want c, which rests on b, which rests on a."""
    scheduler = Scheduler(worker_disconnect_delay=10, retry_delay=-1, prune_on_get_work=True)
    for run in "XY":
        scheduler.add_worker(run, [("workers", 1)])
        for name, deps in (("a", []), ("b", ["a"]), ("c", ["b"])):
            scheduler.add_task(task_id=name, deps=deps, worker=run, family=name)
    return scheduler


def ask(scheduler: Scheduler, run: str) -> tuple:
    """Return the step that a run is given, how many (with it) it may wait for, how many run, whether it is known."""
    reply = scheduler.get_work(worker=run)
    return reply["task_id"], reply["n_pending_tasks"], len(reply["running_tasks"]), reply["is_known"]


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = time.time()

    monkeypatch.setattr(time, "time", lambda: Clock.now)
    return Clock


def test_a_step_of_a_run_that_is_silent_goes_to_another_one(clock):
    scheduler = scheduler_with_two_runs()
    assert ask(scheduler, "X") == ("a", 3, 0, True)
    assert ask(scheduler, "Y") == (None, 2, 1, True)
    clock.now += 9
    assert ask(scheduler, "Y") == (None, 2, 1, True)
    clock.now += 2
    assert ask(scheduler, "Y") == ("a", 3, 0, True)
    # It comes back: it is told to tell of itself again, and what it says meanwhile does no harm.
    scheduler.add_task(task_id="a", status=FAILED, worker="X")
    assert ask(scheduler, "X")[3] is False
    assert scheduler.task_list()["a"]["status"] == RUNNING


def test_a_step_of_a_run_that_leaves_goes_to_another_one_at_once():
    scheduler = scheduler_with_two_runs()
    assert ask(scheduler, "X")[0] == "a"
    scheduler.ping(worker="X", is_leaving=True)
    assert [one["name"] for one in scheduler.worker_list()] == ["Y"]
    assert ask(scheduler, "Y") == ("a", 3, 0, True)


def test_nobody_waits_for_what_a_failed_step_or_a_missing_input_bars():
    scheduler = scheduler_with_two_runs()
    assert ask(scheduler, "X")[0] == "a"
    scheduler.add_task(task_id="a", status=FAILED, worker="X", runnable=None)
    assert ask(scheduler, "Y") == (None, 0, 0, True)
    # The next run tries it again, and those that are still there help.
    scheduler.add_worker("Z", [("workers", 1)])
    for name, deps in (("a", []), ("b", ["a"]), ("c", ["b"])):
        scheduler.add_task(task_id=name, deps=deps, worker="Z", family=name)
    assert ask(scheduler, "Y") == ("a", 3, 0, True)
    scheduler.add_task(task_id="a", status=DONE, worker="Y", runnable=None)
    # A task that no run can run, such as an external one.
    scheduler.add_task(task_id="c", deps=["b", "file"], worker="Z", family="c")
    scheduler.add_task(task_id="file", status=PENDING, runnable=False, worker="Z", family="file")
    assert ask(scheduler, "Z") == ("b", 1, 0, True)


def test_what_is_saved_is_what_was_known(tmp_path, clock):
    scheduler = scheduler_with_two_runs()
    assert ask(scheduler, "X")[0] == "a"
    scheduler._state._state_path = str(tmp_path / "state")
    scheduler.dump()
    assert pickle.loads((tmp_path / "state").read_bytes())
    clock.now += 1000
    other = Scheduler(state_path=str(tmp_path / "state"), worker_disconnect_delay=10, retry_delay=-1)
    other.load()
    assert ask(other, "Y") == (None, 2, 1, True)
    other.add_task(task_id="a", status=DONE, worker="X", runnable=None)
    assert ask(other, "Y") == ("b", 2, 0, True)


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


# In a browser


def save_picture(browser, name: str, folder: Path) -> None:
    """Save a picture of the page, for people to look at, in NEUROLUIGI_PICTURES or else in `folder`."""
    pictures = Path(os.environ.get("NEUROLUIGI_PICTURES", folder))
    pictures.mkdir(parents=True, exist_ok=True)
    browser.driver.save_screenshot(str(pictures / f"luigid-{name}.png"))


BROKEN_GROUP = """

make_edges = Edges.make
def make(self, out):
    if self.group == "b-odd":
        raise ValueError("<b>no</b> edges")
    make_edges(self, out)
Edges.make = make
"""


@needs_browser
def test_the_visualiser_shows_the_graph_and_what_failed(browser, tmp_path, luigid, pipeline):
    config = pipeline.folder / "luigi.cfg"
    config.write_text(config.read_text().replace("sessions = a, b, c, d, e", "sessions = a, b"))
    (pipeline.folder / "tasks.py").open("a").write(BROKEN_GROUP)
    remote = ["--scheduler-port", str(luigid.port)]
    command = [BIN / "luigi", "--module", "tasks", "PlotAll", "--matlab-engine", "numpy", *remote]
    done = subprocess.run(command, cwd=pipeline.folder, env=clean_environment(), capture_output=True, text=True)
    assert done.returncode == 30, done.stderr
    asked, refused = [], []

    def look(name: str, where: str, is_there: str) -> None:
        browser.open("about:blank")
        browser.open(luigid.url + "static/visualiser/index.html#" + where)
        wait_for(lambda: browser.run(is_there))
        save_picture(browser, name, tmp_path)
        asked.extend(browser.requests())
        refused.extend(browser.errors())

    rows = "[...document.querySelectorAll('#taskTable tbody tr')]"
    look("steps", "order=1%2Casc&length=100", f"return {rows}.length > 20")
    shown = browser.run(f"return {rows}.map(row => row.innerText)")
    # 8 recordings, 4 groups of 4 steps, PlotAll
    assert Counter(re.search("DONE|[A-Z_]*FAILED", row)[0] for row in shown) == {
        "DONE": 22,
        "FAILED": 1,
        "UPSTREAM_FAILED": 2,
    }
    assert all(str(pipeline.results) in row and "matlab_command" not in row for row in shown)

    browser.run(f"{rows}.find(row => row.innerText.includes('FAILED')).querySelector('.showError').click()")
    error = wait_for(lambda: browser.run("return document.querySelector('#errorModal.in pre')?.innerText"))
    assert " ".join(error.split()).startswith(
        "Edges(group=b-odd, threshold=0.75, level=): ValueError: <b>no</b> edges ("
    )
    assert f"{pipeline.results}/b-odd/runs/Edges.failed.log" in error
    modal = "document.querySelector('#errorModal .modal-dialog')"
    rerun = browser.run("return document.querySelectorAll('#errorModal pre')[1].innerText")
    assert rerun == (
        f'luigi --module tasks Edges --group "b-odd" --threshold "0.75" --results-root "{pipeline.results}"'
    )
    wait_for(lambda: browser.run(f"return getComputedStyle({modal}).transform") == "matrix(1, 0, 0, 1, 0, 0)")
    save_picture(browser, "error", tmp_path)

    look("steps", "order=1%2Casc&length=100", f"return {rows}.length > 20")
    browser.run(f"{rows}.find(row => row.innerText.includes('group=b-odd')).querySelector('.statusMessage').click()")
    modal = "document.querySelector('#statusMessageModal.in .modal-dialog')"
    wait_for(
        lambda: browser.run(f"return {modal} && getComputedStyle({modal}).transform") == "matrix(1, 0, 0, 1, 0, 0)"
    )
    message = wait_for(lambda: browser.run(f"return {modal}.querySelector('pre').innerText"))
    assert message == f"{socket.gethostname()}: {pipeline.results}/b-odd/runs/Aggregate.log"
    save_picture(browser, "message", tmp_path)

    (root,) = [task["id"] for task in luigid.tasks().values() if task["name"] == "PlotAll"]
    nodes = "[...document.querySelectorAll('#graphPlaceholder svg .graph-node-a')]"
    look("graph", f"tab=graph&taskId={root}", f"return {nodes}.length == 25")
    shown = browser.run(f"return {nodes}.map(node => node.dataset.taskStatus)")
    assert Counter(shown) == {"DONE": 22, "FAILED": 1, "PENDING": 2}
    assert browser.run("return document.querySelectorAll('#graphPlaceholder svg line').length") == 8 + 4 + 8 + 12 + 4
    # Nothing comes from the net: what Luigi's page asks others for, the browser refuses.
    own = f"127.0.0.1:{luigid.port}"
    others = [url for url in asked if urllib.parse.urlsplit(url).netloc not in ("", own)]
    assert all(any(url in said and "Content Security Policy" in said for said in refused) for url in others), refused
