"""Secret values of a run, of each kind, appear nowhere: not in files, pages, output, nor in the list of processes."""

import contextlib
import json
import os
import re
import subprocess
import sys
import urllib.request

import psutil
import pytest

from neuroluigi.provenance.record import read_record
from neuroluigi.provenance.secret_values import KEY_FILE
from tests import commands
from tests.conftest import BIN, clean_environment, needs_octave
from tests.runner.luigid_lab import wait_for
from tests.runner.test_run import START_METHOD

needs_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")

# All values have it, but one that is a number.
MARK, PIN = "S3cr3t", "8351948351948351"

TASKS = """
import json, luigi, time
from pathlib import Path
from luigi.parameter import ParameterVisibility
from neuroluigi import CommandTask, GroupTask, MatlabTask, RecordingMaker, StudyTask, groups

class Noise(RecordingMaker):
    sessions = ("s",)
    count = 1
    def make(self, out):
        out.write_bytes(b"1")

class Server(luigi.ExternalTask):
    token = luigi.Parameter()
    url = luigi.Parameter()
    def output(self):
        return luigi.LocalTarget("there")

class Fetch(GroupTask):
    db_password = luigi.Parameter()
    apiKey = luigi.Parameter(significant=False)
    hidden = luigi.Parameter(visibility=ParameterVisibility.HIDDEN)
    private = luigi.Parameter(visibility=ParameterVisibility.PRIVATE)
    pin = luigi.IntParameter(visibility=ParameterVisibility.PRIVATE)
    a_url = luigi.Parameter()
    a_dict = luigi.DictParameter()
    def requires(self):
        return Server(token=self.private, url=self.a_url)
    def output(self):
        return self.result("fetched.txt")
    def fingerprint(self):
        return {"server": {"token": self.private, "at": self.a_url}}
    def make(self, out):
        print("as", self)
        Path(f"{self.group}.started").touch()
        while Path("hold").exists():
            time.sleep(0.01)
        assert not Path("fails").exists(), f"{self} can't log in: {self.db_password}"
        out.write_text("fetched")

class Sent(MatlabTask, GroupTask):
    function = "send"
    def numpy_function(path, *others):
        Path(path).write_text("sent")
    numpy_function = staticmethod(numpy_function)
    def requires(self):
        return Fetch(self.group)
    def output(self):
        return self.result("sent.txt")
    def arguments(self, out):
        step = self.requires()
        return [out, "password", step.db_password, {"apiKey": step.apiKey}, step.a_url]

class Echo(CommandTask, GroupTask):
    command = "true"
    def requires(self):
        return Sent(self.group), Fetch(self.group)
    def output(self):
        return self.result("echo.txt")
    def arguments(self, out):
        step = self.requires()[1]
        return ["--db-password", step.db_password, f"--token={step.private}", step.a_url]
    def make(self, out):
        super().make(out)
        out.write_text("said")

class All(StudyTask):
    def requires(self):
        return [Echo(group) for group in groups()]
    def output(self):
        return self.result("all.txt")
    def make(self, out):
        out.write_text("all")
"""

CONFIG = f"""
[neuroluigi]
task = All
[matlab]
engine = numpy
[recordings]
group_by = session
[Fetch]
apiKey = {MARK}Key
hidden = {MARK}Hidden
private = {MARK}Private
pin = {PIN}
a_url = scheme://me:{MARK}/Ur@l@host/x
a_dict = {{"user": "me", "secret": "{MARK}Dict"}}
"""

PASSWORD = ["--Fetch-db-password", f"{MARK}Password"]


class Lab:
    def __init__(self, folder):
        self.folder, self.results = folder, folder / "results"
        folder.mkdir()
        (folder / "tasks.py").write_text(TASKS)
        (folder / "luigi.cfg").write_text(CONFIG)
        (folder / "there").touch()

    def start(self, *arguments, method="fork"):
        code = START_METHOD.format(method=method, module="neuroluigi.runner.run", function="main")
        command = [BIN / "luigi"] if method == "fork" else [sys.executable, "-c", code]
        return commands.start(
            [*command, "--module", "tasks", "All", *PASSWORD, *arguments],
            **self.options,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments, code=0, **options):
        process = self.start(*arguments, **options)
        out = process.communicate(timeout=120)[0]
        assert process.returncode == code, out
        return out

    def ask(self, *arguments, code=0):
        done = commands.run([BIN / "neuroluigi", *arguments], **self.options, capture_output=True, text=True)
        assert done.returncode == code and "Traceback" not in done.stderr, done
        return done.stdout + done.stderr

    def wait_for_start(self, process):
        wait_for(lambda: (self.folder / "s.started").exists() or process.poll() is not None)
        assert process.poll() is None, process.communicate()[0]

    @property
    def options(self):
        return {"cwd": self.folder, "env": clean_environment(), "stdin": subprocess.DEVNULL}

    def change(self, old, new):
        config = self.folder / "luigi.cfg"
        assert old in config.read_text()
        config.write_text(config.read_text().replace(old, new))


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path / "lab")


