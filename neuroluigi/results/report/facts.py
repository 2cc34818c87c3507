"""All that the report shows, read once: statuses, run records, the table of numbers, the last run."""

import datetime
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import luigi

from neuroluigi.provenance.record import read_failure, read_record
from neuroluigi.provenance.run_record import read_run_record, was_killed
from neuroluigi.recordings.recording import Group
from neuroluigi.results.own_files import files_of_groups
from neuroluigi.results.report import diagram
from neuroluigi.results.status import (
    ResultStatus,
    collect_statuses,
    orphan_folders,
)
from neuroluigi.results.table import Table, collect_table
from neuroluigi.steps.config import results_root
from neuroluigi.steps.discovery import groups
from neuroluigi.steps.spawn import INTERRUPTED
from neuroluigi.steps.variants import Variant, declared, in_command


@dataclass(frozen=True)
class Found:
    """One result: its entry in `neuroluigi status`, its run record and the note of its failure ({} for none)."""

    entry: ResultStatus
    record: dict
    failure: dict


@dataclass(frozen=True)
class Facts:
    """All that the report shows; `run` is the record of the last run, None where there is none.

    `variants` are those that have results, and those that the command names.

    `folder` is that of the page, to which its links are relative.
    """

    root: luigi.Task
    groups: Mapping[str, Group]
    found: Sequence[Found]
    boxes: Sequence[diagram.Box]
    table: Table
    orphans: Sequence[str]
    run: Mapping | None
    folder: Path
    variants: Mapping[str, Variant] = field(default_factory=dict)

    @property
    def entries(self) -> list[ResultStatus]:
        """The results as `neuroluigi status` has them."""
        return [one.entry for one in self.found]

    @property
    def made(self) -> list[Found]:
        """The results that have a run record."""
        return [one for one in self.found if one.record]

    def link(self, path: str | Path) -> str:
        """Return the address of a file, relative to the page."""
        try:
            relative = os.path.relpath(path, self.folder)
        except ValueError:  # Windows: on another drive
            return Path(path).as_uri()
        return quote(relative.replace(os.sep, "/").encode(errors="surrogateescape"))

    def digest(self) -> str:
        """Return a checksum of the content, by which a page is up to date or not; copies elsewhere have the same."""
        of_groups = {key: (one.problems, len(one.recordings), len(one.excluded)) for key, one in self.groups.items()}
        statuses = [(e.row, e.step, e.shown_state, e.failure, e.status) for e in self.entries]
        shown = [(*where, s.todo, s.waits_for, s.reasons, *s.checksums.values()) for *where, s in statuses]
        recorded = [(one.record, one.failure) for one in self.found]
        table = (self.table.columns, self.table.rows, self.table.notes)
        top, of_variants = self.link(results_root()), {name: one.values for name, one in self.variants.items()}
        data = (self.root.task_family, of_groups, shown, recorded, table, self.orphans, self.run, top, of_variants)
        return hashlib.sha256(json.dumps(data, default=str).encode(errors="replace")).hexdigest()


def gather(root: luigi.Task, page: Path) -> Facts:
    """Compute the status of the whole pipeline of `root`, and read its records, for the page at that path."""
    today, folder = groups(), results_root()
    found = []
    entries = collect_statuses(root, today)
    for entry in entries:
        path = entry.record_path
        record = read_record(path) if path else None
        found.append(Found(entry, record or {}, read_failure(path) if path and entry.failure else {}))
    table = collect_table(today, files_of_groups(root, today, entries), folder)
    orphans = orphan_folders(folder, today)
    of_variants = {name: declared()[name] for name in in_command()}
    boxes = diagram.boxes(root)
    return Facts(root, today, found, boxes, table, orphans, last_run(folder), page.parent, of_variants)


def last_run(results: Path) -> dict | None:
    """Return the record of the last run, with `end`, how it ended; None where there is no record."""
    run = read_run_record(results)
    if run is None:
        return None
    if "ended" in run:
        code = run.get("exit_code")
        bad = "was interrupted" if code == INTERRUPTED else f"failed with exit code {code}"
        return {**run, "end": "succeeded" if code == 0 else bad}
    return {**run, "end": "was killed" if was_killed(results, run) else "is at work"}


def counted(number: int, what: str) -> str:
    """Return a number with its noun: 1 result, 1,200 results."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def shown_time(text: str) -> str:
    """Return a time of a record in readable form, in its own time zone."""
    try:
        return datetime.datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S %z").strip()
    except ValueError:
        return text
