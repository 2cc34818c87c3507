"""The kinds of steps: for a group, a recording, a session, or the whole study, each with its folder of results.

Recordings themselves are tasks too: those that exist (`ExistingRecording`), and those that a step makes
(`RecordingMaker`).
"""

import os
from collections.abc import Iterable
from pathlib import Path

import luigi
from luigi.task import flatten

from neuroluigi.provenance.files import path_in_root
from neuroluigi.provenance.record import read_record
from neuroluigi.recordings.concatenation import describe_concatenation
from neuroluigi.recordings.formats.reader import Part
from neuroluigi.recordings.recording import Group, Recording, RecordingsError
from neuroluigi.steps.base import Step
from neuroluigi.steps.config import (
    RunStopped,
    WordsParameter,
    folder_name,
    path_of,
    recordings,
    recordings_root,
    results,
    results_root,
    roots_of_paths,
    setting,
)
from neuroluigi.steps.discovery import (
    decoders,
    existing_recordings,
    find_recording,
    groups,
    groups_of_sessions,
    recording_makers,
)
from neuroluigi.steps.plan import status_of
from neuroluigi.steps.spawn import CarriesSettings
from neuroluigi.steps.target import RecordingTarget, ResultTarget, files_beside

# The folder of results of sessions.
SESSIONS = "sessions"


class WrapperTask(CarriesSettings, luigi.WrapperTask):
    """A task that is done when what it requires is."""

    def complete(self):
        """Whether all that it requires is there and right."""
        return super().complete() if setting(results).trust_existing else status_of(self).is_complete


class GroupTask(Step):
    """A step for one group of recordings; its files are in results/<group>/."""

    group = luigi.Parameter(description="key of the group, such as a-even")
    has_group_sections = True

    @property
    def folder(self) -> Path:
        return path_of(results_root(), folder_name(self.group, "group"))

    @property
    def recordings(self) -> tuple[Recording, ...]:
        """The group's recordings in order, for requires(); none if one has a problem: then the step fails with it."""
        group = self._group()
        self.lacks_recordings = bool(group.problems)
        return () if group.problems else group.recordings

    def concatenation(self) -> dict:
        """Return dtype, channels, rate and where each recording begins in the concatenation of this step's inputs.

        Raises RecordingsError where something is wrong with one of the group's recordings.
        """
        return self._concatenation_and_parts()[0]

    def parts_of_concatenation(self) -> list[tuple[str, int, int]]:
        """Return path, byte offset and bytes of each part of the concatenation of this step's inputs, in order."""
        _, parts = self._concatenation_and_parts()
        bytes_per_sample = self._group().recordings[0].bytes_per_sample
        return [(one.path, one.offset, one.samples * bytes_per_sample) for one in parts]

    def files_of_samples(self) -> list:
        """Return the targets of all files in which the samples of the concatenation lie."""
        targets = flatten(self.input())
        recorded = (one.recorded for one in self.recordings)
        paths = {part.path for one in recorded if one for part in one.parts}
        return [*targets, *(one for one in files_beside(targets) if one.path in paths)]

    def _concatenation_and_parts(self) -> tuple[dict, list[Part]]:
        group, settings = self._group(), setting(recordings)
        targets = flatten(self.input())
        paths = [one.path for one in targets]
        for recording, path in zip(group.recordings, paths, strict=False):
            if recording.is_encoded and path == recording.path:
                raise RecordingsError(
                    f"{path} has to be decoded: in requires(), use recording_task(recording), which gives the step for"
                    " that"
                )
        return describe_concatenation(
            group,
            paths,
            settings.partial_sample,
            settings.contiguous,
            settings.gap_tolerance,
            dropped_bytes=_dropped_bytes(targets),
        )

    def recordings_problem(self) -> str:
        # A pipeline without recordings has groups of its own.
        has_recordings = setting(recordings).are_real() or recording_makers
        return "\n".join(self._group().problems) if has_recordings else ""

    def _group(self) -> Group:
        known = groups()
        if self.group not in known:
            raise RunStopped(f"luigi: there is no group {self.group!r}; the groups are: {', '.join(known)}")
        return known[self.group]


def _dropped_bytes(targets: Iterable[luigi.Target]) -> dict[str, int]:
    """Return the sizes of the results that are not there, by path, as their run records have them."""
    gone = [one for one in targets if isinstance(one, ResultTarget) and not os.path.lexists(one.path)]
    outputs = ((one, output) for one in gone for output in (read_record(one.record) or {}).get("outputs", ()))
    roots = roots_of_paths()
    return {
        one.path: output["bytes"] for one, output in outputs if path_in_root(one.path, roots).items() <= output.items()
    }


