"""What the help texts of matlab/*.m promise: examples, errors, and memory that does not grow with the file."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import needs_octave
from tests.signals.octave import BLOCK_BYTES, PUBLIC, documented_errors, m, octave


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
