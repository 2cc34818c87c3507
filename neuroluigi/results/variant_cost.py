"""What a run of a variant would make, and about how long that takes: by the time that the same took in the base."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from neuroluigi.provenance.record import read_record
from neuroluigi.recordings.groups import VARIANT_SIGN
from neuroluigi.results.report.charts import span
from neuroluigi.results.report.facts import counted
from neuroluigi.results.status import ResultStatus


@dataclass(frozen=True)
class VariantCost:
    """How many results of each step a run of a variant would make, or may have to.

    `seconds` is what the results of the base took, of the `known` of them that have a run record.
    """

    variant: str
    steps: dict[str, int]
    seconds: float
    known: int

    @property
    def results(self) -> int:
        """How many results these are."""
        return sum(self.steps.values())

    def __str__(self):
        steps = ", ".join(f"{count} {step}" for step, count in self.steps.items())
        few = "" if self.known == self.results else f" {self.known} of them"
        time = f":{few} about {span(self.seconds)}, by the base" if self.known else ""
        return f"a run of {self.variant} would make {counted(self.results, 'result')} ({steps}){time}"


def variant_costs(entries: Iterable[ResultStatus]) -> Iterator[VariantCost]:
    """Yield what it would take to make each variant of which something is to be made."""
    of_variant: dict[str, list[ResultStatus]] = {}
    for one in entries:
        if one.status.todo and one.variant:
            of_variant.setdefault(one.variant, []).append(one)
    for variant, found in of_variant.items():
        times = [seconds for one in found if (seconds := _seconds_of_base(one)) is not None]
        yield VariantCost(variant, dict(Counter(one.step for one in found)), sum(times), len(times))


def _seconds_of_base(entry: ResultStatus) -> float | None:
    """Return the time that the result of the base took that one of a variant has the name of; None where unknown."""
    path = entry.record_path
    if path is None:
        return None
    folder = path.parent.parent
    of_base = folder.with_name(folder.name.removesuffix(f"{VARIANT_SIGN}{entry.variant}"))
    seconds = (read_record(of_base / path.parent.name / path.name) or {}).get("seconds")
    return float(seconds) if isinstance(seconds, (int, float)) else None
