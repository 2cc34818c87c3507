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
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        # By Python's own import, in which threads wait for each other.
        module = importlib.import_module(self.__name__)
        # From now on those who imported it have the module itself, which answers faster, too.
        for values in [vars(one) for one in list(sys.modules.values()) if isinstance(one, ModuleType)]:
            for given in [given for given, value in list(values.items()) if value is self]:
                values[given] = module
        return getattr(module, name)


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
