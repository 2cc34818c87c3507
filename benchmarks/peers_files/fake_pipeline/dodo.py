"""The fake pipeline for doit."""

from collections.abc import Callable

import fake_steps
from doit.tools import create_folder, run_once

GROUPS = [(session, parity) for session in fake_steps.SESSIONS for parity in fake_steps.PARITIES]


def recording(session: str, index: int) -> str:
    return f"recordings/{session}/rec_{index}.bin"


def task_recording():
    for session in fake_steps.SESSIONS:
        for index in range(4):
            out = recording(session, index)
            folder = (create_folder, [f"recordings/{session}"])
            make = (fake_steps.make_recording, [session, index, out])
            yield {"name": f"{session}/{index}", "actions": [folder, make], "targets": [out], "uptodate": [run_once]}


def step(group: str, make: Callable, arguments: list, needed: list[str], out: str) -> dict:
    """Return a task that makes a file of a group."""
    actions = [(create_folder, [f"results/{group}"]), (make, [*arguments, out])]
    return {"name": group, "actions": actions, "file_dep": needed, "targets": [out]}


def task_aggregate():
    for session, parity in GROUPS:
        group = f"{session}-{parity}"
        needed = [recording(session, index) for index in fake_steps.indices(parity)]
        yield step(group, fake_steps.concatenate, [needed], needed, f"results/{group}/aggregate.bin")


def task_stats():
    for session, parity in GROUPS:
        group = f"{session}-{parity}"
        needed = [f"results/{group}/aggregate.bin"]
        yield step(group, fake_steps.compute_stats, needed, needed, f"results/{group}/stats.json")


def task_edges():
    for session, parity in GROUPS:
        group = f"{session}-{parity}"
        needed = [f"results/{group}/{name}" for name in ("aggregate.bin", "stats.json")]
        yield step(group, fake_steps.find_edges, needed, needed, f"results/{group}/edges.npy")


def task_plot():
    for session, parity in GROUPS:
        group = f"{session}-{parity}"
        needed = [f"results/{group}/{name}" for name in ("aggregate.bin", "stats.json", "edges.npy")]
        yield step(group, fake_steps.plot, [session, parity, *needed], needed, f"results/{group}/plot.png")
