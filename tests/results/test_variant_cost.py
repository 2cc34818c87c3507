"""What a run of a variant would make, and about how long that takes."""

import json
from types import SimpleNamespace

import pytest

from neuroluigi.provenance import state
from neuroluigi.results.status import ResultStatus
from neuroluigi.results.variant_cost import variant_costs


@pytest.fixture
def entry(monkeypatch, tmp_path):
    """Return a function that gives the entry of a result; of the base with the seconds that it took."""
    monkeypatch.setattr("neuroluigi.results.status.variant_of", lambda task: task.variant)

    def of(step: str, row: str, todo: str = state.NOTHING, seconds: float | None = None) -> ResultStatus:
        path = tmp_path / row / "runs" / f"{step}.json"
        if seconds is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"schema": 1, "step": step, "outputs": [], "seconds": seconds}))
        task = SimpleNamespace(record_path=path, variant=row.partition("@")[2])
        return ResultStatus(row, step, task, state.Status(state.MISSING, todo=todo))

    return of


def test_it_is_what_the_results_of_the_base_took(entry):
    entries = [
        entry("Edges", "a", seconds=4.5),
        entry("Plot", "a", todo=state.MAKE),
        entry("Edges", "b", seconds=60),
        entry("Edges", "a@strict", todo=state.MAKE),
        entry("Plot", "a@strict", todo=state.MAYBE),
        entry("Edges", "b@strict", todo=state.MAKE),
        entry("Edges", "a@done"),
        entry("Plot", "a@loose", todo=state.MAKE),
    ]
    strict, loose = variant_costs(entries)
    assert (strict.steps, strict.results, strict.seconds, strict.known) == ({"Edges": 2, "Plot": 1}, 3, 64.5, 2)
    assert str(strict) == (
        "a run of strict would make 3 results (2 Edges, 1 Plot): 2 of them about 1 min 4 s, by the base"
    )
    assert str(loose) == "a run of loose would make 1 result (1 Plot)"
    assert list(variant_costs(entries[:3])) == []