def check_clean(*texts):
    for text in texts:
        assert MARK not in text and PIN not in text, re.findall(f".{{0,200}}(?:{MARK}|{PIN}).{{0,100}}", text)


def check_files(*folders):
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert paths
    for path in paths:
        data = path.read_bytes()
        assert MARK.encode() not in data and PIN.encode() not in data, (path, data)


def everything_of(luigid, run):
    """Return what luigid tells of all that the visualiser asks for."""
    tasks = luigid.call("task_list")
    told = [tasks, *(luigid.call(name) for name in ("worker_list", "resource_list"))]
    told += [
        luigid.call(name, task_id=task) for task in tasks for name in ("dep_graph", "fetch_error", "inverse_dep_graph")
    ]
    with contextlib.suppress(OSError), urllib.request.urlopen(luigid.url, timeout=10) as page:
        told.append(page.read().decode())
    return json.dumps(told)


WAYS = [("1", "fork", False), ("2", "fork", False), ("2", "spawn", False), ("2", "fork", True), ("1", "fork", True)]


@pytest.mark.parametrize(("workers", "method", "with_luigid"), WAYS)
def test_no_secret_appears_anywhere(lab, luigid, workers, method, with_luigid):
    server = ["--scheduler-port", str(luigid.port)] if with_luigid else ["--local-scheduler"]
    options = [*server, "--workers", workers, "--retcode-task-failed", "30"]
    told = ""
    for is_good in (False, True):
        (lab.folder / "fails").unlink() if is_good else (lab.folder / "fails").touch()
        (lab.folder / "hold").touch()
        process = lab.start(*options, method=method)
        lab.wait_for_start(process)
        # While it runs: what other runs read, and the processes below that of the command that the user typed.
        check_files(lab.results)
        below = psutil.Process(process.pid).children(recursive=True)
        for one in below:
            # A fork of the command has its words.
            words = one.cmdline()
            assert one.cmdline() == psutil.Process(process.pid).cmdline() or MARK not in " ".join(words), words
        if with_luigid:
            told += everything_of(luigid, lab)
        (lab.folder / "hold").unlink()
        out = process.communicate(timeout=120)[0]
        assert process.returncode == (0 if is_good else 30), out
        (lab.folder / "s.started").unlink()
        assert "Fetch(group=s" in out
        check_clean(out)
    if with_luigid:
        told += everything_of(luigid, lab)
        luigid.end()
    check_clean(told)
    check_files(lab.results, luigid.folder)


def test_no_command_shows_a_secret(lab):
    (lab.folder / "fails").touch()
    check_clean(lab.run("--local-scheduler", code=30))
    shown = [lab.ask("why", "Fetch", "s", *PASSWORD, code=1), lab.ask("status", *PASSWORD, code=1)]
    (lab.folder / "fails").unlink()
    check_clean(lab.run("--local-scheduler", "--local-scheduler"))
    shown += [lab.ask(name, *PASSWORD) for name in ("status", "recordings", "doctor", "diagram", "report", "verify")]
    shown += [lab.ask("results", *words, *PASSWORD) for words in ((), ("--csv",), ("--json",))]
    shown += [lab.ask("export", "rocrate", *words, *PASSWORD) for words in (("--name", "x"),)]
    shown += [lab.ask("why", "Fetch", "s", *PASSWORD), lab.ask("clean", "--dry-run", *PASSWORD)]
    shown += [lab.ask("run", "All", *PASSWORD)]
    check_clean(*shown)
    assert not [one for one in shown if KEY_FILE in one]
    assert "db_password ***" in shown[-3] and "scheme://me:***@host/x" in shown[-3]
    check_files(lab.results)
    crate = (lab.results / "ro-crate-metadata.json").read_text()
    assert KEY_FILE not in crate and "hmac-" not in crate and "hmac-" not in (lab.results / "report.html").read_text()


