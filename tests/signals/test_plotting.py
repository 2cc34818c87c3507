"""What the pictures show: every sample's extremes, and the words around them."""

import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from neuroluigi.signals import blocks, plotting
from neuroluigi.steps.target import check_png


class Group:
    """A group's files and figure, from an array (samples, channels)."""

    def __init__(self, folder, data, counts=None, indices=None, excluded=(), **known):
        data = np.asarray(data)
        self.data = data.reshape(len(data), -1)
        self.file = str(folder / "data.bin")
        self.data.tofile(self.file)
        counts = counts or [len(data)]
        firsts = [0, *np.cumsum(counts)[:-1].tolist()]
        indices = indices or [str(n) for n in range(len(counts))]
        recordings = [
            {"session": "s", "index": index, "path": "p", "first_sample": first, "samples": count}
            for index, first, count in zip(indices, firsts, counts, strict=True)
        ]
        self.layout = {
            "dtype": self.data.dtype.name,
            "channels": self.data.shape[1],
            "recordings": recordings,
            "segments": firsts,
            "excluded": list(excluded),
            **known,
        }

    def arguments(self, level, threshold=None, edges=None, title="group", made_by="octave 7.3.0") -> dict:
        if edges is None:
            with np.errstate(invalid="ignore"):
                edges = np.argwhere((self.data[1:] >= level) & (self.data[:-1] < level)) + np.array([1, 0])
        return {
            "title": title,
            "data_file": self.file,
            "layout": self.layout,
            "edges": edges,
            "levels": np.broadcast_to(np.asarray(level, dtype=float), self.data.shape[1]).tolist(),
            "threshold": threshold,
            "made_by": made_by,
        }

    def figure(self, level=0.5, **others):
        return plotting.group_figure(**self.arguments(level, **others))

    def save(self, path, level=0.5, **others) -> None:
        """Save the picture; a warning is an error."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            plotting.plot_group(path, **self.arguments(level, **others))
        check_png(path)


def words(figure) -> str:
    """Return all texts of a figure."""
    texts = [text.get_text() for text in figure.texts]
    for ax in figure.axes:
        texts += [t.get_text() for t in (*ax.texts, ax.title, ax.xaxis.label, ax.yaxis.label)]
    return "\n".join(texts).replace("\u202f", " ")


def noise(samples: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(samples).integers(0, 256, (samples, channels), dtype="uint8")


# The envelope


@settings(max_examples=150, deadline=None)
@given(
    samples=st.integers(1, 90),
    channels=st.integers(1, 4),
    columns=st.integers(1, 12),
    block_values=st.integers(1, 40),
    nan_share=st.sampled_from([0, 0.3, 1]),
    seed=st.integers(0, 1000),
)
def test_the_envelope_has_the_extremes_of_each_column(
    tmp_path_factory, samples, channels, columns, block_values, nan_share, seed
):
    random = np.random.default_rng(seed)
    data = random.integers(-50, 50, (samples, channels)).astype("float32")
    data[random.random(data.shape) < nan_share] = np.nan
    file = tmp_path_factory.mktemp("envelope") / "data.bin"
    data.tofile(file)
    shown = min(channels, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plotting, "COLUMNS", columns)
        patch.setattr(blocks, "BLOCK_VALUES", block_values)
        x, y = plotting.envelope(str(file), "float32", channels, samples, shown, [0])
    if samples <= 2 * columns:
        assert np.array_equal(x, np.arange(samples)) and np.array_equal(y, data[:, :shown], equal_nan=True)
        return
    of_column = [[s for s in range(samples) if s * columns // samples == c] for c in range(columns)]
    assert sum(map(len, of_column)) == samples
    expected = []
    for members in of_column:
        for smallest in (True, False):
            columns_of = [[v for v in data[members, c] if not np.isnan(v)] for c in range(shown)]
            expected.append([(min(v) if smallest else max(v)) if v else np.nan for v in columns_of])
    assert np.array_equal(y, expected, equal_nan=True)
    assert x.tolist() == [(m[0] + m[-1]) / 2 for m in of_column for _ in range(2)]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"])
def test_the_envelope_of_every_dtype(tmp_path, dtype):
    data = (np.arange(5000) % 100).astype(dtype)
    data.tofile(tmp_path / "data.bin")
    _, y = plotting.envelope(str(tmp_path / "data.bin"), dtype, 1, 5000, 1, [0])
    assert (y.min(), y.max()) == (0, 99)


def test_few_samples_are_drawn_with_gaps_between_segments(tmp_path):
    np.arange(6, dtype="uint8").tofile(tmp_path / "data.bin")
    x, y = plotting.envelope(str(tmp_path / "data.bin"), "uint8", 1, 6, 1, [0, 2, 5])
    assert x.tolist() == [0, 1, 2, 2, 3, 4, 5, 5]
    assert np.array_equal(y.ravel(), [0, 1, np.nan, 2, 3, 4, np.nan, 5], equal_nan=True)


def extremes(x, y, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a line 1100 pixels wide and return the highest and the lowest drawn row of each pixel column."""
    figure = Figure(figsize=(11, 4), dpi=100)
    canvas = FigureCanvasAgg(figure)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.axis("off")
    ax.plot(x, y, color="black", linewidth=1.5)
    ax.set_xlim(-0.5, samples - 0.5)
    ax.set_ylim(-10, 265)
    canvas.draw()
    is_drawn = np.asarray(canvas.buffer_rgba())[:, :, 0] < 200
    assert is_drawn.any(axis=0)[5:-5].all()
    return is_drawn.argmax(axis=0)[5:-5], is_drawn[::-1].argmax(axis=0)[5:-5]


