"""A pipeline with a step that writes the files of an event step, as a lab could have one."""

STEPS = """
import json
import numpy as np
from neuroluigi.ephys import targets as kinds

class Spikes(GroupTask):
    def requires(self):
        return Aggregate(self.group)

    def output(self):
        summary = self.result("spikes.json", kinds.EventSummary)
        names = ("spikes.npy", "spikes_amplitudes.npy")
        return {"events": self.result(names[0], kinds.Events), "amplitudes": self.result(names[1]), "summary": summary}

    def make(self, out):
        rows = [[5, 0, 9, 6, -1], [5, 1, 8, 5, -1], [7, 1, 9, 8, -1]]
        np.save(out["events"], np.array(rows, "<i8"))
        np.save(out["amplitudes"], np.array([-100.0, -140.0, -90.0]))
        lists = {"count": [1, 2, None], "rate_hz": [2.5, 5.0, None], "noise": [4.0, 40.0, None]}
        levels = {"level": [-20.0, -200.0, None], "release": [-10.0, -100.0, None]}
        said = {"flag": ["", "candidate", "not chosen"], "band": [300.0, 6000.0], "open": [0, 1, 2]}
        more = {"rejected": {"width": 0, "refractory": 3}, "parameters": {"polarity": "falling"}}
        out["summary"].write_text(json.dumps({**lists, **levels, **said, **more}))

class All(WrapperTask):
    def requires(self):
        return [Spikes(group) for group in groups()]
"""
