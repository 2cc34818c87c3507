"""Pipelines for neural recordings in Matlab and Python, as one Luigi task graph."""

from neuroluigi import scheduling
from neuroluigi.command import CommandTask
from neuroluigi.matlab import MatlabTask
from neuroluigi.parts import Part
from neuroluigi.recordings import data_bytes, fake_samples
from neuroluigi.report import ReportTask
from neuroluigi.settings import RunStopped, groups
from neuroluigi.target import DamagedError, ResultTarget
from neuroluigi.task import ExistingRecording, GroupTask, RecordingMaker, RecordingTask, StudyTask, WrapperTask

__all__ = [
    "CommandTask",
    "DamagedError",
    "ExistingRecording",
    "GroupTask",
    "MatlabTask",
    "Part",
    "RecordingMaker",
    "RecordingTask",
    "ReportTask",
    "ResultTarget",
    "RunStopped",
    "StudyTask",
    "WrapperTask",
    "data_bytes",
    "fake_samples",
    "groups",
    "scheduling",
]
