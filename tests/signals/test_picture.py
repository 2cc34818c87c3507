"""What all pictures have in common: reproducible files in each format, and texts as they are."""

import gc
import warnings

import numpy as np
import pytest

from neuroluigi.signals.depth import depth_figure
from neuroluigi.signals.intervals import intervals_figure
from neuroluigi.signals.picture import FORMATS, channel_panels, count_of, duration, save_picture, titled_figure
from neuroluigi.signals.raster import raster_figure
from neuroluigi.signals.rates import rates_figure
from neuroluigi.signals.spectrum import spectrum_figure
from neuroluigi.signals.traces import traces_figure
from neuroluigi.signals.waveforms import waveforms_figure
from neuroluigi.steps.target import CHECKS
from tests.signals.aggregates import write_aggregate
from tests.signals.events import as_crossings, events
from tests.signals.group import noise
from tests.signals.test_plotting_texts import assert_apart, boxes


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


@pytest.mark.parametrize("is_enabled", [True, False])
def test_no_garbage_is_collected_while_a_picture_is_drawn(tmp_path, is_enabled):
    collections = []

    def drawn_of_much():
        before = len(collections)
        # More than any threshold of the collector.
        assert len([[] for _ in range(100_000)]) and len(collections) == before
        return drawn()

    def broken():
        raise ValueError("no picture")

    gc.callbacks.append(lambda phase, info: collections.append(phase))
    (gc.enable if is_enabled else gc.disable)()
    try:
        save_picture(tmp_path / "a.png", drawn_of_much)
        assert gc.isenabled() == is_enabled
        with pytest.raises(ValueError, match="no picture"):
            save_picture(tmp_path / "a.png", broken)
        assert gc.isenabled() == is_enabled
        # What is left of the pictures is collected by itself, by the next objects.
        assert len([[] for _ in range(100_000)]) and bool(collections) == is_enabled
    finally:
        gc.callbacks.pop()
        gc.enable()


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


def all_kinds(tmp_path, name, channels, onsets):
    """Yield each figure of a group of that name, whose channels are called so too."""
    described = [
        {"kind": "ap", "name": f"{name} {n}", "scale": 1 / 3e4, "unit": name, "y": 20.0 * n} for n in range(channels)
    ]
    path = write_aggregate(tmp_path, noise(40_000, channels), channels=described, sampling_rate_hz=1000.0)
    flag, count = [""] * channels, np.bincount(np.arange(onsets) % channels, minlength=channels).tolist()
    flag[-1], count[-1] = "bad", None
    some = events(np.linspace(10, 39_990, onsets), np.arange(onsets) % channels, None, np.full(onsets, -9),
                  name="Spikes", **as_crossings(flag=flag, count=count, level=[-1e5 / 7] * channels))  # fmt: skip
    rows = [{"channel": n, "neighbours": [n], "first": n, "count": 1, "left_out": 0} for n in range(channels)]
    around = {"rows": rows, "before_samples": 4, "after_samples": 5, "sampling_rate_hz": 1000.0}
    chosen = [str(n) for n in range(max(0, channels - 8), channels)]
    yield traces_figure(name, path, some, "octave 7.3.0", chosen)
    yield traces_figure(name, path, some, "octave 7.3.0", chosen, "event")
    yield intervals_figure(name, path, some, "octave 7.3.0", chosen)
    yield rates_figure(name, path, some, "octave 7.3.0", chosen)
    yield raster_figure(name, path, some, "octave 7.3.0")
    yield spectrum_figure(name, path, "", chosen)
    yield waveforms_figure(name, path, some, np.zeros((channels, 10)), around, "octave 7.3.0", chosen)
    if channels > 1:
        yield depth_figure(name, path, some, "octave 7.3.0")


@pytest.mark.parametrize(
    ("name", "channels", "onsets"),
    [("a long name of a group and its channels " * 4, 8, 500), ("神经元记录" * 20, 70, 1), ("a-even", 1, 0)],
    ids=["long", "Chinese", "no events"],
)
def test_texts_of_all_kinds_neither_overlap_nor_leave_the_picture(tmp_path, name, channels, onsets):
    for figure in all_kinds(tmp_path, name, channels, onsets):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            places = boxes(figure)
        assert_apart(figure, places)
