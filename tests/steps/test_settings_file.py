"""A luigi.cfg that can't be read: one line with its file and line, from each command and in a notebook."""

import subprocess
import sys

import pytest

from tests.conftest import BIN, clean_environment

GROUPS = """
import neuroluigi
try:
    neuroluigi.groups()
except neuroluigi.RunStopped as error:
    print(error)
"""


def run(folder, *command, **env):
    return subprocess.run(
        command, cwd=folder, env={**clean_environment(), **env}, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"[core]\nworkers 2\n", "line 2: 'workers 2' is neither a [section] nor NAME = VALUE"),
        (b"[core]\nworkers = 2\n\n[core]\n", "line 4: there is a section [core] already; join the two"),
        (b"[core]\nworkers = 2\nworkers = 3\n", "line 3: [core] workers is set already; keep one of the two"),
        (b"workers = 2\n", "line 1: 'workers = 2' comes before the first [section]"),
        (b"[core]\nworkers = 2\n# caf\xe9\n", "line 3: a byte that is no UTF-8; save the file as UTF-8"),
    ],
    ids=["no sign", "section twice", "setting twice", "no section", "encoding"],
)
def test_a_file_that_cant_be_read(tmp_path, content, line):
    (tmp_path / "luigi.cfg").write_bytes(content)
    done = run(tmp_path, sys.executable, "-c", GROUPS, PYTHONUTF8="1")
    assert (done.returncode, done.stdout) == (0, f"luigi: luigi.cfg, {line}\n")


@pytest.mark.parametrize("is_here", [True, False], ids=["here", "beside tasks.py"])
def test_a_file_is_utf_8_whatever_the_system_takes_text_for(tmp_path, is_here):
    (tmp_path / "luigi.cfg").write_text("[recordings]\nunit = \u00b5V\n", encoding="utf-8")
    (tmp_path / "steps.py").write_text("import neuroluigi\nclass Step(neuroluigi.StudyTask): pass\n")
    (tmp_path / "elsewhere").mkdir()
    code = f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
import steps
from neuroluigi.steps.config import recordings
print(ascii(recordings().unit))
"""
    done = run(
        tmp_path if is_here else tmp_path / "elsewhere", sys.executable, "-c", code,
        LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0",
    )  # fmt: skip
    assert done.stdout == "'\\xb5V'\n", done.stderr


def test_a_byte_order_mark(tmp_path):
    (tmp_path / "luigi.cfg").write_bytes(b"\xef\xbb\xbf[core]\nworkers = 2\n")
    done = run(tmp_path, sys.executable, "-c", GROUPS, PYTHONUTF8="1")
    assert done.stdout.endswith("; save the file without a byte order mark\n") and not done.stderr


def test_each_command_says_the_same_and_the_traceback_is_there_on_request(tmp_path):
    (tmp_path / "luigi.cfg").write_text("[core]\nworkers 2\n")
    commands = (["luigi", "--module", "tasks", "All"], ["neuroluigi", "status"], ["luigid"])
    for command, *words in commands:
        done = run(tmp_path, BIN / command, *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "luigi: luigi.cfg, line 2: 'workers 2' is neither a [section] nor NAME = VALUE\n"
    done = run(tmp_path, BIN / "neuroluigi", "status", NEUROLUIGI_TRACEBACK="1")
    assert done.returncode == 1 and "configparser.py" in done.stderr


def test_the_file_that_the_environment_names(tmp_path):
    (tmp_path / "other.cfg").write_bytes(b"[core]\n# caf\xe9\n")
    done = run(tmp_path, BIN / "neuroluigi", "status", LUIGI_CONFIG_PATH="other.cfg", PYTHONUTF8="1")
    assert done.stderr == "luigi: other.cfg, line 2: a byte that is no UTF-8; save the file as UTF-8\n"


RARELY_USED = """
import sys
import neuroluigi
import luigi.parameter, luigi.rpc
print([name for name in ("jsonschema", "requests", "unittest") if name in sys.modules])
import jsonschema, requests
assert luigi.rpc.requests.Session is requests.Session and luigi.rpc.HAS_REQUESTS
luigi.rpc.RequestsFetcher()
parameter = luigi.DictParameter(schema={"type": "object", "properties": {"a": {"type": "integer"}}})
parameter.normalize({"a": 1})
try:
    parameter.normalize({"a": "b"})
except jsonschema.ValidationError as error:
    print(error.message)
"""


def test_what_luigi_hardly_ever_uses_is_imported_when_it_does(tmp_path):
    # Luigi's own extra, which needs not be there.
    pytest.importorskip("jsonschema")
    done = run(tmp_path, sys.executable, "-c", RARELY_USED)
    assert done.stdout == "[]\n'b' is not of type 'integer'\n", done.stderr


def test_what_luigi_hardly_ever_uses_may_be_imported_before(tmp_path):
    pytest.importorskip("jsonschema")
    code = "import requests, jsonschema, neuroluigi, luigi.rpc, luigi.parameter\n" + (
        "print(luigi.rpc.requests is requests, luigi.parameter.jsonschema is jsonschema)"
    )
    assert run(tmp_path, sys.executable, "-c", code).stdout == "True True\n"