@pytest.mark.parametrize("samples", [2201, 11_000, 55_321])
def test_the_envelope_looks_as_all_samples_do(tmp_path, samples):
    # Slow waves, and single samples far away, which thinning would lose.
    data = (120 + 60 * np.sin(np.arange(samples) / samples * 20)).astype("uint8")
    spikes = np.random.default_rng(0).integers(0, samples, 30)
    data[spikes] = 255
    group = Group(tmp_path, data)
    x, y = plotting.envelope(group.file, "uint8", 1, samples, 1, [0])
    assert len(x) < samples
    for drawn, whole in zip(extremes(x, y[:, 0], samples), extremes(np.arange(samples), data, samples), strict=True):
        # A line may fall into the pixel column beside, so a column is compared with its neighbours.
        near = np.stack([np.roll(whole, shift) for shift in (-1, 0, 1)])[:, 1:-1]
        drawn = drawn[1:-1]
        assert ((drawn >= near.min(axis=0) - 2) & (drawn <= near.max(axis=0) + 2)).mean() > 0.99
        # Each spike of one picture is in the other: top row of 255 is (265 - 255) / 275 * 400 = 15.
        assert (drawn < 20).any() == (whole < 20).any()


def test_no_single_sample_is_lost_in_a_long_recording(tmp_path):
    data = np.zeros(300_000, dtype="int16")
    for place in (0, 123_456, 299_999):
        data[:] = 0
        data[place] = 1000
        group = Group(tmp_path, data)
        line = group.figure(level=500).axes[0].lines[0]
        assert np.nanmax(line.get_ydata()) == 1000


# Edges


def test_edges_are_thinned_to_one_a_pixel_but_counted_in_full(tmp_path):
    group = Group(tmp_path, np.tile([0, 9], 50_000).astype("uint8"))
    figure = group.figure(level=5)
    assert "50 000 edges" in words(figure)
    marks = figure.axes[0].lines[2].get_xdata()
    assert len(marks) == plotting.COLUMNS
    assert set(marks) <= set(range(1, 100_000, 2))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("columns", [7, 150])
def test_the_marks_are_the_first_edges_of_their_columns(monkeypatch, channels, columns):
    monkeypatch.setattr(plotting, "COLUMNS", columns)
    random = np.random.default_rng(3)
    edges = np.unique(np.stack([random.integers(0, 100, 60), random.integers(0, channels, 60)], axis=1), axis=0)
    marks, counts = plotting._edge_marks(edges, 100, min(channels, 2), channels)
    assert counts.tolist() == [int((edges[:, 1] == c).sum()) for c in range(channels)]
    for channel in range(min(channels, 2)):
        samples = edges[edges[:, 1] == channel, 0].tolist()
        first = {s * columns // 100: s for s in reversed(samples)}
        assert marks[channel].tolist() == [first[column] for column in sorted(first)]


def test_the_details_show_edges_where_the_samples_rise(tmp_path):
    data = np.zeros(20_000, dtype="uint8")
    data[10_000:10_010] = 200
    figure = Group(tmp_path, data, sampling_rate_hz=1000.0).figure(level=100)
    detail = figure.axes[1]
    assert detail.get_title().replace("\u202f", " ") == "1 000 samples of it"
    samples, _, marks = detail.lines
    assert marks.get_xdata().tolist() == [10.0]
    assert len(samples.get_xdata()) == 1000 and samples.get_ydata().max() == 200


def test_the_details_stay_within_one_recording(tmp_path):
    data = np.zeros(20_000, dtype="uint8")
    data[10_010] = 200
    samples = Group(tmp_path, data, counts=[10_000, 9_500, 500]).figure(level=100).axes[1].lines[0].get_xdata()
    assert (samples[0], samples[-1]) == (10_000, 10_999)


# Words


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
        "left out: a/7 (electrode came loose)", "left out: a/9", "level 1130 counts", "(0.75 of range)", "time [s]",
        "[mV]", "MLII", "channel 0", "recording 4", "\n6\n",
    ):  # fmt: skip
        assert part in f"{said}\n", part


