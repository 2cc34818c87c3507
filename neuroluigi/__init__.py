"""Pipelines for neural recordings in Matlab and Python, as one Luigi task graph."""

import os
from typing import TYPE_CHECKING

from neuroluigi.steps.settings_file import RunStopped

# isort: split
from neuroluigi.cluster.subset import Subset
from neuroluigi.recordings.concatenation import data_bytes
from neuroluigi.recordings.formats.raw import fake_samples
from neuroluigi.results.report.page import ReportTask
from neuroluigi.runner import patches, scheduler
from neuroluigi.runner.build import build
from neuroluigi.runner.secrets_of_tasks import hide_secrets
from neuroluigi.steps.command import CommandTask
from neuroluigi.steps.discovery import groups
from neuroluigi.steps.matlab import MatlabTask
from neuroluigi.steps.renamed import EXPORTS, refusal
from neuroluigi.steps.returned import MatlabArray, ReturnedTarget
from neuroluigi.steps.target import DamagedError, ResultFolder, ResultTarget
from neuroluigi.steps.tasks import (
    ExistingRecording,
    GroupTask,
    RecordingMaker,
    RecordingTask,
    SessionTask,
    StudyTask,
    WrapperTask,
    recording_task,
)

if TYPE_CHECKING:
    from neuroluigi.notebook import Lab

# Not `open`: in a tasks.py with `from neuroluigi import *` it would take the place of Python's own.
__all__ = [
    "CommandTask",
    "DamagedError",
    "ExistingRecording",
    "GroupTask",
    "MatlabArray",
    "MatlabTask",
    "RecordingMaker",
    "RecordingTask",
    "ReportTask",
    "ResultFolder",
    "ResultTarget",
    "ReturnedTarget",
    "RunStopped",
    "SessionTask",
    "StudyTask",
    "Subset",
    "WrapperTask",
    "build",
    "data_bytes",
    "fake_samples",
    "groups",
    "recording_task",
    "scheduler",
]


patches.options_may_share_a_name().apply()
hide_secrets()


def open(folder: str | os.PathLike[str] = ".", module: str = "tasks") -> "Lab":
    """Return the lab in a folder, see neuroluigi.notebook.open; a run needs none of what that imports."""
    from neuroluigi.notebook import open as open_lab

    return open_lab(folder, module)


def __getattr__(name: str) -> object:
    if name in EXPORTS:
        raise AttributeError(refusal("name", f"neuroluigi.{name}", f"neuroluigi.{EXPORTS[name]}"))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
