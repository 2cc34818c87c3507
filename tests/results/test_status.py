"""`neuroluigi status` and `why`: what stands where, what a run would do, and why; nothing is changed by looking."""

import json
import os
import re

import pytest

from neuroluigi.provenance import state
from neuroluigi.results import status
from neuroluigi.results.status import FAILED, SIGNS, WAITING
from tests import commands
from tests.conftest import BIN, Pipeline, clean_environment

SETTINGS = ["--FakeRecording-sessions", "s", "--FakeRecording-count", "2", "--matlab-engine", "numpy"]


def ask(lab, *arguments, code=None):
    done = commands.run(
        [BIN / "neuroluigi", *arguments, *SETTINGS],
        cwd=lab.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if code is not None:
        assert done.returncode == code, done.stdout + done.stderr
    return done


def states(lab):
    return {
        (one["row"], one["step"]): (one["state"], one["todo"])
        for one in json.loads(ask(lab, "status", "--json").stdout)["results"]
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    lab = Pipeline(tmp_path_factory.mktemp("status") / "lab")
    lab.run("PlotAll", *SETTINGS)
    return lab


@pytest.fixture
def lab(made):
    """The lab with all results, put back as it was afterwards."""
    kept = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in made.folder.rglob("*") if path.is_file()}
    yield made
    for path in made.folder.rglob("*"):
        if path.is_file() and path not in kept:
            path.unlink()
    for path, (content, mtime_ns) in kept.items():
        path.write_bytes(content)
        os.utime(path, ns=(mtime_ns, mtime_ns))


def test_before_the_first_run_everything_is_missing_and_nothing_is_written(tmp_path):
    lab = Pipeline(tmp_path / "lab")
    out = ask(lab, "status", code=1).stdout
    assert "○ missing" in out and "0/2" in out and "make: 2 Aggregate: missing, aggregate.bin, aggregate.json" in out
    assert not lab.results.exists() and not (lab.folder / "recordings").exists()


def test_all_done(lab):
    out = ask(lab, "status", code=0).stdout
    lines = out.splitlines()
    assert lines[0].split() == ["group", "FakeRecording", "Aggregate", "Stats", "Edges", "Plot"]
    assert lines[1].split() == ["s-even", *["✓", "done"] * 5]
    assert lines[3].split() == ["██████████", "2/2"] * 5
    assert len(lines) == 4 and "\x1b" not in out


def test_a_missing_file_and_what_waits_for_it(lab):
    (lab.results / "s-even" / "stats.json").unlink()
    before = {path: path.stat().st_mtime_ns for path in lab.folder.rglob("*")}
    out = ask(lab, "status", code=1).stdout
    assert "make: 1 Stats: missing, stats.json is not there (s-even)" in out
    assert "maybe, if stats.json changes: 1 Edges" in out
    assert {path: path.stat().st_mtime_ns for path in lab.folder.rglob("*")} == before, "looking changed something"
    found = states(lab)
    assert found["s-even", "Stats"] == ("missing", "make") and found["s-even", "Edges"] == ("done", "maybe")
    assert found["s-even", "Plot"] == ("done", "maybe") and found["s-odd", "Plot"] == ("done", "")
    done = ask(lab, "why", "Stats", "s-even", code=1)
    assert "stats.json is not there" in done.stdout and "Made 20" in done.stdout


def test_every_state_has_its_sign(lab):
    assert set(SIGNS) == {*state.STATES, WAITING, FAILED}
    assert len({sign for sign, _ in SIGNS.values()}) == len(SIGNS)
    (lab.results / "s-even" / "plot.png").write_bytes(b"cut")
    (lab.results / "s-odd" / "runs" / "Stats.json").unlink()
    config = lab.folder / "luigi.cfg"
    config.write_text(config.read_text().replace("threshold = 0.75", "threshold = 0.5"))
    lab.override("Stats", "unused = 'other code, the same results'")
    out = ask(lab, "status", code=1).stdout
    for shown in ("✗ damaged", "↻ stale", "≈ code changed", "? untracked"):
        assert shown in out, out
    assert "make: 2 Edges: stale, threshold 0.75, now 0.5 (s-even, s-odd)" in out
    only = ask(lab, "status", "--only", "damaged", "--group", "s-even").stdout
    assert "damaged" in only and "stale" not in only and "s-odd" not in only


def test_a_failure_is_told_with_its_last_lines(lab):
    lab.override("Stats", "numpy_function = lambda *a: print('oh') or 1 / 0")
    (lab.results / "s-even" / "stats.json").unlink()
    lab.run("PlotAll", *SETTINGS, code=30)
    out = ask(lab, "status", "--only", "failed", code=1).stdout
    assert "! failed" in out and "failed the last time: ZeroDivisionError" in out
    out = ask(lab, "why", "Stats", "s-even", code=1).stdout
    assert "ZeroDivisionError" in out and "Stats.failed.log" in out and "oh" in out


def test_why_tells_how_a_result_was_made(lab):
    out = ask(lab, "why", "Edges", "s-even", code=0).stdout
    for part in (
        "✓ Edges(group=s-even",
        "by numpy",
        "threshold 0.75",
        "s-even/stats.json",
        "By tasks.py: Edges.",
        "Wrote s-even/edges.npy",
    ):
        assert part in out, out
    record = json.loads(ask(lab, "why", "Edges", "s-even", "--json").stdout)[0]["record"]
    assert record["step"] == "Edges"


def test_code_is_told_by_file_with_names_and_by_folder_without():
    paths = ["tasks.py:B", "tasks.py:A", "mfiles/a.m", "mfiles/b.m", "matlab/c.m", "x.py", "y.py"]
    assert list(status._code([{"path": path} for path in paths])) == [
        *("By tasks.py: B, A.", "By mfiles: a.m, b.m.", "By matlab/c.m.", "By x.py.", "By y.py.")
    ]


def test_a_step_of_ones_own_shows_up_without_being_registered(lab):
    lab.add(
        """
class Mine(GroupTask):
    def requires(self):
        return Stats(self.group)
    def output(self):
        return self.result("mine.txt")

class PlotAll(PlotAll):
    def requires(self):
        return [*super().requires(), *(Mine(group) for group in groups())]
"""
    )
    assert states(lab)["s-odd", "Mine"] == ("missing", "make")


def test_what_only_a_start_would_tell_is_said(lab, tmp_path):
    matlab = tmp_path / "matlab"
    matlab.write_text("#!/bin/sh\necho started >> started.txt\nexit 1\n")
    matlab.chmod(0o755)
    lab.run("PlotAll", *SETTINGS)
    named = ["--matlab-engine", "matlab", "--matlab-command", str(matlab)]
    out = commands.run(
        [BIN / "neuroluigi", "status", *SETTINGS[:4], *named],
        cwd=lab.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert "not known without starting it: the version of matlab; it counts as unchanged" in out
    assert "engine numpy, now matlab" in out and not list(lab.folder.rglob("started.txt"))
    assert "not known" not in ask(lab, "status").stdout


def test_on_a_terminal_states_have_colours_and_nothing_is_wider_than_it(lab):
    import fcntl
    import pty
    import struct
    import termios

    (lab.results / "s-even" / "stats.json").unlink()
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    process = commands.start(
        [BIN / "neuroluigi", "status", *SETTINGS],
        cwd=lab.folder,
        env={**clean_environment(), "TERM": "xterm-256color"},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    out = b""
    while True:
        try:
            block = os.read(ours, 4096)
        except OSError:  # Linux: the other end is closed
            break
        if not block:
            break
        out += block
    os.close(ours)
    assert process.wait() == 1
    text = out.decode()
    assert "\x1b[32m✓ done" in text and "\x1b[33m○ missing" in text
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    assert "s-even" in "".join(lines) and max(map(len, lines)) <= 100


def test_orphans_are_shown_and_not_touched(lab):
    orphan = lab.results / "old-group" / "runs"
    orphan.mkdir(parents=True)
    (orphan / "Stats.json").write_text("{}")
    out = ask(lab, "status", code=0).stdout
    assert "Results of no group of today: old-group" in out and (orphan / "Stats.json").exists()
    (orphan / "Stats.json").unlink()
    orphan.rmdir()
    orphan.parent.rmdir()


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["why", "Egdes", "s-even"], "did you mean Edges"),
        (["why", "Edges", "s-evn"], "did you mean s-even"),
        (["status", "--only", "stael"], "did you mean stale"),
        (["status", "--group", "nobody"], "s-even"),
        (["--module", "nothing", "status"], "nothing.py"),
        (["--task", "PlotEverything", "status"], "PlotEverything"),
    ],
)
def test_what_is_misspelt_is_refused_in_one_line(lab, arguments, expected):
    done = ask(lab, *arguments)
    assert done.returncode not in (0, None) and expected in done.stderr
    assert len(done.stderr.splitlines()) == 1 and not done.stdout


