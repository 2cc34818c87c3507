"""The pipeline as a picture: SVG text from the tasks alone, without any engine, recording or result.

A box per kind of step, in a column right of all that it needs. An arrow to a column further on runs above all boxes.
"""

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import zip_longest

import luigi
from luigi.task import flatten

from neuroluigi.results.output import in_the_middle
from neuroluigi.steps.base import Step
from neuroluigi.steps.plan import tasks_below
from neuroluigi.steps.tasks import RecordingMaker

_MOST_FILES = 4
_MOST_LETTERS = 30

# Pixels. Text is as wide as that of the widest of the usual fonts.
_LETTER, _BOLD_LETTER, _LINE, _PADDING, _MARGIN = 7.3, 8.6, 17, 10, 8
_BETWEEN_COLUMNS, _BETWEEN_ROWS, _BETWEEN_ARROWS, _BELOW = 44, 18, 11, 24

_STYLE = """
.pipeline { --ink: #1f2328; --soft: #57606a; --paper: #ffffff; --line: #768390; }
.pipeline text { font: 12px system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; fill: var(--soft) }
.pipeline .name { font-weight: 600; font-size: 13px; fill: var(--ink) }
.pipeline .file { font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 11px }
.pipeline rect { fill: var(--paper); stroke: var(--line) }
.pipeline path { fill: none; stroke: var(--line); stroke-width: 1.3 }
.pipeline marker path { fill: var(--line); stroke: none }
.pipeline .back { stroke-dasharray: 4 3 }
@media screen and (prefers-color-scheme: dark) {
.pipeline { --ink: #e6edf3; --soft: #a3acb6; --paper: #161b22 }
}
"""


@dataclass(frozen=True)
class Box:
    """One kind of step, or of recordings: what makes it, its files, the boxes that it needs, and how many there are."""

    name: str
    maker: str
    calls: str
    files: tuple[str, ...]
    needs: tuple[str, ...]
    is_recordings: bool
    count: int


@dataclass(frozen=True)
class Note:
    """What a report adds to a box: tool in place of the maker, a class, and (class, text) of each line."""

    tool: str = ""
    kind: str = ""
    lines: Sequence[tuple[str, str]] = ()


def boxes(root: luigi.Task) -> list[Box]:
    """Return a box for each kind of task below `root`, the first ones first; what wraps others is looked through."""
    kinds: dict[str, list[luigi.Task]] = {}
    needs: dict[str, dict[str, None]] = {}
    for task in tasks_below(root):
        if not isinstance(task, luigi.WrapperTask):
            kinds.setdefault(task.task_family, []).append(task)
            needs.setdefault(task.task_family, {}).update(dict.fromkeys(_needed(task)))
    found = [_box(name, tasks, tuple(needs[name])) for name, tasks in kinds.items()]
    column = _columns(found)
    return sorted(reversed(found), key=lambda box: column[box.name])


def _needed(task: luigi.Task) -> list[str]:
    """Return the kinds that a task needs, in place of one that wraps others those."""
    found, seen, stack = [], set(), flatten(task.requires())
    while stack:
        current = stack.pop()
        if not isinstance(current, luigi.WrapperTask):
            found.append(current.task_family)
        elif current.task_id not in seen:
            seen.add(current.task_id)
            stack += flatten(current.requires())
    return found


def _box(name: str, tasks: Sequence[luigi.Task], needs: tuple[str, ...]) -> Box:
    maker, calls = tasks[0].tool_label() if isinstance(tasks[0], Step) else ("", "")
    is_there = isinstance(tasks[0], luigi.ExternalTask)
    outputs = ([one for one in flatten(task.output()) if hasattr(one, "path")] for task in tasks)
    names = ([os.path.basename(one.path) for one in some] for some in outputs)  # noqa: PTH119 (there are thousands)
    files = dict.fromkeys(_pattern([one for one in some if one]) for some in zip_longest(*names))
    is_recordings = is_there or isinstance(tasks[0], RecordingMaker)
    return Box(name, "only read" if is_there else maker, calls, tuple(files), needs, is_recordings, len(tasks))


def _pattern(names: Sequence[str]) -> str:
    """Return the one name, or a pattern that all of them fit: rec_*.bin."""
    if len(set(names)) == 1:
        return names[0]
    start = _common_start(names)
    end = _common_start([name[len(start) :][::-1] for name in names])[::-1]
    return f"{start}*{end}"


