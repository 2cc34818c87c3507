"""Facts of a report, made by hand: results with their statuses and records."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

from neuroluigi.provenance import state
from neuroluigi.results.report.diagram import Box
from neuroluigi.results.report.facts import Facts, Found
from neuroluigi.results.status import ResultStatus
from neuroluigi.results.table import Table


def a_result(step, group, status=None, failure=None, **record) -> Found:
    """Return a result of a step of Octave; it is done, and took 1.5 s, where nothing else is said."""
    known = {
        "step": step,
        "parameters": {"group": group},
        "tool": {"engine": "octave", "version": "7.3.0"},
        "versions": {"python": "3.11.2", "numpy": "2.0.1"},
        "host": {"name": "lab1", "platform": "Linux-6"},
        "inputs": [{"root": "recordings", "path": f"{group}/rec_0.bin"}],
        "started": "2026-03-01T10:00:01+00:00",
        "ended": "2026-03-01T10:00:02.5+00:00",
        "seconds": 1.5,
        **record,
    }
    task = SimpleNamespace(record_path=Path(f"/lab/results/{group}/runs/{step}.json"), output=list, wanted_tool=dict)
    return Found(ResultStatus(group, step, task, status or state.Status(state.DONE)), known, failure or {})


def facts_of(*found, run=None, boxes=None, groups=None, folder=Path("/lab/results")) -> Facts:
    counts = Counter(one.entry.step for one in found)
    boxes = boxes or [
        Box(name, "Octave", f"make{name}.m", (f"{name.lower()}.json",), (), False, n) for name, n in counts.items()
    ]
    root = SimpleNamespace(task_family="All")
    return Facts(root, groups or {}, list(found), boxes, Table(["group"], [], [], [], []), [], run, folder)
