"""What a Python step finds around it: the same for each step, whatever ran before it in the same process.

Without this a result would depend on the order of the steps and on the number of workers: with several, each step has
a process of its own.
"""

import contextlib
import decimal
import functools
import locale
import os
import random
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

from neuroluigi.steps.lab_folder import opened_folder

# The seed of all random generators at the start of each step; those of the engines start with the same.
SEED = 0


@contextlib.contextmanager
def own_surroundings() -> Iterator[None]:
    """Give the code in this context random generators at SEED, and undo afterwards what it changed around it.

    That is: the current folder, the environment, the umask, the import path, the locale, the decimal context, warning
    filters, the generators of random and numpy.random, NumPy's error handling and print options, Matplotlib's rcParams,
    and the figures that pyplot holds open. Raises OSError where the folder from before is gone.
    """
    with contextlib.ExitStack() as stack:
        # The folder last of all: what follows it must not keep the others from being undone.
        for one in (_folder, _environment, _umask, _import_path, _locale, _random, _numpy, _matplotlib):
            stack.enter_context(one())
        stack.enter_context(decimal.localcontext())
        stack.enter_context(warnings.catch_warnings())
        yield


@contextlib.contextmanager
def _folder() -> Iterator[None]:
    before = os.getcwd()  # noqa: PTH109 (its text is all that is needed, for each step)
    # Of a lab that is opened from elsewhere, a step is where it would be in a run by command.
    if folder := opened_folder():
        os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    # As Python keeps it: a copy in texts takes a hundred times as long, for each step.
    kept = os.environ._data  # type: ignore[attr-defined]
    before = dict(kept)
    try:
        yield
    finally:
        if kept != before:
            for name in kept.keys() - before.keys():
                del os.environ[os.environ.decodekey(name)]
            for name, value in before.items():
                if kept.get(name) != value:
                    os.environ[os.environ.decodekey(name)] = os.environ.decodevalue(value)
        if hasattr(time, "tzset"):
            time.tzset()


@contextlib.contextmanager
def _umask() -> Iterator[None]:
    # It can only be read by setting it.
    before = os.umask(0o077)
    os.umask(before)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def _import_path() -> Iterator[None]:
    before = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = before


@contextlib.contextmanager
def _locale() -> Iterator[None]:
    before = locale.setlocale(locale.LC_ALL)
    try:
        yield
    finally:
        locale.setlocale(locale.LC_ALL, before)


@contextlib.contextmanager
def _random() -> Iterator[None]:
    before = random.getstate()
    random.seed(SEED)
    try:
        yield
    finally:
        random.setstate(before)


@contextlib.contextmanager
def _numpy() -> Iterator[None]:
    # Always: a step that imports it later would get generators with a seed of their own.
    import numpy as np

    # NumPy's types lack these two.
    generator = np.random.get_bit_generator()  # type: ignore[attr-defined]
    before, on_error = np.random.get_state(legacy=False), np.geterrcall()
    # Nothing is drawn from the one of before: its state needs not be set again, which takes long.
    own = _generator_of_steps()
    np.random.set_bit_generator(own)  # type: ignore[attr-defined]
    np.random.seed(SEED)
    try:
        with np.errstate(), np.printoptions():
            yield
    finally:
        np.seterrcall(on_error)
        np.random.set_bit_generator(generator)  # type: ignore[attr-defined]
        # A step in a step has the same one. The second normal number of a pair is kept apart from it.
        if generator is own or before["has_gauss"]:
            np.random.set_state(before)


@functools.cache
def _generator_of_steps() -> Any:
    import numpy as np

    return np.random.MT19937()


@contextlib.contextmanager
def _matplotlib() -> Iterator[None]:
    matplotlib, figures = sys.modules.get("matplotlib"), _open_figures()
    try:
        with _parameters(matplotlib) if matplotlib else contextlib.nullcontext():
            yield
    finally:
        if not matplotlib and (imported := sys.modules.get("matplotlib")):
            imported.rc_file_defaults()
        # The next step would draw into them.
        for number in _open_figures() - figures:
            sys.modules["matplotlib.pyplot"].close(number)


@contextlib.contextmanager
def _parameters(matplotlib: Any) -> Iterator[None]:
    backend = _backend(matplotlib)
    with matplotlib.rc_context():
        try:
            yield
        finally:
            if _backend(matplotlib) != backend:
                _use_backend(matplotlib, backend)


def _backend(matplotlib: Any) -> Any:
    """Return the backend, a name, or what stands for one that is chosen later; asked for by its name, it is chosen."""
    return dict.__getitem__(matplotlib.rcParams, "backend")


def _use_backend(matplotlib: Any, backend: Any) -> None:
    if isinstance(backend, str):
        matplotlib.use(backend)
        return
    dict.__setitem__(matplotlib.rcParams, "backend", backend)
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.switch_backend(backend)


def _open_figures() -> set[int]:
    pyplot = sys.modules.get("matplotlib.pyplot")
    return set(pyplot.get_fignums()) if pyplot else set()
