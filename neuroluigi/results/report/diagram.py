"""The pipeline as a picture: SVG text from the tasks alone, without any engine, recording or result.

A box per kind of step stands right of all that it is made from. An arrow that passes other boxes has a lane between
them, which it shares with the others from the same box.
"""

import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise, zip_longest

import luigi
from luigi.task import flatten

from neuroluigi.steps.base import Step
from neuroluigi.steps.plan import tasks_below
from neuroluigi.steps.tasks import RecordingMaker

_MOST_FILES = 4
_MOST_LETTERS = 30

# Pixels. Text is as wide as that of the widest of the usual fonts.
_LETTER, _BOLD_LETTER, _LINE, _PADDING, _MARGIN = 7.3, 8.6, 17, 10, 8
_BETWEEN_COLUMNS, _BETWEEN_ROWS, _LANE, _PORT = 44, 18, 4, 11
_SWEEPS = 24

# A lane or an arrow from box to box is rather straight than one between both.
_STRAIGHT = {(True, True): 20, (True, False): 1, (False, True): 1, (False, False): 6}

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
    """What there is to say of a box beside what it is: tool in place of the maker, a class, (class, text) per line."""

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
class _Item:
    """A box, or a lane for the arrows from a box past a column (then it has no lines)."""

    column: int
    lines: Sequence[tuple[str, str]] = ()
    y: float = 0
    height: float = _LANE
    before: list["_Item"] = field(default_factory=list)
    after: list["_Item"] = field(default_factory=list)
    box: Box | None = None


def draw(root: str, boxes: Sequence[Box], notes: Mapping[str, Note] | None = None) -> str:
    """Return the picture of the pipeline of the task `root` as an SVG element.

    With `notes`, by box, each box says these too, and is a link to the element step-NAME of the page around it.
    """
    items = _arranged(boxes, notes or {})
    columns = _by_column(items)
    widths = [max(_width(item) for item in column) for column in columns]
    lefts = [_MARGIN]
    for width in widths:
        lefts.append(lefts[-1] + width + _BETWEEN_COLUMNS)
    top = min((item.y - item.height / 2 for item in items), default=0) - _MARGIN
    for item in items:
        item.y -= top
    named = {item.box.name: item for item in items if item.box}
    back = [(named[need], item) for item in named.values() for need in item.box.needs if _leads_back(need, item, named)]
    arrows = [_arrow(one, other, lefts, widths) for one in items for other in one.after]
    arrows += [_arrow_back(one, other, lefts) for one, other in back]
    drawn = [_drawn(item, lefts[item.column], (notes or {}).get(item.box.name)) for item in named.values()]
    width = round(lefts[-1] - _BETWEEN_COLUMNS * bool(columns) + _MARGIN)
    height = round(max((item.y + item.height / 2 for item in items), default=0) + _MARGIN + 24 * bool(back))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="pipeline" viewBox="0 0 {width} {height}" width="{width}"'
            f' height="{height}" role="{"group" if notes else "img"}" aria-labelledby="pipeline-title pipeline-text">',
            f'<title id="pipeline-title">The pipeline of {_plain(root)}</title>',
            f'<desc id="pipeline-text">{_plain(" ".join(map(_sentence, boxes)))}</desc>',
            f"<style>{_STYLE}</style>",
            '<defs><marker id="pipeline-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
            ' orient="auto"><path d="M0 0.5 L8 4 L0 7.5 Z"/></marker></defs>',
            *arrows,
            *drawn,
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


def _leads_back(need: str, item: _Item, named: Mapping[str, _Item]) -> bool:
    return need != item.box.name and named[need].column >= item.column


def _arranged(boxes: Sequence[Box], notes: Mapping[str, Note]) -> list[_Item]:
    """Return boxes and lanes, linked, with their columns and heights."""
    column = _columns(boxes)
    items: dict[object, _Item] = {}
    for box in boxes:
        lines = _lines(box, notes.get(box.name))
        height = _LINE * len(lines) + 2 * _PADDING - 5
        items[box.name] = _Item(column[box.name], lines, height=height, box=box)
    for box in boxes:
        for need in box.needs:
            before = items[need]
            for passed in range(column[need] + 1, column[box.name]):
                lane = items.setdefault((need, passed), _Item(passed))
                _link(before, lane)
                before = lane
            if column[need] < column[box.name]:
                _link(before, items[box.name])
    found = list(items.values())
    _place(_ordered(_by_column(found)))
    return found


def _by_column(items: Sequence[_Item]) -> list[list[_Item]]:
    return [[item for item in items if item.column == n] for n in range(1 + max((i.column for i in items), default=-1))]


def _link(one: _Item, other: _Item) -> None:
    if not any(item is other for item in one.after):
        one.after.append(other)
        other.before.append(one)


def _ordered(columns: list[list[_Item]]) -> list[list[_Item]]:
    """Return the columns, each in an order in which few arrows cross: each item in the middle of its neighbours."""
    best, fewest = columns, _crossings(columns)
    for sweep in range(_SWEEPS):
        columns = [list(column) for column in columns]
        is_forward = sweep % 2 == 0
        rank = {id(item): n / len(column) for column in columns for n, item in enumerate(column)}
        for column in columns if is_forward else reversed(columns):
            near = {id(item): item.before if is_forward else item.after for item in column}
            middle = {
                key: sum(rank[id(one)] for one in some) / len(some) if some else rank[key] for key, some in near.items()
            }
            column.sort(key=lambda item: middle[id(item)])
            rank.update({id(item): n / len(column) for n, item in enumerate(column)})
        if (crossings := _crossings(columns)) < fewest:
            best, fewest = columns, crossings
    return best


