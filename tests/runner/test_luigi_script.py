"""Whose `luigi` the script beside Python is."""

import io
import zipfile
from importlib import metadata

import pytest

from neuroluigi.runner.luigi_script import CURE, script_problem
from tests.conftest import BIN

OURS = "from neuroluigi.runner.run import main"
LUIGIS = "from luigi.cmdline import luigi_run"

PIP = """#!/lab/.venv/bin/python
# -*- coding: utf-8 -*-
import re
import sys
{line}
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit({function}())
"""

UV = """#!/lab/.venv/bin/python
# -*- coding: utf-8 -*-
import sys
{line}
if __name__ == "__main__":
    if sys.argv[0].endswith("-script.pyw"):
        sys.argv[0] = sys.argv[0][:-11]
    sys.exit({function}())
"""


def test_the_script_of_this_environment_is_ours():
    assert script_problem() == script_problem(BIN) == ""


@pytest.mark.parametrize("wrapper", [PIP, UV])
def test_a_script_of_pip_or_uv(tmp_path, wrapper):
    script = tmp_path / "luigi"
    script.write_text(wrapper.format(line=OURS, function="main"))
    assert script_problem(tmp_path) == ""
    script.write_text(wrapper.format(line=LUIGIS, function="luigi_run"))
    assert script_problem(tmp_path) == (
        f"{script} is Luigi's own, not neuroluigi's: it does not look for tasks.py in this folder; {CURE}"
    )


@pytest.mark.parametrize("line, is_ours", [(OURS, True), (LUIGIS, False)])
def test_a_program_of_windows_ends_with_its_script(tmp_path, line, is_ours):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("__main__.py", line)
    (tmp_path / "luigi.exe").write_bytes(b"MZ launcher" + archive.getvalue())
    assert (script_problem(tmp_path) == "") == is_ours


def test_a_program_that_keeps_its_script_packed_is_known_by_its_size_in_the_record(tmp_path, monkeypatch):
    scripts, site = tmp_path / "Scripts", tmp_path / "site-packages"
    about = site / "neuroluigi-0.1.0.dist-info"
    for folder in (scripts, about):
        folder.mkdir(parents=True)
    (scripts / "luigi.exe").write_bytes(b"MZ packed launcher")
    (about / "RECORD").write_text("../Scripts/luigi.exe,sha256=x,18\nneuroluigi/__init__.py,,\n")
    monkeypatch.setattr(metadata, "distribution", lambda name: metadata.PathDistribution(about))
    assert script_problem(scripts) == ""
    # Luigi's, which came later, has another size.
    (scripts / "luigi.exe").write_bytes(b"MZ packed launcher of Luigi")
    assert "luigi.exe is Luigi's own, not neuroluigi's" in script_problem(scripts)

    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    assert "luigi.exe is Luigi's own, not neuroluigi's" in script_problem(scripts)


def test_no_script_at_all(tmp_path):
    assert script_problem(tmp_path) == f"there is no luigi in {tmp_path}; {CURE}"
