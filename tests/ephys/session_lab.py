"""A pipeline with recordings at known samples of which pulses stand: for tests of what is over a session."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.conftest import Pipeline

# Single samples at 1000 on otherwise silent channels, as events.
FIRES = """
class Fires(ephys.Crossings):
    def requires(self):
        return Aggregate(self.group)


class Around(ephys.Peri):
    def requires(self):
        events = {group: {"events": Fires(group)} for group in self.groups_with_spikes}
        return {**Peri.requires(self), "groups": {
            group: {"aggregate": Aggregate(group), **events.get(group, {})} for group in self.groups
        }}
"""


def session_lab(pipeline: Pipeline) -> Pipeline:
    """Return a pipeline with the steps Fires, and Around, a Peri of those, and a folder raw."""
    pipeline.add(FIRES)
    settings(pipeline, "Fires", level=500)
    (pipeline.folder / "raw").mkdir()
    return pipeline


def settings(lab: Pipeline, section: str, **values) -> None:
    """Add a section to luigi.cfg, or lines to one that is there."""
    path = lab.folder / "luigi.cfg"
    text, lines = path.read_text(encoding="utf-8"), "".join(f"{name} = {value}\n" for name, value in values.items())
    head = f"[{section}]\n"
    text = text.replace(head, head + lines, 1) if head in text else f"{text}\n{head}{lines}"
    path.write_text(text, encoding="utf-8")


def write_raw(
    lab: Pipeline, *rows: tuple[str, int, Sequence[Sequence[int]]], samples=1000, rate="1000", **columns
) -> None:
    """Write recordings of int16, each (session, index, the samples at 1000 of each channel), and their table."""
    head = ["session", "index", "path", "dtype", "channels", "sampling_rate_hz", *columns]
    lines = [",".join(head)]
    for session, index, channels in rows:
        data = np.zeros((samples, len(channels)), "<i2")
        for channel, at in enumerate(channels):
            data[list(at), channel] = 1000
        name = f"{session}_{index}.bin"
        data.tofile(lab.folder / "raw" / name)
        lines.append(",".join(map(str, (session, index, name, "int16", len(channels), rate, *columns.values()))))
    (lab.folder / "raw" / "recordings.csv").write_text("\n".join(lines) + "\n")


def write_trials(lab: Pipeline, text: str, name: str = "s.csv") -> None:
    """Write a table of trials, and set it."""
    (lab.folder / "raw" / name).write_text(text, encoding="utf-8")


def run(lab: Pipeline, step: str, *options: object, session="s", code: int | None = 0) -> str:
    """Run a step of a session, and return what it printed, on one line."""
    asked = ("--session", session, "--recordings-root", "raw", "--matlab-engine", "numpy", "--workers", "1")
    return " ".join(lab.run(step, *asked, *options, code=code).split())


def folder_of(lab: Pipeline, session: str = "s") -> Path:
    """Return the folder of the results of a session."""
    return lab.results / "sessions" / session


def columns_of(rows: Sequence[Mapping[str, str]], *names: str) -> list[tuple[str, ...]]:
    """Return some columns of the rows of a CSV file."""
    return [tuple(row[name] for name in names) for row in rows]