# What the table or luigi.cfg says of the samples of a recording.
_DESCRIPTION = ("dtype", "channels", "sampling_rate_hz", "header_bytes", "scale", "offset", "unit")


class OfRecording(luigi.Task):
    """The parameters of a task for one recording: RecordingTask(*recording.identity)."""

    session = luigi.Parameter(description="session of the recording")
    index = luigi.IntParameter(description="number of the recording in its session")
    group = luigi.Parameter(default="", description="its group, where another one has the same session and index")

    @property
    def recording(self) -> Recording:
        """The row that describes the recording."""
        return find_recording(self.session, self.index, self.group)

    def recordings_problem(self) -> str:
        """Return what is wrong with the recording, "" for nothing."""
        return "\n".join(self.recording.problems)


class RecordingTask(OfRecording, Step):
    """A step for one recording; its files are in results/recordings/<session>/<index>/."""

    @property
    def folder(self) -> Path:
        # One that shares session and index with another has a folder more.
        return path_of(results_root(), "recordings", folder_name(self.session, "session"), str(self.index), self.group)


class SessionTask(Step):
    """A step over all groups that have recordings of a session; its files are in results/sessions/<session>/."""

    session = luigi.Parameter(description="session of recordings")

    @property
    def folder(self) -> Path:
        return path_of(results_root(), SESSIONS, folder_name(self.session, "session"))

    @property
    def groups(self) -> dict[str, Group]:
        """The groups that have recordings of the session by their key, for requires(); others may be in them too."""
        known = groups_of_sessions()
        if self.session not in known:
            raise RunStopped(f"luigi: there is no session {self.session!r}; the sessions are: {', '.join(known)}")
        today = groups()
        return {key: today[key] for key in known[self.session]}

    def recordings_problem(self) -> str:
        return "\n".join(problem for group in self.groups.values() for problem in group.problems)


class StudyTask(Step):
    """A step over all groups; its files are in results/study/."""

    @property
    def folder(self) -> Path:
        return path_of(results_root(), "study")


class ExistingRecording(OfRecording, CarriesSettings, luigi.ExternalTask):
    """A recording that exists, as the table or the pattern describes it."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        existing_recordings.append(cls)

    def significant_parameters(self):
        """Return how the recording is described: what a step can read of it beside its bytes."""
        # Not where it lies nor what it is called: the same bytes are the same recording.
        recording = self.recording
        return {name: getattr(recording, name) for name in _DESCRIPTION}

    def output(self):
        recording = self.recording
        name = f"{recording.session}/{recording.index}"
        beside = [RecordingTarget(path, recording=f"{name}/{Path(path).name}") for path in recording.beside]
        return RecordingTarget(recording.path, recording.sha256, name, beside)


class RecordingMaker(Step):
    """A step that makes recordings where luigi.cfg names no existing ones: recordings/<session>/rec_<index>.bin."""

    session = luigi.Parameter(description="session of the recording")
    index = luigi.IntParameter(description="number of the recording in its session")
    # The recordings of a session share a folder.
    filename_parameters = ("index",)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        recording_makers.append(cls)

    sessions = WordsParameter(default=("a", "b", "c", "d", "e"), significant=False, description="names of the sessions")
    count = luigi.IntParameter(default=4, significant=False, description="recordings of each session")

    @property
    def folder(self) -> Path:
        if setting(recordings).are_real():
            raise RunStopped(f"luigi: {self} would write among real recordings; [recordings] root or table is set")
        return path_of(recordings_root(), folder_name(self.session, "session"))

    def output(self):
        return self.result(f"rec_{self.index}.bin")

    def declared(self) -> tuple:
        """Return a row of the table of recordings, as the items of a dict, for each recording to make."""
        return tuple(
            (
                ("session", session),
                ("index", str(index)),
                ("path", f"{session}/rec_{index}.bin"),
            )
            for session in self.sessions
            for index in range(self.count)
        )


def recording_task(recording: Recording) -> luigi.Task:
    """Return the task that provides the samples of a recording, of the pipeline's own class where it defines one."""
    if recording.made:
        return recording_makers[-1](recording.session, recording.index)
    if not recording.is_encoded:
        return files_of_recording(recording)
    if not decoders:
        raise RunStopped(
            f"luigi: {recording.path} has to be decoded; the step for that comes with ephys: add the line 'from"
            " neuroluigi import ephys' to tasks.py"
        )
    return decoders[-1](*recording.identity)


def files_of_recording(recording: Recording) -> luigi.Task:
    """Return the task that provides the files of an existing recording, also where they have to be decoded."""
    return (existing_recordings or [ExistingRecording])[-1](*recording.identity)
