"""The finished pipeline of the tests of results, for the commands on it."""

from tests.results.conftest import first, lab  # noqa: F401 (fixtures)
