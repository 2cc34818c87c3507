"""Libraries in a process of their own: what a file does to it is a problem of that file, and of nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest

from neuroluigi.recordings.formats import library_process, neo, nwb
from neuroluigi.recordings.formats.decoding import decoded_blocks
from neuroluigi.recordings.formats.find import find_recordings
from neuroluigi.recordings.formats.library_process import one_process
from neuroluigi.recordings.groups import find_groups
from neuroluigi.recordings.recording import Declaration, RecordingsError
from tests.conftest import FORMATS, needs_formats
from tests.recordings.test_nwb import VALUES, file_with

# A neo that does what its files say, as real ones can't be made to on each version of each library. It holds Python's
# lock while it hangs, as h5py does.
NEO = """
import ctypes, os, signal, sys
import numpy as np

def act(word):
    if word == "hang":
        ctypes.PyDLL(None).sleep(1000)
    if word == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if word == "memory":
        bytearray(1 << 30)

class AxonRawIO:
    rawmode = "one-file"

    def __init__(self, filename):
        self.filename = filename
        self.words = open(filename).read().split()
        channels = [("a", "0", "int16", 1.0, 0.0, "uV", "0"), ("b", "1", "int16", 1.0, 0.0, "uV", "0")]
        names = "name id dtype gain offset units stream_id".split()
        types = ["U9", "U9", "U9", float, float, "U9", "U9"]
        streams = np.array([("s", "0", "0")], [("name", "U9"), ("id", "U9"), ("buffer_id", "U9")])
        self.header = {"signal_streams": streams, "signal_channels": np.array(channels, list(zip(names, types)))}

    def parse_header(self):
        print("no answer", flush=True)
        print("no answer", file=sys.stderr, flush=True)
        open(os.path.join(os.path.dirname(self.filename), "begun"), "w").close()
        act(self.words[0])

    block_count = signal_streams_count = lambda self: 1
    segment_count = lambda self, block: 1
    get_signal_size = lambda self, *place: 3_000_000
    get_signal_sampling_rate = lambda self, stream: 1000.0
    get_signal_t_start = lambda self, *place: 0.0
    has_buffer_description_api = lambda self: False

    def get_analogsignal_chunk(self, block, segment, first, last, stream):
        if first:
            act(self.words[-1])
        return np.arange(first * 2, last * 2).reshape(-1, 2).astype("<i2")