@pytest.mark.parametrize("command", ["status", "why", "recordings", "results", "events", "slurm"])
def test_help_shows_an_example(lab, command):
    done = commands.run([BIN / "neuroluigi", command, "--help"], capture_output=True, text=True, check=True)
    assert f"neuroluigi {command}" in done.stdout.split("Example")[1]


# What happens in the second process, for which PlotAll is to be large enough at two groups.
SECOND = {
    "helps": "",
    "fails": "two_processes._work_for = lambda *args: 1 / 0",
    "is killed": "two_processes._work_for = lambda *args: os.kill(os.getpid(), 9)",
}


def by_task(lab):
    return {one["task"]: one for one in json.loads(ask(lab, "status", "--json", code=1).stdout)["results"]}


def share_at_two_groups(lab, hook=""):
    """Let two processes share what is planned, whatever the machine, and leave shared.txt where they do."""
    lab.add(f"{SHARING}\n{hook}\n")


SHARING = """
import os
from neuroluigi.steps import overview, plan, two_processes

def by_two(*args, began=two_processes.by_two):
    open("shared.txt", "w").close()
    return began(*args)

plan.is_worth_sharing = overview.is_worth_sharing = lambda tasks: len(tasks) > 1
plan.by_two = overview.by_two = by_two
"""