def test_a_secret_that_changed_makes_the_result_again_and_one_that_did_not_does_not(lab):
    lab.run("--local-scheduler")
    out = lab.run("--local-scheduler")
    assert "Nothing to make" in out
    record = json.loads((lab.results / "s" / "runs" / "Fetch.json").read_text())
    # What is not set, and what is not significant, as ever.
    assert record["parameters"].keys() == {"group", "db_password", "hidden", "private", "pin", "a_url", "a_dict"}
    for old, new in ((f"{MARK}Private", "other"), (f"{MARK}/Ur", "other"), (PIN, "17"), (f"{MARK}Dict", "x")):
        lab.change(old, new)
        out = lab.run("--local-scheduler")
        assert re.search(r"Fetch: 1 made with .*\*\*\*.*, now .*\*\*\*", out) and "Fetch(group=s" in out, out
        check_clean(out)
        assert "Nothing to make" in lab.run("--local-scheduler")
    lab.change(f"{MARK}Key", "not significant")
    assert "Nothing to make" in lab.run("--local-scheduler")


def test_records_with_values_in_the_clear_are_compared_and_rewritten_when_made_again(lab):
    lab.run("--local-scheduler")
    path = lab.results / "s" / "runs" / "Fetch.json"
    values = {"db_password": f"{MARK}Password", "private": f"{MARK}Private", "hidden": f"{MARK}Hidden", "pin": int(PIN)}
    values |= {"a_url": f"scheme://me:{MARK}/Ur@l@host/x", "a_dict": f'{{"user": "me", "secret": "{MARK}Dict"}}'}
    record = json.loads(path.read_text())
    record["parameters"].update(values)
    record["fingerprint"] = {"server": {"token": values["private"], "at": values["a_url"]}}
    record["requires"][0]["parameters"] = {"token": values["private"], "url": values["a_url"]}
    path.write_text(json.dumps(record))
    assert "Nothing to make" in lab.run("--local-scheduler")
    lab.change(f"{MARK}Private", "other")
    out = lab.run("--local-scheduler")
    assert "Fetch: 1 made with private" in out
    check_clean(out)
    check_files(lab.results)


@needs_root
def test_with_the_key_of_another_user_nothing_is_made_again_and_that_is_told_once(lab):
    lab.run("--local-scheduler")
    os.chown(lab.results / KEY_FILE, 12345, -1)
    lab.change(f"{MARK}Private", "other")
    out = lab.run("--local-scheduler", "--workers", "2")
    assert "Nothing to make" in out and out.count("sealed with another key") == 1
    (lab.results / "s" / "fetched.txt").unlink()
    assert "Made: 1 Fetch" in lab.run("--local-scheduler", "--workers", "2")
    check_files(lab.results)


def test_without_the_key_nothing_is_made_again_and_that_is_told_once(lab):
    lab.run("--local-scheduler")
    (lab.results / KEY_FILE).unlink()
    lab.change(f"{MARK}Private", "other")
    assert "sealed with another key" in lab.ask("status", *PASSWORD) and not (lab.results / KEY_FILE).exists()
    out = lab.run("--local-scheduler")
    assert "Nothing to make" in out and out.count("sealed with another key") == 1
    # What is made now is sealed with a key of its own.
    (lab.results / "s" / "fetched.txt").unlink()
    lab.run("--local-scheduler")
    lab.change("private = other", "private = another")
    assert "Fetch: 1 made with private" in lab.run("--local-scheduler")


SEND = """function send(file, name, password, options, url)
  [~, listed] = system('ps -ww -eo args');
  [~, modes] = system(['ls -ld ' fileparts(getenv('NEUROLUIGI_SESSION'))]);
  id = fopen(fullfile(getenv('LAB'), 'seen'), 'w');
  fprintf(id, '%s\\n%s', listed, modes);
  fclose(id);
  id = fopen(file, 'w');
  fprintf(id, '%d %d %d', numel(password), numel(options.apiKey), numel(url));
  fclose(id);
end
"""


