"""What modules define and where a name leads, and their text as it was imported; nothing is imported for it."""

import importlib
import os
import sys

import pytest

from neuroluigi.provenance.imported import is_followed, place_of, read_text, text_as_imported
from neuroluigi.provenance.modules import Definition, Modules
from neuroluigi.provenance.syntax import Import

FILES = {
    "labtools/__init__.py": "from labtools.filters import band\nGAIN = 2\n",
    "labtools/filters.py": "import luigi.task\nfrom . import shapes as s\n\ndef band():\n    return s.window\n",
    "labtools/shapes.py": "window = 1\nTABLE = {}\nTABLE.update(a=1)\nfrom labtools.more import *\n",
    "labtools/more.py": "def extra(): ...\n",
    "noisy.py": "raise SystemExit('imported')\n",
}


@pytest.fixture
def modules(tmp_path, monkeypatch) -> Modules:
    """The modules of a project of a lab, none of them imported."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield Modules(frozenset(), lambda name, file: read_text(file))
    for name in [name for name in sys.modules if name.partition(".")[0] in ("labtools", "noisy")]:
        del sys.modules[name]


def led(modules: Modules, module: str, *chain: str) -> list[str]:
    found = modules.resolve(modules.find(module), chain)
    return [f"{one.module.key}:{one.name}" if isinstance(one, Definition) else f"{one.module}" for one in found]


@pytest.mark.parametrize(
    ("module", "chain", "expected"),
    [
        ("labtools", ("GAIN",), ["labtools/__init__.py:GAIN"]),
        ("labtools", ("band",), ["labtools/filters.py:band"]),
        ("labtools.filters", ("s", "window"), ["labtools/shapes.py:window"]),
        ("labtools.filters", ("s",), ["labtools/shapes.py:"]),
        ("labtools.shapes", ("extra",), ["labtools/more.py:extra"]),
        ("labtools.filters", ("nothing",), []),
    ],
)
def test_a_name_is_followed_through_imports(modules, module, chain, expected):
    assert led(modules, module, *chain) == expected
    assert "labtools" not in sys.modules


def test_what_is_installed_is_not_followed_but_named(modules):
    found = list(modules.resolve(modules.find("labtools.filters"), ("luigi", "task")))
    assert found and all(isinstance(one, Import) for one in found)
    assert not is_followed("json", place_of("json"), ()) and not is_followed("luigi", place_of("luigi"), ())
    assert is_followed("neuroluigi.signals.plotting", place_of("neuroluigi.signals.plotting"), ())
    assert not is_followed("neuroluigi.runner.run", place_of("neuroluigi.runner.run"), ())


def test_statements_that_alter_a_name_belong_to_it(modules):
    assert len(modules.find("labtools.shapes").statements("TABLE")) == 2


def test_a_module_is_found_without_being_run(modules):
    assert modules.find("noisy").key == "noisy.py"
    assert modules.find("not_there") is None


def test_the_text_is_that_of_the_import_until_the_module_is_loaded_again(modules, tmp_path):
    path = tmp_path / "labtools" / "more.py"
    module = importlib.import_module("labtools.more")
    before = text_as_imported("labtools.more", str(path))
    assert before.is_on_disk()
    path.write_text("def extra(): return 'edited'\n")
    os.utime(path, (1, 1))
    assert not before.is_on_disk()
    assert text_as_imported("labtools.more", str(path)) is before
    importlib.reload(module)
    assert b"edited" in text_as_imported("labtools.more", str(path)).parts[0]


def test_one_that_is_not_imported_yet_is_read_as_it_is_now(modules, tmp_path):
    path = tmp_path / "labtools" / "shapes.py"
    assert b"window = 1" in text_as_imported("labtools.shapes", str(path)).parts[0]
    path.write_text("window = 22\n")
    assert b"window = 22" in text_as_imported("labtools.shapes", str(path)).parts[0]


def test_a_file_that_can_not_be_read_has_no_text(tmp_path):
    assert read_text(str(tmp_path / "gone.py")).parts == ()
