"""The inputs of a record beside those of today: what changed, what is gone, what only lies elsewhere."""

import os
from pathlib import Path

import pytest

from neuroluigi.provenance import checksums
from neuroluigi.provenance.checksums import Checksums
from neuroluigi.provenance.expected import Expected, Input
from neuroluigi.provenance.files import describe_file
from neuroluigi.provenance.inputs import Inputs
from neuroluigi.provenance.plain_data import digest_of_checksums


class Recordings:
    """Two recordings below a root, a/0 and a/1, as a record has them; `today` are the inputs that are expected."""

    def __init__(self, folder: Path):
        self.root, self.results = folder / "recordings", folder / "results"
        self.results.mkdir()
        self.paths = [self.root / "a" / name for name in ("r0.bin", "r1.bin")]
        for path, content in zip(self.paths, (b"first.", b"second"), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            os.utime(path, ns=(10**18, 10**18 + 7))
        self.recorded = [
            {**describe_file(path, self.roots), "recording": f"a/{index}"} for index, path in enumerate(self.paths)
        ]
        self.today = [Input(str(path), None, recording=f"a/{index}") for index, path in enumerate(self.paths)]
        self.reads_moved = True

    @property
    def roots(self) -> dict[str, Path]:
        return {"results": self.results, "recordings": self.root}

    def move(self, number: int, to: str, keep_time: bool = True) -> Path:
        """Move a recording to another place below the folder of all, and expect it there."""
        new = self.root.parent / to
        new.parent.mkdir(parents=True, exist_ok=True)
        self.paths[number].rename(new)
        if not keep_time:
            os.utime(new, ns=(10**18, 2 * 10**18 + 7))
        self.today[number] = Input(str(new), None, recording=self.today[number].recording)
        self.paths[number] = new
        return new

    def inputs(self) -> Inputs:
        expected = Expected(
            outputs={},
            record="",
            parameters={},
            defaults={},
            fingerprint=None,
            inputs=tuple(self.today),
            sources=lambda engine: [],
            tool={},
            rerun_on=frozenset(),
            roots={name: str(path) for name, path in self.roots.items()},
            reads_moved=self.reads_moved,
        )
        return Inputs(self.recorded, expected, Checksums(self.results))

    def found(self) -> tuple[list[str], list[str], dict[int, str]]:
        found = self.inputs()
        return [one.text for one in found.reasons], list(found.missing), found.moved


@pytest.fixture
def recordings(tmp_path) -> Recordings:
    return Recordings(tmp_path)


@pytest.fixture
def no_reading(monkeypatch):
    def read(path, on_block):
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(checksums, "hash_file", read)


def test_as_recorded(recordings, no_reading):
    assert recordings.found() == ([], [], {})
    assert recordings.inputs().digest == digest_of_checksums([one["sha256"] for one in recordings.recorded])


PLACES = ["recordings/2026/a/r1.bin", "recordings/a/renamed.bin", "nas/r1.bin", "results/in/r1.bin"]


@pytest.mark.parametrize("to", PLACES)
def test_one_of_the_same_size_and_time_is_the_same_file(recordings, no_reading, to):
    before = recordings.inputs().digest
    new = recordings.move(1, to)
    assert recordings.found() == ([], [], {1: str(new)})
    assert recordings.inputs().digest == before


@pytest.mark.parametrize("to", PLACES)
def test_one_with_another_time_is_read(recordings, to):
    new = recordings.move(1, to, keep_time=False)
    assert recordings.found() == ([], [], {1: str(new)})


def test_a_look_reads_none_that_may_have_moved_but_knows_those_that_a_run_has_read(recordings, monkeypatch):
    new = recordings.move(1, "nas/r1.bin", keep_time=False)
    recordings.reads_moved = False
    with monkeypatch.context() as patch:
        patch.setattr(checksums, "hash_file", None)
        found = recordings.inputs()
        assert found.unchecked == (("a/r1.bin", str(new)),)
        assert (found.reasons, found.missing, found.moved, found.digest) == ((), (), {}, None)
    recordings.reads_moved = True
    assert recordings.found()[2] == {1: str(new)}
    recordings.reads_moved = False
    assert recordings.found() == ([], [], {1: str(new)})


def test_of_two_of_one_size_and_time_names_decide(recordings, no_reading):
    moved = {number: str(recordings.move(number, f"nas/r{number}.bin")) for number in (0, 1)}
    assert recordings.found() == ([], [], moved)


def test_of_two_of_one_size_and_time_without_their_names_the_content_decides(recordings):
    # They changed places: the first one of today has the content of the second.
    recordings.move(0, "nas/x.bin")
    recordings.move(1, "nas/y.bin")
    assert recordings.found()[2] == {0: recordings.today[0].path, 1: recordings.today[1].path}
    recordings.today.reverse()
    _, missing, moved = recordings.found()
    assert (missing, moved) == ([], {}) and recordings.inputs().digest != digest_of_checksums(
        [one["sha256"] for one in recordings.recorded]
    )


def test_one_that_moved_and_changed_changed(recordings):
    recordings.move(1, "nas/r1.bin", keep_time=False).write_bytes(b"edited")
    assert recordings.found() == (["r1.bin changed"], [], {})


def test_one_that_is_gone_is_missing_wherever_it_lay(recordings):
    for place in ("nas/r1.bin", "results/in/r1.bin", "recordings/a/r1.bin"):
        new = recordings.move(1, place)
        recordings.recorded[1] = {**describe_file(new, recordings.roots), "recording": "a/1"}
        content = new.read_bytes()
        new.unlink()
        # Whether the table names it still, or not.
        assert recordings.found()[1] == [recordings.recorded[1]["path"]]
        both, recordings.today = recordings.today, recordings.today[:1]
        assert recordings.found()[1] == [recordings.recorded[1]["path"]]
        recordings.today = both
        new.write_bytes(content)


def test_another_one_of_the_same_size_is_no_move(recordings):
    recordings.paths[1].unlink()
    other = recordings.root / "b" / "r5.bin"
    other.parent.mkdir()
    other.write_bytes(b"others")
    recordings.today[1] = Input(str(other), None, recording="a/5")
    assert recordings.found() == (["r5.bin is new", "a/r1.bin is not used now"], ["a/r1.bin"], {})


def test_a_file_that_is_no_recording_is_not_used_any_more_where_it_is_gone(recordings):
    probe = recordings.root.parent / "probe.json"
    probe.write_text("{}")
    recordings.recorded.append(describe_file(probe, recordings.roots))
    probe.unlink()
    assert recordings.found() == ([f"{probe.as_posix()} is not used now"], [], {})


def test_one_that_is_added_is_new_and_not_read(recordings, no_reading):
    other = recordings.root / "a" / "r2.bin"
    other.write_bytes(b"more samples")
    recordings.today.append(Input(str(other), None, recording="a/2"))
    assert recordings.found() == (["r2.bin is new"], [], {})


def test_a_time_that_proves_nothing_has_the_file_read_again(recordings):
    recordings.recorded[1]["mtime_ns"] = None
    assert recordings.found() == ([], [], {})
    recordings.paths[1].write_bytes(b"edited")
    assert recordings.found() == (["r1.bin changed"], [], {})


def test_of_a_record_without_the_names_of_recordings_the_places_decide(recordings, no_reading):
    for one in recordings.recorded:
        del one["recording"]
    new = recordings.move(1, "nas/r1.bin")
    assert recordings.found() == ([], [], {1: str(new)})
    new.unlink()
    recordings.today.pop()
    assert recordings.found()[1] == ["a/r1.bin"]
