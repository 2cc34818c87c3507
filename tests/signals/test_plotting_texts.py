"""What is written in a plot: names, units, numbers; nothing overlaps or leaves the picture."""

import warnings

import numpy as np
import pytest

from tests.signals.group import Group, noise, words

STRANGE = ["$x$", "{a", "a_b^c", "\\alpha", "神经元", "$\\frac{$", "Grüße", "%s {0}", "a$b_$c^"]
LONG_NAME = "Mouse-17_visual-cortex_2024-03-05_session-with-a-VERY-LONG-name_probe-1_stream-ap"
LONG_REASON = "the electrode came loose in the middle of the recording and was replaced by another one, " * 4


def test_a_group_in_words(tmp_path):
    excluded = [
        {"session": "a", "index": "7", "reason": "electrode came loose"},
        {"session": "a", "index": "9", "reason": ""},
    ]
    group = Group(
        tmp_path, np.tile([0, 1000, 1200], 500).astype("int16"), [1000, 500], ["4", "6"], excluded,
        sampling_rate_hz=360.0, scale=0.005, offset=-5.12, unit="mV", channel_names=["MLII"],
    )  # fmt: skip
    said = words(group.figure(level=1130, threshold=0.75, title="a-even"))
    for part in (
        "a-even", "2 recordings", "1 channel ", "1 500 samples", "4.17 s at 360 Hz", "500 edges", "octave 7.3.0",
        "left out: a/7 (electrode came loose)", "left out: a/9", "level 0.53 mV", "(0.75 of range)", "time [s]",
        "[mV]", "MLII", "channel 0", "recording 4", "\n6\n",
    ):  # fmt: skip
        assert part in f"{said}\n", part


def test_physical_units(tmp_path):
    group = Group(tmp_path, np.array([1024, 1224, 1024], "int16"), scale=0.005, offset=-5.12, unit="mV")
    samples, level, marks = group.figure(level=1124).axes[0].lines
    assert samples.get_ydata() == pytest.approx([0, 1, 0])
    assert level.get_ydata() == pytest.approx([0.5, 0.5])
    assert marks.get_xdata().tolist() == [1] and marks.get_ydata() == pytest.approx([0.5])


@pytest.mark.parametrize(
    "known", [{}, {"scale": 2.0}, {"scale": 2.0, "offset": 1.0}, {"unit": "mV"}, {"offset": 1.0, "unit": "mV"}]
)
def test_counts_where_units_are_not_known_in_full(tmp_path, known):
    figure = Group(tmp_path, noise(10), **known).figure()
    assert "[counts]" in words(figure)
    assert figure.axes[0].lines[0].get_ydata().max() == noise(10).max()


def test_each_channel_has_its_own_name_scale_and_unit(tmp_path):
    channels = [
        {"name": "AP0", "kind": "ap", "scale": 2.0, "offset": 1.0, "unit": "uV"},
        {"kind": "analog", "scale": 0.5, "unit": "V"},
        {"name": "SY0", "kind": "digital"},
    ]
    data = np.array([[0, 0, 0], [10, 20, 64]], "int16")
    figure = Group(tmp_path, data, channels=channels).figure(level=[5, 10, 32])
    assert [ax.get_ylabel() for ax in figure.axes] == [
        "channel 0\nAP0\n[uV]",
        "channel 1\n[V]",
    ]
    drawn = [[np.asarray(line.get_ydata()).tolist() for line in ax.lines] for ax in figure.axes]
    # Samples, level, and a mark on it.
    assert drawn == [[[1, 21], [11, 11], [11]], [[0, 10], [5, 5], [5]]]
    said = words(figure)
    assert "2 of 3 channels shown" in said and "level 11 uV\n(5 counts)" in said and "level 5 V\n(10 counts)" in said


def test_an_offset_that_is_not_declared_is_0(tmp_path):
    figure = Group(tmp_path, noise(10), scale=2.0, unit="mV").figure()
    assert "[mV]" in words(figure)
    assert figure.axes[0].lines[0].get_ydata().max() == 2 * int(noise(10).max())


def test_seconds_or_sample_numbers(tmp_path):
    figure = Group(tmp_path, noise(100), sampling_rate_hz=50.0).figure()
    assert figure.axes[-1].get_xlabel() == "time [s]" and figure.axes[0].lines[0].get_xdata()[-1] == 99 / 50
    figure = Group(tmp_path, noise(100)).figure()
    assert figure.axes[-1].get_xlabel() == "sample" and figure.axes[0].lines[0].get_xdata()[-1] == 99


def test_a_level_given_in_counts_is_no_fraction(tmp_path):
    said = words(Group(tmp_path, noise(100)).figure(level=130.25))
    assert "level 130.25 counts" in said and "of range" not in said


def test_eight_of_many_channels(tmp_path):
    figure = Group(tmp_path, noise(50, 139)).figure(level=128)
    said = words(figure)
    assert "8 of 139 channels shown" in said
    assert len(figure.axes) == 8 and "channel 0" in said and "channel 138" in said
    edges = int(((noise(50, 139)[1:] >= 128) & (noise(50, 139)[:-1] < 128)).sum())
    assert f"{edges:,} edges".replace(",", " ") in said


