"""The small pictures of the report, as inline SVG text: values across groups, and what ran when.

Their colours are those of the page around them, by class; each has its content in words, too.
"""

import math
import statistics
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from neuroluigi.results.output import in_the_middle

# Pixels.
_WIDTH, _HEIGHT, _INSET = 300, 96, 8
_WIDE = 460
_TIME_WIDTH, _NAMES, _BAR, _GAP, _AXIS = 960, 150, 9, 8, 22

_STRIP_WIDTH, _STRIP_HEIGHT, _MOST_BARS = 120, 24, 120

# Of the names below a picture: their height, the least room for one, and the width of a letter.
_LABELS, _LEAST_LABEL, _LETTER = 20, 40, 6.8

# Values that a caption has.
_MOST_IN_WORDS = 6

# Of the name of a row.
_MOST_OF_A_NAME = 24

# Names of so many points are worth their bytes.
_MOST_NAMED = 500

_STEPS = (1, 2, 5, 10)
_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


def dots(title: str, points: Sequence[tuple[str, float]]) -> str:
    """Return a picture of values (name, value) side by side in their order, with a line at the median.

    Values that are not finite are left out; "" where none is left.
    """
    points = [(name, value) for name, value in points if math.isfinite(value)]
    if not points:
        return ""
    values = [value for _, value in points]
    low, high, middle = min(values), max(values), statistics.median(values)
    span = (high - low) or 1

    def place(n: int, value: float) -> tuple[float, float]:
        x = _INSET + (n + 0.5) * (_WIDTH - 2 * _INSET) / len(points)
        return x, _HEIGHT - _INSET - ((value - low) / span if high > low else 0.5) * (_HEIGHT - 2 * _INSET)

    text = f"{_number(low)} throughout"
    if high > low:
        text = f"{_number(low)} to {_number(high)}, median {_number(middle)}"
    label = escape(f"{title} of {len(points)}: {text}")
    _, y = place(0, middle)
    return "".join(
        [
            f'<svg class="dots" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">',
            f'<path class="middle" d="M0 {y:.1f}H{_WIDTH}"/>',
            *_marks([(name, value, *place(n, value)) for n, (name, value) in enumerate(points)]),
            "</svg>",
            f"<figcaption><strong>{escape(title)}</strong> {text}</figcaption>",
        ]
    )


def _marks(placed: Sequence[tuple[str, float, float, float]]) -> Iterable[str]:
    if len(placed) > _MOST_NAMED:
        # One path is drawn as fast as one point.
        yield f'<path class="dot" d="{"".join(f"M{x:.1f} {y:.1f}h0" for _, _, x, y in placed)}"/>'
    for name, value, x, y in placed if len(placed) <= _MOST_NAMED else ():
        title = f"<title>{escape(name)}: {_number(value)}</title>"
        yield f'<path class="dot" d="M{x:.1f} {y:.1f}h0">{title}</path>'


