"""A pipeline with events and their waveforms, such as the steps for them make: for tests of what draws them."""

import numpy as np

from neuroluigi.steps.target import CHECKS

# Appended to tasks.py: falls through -100 on the channels that are no words, their peaks, and two samples around each.
FALLS = """
import json
import numpy as np

class Falls(GroupTask):
    def requires(self):
        return Aggregate(self.group)

    def output(self):
        return {
            "events": self.result("spikes.npy"),
            "amplitudes": self.result("spikes_amplitudes.npy"),
            "summary": self.result("spikes.json"),
        }

    def make(self, out):
        aggregate = ephys.read_aggregate(self.input()["layout"].path)
        data = np.concatenate(list(ephys.blocks(aggregate))).astype(float)
        is_signal = np.array([kind != "digital" for kind in aggregate.kinds])
        below = (data <= -100) & is_signal
        sample, channel = np.nonzero(below[1:] & ~below[:-1])
        table = np.stack([sample + 1, channel, sample + 2, sample + 1, np.full(len(sample), -1)], axis=1)
        np.save(out["events"], table.astype(np.int64))
        np.save(out["amplitudes"], data[table[:, 3], channel])
        count = np.bincount(channel, minlength=len(is_signal)).tolist()
        summary = {
            "count": [n if one else None for n, one in zip(count, is_signal)],
            "flag": ["" if one else "not chosen" for one in is_signal],
            "level": [-100.0 if one else None for one in is_signal],
            "band": [None, None], "reference": "none", "parameters": {},
        }
        out["summary"].write_text(json.dumps(summary))

class FallSnippets(GroupTask):
    def requires(self):
        return {"aggregate": Aggregate(self.group), "events": Falls(self.group)}

    def output(self):
        return {"snippets": self.result("snippets.npy"), "described": self.result("snippets.json")}

    def make(self, out):
        aggregate = ephys.read_aggregate(self.input()["aggregate"]["layout"].path)
        data = np.concatenate(list(ephys.blocks(aggregate)))
        table = self.input()["events"]["events"].load()
        table = table[(table[:, 3] >= 2) & (table[:, 3] < len(data) - 2)]
        table = table[np.argsort(table[:, 1], kind="stable")]
        np.save(out["snippets"], np.array([data[p - 2 : p + 3, c] for p, c in table[:, [3, 1]]], np.float32))
        rows = []
        for c in np.unique(table[:, 1]).tolist():
            first, count = int(np.argmax(table[:, 1] == c)), int((table[:, 1] == c).sum())
            rows.append({"channel": c, "neighbours": [c], "first": first, "count": count, "left_out": 0})
        around = {"before_samples": 2, "after_samples": 2, "sampling_rate_hz": aggregate.sampling_rate_hz}
        out["described"].write_text(json.dumps({"rows": rows, "raw": True, **around}))

class FallTraces(ephys.Traces):
    def requires(self):
        return {"aggregate": Aggregate(self.group), "events": Falls(self.group)}

class FallPlots(ephys.EventPlots):
    def requires(self):
        return {"aggregate": Aggregate(self.group), "events": Falls(self.group), "snippets": FallSnippets(self.group)}

class EdgeTraces(ephys.Traces):
    def requires(self):
        return {"aggregate": Aggregate(self.group), "events": Edges(self.group)}
"""


def with_spikes(pipeline):
    """Return a pipeline with these steps, over the group s: two channels of 5 s at 1 kHz."""
    pipeline.add(FALLS)
    root = pipeline.folder / "real"
    root.mkdir()
    data = np.zeros((5000, 2), "<i2")
    data[100:5000:100, 0] = data[50:5000:1000, 1] = -300
    data.tofile(root / "rec_0.bin")
    columns = "session,index,path,dtype,channels,sampling_rate_hz"
    (root / "recordings.csv").write_text(f"{columns}\ns,0,rec_0.bin,int16,2,1000\n")
    return pipeline


def run(lab, step: str, *arguments, group="s", root="real", code=0) -> str:
    """Run a step of a group, and return what is printed, on one line."""
    settings = ("--recordings-root", root, "--matlab-engine", "numpy")
    return " ".join(lab.run(step, "--group", group, *settings, *arguments, code=code).split())


def pictures(lab, group="s") -> list[str]:
    """Return the names of the pictures in a group's folder, each whole."""
    found = [path for path in (lab.results / group).iterdir() if path.suffix in (".png", ".svg", ".pdf")]
    for path in found:
        CHECKS[path.suffix](path)
    return sorted(path.name for path in found)
