"""noiseLevel.m on Octave: exact medians, whatever is held of the values, and of which samples they are."""

import numpy as np
import pytest

from tests.conftest import needs_octave
from tests.signals.aggregates import write_aggregate
from tests.signals.event_cases import filtered, noise_of, noise_stretches, planted, with_dead_channels, with_holes
from tests.signals.octave import m, octave


def noise(folder, data, arguments="[], [], 0", held=0, samples="auto", block=0, **known) -> list[float]:
    """Return what noiseLevel.m finds; it holds so many values, and reads so many samples at once."""
    folder.mkdir(exist_ok=True)
    write_aggregate(folder, data, **known)
    out = octave(
        folder,
        f"p = planFilter(readAggregate('aggregate.json'), 1:{data.shape[1]}, {arguments}, 'double');\n"
        f"if {held}, p.heldValues = {held}; end, if {block}, p.blockSamples = {block}; end\n"
        f"fprintf('%.17g\\n', noiseLevel(p, {m(samples)}));",
    )
    return [float(one) for one in out.split()]


def signals() -> dict[str, np.ndarray]:
    random = np.random.default_rng(2)
    normal = random.standard_normal((20_000, 6)) * [1, 1, 10, 1e-6, 1e6, 1] + [0, 100, -3, 0, 5, 1e9]
    found = {"normal": normal, "holes": with_holes(normal, 1, 0.02), "dead": with_dead_channels(normal)}
    found["equal"] = random.integers(-2, 3, (20_000, 4)).astype("int16")
    # Quiet where the first look is taken, and loud elsewhere: the guess is wrong by far.
    is_looked_at = np.arange(20_000) % 800 < 100
    found["moved"] = np.where(is_looked_at[:, None], 0.01 * normal[:, :2], 5 + 50 * normal[:, :2])
    found["two heaps"] = np.concatenate([normal[:10_000, :2], normal[10_000:, :2] + 1e4])
    found["step"] = np.concatenate([np.zeros((9_000, 2)), normal[9_000:, :2] * 100])
    found["few"] = normal[:3]
    found["cauchy"] = random.standard_cauchy((20_000, 3))
    found["mostly zero"] = np.where(random.random((20_000, 3)) < 0.49, 0, normal[:, :3])
    found["infinity"] = np.where(random.random((20_000, 3)) < [0.1, 0.3, 0.6], np.inf, normal[:, :3])
    found["int8"] = random.integers(-128, 128, (20_001, 3)).astype("int8")
    return found


SIGNALS = signals()


@needs_octave
@pytest.mark.parametrize("name", SIGNALS)
def test_medians_are_exact_however_few_values_are_held(tmp_path, name):
    data = SIGNALS[name]
    expected = noise_of(data.astype(float))
    for held in (0, 4096):
        found = noise(tmp_path, data, held=held, block=100)
        assert found == pytest.approx(expected.tolist(), rel=1e-14, abs=0, nan_ok=True), held


@needs_octave
def test_noise_of_a_filtered_signal(tmp_path):
    data = planted(30_000, 20, range(100, 30_000, 97)).round().astype("int16")
    expected = noise_of(filtered(data, 30_000, (0, 9_000), 300, 6000, [1] * 20))
    for held in (0, 20_000):
        found = noise(tmp_path, data, "300, 6000, 1", held, segments=(0, 9_000), sampling_rate_hz=30_000)
        assert found == pytest.approx(expected.tolist(), rel=1e-10)


@needs_octave
def test_of_a_long_signal_forty_half_seconds_count(tmp_path):
    samples, rate = (1 << 20) + 5000, 999
    data = np.random.default_rng(0).standard_normal((samples, 1)) * np.linspace(1, 3, samples)[:, None]
    # Seams within, before and behind half-seconds, several in one, and a stretch shorter than one.
    segments = [0, 200, 27_100, 54_000, 54_300, 81_100, 81_450, 108_450, samples - 100]
    places = noise_stretches(samples, rate, segments)
    assert len({last - first for first, last in places}) >= 3, places
    known = {"segments": segments, "sampling_rate_hz": rate}
    expected = noise_of(np.concatenate([data[first:last] for first, last in places]))
    assert noise(tmp_path / "auto", data, **known) == pytest.approx(expected.tolist(), rel=1e-14)
    assert noise(tmp_path / "all", data, samples="all", **known) == pytest.approx(noise_of(data).tolist(), rel=1e-14)
    assert noise(tmp_path / "rate", data) == pytest.approx(noise_of(data).tolist(), rel=1e-14)
