"""What the tests of steps share: settings for one test, in memory."""

import luigi
import pytest
from luigi.cmdline_parser import CmdlineParser

from neuroluigi.steps import discovery


@pytest.fixture
def declare(tmp_path, monkeypatch):
    """Return a function that sets settings of a section, as luigi.cfg would; the current folder is empty.

    There are no settings at first but for the folders, and no tasks that make recordings.
    """
    monkeypatch.chdir(tmp_path)
    config = luigi.configuration.get_config()
    before = {name: dict(config.items(name, raw=True)) for name in config.sections()}
    classes = discovery.recording_makers, discovery.existing_recordings, discovery.decoders
    defined = [list(one) for one in classes]
    for name in before:
        config.remove_section(name)
    for one in classes:
        one.clear()

    def declare(section, **values):
        for name, value in values.items():
            config.set(section, name, str(value))

    declare("results", root=tmp_path / "results")
    declare("recordings", table="", root="")
    yield declare
    for name in config.sections():
        config.remove_section(name)
    config.read_dict(before)
    for one, names in zip(classes, defined, strict=True):
        one[:] = names


@pytest.fixture
def command_line():
    """Return a function that gives Luigi a command line, as `luigi` would, until the test ends."""
    contexts = []

    def command_line(*words):
        contexts.append(CmdlineParser.global_instance([str(word) for word in words]))
        return contexts[-1].__enter__()

    yield command_line
    for context in contexts:
        context.__exit__(None, None, None)