def test_physical_units(tmp_path):
    group = Group(tmp_path, np.array([1024, 1224, 1024], "int16"), scale=0.005, offset=-5.12, unit="mV")
    samples, level, marks = group.figure(level=1124).axes[0].lines
    assert samples.get_ydata() == pytest.approx([0, 1, 0])
    assert level.get_ydata() == pytest.approx([0.5, 0.5])
    assert marks.get_xdata().tolist() == [1] and marks.get_ydata() == pytest.approx([0.5])


@pytest.mark.parametrize("known", [{}, {"scale": 2.0}, {"scale": 2.0, "offset": 1.0}, {"unit": "mV"}])
def test_counts_where_units_are_not_known_in_full(tmp_path, known):
    figure = Group(tmp_path, noise(10), **known).figure()
    assert "[counts]" in words(figure)
    assert figure.axes[0].lines[0].get_ydata().max() == noise(10).max()


def test_seconds_or_sample_numbers(tmp_path):
    figure = Group(tmp_path, noise(100), sampling_rate_hz=50.0).figure()
    assert figure.axes[-1].get_xlabel() == "time [s]" and figure.axes[0].lines[0].get_xdata()[-1] == 99 / 50
    figure = Group(tmp_path, noise(100)).figure()
    assert figure.axes[-1].get_xlabel() == "sample" and figure.axes[0].lines[0].get_xdata()[-1] == 99


def test_a_level_given_in_counts_is_no_fraction(tmp_path):
    said = words(Group(tmp_path, noise(100)).figure(level=130.25))
    assert "level 130.25 counts" in said and "of range" not in said


def test_the_first_eight_of_many_channels(tmp_path):
    figure = Group(tmp_path, noise(50, 139)).figure(level=128)
    said = words(figure)
    assert "139 channels (the first 8 shown)" in said
    assert len(figure.axes) == 8 and "channel 7" in said and "channel 8" not in said
    edges = int(((noise(50, 139)[1:] >= 128) & (noise(50, 139)[:-1] < 128)).sum())
    assert f"{edges:,} edges".replace(",", " ") in said


def test_singular_and_plural(tmp_path):
    said = words(Group(tmp_path, np.array([0, 1], "uint8")).figure(level=1))
    assert all(part in said for part in ("1 recording ", "1 channel ", "2 samples ", "1 edge "))


def test_many_left_out(tmp_path):
    excluded = [{"session": "a", "index": str(n), "reason": "noise"} for n in range(9)]
    said = words(Group(tmp_path, noise(10), excluded=excluded).figure())
    assert "a/3 (noise)" in said and "a/4" not in said and "5 more" in said


STRANGE = ["$x$", "{a", "a_b^c", "\\alpha", "神经元", "$\\frac{$", "Grüße", "%s {0}", "a$b_$c^"]


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
        texts += [*ax.texts, ax.title]
        for axis in (ax.xaxis, ax.yaxis):
            lowest, highest = sorted(axis.get_view_interval())
            texts += [
                axis.label,
                *(tick.label1 for tick in axis.get_major_ticks() if lowest <= tick.get_loc() <= highest),
            ]
    return [(text.get_text(), text.get_window_extent()) for text in texts if text.get_visible() and text.get_text()]


