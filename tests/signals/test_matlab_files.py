"""matlab/*.m as a Matlab user calls them, on Octave: the same files as the NumPy functions make."""

import csv
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

import targets
from neuroluigi import fake_samples
from neuroluigi.signals import numpy_functions
from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.events import find_rising_edges
from tests.conftest import REAL_RECORDINGS, needs_octave, needs_real_recordings
from tests.signals.aggregates import write_aggregate, write_parts
from tests.signals.octave import BLOCK_BYTES, BLOCK_VALUES, m, octave, samples_of

DTYPES = ("uint8", "int8", "uint16", "int16", "int32", "float32", "float64")


class Case:
    """Samples (samples, channels) with a level and segments, on which M-file and NumPy function are compared.

    `kinds` are those of channels. With `parts`, which write_parts() takes, the M-file reads them, and the NumPy
    function one file.
    """

    def __init__(self, data: np.ndarray, level, segments=(0,), kinds=(), **parts):
        self.data, self.level, self.segments, self.parts = data, level, list(segments), parts
        self.known = {"channels": [{"kind": kind} if kind else {"name": "a"} for kind in kinds]} if kinds else {}

    def prepare(self, folder: Path, name: str) -> str:
        """Write the samples and what the NumPy functions make of them; return the calls that do the same on Octave."""
        place = folder / name
        place.mkdir()
        aggregate = write_aggregate(place, self.data, self.segments, **self.known)
        numpy_functions.compute_stats(aggregate, str(place / "numpy.json"))
        find_rising_edges(aggregate, str(place / "numpy.npy"), self.level)
        if self.parts:
            # The same samples in other places.
            write_parts(place, self.data, segments=self.segments, **self.known, **self.parts)
        return (
            f"computeStats('{name}/aggregate.json', '{name}/stats.json');\n"
            f"findRisingEdges('{name}/aggregate.json', '{name}/edges.npy', {m(self.level)});\n"
        )


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
    for kinds in (["digital"], ["ap", "digital"], ["ap", "", "digital"], ["digital", "digital", "lf"]):
        data = samples_of("int16", 1000, len(kinds))
        found[f"kinds-{'-'.join(kinds)}"] = Case(data, 0, kinds=kinds)
    return found | cases_of_parts()


def cases_of_parts() -> dict[str, Case]:
    random = np.random.default_rng(SEED)
    found = {}
    data = samples_of("int16", 100, 3)
    for name, cuts in {"single-samples": range(1, 100), "one-after": [1, 99], "empty": [0, 0, 50, 50, 50, 100]}.items():
        found[f"parts-{name}"] = Case(data, 0, [0, 50], cuts=list(cuts), files=4)
    block = BLOCK_VALUES // 3
    data = samples_of("float64", 2 * block + 7, 3)
    for shift in (-1, 0, 1):
        found[f"parts-block{shift:+}"] = Case(data, [0, 40, 80], [0, block], cuts=[block + shift, 2 * block], files=3)
    data = samples_of("int16", 120_000, 4)
    found["parts-four-files"] = Case(data, 100, [0, 60_000], cuts=[1, 30_000, 60_000], files=4)
    packets = sorted(random.integers(0, len(data), 700).tolist())
    found["parts-hundreds-of-one-file"] = Case(data, 100, packets, cuts=packets, files=1)
    for number in range(10):
        dtype = str(random.choice(DTYPES))
        data = samples_of(dtype, int(random.integers(1, 100_000)), int(random.integers(1, 8)))
        cuts, segments = (sorted(random.integers(0, len(data) + 1, 20).tolist()) for _ in range(2))
        segments = [0, *(one for one in segments if 0 < one < len(data))]
        found[f"parts-random-{number}"] = Case(
            data, float(np.median(data)), segments, cuts=cuts, files=int(random.integers(1, 5))
        )
    return found


SEED = int(os.environ.get("NEUROLUIGI_SEED", "1"))
CASES = cases()


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> Path:
    """A folder with a folder of each case: data, the files of NumPy and of Octave, and what readEdges read."""
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
def test_same_bytes_as_the_numpy_functions(compared, name):
    place = compared / name
    print(f"NEUROLUIGI_SEED={SEED}")
    stats = (place / "stats.json").read_bytes()
    assert stats == (place / "numpy.json").read_bytes()
    assert json.loads(stats)["count"] == len(CASES[name].data)
    assert (place / "edges.npy").read_bytes() == (place / "numpy.npy").read_bytes()


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
    # Words of bits are none of the channels that are looked at.
    assert without_edges == {"zeros", "one-sample", "constant", "kinds-digital"}


@needs_octave
@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("kinds-")])
def test_words_of_bits_are_not_averaged(compared, name):
    stats = json.loads((compared / name / "stats.json").read_text())
    kinds = name.split("-")[1:]
    for values in (stats["mean"], stats["std"]):
        assert [value is None for value in values] == [kind == "digital" for kind in kinds]
    assert None not in stats["min"] + stats["max"]


@needs_octave
def test_the_struct_of_an_aggregate(tmp_path):
    write_parts(tmp_path, samples_of("int16", 20, 2), [5, 5, 11], 2, [0, 7], sampling_rate_hz=0.1)
    write = "fprintf('%s %.17g\\n', mat2str(a.segments), a.samplingRateHz);\n"
    write += "for p = a.parts', fprintf('%s %d %d %d\\n', p.file, p.offset, p.firstSample, p.samples); end\n"
    numbers = "fprintf('%d %d %d %d\\n', a.channels, a.samples, a.sampleBytes, a.blockSamples);\n"
    kinds = "disp(strjoin(a.kinds', ' '));"
    out = octave(tmp_path, f"a = readAggregate('aggregate.json');\n{write}{numbers}{kinds}").splitlines()
    aggregate = read_aggregate(tmp_path / "aggregate.json")
    parts = [(Path(p.file).relative_to(tmp_path), p.offset, p.first_sample, p.samples) for p in aggregate.parts]
    assert out == [
        "[0;7] 0.10000000000000001",
        *(" ".join(map(str, part)) for part in parts),
        "2 20 4 131072",
        "unknown unknown",
    ]


