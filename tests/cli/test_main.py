"""The `neuroluigi` command as a whole: help, the commands that there are, and names of earlier releases."""

import re
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from neuroluigi.cli.main import main


def leaves(command: click.Command, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield (words, command) of each command that does something."""
    if isinstance(command, click.Group):
        for word, below in command.commands.items():
            yield from leaves(below, f"{name} {word}".strip())
    else:
        yield name, command


COMMANDS = dict(leaves(main))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_shows_an_example_of_the_command_itself(name):
    done = CliRunner().invoke(main, [*name.split(), "--help"])
    assert done.exit_code == 0, done.output
    examples = re.search(r"\n  Examples?:\n((?:    +neuroluigi .+\n)+)", done.output)
    assert examples, done.output
    assert all(line.split("neuroluigi ")[1].startswith(name) for line in examples[1].splitlines()), done.output


def test_the_commands_are_those_of_the_documentation():
    assert set(COMMANDS) == {
        *("init", "run", "status", "why", "results", "events", "recordings", "report", "diagram", "compare"),
        *("clean", "drop", "accept", "verify", "export rocrate", "export nwb", "doctor", "slurm"),
    }
    overview = CliRunner().invoke(main, ["--help"]).output
    assert all(re.search(rf"^  {name.split()[0]} ", overview, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize(("old", "new"), [("free", "drop"), ("crate", "export rocrate"), ("graph", "diagram")])
def test_a_command_of_an_earlier_release_is_refused_with_its_new_name(old, new):
    done = CliRunner().invoke(main, [old])
    assert done.exit_code == 2 and f"the command {old} is called {new} now" in done.output


def test_the_option_root_is_refused_with_its_new_name():
    done = CliRunner().invoke(main, ["--root", "PlotAll", "status"])
    assert done.exit_code == 2 and "the option --root is called --task now" in done.output
