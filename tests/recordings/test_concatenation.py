"""The concatenation of a group: where each recording begins, and what holds for all."""

import json

import pytest

from neuroluigi.recordings.concatenation import data_bytes, describe_channels, describe_concatenation, is_concatenation
from neuroluigi.recordings.formats.reader import Part
from neuroluigi.recordings.recording import Group, RecordingsError
from tests.recordings.files import found, write_files


def layout_of(group: Group, paths: list[str], partial_sample: str, contiguous: str) -> dict:
    return describe_concatenation(group, paths, partial_sample, contiguous)[0]


def test_lay_out(root):
    for name, size in (("x.bin", 14), ("y.bin", 4), ("z.bin", 11)):
        write_files(root, name, size=size)
    header = (
        "session,index,path,dtype,channels,sampling_rate_hz,header_bytes,scale,offset,unit,use,reason,channel_names"
    )
    tail = "int16,2,250,{},0.5,-1,mV"
    (group,) = found(
        root,
        header,
        f"s,5,z.bin,{tail.format(0)},,,A|B",
        f"s,0,x.bin,{tail.format(2)},,,A|B",
        f"s,1,gone.bin,{tail.format(0)},no,noise,",
        f"s,3,y.bin,{tail.format(0)},,,A|B",
        partial_sample="drop",
    ).values()
    paths = [r.path for r in group.recordings]
    layout = layout_of(group, paths, "drop", contiguous="false")
    # 14 - 2 bytes are 3 samples of 4 bytes, 4 bytes 1, 11 bytes 2 and 3 bytes left.
    assert layout == {
        "dtype": "int16",
        "channels": 2,
        "sampling_rate_hz": 250.0,
        "scale": 0.5,
        "offset": -1.0,
        "unit": "mV",
        "channel_names": ["A", "B"],
        "recordings": [
            {"session": "s", "index": 0, "path": "x.bin", "first_sample": 0, "samples": 3},
            {"session": "s", "index": 3, "path": "y.bin", "first_sample": 3, "samples": 1},
            {"session": "s", "index": 5, "path": "z.bin", "first_sample": 4, "samples": 2, "trimmed_bytes": 3},
        ],
        "segments": [0, 3, 4],
        "excluded": [{"session": "s", "index": 1, "path": "gone.bin", "reason": "noise"}],
    }
    assert json.loads(json.dumps(layout)) == layout
    assert data_bytes(layout) == [12, 4, 8]
    assert data_bytes({**layout, "channels": [{"name": "A"}, {"name": "B"}]}) == [12, 4, 8]
    _, parts = describe_concatenation(group, paths, "drop", contiguous="false")
    assert parts == [Part(paths[0], 2, 3), Part(paths[1], 0, 1), Part(paths[2], 0, 2)]
    # Recordings 1, 2 and 4 would lie between.
    assert layout_of(group, paths, "drop", contiguous="true")["segments"] == [0, 3, 4]


# Of recordings of 10 bytes and one of 11: rows of the table, settings, the samples at which segments begin.
SEAMS = {
    "one after the other": (("s,0,x", "s,1,y", "s,2,z"), {}, [0, 10, 20], [0]),
    "not from 0, and not in order": (("s,8,x", "s,7,y"), {}, [0, 10], [0]),
    "one left out": (("s,0,x", "s,1,y,no", "s,2,z"), {}, [0, 10], [0, 10]),
    "one gone": (("s,0,x", "s,1,gone", "s,2,z"), {"allow_missing": True}, [0, 10], [0, 10]),
    "the last one left out": (("s,0,x", "s,1,y", "s,2,z,no"), {}, [0, 10], [0]),
    "one that is not in the table": (("s,0,x", "s,1,y", "s,3,z"), {}, [0, 10, 20], [0, 20]),
    "those of another group": (("s,0,x", "s,1,y", "s,2,z"), {"group_by": ("parity",)}, [0, 10], [0, 10]),
    "two sessions": (("r,0,x", "s,1,y", "s,2,z"), {"group_by": ("use",)}, [0, 10, 20], [0, 10]),
    "bytes dropped": (("s,0,long", "s,1,x", "s,2,y"), {"dtype": "int16"}, [0, 5, 10], [0, 5]),
    "bytes dropped at the end of all": (("s,0,x", "s,1,long"), {"dtype": "int16"}, [0, 5], [0]),
}


