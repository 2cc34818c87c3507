"""PNG files of figures: the pixels that matplotlib draws, texts at whole pixels, none drawn twice."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from PIL import Image

from neuroluigi.signals.png import encoded, write_png
from neuroluigi.steps.target import check_png

BLUE = (0, 0, 1)


def plain_figure(*texts, **how):
    """Return a figure of 3 x 2 inches with texts in its middle."""
    figure = Figure(figsize=(3, 2), dpi=100)
    FigureCanvasAgg(figure)
    for text in texts:
        figure.text(0.5, 0.5, text, ha="center", va="center", **how)
    return figure


def written(path, figure):
    write_png(path, figure)
    check_png(path)
    return np.asarray(Image.open(path))


def by_matplotlib(path, figure):
    figure.savefig(path)
    return np.asarray(Image.open(path).convert("RGB"))


def inked(pixels):
    """Return top, bottom, left and right of what is not white, and how dark it is in all."""
    ink = 255 - pixels.min(axis=2).astype(int)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return (rows[0], rows[-1], columns[0], columns[-1]), ink.sum()


def test_a_file_has_each_pixel_and_its_resolution(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (7, 13, 3), np.uint8)
    (tmp_path / "a.png").write_bytes(encoded(pixels, 100))
    check_png(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "RGB" and image.info["dpi"] == pytest.approx((100, 100), abs=0.01)
        assert np.array_equal(np.asarray(image), pixels)


def test_what_is_no_text_is_as_matplotlib_draws_it(tmp_path):
    def figure():
        figure = plain_figure()
        figure.set_size_inches(3, 2.037)
        ax = figure.subplots()
        ax.plot([1, 3, 2], "o-", markersize=7)
        ax.pcolormesh(np.arange(12).reshape(3, 4), alpha=0.4)
        ax.axis("off")
        return figure

    assert np.array_equal(written(tmp_path / "a.png", figure()), by_matplotlib(tmp_path / "b.png", figure()))


@pytest.mark.parametrize("rotation", [0, 90])
@pytest.mark.parametrize("text", ["100", "fj, Ág_|", "of two\nlines", "神经元", "W" * 30])
@pytest.mark.parametrize("how", [{"fontsize": 7}, {"fontsize": 13, "fontweight": "bold", "color": BLUE}])
@pytest.mark.filterwarnings("ignore:Glyph .* missing from")
def test_a_text_is_where_matplotlib_has_it(tmp_path, text, rotation, how):
    ours, other = (
        inked(drawn(tmp_path / "a.png", plain_figure(text, rotation=rotation, **how)))
        for drawn in (written, by_matplotlib)
    )
    assert np.abs(np.subtract(ours[0], other[0])).max() <= 1
    assert ours[1] == pytest.approx(other[1], rel=0.1)


@pytest.mark.parametrize("how", [{"rotation": 30}, {"rotation": 45}, {"alpha": 0.4}, {"parse_math": True}])
def test_texts_of_rare_kinds_are_as_matplotlib_draws_them(tmp_path, how):
    ours, other = (
        drawn(tmp_path / "a.png", plain_figure("$x^2$ of it" if "parse_math" in how else "some", **how))
        for drawn in (written, by_matplotlib)
    )
    assert np.array_equal(ours, other)


def test_texts_that_differ_in_one_thing_are_not_taken_for_each_other(tmp_path):
    kinds = [{}, {"fontsize": 12}, {"color": BLUE}, {"rotation": 90}, {"fontweight": "bold"}, {"family": "serif"}]
    first = [written(tmp_path / "a.png", plain_figure("some", **how)) for how in kinds]
    assert len({pixels.tobytes() for pixels in first}) == len(kinds)
    again = [written(tmp_path / "a.png", plain_figure("some", **how)) for how in kinds]
    assert all(np.array_equal(*both) for both in zip(first, again, strict=True))


def test_a_font_that_changes_its_size_is_another_one(tmp_path):
    figure = plain_figure("some", fontsize=8)
    small = written(tmp_path / "a.png", figure)
    figure.texts[0].set_fontsize(16)
    assert inked(written(tmp_path / "a.png", figure))[1] > 2 * inked(small)[1]
    assert np.array_equal(written(tmp_path / "a.png", plain_figure("some", fontsize=8)), small)


def test_a_text_that_comes_again_is_not_drawn_again(tmp_path, monkeypatch):
    drawn, measured = [], []
    draw, measure = RendererAgg.draw_text, RendererAgg.get_text_width_height_descent

    def count(self, gc, x, y, text, *more, **named):
        drawn.append(text)
        draw(self, gc, x, y, text, *more, **named)

    def count_measured(self, text, *more):
        measured.append(text)
        return measure(self, text, *more)

    monkeypatch.setattr(RendererAgg, "draw_text", count)
    monkeypatch.setattr(RendererAgg, "get_text_width_height_descent", count_measured)
    for name in "abc":
        written(tmp_path / "a.png", plain_figure("comes again", "comes again", f"only in {name}"))
    assert drawn == ["comes again", "only in a", "only in b", "only in c"]
    assert [text for text in measured if text != "lp"] == drawn