def test_singular_and_plural(tmp_path):
    said = words(Group(tmp_path, np.array([0, 1], "uint8")).figure(level=1))
    assert all(part in said for part in ("1 recording ", "1 channel ", "2 samples ", "1 edge "))


def test_many_left_out(tmp_path):
    excluded = [{"session": "a", "index": str(n), "reason": "noise"} for n in range(9)]
    said = words(Group(tmp_path, noise(10), excluded=excluded).figure())
    assert "a/3 (noise)" in said and "a/4" not in said and "5 more" in said


@pytest.mark.parametrize("name", STRANGE)
def test_strange_names_are_written_as_they_are(tmp_path, name):
    excluded = [{"session": name, "index": name, "reason": name}]
    group = Group(tmp_path, noise(20), [10, 10], [name, name + "2"], excluded, scale=1.0, offset=0.0, unit=name,
                  channel_names=[name])  # fmt: skip
    figure = group.figure(title=name, made_by=name)
    for text in figure.findobj(lambda artist: hasattr(artist, "get_parse_math") and name in artist.get_text()):
        assert not text.get_parse_math()
    said = words(figure)
    assert f"left out: {name}/{name} ({name})" in said
    assert f"[{name}]" in said and f"recording {name}" in said and said.startswith(f"{name}\n")
    group.save(tmp_path / "plot.png", title=name, made_by=name)


def boxes(figure) -> list[tuple[str, object]]:
    """Return each text that is drawn in a figure, and where, in pixels."""
    figure.canvas.draw()
    texts = list(figure.texts)
    for ax in figure.axes:
        texts += [*ax.texts, ax.title, ax._left_title]
        for axis in (ax.xaxis, ax.yaxis):
            lowest, highest = sorted(axis.get_view_interval())
            texts += [
                axis.label,
                *(tick.label1 for tick in axis.get_major_ticks() if lowest <= tick.get_loc() <= highest),
            ]
    return [(text.get_text(), text.get_window_extent()) for text in texts if text.get_visible() and text.get_text()]


def assert_apart(figure, places) -> None:
    """Assert that no two texts overlap, and that none leaves the picture."""
    width, height = figure.canvas.get_width_height()
    for name, box in places:
        assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height, name
    for number, (name, box) in enumerate(places):
        for other, its_box in places[:number]:
            is_apart = box.x1 <= its_box.x0 or its_box.x1 <= box.x0 or box.y1 <= its_box.y0 or its_box.y1 <= box.y0
            # Lines of text may touch by a pixel.
            overlap = min(box.y1, its_box.y1) - max(box.y0, its_box.y0)
            assert is_apart or overlap < 2, (name, other)


@pytest.mark.parametrize("samples", [200, 20_000])
@pytest.mark.parametrize(
    ("title", "reason"),
    [("a-even", ""), (LONG_NAME, LONG_REASON), ("long name " * 30, "神" * 300), ("神" * 100, LONG_REASON[:300])],
    ids=["short", "long", "very long", "Chinese"],
)
def test_texts_neither_overlap_nor_leave_the_picture(tmp_path, samples, title, reason):
    excluded = [{"session": "s", "index": str(n), "reason": reason} for n in range(6)] if reason else []
    group = Group(
        tmp_path, noise(samples, 2), [samples // 50] * 50, excluded=excluded, sampling_rate_hz=30_000.0,
        scale=1 / 3e7, offset=1 / 7e5, unit=title, channel_names=[title, title],
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure = group.figure(level=191.25, threshold=0.75, title=title)
        places = boxes(figure)
    assert_apart(figure, places)
    width, _ = figure.canvas.get_width_height()
    assert figure.axes[0].get_window_extent().width > 0.5 * width


def test_the_ends_of_a_long_name_of_a_channel_are_kept(tmp_path):
    names = [f"a long name of a channel in the hippocampus {n}" for n in range(2)]
    said = words(Group(tmp_path, noise(50, 2), channel_names=names).figure())
    assert "channel 0\na long nam…ocampus 0\n" in said and "channel 1\na long nam…ocampus 1\n" in said


def test_indices_are_written_where_there_is_room(tmp_path):
    figure = Group(
        tmp_path, noise(3000), [1000, 1, 1999], ["a-rather-long-one", "another-one", "the-last-one"]
    ).figure()
    said = words(figure)
    assert "recording a-rather-long-one" in said and "another-one" in said and "the-last-one" not in said


def test_numbers_of_the_axes_are_written_in_full(tmp_path):
    figure = Group(tmp_path, 123456789 + noise(3000).astype("int32") % 5).figure(level=123456790)
    figure.canvas.draw()
    assert figure.axes[0].yaxis.get_offset_text().get_text() == ""
    assert "123456790" in [label.get_text() for label in figure.axes[0].get_yticklabels()]
