"""The files of Trials and of Peri: what is in them, how to read and check them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroluigi.recordings.recording import RecordingsError
from neuroluigi.recordings.trial_table import START, STOP, read_trials
from neuroluigi.steps.target import DamagedError, ResultTarget

if TYPE_CHECKING:
    import numpy as np


class Trials(ResultTarget):
    """trials.csv: a row per trial, in order of start_time; start_time, stop_time, then the other columns.

    Those that end in _time are seconds since the session's first kept sample, on the clock of its reference stream.
    Blank is what is not known.
    """

    def load(self) -> "dict[str, np.ndarray]":
        """Return each column: float64, NaN for a blank cell, or texts, "" for one."""
        import numpy as np

        table = read_trials(Path(self._path_to_read()), "")
        return {name: _as_array(cells, np) for name, cells in table.columns.items()}

    def check(self, path: Path) -> None:
        super().check(path)
        try:
            read_trials(path, "")
        except RecordingsError as error:
            raise DamagedError(str(error)) from error
        with path.open(encoding="utf-8") as file:
            begins_right = file.readline().startswith(f"{START},{STOP}")
        if not begins_right:
            raise DamagedError(f"{path.name} does not begin with {START} and {STOP}")


def _as_array(cells: Any, np: Any) -> Any:
    if any(isinstance(one, str) for one in cells):
        return np.array(["" if one is None else str(one) for one in cells])
    return np.array([np.nan if one is None else one for one in cells], float)


class PeriSummary(ResultTarget):
    """peri.json: what the histograms of a session are of.

    `align` and `edge`, `by`, `window_ms` and `bin_ms` are as asked for; `trials` is the number of moments, and `blank`
    how many trials have none. `conditions` has `value` and `trials` of each. `groups` has of each group `what` the
    events are, and how many trials were recorded `whole`, `partly`, and not at all (`none`). `rows` has a channel or a
    unit in each: group, channel, unit, name, and `responses` of each condition: condition, count, and baseline_hz,
    peak_hz and peak_ms, null where nothing tells.
    """

    NAMES = frozenset({"align", "by", "window_ms", "bin_ms", "trials", "blank", "conditions", "groups", "rows"})
    shown = ("trials", "align")

    def check(self, path: Path) -> None:
        super().check(path)
        found = json.loads(path.read_text(encoding="utf-8"))
        missing = self.NAMES - found.keys() if isinstance(found, dict) else self.NAMES
        if missing:
            raise DamagedError(f"{path.name} does not have {', '.join(sorted(missing))}")