@needs_octave
def test_any_samples_of_an_aggregate(tmp_path):
    data = samples_of("int16", 300, 2)
    write_parts(tmp_path, data, [10, 11, 200], 3)
    places = [(0, 300), (9, 12), (10, 11), (250, 999), (299, 300), (5, 5), (300, 301)]
    read = [f"x = readBlock(a, {first}, {last}); fwrite(fid, [size(x, 2); x(:)], 'double');" for first, last in places]
    octave(tmp_path, "a = readAggregate('aggregate.json'); fid = fopen('x.bin', 'w');\n" + "\n".join(read))
    expected = [np.concatenate([[len(data[first:last])], data[first:last].ravel()]) for first, last in places]
    assert np.array_equal(np.fromfile(tmp_path / "x.bin"), np.concatenate(expected))


@needs_octave
def test_more_channels_than_a_block_has_values(tmp_path):
    channels = BLOCK_VALUES + 5
    data = samples_of("uint8", 3, channels)
    aggregate = write_aggregate(tmp_path, data)
    octave(tmp_path, "findRisingEdges('aggregate.json', 'edges.npy', 128);")
    find_rising_edges(aggregate, str(tmp_path / "numpy.npy"), 128)
    assert (tmp_path / "edges.npy").read_bytes() == (tmp_path / "numpy.npy").read_bytes()
    assert len(np.load(tmp_path / "edges.npy")) > channels // 4


@needs_octave
def test_concatenated_files_are_those_of_numpy(tmp_path):
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
    for made, given in {
        "all.bin": (paths, [0] * 6, sizes),
        "headers.bin": (paths, headers, left),
        "one header.bin": (paths[1:3], [100, 100], [0, sizes[2] - 100]),
        "short.bin": (paths, headers, short),
        "nothing.bin": (paths[5:], [0], [0]),
        "no files.bin": ([], [], []),
    }.items():
        inputs, header_bytes, data_bytes = given
        numpy_functions.concatenate_files(inputs, str(tmp_path / "numpy.bin"), header_bytes, data_bytes)
        assert (tmp_path / made).read_bytes() == (tmp_path / "numpy.bin").read_bytes(), made
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
        parts = [{"root": "recordings", "path": f"{name}/{name}.bin", "sha256": "", "offset": 0, "samples": 4}]
        for root, of_root in ((name, str(tmp_path)), ("relative", "..")):
            content = {"dtype": "uint8", "channels": 1, "segments": [0], "roots": {"recordings": of_root}}
            text = json.dumps({**content, "parts": parts}, ensure_ascii=False)
            (place / f"{root}.aggregate").write_text(text, encoding="utf-8")
        calls += f"concatenateFiles({{{m(f'{name}/{name}.bin')}}}, {m(f'{name}/{name}2.bin')});\n"
        calls += f"computeStats({m(f'{name}/{name}.aggregate')}, {m(f'{name}/{name}.json')});\n"
        calls += f"findRisingEdges({m(f'{name}/relative.aggregate')}, {m(f'{name}/{name}.npy')}, 5);\n"
        calls += f"assert(isequal(readEdges({m(f'{name}/{name}.npy')}), [2; 4]));\n"
    octave(tmp_path, calls)
    for name in STRANGE:
        assert (tmp_path / name / f"{name}2.bin").read_bytes() == bytes([0, 9, 0, 9])
        assert json.loads((tmp_path / name / f"{name}.json").read_text())["mean"] == [4.5]


def compare_group(folder: Path, files: list[Path], dtype: str, channels: int, level: float | None = None) -> np.ndarray:
    """Run the three steps on Octave, and as NumPy functions in place; expect the same bytes, and return the edges."""
    paths = [str(file) for file in files]
    sizes = [file.stat().st_size for file in files]
    width = channels * np.dtype(dtype).itemsize
    segments = [0, *(np.cumsum(sizes)[:-1] // width).tolist()]
    content = {"dtype": dtype, "channels": channels, "segments": segments}
    parts = [
        {"path": path, "sha256": "", "offset": 0, "samples": size // width}
        for path, size in zip(paths, sizes, strict=True)
    ]
    (folder / "in place.json").write_text(json.dumps({**content, "parts": parts}))
    recordings = [{"samples": part["samples"]} for part in parts]
    (folder / "aggregate.json").write_text(json.dumps({**content, "recordings": recordings}))
    numpy_functions.concatenate_files(paths, str(folder / "numpy.bin"), [0] * len(files), sizes)
    numpy_functions.compute_stats(str(folder / "in place.json"), str(folder / "numpy.json"))
    stats = json.loads((folder / "numpy.json").read_text())
    levels = targets.levels({name: np.array(stats[name]) for name in ("min", "max")}, 0.75, level)
    find_rising_edges(str(folder / "in place.json"), str(folder / "numpy.npy"), levels)
    octave(
        folder,
        f"concatenateFiles({m(paths)}, 'aggregate.bin');\n"
        "computeStats('aggregate.json', 'stats.json');\n"
        f"findRisingEdges('aggregate.json', 'edges.npy', {m(levels)});\n",
    )
    for made, ending in (("aggregate.bin", "bin"), ("stats.json", "json"), ("edges.npy", "npy")):
        assert (folder / made).read_bytes() == (folder / f"numpy.{ending}").read_bytes(), made
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