LONG_NAME = "Mouse-17_visual-cortex_2024-03-05_session-with-a-VERY-LONG-name_probe-1_stream-ap"
LONG_REASON = "the electrode came loose in the middle of the recording and was replaced by another one, " * 4


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
    width, height = figure.canvas.get_width_height()
    for name, box in places:
        assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height, name
    for number, (name, box) in enumerate(places):
        for other, its_box in places[:number]:
            is_apart = box.x1 <= its_box.x0 or its_box.x1 <= box.x0 or box.y1 <= its_box.y0 or its_box.y1 <= box.y0
            # Lines of text may touch by a pixel.
            overlap = min(box.y1, its_box.y1) - max(box.y0, its_box.y0)
            assert is_apart or overlap < 2, (name, other)
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


# Data that is out of the ordinary


@pytest.mark.parametrize(
    ("data", "level"),
    [
        (np.array([7], "uint8"), 7),
        (np.full(500, 100, "int16"), 100),
        (np.full(50_000, 100, "int16"), 100),
        (np.full(100, np.nan), np.nan),
        (np.full(20_000, np.nan, "float32"), np.nan),
        (np.where(np.arange(20_000) % 7000 < 3000, np.nan, 1.5), 1),
        (np.where(np.arange(4000) == 100, np.inf, 1.0), 0.5),
        (np.array([1e300, -1e300, 1e300]), 0),
        (np.array([5e-324, 0]), 0),
        (noise(200), 1e6),
        (noise(200), -1e6),
        (noise(200), np.inf),
    ],
)
def test_a_picture_of_anything(tmp_path, data, level):
    Group(tmp_path, data, sampling_rate_hz=100.0).save(tmp_path / "plot.png", level)
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_channel_without_numbers(tmp_path):
    said = words(Group(tmp_path, np.array([[np.nan, 0], [np.nan, 1]])).figure(level=[np.nan, 1]))
    assert "no level" in said and "level 1 counts" in said


@pytest.mark.parametrize(("level", "place"), [(1e6, "far above"), (-1e6, "far below")])
def test_a_level_far_away_does_not_flatten_the_samples(tmp_path, level, place):
    figure = Group(tmp_path, noise(3000)).figure(level=level)
    lowest, highest = figure.axes[0].get_ylim()
    assert highest - lowest < 2 * 256
    assert place in words(figure) and f"level {level:.10g} counts" in words(figure)


def test_a_level_nearby_is_in_the_picture(tmp_path):
    figure = Group(tmp_path, noise(3000)).figure(level=300)
    assert figure.axes[0].get_ylim()[1] > 300 and "far" not in words(figure)


def test_numbers_of_the_axes_are_written_in_full(tmp_path):
    figure = Group(tmp_path, 123456789 + noise(3000).astype("int32") % 5).figure(level=123456790)
    figure.canvas.draw()
    assert figure.axes[0].yaxis.get_offset_text().get_text() == ""
    assert "123456790" in [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_memory_does_not_grow_with_the_file(tmp_path):
    with (tmp_path / "data.bin").open("wb") as file:
        file.truncate(100_000_000)  # sparse
    samples = 100_000_000 // 8
    layout = {
        "dtype": "int16", "channels": 4, "excluded": [], "segments": [0],
        "recordings": [{"session": "s", "index": "0", "path": "p", "first_sample": 0, "samples": samples}],
    }  # fmt: skip
    edges = np.stack([np.arange(0, samples, 50), np.zeros(samples // 50, dtype=int)], axis=1)
    # matplotlib's own modules and fonts are no part of what is measured.
    (tmp_path / "small").mkdir()
    Group(tmp_path / "small", noise(10)).save(tmp_path / "small" / "plot.png")
    tracemalloc.start()
    plotting.plot_group(tmp_path / "plot.png", "t", str(tmp_path / "data.bin"), layout, edges, [1.0] * 4, None, "")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6
    check_png(tmp_path / "plot.png")


def test_edges_in_a_mapped_file_or_a_part_of_one_are_those_in_memory(tmp_path):
    edges = np.column_stack([np.arange(0, 90_000, 9), np.arange(10_000) % 3])
    for order, rows in (("C", edges), ("F", edges), ("C", edges[:0])):
        np.save(tmp_path / "edges.npy", np.asarray(rows, order=order))
        mapped = np.load(tmp_path / "edges.npy", mmap_mode="r")
        for some in (mapped, mapped[4_000:6_000], mapped[mapped[:, 1] == 1]):
            expected, found = (plotting._edge_marks(one, 90_000, 3, 3) for one in (np.array(some), some))
            assert all(map(np.array_equal, expected[0], found[0])) and np.array_equal(expected[1], found[1])
            assert found[1].sum() == len(some)
