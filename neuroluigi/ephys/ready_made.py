"""What all ready-made steps have in common: names of their own, so that a pipeline may use the short ones."""

from neuroluigi.steps.spawn import CarriesSettings
from neuroluigi.steps.tasks import GroupTask


class ReadyMadeName(CarriesSettings):
    """A task that a pipeline subclasses: `ephys.Stats` itself, plain `Stats` in the pipeline."""

    @classmethod
    def get_task_namespace(cls) -> str:
        """Return "ephys" for a class of this package: an unrelated `Plot` of a pipeline is another task."""
        return "ephys" if _is_own(cls) else super().get_task_namespace()

    @classmethod
    def get_params(cls):
        """Return no parameters for a class of this package: options and settings are those of its subclass."""
        return [] if _is_own(cls) else super().get_params()


class ReadyMade(ReadyMadeName, GroupTask):
    """A step for a group that a pipeline subclasses."""


def _is_own(step: type) -> bool:
    return step.__module__.startswith("neuroluigi.ephys.")
