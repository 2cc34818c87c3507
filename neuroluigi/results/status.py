"""What `neuroluigi status` and `why` print: the status of all results as a table, as reasons, and as sentences.

Plain functions from statuses and run records to text; nothing here prints or changes anything.
"""

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import luigi

from neuroluigi.provenance import state
from neuroluigi.provenance.expected import name_of_other
from neuroluigi.provenance.files import last_lines
from neuroluigi.provenance.record import engine_and_version, read_failure, recorded_code, sibling_path
from neuroluigi.provenance.secret_values import MASK, masked, without_seals
from neuroluigi.recordings.groups import VARIANT_SIGN, split_row
from neuroluigi.recordings.recording import Group
from neuroluigi.results.alike import names_in, problem_lines, some
from neuroluigi.results.recorded import recorded_results
from neuroluigi.steps.group_settings import bad_channels
from neuroluigi.steps.overview import PlannedFiles, overview
from neuroluigi.steps.parameters import is_secret, section_of_group
from neuroluigi.steps.plan import outputs_below, walk_tasks
from neuroluigi.steps.result_task import ResultTask
from neuroluigi.steps.scope import group_of, recording_of
from neuroluigi.steps.spawn import CarriesSettings
from neuroluigi.steps.tasks import SESSIONS, GroupTask, SessionTask
from neuroluigi.steps.touched import variant_of
from neuroluigi.steps.variants import declared

STUDY = "study"
WAITING, FAILED, DROPPED = "waiting", "failed", "dropped"

# One sign and colour per state; a result that waits for another has a state of its own here.
SIGNS: Mapping[str, tuple[str, str]] = {
    state.DONE: ("✓", "green"),
    state.CODE_CHANGED: ("≈", "magenta"),
    state.UNTRACKED: ("?", "blue"),
    state.MODIFIED: ("✎", "cyan"),
    WAITING: ("…", "yellow"),
    state.STALE: ("↻", "yellow"),
    state.MISSING: ("○", "yellow"),
    state.INPUT_MISSING: ("∅", "red"),
    state.DAMAGED: ("✗", "red"),
    FAILED: ("!", "red"),
}

# States that need more attention come later.
_ATTENTION = {name: n for n, name in enumerate(SIGNS)}


def sign_of(name: str) -> str:
    """Return the sign of a state; what is dropped is done."""
    return SIGNS[state.DONE if name == DROPPED else name][0]


_BAR = 10  # characters


@dataclass(frozen=True, slots=True)
class ResultStatus:
    """One result: the row of the table that it belongs to, its step, its task where that is kept, and the status."""

    row: str
    step: str
    task: luigi.Task | None
    status: state.Status

    @classmethod
    def of(cls, task: luigi.Task, status: state.Status, row_of: Mapping[tuple, str]) -> "ResultStatus":
        """Return the entry of a task; `row_of` has the row of each recording by its identity."""
        return cls(_row(task, row_of), task.task_family, task, status)

    @property
    def record_path(self) -> Path | None:
        """The path of the run record; None for a task of Luigi's own, which has none."""
        return getattr(self.task, "record_path", None)

    @property
    def variant(self) -> str:
        """The variant that it is of, "" for the base."""
        return variant_of(self.task) if self.task else ""

    @property
    def row_in_base(self) -> str:
        """The row of the result of the base in its place."""
        return self.row.removesuffix(f"{VARIANT_SIGN}{self.variant}") if self.variant else self.row

    @property
    def shown_state(self) -> str:
        """The state as the table shows it: failed and waiting are notes on top of the others."""
        if self.failure:
            return FAILED
        return WAITING if self.status.todo == state.MAYBE else self.status.state

    @property
    def failure(self) -> str:
        """The error of the last attempt at what a run would make; "" for none. All others are history."""
        return self.status.failure if self.status.todo else ""


def collect_statuses(root: luigi.Task, groups: Mapping[str, Group]) -> list[ResultStatus]:
    """Return an entry for every result that `root` requires, first steps first; a recording's is in its group's row.

    Tasks of Luigi's own that make or provide something are among them.
    """
    row_of = _rows_of_recordings(groups)
    return [ResultStatus.of(task, status, row_of) for task, status in walk_tasks(root) if _is_result(task)]


