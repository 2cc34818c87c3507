"""Whose `luigi` and `luigid` the scripts of this Python are, and how they become this package's again."""

import io
import zipfile
from importlib import metadata

import pytest

from neuroluigi.runner import luigi_script
from neuroluigi.runner.luigi_script import CURE, restore_scripts, script_owner, script_path, script_problem
from tests.conftest import BIN

OURS = "from neuroluigi.runner.run import main"
LUIGIS = "from luigi.cmdline import luigi_run"
NEUROLUIGI = "from neuroluigi.cli.main import main"

PIP = """#!/lab/.venv/bin/python
# -*- coding: utf-8 -*-
import re
{line}
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit({function}())
"""

UV = """#!/lab/.venv/bin/python
# -*- coding: utf-8 -*-
{line}
if __name__ == "__main__":
    if sys.argv[0].endswith("-script.pyw"):
        sys.argv[0] = sys.argv[0][:-11]
    sys.exit({function}())
"""


@pytest.fixture(params=["linux", "win32"])
def folder(tmp_path, monkeypatch, request):
    """A folder of scripts, which are .exe on Windows."""
    monkeypatch.setattr(luigi_script.sys, "platform", request.param)
    return tmp_path


def launcher(line: str) -> bytes:
    """Return a program as pip has it on Windows: at its end a zip archive with the script."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("__main__.py", line)
    return b"MZ launcher" + archive.getvalue()


def write(folder, name, line):
    path = script_path(name, folder)
    path.write_bytes(launcher(line) if path.suffix else PIP.format(line=line, function="main").encode())
    path.chmod(0o755)
    return path


def test_the_scripts_of_this_environment_are_ours():
    for name in luigi_script.NAMES:
        assert script_path(name).parent == BIN
        assert script_problem(name) == "" and script_owner(script_path(name)) == "neuroluigi"
    assert restore_scripts() == []


@pytest.mark.parametrize("wrapper", [PIP, UV], ids=["pip", "uv"])
def test_a_script_of_pip_or_uv(tmp_path, wrapper):
    script = tmp_path / "luigi"
    script.write_text(wrapper.format(line=OURS, function="main"))
    assert script_problem("luigi", tmp_path) == ""
    script.write_text(wrapper.format(line=LUIGIS, function="luigi_run"))
    assert script_problem("luigi", tmp_path) == (
        f"{script} is Luigi's own, not neuroluigi's: it does not look for tasks.py in this folder; {CURE}"
    )
    # The path of the environment does not make it ours.
    script.write_text(script.read_text().replace("/lab/", "/from neuroluigi/"))
    assert script_owner(script) == "luigi"


@pytest.mark.parametrize(("line", "owner"), [(OURS, "neuroluigi"), (LUIGIS, "luigi")])
def test_a_program_of_windows_ends_with_its_script(folder, line, owner):
    assert script_owner(write(folder, "luigi", line)) == owner


def test_what_luigi_has_put_in_place_of_ours_becomes_a_copy_of_the_script_neuroluigi(folder):
    source = write(folder, "neuroluigi", NEUROLUIGI)
    write(folder, "luigi", LUIGIS)
    write(folder, "luigid", LUIGIS)
    assert "is Luigi's own" in script_problem("luigi", folder) and "all addresses" in script_problem("luigid", folder)
    both = [script_path(name, folder) for name in ("luigi", "luigid")]
    assert restore_scripts(folder) == both
    for path in both:
        assert path.read_bytes() == source.read_bytes() and path.stat().st_mode == source.stat().st_mode
    assert restore_scripts(folder) == [] and not script_problem("luigi", folder)
    assert sorted(folder.iterdir()) == sorted([source, *both])


def test_only_what_is_not_ours_is_replaced(folder):
    write(folder, "neuroluigi", NEUROLUIGI)
    ours = write(folder, "luigi", OURS).read_bytes()
    assert restore_scripts(folder) == [script_path("luigid", folder)]
    assert script_path("luigi", folder).read_bytes() == ours


def test_a_packed_program_is_known_by_its_size_in_the_record_or_as_a_copy(tmp_path, monkeypatch):
    monkeypatch.setattr(luigi_script.sys, "platform", "win32")
    scripts, site = tmp_path / "Scripts", tmp_path / "site-packages"
    about = site / "neuroluigi-0.1.0.dist-info"
    for folder in (scripts, about):
        folder.mkdir(parents=True)
    (scripts / "luigi.exe").write_bytes(b"MZ packed launcher")
    (scripts / "neuroluigi.exe").write_bytes(b"MZ packed launcher of neuroluigi")
    (about / "RECORD").write_text("../Scripts/luigi.exe,sha256=x,18\nneuroluigi/__init__.py,,\n")
    monkeypatch.setattr(metadata, "distribution", lambda name: metadata.PathDistribution(about))
    assert script_problem("luigi", scripts) == ""
    # Luigi's, which came later, has another size.
    (scripts / "luigi.exe").write_bytes(b"MZ packed launcher of Luigi")
    assert "luigi.exe is Luigi's own, not neuroluigi's" in script_problem("luigi", scripts)

    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    assert "luigi.exe is Luigi's own, not neuroluigi's" in script_problem("luigi", scripts)
    assert [path.name for path in restore_scripts(scripts)] == ["luigi.exe", "luigid.exe"]
    assert script_problem("luigi", scripts) == ""


def test_no_script_at_all(folder):
    path = script_path("luigi", folder)
    assert script_problem("luigi", folder) == f"there is no luigi in {folder}; {CURE}"
    with pytest.raises(OSError, match="neuroluigi"):
        restore_scripts(folder)
    assert not path.exists() and list(folder.iterdir()) == []
