"""What all pictures have in common: head and summary above the axes, names as they are, reproducible files.

A letter counts as so many inches: matplotlib's own layouts measure, and so draw, everything twice.
"""

import gc
import textwrap
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroluigi.signals.png import write_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

FORMATS = ("png", "svg", "pdf")
# Of channels beside each other, also for those who don't tell red from green (Okabe and Ito 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#5b4b8a", "#7a5c3a")
SAMPLES, LEVEL, EVENT, MUTED, NOT_LOOKED_AT = "#1f4e79", "#d95f02", "#b2182b", "#777777", "#d9d9d9"
WIDTH = 14

# The first of these that is installed writes what matplotlib's own font can't.
_CJK_FONTS = ("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei",
              "Microsoft YaHei", "SimHei", "PingFang SC", "Hiragino Sans GB", "Arial Unicode MS")  # fmt: skip
# The same picture is the same file: no date, and the same ids of its parts; text stays text that can be searched.
_SETTINGS: dict[Any, Any] = {"svg.hashsalt": "neuroluigi", "svg.fonttype": "none", "pdf.fonttype": 42}
_METADATA = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


def save_picture(path: Path, draw: Callable[[], "Figure"]) -> None:
    """Save the figure that `draw` returns at `path`, as what its extension says, such as one of FORMATS."""
    with _garbage_left(), _settings(), warnings.catch_warnings():
        # A name in a script that the fonts lack shows as boxes; the picture is still of use.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        _write(path, draw())


def _settings() -> AbstractContextManager[None]:
    import matplotlib

    return matplotlib.rc_context({**_SETTINGS, "font.family": _fonts()})


def _write(path: Path, figure: "Figure") -> None:
    if path.suffix == ".png":
        write_png(path, figure)
    else:
        figure.savefig(path, metadata=_METADATA.get(path.suffix))


@contextmanager
def _garbage_left() -> Iterator[None]:
    """Collect garbage after a picture: while it is drawn, and matplotlib loaded, hardly anything is to be found."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def titled_figure(title: str, summary: Sequence[str], body: float) -> tuple["Figure", float]:
    """Return a figure with a title, lines of summary below it and `body` inches for the rest; and what is above that.

    `summary` are lines that may be longer than the picture is wide.
    """
    # Here, because a run that draws nothing should not wait for it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    head = textwrap.wrap(title, limit(title, 95))
    lines = [part for line in summary for part in textwrap.wrap(line, limit(line, 160))]
    # Inches
    head_height = 0.1 + 0.22 * len(head)
    top = head_height + 0.17 * len(lines) + 0.4
    height = top + body
    figure = Figure(figsize=(WIDTH, height), dpi=100)
    FigureCanvasAgg(figure)
    as_written(figure.text(0.01, 1 - 0.1 / height, "\n".join(head), va="top", fontsize=13, fontweight="bold"))
    as_written(figure.text(0.01, 1 - head_height / height, "\n".join(lines), va="top", fontsize=9, color="#333333"))
    return figure, top


def channel_panels(title: str, summary: Sequence[str], channels: int) -> tuple["Figure", list["Axes"]]:
    """Return a figure with axes of the same size for so many channels, at most four in a row."""
    columns = min(4, channels)
    rows = -(-channels // columns)
    figure, top = titled_figure(title, summary, 3.1 * rows + 0.35)
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for ax in axes[channels:]:
        ax.remove()
    width, height = figure.get_size_inches()
    # Of few channels, none is stretched over all of the width.
    right = min(width - 0.25, 0.9 + columns * 4.6)
    figure.subplots_adjust(
        left=0.9 / width, right=right / width, bottom=0.55 / height, top=1 - (top + 0.15) / height,
        wspace=0.3, hspace=0.42,
    )  # fmt: skip
    for ax in axes[:channels]:
        plain_axes(ax)
    return figure, axes[:channels]


def panel_name(number: int, name: str) -> str:
    """Return what a channel is called above its panel, and in a legend."""
    return "  ".join(filter(None, (f"channel {number}", shortened(name))))


def plain_axes(ax: "Axes") -> None:
    """Draw axes without a frame above and at the right, with small numbers."""
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)


def inches(texts: Iterable[str]) -> float:
    """Return the inches that the longest of some texts, of font size 8, is wide at most."""
    return 0.07 * max(map(letters, texts), default=0)


def duration(seconds: float) -> str:
    """Return a duration for people: 2.5 s, 40 min 0 s, 3 h 20 min."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def count_of(number: int, what: str) -> str:
    """Return a number with what is counted: 1 edge, 1 083 events."""
    return f"{number:,} {what}{'' if number == 1 else 's'}".replace(",", "\u202f")


def as_written(text: "Text") -> None:
    """Take a name as it is: a dollar sign in it starts no formula."""
    text.set_parse_math(False)


def limit(text: str, characters: int) -> int:
    """Return so many characters, or half as many for a text with wide ones, such as Chinese."""
    return characters // 2 if letters(text) > len(text) else characters


def letters(text: str) -> int:
    """Return how many letters a text is wide; a wide one, such as a Chinese one, counts as two."""
    return len(text) + sum(unicodedata.east_asian_width(one) in "WF" for one in text)


def shortened(text: str) -> str:
    """Return a name without its middle if it is longer than a row of the picture is high."""
    part = limit(text, 10)
    return text if len(text) <= 2 * part else f"{text[:part]}…{text[-part + 1 :]}"


def _fonts() -> list[str]:
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    return ["DejaVu Sans", *[name for name in _CJK_FONTS if name in installed][:1]]
