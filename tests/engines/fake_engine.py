"""A stand-in for an engine that starts at once: it answers calls as neuroluigiServe.m does, and loses files meanwhile.

The function of a call is ignored. The variable FAKE_ENGINE, "MOMENT NAME", has it remove a file of its session,
"folder" or "pool" at a moment, once per run: `starting`, before it is ready; `ready`, right after; `asked`, when there
is a request that it has not read; `reading`, having read it; `answered`, when its answer is there.
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ.get("NEUROLUIGI_SESSION", "."))
MOMENT, _, NAME = os.environ.get("FAKE_ENGINE", "").partition(" ")


def remove(folder: Path, name: str) -> None:
    """Remove what `name` says of a session."""
    path = {"folder": folder, "pool": folder.parent}.get(name, folder / name)
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def at(moment: str) -> None:
    """Remove what is to be removed at this moment, once."""
    if moment == MOMENT:
        try:
            Path(os.environ["FAKE_ENGINE_DONE"]).touch(exist_ok=False)
        except FileExistsError:
            return
        remove(FOLDER, NAME)


def write(path: Path, content: object) -> None:
    """Write a file that appears whole."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(content))
    part.replace(path)


def wait_for(number: int) -> bool:
    """Return whether there is a request, sooner than a stop or the loss of the last answer."""
    before, this = FOLDER / f"{number - 1:06}.request.json", FOLDER / f"{number:06}.request.json"
    while not this.exists():
        # In this order: the caller removes the request first.
        is_lost = not before.with_name(f"{number - 1:06}.answer.json").exists() and before.exists()
        if (FOLDER / "stop").exists() or is_lost or not (FOLDER / "ready.json").exists():
            return False
        time.sleep(0.005)
    return True


def main() -> None:
    at("starting")
    plan = json.loads((FOLDER / "serve.json").read_text())
    write(FOLDER / "ready.json", {"version": "1", "release": ""})
    at("ready")
    for number in range(1, plan["calls"] + 1):
        if not wait_for(number):
            return
        at("asked")
        answer = {"ok": True, "identifier": "", "message": "", "stack": [], "values": [], "seconds": "0"}
        try:
            (FOLDER / f"{number:06}.request.json").read_text()
        except OSError as error:
            answer.update(ok=False, message=str(error))
        at("reading")
        write(FOLDER / f"{number:06}.answer.json", answer)
        at("answered")


if __name__ == "__main__":
    sys.exit(main())
