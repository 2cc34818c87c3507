"""Power cuts: whatever was not flushed is lost, and the next run ends with right results, having believed no wrong one.

A part of it runs with the test suite, all of it by `make torture`.
"""

import itertools
import random
import time
from collections.abc import Iterator

import pytest

from neuroluigi.provenance import unflushed
from tests.conftest import SEED, TORTURE
from tests.torture.disk import FAULTS, Crash, Recorder
from tests.torture.lab import EDIT, CutAll, CutLab, as_read

# How many random sets of faults the whole has, and how many power cuts of a scene the test suite.
RANDOM_SETS, SOME = 1000, 40

durability = pytest.mark.parametrize("durable", ["run", "step"])


@pytest.fixture
def lab(declare, tmp_path, monkeypatch):
    (tmp_path / "real" / "a").mkdir(parents=True)
    (tmp_path / "real" / "a" / "rec_0.bin").write_bytes(b"0123")
    declare("recordings", root=tmp_path / "real")
    declare("results", root=tmp_path / "disk" / "results")
    # A flush in the middle of the run, as after a minute.
    note_done, count = unflushed.Unflushed.note_done, itertools.count()

    def flush_now_and_then(self, record_path):
        note_done(self, record_path)
        if next(count) % 3 == 2:
            self._flush()

    monkeypatch.setattr(unflushed.Unflushed, "note_done", flush_now_and_then)
    return CutLab(tmp_path, monkeypatch)


Faults = tuple[tuple[str, int], ...]


def all_sets(crashes: list[Crash], rng: random.Random) -> Iterator[tuple[Crash, Faults]]:
    """Yield (the crash, what goes wrong): all or nothing, each fault, random sets, each pair; after each event."""
    for crash in crashes:
        yield crash, ()
        yield crash, tuple(("lost", one) for one in crash.names)
        yield from ((crash, tuple((kind, one) for one in crash.files)) for kind in FAULTS)
    for crash in crashes:
        yield from ((crash, (one,)) for one in crash.faults())
    for _ in range(RANDOM_SETS):
        yield random_set(rng.choice(crashes), rng)
    for crash in crashes:
        yield from ((crash, pair) for pair in itertools.combinations(crash.faults(), 2))


def random_set(crash: Crash, rng: random.Random) -> tuple[Crash, Faults]:
    """Return some of all that can go wrong at a crash."""
    share = rng.random()
    lost = [("lost", one) for one in crash.names if rng.random() < share]
    return crash, (*lost, *((rng.choice(FAULTS), one) for one in crash.files if rng.random() < share))


def some_sets(crashes: list[Crash], rng: random.Random) -> Iterator[tuple[Crash, Faults]]:
    """Yield some of all sets: random ones, and single faults right before something is flushed."""
    alone = [(crash, (one,)) for crash in crashes if crash.is_before_flush for one in crash.faults()]
    yield from rng.sample(alone, min(SOME // 2, len(alone)))
    for _ in range(RANDOM_SETS):
        yield random_set(rng.choice(crashes), rng)


def check_losses(lab: CutLab, recorder: Recorder, begin: int = 0) -> None:
    """Try the power cuts of a recording, from one after so many events on; the results are right as they are now.

    Equal outcomes are tried once: of one fault those with the same files, of several those that are also read alike.
    """
    began, rng, right = time.monotonic(), random.Random(SEED), lab.files()
    crashes = [Crash(recorder, at) for at in range(begin, len(recorder.events) + 1)]
    seen, count, problems = set(), 0, []
    for crash, faults in all_sets(crashes, rng) if TORTURE else some_sets(crashes, rng):
        tree = crash.tree(faults)
        alike = hash(frozenset(as_read(tree).items()))
        outcome = alike if len(faults) > 1 else hash(frozenset(tree.items()))
        if outcome not in seen and (TORTURE or count < SOME):
            seen |= {outcome, alike}
            count += 1
            lab.start_again(tree)
            if problem := lab.wrong(right):
                at = f"at {crash.at} of {len(recorder.events)}"
                problems.append(f"{at}, {[crash.named(fault) for fault in faults]}: {problem}")
    print(f"\n{count} power cuts, seed {SEED}, {time.monotonic() - began:.0f} s", flush=True)
    assert not problems, f"seed {SEED}: {len(problems)} of {count}:\n" + "\n".join(problems[:20])


def first_run(lab):
    return lab.recorded(lab.run)


def over_old_results(lab):
    for action in (lab.run, lab.edit, lab.accept, lab.run, lab.drop):
        action()
    lab.root = CutAll(2)
    return lab.recorded(lab.run)


def over_a_damaged_result(lab):
    lab.run()
    (lab.results / "a" / "sum.json").write_bytes(b"mine")
    lab.kept.add(b"mine")
    return lab.recorded(lab.run)


def after_a_kill(lab):
    lab.run()
    lab.root = CutAll(2)
    recorder = lab.killed(80, lab.disk.parent / "recording")
    return lab.recorded(lab.run, recorder=recorder)


@durability
@pytest.mark.parametrize("scene", [after_a_kill, over_old_results, first_run, over_a_damaged_result])
def test_after_a_power_cut_the_next_run_ends_with_right_results(lab, declare, scene, durable):
    declare("results", durable=durable)
    lab.is_cleared = durable == "run"
    check_losses(lab, scene(lab))


@durability
def test_what_was_accepted_dropped_or_cleaned_is_so_after_a_power_cut(lab, declare, durable):
    declare("results", durable=durable)
    lab.is_cleared = False
    lab.run()
    recorder = lab.recorded(lab.edit, lab.accept, lab.run, lab.drop, lab.clean, lab.run)
    assert lab.files()["a/edited.txt"] == EDIT
    # Until it is accepted, an edit is what the editor made sure of.
    check_losses(lab, recorder, begin=recorder.marks[1])
