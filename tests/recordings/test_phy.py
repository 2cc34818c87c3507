"""params.py of phy: its values are read as text, the file is never run."""

import numpy as np
import pytest

from neuroluigi.recordings.formats import phy
from neuroluigi.recordings.formats.reader import Part
from tests.recordings.mutations import check_mutations

PARAMS = """\
# Kilosort's
dat_path = r'a.bin'
n_channels_dat = 2
dtype = 'int16'
offset = 0
sample_rate = 30000.061088  # as of the rig
hp_filtered = False
"""


def recorded(folder, params=PARAMS, **sizes):
    (folder / "params.py").write_text(params, encoding="utf-8")
    for name, size in ({"a": 40} | sizes).items():
        (folder / f"{name}.bin").write_bytes(bytes(size))
    (recording,) = phy.recordings_in(str(folder), ["params.py", "a.bin"])
    assert all(str(folder) in text for text in recording.problems + recording.warnings)
    return recording


def problem(*arguments, **sizes) -> str:
    (text,) = recorded(*arguments, **sizes).problems
    return text


def test_the_data_is_where_params_says(tmp_path):
    recording = recorded(tmp_path)
    assert (recording.problems, recording.dtype, recording.samples) == ((), "int16", 10)
    assert recording.sampling_rate_hz == 30000.061088
    assert recording.parts == (Part(str(tmp_path / "a.bin"), 0, 10),)
    assert recording.columns == {"session": tmp_path.name, "index": "0"}
    assert recording.sidecars == (str(tmp_path / "params.py"),)
    assert [channel.name for channel in recording.channels] == ["0", "1"]


def test_several_files_follow_each_other_each_behind_its_header(tmp_path):
    params = PARAMS.replace("r'a.bin'", "[\n  'a.bin',\n  'b.bin',\n]").replace("offset = 0", "offset = 4")
    recording = recorded(tmp_path, params, b=25)
    assert recording.parts == (Part(str(tmp_path / "a.bin"), 4, 9), Part(str(tmp_path / "b.bin"), 4, 5))
    assert (recording.samples, recording.rest_bytes) == (14, 1)
    assert "ends within a sample" in problem(tmp_path, params, a=41, b=25)


@pytest.mark.parametrize("name", ["../a.bin", "/data/a.bin", "D:\\data\\a.bin", "..\\a.bin", ""])
def test_data_outside_the_folder_is_named(tmp_path, name):
    text = problem(tmp_path, PARAMS.replace("r'a.bin'", repr(name)))
    assert repr(name) in text
    assert "not in its folder" in text


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("dat_path = r'a.bin'", "", "dat_path as a text"),
        ("r'a.bin'", "3", "dat_path as a text"),
        ("r'a.bin'", "[]", "dat_path as a text"),
        ("r'a.bin'", "['a.bin', 3]", "dat_path as a text"),
        ("r'a.bin'", "'c.bin'", "is not there"),
        ("= 2", "= 0", "n_channels_dat = 0"),
        ("= 2", "= True", "n_channels_dat = True"),
        ("= 2", "= 10**9", "it says dtype = int16"),
        ("'int16'", "'>i2'", "dtype = >i2"),
        ("'int16'", "['int16']", "dtype = ['int16']"),
        ("= 30000.061088", "= 1e999", "sample_rate = inf"),
        ("= 30000.061088", "= -1", "sample_rate = -1"),
        ("offset = 0", "offset = -4", "offset = -4"),
        ("offset = 0", "offset = 40", "no samples"),
        ("offset = 0", "offset = )", "can't be read"),
        ("offset = 0", "offset = 0\0", "can't be read"),
        ("offset = 0", "#" * 9000, "can't be read"),
    ],
)
def test_values_that_are_wrong_are_shown(tmp_path, old, new, words):
    assert words in problem(tmp_path, PARAMS.replace(old, new))


def test_nothing_is_run(tmp_path):
    params = PARAMS.replace("'int16'", f"__import__('os').mkdir({str(tmp_path / 'x')!r}) or 'int16'")
    assert "it says n_channels_dat = 2, offset = 0" in problem(tmp_path, params)
    assert not (tmp_path / "x").exists()
    # The last assignment counts, also where it can't be read.
    assert "dtype" not in problem(tmp_path, PARAMS + "dtype = numpy.int16\n").rpartition("it says")[2]


@pytest.mark.parametrize("deep", ["(" * 4000, "-" * 8000 + "1", "[" * 99 + "]" * 99, "1" + "+1" * 4000, "{" * 4000])
def test_deep_nesting_is_an_error_like_any_other(tmp_path, deep):
    (text,) = recorded(tmp_path, f"dtype = {deep}\n").problems
    assert "can't be read" in text or "has to say" in text


@pytest.mark.filterwarnings("error")
def test_a_path_of_windows_warns_of_nothing(tmp_path):
    assert r"'D:\\data\\d.bin'" in problem(tmp_path, PARAMS.replace("r'a.bin'", r"'D:\data\d.bin'"))


def test_short_names_of_types(tmp_path):
    assert recorded(tmp_path, PARAMS.replace("int16", "<f4")).dtype == "float32"
    assert recorded(tmp_path, PARAMS.replace("int16", np.dtype("<i2").str)).dtype == "int16"


def test_a_folder_with_params_is_claimed():
    assert phy.claims("", ["params.py", "spike_times.npy"])
    assert not phy.claims("", ["params.py.bak"])
    assert phy.recordings_in("", ["x"]) == []


def test_hostile_params(tmp_path):
    check_mutations(phy, {"params.py": PARAMS.encode(), "a.bin": bytes(400)}, "params.py", tmp_path)
