"""aggregate.json of every kind: what its channels and parts are; what is no aggregate.json, or has lost a file."""

import json
import os
import re

import numpy as np
import pytest

from neuroluigi.signals.aggregate import SamplePart, read_aggregate
from tests.signals.aggregates import write_aggregate

CHANNELS = [{"name": "AP0", "kind": "ap", "scale": 2.34, "unit": "uV", "x": 27.0}, {"name": "SY0", "kind": "digital"}]


def save(folder, **content) -> str:
    path = folder / "aggregate.json"
    whole = {"dtype": "int16", "channels": 2, "segments": [0, 3], "recordings": [], **content}
    path.write_text(json.dumps(whole, ensure_ascii=False), encoding="utf-8")
    return str(path)


def test_what_earlier_releases_wrote_is_one_part_of_all_samples(tmp_path):
    path = write_aggregate(tmp_path, np.zeros((5, 3), "int32"), [0, 2], sampling_rate_hz=30000.5)
    found = read_aggregate(path)
    assert found.parts == (SamplePart(str(tmp_path / "aggregate.bin"), 0, 0, 5),)
    assert (found.dtype, found.channels, found.samples, found.segments) == ("int32", 3, 5, (0, 2))
    assert found.kinds == ("unknown",) * 3 and found.sampling_rate_hz == 30000.5 and found.bytes_per_sample == 12
    assert found.content["recordings"][0]["samples"] == 5


def test_parts_are_in_order_and_channels_have_their_kinds(tmp_path):
    lab, nas = tmp_path / "lab [1]", tmp_path / "Grüße 神"
    (lab / "results" / "a").mkdir(parents=True)
    (nas / "mouse").mkdir(parents=True)
    for path in (nas / "mouse" / "x.bin", nas / "y.bin", lab / "made.bin", lab / "results" / "a" / "z.bin"):
        path.write_bytes(bytes(40))
    parts = [
        {"root": "recordings", "path": "mouse/x.bin", "sha256": "", "offset": 4, "samples": 2},
        {"root": "recordings", "path": "mouse/x.bin", "sha256": "", "offset": 20, "samples": 5},
        {"path": str(nas / "y.bin"), "sha256": "", "offset": 0, "samples": 10},
        {"root": "results", "path": "made.bin", "sha256": "", "offset": 0, "samples": 1},
        {"path": "z.bin", "offset": 7, "samples": 0},
    ]
    path = save(
        lab / "results" / "a", channels=CHANNELS, parts=parts, roots={"recordings": str(nas), "results": "../.."}
    )
    found = read_aggregate(path)
    assert [(one.offset, one.first_sample, one.samples) for one in found.parts] == [
        (4, 0, 2), (20, 2, 5), (0, 7, 10), (0, 17, 1), (7, 18, 0),
    ]  # fmt: skip
    files = [nas / "mouse" / "x.bin", nas / "mouse" / "x.bin", nas / "y.bin", lab / "made.bin"]
    assert [os.path.realpath(one.file) for one in found.parts] == [*map(str, files), str(lab / "results/a/z.bin")]
    assert (found.channels, found.kinds, found.samples) == (2, ("ap", "digital"), 18)
    assert found.sampling_rate_hz is None


def test_a_path_in_the_current_folder(tmp_path, monkeypatch):
    write_aggregate(tmp_path, np.zeros((5, 1), "uint8"))
    monkeypatch.chdir(tmp_path)
    assert read_aggregate("aggregate.json").parts[0].file == "aggregate.bin"
    assert read_aggregate(tmp_path / "aggregate.json").path == str(tmp_path / "aggregate.json")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "5", '"x"', "{}", '{"dtype": "int16"}', '{"dtype": "int12", "channels": 1, "segments": [0]}',
     '{"dtype": "int16", "channels": 1, "segments": [0]}',
     '{"dtype": "int16", "channels": ["a"], "segments": [0], "parts": []}',
     '{"dtype": "int16", "channels": 1, "segments": [0], "parts": [{"path": "a", "offset": 0}]}',
     '{"dtype": "int16", "channels": 1, "segments": [0], "parts": [{"root": "nas", "path": "a", "offset": 0}]}'],
)  # fmt: skip
def test_what_is_no_aggregate(tmp_path, text):
    (tmp_path / "aggregate.json").write_text(text)
    with pytest.raises(ValueError, match=r"aggregate\.json is no aggregate\.json \(.*\); make Aggregate again"):
        read_aggregate(tmp_path / "aggregate.json")


def test_no_file_at_all(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"aggregate\.json"):
        read_aggregate(tmp_path / "aggregate.json")


def test_a_part_that_is_gone_or_shorter(tmp_path):
    path = save(tmp_path, parts=[{"path": "x.bin", "offset": 3, "samples": 5}])
    gone = f"there is no {tmp_path / 'x.bin'}, which {path} names; if it was moved, make Aggregate again"
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(gone)}$"):
        read_aggregate(path)
    (tmp_path / "x.bin").write_bytes(bytes(22))
    short = f"{tmp_path / 'x.bin'} ends before the samples that {path} names; if it was changed, make Aggregate again"
    with pytest.raises(ValueError, match=f"^{re.escape(short)}$"):
        read_aggregate(path)
    (tmp_path / "x.bin").write_bytes(bytes(23))
    assert read_aggregate(path).samples == 5
