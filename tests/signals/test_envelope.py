"""What is drawn of very many samples: the extremes of each column of pixels, and the first edge in it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from neuroluigi.signals import blocks, envelope
from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.time_axis import TimeAxis, time_axis
from tests.signals.aggregates import write_aggregate
from tests.signals.group import Group


def envelope_of(aggregate, *shown):
    return envelope.envelope(aggregate, time_axis(aggregate), shown or (0,))


def axis_of(samples):
    return TimeAxis(samples, np.array([], int), np.array([], int), ())


@settings(max_examples=150, deadline=None)
@given(
    samples=st.integers(1, 90),
    channels=st.integers(1, 4),
    columns=st.integers(1, 12),
    block_values=st.integers(1, 40),
    nan_share=st.sampled_from([0, 0.3, 1]),
    missing=st.dictionaries(st.integers(1, 89), st.integers(1, 200), max_size=3),
    seed=st.integers(0, 1000),
)
def test_the_envelope_has_the_extremes_of_each_column(
    tmp_path_factory, samples, channels, columns, block_values, nan_share, missing, seed
):
    random = np.random.default_rng(seed)
    data = random.integers(-50, 50, (samples, channels)).astype("float32")
    data[random.random(data.shape) < nan_share] = np.nan
    gaps = [{"sample": at, "missing": count} for at, count in sorted(missing.items()) if at < samples]
    segments = [0, *(gap["sample"] for gap in gaps)]
    aggregate = read_aggregate(write_aggregate(tmp_path_factory.mktemp("envelope"), data, segments, gaps=gaps))
    shown = sorted(random.permutation(channels)[:3].tolist())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(envelope, "COLUMNS", columns)
        patch.setattr(blocks, "BLOCK_VALUES", block_values)
        x, y = envelope_of(aggregate, *shown)
    place = [s + sum(gap["missing"] for gap in gaps if gap["sample"] <= s) for s in range(samples)]
    if samples <= 2 * columns:
        is_gap = np.isin(np.arange(len(x)), [gap["sample"] + n for n, gap in enumerate(gaps)])
        assert np.isnan(y[is_gap]).all() and len(x) == samples + len(gaps)
        assert np.array_equal(x[~is_gap], place) and np.array_equal(y[~is_gap], data[:, shown], equal_nan=True)
        return
    length = place[-1] + 1
    of_column = [[s for s in range(samples) if place[s] * columns // length == c] for c in range(columns)]
    assert sum(map(len, of_column)) == samples
    expected = []
    for members in of_column:
        for smallest in (True, False):
            values_of = [[v for v in data[members, c] if not np.isnan(v)] for c in shown]
            expected.append([(min(v) if smallest else max(v)) if v else np.nan for v in values_of])
    assert np.array_equal(y, expected, equal_nan=True)
    centers = [(place[m[0]] + place[m[-1]]) / 2 if m else None for m in of_column for _ in range(2)]
    assert [found for found, center in zip(x, centers, strict=True) if center is not None] == [
        center for center in centers if center is not None
    ]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"])
def test_the_envelope_of_every_dtype(tmp_path, dtype):
    data = (np.arange(5000) % 100).astype(dtype).reshape(-1, 1)
    _, y = envelope_of(read_aggregate(write_aggregate(tmp_path, data)))
    assert (y.min(), y.max()) == (0, 99)


def test_few_samples_are_drawn_with_gaps_between_segments(tmp_path):
    data = np.arange(6, dtype="uint8").reshape(-1, 1)
    x, y = envelope_of(read_aggregate(write_aggregate(tmp_path, data, [0, 2, 5])))
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
    x, y = envelope_of(read_aggregate(group.file))
    assert len(x) < samples
    for drawn, whole in zip(extremes(x, y[:, 0], samples), extremes(np.arange(samples), data, samples), strict=True):
        # A line may fall into the pixel column beside, so a column is compared with its neighbours.
        near = np.stack([np.roll(whole, shift) for shift in (-1, 0, 1)])[:, 1:-1]
        drawn = drawn[1:-1]
        assert ((drawn >= near.min(axis=0) - 2) & (drawn <= near.max(axis=0) + 2)).mean() > 0.99
        # Each spike of one picture is in the other: top row of 255 is (265 - 255) / 275 * 400 = 15.
        assert (drawn < 20).any() == (whole < 20).any()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("columns", [7, 150])
def test_the_marks_are_the_first_edges_of_their_columns(monkeypatch, channels, columns):
    monkeypatch.setattr(envelope, "COLUMNS", columns)
    random = np.random.default_rng(3)
    edges = np.unique(np.stack([random.integers(0, 100, 60), random.integers(0, channels, 60)], axis=1), axis=0)
    starts = envelope.column_starts(axis_of(100))
    marks = envelope.edge_marks(edges, starts, range(min(channels, 2)), channels)
    for channel in range(min(channels, 2)):
        samples = edges[edges[:, 1] == channel, 0].tolist()
        first = {s * columns // 100: s for s in reversed(samples)}
        assert marks[channel].tolist() == [first[column] for column in sorted(first)]


@pytest.mark.parametrize("few_bytes", [0, envelope._FEW_BYTES])
def test_edges_in_a_mapped_file_or_a_part_of_one_are_those_in_memory(tmp_path, monkeypatch, few_bytes):
    monkeypatch.setattr(envelope, "_FEW_BYTES", few_bytes)
    starts = envelope.column_starts(axis_of(90_000))
    edges = np.column_stack([np.arange(0, 90_000, 9), np.arange(10_000) % 3])
    for order, rows in (("C", edges), ("F", edges), ("C", edges[:0])):
        np.save(tmp_path / "edges.npy", np.asarray(rows, order=order))
        mapped = np.load(tmp_path / "edges.npy", mmap_mode="r")
        assert (envelope.mapped_anew(mapped) is mapped) == (few_bytes > 0)
        for some in (mapped, mapped[4_000:6_000], mapped[mapped[:, 1] == 1]):
            expected, found = (envelope.edge_marks(one, starts, range(3), 3) for one in (np.array(some), some))
            assert all(map(np.array_equal, expected, found)) and sum(map(len, found)) == len({*zip(
                np.searchsorted(starts, some[:, 0], side="right"), some[:, 1], strict=True)})  # fmt: skip


def test_a_span_has_the_extremes_of_its_own_columns(tmp_path, monkeypatch):
    monkeypatch.setattr(envelope, "COLUMNS", 4)
    data = np.arange(100, dtype="int16").reshape(-1, 1)
    gaps = [{"sample": 50, "missing": 10}]
    aggregate = read_aggregate(write_aggregate(tmp_path, data, [0, 50], gaps=gaps))
    axis = time_axis(aggregate)
    # Places 40 to 80, of which 50 to 60 are missing: samples 40 to 49, none, 50 to 59, 60 to 69.
    x, y = envelope.envelope(aggregate, axis, [0], (40, 80))
    assert np.array_equal(y[:, 0], [40, 49, np.nan, np.nan, 50, 59, 60, 69], equal_nan=True)
    assert x.tolist()[:2] + x.tolist()[4:] == [44.5, 44.5, 64.5, 64.5, 74.5, 74.5]
    assert envelope.column_starts(axis, (40, 80)).tolist() == [40, 50, 50, 60]


def test_a_short_span_has_every_sample_of_it(tmp_path):
    data = np.arange(100, dtype="int16").reshape(-1, 1)
    aggregate = read_aggregate(write_aggregate(tmp_path, data, [0, 50]))
    x, y = envelope.envelope(aggregate, time_axis(aggregate), [0], (48, 52))
    assert x.tolist() == [48, 49, 50, 50, 51]
    assert np.array_equal(y[:, 0], [48, 49, np.nan, 50, 51], equal_nan=True)
