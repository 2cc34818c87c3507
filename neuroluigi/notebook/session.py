"""A session of a lab in Python: the clock of its streams, and its trials."""

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroluigi.notebook.frame import frame
from neuroluigi.provenance.files import read_json
from neuroluigi.steps.config import results_root
from neuroluigi.steps.tasks import SESSIONS

if TYPE_CHECKING:
    from neuroluigi.notebook.lab import Lab


class LabSession:
    """A session: `name`, and `groups`, the keys of the groups with its recordings."""

    def __init__(self, lab: "Lab", name: str, groups: list[str]):
        self._lab, self.name, self.groups = lab, name, groups

    @property
    def aligned(self) -> dict[str, Any]:
        """What Aligned found: the reference, and of each stream how it maps to it. ValueError where it is not made."""
        path = self._path("aligned.json", "Aligned")
        if (found := read_json(path)) is None:
            raise ValueError(f"{path} can't be read; make Aligned again")
        return found

    @property
    def trials(self) -> Any:
        """A table of the trials; times in seconds since the session's first kept sample. ValueError without Trials."""
        from neuroluigi.ephys.trial_files import Trials

        return frame(Trials(self._path("trials.csv", "Trials")).load())

    def _path(self, file: str, step: str) -> Path:
        with self._lab._looking():
            path = results_root() / SESSIONS / self.name / file
        if not path.is_file():
            raise ValueError(f"there is no {path} (yet): lab.run({step!r}) makes it")
        return path

    def __repr__(self) -> str:
        return f"<session {self.name} of {', '.join(self.groups)}>"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>"