@pytest.mark.parametrize(("rows", "settings", "apart", "contiguous"), SEAMS.values(), ids=SEAMS)
def test_contiguous_recordings_have_a_gap_where_samples_are_missing(root, rows, settings, apart, contiguous):
    write_files(root, "x", "y", "z")
    write_files(root, "long", size=11)
    rows = [row if row.endswith(",no") else f"{row},yes" for row in rows]
    group = next(iter(found(root, "session,index,path,use", *rows, partial_sample="drop", **settings).values()))
    paths = [r.path for r in group.recordings]
    assert layout_of(group, paths, "drop", contiguous="false")["segments"] == apart
    assert layout_of(group, paths, "drop", contiguous="true")["segments"] == contiguous


def test_what_a_step_made_of_a_recording_has_its_gap_too(root):
    write_files(root, "x", size=11)
    write_files(root, "y", "filtered/x", "filtered/y")
    group = found(root, "session,index,path", "s,0,x", "s,1,y", dtype="int16", partial_sample="drop")["s"]
    paths = [str(root / "filtered" / r.name) for r in group.recordings]
    assert layout_of(group, paths, "drop", contiguous="true")["segments"] == [0, 5]


def test_lay_out_of_what_is_not_known(root):
    group = found(root)["b"]
    layout = layout_of(group, [group.recordings[0].path], "fail", contiguous="false")
    assert layout == {
        "dtype": "uint8",
        "channels": 1,
        "recordings": [{"session": "b", "index": 0, "path": "b/rec_0.bin", "first_sample": 0, "samples": 10}],
        "segments": [0],
        "excluded": [],
    }


def test_lay_out_measures_the_files_it_is_given(root):
    write_files(root, "filtered/0.bin", size=16)
    group = found(root, header_bytes=4, select=("session=b",))["b"]
    layout = layout_of(group, [str(root / "filtered/0.bin")], "fail", contiguous="false")
    assert layout["recordings"][0]["samples"] == 16
    assert layout["recordings"][0]["path"] == "b/rec_0.bin"


def test_lay_out_refuses_what_changed_and_what_has_problems(root):
    group = found(root, dtype="int16")["b"]
    write_files(root, "b/rec_0.bin", size=9)
    with pytest.raises(RecordingsError, match="9 bytes"):
        layout_of(group, [group.recordings[0].path], "fail", contiguous="false")
    group = found(root, "session,index,path", "s,x,a/rec_0.bin", "s,y,a/rec_1.bin")["s"]
    with pytest.raises(RecordingsError, match=r"row 2, column index: 'x'.*\n.*row 3, column index: 'y'"):
        layout_of(group, [], "fail", contiguous="false")


ROW = {"session": "a", "index": 0, "first_sample": 0}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"recordings": [ROW]}, True),
        ({"recordings": [ROW, ROW], "sampling_rate_hz": 30000.5}, True),
        ({"recordings": []}, False),
        ({}, False),
        ([ROW], False),
        ({"recordings": [ROW], "sampling_rate_hz": 0}, False),
        ({"recordings": [ROW], "sampling_rate_hz": "fast"}, False),
        ({"recordings": [ROW, {"session": "a", "index": 0}]}, False),
        ({"recordings": [{**ROW, "first_sample": "0"}]}, False),
        ({"recordings": "a"}, False),
    ],
)
def test_is_concatenation(content, expected):
    assert is_concatenation(content) is expected


def test_channels_are_described_alike_whether_by_a_header_or_not():
    assert describe_channels({"channels": [{"name": "AP0", "scale": 2.0}]}) == [{"name": "AP0", "scale": 2.0}]
    of_all = {"channels": 2, "scale": 0.5, "unit": "mV", "dtype": "int16"}
    assert describe_channels({**of_all, "channel_names": ["a", "b"]}) == [
        {"scale": 0.5, "unit": "mV", "name": name} for name in "ab"
    ]
    assert describe_channels(of_all) == [{"scale": 0.5, "unit": "mV", "name": ""}] * 2
    assert describe_channels({}) == []