def lines(title: str, labels: Sequence[str], series: Sequence[tuple[str, Sequence[float | None]]]) -> str:
    """Return a picture of series (name, a value per label), a line each, and a heavy one through their medians.

    A value that is None or not finite is left out; "" where none is left.
    """
    series = [(name, [v if v is not None and math.isfinite(v) else None for v in values]) for name, values in series]
    known = [value for _, values in series for value in values if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    wide = (_WIDE - 2 * _INSET) / len(labels)

    def place(n: int, value: float) -> tuple[float, float]:
        share = (value - low) / (high - low) if high > low else 0.5
        return _INSET + (n + 0.5) * wide, _HEIGHT - _INSET - share * (_HEIGHT - 2 * _INSET)

    of_labels = [[value for _, values in series if (value := values[n]) is not None] for n in range(len(labels))]
    middle = [statistics.median(some) if some else None for some in of_labels]
    words = [f"{label} {_number(m)}" for label, m in zip(labels, middle, strict=True) if m is not None]
    more = f", … ({len(words)})" if len(words) > _MOST_IN_WORDS else ""
    text = f"{'medians: ' if len(series) > 1 else ''}{', '.join(words[:_MOST_IN_WORDS])}{more}"
    label = escape(f"{title} of {len(series)}: {text}")
    drawn = "".join(_path([(n, v) for n, v in enumerate(values) if v is not None], place) for _, values in series)
    at_middle = [(n, value) for n, value in enumerate(middle) if value is not None]
    named = [
        (f"{name} {labels[n]}", value, *place(n, value))
        for name, values in series
        for n, value in enumerate(values)
        if value is not None
    ]
    return "".join(
        [
            f'<svg class="lines" viewBox="0 0 {_WIDE} {_HEIGHT + _LABELS}" role="img" aria-label="{label}">',
            f'<path class="line" d="{drawn}"/>',
            *([f'<path class="main" d="{_path(at_middle, place)}"/>'] if len(series) > 1 else []),
            *_marks(named),
            *_labels(labels, wide),
            "</svg>",
            f"<figcaption><strong>{escape(title)}</strong> {escape(text)}</figcaption>",
        ]
    )


def _path(points: Sequence[tuple[int, float]], place: Callable[[int, float], tuple[float, float]]) -> str:
    return "".join(f"{'L' if n else 'M'}{x:.1f} {y:.1f}" for n, (x, y) in enumerate(place(*one) for one in points))


def _labels(labels: Sequence[str], wide: float) -> Iterable[str]:
    """Yield the names below the places of a picture, as many as there is room for."""
    every = math.ceil(_LEAST_LABEL / wide)
    letters = int(every * wide / _LETTER)
    for n in range(0, len(labels), every):
        text = escape(in_the_middle(labels[n], letters))
        at = f'x="{_INSET + (n + 0.5) * wide:.1f}" y="{_HEIGHT + _LABELS - 5}"'
        yield f'<text {at} text-anchor="middle"><title>{escape(labels[n])}</title>{text}</text>'


def strip(title: str, values: Sequence[float | None], marked: Collection[int] = ()) -> str:
    """Return a small picture of a value per channel, in their order, with those at the places `marked` in red.

    Of many neighbours the largest is drawn. "" where no value is known.
    """
    known = [value for value in values if value is not None and math.isfinite(value)]
    top = max(known, default=0)
    if not known:
        return ""
    columns = min(len(values), _MOST_BARS)
    highest, red = [0.0] * columns, set()
    for n, value in enumerate(values):
        at = n * columns // len(values)
        if value is not None and math.isfinite(value):
            highest[at] = max(highest[at], value)
        if n in marked:
            red.add(at)
    wide = _STRIP_WIDTH / columns
    paths = {"": "", "marked": ""}
    for at, value in enumerate(highest):
        height = max(value / top, 0) * (_STRIP_HEIGHT - 1) if top > 0 else 0
        # What is 0 is seen as there.
        paths["marked" if at in red else ""] += f"M{(at + 0.5) * wide:.1f} {_STRIP_HEIGHT}v-{height + 1:.1f}"
    label = escape(f"{title} of {len(values)} channels: {spread(known)}")
    drawn = (
        f'<path class="{kind}" d="{path}" stroke-width="{wide if columns == _MOST_BARS else wide * 0.8:.3g}"/>'
        for kind, path in paths.items()
        if path
    )
    box = f'viewBox="0 0 {_STRIP_WIDTH} {_STRIP_HEIGHT}"'
    return f'<svg class="strip" {box} role="img" aria-label="{label}"><title>{label}</title>{"".join(drawn)}</svg>'


def spread(values: Sequence[float]) -> str:
    """Return values in words: their median, and from where to where they are."""
    if len(values) == 1:
        return _number(values[0])
    return f"{_number(statistics.median(values))} ({_number(min(values))} to {_number(max(values))})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if 10_000 <= abs(value) < 1e12 else f"{value:.4g}"


@dataclass(frozen=True)
class Bar:
    """Something that took a while: its row, its name, begin and end in seconds, and whether it failed."""

    row: str
    name: str
    begin: float
    end: float
    has_failed: bool = False


def gantt(bars: Sequence[Bar], seconds: float) -> str:
    """Return a picture of what ran when, from 0 to `seconds`: rows in the order of the bars, in each as many lanes as
    there were bars at the same time."""
    rows: dict[str, list[list[Bar]]] = {}
    for bar in sorted(bars, key=lambda bar: bar.begin):
        _into_lane(bar, rows.setdefault(bar.row, []))
    seconds = max([seconds, *(bar.end for bar in bars)]) or 1
    scale = (_TIME_WIDTH - _NAMES - 10) / seconds
    drawn, y = [], _GAP
    for row, lanes in rows.items():
        height = len(lanes) * (_BAR + 1)
        name = f"<title>{escape(row)}</title>{escape(in_the_middle(row, _MOST_OF_A_NAME))}"
        drawn.append(f'<text x="{_NAMES - 8}" y="{y + height / 2 + 4:g}" text-anchor="end">{name}</text>')
        for lane in lanes:
            drawn += [_bar(bar, y, scale, len(bars) <= _MOST_NAMED) for bar in lane]
            y += _BAR + 1
        y += _GAP
    most = max((len(lanes) for lanes in rows.values()), default=0)
    text = f"{len(bars)} results in {span(seconds)}, up to {most} of one step at the same time"
    return "".join(
        [
            f'<svg class="gantt" viewBox="0 0 {_TIME_WIDTH} {y + _AXIS}" role="img" aria-label="{escape(text)}">',
            *_axis(seconds, scale, y),
            *drawn,
            "</svg>",
        ]
    )


def _into_lane(bar: Bar, lanes: list[list[Bar]]) -> None:
    """Put a bar into the first lane that is free by then."""
    for lane in lanes:
        if lane[-1].end <= bar.begin:
            lane.append(bar)
            return
    lanes.append([bar])


def _bar(bar: Bar, y: float, scale: float, is_named: bool) -> str:
    x, width = _NAMES + bar.begin * scale, max((bar.end - bar.begin) * scale, 0.8)
    kind = "failed" if bar.has_failed else "bar"
    text = f"{bar.row} {bar.name}: {span(bar.end - bar.begin)}{', failed' if bar.has_failed else ''}"
    title = f"<title>{escape(text)}</title>" if is_named or bar.has_failed else ""
    mark = f'<text class="sign" x="{x + width + 1:.1f}" y="{y + _BAR}">!</text>' if bar.has_failed else ""
    rect = f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR}"'
    return f"{rect}>{title}</rect>{mark}" if title else f"{rect}/>"


def _axis(seconds: float, scale: float, y: float) -> Iterable[str]:
    step = _tick(seconds / 8)
    for n in range(int(seconds / step) + 1):
        x = _NAMES + n * step * scale
        yield f'<path class="grid" d="M{x:.1f} 0V{y}"/>'
        yield f'<text x="{x:.1f}" y="{y + 15}" text-anchor="middle">{span(n * step)}</text>'


def _tick(least: float) -> float:
    """Return a round number of seconds, minutes or hours that is no less."""
    if least > _SECONDS[-1]:
        return _SECONDS[-1] * math.ceil(least / _SECONDS[-1])
    if least >= 1:
        return next(one for one in _SECONDS if one >= least)
    power = 10 ** math.floor(math.log10(least))
    return next(one * power for one in _STEPS if one * power >= least * (1 - 1e-9))


def span(seconds: float) -> str:
    """Return a time for the eye: 0.23 s, 45 s, 2 min 5 s, 3 h 10 min."""
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
