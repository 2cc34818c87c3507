"""The pages that docs/generate.py writes are current and complete."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import neuroluigi
from tests.conftest import REPOSITORY, clean_environment
from tests.docs.test_pages import DEVELOPMENT, DOCS, plain


def generate(folder: Path, *options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, folder / "generate.py", *options]
    return subprocess.run(command, env=clean_environment(), capture_output=True, text=True)


def test_generated_pages_are_current():
    done = generate(DOCS, "--check")
    assert done.returncode == 0, done.stderr


def test_a_page_that_is_not_current_is_named_and_written(tmp_path):
    pages = ("settings.md", "reference.md", "development.md")
    for file in ("generate.py", *pages):
        shutil.copy(DOCS / file, tmp_path)
    (tmp_path / "settings.md").write_text("By hand.\n")
    text = DEVELOPMENT.read_text(encoding="utf-8")
    (tmp_path / "development.md").write_text(re.sub(r"^\| `runner/run.py`.*\n", "", text, flags=re.M), encoding="utf-8")
    done = generate(tmp_path, "--check")
    named = re.findall(r"(\w+\.md) is not current", done.stderr)
    assert (done.returncode, named) == (1, ["settings.md", "development.md"])
    assert generate(tmp_path).returncode == 0
    assert all((tmp_path / one).read_text("utf-8") == (DOCS / one).read_text("utf-8") for one in pages)


def test_the_reference_has_all_public_names_with_a_description():
    text = (DOCS / "reference.md").read_text(encoding="utf-8")
    for name in neuroluigi.__all__:
        entry = re.search(rf"^### {name}\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
        assert entry and re.sub(r"```.*?```", "", entry[1], flags=re.DOTALL).strip(), name


def test_every_setting_has_a_description():
    rows = re.findall(r"^\| `\w+` \| .*$", (DOCS / "settings.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) > 30
    for row in rows:
        assert re.split(r"(?<!\\)\|", row)[4].strip(), row


def test_the_code_map_names_every_module():
    package = REPOSITORY / "neuroluigi"
    modules = {path.relative_to(package).as_posix() for path in package.rglob("*.py")}
    named = re.findall(r"^\| `(\w+/[\w/]+\.py)` \| \S", DEVELOPMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(one for one in modules if "/" in one and not one.endswith("/__init__.py"))
    ours = {path.name for path in package.iterdir() if path.is_dir()}
    mentioned = re.findall(r"`((\w+)/[\w/]+\.\w+)`", plain(DEVELOPMENT))
    assert all((package / path).is_file() for path, top in mentioned if top in ours), mentioned