@pytest.mark.parametrize("what", SECOND)
def test_two_processes_find_what_one_does(lab, what):
    (lab.results / "s-odd" / "stats.json").unlink()
    (lab.results / "s-even" / "edges.npy").unlink()
    ask(lab, "drop", "--step", "Aggregate", "--yes", code=0)
    alone = by_task(lab)
    share_at_two_groups(lab, SECOND[what])
    assert by_task(lab) == alone
    assert (lab.folder / "shared.txt").exists()


PLAIN = """
import luigi

class Exported(luigi.Task):
    group = luigi.Parameter()

    def requires(self):
        return Stats(self.group)

    def output(self):
        return luigi.LocalTarget(f"exported/{self.group}.txt")

    def run(self):
        with self.output().open("w") as file:
            file.write("x")

class Atlas(luigi.ExternalTask):
    def output(self):
        return luigi.LocalTarget("atlas.nii")

class Placed(GroupTask):
    session, index = luigi.Parameter(default="left"), luigi.IntParameter(default=3)

    def requires(self):
        return Exported(self.group), Atlas()

    def output(self):
        return self.result("placed.txt")

    def make(self, out):
        out.write_text("there")

class Everything(WrapperTask):
    def requires(self):
        return [Placed(group) for group in groups()]
"""


def test_tasks_of_luigis_own_are_known_to_status_why_and_the_report(tmp_path):
    lab = Pipeline(tmp_path / "lab")
    lab.add(PLAIN)
    out = ask(lab, "--task", "Everything", "status", code=1).stdout
    assert [line.split()[0] for line in out.splitlines()[:4]] == ["group", "s-even", "s-odd", "study"]
    assert "make: 2 Exported: missing (s-even, s-odd)" in out
    assert "left as it is: 1 Atlas: input missing, no run makes what an ExternalTask has (study)" in out
    why = ask(lab, "--task", "Everything", "why", "Atlas", code=1).stdout
    assert "an ExternalTask, without a run record: done while its complete() says so" in why
    (lab.folder / "atlas.nii").write_text("brain")
    made = lab.run("Everything", *SETTINGS)
    assert "2 Exported" in made and "2 Placed" in made
    out = ask(lab, "--task", "Everything", "status", code=0).stdout
    assert {len(line.split()) for line in out.splitlines()[1:3]} == {1 + 2 * 5} and "left/3" not in out
    why = json.loads(ask(lab, "--task", "Everything", "why", "Exported", "s-odd", "--json", code=0).stdout)
    assert why[0]["state"] == "done" and why[0]["record"] is None
    ask(lab, "--task", "Everything", "report", code=0)
    page = (lab.results / "report.html").read_text()
    assert page.count("Exported") and page.count("Atlas")
    # Nothing ran: nothing is counted.
    assert "Nothing to make: everything is there." in lab.run("Everything", *SETTINGS)
    (lab.folder / "exported" / "s-odd.txt").unlink()
    assert "Made: 1 Exported" in lab.run("Everything", *SETTINGS)