def look_over(
    root: luigi.Task, groups: Mapping[str, Group], is_each_named: bool = False
) -> tuple[list[ResultStatus], PlannedFiles]:
    """Return what collect_statuses() does, and which files are planned.

    Of a study of many groups, most entries of what is done have no task, unless each is to be named: there may be
    hundreds of thousands.
    """
    row_of, shown = _rows_of_recordings(groups), set[str]()
    done = functools.cache(lambda made_by: state.Status(state.DONE, made_by=made_by))

    def tell(task: luigi.Task, status: state.Status) -> ResultStatus | None:
        if not _is_result(task):
            return None
        entry = ResultStatus.of(task, status, row_of)
        if not status.is_simply_done or status.failure or entry.step not in shown:
            shown.add(entry.step)
            return entry
        return replace(entry, task=None, status=done(status.made_by))

    if not is_each_named and (found := overview(root, tell)):
        return found
    entries, files = collect_statuses(root, groups), PlannedFiles()
    for _, targets in outputs_below(root):
        files.note(targets)
    return entries, files


def _rows_of_recordings(groups: Mapping[str, Group]) -> dict[tuple, str]:
    return {recording.identity: key for key, group in groups.items() for recording in group.recordings}


def _is_result(task: luigi.Task) -> bool:
    return isinstance(task, ResultTask) or not isinstance(task, (luigi.WrapperTask, CarriesSettings))


def _row(task: luigi.Task, row_of: Mapping[tuple, str]) -> str:
    row, variant = _row_in_base(task, row_of), variant_of(task)
    return f"{row}{VARIANT_SIGN}{variant}" if variant else row


def _row_in_base(task: luigi.Task, row_of: Mapping[tuple, str]) -> str:
    if group := group_of(task, row_of):
        return group
    if isinstance(task, SessionTask):
        return f"{SESSIONS}/{task.session}"
    identity = recording_of(task)
    return f"{identity[0]}/{identity[1]}" if identity else STUDY


def orphan_folders(results: Path, groups: Mapping[str, Group]) -> list[str]:
    """Return the results folders that belong to no group, or no variant, of today."""
    of_base = (*groups, STUDY)
    kept = {*of_base, SESSIONS, "recordings", *(f"{one}{VARIANT_SIGN}{name}" for one in of_base for name in declared())}
    folders = (folder for folder in results.glob("*/") if folder.name not in kept and (folder / "runs").is_dir())
    return sorted(folder.name for folder in folders if any(recorded_results(folder)))


def is_all_done(entries: Iterable[ResultStatus]) -> bool:
    """Return whether a run has nothing to make and nothing is left alone for a missing input."""
    return not any(e.status.todo or e.status.state == state.INPUT_MISSING for e in entries)


def select_statuses(entries: Sequence[ResultStatus], only: Iterable[str], rows: Iterable[str]) -> list[ResultStatus]:
    """Return the entries in these states (as shown or as computed) and rows; all where none are named."""
    only, rows = set(only), set(rows)
    return [e for e in entries if (not only or {e.shown_state, e.status.state} & only) and (not rows or e.row in rows)]


def state_table(entries: Sequence[ResultStatus]) -> tuple[list[str], list[list[str]]]:
    """Return the steps, and a row per group: its name, then the shown state of each step ("" where it has none).

    Of several results in one cell the one that needs most attention is shown.
    """
    steps = list(dict.fromkeys(e.step for e in entries))
    cells: dict[str, dict[str, str]] = {}
    for e in entries:
        row = cells.setdefault(e.row, {})
        row[e.step] = worst_state((row.get(e.step, state.DONE), e.shown_state))
    return steps, [[key, *(row.get(step, "") for step in steps)] for key, row in sorted(cells.items(), key=_by_variant)]


def _by_variant(row: tuple[str, object]) -> tuple[str, str]:
    """Return what sorts the variants of a group right behind it."""
    return split_row(row[0])


def worst_state(states: Iterable[str]) -> str:
    """Return the state that needs most attention."""
    return max(states, key=_ATTENTION.__getitem__)


