"""matlab/*.m as a Matlab user calls them, on Octave, against the stand-ins; and the language that both engines know."""

import csv
import json
import math
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import targets
from neuroluigi import fake_samples
from neuroluigi.signals import numpy_functions
from tests.conftest import REAL_RECORDINGS, REPOSITORY, needs_octave, needs_real_recordings

MATLAB = REPOSITORY / "matlab"
DTYPES = ("uint8", "int8", "uint16", "int16", "int32", "float32", "float64")
BLOCK_VALUES = 2**18
BLOCK_BYTES = 2**20


def octave(folder: Path, script: str, *before: str) -> str:
    """Run a script on Octave in `folder`, with matlab/ on its path, and return what it printed."""
    (folder / "script_.m").write_text(f"1;\naddpath('{MATLAB}');\n{script}\n")
    command = [*before, "octave-cli", "--norc", "--no-history", "--no-window-system", "script_.m"]
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def m(value) -> str:
    """Return the Matlab literal of a text, a number, or a list of numbers (a row) or of texts (a cell)."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, (list, tuple, np.ndarray)):
        is_cell = len(value) and isinstance(value[0], str)
        return ("{%s}" if is_cell else "[%s]") % ", ".join(map(m, value))
    return f"{value:.17g}"


class Case:
    """Samples (samples, channels) with a level and segments, on which M-file and stand-in are compared."""

    def __init__(self, data: np.ndarray, level, segments=(0,)):
        self.data, self.level, self.segments = data, level, list(segments)

    def prepare(self, folder: Path, name: str) -> str:
        """Write the samples and what the stand-ins make of them; return the calls that do the same on Octave."""
        place = folder / name
        place.mkdir()
        data, dtype, channels = str(place / "data.bin"), self.data.dtype.name, self.data.shape[1]
        self.data.astype(self.data.dtype.newbyteorder("<")).tofile(data)
        numpy_functions.compute_stats(data, str(place / "numpy_function.json"), dtype, channels)
        numpy_functions.find_rising_edges(
            data, str(place / "numpy_function.npy"), dtype, channels, self.level, self.segments
        )
        inputs = f"{m(dtype)}, {channels}"
        return (
            f"computeStats('{name}/data.bin', '{name}/stats.json', {inputs});\n"
            f"findRisingEdges('{name}/data.bin', '{name}/edges.npy', {inputs}, {m(self.level)}, {m(self.segments)});\n"
        )


def samples_of(dtype: str, samples: int, channels: int) -> np.ndarray:
    random = np.random.default_rng(samples + channels)
    if dtype.startswith("float"):
        return (random.standard_normal((samples, channels)) * 1000 + 37).astype(dtype)
    info = np.iinfo(dtype)
    return random.integers(info.min, info.max, (samples, channels), dtype=dtype, endpoint=True)


def cases() -> dict[str, Case]:
    found = {}
    for dtype in DTYPES:
        for channels in (1, 2, 3, 139):
            data = samples_of(dtype, 1001, channels)
            found[f"{dtype}-{channels}"] = Case(data, float(np.median(data)), [0, 400, 401])
    for values in (BLOCK_VALUES - 1, BLOCK_VALUES, BLOCK_VALUES + 1, 2 * BLOCK_VALUES, 2 * BLOCK_VALUES + 3):
        found[f"values-{values}"] = Case(samples_of("uint8", values, 1), 128, [0, BLOCK_VALUES])
    for dtype in ("int16", "float64"):
        # Blocks that end in the middle of nothing: 2^18 is no multiple of 7.
        found[f"blocks-{dtype}"] = Case(samples_of(dtype, 100_000, 7), list(range(-3, 4)), [0, BLOCK_VALUES // 7])
    nan, inf = math.nan, math.inf
    data = samples_of("float64", 90_000, 4)
    data[::5, 0], data[:80_000, 1], data[:, 2], data[70_000:, 3] = nan, nan, nan, nan
    found["nan"] = Case(data, [0, 0, 0, nan])
    found["infinity"] = Case(np.array([[1, 1, 1], [inf, -inf, inf], [2, 2, -inf], [nan, inf, 5]]), [2, inf, -inf])
    found["infinity-single"] = Case(np.array([[1], [inf], [0], [inf]], dtype="float32"), 2)
    found["zeros"] = Case(np.array([[0.0, -0.0], [-0.0, 0.0], [0.0, -0.0]]), 0)
    found["tiny-and-huge"] = Case(np.array([[5e-324, 1e308], [1e-310, 1.7e308], [0, -1.7e308]]), 1e-310)
    found["large-offset"] = Case(1e9 + samples_of("float64", 300_000, 1) / 1e6, 1e9)
    found["one-sample"] = Case(np.array([[7, 200]], dtype="uint8"), 100)
    found["constant"] = Case(np.full((1000, 2), 0.1), 0.1)
    found["single-edge"] = Case(np.array([[0], [9]], dtype="int16"), 9)
    found["high-from-the-first"] = Case(np.array([[9], [0], [9], [9]], dtype="int16"), 5)
    found["seams"] = Case(np.tile([[0], [9]], (50, 1)).astype("uint8"), 5, [0, 1, 7, 8, 99])
    found["contiguous"] = Case(np.tile([[0], [9]], (50, 1)).astype("uint8"), 5, [0])
    return found


CASES = cases()


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> Path:
    """A folder with a folder of each case: data, the stand-ins' files and Octave's, and what readEdges read."""
    folder = tmp_path_factory.mktemp("cases")
    calls = "".join(
        case.prepare(folder, name)
        + f"[s, c] = readEdges('{name}/edges.npy');\nfid = fopen('{name}/read.bin', 'w');\n"
        + "fwrite(fid, [s, c]', 'double');\nfclose(fid);\n"
        for name, case in CASES.items()
    )
    octave(folder, calls + "assert(isempty(fopen('all')));")
    return folder


@needs_octave
@pytest.mark.parametrize("name", CASES)
def test_same_bytes_as_the_standins(compared, name):
    place = compared / name
    stats = (place / "stats.json").read_bytes()
    assert stats == (place / "numpy_function.json").read_bytes()
    assert json.loads(stats)["count"] == len(CASES[name].data)
    assert (place / "edges.npy").read_bytes() == (place / "numpy_function.npy").read_bytes()


@needs_octave
@pytest.mark.parametrize("name", CASES)
def test_edges_are_read_from_1_on(compared, name):
    edges = np.load(compared / name / "edges.npy")
    read = np.fromfile(compared / name / "read.bin", "<f8").reshape(-1, 2)
    assert np.array_equal(read, edges + 1)


@needs_octave
def test_the_cases_have_edges(compared):
    """Two files of nothing are easily the same."""
    without_edges = {name for name in CASES if not len(np.load(compared / name / "edges.npy"))}
    assert without_edges == {"zeros", "one-sample", "constant"}


@needs_octave
def test_more_channels_than_a_block_has_values(tmp_path):
    channels = BLOCK_VALUES + 5
    data = samples_of("uint8", 3, channels)
    data.tofile(tmp_path / "data.bin")
    octave(tmp_path, f"findRisingEdges('data.bin', 'edges.npy', 'uint8', {channels}, 128);")
    numpy_functions.find_rising_edges(
        str(tmp_path / "data.bin"), str(tmp_path / "numpy_function.npy"), "uint8", channels, 128
    )
    assert (tmp_path / "edges.npy").read_bytes() == (tmp_path / "numpy_function.npy").read_bytes()
    assert len(np.load(tmp_path / "edges.npy")) > channels // 4


@needs_octave
def test_concatenated_files_are_the_standins(tmp_path):
    random = np.random.default_rng(0)
    names = []
    for size in (1, 100, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 7):
        names.append(f"in {size}.bin")
        (tmp_path / names[-1]).write_bytes(random.bytes(size))
    sizes = [(tmp_path / name).stat().st_size for name in names]
    headers = [0, 13, 512, 0, 7, 1]
    short = [size - header - 1 for size, header in zip(sizes, headers, strict=True)]
    octave(
        tmp_path,
        f"files = {m(names)};\n"
        "concatenateFiles(files, 'all.bin');\n"
        f"concatenateFiles(files, 'headers.bin', {m(headers)});\n"
        "concatenateFiles(files(2:3), 'one header.bin', 100);\n"
        f"concatenateFiles(files, 'short.bin', {m(headers)}, {m(short)});\n"
        "concatenateFiles(files(6), 'nothing.bin', 0, 0);\n"
        "concatenateFiles({}, 'no files.bin');\n",
    )
    paths = [str(tmp_path / name) for name in names]
    left = [size - header for size, header in zip(sizes, headers, strict=True)]
    for made, numpy_function in {
        "all.bin": (paths, [0] * 6, sizes),
        "headers.bin": (paths, headers, left),
        "one header.bin": (paths[1:3], [100, 100], [0, sizes[2] - 100]),
        "short.bin": (paths, headers, short),
        "nothing.bin": (paths[5:], [0], [0]),
        "no files.bin": ([], [], []),
    }.items():
        inputs, header_bytes, data_bytes = numpy_function
        numpy_functions.concatenate_files(inputs, str(tmp_path / "numpy_function.bin"), header_bytes, data_bytes)
        assert (tmp_path / made).read_bytes() == (tmp_path / "numpy_function.bin").read_bytes(), made
        assert (tmp_path / made).stat().st_size == sum(data_bytes)


STRANGE = ["a b", "it's", "a;b&c", "x*?[1]", "$HOME`id`", "50%", "Grüße", "神经元", "a,b", "{c}"]


@needs_octave
def test_strange_names(tmp_path):
    (tmp_path / "x and y.bin").write_bytes(b"a file that x*.bin would name too")
    calls = "concatenateFiles({'x and y.bin'}, 'x*.bin');\n"
    for name in STRANGE:
        place = tmp_path / name
        place.mkdir()
        (place / f"{name}.bin").write_bytes(bytes([0, 9, 0, 9]))
        data = f"{name}/{name}.bin"
        calls += f"concatenateFiles({{{m(data)}}}, {m(f'{name}/{name}2.bin')});\n"
        calls += f"computeStats({m(data)}, {m(f'{name}/{name}.json')}, 'uint8', 1);\n"
        calls += f"findRisingEdges({m(data)}, {m(f'{name}/{name}.npy')}, 'uint8', 1, 5);\n"
        calls += f"assert(isequal(readEdges({m(f'{name}/{name}.npy')}), [2; 4]));\n"
    octave(tmp_path, calls)
    for name in STRANGE:
        assert (tmp_path / name / f"{name}2.bin").read_bytes() == bytes([0, 9, 0, 9])
        assert json.loads((tmp_path / name / f"{name}.json").read_text())["mean"] == [4.5]


def compare_group(folder: Path, files: list[Path], dtype: str, channels: int, level: float | None = None) -> np.ndarray:
    """Run the three steps on Octave and as stand-ins, expect the same bytes, and return the edges."""
    paths = [str(file) for file in files]
    sizes = [file.stat().st_size for file in files]
    width = channels * np.dtype(dtype).itemsize
    segments = [0, *np.cumsum(sizes)[:-1] // width]
    numpy_functions.concatenate_files(paths, str(folder / "numpy_function.bin"), [0] * len(files), sizes)
    numpy_functions.compute_stats(
        str(folder / "numpy_function.bin"), str(folder / "numpy_function.json"), dtype, channels
    )
    stats = json.loads((folder / "numpy_function.json").read_text())
    levels = targets.levels({name: np.array(stats[name]) for name in ("min", "max")}, 0.75, level)
    numpy_functions.find_rising_edges(
        str(folder / "numpy_function.bin"), str(folder / "numpy_function.npy"), dtype, channels, levels, segments
    )
    octave(
        folder,
        f"concatenateFiles({m(paths)}, 'aggregate.bin');\n"
        f"computeStats('aggregate.bin', 'stats.json', '{dtype}', {channels});\n"
        f"findRisingEdges('aggregate.bin', 'edges.npy', '{dtype}', {channels}, {m(levels)}, {m(segments)});\n",
    )
    for made, numpy_function in (("aggregate.bin", "bin"), ("stats.json", "json"), ("edges.npy", "npy")):
        assert (folder / made).read_bytes() == (folder / f"numpy_function.{numpy_function}").read_bytes(), made
    assert b"".join(file.read_bytes() for file in files) == (folder / "aggregate.bin").read_bytes()
    return np.load(folder / "edges.npy")


def real_group(session: str) -> tuple[list[Path], str, int]:
    with (REAL_RECORDINGS / "recordings.csv").open(newline="", encoding="utf-8") as table:
        rows = sorted((r for r in csv.DictReader(table) if r["session"] == session), key=lambda r: int(r["index"]))
    return [REAL_RECORDINGS / row["path"] for row in rows], rows[0]["dtype"], int(rows[0]["channels"])


@needs_octave
@needs_real_recordings
@pytest.mark.parametrize("session", ["mitdb_100", "eeg_ttl", "eeg_biosemi139", "locust20010201"])
def test_real_recordings(tmp_path, session):
    edges = compare_group(tmp_path, *real_group(session))
    assert len(edges) > 10
    if session == "mitdb_100":
        assert np.count_nonzero(edges[:, 1] == 0) == 2273


@needs_octave
@needs_real_recordings
def test_trigger_pulses_are_where_the_eeg_software_finds_them(tmp_path):
    edges = compare_group(tmp_path, *real_group("eeg_ttl"), level=1)
    low = [1603, 1859, 2116, 2372, 2628, 2884]
    high = [512, 1603, 1624, 1859, 1881, 2116, 2137, 2372, 2393, 2628, 2649, 2884, 2906]
    assert edges[edges[:, 1] == 0, 0].tolist() == low
    assert edges[edges[:, 1] == 1, 0].tolist() == high


@needs_octave
@pytest.mark.parametrize("session", ["a", "c", "e"])
def test_fake_recordings(tmp_path, session):
    files = []
    for index in (0, 2):
        files.append(tmp_path / f"rec_{index}.bin")
        files[-1].write_bytes(fake_samples(session, str(index), 100))
    assert len(compare_group(tmp_path, files, "uint8", 1)) > 1


# What the help texts promise


@needs_octave
def test_the_examples_of_the_help_texts(tmp_path):
    """Each line is the example of a help text; what it says of the result is asserted after it."""
    for index in (0, 2):
        (tmp_path / f"rec_{index}.bin").write_bytes(bytes(range(100)))
    (tmp_path / "1234.bin").write_bytes(bytes([1, 2, 3, 4]))
    (tmp_path / "05909.bin").write_bytes(bytes([0, 5, 9, 0, 9]))
    octave(
        tmp_path,
        """
        fid = openFile('rec_0.bin', 'r');
        closing = onCleanup(@() closeFile(fid));
        assert(isequal(fread(fid, 3)', [0 1 2]));
        clear closing
        assert(isempty(fopen('all')));
        concatenateFiles({'rec_0.bin', 'rec_2.bin'}, 'aggregate.bin');
        fid = openFile('aggregate.bin', 'r');
        closeFile(fid, 'aggregate.bin', 200);
        copyfile('1234.bin', 'aggregate.bin');
        computeStats('aggregate.bin', 'stats.json', 'uint8', 1);
        fid = openFile('aggregate.bin', 'r');
        block = readBlock(fid, 'aggregate.bin', 'uint8', 2);
        assert(isequal(block, [1 3; 2 4]) && isa(block, 'double'));
        assert(isequal(size(readBlock(fid, 'aggregate.bin', 'uint8', 2)), [2 0]));
        closeFile(fid);
        closeFile(fid);
        copyfile('05909.bin', 'aggregate.bin');
        findRisingEdges('aggregate.bin', 'edges.npy', 'uint8', 1, 5);
        [samples, channels] = readEdges('edges.npy');
        assert(isequal(samples, [2; 5]) && isequal(channels, [1; 1]));
        x = [0 5 9 0 9];
        assert(isequal(x(samples), [5 9]));
        findRisingEdges('aggregate.bin', 'none.npy', 'uint8', 1, 50);
        [samples, channels] = readEdges('none.npy');
        assert(isequal(size(samples), [0 1]) && isequal(size(channels), [0 1]));
        """,
    )
    assert json.loads((tmp_path / "stats.json").read_text()) == {
        "count": 4,
        "min": [1],
        "max": [4],
        "mean": [2.5],
        "std": [pytest.approx(1.29, abs=0.005)],
    }
    assert np.load(tmp_path / "edges.npy").tolist() == [[1, 0], [4, 0]]


# Errors: (call, identifier, what the message says). Each leaves no file open.
_FEW = "'few.bin'"
ERRORS = [
    ("openFile('gone.bin', 'r')", "openFile:cannotOpen", "gone.bin"),
    ("openFile('.', 'r')", "openFile:cannotOpen", "cannot open ."),
    ("closeFile(-1, 'few.bin', 6)", "closeFile:incomplete", "few.bin has 5 of 6 bytes"),
    ("closeFile(-1, 'gone.bin', 6)", "openFile:cannotOpen", "gone.bin"),
    ("concatenateFiles({'few.bin', 'gone.bin'}, 'out.bin')", "openFile:cannotOpen", "gone.bin"),
    ("concatenateFiles({'few.bin'}, 'no folder/out.bin')", "openFile:cannotOpen", "no folder/out.bin"),
    ("concatenateFiles({'few.bin'}, 'out.bin', 3, 4)", "concatenateFiles:tooShort", "few.bin ended after 2 of 4 bytes"),
    ("concatenateFiles({'few.bin'}, 'out.bin', 6)", "concatenateFiles:tooShort", "shorter than its header of 6 bytes"),
    ("concatenateFiles({'few.bin'}, '/dev/full')", "closeFile:incomplete", "/dev/full has 0 of 5 bytes"),
    ("concatenateFiles({'many.bin'}, '/dev/full')", "concatenateFiles:cannotWrite", "cannot write to /dev/full"),
    ("computeStats('gone.bin', 'out.json', 'uint8', 1)", "openFile:cannotOpen", "gone.bin"),
    ("computeStats('few.bin', 'no folder/out.json', 'uint8', 1)", "openFile:cannotOpen", "no folder/out.json"),
    ("computeStats('few.bin', 'out.json', 'int16', 1)", "readBlock:partialSample", "few.bin ends in the middle of"),
    ("computeStats('few.bin', 'out.json', 'uint8', 2)", "readBlock:partialSample", "a sample of 2 channels"),
    ("computeStats('few.bin', 'out.json', 'float64', 1)", "readBlock:partialSample", "a sample of 1 channels"),
    ("computeStats('many.bin', 'out.json', 'uint8', 3)", "readBlock:partialSample", "a sample of 3 channels"),
    ("computeStats('empty.bin', 'out.json', 'int16', 2)", "computeStats:noSamples", "empty.bin has no samples"),
    ("computeStats('few.bin', '/dev/full', 'uint8', 1)", "closeFile:incomplete", "/dev/full has 0 of"),
    ("findRisingEdges('gone.bin', 'out.npy', 'uint8', 1, 5)", "openFile:cannotOpen", "gone.bin"),
    ("findRisingEdges('few.bin', 'no folder/o.npy', 'uint8', 1, 5)", "openFile:cannotOpen", "no folder/o.npy"),
    ("findRisingEdges('few.bin', 'out.npy', 'uint16', 1, 5)", "readBlock:partialSample", "few.bin ends in the middle"),
    ("findRisingEdges('many.bin', 'out.npy', 'uint8', 3, 5)", "readBlock:partialSample", "a sample of 3 channels"),
    ("findRisingEdges('few.bin', '/dev/full', 'uint8', 1, 5)", "closeFile:incomplete", "/dev/full has 0 of"),
    ("findRisingEdges('many.bin', '/dev/full', 'uint8', 1, 5)", "findRisingEdges:cannotWrite", "write to /dev/full"),
    ("readBlock(opened, 'few.bin', 'uint8', 3)", "readBlock:partialSample", "few.bin ends in the middle"),
    ("readEdges('gone.npy')", "openFile:cannotOpen", "gone.npy"),
    ("readEdges('empty.bin')", "readEdges:badFormat", "empty.bin is not a file of edges"),
    ("readEdges('few.bin')", "readEdges:badFormat", "few.bin is not a file of edges"),
    ("readEdges('many.bin')", "readEdges:badFormat", "many.bin is not a file of edges"),
    ("readEdges('int32.npy')", "readEdges:badFormat", "int32.npy is not a file of edges"),
    ("readEdges('float64.npy')", "readEdges:badFormat", "float64.npy is not a file of edges"),
    ("readEdges('three.npy')", "readEdges:badFormat", "three.npy is not a file of edges"),
    ("readEdges('flat.npy')", "readEdges:badFormat", "flat.npy is not a file of edges"),
    ("readEdges('columns.npy')", "readEdges:badFormat", "columns.npy is not a file of edges"),
    ("readEdges('cut by 8.npy')", "readEdges:badFormat", "cut by 8.npy is cut short"),
    ("readEdges('cut by 16.npy')", "readEdges:badFormat", "cut by 16.npy is cut short"),
    ("readEdges('header alone.npy')", "readEdges:badFormat", "header alone.npy is cut short"),
]


@pytest.fixture(scope="module")
def raised(tmp_path_factory) -> list[tuple[str, str, int, int]]:
    """What each call of ERRORS raised: identifier, message, files open before and after it."""
    folder = tmp_path_factory.mktemp("errors")
    (folder / "few.bin").write_bytes(bytes([0, 9, 0, 9, 0]))
    (folder / "many.bin").write_bytes(bytes([0, 9]) * (2 * BLOCK_BYTES))
    (folder / "empty.bin").touch()
    edges = np.arange(6, dtype="<i8").reshape(3, 2)
    np.save(folder / "int32.npy", edges.astype("<i4"))
    np.save(folder / "float64.npy", edges.astype("<f8"))
    np.save(folder / "three.npy", edges.reshape(2, 3))
    np.save(folder / "flat.npy", edges.ravel())
    np.save(folder / "columns.npy", np.asfortranarray(edges))
    np.save(folder / "whole.npy", edges)
    whole = (folder / "whole.npy").read_bytes()
    for name, size in (("cut by 8", len(whole) - 8), ("cut by 16", len(whole) - 16), ("header alone", 128)):
        (folder / f"{name}.npy").write_bytes(whole[:size])
    calls = "".join(f"try_({m(call)});\n" for call, _, _ in ERRORS)
    out = octave(
        folder,
        "function try_(call)\n"
        "  identifier = 'none'; message = '';\n"
        "  opened = fopen('few.bin', 'r', 'ieee-le');\n"
        "  before = numel(fopen('all'));\n"
        "  try, eval([call ';']); catch e, identifier = e.identifier; message = e.message; end\n"
        "  fprintf('%s\\t%s\\t%d\\t%d\\n', identifier, message, before, numel(fopen('all')));\n"
        "  fclose('all');\n"
        "end\n" + calls,
    )
    lines = [line.split("\t") for line in out.splitlines()]
    return [(identifier, message, int(before), int(after)) for identifier, message, before, after in lines]


@needs_octave
@pytest.mark.parametrize("index", range(len(ERRORS)), ids=[call for call, _, _ in ERRORS])
def test_errors_have_an_identifier_and_name_the_file(raised, index):
    assert len(raised) == len(ERRORS)
    _, identifier, message = ERRORS[index]
    assert raised[index][0] == identifier
    assert message in raised[index][1]
    assert raised[index][2:] == (1, 1), "a file stays open"


def documented_errors(name: str) -> set[str]:
    """Return the identifiers after `Errors:` in a help text."""
    text = "".join(re.findall(r"^ *%(.*\n)", (MATLAB / f"{name}.m").read_text(), re.M))
    part = re.search(r"Errors:((?:.*\S.*\n)+)", text)
    return set(re.findall(r"\w+:\w+", part.group(1)))


PUBLIC = sorted(file.stem for file in MATLAB.glob("*.m"))


@pytest.mark.parametrize("name", PUBLIC)
def test_every_documented_error_is_raised_above(name):
    tried = {identifier for call, identifier, _ in ERRORS if call.startswith(f"{name}(")}
    assert documented_errors(name) == tried


@needs_octave
def test_a_full_disk(tmp_path):
    """A file system of 1 MB of its own, which nothing outside the process sees."""
    (tmp_path / "disk").mkdir()
    mount = f"mount -t tmpfs -o size=1m none '{tmp_path}/disk' && exec \"$@\""
    unshared = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    try:
        works = subprocess.run([*unshared, "true"], stdin=subprocess.DEVNULL, capture_output=True).returncode == 0
    except FileNotFoundError:
        works = False
    if not works:
        pytest.skip("can't mount a small disk here")
    (tmp_path / "many.bin").write_bytes(bytes([0, 9]) * BLOCK_BYTES)
    out = octave(
        tmp_path,
        """
        try, concatenateFiles({'many.bin'}, 'disk/a.bin'); catch e, disp(e.identifier), end
        delete('disk/a.bin');
        try, findRisingEdges('many.bin', 'disk/e.npy', 'uint8', 1, 5); catch e, disp(e.identifier), end
        delete('disk/e.npy');
        fid = fopen('disk/fill.bin', 'w'); fwrite(fid, zeros(2^21, 1), 'uint8'); fclose(fid);
        try, computeStats('many.bin', 'disk/s.json', 'uint8', 1); catch e, disp(e.identifier), end
        disp(numel(fopen('all')));
        """,
        *unshared,
    )
    assert out.split() == [
        "concatenateFiles:cannotWrite",
        "findRisingEdges:cannotWrite",
        "closeFile:incomplete",
        "0",
    ]


@needs_octave
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_memory_does_not_grow_with_the_file(tmp_path):
    with (tmp_path / "data.bin").open("wb") as file:
        file.truncate(200_000_000)  # sparse
    out = octave(
        tmp_path,
        """
        function mb = peak()
          text = fileread('/proc/self/status');
          mb = str2double(regexp(text, 'VmHWM:\\s*(\\d+)', 'tokens', 'once'){1}) / 1024;
        end
        before = peak();
        findRisingEdges('data.bin', 'edges.npy', 'float64', 8, 1);
        computeStats('data.bin', 'stats.json', 'float64', 8);
        concatenateFiles({'data.bin'}, 'aggregate.bin');
        fprintf('%.0f %.0f\\n', before, peak());
        """,
    )
    before, after = map(int, out.split())
    assert before > 10, "the peak was not read"
    assert after - before < 120
    assert json.loads((tmp_path / "stats.json").read_text())["count"] == 200_000_000 // 64


# The language that Matlab R2022b and Octave 7 have in common

M_FILES = [*sorted(MATLAB.glob("*.m")), *sorted((REPOSITORY / "neuroluigi").glob("*.m"))]

# What only one of the two knows, or what means two things: looked for in code without comments and strings.
DENIED = {
    "assignment operator": r"[-+*/^|&]=",
    "increment": r"\+\+|--",
    "exclamation mark": "!",
    "double asterisk": r"\*\*",
    "hash sign": "#",
    "double quote": '"',
    "index of a result": r"[)\]]\s?[({](?<!\s[({])",
    "index of a text": r"''\(",
    "long end": r"\bend_?(if|function|while|for|switch|parfor|try_catch|unwind_protect)\b",
    "unwind_protect": r"\bunwind_protect(_cleanup)?\b",
    "do until": r"\b(do|until)\b",
    "arguments block": r"(?m)^\s*arguments\s*(\(|$)",
    "printf": r"\b(printf|puts|fputs|fdisp|fdisplay)\b",
    "fflush(stdout)": r"\bfflush\b|\bstdout\b",
    "rename": r"\brename\s*\(",
    "string": r"(?<![.\w])(string|strlength|contains)\s*\(",
    "MException": r"\b(MException|getReport)\b",
    "reduction over several dimensions": r"\b(sum|prod|min|max|mean|median|std|var|any|all)\([^()]*,\s*\[[\d\s,]+\]",
    "round to digits": r"\bround\([^()]*,",
    "assignment in a condition": r"\b(if|while)\b[^\n=<>~]*[^\n=<>~]=[^=]",
}
# Likewise, in code with its strings.
DENIED_WITH_STRINGS = {"option 'all'": r",\s*'(all|omitnan|omitmissing|includenan)'"}


def _words(text: str) -> set[str]:
    return set(text.split())


KEYWORDS = _words("break case catch continue else elseif end for function if otherwise return switch try while")

# Functions and constants that are known to be the same in both.
KNOWN = _words("""
    abs addpath any cd cell char class close dir dot double drawnow error exist false fclose feval fieldnames fileread
    filesep find floor fopen fprintf fread fseek ftell fullfile func2str fwrite get getenv inf int64 isa iscell
    isempty isequal isfield isfile isfinite isinf isnan isscalar isstruct jsondecode jsonencode max min mod movefile
    nan NaN nargin num2str numel onCleanup ones path pause pwd regexp repmat reshape rethrow size sprintf sqrt
    str2double strcmp strfind strjoin strrep struct sum tic toc true typecast uint8 unicode2native version warning
    zeros
""")

# Called through feval under Octave alone.
OCTAVE_ONLY = _words(
    "crash_dumps_octave_core sigterm_dumps_octave_core sighup_dumps_octave_core rename fflush stdout stderr"
)

_TEXT = r"'(?:[^'\n]|'')*'"
_COMMENT = r"%[^\n]*|\.\.\.[^\n]*"
_TRANSPOSE = r"(?<=[\w\])}'.])'"
_NAME = r"(?<![\w.])[A-Za-z]\w*"


def without(code: str, *, strings: bool) -> str:
    """Return code without comments, and with every text as '' if `strings`."""

    def replace(match: re.Match) -> str:
        token = match.group()
        if token.startswith(("%", "...")):
            return ""
        return "''" if strings and len(token) > 1 else token

    return re.sub(f"{_TRANSPOSE}|{_TEXT}|{_COMMENT}", replace, code)


def variables(code: str) -> set[str]:
    """Return the names that a function, a loop, a catch or an assignment makes."""
    found = set()
    for pattern in (
        r"^\s*function\s+(?:\[?([\w\s,~]*)\]?\s*=)?",  # outputs
        r"^\s*function\s+(?:[^=\n]*=\s*)?\w+\(([^)]*)\)",  # inputs
        r"^\s*(?:for\s+)?(\w+)(?:\([^=\n]*\)|\{[^=\n]*\}|\.[\w.()]+)*\s*=(?!=)",
        r"^\s*\[([\w\s,~]+)\]\s*=(?!=)",
        r"\bcatch\s+(\w+)",
        r"@\(([^)]*)\)",
    ):
        for names in re.findall(pattern, code, re.M):
            found.update(re.findall(r"\w+", names))
    return found - KEYWORDS


def findings(code: str, own: frozenset[str] = frozenset()) -> set[str]:
    """Return what is wrong with the language of an M-file; `own` are the functions of the project."""
    bare, commented = without(code, strings=True), without(code, strings=False)
    found = {name for name, pattern in DENIED.items() if re.search(pattern, bare)}
    found |= {name for name, pattern in DENIED_WITH_STRINGS.items() if re.search(pattern, commented)}
    if not code.isascii():
        found.add("not ASCII")
    if not re.match(r"\s*function\b", bare):
        found.add("no function file")
    local = set(re.findall(r"^\s*function\s+(?:[^=\n]*=\s*)?(\w+)", bare, re.M))
    called = set(re.findall(_NAME, bare)) - KEYWORDS - variables(bare) - local
    found |= {f"unknown {name}" for name in called - KNOWN - own}
    for name in re.findall(r"\bfeval\(\s*'(\w+)'", commented):
        if name not in KNOWN | OCTAVE_ONLY | own:
            found.add(f"unknown {name}")
    return found


@pytest.mark.parametrize("file", M_FILES, ids=lambda file: file.name)
def test_the_language_is_matlab_and_octave(file):
    assert findings(file.read_text(encoding="utf-8"), frozenset(PUBLIC)) == set()


def test_octave_only_functions_stay_where_octave_runs():
    for file in M_FILES:
        code = without(file.read_text(), strings=False)
        used = set(re.findall(r"\bfeval\(\s*'(\w+)'", code)) & OCTAVE_ONLY
        branches = re.findall(r"^( *)if isOctave\n(.*?)^\1(?:else|end)\b", code, re.M | re.S)
        guarded = "".join(branch for _, branch in branches)
        assert used == {name for name in OCTAVE_ONLY if f"feval('{name}'" in guarded}, file.name


# A line of code, and what it must be found guilty of.
BAD = [
    ("x += 1;", "assignment operator"),
    ("x -= 1;", "assignment operator"),
    ("x *= 2;", "assignment operator"),
    ("x /= 2;", "assignment operator"),
    ("x(3) |= y;", "assignment operator"),
    ("x++;", "increment"),
    ("x--;", "increment"),
    ("y = !x;", "exclamation mark"),
    ("y = x != 2;", "exclamation mark"),
    ("y = x ** 2;", "double asterisk"),
    ("x = 1; # one", "hash sign"),
    ("y = \"text\";", "double quote"),
    ("y = [\"a\" 'b'];", "double quote"),
    ("y = x' + \"it's\";", "double quote"),
    ("y = zeros(3)(1);", "index of a result"),
    ("y = x(2)(1);", "index of a result"),
    ("y = [1 2 3](1);", "index of a result"),
    ("y = x(2){1};", "index of a result"),
    ("y = 'abc'(1);", "index of a text"),
    ("if x, y = 1; endif", "long end"),
    ("for k = 1:3, endfor", "long end"),
    ("while true, endwhile", "long end"),
    ("endfunction", "long end"),
    ("try, y = 1; end_try_catch", "long end"),
    ("unwind_protect", "unwind_protect"),
    ("unwind_protect_cleanup", "unwind_protect"),
    ("end_unwind_protect", "long end"),
    ("do", "do until"),
    ("until x > 3", "do until"),
    ("arguments", "arguments block"),
    ("arguments (Input)", "arguments block"),
    ("printf('x');", "printf"),
    ("puts('x');", "printf"),
    ("fdisp(x, 2);", "printf"),
    ("fflush(stdout);", "fflush(stdout)"),
    ("rename('a', 'b');", "rename"),
    ("y = string(x);", "string"),
    ("y = contains(x, 'a');", "string"),
    ("y = strlength(x);", "string"),
    ("throw(MException('a:b', 'c'));", "MException"),
    ("y = e.getReport();", "MException"),
    ("y = getReport(e);", "MException"),
    ("y = sum(x, 'all');", "option 'all'"),
    ("y = mean(x, 'omitnan');", "option 'all'"),
    ("y = sum(x, [1 2]);", "reduction over several dimensions"),
    ("y = max(x, [], [1, 2]);", "reduction over several dimensions"),
    ("y = round(x, 2);", "round to digits"),
    ("if x = 3, y = 1; end", "assignment in a condition"),
    ("if (x = 3) y = 1; end", "assignment in a condition"),
    ("while y = x, end", "assignment in a condition"),
    ("y = memmapfile(x);", "unknown memmapfile"),
    ("y = histcounts(x);", "unknown histcounts"),
    ("y = readtable('a');", "unknown readtable"),
    ("y = cellfun(@butter, x);", "unknown butter"),
    ("y = getpid;", "unknown getpid"),
    ("y = x(getpid() + 1);", "unknown getpid"),
    ("feval('setenv', 'a', 'b');", "unknown setenv"),
    ("y = 'ü';", "not ASCII"),
    ("% Grüße", "not ASCII"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "name"), BAD)
def test_the_check_finds(line, name):
    sample = f"function y = sample(x, e)\n  y = x;\n  {line}\nend\n"
    assert name in findings(sample)
    assert findings(sample.replace(f"  {line}\n", "")) == set()


def test_the_check_finds_scripts():
    assert "no function file" in findings("% a script\nx = 1;\n")


def test_every_rule_is_tried():
    assert set(DENIED) | set(DENIED_WITH_STRINGS) <= {name for _, name in BAD}


@pytest.mark.parametrize(
    "line",
    [
        'y = x\';  % x += 1 != "endif"',
        "y = [x', x'];",
        "y = {x', 'it''s != 1', x.'};",
        "y = sum(x, 2) - sum(x(:));",
        "y = min(x, [], 2);",
        "y(1, :) = x(2, :)';",
        "y = x(find(x >= 2 & x <= 3 | x ~= 5));",
        "y.end_ = x.string(1);",
        "[y, ~] = max(x ...  do until\n  );",
        "if x == 3 && ~any(x), y = 1; end",
        "if x(y == 2) >= 1, y = 1; end",
        "y = {x}; y{1}(2) = 3;",
        "y = x(:, 1) (1:2);",
        "y = fopen('all');",
        "y = 1e9 - -1;",
        "y = @(t) t + 1;",
        "y = x.*x - x./x;",
    ],
)
def test_the_check_lets_pass(line):
    assert findings(f"function y = sample(x)\n  {line}\nend\n") == set()


# Help texts


@pytest.mark.parametrize("file", M_FILES, ids=lambda file: file.name)
def test_help_text(file):
    lines = file.read_text().splitlines()
    signature = lines[0].removeprefix("function ")
    help_lines = []
    for line in lines[1:]:
        if not line.startswith("  %"):
            break
        help_lines.append(line[3:].strip())
    assert help_lines[0].startswith(f"{file.stem.upper()} ")
    assert signature in help_lines, "the help text lacks the signature"
    inputs = re.search(r"\((.*)\)", signature).group(1).split(", ")
    outputs = re.findall(r"\w+", signature.split("=")[0]) if "=" in signature else []
    words = [line.split()[0] for line in help_lines if line]
    for name in filter(None, inputs + outputs):
        assert name in words, f"the help text does not say what {name} is"
    raised_here = set(re.findall(r"error\('(\w+:\w+)'", file.read_text()))
    if file.parent == MATLAB:
        assert raised_here <= documented_errors(file.stem)
        assert any(line.startswith("Example") for line in help_lines)
