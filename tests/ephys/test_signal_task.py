"""What steps look at: channels, band and reference of a group, also of samples that other steps worked out."""

import json

import numpy as np

from tests.ephys.test_filtered import write_probe

CHAIN = """
class Low(ephys.Downsampled):
    def requires(self):
        return Filtered(self.group)


class LowEvents(ephys.Spikes):
    default_kinds = (("lf",),)

    def requires(self):
        return {"aggregate": Low(self.group)}


class LowFlat(ephys.Flat):
    def requires(self):
        return Low(self.group)


class Reader(GroupTask):
    def requires(self):
        return {"events": LowEvents(self.group), "flat": LowFlat(self.group)}

    def output(self):
        return self.result("reader.json")

    def make(self, out):
        import json
        events = self.requires()["events"]
        out.write_text(json.dumps([events.signal_options(), events.sampling_rate_hz(), self.input()["flat"].path]))
"""
WORDS = ("--group", "m-0-imec0.ap", "--recordings-root", "raw", "--matlab-engine", "numpy")


def test_channels_and_rate_through_a_chain_of_steps(pipeline):
    write_probe(pipeline.folder / "raw", 12_000)
    pipeline.add(CHAIN)
    # Of ap channels 0 to 3, three are filtered, of which channel 2, the second, is bad, and so not downsampled.
    words = (*WORDS, "--Filtered-channels", "1-3", "--recordings-bad-channels", "2", "--Low-factor", "2")
    pipeline.run("Reader", *words)
    folder = pipeline.results / "m-0-imec0.ap"
    low = json.loads((folder / "low.json").read_text())
    assert [one["name"] for one in low["channels"]] == ["AP1", "AP3"] and low["sampling_rate_hz"] == 15_000
    options, rate, flat = json.loads((folder / "reader.json").read_text())
    assert options == {"low": 300, "high": 6000} and rate == 15_000
    assert flat == str(folder / "low.bin") and np.fromfile(flat, "<f4").size == 2 * 6000
    assert "Nothing to make" in pipeline.run("Reader", *words)
    assert "Made: 1 Filtered, 1 Low, 1 LowEvents, 1 Reader." in pipeline.run("Reader", *words, "--Filtered-low", "200")


def test_a_presets_corner_is_below_half_of_the_rate_that_is_left(pipeline):
    write_probe(pipeline.folder / "raw", 12_000)
    pipeline.add(CHAIN)
    pipeline.run("Reader", *WORDS, "--Low-factor", "5", "--Low-channels", "0,1")
    options, rate, _ = json.loads((pipeline.results / "m-0-imec0.ap" / "reader.json").read_text())
    assert rate == 6000 and options == {"low": 300, "high": 2700}


def test_a_channel_that_is_not_there_any_more(pipeline):
    write_probe(pipeline.folder / "raw", 3000)
    pipeline.add(CHAIN)
    out = pipeline.run("Reader", *WORDS, "--Filtered-channels", "0,1", "--LowEvents-channels", "AP3", code=None)
    assert (
        "has no channel of the name, position or kind 'AP3'; it has channels 0 to 1 (AP0, AP1, ...) of kind lf" in out
    )
