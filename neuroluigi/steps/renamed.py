"""Names of earlier releases, in one table: each is refused with the new name.

There are no aliases: an old name that is ignored, or means something else now, would silently change what a lab gets.
But for one: facts() of a lab's steps, which means what fingerprint() does, is taken as that with a warning.
"""

import warnings

COMMANDS = {"free": "drop", "crate": "export rocrate", "graph": "diagram"}

# Command-line options are the same with dashes: --recordings-allow-removed.
SETTINGS = {
    "recordings.allow_removed": "recordings.allow_missing",
    "recordings.incomplete": "recordings.partial_sample",
    "scheduling.linear": "neuroluigi.fast_scheduler",
}

OPTIONS = {"root": "task", "edited": "modified"}

# What the class of a step declares, and what its methods call.
STEP_ATTRIBUTES = {
    "apart_by": "filename_parameters",
    "imports": "preload",
    "means": "tool_label",
    "standin": "numpy_function",
}
STEP_METHODS = {"layout": "concatenation", "tell_progress": "report_progress"}

# Names of the package itself: neuroluigi.Part.
EXPORTS = {"Part": "Subset", "scheduling": "scheduler"}


def refusal(what: str, old: str, new: str) -> str:
    """Return the message for a name of an earlier release."""
    return f"the {what} {old} is called {new} now"


def take_facts_as_fingerprint(step: type) -> None:
    """Let facts() of a class of steps be its fingerprint(), unless that is defined after it."""
    for one in step.__mro__:
        if "fingerprint" in vars(one):
            return
        if "facts" in vars(one):
            warnings.warn(refusal(f"method of {step.__name__}", "facts", "fingerprint"), FutureWarning, stacklevel=3)
            step.fingerprint = vars(one)["facts"]  # type: ignore[attr-defined]
            return


def setting_option(setting: str) -> str:
    """Return the command-line option of a setting, such as --recordings-root of recordings.root."""
    section, _, name = setting.rpartition(".")
    return f"--{section}-{name}".replace("_", "-")


def setting_in_file(setting: str) -> str:
    """Return a setting as luigi.cfg has it, such as [recordings] root of recordings.root."""
    section, _, name = setting.rpartition(".")
    return f"[{section}] {name}"


class RenamedMethod:
    """A method of an earlier release, in the class that had it: AttributeError with the new name on use.

    A descriptor, since a __getattr__ would also hide why a property of a step raised AttributeError.
    """

    def __init__(self, old: str, new: str):
        self.old, self.new = old, new

    def __get__(self, step: object, owner: type) -> "RenamedMethod":
        if step is None:
            return self
        raise AttributeError(refusal(f"method of {owner.__name__}", self.old, self.new))


# Options as they are typed, old and new.
RENAMED_OPTIONS = {
    **{f"--{old}": f"--{new}" for old, new in OPTIONS.items()},
    **{setting_option(old): setting_option(new) for old, new in SETTINGS.items()},
}