def test_what_is_bound_to_fail_is_said_with_its_problem_once(tmp_path):
    lab = Pipeline(tmp_path / "lab")
    (tmp_path / "lab" / "real" / "good").mkdir(parents=True)
    (tmp_path / "lab" / "real" / "good" / "rec_0.bin").write_bytes(bytes(50))
    rows = ["session,index,path", "good,0,good/rec_0.bin", "bad 1,0,gone/1.bin", "bad 2,0,gone/2.bin"]
    (tmp_path / "lab" / "real" / "recordings.csv").write_text("\n".join(rows))
    real = ("--recordings-root", "real")
    before = ask(lab, "status", *real, code=1).stdout
    lab.run("PlotAll", *SETTINGS, *real, code=30)
    after = ask(lab, "status", *real, code=1).stdout
    for out in (before, after):
        assert (
            "\ncan't be made: 2 Aggregate, 2 Stats, 2 Edges, 2 Plot: something is wrong with their recordings\n" in out
        )
        assert "\nthe same problem in 2 groups (bad 1, bad 2), the first: " in out
        assert out.count("can't be read as a file") == 1
    assert "make: 1 Aggregate: missing" in before and "make: " not in after
    listed = json.loads(ask(lab, "status", "--json", *real, code=1).stdout)["results"]
    problems = {(one["row"], one["step"]): one["problem"] for one in listed}
    assert "gone/2.bin" in problems["bad 2", "Aggregate"] and problems["good", "Plot"] == ""
    assert problems["bad 2", "Plot"] == problems["bad 2", "Aggregate"]
    why = ask(lab, "why", "Plot", "bad 1", *real, code=1).stdout
    assert "A run can't make it: " in why and "gone/1.bin" in why and "A run will make it" not in why


def test_failures_that_differ_in_names_alone_are_one_line(tmp_path):
    lab = Pipeline(tmp_path / "lab")
    lab.add(
        "class Odd(GroupTask):\n    def requires(self):\n        return Stats(self.group)\n"
        "    def output(self):\n        return self.result('odd.txt')\n"
        "    def make(self, out):\n        raise ValueError(f'{self.group} in {out.parent} is odd')\n"
        "class OddAll(WrapperTask):\n    def requires(self):\n        return [Odd(one) for one in groups()]"
    )
    lab.run("OddAll", *SETTINGS, code=30)
    out = ask(lab, "--task", "OddAll", "status", code=1).stdout
    (line,) = [one for one in out.splitlines() if "is odd" in one]
    assert line.startswith(
        "make: 2 Odd: the first: missing, odd.txt is not there; failed the last time: ValueError: s-"
    )
    assert line.endswith(" (s-even, s-odd)")
