"""The alignment of clocks: the figures of a real rig, and what goes wrong with pulses, planted."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from neuroluigi.recordings.sample_times import ClockMap
from neuroluigi.signals.alignment import Alignment, FirstOffset, Pulses, align, shifts_of_stops
from tests.conftest import FORMATS, needs_formats

RATES = 30000.0, 25000.0
# The clock of the stream runs fast by so much, and its counter was at this value at second 0 of the reference.
PPM = 120.0
AHEAD = 12345.0
FIRST = FirstOffset(AHEAD, 0, 0.1)


def seconds_of_pulses(count=200, period=1.0, begin=3.3) -> np.ndarray:
    return begin + period * np.arange(count)


def on_reference(seconds) -> Pulses:
    return Pulses(np.ceil(np.asarray(seconds) * RATES[0]).astype(np.int64), RATES[0])


def on_stream(seconds) -> Pulses:
    return Pulses(np.ceil(np.asarray(seconds) * RATES[1] * (1 + PPM / 1e6) + AHEAD).astype(np.int64), RATES[1])


def assert_right(found: Alignment) -> None:
    """All matched pulses are of the same second of the world, to the samples' own precision."""
    world = (found.stream - AHEAD) / RATES[1] / (1 + PPM / 1e6)
    assert abs(world - found.reference / RATES[0]).max() < 2 / min(RATES)
    assert found.ppm == pytest.approx(PPM, abs=1)


def real(stream: str, reference: str) -> tuple[Pulses, Pulses, FirstOffset]:
    folder = FORMATS / "openephys/three_streams_v0.6/Record Node 101/experiment1/recording1"
    rises, starts = [], []
    for name in (reference, stream):
        of_lines = folder / "events" / name / "TTL"
        states, counters = np.load(of_lines / "states.npy"), np.load(of_lines / "sample_numbers.npy")
        rises.append(Pulses(counters[states == 1], 30000.0))
        of_samples = folder / "continuous" / name
        starts.append((np.load(of_samples / "sample_numbers.npy")[0], np.load(of_samples / "timestamps.npy")[0]))
    (count, seconds), (of_stream, later) = starts
    return *rises, FirstOffset(of_stream, count + 30000.0 * (later - seconds), 0.01)


@needs_formats
@pytest.mark.parametrize(
    ("stream", "reference", "ppm", "largest"),
    [
        ("Neuropix-PXI-100.ProbeB", "NI-DAQmx-103.PXIe-6341", -115.80, 1.478),
        ("Neuropix-PXI-100.ProbeC", "NI-DAQmx-103.PXIe-6341", -109.00, 1.549),
        ("NI-DAQmx-103.PXIe-6341", "Neuropix-PXI-100.ProbeB", 115.81, 1.478),
    ],
)
def test_the_drift_and_residuals_of_a_real_rig(stream, reference, ppm, largest):
    pulses, others, first = real(stream, reference)
    found = align(pulses, others, 1.0, first)
    assert (len(found.stream), found.missing, found.stops) == (837, 0, 0)
    assert not len(found.unmatched_stream)
    assert not len(found.unmatched_reference)
    assert found.ppm == pytest.approx(ppm, abs=0.006)
    assert abs(found.residuals).max() == pytest.approx(largest, abs=0.001)
    assert found.reference[0] == pulses.counters[0]


@needs_formats
def test_a_shift_by_a_period_shows_in_no_residual_but_in_the_first_offset():
    pulses, others, first = real("Neuropix-PXI-100.ProbeB", "NI-DAQmx-103.PXIe-6341")
    shifted = align(pulses, others, 1.0, FirstOffset(first.stream, first.reference + 30000, 0.01))
    assert abs(shifted.residuals).max() == pytest.approx(1.387, abs=0.001)
    assert shifted.reference[0] == pulses.counters[1]
    with pytest.raises(ValueError, match="set offset"):
        align(pulses, others, 1.0, FirstOffset(first.stream, first.reference, 0.5))


