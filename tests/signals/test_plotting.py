"""What the pictures show: samples against time, levels, edges, gaps and seams."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from neuroluigi.signals import envelope, plotting
from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.steps.target import check_png
from tests.signals.aggregates import write_aggregate, write_parts
from tests.signals.group import Group, noise, words


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
    assert len(marks) == envelope.COLUMNS
    assert set(marks) <= set(range(1, 100_000, 2))


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


def gapped(tmp_path, samples=40_000, missing=60_000, **known):
    """Return the figure of two recordings at 1 kHz, a gap between them, and one of unknown length in the second."""
    half = samples // 2
    gaps = [{"sample": half, "missing": missing}, {"sample": half + half // 2, "missing": None}]
    data = np.zeros(samples, "int16")
    data[[half // 2, half + 10]] = 5
    segments = [0, *(gap["sample"] for gap in gaps)]
    group = Group(tmp_path, data, [half, half], **{"sampling_rate_hz": 1000.0, "gaps": gaps, **known})
    content = json.loads(Path(group.file).read_text())
    Path(group.file).write_text(json.dumps({**content, "segments": segments}))
    return group.figure(level=3)


def test_a_gap_of_known_length_is_one_in_time_and_an_unknown_one_a_seam(tmp_path):
    figure = gapped(tmp_path)
    whole = figure.axes[0]
    samples, _, marks = whole.lines
    is_drawn = np.isfinite(samples.get_ydata())
    seconds = samples.get_xdata()[is_drawn]
    # 20 s, a gap of 60 s, 20 s
    assert whole.get_xlim() == pytest.approx((-0.0005, 99.9995))
    assert not ((seconds > 20) & (seconds < 79.9)).any() and seconds[-1] > 99.9
    assert marks.get_xdata().tolist() == [10.0, 80.01]
    shaded = [tuple(patch.get_path().transformed(patch.get_patch_transform()).get_extents().intervalx)
              for patch in whole.patches]  # fmt: skip
    assert any(one == pytest.approx((19.9995, 79.9995)) for one in shaded)
    (seams,) = whole.collections
    assert [line[0][0] for line in seams.get_segments()] == pytest.approx([89.9995])
    said = words(figure)
    assert "gap of 1 min 0 s" in said and "1 gap of 1 min 0 s" in said and "recording 0" in said
    detail = figure.axes[1].lines[0].get_xdata()
    assert (detail[0], detail[-1]) == (80.0, 80.999)


def test_few_samples_around_a_long_gap_are_shown_in_detail_too(tmp_path):
    figure = gapped(tmp_path, samples=200, missing=20_000)
    assert figure.axes[1].get_title().replace("\u202f", " ") == "50 samples of it"
    # Where the second recording has its seam, the detail ends.
    assert figure.axes[1].lines[0].get_xdata()[[0, -1]].tolist() == [20.1, 20.149]


def test_a_gap_too_short_for_its_length_has_none_written(tmp_path):
    figure = gapped(tmp_path, missing=300)
    assert "gap of" not in "\n".join(text.get_text() for text in figure.axes[0].texts)
    assert "1 gap of 0.3 s" in words(figure)


def test_without_a_rate_a_gap_is_in_samples(tmp_path):
    said = words(gapped(tmp_path, **{"sampling_rate_hz": None}))
    assert "gap of 60 000 samples" in said


def test_digital_channels_alone_are_low_strips_of_their_words(tmp_path):
    channels = [{"name": f"D{n}", "kind": "digital", "scale": 2.0, "unit": "V"} for n in range(2)]
    data = np.array([[0, 1], [5, 1], [0, 3]], "int16")
    figure = Group(tmp_path, data, channels=channels).figure(level=[4, 2])
    assert [ax.get_ylabel() for ax in figure.axes] == ["channel 0\nD0\n[words]", "channel 1\nD1\n[words]"]
    assert figure.axes[0].lines[0].get_ydata().tolist() == [0, 5, 0]
    assert figure.get_figheight() < Group(tmp_path, data).figure().get_figheight()


def test_samples_that_are_all_the_same_are_in_the_middle(tmp_path):
    figure = Group(tmp_path, np.zeros((50, 8), "int16"), [20, 30]).figure(level=[0] * 8)
    limits = {ax.get_ylim() for ax in figure.axes}
    assert len(limits) == 1 and sum(limits.pop()) == 0