@needs_octave
def test_an_engine_is_given_the_values_and_shows_none(lab, tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("LAB", str(lab.folder))
    lab.change("engine = numpy", "engine = octave\nfolder = matlab")
    (lab.folder / "matlab").mkdir()
    (lab.folder / "matlab" / "send.m").write_text(SEND)
    (lab.folder / "tasks.py").write_text(
        TASKS.replace("def numpy_function(path", "def other(path").replace(
            "    numpy_function = staticmethod(numpy_function)\n", ""
        )
    )
    process = lab.start("--local-scheduler")
    out = process.communicate(timeout=120)[0]
    lengths = [len(f"{MARK}Password"), len(f"{MARK}Key"), len(f"scheme://me:{MARK}/Ur@l@host/x")]
    assert process.returncode == 0, out
    assert (lab.results / "s" / "sent.txt").read_text().split() == list(map(str, lengths))
    log = (lab.results / "s" / "runs" / "Sent.log").read_text()
    assert "'password', '***', struct('apiKey', '***'), 'scheme://me:***@host/x')" in log
    check_clean(out)
    check_files(lab.results)
    # During the call: no process but that of the command has a value, and nobody else can read the request.
    *listed, mode = (lab.folder / "seen").read_text().split("\n")[:-1]
    assert mode.startswith("drwx------") and not [one for one in listed if MARK in one and PASSWORD[0] not in one]
    # The session has ended, and its requests are gone with it.
    assert not [path for path in (tmp_path / "tmp").rglob("*") if path.is_file() and MARK.encode() in path.read_bytes()]


TWINS = """
class Twins(StudyTask):
    def requires(self):
        return [Fetch("s", private="one"), Fetch("s", private="two")]
    def output(self):
        return self.result("twins.txt")
"""


def test_two_steps_that_differ_in_secrets_alone_are_refused(lab):
    tasks = lab.folder / "tasks.py"
    tasks.write_text(TASKS + TWINS)
    command = [BIN / "luigi", "--module", "tasks", "Twins", *PASSWORD, "--local-scheduler"]
    done = commands.run(command, **lab.options, capture_output=True, text=True)
    assert done.returncode == 1 and not list(lab.results.rglob("*.txt"))
    last = done.stderr.splitlines()[-1]
    assert "differ in what is secret alone, private" in last and "private=***" in last
    check_clean(done.stdout + done.stderr)


def test_one_that_can_not_be_read_is_not_shown_and_none_is_in_the_name_of_a_file(lab):
    lab.change(PIN, f"{MARK}NoNumber")
    out = lab.run("--local-scheduler", code=1)
    assert "[Fetch] pin" in out and "secret" in out
    check_clean(out)
    lab.change(f"{MARK}NoNumber", "5")
    tasks = lab.folder / "tasks.py"
    tasks.write_text(
        TASKS.replace("class Fetch(GroupTask):", "class Fetch(GroupTask):\n    filename_parameters = ('private',)")
    )
    out = lab.run("--local-scheduler", code=1)
    assert "take it out of filename_parameters" in out
    check_clean(out)


def test_slurm_is_given_no_secret(lab):
    out = lab.ask("slurm", "All", "--print", *PASSWORD, code=1)
    assert "***" in out and "a luigi.cfg that only you" in out
    lab.change("[Fetch]", f"[Fetch]\ndb_password = {MARK}Password")
    check_clean(out, lab.ask("slurm", "All", "--print"))


def test_a_build_in_python_shows_none_either(lab):
    code = "import tasks, neuroluigi; step = tasks.Fetch('s', private='S3cr3tOther', db_password='S3cr3t')"
    code += "; neuroluigi.build([step, tasks.Server(token='S3cr3t', url='x://a:S3cr3t@h')])"
    code += "; print(step, repr(step), step.task_id, step.private[:2])"
    done = subprocess.run([sys.executable, "-c", code], **lab.options, capture_output=True, text=True, check=True)
    assert "private=***" in done.stdout and "Fetch" in done.stderr and (lab.results / "s" / "fetched.txt").is_file()
    check_clean(done.stdout + done.stderr)
    check_files(lab.results)
    code = (
        "import tasks, neuroluigi; neuroluigi.build([tasks.Fetch('s', private=p, db_password='S3cr3t') for p in 'ab'])"
    )
    done = subprocess.run([sys.executable, "-c", code], **lab.options, capture_output=True, text=True, check=False)
    assert "differ in what is secret alone, private" in done.stderr
    check_clean(done.stdout + done.stderr.replace(code, ""))


def test_runs_that_differ_in_a_secret_wait_for_each_other(lab):
    (lab.folder / "hold").touch()
    first = lab.start("--local-scheduler")
    lab.wait_for_start(first)
    second = lab.start("--local-scheduler", "--Fetch-private", f"{MARK}Other")
    lines = iter(second.stdout.readline, "")
    line = next(one for one in lines if "waiting for another run" in one)
    assert "Fetch.private ***, here ***" in line
    (lab.folder / "hold").unlink()
    first.communicate(timeout=60)
    check_clean(line + second.communicate(timeout=60)[0])
    assert first.returncode == second.returncode == 0
    assert read_record(lab.results / "s" / "runs" / "Fetch.json")
    check_files(lab.results)