"""
SAMPLES = np.arange(6_000_000).reshape(-1, 2).astype("<i2")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder of recordings, which the neo above reads."""
    (tmp_path / "library/neo").mkdir(parents=True)
    (tmp_path / "library/neo/__init__.py").touch()
    (tmp_path / "library/neo/rawio.py").write_text(NEO)
    monkeypatch.syspath_prepend(tmp_path / "library")
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def started(monkeypatch) -> list[subprocess.Popen]:
    """The processes that were started."""
    found: list[subprocess.Popen] = []

    class Popen(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            found.append(self)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    return found


def described(folder: Path, **words: str) -> dict:
    """Return what is found in files with these words, by their names."""
    for name, word in words.items():
        (folder / f"{name}.abf").write_text(word)
    return {one.columns["session"]: one for one in find_recordings(str(folder), ["neo"]).recordings}


def test_a_listing_starts_one_process_which_ends_with_it(tmp_path, started):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        for i in range(3):
            file_with(tmp_path / name / f"{i}.nwb", VALUES.astype("<i2"))
    groups = find_groups(Declaration(root=str(tmp_path), format=("nwb",), group_by=("path",)))
    assert len(groups) == 9 and not any(group.problems for group in groups.values())
    assert len(started) == 1 and started[0].returncode is not None


def test_nothing_is_started_where_no_library_is_needed(tmp_path, started):
    (tmp_path / "a.wav").touch()
    with one_process():
        assert len(find_recordings(str(tmp_path), ["wav", "nwb", "neo"]).recordings) == 1
    assert not started


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
def test_a_fork_has_one_of_its_own(tmp_path, started):
    file_with(tmp_path / "a.nwb", VALUES.astype("<i2"))

    def is_read():
        (found,) = find_recordings(str(tmp_path), ["nwb"]).recordings
        return not found.problems

    with one_process():
        assert is_read() and len(started) == 1
        if (pid := os.fork()) == 0:
            try:
                os._exit(0 if is_read() and len(started) == 2 else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        # The one of before is at work still.
        assert is_read() and len(started) == 1


@needs_formats
def test_answers_are_those_of_the_library(tmp_path):
    for format, path in ((nwb, FORMATS / "nwb/ecephys_tutorial_v2.5.0.nwb"), (neo, FORMATS / "abf/File_axon_5.abf")):
        columns = {"session": path.stem, "index": "0"}
        source = (str(path), ("AxonRawIO",), (str(path),)) if format is neo else str(path)
        here = format.read(source, columns)
        assert here and format.recordings_in(str(path.parent), [path.name]) == here
    # With gaps, and a name that is no UTF-8.
    times = np.arange(200) / 1000
    times[50:] += 1
    path = file_with(tmp_path / "\udcff \t.nwb", VALUES.astype(">i2"), timestamps=times)
    (one,) = nwb.recordings_in(str(tmp_path), [path.name])
    assert [one] == nwb.read(str(path), {"session": path.stem, "index": "0"}) and one.gaps
    np.testing.assert_array_equal(np.concatenate(list(decoded_blocks(one))), VALUES)


def test_a_file_that_hangs_or_crashes_is_its_own_problem(folder, started, monkeypatch):
    monkeypatch.setattr(library_process, "_SECONDS", 1.0)
    found = described(folder, a="fine", b="hang", c="crash", d="fine")
    library, damaged = "neo 0.", "; it is damaged: copy it again from where it was recorded, or take it away"
    (hangs,), (crashes,) = found["b"].problems, found["c"].problems
    assert hangs.startswith(f"{folder / 'b.abf'} could not be read within 1 s by {library}")
    assert crashes.startswith(f"{folder / 'c.abf'} ended the process in which {library}")
    assert "read it (signal 11)" in crashes
    assert hangs.endswith(damaged) and crashes.endswith(damaged)
    for name in "ad":
        assert found[name].problems == ()
        np.testing.assert_array_equal(np.concatenate(list(decoded_blocks(found[name]))), SAMPLES)
    # Those of the listing, and one for each that was decoded.
    assert len(started) == 5 and all(one.returncode is not None for one in started)


def test_what_is_looked_through_has_more_time_and_memory(folder, monkeypatch):
    monkeypatch.setattr(library_process, "_SECONDS", 0.5)
    monkeypatch.setattr(library_process, "_BYTES_PER_SECOND", 10)
    found = described(folder, a="hang     ", b="hang")
    assert "within 1 s" in found["a"].problems[0] and "within 1 s" in found["b"].problems[0]
    (folder / "a.abf").write_text("hang" + " " * 16)
    assert "within 2 s" in described(folder)["a"].problems[0]


@pytest.mark.skipif(sys.platform != "linux", reason="the system has no such limit")
def test_memory_has_a_limit(folder, started, monkeypatch):
    assert described(folder, a="memory")["a"].problems == ()
    monkeypatch.setattr(library_process, "_MOST_MEMORY", 500 << 20)
    found = described(folder, a="memory", b="fine")
    assert "can't be read by neo (MemoryError" in found["a"].problems[0]
    assert found["b"].problems == () and len(started) == 2


@pytest.mark.parametrize(
    ("word", "text"), [("hang", "within 1 s"), ("crash", "signal 11"), ("memory", "(MemoryError: without a reason)")]
)
def test_decoding_has_the_same_limits(folder, monkeypatch, word, text):
    monkeypatch.setattr(library_process, "_SECONDS", 1.0)
    monkeypatch.setattr(library_process, "_MOST_MEMORY", 500 << 20)
    blocks = decoded_blocks(described(folder, a=f"fine {word}")["a"])
    first = next(blocks)
    np.testing.assert_array_equal(first, SAMPLES[: len(first)])
    with pytest.raises(RecordingsError, match=r"a\.abf") as caught:
        next(blocks)
    assert text in str(caught.value)


def test_who_takes_a_part_of_the_samples_leaves_no_process(folder, started):
    blocks = decoded_blocks(described(folder, a="fine")["a"])
    next(blocks)
    assert started[-1].poll() is None
    blocks.close()
    assert started[-1].returncode is not None


@pytest.mark.parametrize("is_begun", [True, False])
def test_nothing_is_left_of_a_killed_run(folder, is_begun):
    (folder / "a.abf").write_text("hang")
    code = f"""if True:
        import sys
        sys.path.insert(0, {str(folder.parent / "library")!r})
        from neuroluigi.recordings.formats import neo
        print(flush=True)
        neo.recordings_in({str(folder)!r}, ["a.abf"])
    """
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert run.stdout
    run.stdout.readline()
    while not (children := psutil.Process(run.pid).children()):
        assert run.poll() is None
    while is_begun and not (folder / "begun").exists():
        assert children[0].is_running()
    run.kill()
    run.communicate()
    # Elsewhere than on Linux, what hangs is ended by the limit of time.
    longest = 5 if sys.platform == "linux" else library_process._SECONDS + 10
    assert psutil.wait_procs(children, timeout=longest)[1] == []


def test_python_that_does_not_start(tmp_path, monkeypatch):
    path = file_with(tmp_path / "m.nwb")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    (one,) = nwb.recordings_in(str(tmp_path), ["m.nwb"])
    assert one.problems[0].startswith(f"{path} can't be read: /nowhere/python does not start (")


def test_modules_beside_the_recordings_are_never_imported(tmp_path, monkeypatch):
    path = file_with(tmp_path / "m.nwb", VALUES.astype("<i2"))
    for name in ("h5py", "json", "numpy"):
        (tmp_path / f"{name}.py").write_text("import os; os._exit(3)")
    monkeypatch.chdir(tmp_path)
    assert nwb.recordings_in(str(tmp_path), [path.name])[0].problems == ()
    assert h5py.__version__
