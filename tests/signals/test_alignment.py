"""The alignment of clocks: the figures of a real rig, and what goes wrong with pulses, planted."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from neuroluigi.recordings.sample_times import ClockMap
from neuroluigi.signals.alignment import Alignment, FirstOffset, Pulses, align
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


def test_a_generator_that_stops_and_resumes():
    world = seconds_of_pulses()
    world[100:] += 600.37
    found = align(on_reference(world), on_stream(world), 1.0, FIRST)
    assert_right(found)
    assert (len(found.stream), found.stops) == (200, 1)
    # The clocks may have gone apart by more than half a period.
    world[100:] += 1e5
    with pytest.raises(ValueError, match="unknown"):
        align(on_reference(world), on_stream(world), 1.0, FIRST)


@pytest.mark.parametrize("late", [1, 2, 50])
def test_a_stream_that_starts_late_by_whole_periods(late):
    world = seconds_of_pulses()
    found = align(on_reference(world), on_stream(world[late:]), 1.0, FIRST)
    assert_right(found)
    assert len(found.unmatched_reference) == late
    found = align(on_reference(world[late:]), on_stream(world), 1.0, FIRST)
    assert_right(found)


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
