"""A lab that is opened leaves the process as it was, and several labs are apart in it."""

import logging
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import luigi
import pytest
from luigi.cmdline_parser import CmdlineParser
from luigi.setup_logging import InterfaceLogging
from luigi.task_register import Register

from neuroluigi import RunStopped
from neuroluigi.provenance import imported, modules
from neuroluigi.runner.opened import OpenedLab
from neuroluigi.steps import discovery, lab_folder
from neuroluigi.steps.config import recordings_root, results_root
from tests.runner.test_patches import luigis_state

TASKS = """
import luigi
from helper import NAME
from neuroluigi import RecordingMaker, StudyTask

class Made(RecordingMaker):
    def declared(self):
        return [{"session": NAME, "index": "0"}]

    def make(self, out):
        out.write_bytes(b"0")

class Named(StudyTask):
    text = luigi.Parameter(default="of tasks.py")

    def output(self):
        return self.result("named.txt")

    def make(self, out):
        out.write_text(NAME)
"""


def write_lab(folder: Path, name: str) -> OpenedLab:
    folder.mkdir()
    (folder / "tasks.py").write_text(TASKS)
    (folder / "helper.py").write_text(f"NAME = {name!r}\n")
    (folder / "luigi.cfg").write_text(f"[neuroluigi]\ntask = Named\n\n[Named]\ntext = of {name}\n")
    return OpenedLab(folder)


@pytest.fixture
def one(tmp_path):
    return write_lab(tmp_path / "one", "one")


@pytest.fixture
def two(tmp_path):
    return write_lab(tmp_path / "two", "two")


def state_of_process() -> list:
    """Return what a lab could leave behind."""
    config = luigi.configuration.get_config()
    of_luigi = logging.getLogger("luigi-interface")
    return [
        luigis_state(),
        Path.cwd(),
        dict(os.environ),
        list(sys.path),
        {name: id(one) for name, one in sys.modules.items() if name in ("tasks", "helper", "__main__")},
        list(warnings.filters),
        [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)],
        (of_luigi.level, list(of_luigi.handlers), of_luigi.propagate, InterfaceLogging._configured),
        (logging.getLogger().level, list(logging.getLogger().handlers)),
        (id(config), {name: dict(config.items(name, raw=True)) for name in config.sections()}),
        CmdlineParser.get_instance(),
        [one for one in Register._reg if not one.__module__.startswith("neuroluigi")],
        list(discovery.recording_makers),
        (imported._texts.get("tasks"), modules._views),
        (lab_folder.current_folder(), lab_folder._lab, set(lab_folder._folders)),
    ]


def test_nothing_is_left_of_it(one):
    before = state_of_process()
    with one.in_force() as task:
        assert task.text == "of one"
        assert sys.modules["tasks"].__file__ == str(one.folder / "tasks.py")
        assert results_root() == one.folder / "results" and recordings_root() == one.folder / "recordings"
    assert state_of_process() == before


def test_nothing_is_left_of_one_that_is_wrong(one):
    before = state_of_process()
    for name, text, words in (
        ("tasks.py", "import helper\n1 / 0", "ZeroDivisionError"),
        ("tasks.py", TASKS, ""),
        ("luigi.cfg", "[Named]\ntxt = a", "did you mean text"),
        ("luigi.cfg", "text = a", r"comes before the first \[section\]"),
    ):
        (one.folder / name).write_text(text)
        if words:
            with pytest.raises(RunStopped, match=words), one.in_force():
                raise AssertionError("it is in force")
        else:
            with one.in_force():
                assert "tasks" in sys.modules
        assert state_of_process() == before


def test_two_labs_have_modules_of_the_same_names(one, two):
    found: dict[str, list] = {"one": [], "two": []}
    for lab, name in ((one, "one"), (two, "two"), (one, "one")):
        with lab.in_force() as task:
            assert task.text == f"of {name}" and list(discovery.groups()) == [f"{name}-even"]
            assert name == sys.modules["helper"].NAME
            found[name].append([row["sha256"] for row in task.sources("") if row["path"] == "helper.py:NAME"])
    assert found["one"][0] == found["one"][1] != found["two"][0] and len(found["one"][0]) == 1


def test_neither_settings_nor_modules_of_the_current_folder_count(one, two, monkeypatch):
    monkeypatch.chdir(two.folder)
    monkeypatch.syspath_prepend(str(two.folder))
    helper = __import__("helper")
    with one.in_force() as task:
        assert task.text == "of one" and sys.modules["helper"].NAME == "one"
    assert sys.modules.pop("helper") is helper and helper.NAME == "two"


def test_a_module_that_changed_is_imported_again(one):
    with one.in_force():
        assert sys.modules["helper"].NAME == "one"
    (one.folder / "helper.py").write_text("NAME = 'changed'\n")
    (one.folder / "luigi.cfg").write_text("[neuroluigi]\ntask = Named\n")
    with one.in_force() as task:
        assert sys.modules["helper"].NAME == "changed" and task.text == "of tasks.py"
        assert [kind for kind in Register._reg if kind.__name__ == "Named"] == [type(task)]


def test_threads_take_turns(one, two):
    found: list[str] = []

    def ask(lab, name):
        for _ in range(5):
            with lab.in_force() as task:
                found.append(f"{task.text} in {results_root().parent.name}")

    threads = [threading.Thread(target=ask, args=(lab, lab.folder.name)) for lab in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["of one in one"] * 5 + ["of two in two"] * 5


def test_within_it_it_goes_on(one, two):
    before = state_of_process()
    with one.in_force() as task:
        with one.in_force() as same:
            assert same is task
        with two.in_force() as other:
            assert other.text == "of two"
        assert results_root() == one.folder / "results"
    assert state_of_process() == before


def test_settings_of_a_call_count_over_luigi_cfg(one):
    with one.in_force({("Named", "text"): "50%"}) as task:
        assert task.text == "50%"
    with one.in_force() as task:
        assert task.text == "of one"


def test_a_luigi_cfg_here_that_cannot_be_read_is_none_of_it(one, tmp_path):
    (tmp_path / "luigi.cfg").write_text("nonsense")
    code = f"import neuroluigi; print(neuroluigi.open({str(one.folder)!r}).status())"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "Named: 0 of 1 done\nmake: 1 Named: missing, named.txt is not there (study)\n", done.stderr