def _common_start(names: Sequence[str]) -> str:
    """Return the letters that all names begin with."""
    one, other = min(names), max(names)
    return one[: next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))]


@dataclass
class _Place:
    """Where a box is drawn, and its lines (class, text).

    `end` is where its column ends, `lane` the y of its arrows to columns further on than the next.
    """

    box: Box
    lines: Sequence[tuple[str, str]]
    column: int
    left: float = 0
    top: float = 0
    end: float = 0
    lane: float = 0

    @property
    def width(self) -> int:
        return max(round(_text_width(*line)) for line in self.lines) + 2 * _PADDING

    @property
    def height(self) -> int:
        return _LINE * len(self.lines) + 2 * _PADDING - 5

    @property
    def middle(self) -> float:
        return self.top + self.height / 2

    def is_far_from(self, other: "_Place") -> bool:
        """Whether there are columns between this box and another one left of it."""
        return self.column > other.column + 1

    def leads_back_to(self, other: "_Place") -> bool:
        """Whether an arrow from this box to another one does not go right."""
        return other is not self and other.column <= self.column


def draw(root: str, boxes: Sequence[Box], notes: Mapping[str, Note] | None = None) -> str:
    """Return the picture of the pipeline of the task `root` as an SVG element.

    With `notes`, by the name of the box, each box shows its note too, and links to the element step-NAME of the page.
    """
    notes = notes or {}
    places = _placed(boxes, notes)
    arrows = [arrow for one in places.values() for arrow in _arrows_to(one, [places[need] for need in one.box.needs])]
    width = max((one.end for one in places.values()), default=0) + _MARGIN
    has_back = any('class="back"' in arrow for arrow in arrows)
    height = max((one.top + one.height for one in places.values()), default=0) + _MARGIN + _BELOW * has_back
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="pipeline" viewBox="0 0 {width:g} {height:g}"'
            f' width="{width:g}" height="{height:g}" role="{"group" if notes else "img"}"'
            ' aria-labelledby="pipeline-title pipeline-text">',
            f'<title id="pipeline-title">The pipeline of {_plain(root)}</title>',
            f'<desc id="pipeline-text">{_plain(" ".join(map(_sentence, boxes)))}</desc>',
            f"<style>{_STYLE}</style>",
            '<defs><marker id="pipeline-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
            ' orient="auto"><path d="M0 0.5 L8 4 L0 7.5 Z"/></marker></defs>',
            *arrows,
            *(_drawn(one, notes.get(name)) for name, one in places.items()),
            "</svg>",
        ]
    )


def _columns(boxes: Iterable[Box]) -> dict[str, int]:
    """Return the column of each box: right of all that it needs, but for what needs it in turn."""
    needs = {box.name: box.needs for box in boxes}
    column: dict[str, int] = {}

    def place(name: str, above: tuple[str, ...]) -> int:
        if name not in column:
            below = [need for need in needs[name] if need not in (*above, name)]
            column[name] = 1 + max((place(need, (*above, name)) for need in below), default=-1)
        return column[name]

    for name in needs:
        place(name, ())
    return column


def _placed(boxes: Sequence[Box], notes: Mapping[str, Note]) -> dict[str, _Place]:
    """Return where each box is drawn: in its column, in the order of what it needs."""
    column = _columns(boxes)
    places = {box.name: _Place(box, _lines(box, notes.get(box.name)), column[box.name]) for box in boxes}

    def middle_of_needs(one: _Place) -> float:
        return sum(places[need].middle for need in one.box.needs) / max(len(one.box.needs), 1)

    columns = [[one for one in places.values() if one.column == n] for n in range(max(column.values(), default=-1) + 1)]
    heights = [sum(one.height + _BETWEEN_ROWS for one in some) for some in columns]
    far = {need: None for some in columns for one in some for need in one.box.needs if one.is_far_from(places[need])}
    for n, name in enumerate(sorted(far, key=column.__getitem__)):
        places[name].lane = _MARGIN + n * _BETWEEN_ARROWS
    left = _MARGIN
    for some, height in zip(columns, heights, strict=True):
        end = left + max(one.width for one in some)
        top = _MARGIN + len(far) * _BETWEEN_ARROWS + (max(heights) - height) / 2
        for one in sorted(some, key=middle_of_needs):
            one.left, one.top, one.end = left, top, end
            top += one.height + _BETWEEN_ROWS
        left = end + _BETWEEN_COLUMNS
    return places


