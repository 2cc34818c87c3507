"""The values that an M-function returns: names, files, what comes back from them, and a step that has them."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings

from neuroluigi import GroupTask, MatlabTask
from neuroluigi.engines.values import MatlabArray, encode
from neuroluigi.steps.describe import StepError
from neuroluigi.steps.returned import ReturnedTarget, write_returned
from tests.commands import run
from tests.conftest import BIN, clean_environment, needs_octave
from tests.engines.test_values import content, values


def written(path, value):
    """Return the content of the .json file of a value, and what its target loads."""
    write_returned(path, encode(value), path.stem)
    return json.loads(path.read_text(encoding="utf-8")), ReturnedTarget(path).load()


@pytest.mark.parametrize(
    ("value", "in_file"),
    [
        (5.0, 5),
        (0.1, 0.1),
        (-0.0, -0.0),
        (True, True),
        ("Gerät", "Gerät"),
        ("", ""),
        ({"n": 1.0, "name": "x"}, {"n": 1, "name": "x"}),
        (["a", "b"], ["a", "b"]),
        (math.nan, {"class": "double", "shape": [1, 1], "value": ["NaN"]}),
        (np.int16(5), {"class": "int16", "shape": [1, 1], "value": [5]}),
        (np.int64(2**63 - 1), {"class": "int64", "shape": [1, 1], "value": [2**63 - 1]}),
        (np.array([[1.5, 2], [3, math.inf]]), {"class": "double", "shape": [2, 2], "value": [1.5, 3, 2, "Infinity"]}),
        (None, {"class": "double", "shape": [0, 0], "value": []}),
        (1 - 2j, {"class": "double", "shape": [1, 1], "value": [1], "imaginary": [-2]}),
        (MatlabArray(["a", 1.0], "cell", (1, 2)), {"class": "cell", "shape": [1, 2], "value": ["a", 1]}),
        (
            MatlabArray([], "struct", (0, 1), ["a"]),
            {"class": "struct", "shape": [0, 1], "fields": ["a"], "value": []},
        ),
        (
            {"class": "a", "shape": "b", "value": "c"},
            {
                "class": "struct",
                "shape": [1, 1],
                "fields": ["class", "shape", "value"],
                "value": [{"class": "a", "shape": "b", "value": "c"}],
            },
        ),
    ],
    ids=repr,
)
def test_what_a_json_file_says(tmp_path, value, in_file):
    found, loaded = written(tmp_path / "value.json", value)
    assert found == in_file and str(found) == str(in_file)
    assert content(encode(loaded)) == content(encode(value))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(value=values)
def test_any_value_comes_back_from_its_file(tmp_path_factory, value):
    _, loaded = written(tmp_path_factory.getbasetemp() / "value.json", value)
    assert content(encode(loaded), keeps_nan=False) == content(encode(value), keeps_nan=False)


@pytest.mark.parametrize("value", [np.zeros((2, 0, 3), "i2"), np.array([[1.5], [math.nan]]), np.array([[True]]), 2j])
def test_an_array_comes_back_from_its_npy_file(tmp_path, value):
    path = tmp_path / "spikes.npy"
    write_returned(path, encode(value), "spikes")
    loaded = ReturnedTarget(path).load()
    expected = np.atleast_2d(value)
    assert loaded.dtype == expected.dtype and loaded.shape == expected.shape
    assert np.array_equal(loaded, expected, equal_nan=expected.dtype.kind == "f")


def test_text_for_an_npy_file_is_refused(tmp_path):
    with pytest.raises(StepError, match=r"spikes is a char, and an .npy file holds numbers: name it 'spikes', for a"):
        write_returned(tmp_path / "spikes.npy", encode("text"), "spikes")
    with pytest.raises(StepError, match=r"spikes can't be kept in spikes.mat: end the name of the file in .json or"):
        write_returned(tmp_path / "spikes.mat", encode(1), "spikes")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("count", r'returns of Counts has to be a tuple of names, such as \("count", "spikes.npy"\); it is \'count\''),
        (("count", "2nd"), "returns of Counts: '2nd' is no name of a value"),
        (("a.mat",), "'a.mat' is no name of a value"),
        (("../a",), "'../a' is no name of a value"),
        (("Zähler",), "'Zähler' is no name of a value"),
        ((1,), "1 is no name of a value"),
        (("count", "rate", "Count.npy"), "returns of Counts names a value twice: count, Count.npy"),
    ],
)
def test_names_that_are_none_are_refused_with_the_class(names, message):
    with pytest.raises(TypeError, match=message):
        type("Counts", (GroupTask, MatlabTask), {"function": "f", "returns": names})


STEP = """
class Counted(GroupTask, MatlabTask):
    n = luigi.IntParameter(default=2)
    function, returns = "counted", ("count", "info", "samples.npy")
    filename_parameters = ("n",)
    def requires(self): return Aggregate(self.group)
    def arguments(self, out): return [self.input()["data"].path, {"n": self.n, "name": "it's"}]
