"""What all pictures have in common: reproducible files in each format, and texts as they are."""

import warnings

import pytest

from neuroluigi.signals.picture import FORMATS, channel_panels, count_of, duration, save_picture, titled_figure
from neuroluigi.steps.target import CHECKS


def drawn(title="A title", summary=("a line",)):
    figure, top = titled_figure(title, summary, 2)
    ax = figure.subplots()
    ax.plot([1, 3, 2], label="$x$")
    figure.subplots_adjust(top=1 - top / figure.get_figheight())
    return figure


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_picture_is_the_same_whole_file(tmp_path, format):
    paths = [tmp_path / f"{n}.{format}" for n in range(2)]
    for path in paths:
        save_picture(path, drawn)
        CHECKS[path.suffix](path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert b"Date" not in paths[0].read_bytes()


def test_text_in_svg_is_text(tmp_path):
    save_picture(tmp_path / "a.svg", lambda: drawn("Gruppe 1 $a$", ["神经元"]))
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "Gruppe 1 $a$" in text and "神经元" in text


@pytest.mark.parametrize("format", FORMATS)
def test_a_name_that_no_font_has_is_no_warning(tmp_path, format):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_picture(tmp_path / f"a.{format}", lambda: drawn("神" * 200, ["神" * 400]))
    assert (tmp_path / f"a.{format}").stat().st_size


def test_the_picture_grows_with_its_texts():
    (short, top), (long, more) = titled_figure("a", ["b"], 2), titled_figure("a " * 200, ["b " * 400], 2)
    assert more > top and long.get_figheight() - more == pytest.approx(short.get_figheight() - top) == 2


@pytest.mark.parametrize(("channels", "rows"), [(1, 1), (4, 1), (5, 2), (8, 2)])
def test_panels_are_four_to_a_row_and_no_more_than_channels(channels, rows):
    figure, axes = channel_panels("a", [], channels)
    assert len(axes) == len(figure.axes) == channels
    assert len({round(ax.get_position().y0, 6) for ax in axes}) == rows


def test_durations_and_counts_in_words():
    assert [duration(one) for one in (0.5, 59, 61, 7265)] == ["0.5 s", "59 s", "1 min 1 s", "2 h 1 min"]
    assert [count_of(n, "event").replace("\u202f", " ") for n in (0, 1, 1083)] == [
        "0 events",
        "1 event",
        "1 083 events",
    ]
