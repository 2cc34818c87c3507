"""A folder as Kilosort writes it, for tests: planted spikes, templates and labels."""

from pathlib import Path

import numpy as np

# Four channels were sorted of six in the file: position 1 was dropped, and 5 is digital.
CHANNEL_MAP = [0, 2, 3, 4]
TIMES = [10, 20, 30, 40, 55, 60, 75, 90]
CLUSTERS = [2, 0, 2, 0, 3, 2, 0, 2]
# Template 0 is largest on the second sorted channel, 2 on the fourth, 3 on the first; no spike is of 1.
LARGEST = {0: 1, 1: 2, 2: 3, 3: 0}


def write_sorted_folder(folder: Path, **arrays) -> Path:
    """Write the files of TIMES and CLUSTERS, and of others where `arrays` has them by name, None for no such file."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {
        "spike_times": np.array(TIMES, np.int64),
        "spike_clusters": np.array(CLUSTERS, np.int32),
        "spike_templates": np.array(CLUSTERS, np.int32),
        "amplitudes": np.full(len(TIMES), 12.5),
        "templates": templates(),
        "channel_map": np.array(CHANNEL_MAP, np.int32),
        "channel_positions": np.array([[0.0, 20.0 * one] for one in range(len(CHANNEL_MAP))]),
        "similar_templates": np.eye(len(LARGEST), dtype=np.float32),
        "whitening_mat": np.eye(len(CHANNEL_MAP)),
        "whitening_mat_inv": np.eye(len(CHANNEL_MAP)),
        **arrays,
    }
    for name, values in written.items():
        if values is not None:
            np.save(folder / f"{name}.npy", values)
    table(folder / "cluster_KSLabel.tsv", "KSLabel", {0: "good", 1: "mua", 2: "mua", 3: "mua"})
    return folder


def templates() -> np.ndarray:
    """Return float32 of shape (4 templates, 21 samples, 4 channels)."""
    found = np.zeros((len(LARGEST), 21, len(CHANNEL_MAP)), np.float32)
    for template, channel in LARGEST.items():
        found[template, 10] = 0.25
        found[template, 10, channel] = -1.5
    return found


def table(path: Path, column: str, labels: dict[int, str], key: str = "cluster_id") -> None:
    """Write labels of clusters as phy does."""
    path.write_text(f"{key}\t{column}\n" + "".join(f"{one}\t{label}\n" for one, label in labels.items()))