@settings(max_examples=60, deadline=None)
@given(
    missing=st.tuples(*2 * [st.sets(st.integers(0, 199), max_size=20)]),
    doubled=st.tuples(*2 * [st.sets(st.integers(0, 199), max_size=15)]),
    bounce=st.floats(0.002, 0.998),
    late=st.integers(-60, 60),
    stop=st.tuples(st.integers(5, 195), st.floats(0, 2000)),
    error=st.floats(-0.1, 0.1),
)
@example((set(), set()), (set(), set()), 0.5, 0, (5, 0.5), 0.1)
@example(({0, 1}, {199}), ({0}, {0}), 0.3, 7, (100, 77.5), -0.1)
def test_whatever_is_planted_the_answer_is_right_or_an_error(missing, doubled, bounce, late, stop, error):
    world = seconds_of_pulses()
    at, pause = stop
    # The generator stops, and goes on at any phase.
    world[at:] += pause
    # One of them begins later by whole periods.
    firsts = (max(late, 0), max(-late, 0))
    trains = []
    for of_one, twice, first in zip(missing, doubled, firsts, strict=True):
        keep = [place for place in range(first, len(world)) if place not in of_one]
        extra = [world[place] + bounce for place in twice if place in keep]
        trains.append(np.sort([*world[keep], *extra]))
    wrong = FirstOffset(AHEAD + error * RATES[1], 0, 0.1)
    try:
        found = align(on_reference(trains[0]), on_stream(trains[1]), 1.0, wrong)
    except ValueError:
        # Not where little is planted.
        assert len(missing[0]) + len(missing[1]) + len(doubled[0]) + len(doubled[1]) > 5 or pause > 1
    else:
        assert_right(found)


def test_missing_and_double_pulses_are_counted_and_have_no_partner():
    world = seconds_of_pulses()
    of_stream = np.sort(np.append(np.delete(world, [20, 50, 51]), world[100] + 0.04))
    found = align(on_reference(world), on_stream(of_stream), 1.0, FIRST)
    assert_right(found)
    assert (len(found.stream), found.missing, found.stops) == (197, 3, 0)
    assert found.unmatched_reference.tolist() == on_reference(world[[20, 50, 51]]).counters.tolist()
    assert found.unmatched_stream.tolist() == on_stream([world[100] + 0.04]).counters.tolist()


def test_a_pulse_out_of_time_is_no_partner_of_one_that_is_missing():
    world = seconds_of_pulses()
    of_stream = world.copy()
    of_stream[80] += 0.1
    found = align(on_reference(world), on_stream(of_stream), 1.0, FIRST)
    assert_right(found)
    assert found.unmatched_reference.tolist() == on_reference(world[[80]]).counters.tolist()


def test_noise_on_a_line_that_was_unplugged_meets_no_pulse_of_the_reference():
    world, noise = seconds_of_pulses(1000), np.random.default_rng(3)
    # In 150 s in which the stream had no pulses it had edges, each near to where a pulse should be.
    edges = world[500:650:5] + noise.uniform(-0.15, 0.15, 30)
    found = align(on_reference(world), on_stream(np.sort([*world[:500], *world[650:], *edges])), 1.0, FIRST)
    assert_right(found)
    assert (len(found.stream), len(found.unmatched_stream), len(found.unmatched_reference)) == (850, 30, 150)


@pytest.mark.parametrize(("pause", "missing", "stops"), [(600.37, 0, 1), (600.0, 600, 0), (0.4, 0, 0), (0.7, 0, 1)])
def test_a_generator_that_stops_and_resumes(pause, missing, stops):
    world = seconds_of_pulses()
    world[100:] += pause
    found = align(on_reference(world), on_stream(world), 1.0, FIRST)
    assert_right(found)
    # One that goes on in phase might as well have been missed.
    assert (len(found.stream), found.missing, found.stops) == (200, missing, stops)
    # The clocks may have gone apart by more than half a period.
    world[100:] += 1e5
    with pytest.raises(ValueError, match="unknown"):
        align(on_reference(world), on_stream(world), 1.0, FIRST)