def step_progress(entries: Sequence[ResultStatus]) -> list[tuple[str, int, int, str]]:
    """Return (step, results that need nothing, results, a bar of them) for each step."""
    total = Counter(e.step for e in entries)
    done = Counter(e.step for e in entries if not e.status.todo and (e.status.is_there or e.status.is_dropped))
    return [
        (step, done[step], count, ("█" * (_BAR * done[step] // count)).ljust(_BAR, "░"))
        for step, count in total.items()
    ]


def reason_lines(entries: Sequence[ResultStatus], groups: Mapping[str, Group]) -> list[str]:
    """Return a line per reason for all that is not simply done: what a run does, how many, why, and in which rows."""
    found: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    names = functools.cache(lambda row: names_in(groups.get(row)))
    for e in entries:
        # Of what can't be made the problem is said once for all steps.
        if not e.status.problem and (why := "; ".join(_whys(e))):
            cause = names(e.row).sub("…", why) if e.failure else why
            found.setdefault((_action(e.status), e.step, cause), []).append((e.row, why))
    lines = [_reason_line(action, step, rows) for (action, step, _), rows in found.items()]
    lines += [*_mixed(entries), *_unknown(entries), *_cant_be_made(entries, groups)]
    return [*lines, *problem_lines(groups, {e.row for e in entries})]


def _cant_be_made(entries: Sequence[ResultStatus], groups: Mapping[str, Group]) -> Iterator[str]:
    """Yield a line on what a run would fail to make, and one for each reason that is no problem of a group."""
    bound_to_fail = [e for e in entries if e.status.problem]
    counted = Counter(e.step for e in bound_to_fail)
    if counted:
        steps = ", ".join(f"{count} {step}" for step, count in counted.items())
        yield f"can't be made: {steps}: something is wrong with their recordings"
    known = {text for group in groups.values() for text in group.problems}
    others = {text: e.row for e in reversed(bound_to_fail) for text in e.status.problem.split("\n")}
    yield from (f"problem in {row}: {text}" for text, row in others.items() if text not in known)


def _reason_line(action: str, step: str, found: Sequence[tuple[str, str]]) -> str:
    """Return a line on results [(row, why)] with one cause."""
    why = found[0][1]
    first = "the first: " if any(other != why for _, other in found) else ""
    return f"{action}: {len(found)} {step}: {first}{why} ({some(sorted({row for row, _ in found}))})"


def _mixed(entries: Sequence[ResultStatus]) -> list[str]:
    """Return a line for each step whose results come from more than one tool or version."""
    makers: dict[str, Counter] = {}
    for e in entries:
        if e.status.made_by:
            makers.setdefault(e.step, Counter())[e.status.made_by] += 1
    listed = {
        step: ", ".join(f"{count} by {tool}" for tool, count in sorted(by.items())) for step, by in makers.items()
    }
    return [f"{step}: results of more than one tool: {listed[step]}" for step, by in makers.items() if len(by) > 1]


def _unknown(entries: Sequence[ResultStatus]) -> list[str]:
    """Return a line for each tool that is asked for by name and whose version is known only after a start."""
    steps = {type(e.task): e.task for e in entries if isinstance(e.task, ResultTask)}
    wanted = (step.wanted_tool() for step in steps.values())
    unknown = {
        tool["engine"] for tool in wanted if "engine" in tool and not (tool.get("release") or tool.get("version"))
    }
    return [
        f"not known without starting it: the version of {engine}; it counts as unchanged" for engine in sorted(unknown)
    ]


def _action(status: state.Status) -> str:
    return f"maybe,{_condition(status)}" if status.todo == state.MAYBE else status.todo or "left as it is"


def _condition(status: state.Status) -> str:
    return f" if {' or '.join(dict.fromkeys(status.waits_for))} changes" if status.todo == state.MAYBE else ""


def _whys(entry: ResultStatus) -> list[str]:
    status, whys = entry.status, []
    if not status.is_simply_done:
        text = "; ".join(reason.text for reason in status.reasons)
        whys.append(f"{status.state}{f', {text}' if text else ''}")
    if entry.failure:
        whys.append(f"failed the last time: {' '.join(entry.failure.split())}")
    return whys


def status_as_data(entry: ResultStatus) -> dict:
    """Return an entry as plain data, for JSON."""
    status = entry.status
    return {
        "row": entry.row,
        "step": entry.step,
        "task": str(entry.task),
        "state": status.state,
        "todo": status.todo,
        "waits_for": list(dict.fromkeys(status.waits_for)),
        "reasons": [{"kind": reason.kind, "text": reason.text} for reason in status.reasons],
        "problem": status.problem,
        "dropped": status.is_dropped,
        "failure": entry.failure,
    }


def explain_status(entry: ResultStatus, record: Mapping | None) -> list[str]:
    """Return the lines of `why` for one result: its state and reasons, how it was made, and its failure."""
    status = entry.status
    sign, _ = SIGNS[entry.shown_state]
    lines = [f"{sign} {entry.task}: {status.state}"]
    lines += [f"  {reason.text}{reason.detail and f' ({reason.detail})'}" for reason in status.reasons]
    lines += _of_group(entry.task)
    if status.is_dropped and status.state != state.MISSING:
        lines.append("  It is dropped: its files are gone, and are made again when a step needs them.")
    if status.problem:
        lines.append(f"  A run can't make it: {'; '.join(status.problem.splitlines())}")
    elif status.todo:
        lines.append(f"  A run will make it{_condition(status)}.")
    if entry.record_path is None:
        kind = "an ExternalTask" if isinstance(entry.task, luigi.ExternalTask) else "a task of Luigi's own"
        return [*lines, f"  It is {kind}, without a run record: done while its complete() says so."]
    if record:
        lines += _history(record)
    else:
        lines.append(
            "There is no run record: it is not known how it was made." if status.is_there else "It was never made."
        )
    return lines + _failure(entry)


def _of_group(task: luigi.Task) -> Iterator[str]:
    """Yield a line for each parameter of a step that its group has of its own."""
    values, group = task.param_kwargs, task.param_kwargs.get("group", "")
    for name, parameter in task.get_params():
        if section := section_of_group(type(task), name, parameter, group):
            value = MASK if is_secret(parameter) else masked(parameter.serialize(values[name]))
            yield f"  {name} = {value} is of [{section}]"
    if isinstance(task, GroupTask):
        bad, section = bad_channels(group)
        if ":" in section:
            yield f"  bad_channels = {', '.join(bad)} is of [{section}]"


_NAMES_SHOWN = 10
# Values of parameters that are not set.
_BLANK: tuple[object, ...] = (None, "", [])


def _history(record: Mapping) -> list[str]:
    host = record.get("host", {})
    lines = [
        f"Made {record.get('started', '?')} in {record.get('seconds', '?')} s by {' '.join(engine_and_version(record))}"
        f" on {host.get('name', '?')}{f' by {user}' if (user := host.get('user')) else ''}."
    ]
    if parameters := record.get("parameters"):
        values = (f"{name} {value}" for name, value in masked(parameters).items() if value not in _BLANK)
        lines.append(without_seals(f"With {', '.join(values)}."))
    for verb, files in (("From", record.get("inputs", ())), ("Wrote", record.get("outputs", ()))):
        for one in files:
            count = f"{one['files']} files, " if "files" in one else ""
            lines.append(f"{verb} {one['path']}, {count}{one['bytes']} bytes, sha256 {one['sha256'][:12]}...")
    lines += [f"From {name_of_other(one)}, which is no file." for one in record.get("other_inputs", ())]
    lines += _code(recorded_code(record))
    for one in record.get("accepted", ()):
        by = one.get("by", {})
        lines.append(
            f"{one.get('path')} was modified by hand and accepted by {by.get('user', '?')} on {by.get('name', '?')},"
            f" {one.get('at', '?')}: {one.get('reason', '')}"
        )
    return lines


def _code(recorded: Sequence[Mapping]) -> Iterator[str]:
    """Yield a line per file of code with the names of its definitions that count, and per folder of other files."""
    names: dict[str, list[str]] = {}
    files: dict[str, list[str]] = {}
    for one in recorded:
        path, _, name = one["path"].partition(":")
        if name:
            names.setdefault(path, []).append(name)
        else:
            files.setdefault(path.rpartition("/")[0], []).append(path)
    for path, found in names.items():
        yield f"By {path}: {_some_names(found)}."
    for folder, found in files.items():
        if folder and len(found) > 1:
            yield f"By {folder}: {_some_names([path.rpartition('/')[2] for path in found])}."
        else:
            yield from (f"By {path}." for path in found)


def _some_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"{', '.join(names[:_NAMES_SHOWN])}{more}"


def _failure(entry: ResultStatus, lines: int = 10) -> list[str]:
    """Return the lines on the last failure, with the end of its log unless it is history."""
    path = entry.record_path
    failed = read_failure(path) if path else None
    if not path or not failed:
        return []
    report = f"{failed.get('started', '?')}: {failed['error']}"
    log = sibling_path(path, ".failed.log")
    if not entry.failure:
        return [f"An attempt that is history failed {report}"]
    text = last_lines(log, lines)
    return [f"Failed {report}", *([f"The last lines of {log}:", *(f"  {line}" for line in text)] if text else [])]
