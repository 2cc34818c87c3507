"""Modules that take long to import and that many a command has no use for: they are imported when they are used."""

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any


class _ImportedWhenUsed(ModuleType):
    """Stands for a module in those that imported it, until something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_now(self.__name__), name)


def import_now(name: str) -> ModuleType:
    """Import a module, and give it to all that imported it to have it when they use it."""
    if type(sys.modules.get(name)) is _ImportedWhenUsed:
        del sys.modules[name]
    # By Python's own import, in which threads wait for each other.
    module = importlib.import_module(name)
    for values in [vars(one) for one in list(sys.modules.values()) if isinstance(one, ModuleType)]:
        for given, value in list(values.items()):
            if type(value) is _ImportedWhenUsed and value.__name__ == name:
                values[given] = module
    return module


@contextlib.contextmanager
def imported_when_used(*names: str) -> Iterator[None]:
    """Have what is imported in this context import these modules when it uses them; all others get the modules."""
    absent = [one for one in names if one not in sys.modules and importlib.util.find_spec(one)]
    standins = {one: _ImportedWhenUsed(one) for one in absent}
    sys.modules.update(standins)
    try:
        yield
    finally:
        for name, standin in standins.items():
            if sys.modules.get(name) is standin:
                del sys.modules[name]