@pytest.mark.parametrize("shift", [-3, -1, 0, 1, 2])
def test_a_stop_that_both_saw_tells_of_an_offset_that_is_wrong_by_whole_periods(shift):
    world = seconds_of_pulses()
    world[100:] += 77.4
    pulses = on_reference(world), on_stream(np.delete(world, [30, 150]))
    wrong = FirstOffset(AHEAD, -shift * RATES[0], 0.1)
    found = align(*pulses, 1.0, wrong)
    # Nothing else would say so: it is as good as the right one.
    assert abs(found.residuals).max() < 2
    assert shifts_of_stops(*pulses, 1.0, found) == [shift]


def test_where_both_saw_no_stop_nothing_tells():
    world = seconds_of_pulses()
    pulses = on_reference(world), on_stream(world)
    assert shifts_of_stops(*pulses, 1.0, align(*pulses, 1.0, FIRST)) == []
    # One of them lost the last pulse before it: that is longer by a period.
    world[100:] += 77.4
    pulses = on_reference(world), on_stream(np.delete(world, 99))
    assert shifts_of_stops(*pulses, 1.0, align(*pulses, 1.0, FIRST)) == []


@pytest.mark.parametrize("late", [1, 2, 50])
def test_a_stream_that_starts_late_by_whole_periods(late):
    world = seconds_of_pulses()
    found = align(on_reference(world), on_stream(world[late:]), 1.0, FIRST)
    assert_right(found)
    assert len(found.unmatched_reference) == late
    found = align(on_reference(world[late:]), on_stream(world), 1.0, FIRST)
    assert_right(found)


@pytest.mark.parametrize(
    ("of_reference", "of_stream"), [((0, 150), (0, 200)), ((40, 200), (0, 90)), ((0, 20), (15, 200))]
)
def test_a_stream_that_ends_early_or_has_little_in_common(of_reference, of_stream):
    world = seconds_of_pulses()
    found = align(on_reference(world[slice(*of_reference)]), on_stream(world[slice(*of_stream)]), 1.0, FIRST)
    assert_right(found)
    common = min(of_reference[1], of_stream[1]) - max(of_reference[0], of_stream[0])
    assert len(found.stream) == common
    assert len(found.unmatched_stream) == of_stream[1] - of_stream[0] - common


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_stream_or_a_reference_without_pulses_is_named(count):
    world = seconds_of_pulses()
    with pytest.raises(ValueError, match=f"the stream has {count} pulses, too few"):
        align(on_reference(world), on_stream(world[:count]), 1.0, FIRST)
    with pytest.raises(ValueError, match=f"the reference has {count} pulses, too few"):
        align(on_reference(world[:count]), on_stream(world), 1.0, FIRST)


@pytest.mark.parametrize("seed", range(8))
def test_a_noisy_line_that_jitters_and_bounces(seed):
    """Onsets late by up to 0.4 ms, bounces within 2 ms of one in twelve rises, and as many at the falls."""
    rng, world = np.random.default_rng(seed), seconds_of_pulses()
    late = world + rng.uniform(0, 4e-4, len(world))
    bounced, fell = (world[rng.random(len(world)) < 0.08] for _ in range(2))
    noisy = np.sort(np.concatenate([late, bounced + rng.uniform(4e-4, 2e-3, len(bounced)), fell + 0.5]))
    found = align(on_reference(world), on_stream(noisy), 1.0, FIRST)
    second = (found.stream - AHEAD) / RATES[1] / (1 + PPM / 1e6) - found.reference / RATES[0]
    assert abs(second).max() < 3e-3 and len(found.stream) >= 190
    assert found.ppm == pytest.approx(PPM, abs=3)


