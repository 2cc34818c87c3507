"""Spectra of signals whose power is known."""

import warnings

import numpy as np
import pytest

from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.picture import save_picture
from neuroluigi.signals.spectrum import (
    MOST_WINDOWS,
    channels_of_kind,
    spectrum_figure,
    spectrum_of,
    window_starts,
)
from neuroluigi.signals.time_axis import stretches, time_axis
from neuroluigi.steps.target import check_png
from tests.signals.aggregates import write_aggregate
from tests.signals.group import words


def spectrum_in(tmp_path, data, rate=1000.0, segments=(0,), channels=None, **known):
    data = np.asarray(data).reshape(len(data), -1)
    aggregate = read_aggregate(write_aggregate(tmp_path, data, segments, sampling_rate_hz=rate, **known))
    apart = stretches(time_axis(aggregate), 0, aggregate.samples)
    return spectrum_of(aggregate, apart, channels or list(range(aggregate.channels)))


@pytest.mark.parametrize("rate", [999.0, 1000.0, 30_000.06])
def test_a_sine_has_the_power_of_half_its_amplitude_squared(tmp_path, rate):
    sine = 20 * np.sin(2 * np.pi * 50 * np.arange(20_000 + 3 * rate) / rate)
    found = spectrum_in(tmp_path, 1000 + sine, rate)
    width = found.frequencies[1]
    assert found.frequencies[found.power[:, 0].argmax()] == pytest.approx(50, abs=0.01)
    assert found.power[:, 0].sum() * width == pytest.approx(20**2 / 2, rel=1e-3)


def test_of_noise_it_adds_up_to_the_variance(tmp_path):
    noise = np.random.default_rng(0).normal(0, 3, (60_000, 2)) * [1, 2]
    found = spectrum_in(tmp_path, noise)
    assert found.power.sum(0) * found.frequencies[1] == pytest.approx(noise.var(0), rel=0.02)
    # White: the same at all frequencies, per Hz of one side.
    assert found.power[100:400].mean(0) == pytest.approx(noise.var(0) / 500, rel=0.03)
    assert (found.windows, found.samples) == (100, 1000)


def test_it_is_that_of_another_implementation(tmp_path):
    welch = pytest.importorskip("scipy.signal").welch
    data = np.cumsum(np.random.default_rng(1).normal(0, 1, 10_000))
    found = spectrum_in(tmp_path, data)
    frequencies, power = welch(data, 1000, "hann", 1000, detrend="constant")
    assert found.windows == 19 and found.frequencies == pytest.approx(frequencies)
    assert found.power[:, 0] == pytest.approx(power, rel=1e-9)


def test_windows_are_evenly_spaced_in_all_that_there_is():
    starts = window_starts([(0, 100_000)], 1000)
    assert len(starts) == MOST_WINDOWS and starts[0] == 0 and starts[-1] == 99_000
    assert {round(step, -3) for step in np.diff(starts).tolist()} == {1000}
    assert window_starts([(0, 1000)], 1000) == [0] and window_starts([(5, 2005)], 1000) == [5, 505, 1005]


def test_no_window_crosses_a_seam():
    apart = [(0, 1500), (1500, 2000), (2000, 3999), (3999, 5000)]
    starts = window_starts(apart, 1000)
    assert starts == [0, 500, 2000, 2500, 3999]
    assert all(any(a <= start and start + 1000 <= b for a, b in apart) for start in starts)


def test_a_seam_does_not_show(tmp_path):
    # Without it, the step would be power at all frequencies.
    data = np.repeat([0.0, 1000.0], 2500)
    assert spectrum_in(tmp_path, data, segments=[0, 2500]).power.max() < 1e-20
    assert spectrum_in(tmp_path, data).power.max() > 1


@pytest.mark.parametrize("samples", [1, 2, 3, 10])
def test_windows_are_as_long_as_there_are_samples(tmp_path, samples):
    found = spectrum_in(tmp_path, np.arange(samples, dtype="int16"))
    assert found.samples == samples and found.windows == 1 and np.isfinite(found.power).all()


def test_a_channel_without_numbers_has_no_power_and_harms_no_other(tmp_path):
    data = np.random.default_rng(2).normal(0, 1, (3000, 2))
    data[100, 0] = np.nan
    found = spectrum_in(tmp_path, data)
    assert np.isnan(found.power[:, 0]).all() and np.isfinite(found.power[:, 1]).all()


KINDS = [{"kind": "ap"}, {"kind": "lf"}, {"kind": "lf", "used": False}, {"kind": "digital"}]


def test_channels_are_those_of_a_kind_by_default_lf(tmp_path):
    def of(channels, kind=""):
        path = write_aggregate(tmp_path, np.zeros((2, len(channels)), "int16"), channels=channels)
        return channels_of_kind(read_aggregate(path), kind)

    assert of(KINDS) == [1] and of(KINDS, "ap") == [0] and of([KINDS[0], {}, KINDS[3]]) == [0, 1]
    with pytest.raises(ValueError, match="'aux': the channels are of kind ap, lf, digital"):
        of(KINDS, "aux")


def test_the_picture_is_in_units_with_the_median_of_all(tmp_path):
    data = np.random.default_rng(3).integers(-100, 100, (5000, 12)).astype("int16")
    channels = [{"kind": "lf", "scale": 0.5, "unit": "uV", "name": f"LF{n}"} for n in range(11)]
    path = write_aggregate(tmp_path, data, channels=[*channels, {"kind": "digital"}], sampling_rate_hz=1000.0)
    figure = spectrum_figure("g", path, "", ["0", "5"])
    (ax,) = figure.axes
    first, second, median = ax.lines
    assert [line.get_label() for line in ax.lines] == ["channel 0  LF0", "channel 5  LF5", "median of 11 channels"]
    assert ax.get_ylabel() == "power [uV²/Hz]" and first.get_xdata()[0] == 1
    variance = (data[:, [0, 5]] * 0.5).var(0)
    assert [line.get_ydata().sum() for line in (first, second)] == pytest.approx(variance, rel=0.1)
    assert median.get_ydata().mean() == pytest.approx(variance.mean() / 500, rel=0.2)
    assert "Mean of 9 Hann windows of 1 s" in words(figure)


def test_a_window_is_what_is_looked_at(tmp_path):
    data = np.zeros(5000)
    data[2000:3000] = 100 * np.sin(2 * np.pi * 50 * np.arange(1000) / 1000)
    path = write_aggregate(tmp_path, data.reshape(-1, 1), sampling_rate_hz=1000.0)
    (line,) = spectrum_figure("g", path, "", window="2-3").axes[0].lines
    assert line.get_ydata().sum() == pytest.approx(100**2 / 2, rel=1e-3)


@pytest.mark.parametrize("samples", [1, 2, 3000])
def test_a_constant_has_none_to_draw(tmp_path, samples):
    path = write_aggregate(tmp_path, np.full((samples, 2), 7, "int16"), sampling_rate_hz=1000.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_picture(tmp_path / "a.png", lambda: spectrum_figure("g", path, ""))
    check_png(tmp_path / "a.png")


def test_words_alone_have_no_spectrum(tmp_path):
    path = write_aggregate(tmp_path, np.zeros((5, 1), "int16"), channels=[{"kind": "digital"}])
    with pytest.raises(ValueError, match="no channel has a spectrum"):
        spectrum_figure("g", path, "")
