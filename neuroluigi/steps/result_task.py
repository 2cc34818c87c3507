"""A task whose results have run records, and what its status is computed from."""

from collections.abc import Mapping
from pathlib import Path

import luigi

from neuroluigi.provenance.code import python_sources
from neuroluigi.steps.config import KindsParameter
from neuroluigi.steps.parameters import plain_value


class ResultTask(luigi.Task):
    """A task whose results have run records, with what its status depends on; base.Step is one."""

    rerun_on = KindsParameter(
        default=(),
        significant=False,
        positional=False,
        description="remade for these instead of [results] rerun_on",
    )

    @property
    def record_path(self) -> Path:
        """The path of the run record."""
        raise NotImplementedError

    # Set during fingerprint(), which is asked for the case that no input changes that may be made again: their bytes.
    assumed_bytes: Mapping[str, int] = {}

    def significant_parameters(self) -> dict:
        """Return the parameters that make a difference to the result, as plain data (others as their text)."""
        return {
            name: plain_value(parameter, self.param_kwargs[name])
            for name, parameter in self.get_params()
            if parameter.significant
        }

    def fingerprint(self) -> dict:
        """Return what the result depends on beside parameters, inputs and code, as JSON; it is kept in the record."""
        return {}

    def sources(self, engine: str) -> list[dict]:
        """Return the code that makes the result on an engine: [{"path": ..., "sha256": ...}]."""
        return python_sources(type(self))

    def wanted_tool(self) -> dict[str, str]:
        """Return engine and version that the settings ask for by name, as far as known without starting the engine."""
        return {}