def test_a_line_that_bounces_at_most_pulses_is_an_error():
    world = seconds_of_pulses()
    noisy = np.sort(np.concatenate([world, world + 0.001, world + 0.5]))
    with pytest.raises(ValueError, match=r"come every 0.4\S+ s, and not every 1 s; correct period"):
        align(on_reference(world), on_stream(noisy), 1.0, FIRST)


def test_what_was_not_recorded_is_neither_missing_nor_a_stop():
    world = np.concatenate([seconds_of_pulses(60), seconds_of_pulses(60, begin=95.71)])
    stream = on_stream(np.delete(world, [30, 60, 61]))
    with_begins = Pulses(stream.counters, stream.rate, tuple(on_stream([2.0, 94.0]).counters.tolist()))
    found = align(on_reference(world), with_begins, 1.0, FIRST)
    assert (found.missing, found.stops, len(found.stream)) == (1, 0, 117)
    assert shifts_of_stops(on_reference(world), with_begins, 1.0, found) == []
    assert align(on_reference(world), stream, 1.0, FIRST).stops == 1


def test_three_stretches_with_other_gaps_in_each_stream():
    world = np.concatenate([seconds_of_pulses(60, begin=at) for at in (3.3, 95.71, 200.2)])
    of_stream = np.delete(world, [0, 1, 59, 60, 118, 119, 179])
    found = align(on_reference(np.delete(world, [0, 120])), on_stream(of_stream), 1.0, FIRST)
    assert_right(found)
    assert len(found.stream) == 172


@pytest.mark.parametrize("wrong", [0.25, 0.5, 2, 4])
def test_a_wrong_period(wrong):
    world = seconds_of_pulses()
    with pytest.raises(ValueError, match=r"every 1 s, and not every .*correct period"):
        align(on_reference(world), on_stream(world), wrong, FIRST)


def test_an_offset_that_is_wrong_by_half_a_period_and_pulses_of_something_else():
    world = seconds_of_pulses()
    with pytest.raises(ValueError, match="set offset"):
        align(on_reference(world), on_stream(world), 1.0, FirstOffset(AHEAD + 0.5 * RATES[1], 0, 0.1))
    with pytest.raises(ValueError, match="at the time of any"):
        align(on_reference(world), on_stream(world + 1000), 1.0, FIRST)
    anything = np.random.default_rng(1).uniform(0, 200, 200)
    with pytest.raises(ValueError):
        align(on_reference(world), on_stream(np.sort(anything)), 1.0, FIRST)
    uneven = np.cumsum([0.6, 1.4] * 50 + [0.6])
    with pytest.raises(ValueError, match="no two pulses of the stream are 1 s apart"):
        align(on_reference(world), on_stream(uneven), 1.0, FIRST)
    with pytest.raises(ValueError, match="too few"):
        align(on_reference(world[:2]), on_stream(world), 1.0, FIRST)


def test_less_than_four_fifths_of_the_pulses():
    world = seconds_of_pulses()
    of_stream = np.delete(world, np.arange(2, 200, 4))
    with pytest.raises(ValueError, match=r"only 150 of 200 pulses .* less than 80 %"):
        align(on_reference(world), on_stream(of_stream), 1.0, FIRST)


def test_the_map_runs_through_the_pulses_and_on_both_ways():
    world = seconds_of_pulses()
    clock = ClockMap(**align(on_reference(world), on_stream(world), 1.0, FIRST).breakpoints(zero=RATES[0]))
    seconds = np.array([-50.0, 0.0, 17.77, 150.0, 400.0])
    # The reference's count of one second is the zero.
    counters = (seconds + 1) * RATES[1] * (1 + PPM / 1e6) + AHEAD
    assert abs(clock.to_seconds(counters) - seconds).max() < 3e-4
    assert abs(clock.to_counter(clock.to_seconds(counters)) - counters).max() < 1e-3
    assert (np.diff(clock.to_seconds(np.arange(0, 10_000_000, 1000))) > 0).all()
