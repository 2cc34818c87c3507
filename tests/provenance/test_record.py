"""Run records: whole or not there, true wherever the folders are moved, and free of secrets."""

import hashlib
import importlib.metadata
import json
import os

import pytest

from neuroluigi.provenance.files import describe_file, hash_file, path_in_root, write_json
from neuroluigi.provenance.record import NewerRecordError, checked_record, read_failure, read_record


def test_write_leaves_the_old_record_when_the_new_one_can_not_be_written(tmp_path):
    path = tmp_path / "Step.json"
    write_json(path, {"schema": 2, "is": "old"})
    try:
        write_json(path, {"is": {1, 2}})  # a set has no JSON
    except TypeError:
        pass
    else:
        raise AssertionError("a set was written as JSON")
    assert read_record(path) == {"schema": 2, "is": "old"}
    assert [p.name for p in tmp_path.iterdir()] == ["Step.json"]


def test_read_takes_what_is_no_record_for_none(tmp_path):
    path = tmp_path / "Step.json"
    assert read_record(path) is None
    for content in ("", "{", "[1]", "\x00"):
        path.write_text(content)
        assert read_record(path) is None


FILE = {"path": "x.bin", "bytes": 1, "mtime_ns": 1, "sha256": "ab"}
MALFORMED = {
    "engine": {"schema": 1, "tool": {"engine": {}}},
    "another time's schema": {"schema": 99},
    "no schema": {},
    "a number for inputs": {"schema": 1, "inputs": 5},
    "null for inputs": {"schema": 1, "inputs": None},
    "inputs that are no files": {"schema": 1, "inputs": [1]},
    "an input without size": {"schema": 1, "inputs": [{"path": "x", "sha256": "ab"}]},
    "an output of odd types": {"schema": 1, "outputs": [{**FILE, "bytes": "1"}]},
    "an output without name": {"schema": 1, "outputs": [{**FILE, "path": None}]},
    "parameters in a list": {"schema": 1, "parameters": [1]},
    "null for parameters": {"schema": 1, "parameters": None},
    "a tool that is text": {"schema": 1, "tool": "x"},
    "sources that are a number": {"schema": 1, "sources": 5},
    "what is required in a text": {"schema": 2, "requires": "x"},
    "a required task with a number for parameters": {"schema": 2, "requires": [{"parameters": 5}]},
    "a fingerprint that is a list": {"schema": 2, "fingerprint": [1]},
    "names to ignore that are none": {"schema": 2, "outputs": [{**FILE, "ignore": 7}]},
    "one text to ignore": {"schema": 2, "outputs": [{**FILE, "ignore": "abc"}]},
    "numbers to ignore": {"schema": 2, "outputs": [{**FILE, "ignore": [1]}]},
    "a time that is a text": {"schema": 2, "inputs": [{**FILE, "mtime_ns": "1"}]},
    "a host that is text": {"schema": 1, "host": "x"},
    "accepted by a number": {"schema": 1, "accepted": 1},
    "accepted by a text": {"schema": 1, "accepted": [{"by": "me"}]},
    "a root that is a list": {"schema": 1, "outputs": [{**FILE, "root": []}]},
    "a name that no file has": {"schema": 1, "inputs": [{**FILE, "path": "a\0b"}]},
}


@pytest.mark.parametrize("what", MALFORMED)
def test_read_takes_a_record_of_another_shape_for_none(tmp_path, what):
    (tmp_path / "Step.json").write_text(json.dumps(MALFORMED[what]))
    assert read_record(tmp_path / "Step.json") is None


@pytest.mark.parametrize("name", ["Stats.json", "Stats.pending.json", "Stats.failed.json"])
def test_a_record_of_a_later_version_is_refused_with_both_versions(tmp_path, name):
    log = "Stats.failed.log" if "failed" in name else "Stats.log"
    newer = {"schema": 3, "step": "Stats", "log": log, "versions": {"neuroluigi": "9.8"}, "outputs": "in another way"}
    (tmp_path / name).write_text(json.dumps(newer))
    own = importlib.metadata.version("neuroluigi")
    with pytest.raises(
        NewerRecordError, match=rf"{name} was written by neuroluigi 9\.8, with schema 3; .* {own}, which"
    ):
        read_record(tmp_path / name)
    # Neither a copy by another name, nor what another program calls a schema.
    (tmp_path / f"Stats (1){name[5:]}").write_text(json.dumps(newer))
    assert read_record(tmp_path / f"Stats (1){name[5:]}") is None
    for other in ({**newer, "step": 5}, {**newer, "schema": 9.5}, {**newer, "schema": "9"}):
        (tmp_path / name).write_text(json.dumps(other))
        assert read_record(tmp_path / name) is None
    (tmp_path / name).write_text(json.dumps({**newer, "versions": 7}))
    with pytest.raises(NewerRecordError, match="of a later version"):
        read_record(tmp_path / name)


