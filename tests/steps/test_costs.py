"""What a run costs, in counts: bytes that are hashed, passes over the data, modules that are imported."""

import subprocess
from collections import Counter

import numpy as np
import pytest

from tests.conftest import Pipeline, needs_octave

# Appended to tasks.py: each process of the run writes down what it does.
WATCHED = """
import atexit, os, sys
from pathlib import Path
from neuroluigi.provenance import files
from neuroluigi.signals import blocks as of_samples, envelope, filtered, numpy_functions, traces

def note(file, *words):
    with Path(file).open("a") as stream:
        stream.write(" ".join(map(str, words)) + "\\n")

def watched_hash(path, *arguments, hash_file=files.hash_file):
    note("hashed", Path(path).name.split(".part-")[0], Path(path).parent.name)
    return hash_file(path, *arguments)

def watched_blocks(*arguments, blocks=of_samples.blocks):
    for block in blocks(*arguments):
        note("passed", block.nbytes)
        yield block

files.hash_file = watched_hash
numpy_functions.blocks = filtered.blocks = traces.blocks = envelope.blocks = watched_blocks
atexit.register(lambda: note("imported", *(name for name in sys.modules if "." not in name)))
"""


@pytest.fixture
def watched(tmp_path):
    """A pipeline over real recordings, two groups of two, that notes what it does."""
    pipeline = Pipeline(tmp_path / "lab")
    with (pipeline.folder / "tasks.py").open("a") as file:
        file.write(WATCHED)
    for session in "ab":
        (pipeline.folder / "data" / session).mkdir(parents=True)
        for index in (0, 2):
            samples = np.random.default_rng(index).integers(0, 200, 50_000, dtype=np.uint8)
            samples.tofile(pipeline.folder / "data" / session / f"rec_{index}.bin")
    return pipeline


def noted(pipeline, file: str) -> Counter:
    """Return how often each line was written since the last time."""
    path = pipeline.folder / file
    lines = Counter(path.read_text().splitlines()) if path.exists() else Counter()
    path.unlink(missing_ok=True)
    return lines


def run(pipeline, workers=1, forks=True):
    settings = ("--recordings-root", "data", "--matlab-engine", "numpy", "--workers", workers)
    return pipeline.run("PlotAll", *settings, forks=forks)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_byte_is_hashed_once(watched, workers):
    run(watched, workers=workers)
    # Data and layout of the aggregate.
    of_each_group = {"rec_0.bin": 1, "rec_2.bin": 1, "aggregate": 2, "stats": 1, "edges": 1, "plot": 1}
    assert noted(watched, "hashed") == {f"{name} {g}": count for g in "ab" for name, count in of_each_group.items()}

    assert "Nothing to make" in run(watched, workers=workers)
    assert not noted(watched, "hashed")

    (watched.results / "a" / "aggregate.bin").unlink()
    assert "Made: 1 Aggregate." in run(watched, workers=workers)
    assert noted(watched, "hashed") == {"aggregate a": 2}


def test_a_step_passes_once_over_its_data(watched):
    run(watched)
    passed = noted(watched, "passed")
    # Stats, edges and plot of two groups, and of each the samples that its plot shows singly.
    assert sum(int(size) * count for size, count in passed.items()) == 3 * 2 * 100_000 + 2 * 1000


def test_what_is_not_used_is_not_imported(watched):
    run(watched, forks=False)
    assert any("matplotlib" in line.split() for line in noted(watched, "imported"))
    assert "Nothing to make" in run(watched, forks=False)
    (imported,) = noted(watched, "imported")
    assert {"luigi", "neuroluigi"} <= set(imported.split())
    assert not {"matplotlib", "rich", "click", "jinja2", "PIL", "hypothesis"} & set(imported.split())


@needs_octave
def test_an_engine_reads_its_data_once(watched, tmp_path):
    """As the system counts it: characters that the process has read."""
    count = """
    chars = @() str2double(regexp(fileread('/proc/self/io'), 'rchar: (\\d+)', 'tokens', 'once'){1});
    data = 'big.bin'; fid = fopen(data, 'w'); fwrite(fid, mod(1:8e6, 250), 'uint8'); fclose(fid);
    json = '{"dtype": "int16", "channels": 4, "segments": [0], "parts": [%s]}';
    part = '{"path": "big.bin", "offset": 0, "samples": 1000000}';
    fid = fopen('aggregate.json', 'w'); fprintf(fid, json, part); fclose(fid);
    for call = {@() concatenateFiles({data}, 'copy.bin'), @() computeStats('aggregate.json', 's.json'), ...
                @() findRisingEdges('aggregate.json', 'e.npy', 20000)}
      before = chars(); call{1}(); printf('%.0f\\n', chars() - before);
    end
    """
    code = f"addpath('{watched.folder / 'matlab'}'); {count}"
    done = subprocess.run(
        ["octave-cli", "--norc", "--quiet", "--eval", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    for read in map(int, done.stdout.split()):
        assert 8_000_000 <= read < 8_400_000


# Appended to tasks.py: how often the run asks the disk.
COUNTED = """
import atexit, os
from collections import Counter

asked = Counter()

def counted(name):
    ask = getattr(os, name)
    def asking(*arguments, **options):
        asked[name] += 1
        return ask(*arguments, **options)
    setattr(os, name, asking)

for name in ("stat", "open", "listdir"):
    counted(name)
atexit.register(lambda: open("asked.txt", "w").write(f"{asked['stat']} {asked['open']} {asked['listdir']}"))
"""


def test_a_plan_reads_the_disk_as_often_for_each_result_however_many_there_are(tmp_path):
    pipeline = Pipeline(tmp_path / "lab")
    with (pipeline.folder / "tasks.py").open("a") as file:
        file.write(COUNTED)
    asked = {}
    for sessions in (1, 2, 3):
        named = ",".join(f"s{number}" for number in range(sessions))
        settings = ["--FakeRecording-sessions", named, "--FakeRecording-count", "2", "--matlab-engine", "numpy"]
        pipeline.run("PlotAll", *settings)
        assert "Nothing to make" in pipeline.run("PlotAll", *settings)
        asked[sessions] = np.array((pipeline.folder / "asked.txt").read_text().split(), dtype=int)
    # A session more is two groups of five results with six files.
    first, second = asked[2] - asked[1], asked[3] - asked[2]
    assert (first == second).all(), asked
    stats, opened, listed = first / 10
    assert 6 / 5 <= stats <= 2 and opened == 1 and listed <= 0.5, first / 10