"""

COUNTED = """function [count, info, samples] = counted(file, options)
  fid = fopen(file, 'r'); samples = fread(fid, [options.n inf], '*uint8'); fclose(fid);
  count = numel(samples);
  info = struct('name', options.name, 'size', int32(size(samples)));
end
"""


@needs_octave
def test_a_step_keeps_what_its_function_returns(pipeline):
    (pipeline.folder / "matlab" / "counted.m").write_text(COUNTED)
    pipeline.add(f"import luigi\n{STEP}")
    pipeline.run("Counted", "--group", "a-even", "--matlab-engine", "octave")
    folder = pipeline.results / "a-even"
    samples = np.fromfile(folder / "aggregate.bin", "u1")
    assert (folder / "count-2.json").read_text() == f"{samples.size}\n"
    info = ReturnedTarget(folder / "info-2.json").load()
    assert info["name"] == "it's" and info["size"].dtype == np.int32
    assert info["size"].tolist() == [[2, samples.size // 2]]
    assert np.array_equal(np.load(folder / "samples-2.npy"), samples.reshape(2, -1, order="F"))
    record = json.loads((folder / "runs" / "Counted-2.json").read_text())
    assert [one["path"].rpartition("/")[2] for one in record["outputs"]] == [
        "count-2.json",
        "info-2.json",
        "samples-2.npy",
    ]
    log = (folder / "runs" / "Counted-2.log").read_text()
    call = f"[count, info, samples] = counted('{folder / 'aggregate.bin'}', struct('n', 2, 'name', 'it''s'))\n"
    assert log == f"% octave:\n{call}"


NUMPY_STEPS = """
class Both(GroupTask, MatlabTask):
    function, numpy_function, returns = "both", staticmethod(lambda: (3, [1.5, 2])), ("count", "rates.npy")
    def requires(self): return Aggregate(self.group)
    def output(self): return {"count": self.result("my-count.json"), "rates": self.result("rates.npy")}
    def arguments(self, out): return []


class One(Both):
    numpy_function, returns = staticmethod(lambda: {"a": "b"}), ("only",)
    def output(self): return MatlabTask.output(self)


class Wrong(Both):
    numpy_function = staticmethod(lambda: [1, 2])
    def output(self): return {"count": self.result("wrong.json"), "rates": self.result("wrong.npy")}


class Odd(Both):
    def output(self): return self.result("odd.json")
"""


def test_a_numpy_function_returns_the_values(pipeline):
    pipeline.add(NUMPY_STEPS)
    engine = ("--group", "a-even", "--matlab-engine", "numpy")
    pipeline.run("Both", *engine)
    folder = pipeline.results / "a-even"
    assert (folder / "my-count.json").read_text() == "3\n"
    assert np.load(folder / "rates.npy").tolist() == [[1.5], [2]]
    pipeline.run("One", *engine)
    assert json.loads((folder / "only.json").read_text()) == {"a": "b"}
    assert "has to return a tuple of count, rates, and returned [1, 2]" in pipeline.run("Wrong", *engine, code=30)
    assert "output() has to be a dict with the names of what both returns: count, rates" in pipeline.run(
        "Odd", *engine, code=30
    )


def test_the_numbers_that_a_function_returned_are_in_the_table(pipeline):
    pipeline.add(
        "class Numbers(GroupTask, MatlabTask):\n"
        "    function, returns = 'numbers', ('count', 'fit', 'label')\n"
        "    numpy_function = staticmethod(lambda: (np.int16(7), {'rate': 0.5, 'gain': np.array([math.nan])}, 'x'))\n"
        "    def requires(self): return Aggregate(self.group)\n"
        "    def arguments(self, out): return []\n"
        "import math\nimport numpy as np\n"
    )
    pipeline.run("Numbers", "--group", "a-even", "--matlab-engine", "numpy")
    command = [BIN / "neuroluigi", "results", "--json", "--where", "group=a-even"]
    done = run(command, cwd=pipeline.folder, env=clean_environment(), capture_output=True, encoding="utf-8")
    (row,) = json.loads(done.stdout)
    assert {name: row[name] for name in ("count", "rate", "gain", "label")} == {
        "count": 7,
        "rate": 0.5,
        "gain": None,
        "label": "x",
    }
