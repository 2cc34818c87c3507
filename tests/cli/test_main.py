"""The `neuroluigi` command as a whole."""

import re

import pytest
from click.testing import CliRunner

from neuroluigi.cli.main import main


@pytest.mark.parametrize("name", sorted(main.commands))
def test_help_shows_an_example_of_the_command_itself(name):
    done = CliRunner().invoke(main.commands[name], ["--help"])
    assert done.exit_code == 0
    examples = re.search(r"\n  Examples?:\n((?:    +neuroluigi .+\n)+)", done.output)
    assert examples, done.output
    assert all(line.split()[1] == name for line in examples[1].splitlines()), done.output
