"""The sessions of the report: how the clocks of their streams go together, and the pictures of their steps.

What a file says of streams is shown as far as it has the form of aligned.json: anybody may have written it.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from luigi.task import flatten

from neuroluigi.provenance import state
from neuroluigi.provenance.contents import why_not_read
from neuroluigi.provenance.files import read_json
from neuroluigi.results.report.facts import Facts
from neuroluigi.results.status import FAILED, SIGNS
from neuroluigi.steps.tasks import SESSIONS, SessionTask

_FILE = "aligned.json"
# Where what is there is not what the step would make, or was not made by it.
_NOT_SHOWN = (FAILED, state.DAMAGED)
_BLANK = ""


def sessions(facts: Facts, plots: Sequence[Mapping]) -> list[dict]:
    """Return each session with steps of its own: row, streams, those that are not aligned, plots, and open states.

    `plots` are those of sections.plots().
    """
    found: dict[str, dict] = {}
    for one in facts.found:
        entry = one.entry
        if not isinstance(entry.task, SessionTask):
            continue
        session = found.setdefault(entry.row, _empty(entry.row.removeprefix(f"{SESSIONS}/"), entry.row))
        session["plots"] = [plot for plot in plots if plot["group"] == entry.row]
        if entry.shown_state != state.DONE:
            session["states"].append((entry.step, entry.shown_state, SIGNS[entry.shown_state][0]))
        path = next((Path(one.path) for one in flatten(entry.task.output()) if Path(one.path).name == _FILE), None)
        if path and entry.shown_state not in _NOT_SHOWN and not why_not_read(path):
            content = read_json(path) or {}
            session["streams"] = [_row(one) for one in _objects(content.get("streams"))]
            session["unaligned"] = [
                {name: _text(one.get(name)) for name in ("stream", "why")} for one in _objects(content.get("unaligned"))
            ]
            session["link"] = facts.link(path)
    return list(found.values())


def _empty(session: str, row: str) -> dict:
    return {"session": session, "row": row, "streams": [], "unaligned": [], "plots": [], "states": [], "link": ""}


def _row(stream: Mapping[str, Any]) -> dict:
    """Return the cells of a stream as text; blank is what its method does not tell."""
    residuals = stream.get("residuals")
    is_of_pulses = stream.get("method") == "pulses"
    return {
        "stream": _text(stream.get("stream")),
        "groups": ", ".join(map(_text, _list(stream.get("groups")))),
        "method": _method(stream),
        "ppm": _number(stream.get("ppm"), "+.2f"),
        "residual": _number(residuals.get("largest") if isinstance(residuals, dict) else None, ".3f"),
        "pulses": f"{len(_list(stream.get('counters'))):,}" if is_of_pulses else _BLANK,
        "unmatched": _count(stream.get("unmatched")),
        "unmatched_reference": _count(stream.get("unmatched_reference")),
        "missing": _number(stream.get("missing"), ".0f"),
        "stops": _number(stream.get("stops"), ".0f"),
        "recorded": _number(stream.get("recorded_difference"), ".0f", 1e6),
    }


def _method(stream: Mapping[str, Any]) -> str:
    method = _text(stream.get("method"))
    if method == "pulses":
        threshold, period = stream.get("threshold"), _number(stream.get("period"), ".4g")
        level = f", at {_text(threshold) or _number(threshold, 'g', 100) + ' % of the range'}" if threshold else ""
        return f"pulses of line {_text(stream.get('line'))}, every {period} s{level}"
    if method == "header":
        return f"headers alone, to {_number(stream.get('uncertainty'), 'g')} s"
    return {"reference": "the reference", "recorded": "seconds that the rig wrote"}.get(method, method)


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [one for one in _list(value) if isinstance(one, dict)]


def _list(value: object) -> list:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else _BLANK


def _count(value: object) -> str:
    return f"{len(value):,}" if isinstance(value, list) else _BLANK


def _number(value: object, form: str, factor: float = 1) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return _BLANK
    return format(factor * value, form)
