"""Downsampled as a step: local field potentials of a probe, and steps that read them."""

import json

import numpy as np
import pytest

from tests import commands
from tests.commands import BIN, clean_environment
from tests.conftest import needs_octave
from tests.ephys.test_filtered import write_probe
from tests.signals import event_cases

GROUP = "m-0-imec0.ap"
ENGINES = ["numpy", pytest.param("octave", marks=needs_octave)]
READERS = """
class Waves(ephys.Crossings):
    def requires(self):
        return {"aggregate": Downsampled(self.group)}


class LowSnippets(ephys.Snippets):
    def requires(self):
        return {"aggregate": Downsampled(self.group), "events": Waves(self.group)}
"""


def words(engine: str) -> tuple[str, ...]:
    return ("--group", GROUP, "--recordings-root", "raw", "--matlab-engine", engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_of_a_probe(pipeline, engine):
    data = write_probe(pipeline.folder / "raw")
    pipeline.run("Downsampled", *words(engine))
    folder = pipeline.results / GROUP
    content = json.loads((folder / "downsampled.json").read_text())
    assert content["sampling_rate_hz"] == 1000 and content["recordings"][0]["samples"] == 100
    assert [(one["name"], one["kind"]) for one in content["channels"]] == [(f"AP{k}", "lf") for k in range(4)]
    expected = event_cases.filtered(data[:, :4], 30_000, high=400)[::30]
    ours = np.fromfile(folder / "downsampled.bin", "<f4").reshape(-1, 4)
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-4)
    assert "Nothing to make" in pipeline.run("Downsampled", *words(engine))
    pipeline.run("Downsampled", *words(engine), "--factor", "12", "--dtype", "int16", "--channels", "0,2")
    assert json.loads((folder / "downsampled.json").read_text())["sampling_rate_hz"] == 2500
    expected = event_cases.filtered(data[:, [0, 2]], 30_000, high=1000)[::12]
    assert np.array_equal(np.fromfile(folder / "downsampled.bin", "<i2").reshape(-1, 2), np.floor(expected + 0.5))


@pytest.mark.parametrize("engine", ENGINES)
def test_other_steps_have_its_rate_and_its_channels(pipeline, engine):
    write_probe(pipeline.folder / "raw", 30_000)
    pipeline.add(READERS)
    pipeline.run("LowSnippets", *words(engine), "--Downsampled-rate", "2000", "--Downsampled-channels", "1-3",
                 "--Waves-noise", "2", "--Waves-channels", "lf,-AP2", "--Waves-high", "300", "--Waves-refractory", "5",
                 "--before", "5", "--after", "5")  # fmt: skip
    folder = pipeline.results / GROUP
    summary, cut = json.loads((folder / "waves.json").read_text()), np.load(folder / "lowsnippets.npy")
    assert summary["flag"] == ["", "not chosen", ""] and min(summary["count"][0], summary["count"][2]) > 10
    assert summary["parameters"]["high"] == 300 and summary["taps"] == 23
    low = np.fromfile(folder / "downsampled.bin", "<f4").reshape(-1, 3)
    assert len(low) == 2000 and cut.shape[1] == 20
    described = json.loads((folder / "lowsnippets.json").read_text())
    assert described["sampling_rate_hz"] == 2000 and [one["channel"] for one in described["rows"]] == [0, 2]
    first = next(one for one in np.load(folder / "waves.npy") if one[1] == 0 and 10 <= one[3] < 1990)
    y = event_cases.filtered(low, 2000, high=300)
    np.testing.assert_allclose(cut[0], y[first[3] - 10 : first[3] + 10, 0], rtol=1e-5, atol=1e-3)
    # The seconds of events, too, are those of the samples in which they were found.
    command = [BIN / "neuroluigi", "events", GROUP, "--name", "waves", "--recordings-root", "raw", "--json"]
    listed = commands.run(command, cwd=pipeline.folder, env=clean_environment(), capture_output=True, text=True)
    rows = json.loads(listed.stdout)
    assert [row["seconds"] for row in rows] == [one[0] / 2000 for one in np.load(folder / "waves.npy").tolist()]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--rate", "999"), r"30000 Hz is not a whole number of times 999 Hz; give factor = 30 (1000 Hz) or 31"),
        (("--rate", "1000", "--factor", "30"), "Downsampled: factor and rate say the same; set one of them"),
        (("--factor", "1"), "factor 1 is not a whole number from 2 on"),
    ],
)
def test_what_can_not_be(pipeline, options, message):
    write_probe(pipeline.folder / "raw", 300)
    assert message in pipeline.run("Downsampled", *words("numpy"), *options, code=None)


def test_the_rate_has_to_be_known(pipeline):
    out = pipeline.run("Downsampled", "--group", "a-even", "--matlab-engine", "numpy", code=None)
    assert "downsampling needs the sampling rate, which is not known; set sampling_rate_hz" in out
