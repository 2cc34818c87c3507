"""Other systems at the same work: the fake pipeline, and 1,000 trivial groups, at first and with nothing to do.

They have a virtual environment of their own, so that what they need does not mix with what ours needs. Each is written
as its documentation advises where speed counts: peers_files/. Every run of a peer has one of ours right before it, so
that both see the same machine.
"""

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from table import BIN, REPOSITORY, Row, luigi, make_lab, run

FILES = REPOSITORY / "benchmarks" / "peers_files"
PEERS_BIN = REPOSITORY / ".venv-peers" / BIN.name

TRIVIAL_STEPS = """
import luigi
from neuroluigi import GroupTask, RecordingMaker, WrapperTask, groups

class FakeRecording(RecordingMaker):
    bytes = luigi.IntParameter()

class Nothing(GroupTask):
    def output(self):
        return self.result("nothing.txt")

    def make(self, out):
        out.write_bytes(b".")

class All(WrapperTask):
    def requires(self):
        return [Nothing(group) for group in groups()]
"""


@dataclass(frozen=True)
class Peer:
    """A system: its name on PyPI and the commands of a run; of a second one, the last of them."""

    name: str
    commands: tuple[tuple[str, ...], ...]

    def version(self) -> str:
        """Return its version; blank where it is not installed."""
        code = f"from importlib.metadata import version; print(version('{self.name}'))"
        try:
            return subprocess.run([PEERS_BIN / "python", "-c", code], capture_output=True, text=True).stdout.strip()
        except OSError:
            return ""

    def seconds(self, folder: Path, env: Mapping[str, str], is_first: bool = True) -> float:
        """Return how long a run in a folder takes."""
        env = {"PYTHONPATH": str(FILES.parent), **env}
        commands = self.commands if is_first else self.commands[-1:]
        return sum(run([PEERS_BIN / program, *rest], folder, env).seconds for program, *rest in commands)


PEERS = (
    # Without threads it starts itself anew for every step, which takes it seconds.
    Peer("snakemake", (("snakemake", "--cores", "1", "--quiet", "all", "--force-use-threads", "--scheduler", "greedy",
                        "--max-jobs-per-timespan", "1000000/1s"),)),
    Peer("signac-flow", (("python", "init.py"), ("python", "project.py", "run"))),
    Peer("doit", (("doit", "run", "--backend", "json"),)),
)  # fmt: skip


def labs(folder: Path, work: str) -> Iterator[tuple[Peer, str, Path, Path]]:
    """Yield each peer that is installed with what to call it, its folder with its files of a work, and one for ours."""
    for peer in PEERS:
        version = peer.version()
        if not version:
            print(f"{peer.name} is not in .venv-peers: to install it, make .venv-peers/installed")
            continue
        theirs = folder / peer.name
        theirs.mkdir()
        for path in (FILES / work).iterdir():
            (theirs / path.name).symlink_to(path)
        yield peer, f"{peer.name} {version}", theirs, folder / f"ours-{peer.name}"


def results(folder: Path, name: str, count: int) -> dict[Path, int]:
    """Return the results of that name with their times of change, which must be so many and not be empty."""
    found = {path: path.stat() for path in folder.rglob(name)}
    assert len(found) == count and all(one.st_size for one in found.values()), f"{folder}: {len(found)} {name}"
    return {path: one.st_mtime_ns for path, one in found.items()}


def peers_fake_pipeline(folder: Path, quick: bool) -> Iterator[Row]:
    """The pipeline of this repository, with an Octave per call for the peers."""
    for peer, name, theirs, ours in labs(folder, "fake_pipeline"):
        mine = luigi(make_lab(ours), "--matlab-engine", "octave", "--workers", "1").seconds
        other = peer.seconds(theirs, {})
        edges = [sorted(path.read_bytes() for path in results(one, "edges.npy", 10)) for one in (ours, theirs)]
        assert edges[0] == edges[1] and len(results(theirs, "plot.png", 10)) == len(results(ours, "plot.png", 10))
        yield row("fake pipeline, 10 groups, Octave, 1 worker", mine, name, other)


def peers_trivial_groups(folder: Path, quick: bool) -> Iterator[Row]:
    """Groups of a single step that does nothing."""
    count = 100 if quick else 1000
    env = {"GROUPS_OF_PEERS": str(count)}
    settings = ["--recordings-group-by", "session", "--FakeRecording-count", "1"]
    settings += ["--FakeRecording-sessions", ",".join(f"g{number}" for number in range(count))]
    for peer, name, theirs, ours in labs(folder, "trivial_groups"):
        make_lab(ours, TRIVIAL_STEPS)
        seen = {ours: {}, theirs: {}}
        for is_first, work in ((True, f"{count:,} trivial groups"), (False, f"{count:,} trivial groups, finished")):
            mine = luigi(ours, *settings, root="All").seconds
            other = peer.seconds(theirs, env, is_first)
            for one, before in seen.items():
                made = results(one, "nothing.txt", count)
                assert is_first or made == before, f"{one} made again what was there"
                seen[one] = made
            yield row(work, mine, name, other)


def row(work: str, ours: float, name: str, theirs: float) -> Row:
    """Return the row of two times."""
    return Row(work, f"{ours:.1f} s", f"{name} {theirs:.1f} s", theirs / ours)


FUNCTIONS = (peers_fake_pipeline, peers_trivial_groups)
