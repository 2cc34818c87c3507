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
from tests.torture.lab import EDIT, CutAll, CutLab

RANDOM_SETS = 1000


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


def all_sets(recorder: Recorder, rng: random.Random) -> Iterator[tuple[int, Faults]]:
    """Yield (events until the crash, what goes wrong): each prefix, each fault, each pair of them, random sets."""
    ends = range(len(recorder.events) + 1)
    crashes = {at: Crash(recorder, at) for at in ends}
    for at, crash in crashes.items():
        yield at, ()
        yield at, tuple(("lost", one) for one in crash.names)
        yield from ((at, tuple((kind, one) for one in crash.files)) for kind in FAULTS)
    for at, crash in crashes.items():
        yield from ((at, (one,)) for one in crash.faults())
    for _ in range(RANDOM_SETS):
        yield random_set(crashes[rng.choice(ends)], rng)
    # The most that can be lost together is right before a flush.
    for at in (one for one in ends[1:] if recorder.events[one - 1].what == "flush"):
        yield from ((at - 1, pair) for pair in itertools.combinations(crashes[at - 1].faults(), 2))


def random_set(crash: Crash, rng: random.Random) -> tuple[int, Faults]:
    """Return some of all that can go wrong at a crash."""
    share = rng.random()
    lost = [("lost", one) for one in crash.names if rng.random() < share]
    return crash.at, (*lost, *((rng.choice(FAULTS), one) for one in crash.files if rng.random() < share))


def some_sets(recorder: Recorder, rng: random.Random, count: int) -> Iterator[tuple[int, Faults]]:
    """Yield so many of all sets: random ones, and single faults right before a flush."""
    flushes = [one for one, event in enumerate(recorder.events) if event.what == "flush"]
    last = Crash(recorder, flushes[-1]) if flushes else Crash(recorder, len(recorder.events))
    faults = last.faults()
    yield from ((last.at, (one,)) for one in rng.sample(faults, min(count // 2, len(faults))))
    for _ in range(count - count // 2):
        yield random_set(Crash(recorder, rng.randrange(len(recorder.events) + 1)), rng)


def losses(lab: CutLab, recorder: Recorder, right, sets) -> tuple[int, list[str]]:
    """Return how many different power cuts were tried, and what went wrong."""
    seen, problems = set(), []
    for at, faults in sets:
        crash = Crash(recorder, at)
        tree = crash.tree(
            {one: kind for kind, one in faults if kind != "lost"},
            frozenset(one for kind, one in faults if kind == "lost"),
        )
        key = hash(tuple(sorted(tree.items())))
        if key in seen:
            continue
        seen.add(key)
        lab.start_again(tree)
        for one in lab.wrong(right):
            problems.append(f"at {at} of {len(recorder.events)}, {[crash.named(fault) for fault in faults]}: {one}")
            break
    return len(seen), problems


def show(what: str, count: int, began: float) -> None:
    """Print what was tried."""
    print(f"\n{what}: {count} power cuts, seed {SEED}, {time.monotonic() - began:.0f} s", flush=True)


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


@pytest.mark.parametrize("durable", ["run", "step"])
@pytest.mark.parametrize("scene", [first_run, over_old_results, over_a_damaged_result, after_a_kill])
def test_after_a_power_cut_the_next_run_ends_with_right_results(lab, declare, scene, durable):
    declare("results", durable=durable)
    lab.is_cleared = durable == "run"
    began, rng = time.monotonic(), random.Random(SEED)
    recorder = scene(lab)
    right = lab.files()
    sets = all_sets(recorder, rng) if TORTURE else some_sets(recorder, rng, 30)
    count, problems = losses(lab, recorder, right, sets)
    show(f"{scene.__name__}, durable = {durable}", count, began)
    assert not problems, f"seed {SEED}: {len(problems)} of {count}:\n" + "\n".join(problems[:20])


def test_what_was_accepted_dropped_or_cleaned_is_so_after_a_power_cut(lab):
    began, rng = time.monotonic(), random.Random(SEED)
    lab.is_cleared = False
    lab.run()
    recorder = lab.recorded(lab.edit, lab.accept, lab.run, lab.drop, lab.clean, lab.run)
    right = lab.files()
    assert right["a/edited.txt"] == EDIT
    # Until it is accepted, an edit is what the editor made sure of.
    sets = all_sets(recorder, rng) if TORTURE else some_sets(recorder, rng, 30)
    count, problems = losses(lab, recorder, right, ((at, one) for at, one in sets if at >= recorder.marks[1]))
    show("accept, drop and clean", count, began)
    assert not problems, f"seed {SEED}: {len(problems)} of {count}:\n" + "\n".join(problems[:20])
