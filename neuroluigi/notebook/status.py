"""The state of all results of a lab, for a notebook."""

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from neuroluigi.notebook.frame import frame, html_table
from neuroluigi.recordings.recording import Group
from neuroluigi.results.status import (
    SIGNS,
    ResultStatus,
    is_all_done,
    reason_lines,
    sign_of,
    state_table,
    status_as_data,
    step_progress,
)


class LabStatus:
    """The state of every result, at the time that it was asked for.

    `rows` has a dict per result, as `neuroluigi status --json` prints it; `reasons` are the sentences below its table,
    and `orphans` the folders of groups that are no more.
    """

    def __init__(self, entries: Sequence[ResultStatus], groups: Mapping[str, Group], orphans: Sequence[str]):
        # Texts alone: outside of its lab a task can't be asked.
        self.rows = [status_as_data(one) for one in entries]
        self.reasons = reason_lines(entries, groups)
        self.orphans = list(orphans)
        self.is_done = is_all_done(entries)
        self._steps, self._cells = state_table(entries)
        self._progress = step_progress(entries)
        self._states = Counter(one.shown_state for one in entries)

    @property
    def table(self) -> Any:
        """A table with a row per group, and the state of each step in a column."""
        names = ["group", *self._steps]
        return frame({name: [row[place] for row in self._cells] for place, name in enumerate(names)})

    @property
    def counts(self) -> dict[str, int]:
        """How many results are in each state, such as {"done": 40, "stale": 2}."""
        return {name: self._states[name] for name in SIGNS if self._states[name]}

    def __repr__(self) -> str:
        lines = [f"{step}: {done} of {total} done" for step, done, total, _ in self._progress]
        return "\n".join([*lines, *self.reasons])

    def _repr_html_(self) -> str:
        rows = [[key, *(f"{sign_of(one)} {one}" if one else "" for one in states)] for key, *states in self._cells]
        done = ["done", *(f"{done} of {total}" for _, done, total, _ in self._progress)]
        reasons = "".join(f"<li>{html.escape(one)}</li>" for one in self.reasons)
        return html_table(["group", *self._steps], [*rows, done]) + (f"<ul>{reasons}</ul>" if reasons else "")
