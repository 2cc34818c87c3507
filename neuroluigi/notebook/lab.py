"""`neuroluigi.open`: a lab's recordings, results and runs in Python, wherever the process is."""

import contextlib
import html
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import luigi

from neuroluigi.notebook.frame import frame, html_table
from neuroluigi.notebook.group import LabGroup
from neuroluigi.notebook.run import RunResult, run_lab, tasks_of
from neuroluigi.notebook.session import LabSession
from neuroluigi.notebook.status import LabStatus
from neuroluigi.recordings.groups import VARIANT_SIGN
from neuroluigi.results.own_files import files_of_groups
from neuroluigi.results.query import check_known
from neuroluigi.results.recording_row import recording_row
from neuroluigi.results.report.page import ReportTask
from neuroluigi.results.status import collect_statuses, orphan_folders
from neuroluigi.results.table import as_json_cells, collect_table, select_rows
from neuroluigi.runner.opened import OpenedLab
from neuroluigi.steps.config import RunStopped, results_root, whole_pipeline
from neuroluigi.steps.discovery import groups, groups_of_sessions, only_looking
from neuroluigi.steps.variants import chosen


class Lab:
    """A lab's folder: what the commands there print, as tables and arrays, and runs of its pipeline.

    `lab["a-even"]` is a group, of which there are `lab.groups`. Each call goes by luigi.cfg and tasks.py of that folder
    as they are now, and leaves nothing of them in the process: neither the current folder, nor the import path, nor
    Luigi's settings, nor logging. What is wrong with them is raised as RunStopped; what is asked for and is not there,
    as ValueError.
    """

    def __init__(self, folder: Path, module: str):
        self._opened = OpenedLab(folder, module)

    @property
    def folder(self) -> Path:
        """The folder of the lab."""
        return self._opened.folder

    @property
    def tasks(self) -> ModuleType:
        """The module tasks.py of the lab, for steps that are based on it."""
        with self._looking():
            return self._opened.imported_module()

    @property
    def groups(self) -> dict[str, LabGroup]:
        """The groups of today's recordings, by their key."""
        with self._looking():
            return {key: LabGroup(self, key) for key in groups()}

    def __getitem__(self, group: str) -> LabGroup:
        with self._looking():
            return LabGroup(self, check_known("group", group, list(groups())))

    @property
    def recordings(self) -> Any:
        """A table with a row per recording: its group, and what describes it, as in `neuroluigi recordings --csv`."""
        with self._looking():
            rows = [{"group": key, **recording_row(one)} for key, group in groups().items() for one in group.recordings]
        names = dict.fromkeys(name for row in rows for name in row)
        return frame({name: [row.get(name, "") for row in rows] for name in names})

    def status(self, *tasks: str | type[luigi.Task] | luigi.Task) -> LabStatus:
        """Return the state of every result, and what a run would do and why, as `neuroluigi status`.

        `tasks`, as in run(), are those whose results are asked for, with all that they require.
        """
        with self._looking() as root:
            today = groups()
            roots = tasks_of(tasks) if tasks else [self._whole(root)]
            entries = {str(one.task): one for root in roots for one in collect_statuses(root, today)}
            return LabStatus(list(entries.values()), today, orphan_folders(results_root(), today))

    def results(self, where: str | Sequence[str] = (), variant: str = "", counts: bool = False) -> Any:
        """Return the numbers of all results, a row per group, variant and channel, as `neuroluigi results --json`.

        `where` has conditions such as "mean>120". `variant` is one that luigi.cfg declares, to have it alone: where it
        touches no result, that of the base is shown. Values are in the unit of their channel, unless `counts`.
        """
        with self._looking(variant) as root:
            today = groups()
            files = files_of_groups(root, today)
            if variant:
                files = {key: files.get(f"{key}{VARIANT_SIGN}{variant}", files[key]) for key in today}
            table = collect_table(today, files, results_root(), counts)
            columns, rows = select_rows(table, [where] if isinstance(where, str) else where)
            cells = as_json_cells(table, columns, rows)
        return frame({name: [row[place] for row in cells] for place, name in enumerate(columns)})

    def events(
        self, group: str, name: str = "", where: str | Sequence[str] = (), variant: str = "", counts: bool = False
    ) -> Any:
        """Return the events of a group in a table: time_s, sample, channel, name, amplitude, and what else there is.

        `name` is that of their array, such as "spikes", where the group has several; the others are as in results().
        The columns are those of `neuroluigi events`, with `seconds` as time_s. The table has a method to_pynapple().
        """
        from neuroluigi.notebook.event_frame import event_frame
        from neuroluigi.results.events import read_event_arrays

        with self._looking(variant) as root:
            today = groups()
            check_known("group", group, list(today))
            found = files_of_groups(root, [group])
            of_variant = f"{group}{VARIANT_SIGN}{variant}"
            key = of_variant if of_variant in found else group
            files, folder = [one.path for one in found[key]], results_root() / key
            conditions = [where] if isinstance(where, str) else where
            return event_frame(read_event_arrays(folder, files, name, conditions, counts))

    def session(self, name: str) -> LabSession:
        """Return a session: its groups, and the results of steps for sessions."""
        with self._looking():
            known = groups_of_sessions()
            return LabSession(self, check_known("session", name, list(known)), known[name])

    def run(
        self,
        *tasks: str | type[luigi.Task] | luigi.Task,
        workers: int = 1,
        groups: Sequence[str] = (),
        variants: str | Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
        progress: bool = True,
    ) -> RunResult:
        """Run tasks, by default the whole pipeline, and return what was made, and what failed and why.

        Tasks are names, such as "PlotAll", classes of steps, also of a cell of this notebook, or objects of them. Of a
        step for a group those of all groups are run, or of `groups`. `variants` are names, or "all", of those that
        luigi.cfg declares; `settings`, such as {"Edges.level": 900}, count over luigi.cfg.

        Where nothing can be run, RunStopped says why; a step that fails raises nothing. An interrupt ends the run, with
        its engines, and is raised as KeyboardInterrupt; what is finished stays.
        """
        names = [variants] if isinstance(variants, str) else list(variants)
        given = {**(settings or {}), **({"neuroluigi.variants": names} if names else {})}
        return run_lab(self._opened, tasks, workers, groups, given, progress)

    @contextlib.contextmanager
    def _looking(self, variant: str = "") -> Iterator[luigi.Task]:
        """Have the lab in force; give the task of its whole pipeline."""
        with self._opened.in_force() as root, only_looking():
            if variant and variant not in chosen([variant]):
                raise RunStopped(f"luigi: {variant} is not the name of one variant")
            yield root

    def _whole(self, root: luigi.Task) -> luigi.Task:
        """Return the task whose results are all; RunStopped where the lab names none."""
        whole_pipeline()
        if isinstance(root, luigi.Config):
            raise RunStopped(f"neuroluigi: there is no tasks.py in {self.folder}, which says what results there are")
        return root.shows() if isinstance(root, ReportTask) else root

    def __repr__(self) -> str:
        return f"<lab {self.folder}>"

    def _repr_html_(self) -> str:
        with self._looking():
            rows = [(key, len(group.recordings), "; ".join(group.problems)) for key, group in groups().items()]
        return f"<p>lab {html.escape(str(self.folder))}</p>" + html_table(("group", "recordings", "problems"), rows)


def open(folder: str | os.PathLike[str] = ".", module: str = "tasks") -> Lab:
    """Return the lab in a folder, with luigi.cfg and the module of its steps, tasks.py.

    Raises RunStopped where there is no such folder, or neither of these in it.
    """
    path = Path(os.path.abspath(Path(folder).expanduser()))  # noqa: PTH100 (resolve() would follow links)
    if not path.is_dir():
        raise RunStopped(f"neuroluigi: there is no folder {path}; open the one that has tasks.py and luigi.cfg")
    if module == "tasks" and not any((path / name).is_file() for name in ("tasks.py", "luigi.cfg")):
        raise RunStopped(f"neuroluigi: {path} has neither tasks.py nor luigi.cfg; open the folder that has them")
    return Lab(path, module)
