"""What the tests of Slurm share: the command `neuroluigi` in a lab, and what a submission leaves."""

import json
from pathlib import Path

from neuroluigi.provenance.record import timestamp
from tests import commands
from tests.conftest import BIN, clean_environment


def neuroluigi(lab, *arguments, env=None, code=0) -> str:
    done = commands.run(
        [BIN / "neuroluigi", *map(str, arguments)],
        cwd=lab.folder,
        env={**clean_environment(), **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


FAKES = ["--FakeRecording-sessions", "s,t", "--FakeRecording-count", "2", "--matlab-engine", "numpy"]
NO_SLURM = {"PATH": "/nonexistent"}


def pretend(lab, elements, **record) -> Path:
    """Leave what a submission leaves, with the same record of each element."""
    folder = lab.results / ".slurm" / "1"
    folder.mkdir(parents=True)
    about = {"array": "7", "last": "8", "command": ["neuroluigi", "slurm"], "submitted": timestamp()}
    (folder / "job.json").write_text(json.dumps(about))
    (folder / "groups.txt").write_text("".join(f"{json.dumps(one)}\n" for one in elements))
    for number in range(len(elements)):
        (folder / f"{number}.json").write_text(json.dumps(record))
    return folder
