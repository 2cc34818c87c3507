"""Fixtures of the tests of power cuts."""

from tests.steps.conftest import declare  # noqa: F401 (a fixture)
