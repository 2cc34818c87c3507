"""A script: `run ARGUMENTS` is `luigi ARGUMENTS`, and `plan ARGUMENTS` writes what would be done to plan.json.

With the index of states, which a lab of some results does not have otherwise.
"""

import json
import os
import sys
from pathlib import Path

from luigi.cmdline_parser import CmdlineParser
from luigi.task import flatten

from neuroluigi.provenance import state_index
from neuroluigi.runner import command_line, run
from neuroluigi.steps.config import set_defaults
from neuroluigi.steps.plan import walk_statuses


def plan(argv: list[str]) -> None:
    command_line.use_current_folder("tasks")
    set_defaults()
    root = command_line.parse(argv)
    with CmdlineParser.global_instance(argv):
        steps = [
            {
                "name": os.path.relpath(step.record_path),
                "text": str(step),
                "state": status.state,
                "todo": status.todo,
                "waits_for": status.waits_for,
                "inputs": [os.path.relpath(one.path) for one in flatten(step.input())],
                "outputs": [os.path.relpath(one.path) for one in flatten(step.output())],
            }
            for step, status in walk_statuses(root)
        ]
    Path("plan.json").write_text(json.dumps(steps))


if __name__ == "__main__":
    state_index._WORTH_KEEPING = 1
    what, *argv = sys.argv[1:]
    sys.exit(run.luigi_command(argv) if what == "run" else plan(argv))
