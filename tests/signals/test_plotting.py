"""What the pictures show: every sample's extremes, and the words around them."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from neuroluigi.signals import blocks, plotting
from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.steps.target import check_png
from tests.signals.aggregates import write_aggregate, write_parts
from tests.signals.group import Group, noise, words


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
    aggregate = read_aggregate(write_aggregate(tmp_path_factory.mktemp("envelope"), data))
    shown = min(channels, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plotting, "COLUMNS", columns)
        patch.setattr(blocks, "BLOCK_VALUES", block_values)
        x, y = plotting.envelope(aggregate, shown)
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
    data = (np.arange(5000) % 100).astype(dtype).reshape(-1, 1)
    _, y = plotting.envelope(read_aggregate(write_aggregate(tmp_path, data)), 1)
    assert (y.min(), y.max()) == (0, 99)


def test_few_samples_are_drawn_with_gaps_between_segments(tmp_path):
    data = np.arange(6, dtype="uint8").reshape(-1, 1)
    x, y = plotting.envelope(read_aggregate(write_aggregate(tmp_path, data, [0, 2, 5])), 1)
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
    x, y = plotting.envelope(read_aggregate(group.file), 1)
    assert len(x) < samples
    for drawn, whole in zip(extremes(x, y[:, 0], samples), extremes(np.arange(samples), data, samples), strict=True):
        # A line may fall into the pixel column beside, so a column is compared with its neighbours.
        near = np.stack([np.roll(whole, shift) for shift in (-1, 0, 1)])[:, 1:-1]
        drawn = drawn[1:-1]
        assert ((drawn >= near.min(axis=0) - 2) & (drawn <= near.max(axis=0) + 2)).mean() > 0.99
        # Each spike of one picture is in the other: top row of 255 is (265 - 255) / 275 * 400 = 15.
        assert (drawn < 20).any() == (whole < 20).any()


def test_the_picture_does_not_depend_on_where_the_samples_lie(tmp_path):
    group = Group(tmp_path, noise(30_000, 3), [12_000, 18_000], sampling_rate_hz=100.0)
    before = [line.get_xydata() for ax in group.figure(level=200).axes for line in ax.lines]
    known = {name: read_aggregate(group.file).content[name] for name in ("recordings", "excluded", "sampling_rate_hz")}
    write_parts(tmp_path, group.data, [5, 12_000, 14_000, 14_001], 3, [0, 12_000], **known)
    (tmp_path / "aggregate.bin").unlink()
    after = [line.get_xydata() for ax in group.figure(level=200).axes for line in ax.lines]
    assert len(after) == len(before) == 18 and all(map(np.array_equal, before, after))


def test_no_single_sample_is_lost_in_a_long_recording(tmp_path):
    data = np.zeros(300_000, dtype="int16")
    for place in (0, 123_456, 299_999):
        data[:] = 0
        data[place] = 1000
        group = Group(tmp_path, data)
        line = group.figure(level=500).axes[0].lines[0]
        assert np.nanmax(line.get_ydata()) == 1000


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


def test_memory_does_not_grow_with_the_file(tmp_path):
    samples = 100_000_000 // 8
    recordings = [{"session": "s", "index": "0", "path": "p", "first_sample": 0, "samples": samples}]
    aggregate = write_aggregate(tmp_path, np.zeros((0, 4), "int16"), recordings=recordings)
    with (tmp_path / "aggregate.bin").open("wb") as file:
        file.truncate(100_000_000)  # sparse
    edges = np.stack([np.arange(0, samples, 50), np.zeros(samples // 50, dtype=int)], axis=1)
    # matplotlib's own modules and fonts are no part of what is measured.
    (tmp_path / "small").mkdir()
    Group(tmp_path / "small", noise(10)).save(tmp_path / "small" / "plot.png")
    tracemalloc.start()
    plotting.plot_group(tmp_path / "plot.png", "t", aggregate, edges, [1.0] * 4, None, "")
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
