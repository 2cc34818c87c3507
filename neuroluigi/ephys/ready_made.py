"""What all ready-made steps have in common: names of their own, so that a pipeline may use the short ones."""

from neuroluigi.steps.tasks import GroupTask


class ReadyMade(GroupTask):
    """A step that a pipeline subclasses: `ephys.Stats` itself, plain `Stats` in the pipeline."""

    @classmethod
    def get_task_namespace(cls) -> str:
        """Return "ephys" for the classes of this package, so that a pipeline's class of the same name is another one."""
        return "ephys" if cls.__module__.startswith("neuroluigi.ephys.") else super().get_task_namespace()