def _lines(box: Box, note: Note | None) -> list[tuple[str, str]]:
    """Return the lines in a box: (class, text)."""
    maker = note.tool if note and note.tool else box.maker
    files = [
        *box.files[:_MOST_FILES],
        *([f"and {len(box.files) - _MOST_FILES} more"] if box.files[_MOST_FILES:] else []),
    ]
    lines = [("name", box.name), ("maker", maker), ("file", box.calls), *(("file", f"→ {name}") for name in files)]
    return [
        (kind, in_the_middle(text, _MOST_LETTERS)) for kind, text in (*lines, *(note.lines if note else ())) if text
    ]


def _text_width(kind: str, text: str) -> float:
    letters = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
    return letters * (_BOLD_LETTER if kind == "name" else _LETTER)


def _arrows_to(one: _Place, needs: Sequence[_Place]) -> Iterator[str]:
    """Yield an arrow from each box that a box needs; they arrive apart, in the order from which height they come."""
    before = [need for need in needs if need.column < one.column]
    before.sort(key=lambda need: need.lane if one.is_far_from(need) else need.middle)
    apart = min(_BETWEEN_ARROWS, one.height / (len(before) + 1))
    for n, need in enumerate(before):
        x, y, to_y = need.end, need.middle, one.middle + (n - (len(before) - 1) / 2) * apart
        path = f"M{need.left + need.width:g} {y:g} H{x:g}"
        if one.is_far_from(need):
            path += _curve(x, y, need.lane)
            x, y = one.left - _BETWEEN_COLUMNS, need.lane
            path += f" H{x:g}"
        yield f'<path d="{path}{_curve(x, y, to_y)}" marker-end="url(#pipeline-arrow)"/>'
    for need in needs:
        if need.leads_back_to(one):
            (x, y), (to_x, to_y) = ((place.left + place.width / 2, place.top + place.height) for place in (need, one))
            low = max(y, to_y) + _BELOW
            path = f"M{x:g} {y:g} C{x:g} {low:g} {to_x:g} {low:g} {to_x:g} {to_y:g}"
            yield f'<path class="back" d="{path}" marker-end="url(#pipeline-arrow)"/>'


def _curve(x: float, y: float, to_y: float) -> str:
    """Return the part of an arrow between two columns, from x on."""
    middle, to_x = x + _BETWEEN_COLUMNS / 2, x + _BETWEEN_COLUMNS
    return f" C{middle:g} {y:g} {middle:g} {to_y:g} {to_x:g} {to_y:g}"


def _drawn(place: _Place, note: Note | None) -> str:
    left, top, size = place.left, place.top, f'width="{place.width}" height="{place.height}" rx="5"'
    # Recordings are many: a sheet behind the first.
    behind = [f'<rect x="{left + 4:g}" y="{top - 4:g}" {size}/>'] if place.box.is_recordings else []
    texts = [
        f'<text class="{kind}" x="{left + _PADDING:g}" y="{top + _PADDING + 8 + n * _LINE:g}">{_plain(text)}</text>'
        for n, (kind, text) in enumerate(place.lines)
    ]
    content = [f"<title>{_plain(_sentence(place.box))}</title>", *behind, f'<rect x="{left:g}" y="{top:g}" {size}/>']
    opening = f'<g class="box {note.kind}">' if note and note.kind else '<g class="box">'
    drawn = "".join([opening, *content, *texts, "</g>"])
    return f'<a href="#step-{_plain(place.box.name)}">{drawn}</a>' if note else drawn


def _sentence(box: Box) -> str:
    """Say what a box is."""
    files = ", ".join(box.files) or "no files"
    how = ", ".join(part for part in (box.maker, box.calls) if part)
    source = f" from {', '.join(box.needs)}" if box.needs else ""
    return f"{box.name}{f' ({how})' if how else ''}: {files}{source}."


def _plain(text: str) -> str:
    """Return text as XML may have it."""
    return escape("".join(c if c.isprintable() else " " for c in text))
