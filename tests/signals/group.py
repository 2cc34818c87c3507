"""A group whose picture is drawn."""

import warnings

import numpy as np

from neuroluigi.signals import plotting
from neuroluigi.steps.target import check_png
from tests.signals.aggregates import write_aggregate


class Group:
    """A group's files and figure, from an array (samples, channels)."""

    def __init__(self, folder, data, counts=None, indices=None, excluded=(), **known):
        data = np.asarray(data)
        self.data = data.reshape(len(data), -1)
        counts = counts or [len(data)]
        firsts = [0, *np.cumsum(counts)[:-1].tolist()]
        indices = indices or [str(n) for n in range(len(counts))]
        recordings = [
            {"session": "s", "index": index, "path": "p", "first_sample": first, "samples": count}
            for index, first, count in zip(indices, firsts, counts, strict=True)
        ]
        self.file = write_aggregate(folder, self.data, firsts, recordings=recordings, excluded=list(excluded), **known)

    def arguments(self, level, threshold=None, edges=None, title="group", made_by="octave 7.3.0") -> dict:
        if edges is None:
            with np.errstate(invalid="ignore"):
                edges = np.argwhere((self.data[1:] >= level) & (self.data[:-1] < level)) + np.array([1, 0])
        return {
            "title": title,
            "aggregate_file": self.file,
            "edges": edges,
            "levels": np.broadcast_to(np.asarray(level, dtype=float), self.data.shape[1]).tolist(),
            "threshold": threshold,
            "made_by": made_by,
        }

    def figure(self, level=0.5, **others):
        return plotting.group_figure(**self.arguments(level, **others))

    def save(self, path, level=0.5, **others) -> None:
        """Save the picture; a warning is an error."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            plotting.plot_group(path, **self.arguments(level, **others))
        check_png(path)


def words(figure) -> str:
    """Return all texts of a figure."""
    texts = [text.get_text() for text in figure.texts]
    for ax in figure.axes:
        texts += [t.get_text() for t in (*ax.texts, ax.title, ax.xaxis.label, ax.yaxis.label)]
    return "\n".join(texts).replace("\u202f", " ")


def noise(samples: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(samples).integers(0, 256, (samples, channels), dtype="uint8")
