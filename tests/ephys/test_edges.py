"""Edges: where a channel rises through its level, by threshold or in raw counts."""

import numpy as np
import pytest

from neuroluigi import ephys
from neuroluigi.steps.config import RunStopped


def test_a_level_in_raw_counts_replaces_the_threshold(pipeline):
    pipeline.run("Edges", "--group", "a-even", "--matlab-engine", "numpy", "--Edges-level", "100")
    samples = np.fromfile(pipeline.results / "a-even" / "aggregate.bin", np.uint8)
    rises = [i for i in range(1, 200) if samples[i] >= 100 > samples[i - 1] and i != 100]
    edges = np.load(pipeline.results / "a-even" / "edges.npy")
    assert edges[:, 0].tolist() == rises and not edges[:, 1].any()


def test_contiguous_recordings_may_have_an_edge_on_the_seam(pipeline):
    (pipeline.folder / "recordings" / "s").mkdir(parents=True)
    for index, samples in enumerate(([0, 9, 0], [9, 0, 0])):
        np.array(samples, np.uint8).tofile(pipeline.folder / "recordings" / "s" / f"rec_{index}.bin")
    arguments = ("Edges", "--group", "s", "--recordings-root", "recordings", "--matlab-engine", "numpy")
    pipeline.run(*arguments)
    assert np.load(pipeline.results / "s" / "edges.npy").tolist() == [[1, 0]]
    pipeline.run(*arguments, "--recordings-contiguous", "true", "--results-root", "joined")
    assert np.load(pipeline.folder / "joined" / "s" / "edges.npy").tolist() == [[1, 0], [3, 0]]


class Rises(ephys.Edges):
    """As a pipeline has it."""


@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_a_threshold_is_a_fraction(value):
    assert Rises("a-even", 0.5).threshold == 0.5
    with pytest.raises(RunStopped, match=rf"threshold {value}: threshold is a fraction .* use --Rises-level {value}"):
        Rises("a-even", value)