def _crossings(columns: Sequence[Sequence[_Item]]) -> int:
    count = 0
    for column, following in pairwise(columns):
        place = {id(item): n for n, item in enumerate(following)}
        ends = [sorted(place[id(other)] for other in item.after) for item in column]
        count += sum(a > b for n, some in enumerate(ends) for later in ends[n + 1 :] for a in some for b in later)
    return count


def _place(columns: Sequence[Sequence[_Item]]) -> None:
    """Set y of each item, near to that of its neighbours, without changing the order."""
    for sweep in range(_SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wanted = []
            for item in column:
                near = [(_STRAIGHT[bool(item.box), bool(one.box)], one.y) for one in (*item.before, *item.after)]
                weight = sum(weight for weight, _ in near)
                wanted.append(sum(weight * y for weight, y in near) / weight if weight else item.y)
            for item, y in zip(column, _apart(column, wanted), strict=True):
                item.y = y


def _apart(column: Sequence[_Item], wanted: Sequence[float]) -> list[float]:
    """Return what is next to the wanted places, in order and far enough from each other (isotonic regression)."""
    offsets = [0.0]
    for one, other in pairwise(column):
        offsets.append(offsets[-1] + (one.height + other.height) / 2 + _BETWEEN_ROWS)
    pools: list[tuple[float, int]] = []
    for y, offset in zip(wanted, offsets, strict=True):
        pools.append((y - offset, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (mean, count), (other, more) = pools.pop(), pools.pop()
            pools.append(((mean * count + other * more) / (count + more), count + more))
    means = [mean for mean, count in pools for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _lines(box: Box, note: Note | None) -> list[tuple[str, str]]:
    """Return the lines in a box: (class, text)."""
    maker = note.tool if note and note.tool else box.maker
    files = [
        *box.files[:_MOST_FILES],
        *([f"and {len(box.files) - _MOST_FILES} more"] if box.files[_MOST_FILES:] else []),
    ]
    lines = [("name", box.name), ("maker", maker), ("file", box.calls), *(("file", f"→ {name}") for name in files)]
    return [(kind, _shortened(text)) for kind, text in (*lines, *(note.lines if note else ())) if text]


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS // 2]}…{text[1 - _MOST_LETTERS // 2 :]}"


def _width(item: _Item) -> int:
    return max((round(_text_width(*line)) + 2 * _PADDING for line in item.lines), default=0)


def _text_width(kind: str, text: str) -> float:
    letters = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
    return letters * (_BOLD_LETTER if kind == "name" else _LETTER)


def _arrow(one: _Item, other: _Item, lefts: Sequence[float], widths: Sequence[float]) -> str:
    """Return the arrow from a box or lane to one in the next column; it runs through a lane, and ends at a box."""
    x, y = lefts[one.column] + widths[one.column], one.y
    # A box may be narrower than its column.
    start = f"M{lefts[one.column] + (_width(one) if one.box else 0):g} {y:.1f}"
    to_x, to_y = lefts[other.column], other.y
    if other.box:
        ports = sorted(other.before, key=lambda item: item.y)
        place = next(n for n, item in enumerate(ports) if item is one) - (len(ports) - 1) / 2
        to_y += place * min(_PORT, (other.height - _PORT) / len(ports))
    middle = (x + to_x) / 2
    end = ' marker-end="url(#pipeline-arrow)"' if other.box else ""
    return f'<path d="{start} H{x:g} C{middle:g} {y:.1f} {middle:g} {to_y:.1f} {to_x:g} {to_y:.1f}"{end}/>'


def _arrow_back(one: _Item, other: _Item, lefts: Sequence[float]) -> str:
    """Return an arrow to a box that is not right of the other: below both."""
    ends = [(lefts[item.column] + _width(item) / 2, item.y + item.height / 2) for item in (one, other)]
    (x, y), (to_x, to_y) = ends
    low = max(y, to_y) + 24
    curve = f"M{x:g} {y:.1f} C{x:g} {low:.1f} {to_x:g} {low:.1f} {to_x:g} {to_y:.1f}"
    return f'<path class="back" d="{curve}" marker-end="url(#pipeline-arrow)"/>'


def _drawn(item: _Item, left: float, note: Note | None) -> str:
    box, top, width = item.box, item.y - item.height / 2, _width(item)
    rect = f'<rect x="{left:g}" y="{top:.1f}" width="{width:g}" height="{item.height:g}" rx="5"/>'
    # Recordings are many: a sheet behind the first.
    behind = f'<rect x="{left + 4:g}" y="{top - 4:.1f}" width="{width:g}" height="{item.height:g}" rx="5"/>'
    baseline = top + _PADDING + 8
    texts = [
        f'<text class="{kind}" x="{left + _PADDING:g}" y="{baseline + n * _LINE:.1f}">{_plain(text)}</text>'
        for n, (kind, text) in enumerate(item.lines)
    ]
    content = [f"<title>{_plain(_sentence(box))}</title>", *([behind] if box.is_recordings else []), rect, *texts]
    opening = f'<g class="box {note.kind}">' if note and note.kind else '<g class="box">'
    drawn = "".join([opening, *content, "</g>"])
    return f'<a href="#step-{_plain(box.name)}">{drawn}</a>' if note else drawn


def _sentence(box: Box) -> str:
    """Say what a box is."""
    files = ", ".join(box.files) or "no files"
    how = ", ".join(part for part in (box.maker, box.calls) if part)
    source = f" from {', '.join(box.needs)}" if box.needs else ""
    return f"{box.name}{f' ({how})' if how else ''}: {files}{source}."


def _plain(text: str) -> str:
    """Return text as XML may have it."""
    return escape("".join(c if c.isprintable() else " " for c in text))
