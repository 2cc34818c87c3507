"""Errors of a lab's own code, with their place in it: the same line of every command, exit code 1."""

import pytest

from tests import commands
from tests.conftest import BIN, clean_environment

GOOD = """import luigi
from neuroluigi import StudyTask, WrapperTask, groups


class One(StudyTask):
    number = luigi.IntParameter()

    def output(self):
        return self.result("one.txt")

    def make(self, out):
        out.write_text("x")


class All(WrapperTask):
    def requires(self):
        return One(1)
"""

KNOWN = "; One has the parameters rerun_on, number"


def run(folder, *command, **env):
    return commands.run(
        [BIN / command[0], *command[1:]],
        cwd=folder,
        env={**clean_environment(), **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("import luigi\n", "import luigi)\n", "tasks.py, line 1: SyntaxError: unmatched ')', in: import luigi)"),
        (
            "(StudyTask)",
            "(StudyTsk)",
            "tasks.py, line 5: NameError: name 'StudyTsk' is not defined, in: class One(StudyTsk):",
        ),
        (
            "import luigi\n",
            "import luigi, nowhere\n",
            "tasks.py, line 1: ModuleNotFoundError: No module named 'nowhere', in: import luigi, nowhere",
        ),
        (
            "import luigi\n",
            "import luigi, helper\n",
            "helper.py, line 2: ZeroDivisionError: division by zero, in: 1 / 0",
        ),
        (
            "import luigi\n",
            "import luigi, json; json.loads('{')\n",
            "tasks.py, line 1: JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2"
            " (char 1), in: import luigi, json; json.loads('{'); NEUROLUIGI_TRACEBACK=1 shows how it came from there",
        ),
        (
            "def make(self, out)",
            "def run(self)",
            "tasks.py, line 5: TypeError: One has a run() of its own, which would write no run record: name it"
            " make(self, out), and write to the paths that `out` has in the shape of output(), in: class"
            " One(StudyTask):",
        ),
        (
            "One(1)",
            "One(number=1, gain=2)",
            "All().requires(): tasks.py, line 17: One[args=(), kwargs={'number': 1, 'gain': 2}]: unknown parameter"
            f" gain, in: return One(number=1, gain=2){KNOWN}",
        ),
        (
            "One(1)",
            "One()",
            "All().requires(): tasks.py, line 17: One[args=(), kwargs={}]: requires the 'number' parameter to be set,"
            f" in: return One(){KNOWN}",
        ),
        (
            "One(1)",
            "Two(1)",
            "All().requires(): tasks.py, line 17: NameError: name 'Two' is not defined, in: return Two(1)",
        ),
        (
            "One(1)",
            "One",
            "tasks.py, line 16: All.requires() returns <class 'tasks.One'>, a class: call it, One(...); it returns"
            " tasks, or dicts and lists of them",
        ),
        (
            "return One(1)",
            "[One(1)]",
            "tasks.py, line 16: All.requires() returns None: is a `return` missing?; it returns tasks, or dicts and"
            " lists of them",
        ),
        (
            'return self.result("one.txt")',
            'return "one.txt"',
            "tasks.py, line 8: One.output() returns 'one.txt'; it returns targets, or dicts and lists of them",
        ),
        (
            "self.result(",
            "self.results(",
            "One(number=1).output(): tasks.py, line 9: AttributeError: 'One' object has no attribute 'results', in:"
            ' return self.results("one.txt")',
        ),
    ],
    ids=[
        "syntax",
        "name",
        "import",
        "helper",
        "library",
        "refusal",
        "unknown",
        "missing",
        "requires",
        "class",
        "None",
        "text",
        "output",
    ],
)
def test_an_error_is_one_line_with_its_place(tmp_path, old, new, line):
    assert GOOD.count(old) == 1
    (tmp_path / "tasks.py").write_text(GOOD.replace(old, new))
    (tmp_path / "helper.py").write_text("\n1 / 0\n")
    (tmp_path / "real" / "a").mkdir(parents=True)
    (tmp_path / "real" / "a" / "rec_0.bin").write_bytes(b"0123")
    (tmp_path / "luigi.cfg").write_text("[recordings]\nroot = real\n")
    for command in (
        ["luigi", "--module", "tasks", "All", "--local-scheduler"],
        ["neuroluigi", "run", "All"],
        ["neuroluigi", "--task", "All", "status"],
        ["neuroluigi", "--task", "All", "why", "One"],
        ["neuroluigi", "--task", "All", "report"],
    ):
        done = run(tmp_path, *command)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"luigi: {line}\n"
    assert not (tmp_path / "results").exists()
    done = run(tmp_path, "luigi", "--module", "tasks", "All", "--local-scheduler", NEUROLUIGI_TRACEBACK="1")
    assert done.returncode == 1 and "Traceback (most recent call last)" in done.stderr
    assert "neuroluigi" in done.stderr


def test_a_module_in_a_package_whose_parent_fails(tmp_path):
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "__init__.py").write_text("import nowhere\n")
    (tmp_path / "lab" / "tasks.py").write_text(GOOD)
    done = run(tmp_path, "luigi", "--module", "lab.tasks", "All", "--local-scheduler")
    line = "lab/__init__.py, line 1: ModuleNotFoundError: No module named 'nowhere', in: import nowhere"
    assert (done.returncode, done.stderr) == (1, f"luigi: {line}\n")