def test_read_takes_a_bottomless_record_for_none_and_a_good_one_for_what_it_is(tmp_path):
    path = tmp_path / "Step.json"
    path.write_text("[" * 200_000)
    assert read_record(path) is None
    good = {"schema": 2, "inputs": [FILE], "outputs": [FILE], "sources": [{"path": "a.m", "sha256": "ab"}]}
    path.write_text(json.dumps(good))
    assert read_record(path) == good


def test_a_record_of_schema_1_is_read_in_the_words_of_today(tmp_path):
    row = {"session": "a", "index": 0, "path": "a/r.bin", "first_sample": 0}
    files = [FILE, {**FILE, "root": "results"}]
    facts = {"layout": {"dtype": "uint8", "recordings": [row], "excluded": [{"path": "a/x.bin", "reason": "noise"}]}}
    (tmp_path / "Step.json").write_text(
        json.dumps({"schema": 1, "facts": facts, "freed": "2024-05-01", "inputs": files})
    )
    assert read_record(tmp_path / "Step.json") == {
        "schema": 2,
        "fingerprint": {
            "layout": {
                "dtype": "uint8",
                "recordings": [{"session": "a", "index": 0, "first_sample": 0}],
                "excluded": [{"reason": "noise"}],
            }
        },
        "dropped": "2024-05-01",
        "inputs": [{**FILE, "recording": ""}, {**FILE, "root": "results"}],
    }


def test_times_before_1970_of_the_future_and_none_are_read(tmp_path):
    path = tmp_path / "Step.json"
    for mtime_ns in (-1, 10**20, None):
        record = {"schema": 2, "outputs": [{**FILE, "mtime_ns": mtime_ns}]}
        write_json(path, record)
        assert read_record(path) == record == checked_record(record)


@pytest.mark.parametrize("wrong", [{"a": float("nan")}, {"a": (1, 2)}, {1: "a"}])
def test_a_record_that_would_be_read_as_another_is_not_written(wrong):
    assert checked_record({"schema": 2, "fingerprint": {"a": [1, 2]}})
    with pytest.raises(ValueError, match="would not be read again"):
        checked_record({"schema": 2, "fingerprint": wrong})
    with pytest.raises(ValueError, match="would not be read again"):
        checked_record({"schema": 2, "inputs": [wrong]})


def test_a_failure_is_a_text_or_none(tmp_path):
    for content, failure in (('{"error": 5}', {}), ("[", {}), ('{"error": "so"}', {"error": "so"})):
        (tmp_path / "Step.failed.json").write_text(content)
        assert read_failure(tmp_path / "Step.json") == failure


def test_a_file_is_described_relative_to_its_root(tmp_path):
    inside, outside = tmp_path / "results" / "ä b" / "x.bin", tmp_path / "y.bin"
    inside.parent.mkdir(parents=True)
    inside.write_bytes(b"abc")
    outside.write_bytes(b"")
    roots = {"results": tmp_path / "results"}
    described = describe_file(inside, roots)
    assert described == {
        "root": "results",
        "path": "ä b/x.bin",
        "bytes": 3,
        "mtime_ns": inside.stat().st_mtime_ns,
        # FIPS 180-2, appendix B.1
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    }
    assert path_in_root(outside, roots) == {"path": outside.as_posix()}


def test_hash_of_more_than_a_block(tmp_path):
    content = os.urandom((1 << 20) + 17)
    (tmp_path / "x").write_bytes(content)
    assert hash_file(tmp_path / "x") == hashlib.sha256(content).hexdigest()


def test_a_record_holds_versions_host_and_times_but_no_environment(pipeline):
    pipeline.run("Stats", "--group", "a-even", "--matlab-engine", "numpy", env={"LAB_TOKEN": "s3cr3t-value"})
    folder = pipeline.results / "a-even" / "runs"
    record = json.loads((folder / "Stats.json").read_text())
    assert "s3cr3t-value" not in "".join(p.read_text() for p in folder.glob("*.json"))
    # NumPy is what the code of Stats imports; Matplotlib, which the plot needs, is not.
    assert set(record["versions"]) == {"python", "neuroluigi", "luigi", "numpy"}
    assert record["parameters"] == {"group": "a-even"} and record["step"] == "Stats"
    assert record["tool"]["engine"] == "numpy"
    assert record["host"]["name"] and record["seconds"] >= 0 and record["started"] <= record["ended"]
    (output,) = record["outputs"]
    file = pipeline.results / output["path"]
    assert output["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (output["bytes"], output["mtime_ns"]) == (file.stat().st_size, file.stat().st_mtime_ns)
    assert [(i["root"], i["path"]) for i in record["inputs"]] == [
        ("results", "a-even/aggregate.bin"),
        ("results", "a-even/aggregate.json"),
    ]
    assert (folder / record["log"]).is_file()
    aggregate = json.loads((folder / "Aggregate.json").read_text())
    assert [i["path"] for i in aggregate["inputs"]] == ["a/rec_0.bin", "a/rec_2.bin"]
    assert aggregate["inputs"][0]["root"] == "recordings"
