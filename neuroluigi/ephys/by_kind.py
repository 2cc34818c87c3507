"""PlotAll: what is made of each group, by the kinds of its channels."""

import functools
from collections.abc import Iterable

import luigi
from luigi.task_register import Register, TaskClassException

from neuroluigi.ephys.channels import GroupChannels
from neuroluigi.ephys.ready_made import ReadyMadeName
from neuroluigi.recordings.concatenation import channels_of
from neuroluigi.recordings.formats.reader import AP, DIGITAL, KINDS, LF, UNKNOWN
from neuroluigi.recordings.recording import Group, RecordingsError
from neuroluigi.steps.config import RunStopped, WordsParameter
from neuroluigi.steps.discovery import groups, groups_of_sessions
from neuroluigi.steps.group_settings import bad_channels
from neuroluigi.steps.tasks import WrapperTask

# Below such a rate there are no spikes to see in what a probe calls ap.
LEAST_RATE_OF_SPIKES = 10_000


def _steps(kind: str, *names: str) -> WordsParameter:
    return WordsParameter(
        default=names, significant=False, positional=False, description=f"steps of groups with channels of kind {kind}"
    )


class PlotAll(ReadyMadeName, WrapperTask):
    """All that is made of every group, by the kinds of its channels, and of every session: what its settings name.

    What has to be made before is made too. Channels of kind ap that are sampled at less than 10 kHz count as lf, and
    the events of lines that a rig wrote beside samples (TTL) as digital. The kind is what a header says, or the column
    kind of the table or of [recordings] metadata.
    """

    ap = _steps("ap", "Stats", "SpikeTraces", "SpikePlots")
    lf = _steps("lf", "Stats", "Traces", "Spectrum")
    analog = _steps("analog", "Stats", "Traces")
    aux = _steps("aux", "Stats", "Traces")
    digital = _steps("digital", "Lines")
    unknown = _steps("unknown", "Plot")
    sessions = WordsParameter(
        default=(), significant=False, positional=False, description="steps of each session, such as Aligned"
    )

    def requires(self):
        # Luigi goes through all classes for each.
        called = functools.cache(lambda name: step_called(name, type(self)))
        return [
            *(called(name)(group) for group in groups() for name in self._names_of(group)),
            *(called(name)(session) for session in groups_of_sessions() for name in self.sessions),
        ]

    def steps_of(self, group: str) -> list[type[luigi.Task]]:
        """Return the steps of a group, each once. Raises RunStopped for a name that is no step."""
        return [step_called(name, type(self)) for name in self._names_of(group)]

    def _names_of(self, group: str) -> Iterable[str]:
        return dict.fromkeys(name for kind in kinds_of(group) for name in getattr(self, kind))


def kinds_of(key: str) -> Iterable[str]:
    """Return what the channels of a group are taken for, in the order of KINDS; unknown where it has a problem."""
    group = groups()[key]
    if group.problems or not group.recordings:
        # Each of its steps fails with the reason.
        return (UNKNOWN,)
    rate = group.recordings[0].sampling_rate_hz
    found = _kinds(group)
    if any(one.recorded and one.recorded.line_files for one in group.recordings):
        found.add(DIGITAL)
    if AP in found and rate and rate < LEAST_RATE_OF_SPIKES:
        found = found - {AP} | {LF}
    return sorted(found, key=KINDS.index)


def _kinds(group: Group) -> set[str]:
    """Return the kinds of the channels that are used and not bad, of unknown ones where there are none."""
    try:
        of_group = GroupChannels(group, *bad_channels(group.key))
    except RecordingsError:
        # A bad channel that the group does not have: each step that looks at channels fails with the reason.
        return {one.get("kind", UNKNOWN) for one in channels_of(group.recordings[0])}
    return {of_group.kind(place) for place in of_group.usable()} or {UNKNOWN}


def step_called(name: str, task: type[luigi.Task]) -> type[luigi.Task]:
    """Return the step of that name, which `task` asks for. Raises RunStopped where there is none."""
    try:
        return Register.get_task_cls(name)
    except TaskClassException as error:
        raise RunStopped(
            f"luigi: [{task.get_task_family()}] names {name!r}, and tasks.py has no class of that name; write one"
            " there, or correct the setting"
        ) from error
