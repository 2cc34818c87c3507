"""What a run on a local disk flushes by itself, in place of each of its steps: see provenance/unflushed.py."""

import contextlib
import logging
from collections.abc import Iterable
from pathlib import Path

from luigi.task import flatten

from neuroluigi.provenance.register import current
from neuroluigi.provenance.unflushed import Unflushed
from neuroluigi.steps.base import Step
from neuroluigi.steps.config import results, setting

logger = logging.getLogger("luigi-interface")


class Flushing:
    """Flushes what a run writes in between and when this context ends, however it ends, if the steps do not."""

    def __init__(self, results_root: Path):
        self._results = results_root
        self._unflushed: Unflushed | None = None

    @property
    def has_failed(self) -> bool:
        """Whether something that the run wrote could not be flushed."""
        return self._unflushed is not None and self._unflushed.error is not None

    def begin(self, steps: Iterable[Step]) -> None:
        """Note what the run may make, before its first step."""
        made = {one.record_path: [Path(target.path) for target in flatten(one.output())] for one in steps}
        register = current(self._results)
        if made and register and setting(results).is_flushed_by_run():
            # Where it can't be noted, each step flushes what it makes.
            with contextlib.suppress(OSError):
                self._unflushed = Unflushed(register, made)

    def note_done(self, step: Step) -> None:
        """Note that the run has nothing to write for that step any more."""
        if self._unflushed:
            self._unflushed.note_done(step.record_path)

    def __enter__(self) -> "Flushing":
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._unflushed:
            self._unflushed.end()
