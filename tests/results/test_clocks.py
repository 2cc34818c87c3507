"""Clocks of streams by aligned.json."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from neuroluigi.results.clocks import clock_maps, clock_warnings
from neuroluigi.results.events import read_events

STREAM = {"clock": "m nidq", "counters": [100, 200], "seconds": [10.0, 11.0], "before": 0.02, "after": 0.01}
RECORDINGS = [
    {"session": "m", "index": 0, "first_sample": 0, "samples": 50, "start_sample": 50, "clock": "m nidq"},
    {"session": "m", "index": 1, "first_sample": 50, "samples": 50, "start_sample": 145, "dropped_samples": 5,
     "clock": "m nidq"},
]  # fmt: skip
LAYOUT = {"sampling_rate_hz": 100.0, "recordings": RECORDINGS, "gaps": [{"sample": 80, "missing": 30}]}


@pytest.fixture
def results(declare, tmp_path):
    """A folder of results with a session that is aligned, and events of one of its groups."""
    declare("results", root=tmp_path)
    session, group = tmp_path / "sessions" / "m", tmp_path / "m-nidq"
    for folder in (session / "runs", group):
        folder.mkdir(parents=True)
    text = json.dumps({"session": "m", "streams": [STREAM], "unaligned": []})
    (session / "aligned.json").write_text(text)
    known = {"bytes": len(text), "mtime_ns": 1, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    output = {"root": "results", "path": "sessions/m/aligned.json", **known}
    record = {"schema": 1, "step": "Aligned", "outputs": [output]}
    (session / "runs" / "Aligned.json").write_text(json.dumps(record))
    np.save(group / "lines.npy", np.array([[at, -1, 0, 1] for at in (-10, 0, 50, 79, 80, 99, 200)]))
    (group / "aggregate.json").write_text(json.dumps(LAYOUT))
    return tmp_path


def seconds(results) -> list[float]:
    columns, blocks = read_events(results / "m-nidq", list((results / "m-nidq").iterdir()), "lines")
    return [row[columns.index("seconds")] for block in blocks for row in block]


def test_seconds_are_those_of_the_reference(results):
    # Counts 40, 50, 150, 179, 210, 229 and 330: 60 and 50 of them before the first pulse, at 0.02 s each, and so on.
    assert seconds(results) == pytest.approx([8.8, 9.0, 10.5, 10.79, 11.1, 11.29, 12.3])


@pytest.mark.parametrize("change", ["no record", "another clock", "no clock", "no file", "no json"])
def test_without_a_result_for_all_recordings_they_are_those_of_the_group(results, change):
    file = results / "sessions" / "m" / "aligned.json"
    if change == "no record":
        (results / "sessions" / "m" / "runs" / "Aligned.json").unlink()
    elif change == "another clock":
        file.write_text(file.read_text().replace("m nidq", "m imec"))
    elif change == "no clock":
        (results / "m-nidq" / "aggregate.json").write_text(json.dumps(LAYOUT).replace('"clock"', '"watch"'))
    elif change == "no file":
        file.unlink()
    else:
        file.write_text("{")
    assert seconds(results)[:3] == pytest.approx([-0.1, 0, 0.5])


def test_a_variant_has_its_own_clocks_where_it_has_any(results):
    folder = results / "m-nidq@late"
    folder.mkdir()
    np.save(folder / "lines.npy", np.array([[0, -1, 0, 1]]))
    files = [folder / "lines.npy", results / "m-nidq" / "aggregate.json"]

    def first() -> float:
        columns, ((row,),) = read_events(folder, files, "lines")
        return row[columns.index("seconds")]

    # As the second of all events of the base.
    assert first() == pytest.approx(9.0)
    session = results / "sessions" / "m@late"
    shutil.copytree(results / "sessions" / "m", session)
    late = {**STREAM, "seconds": [one + 100 for one in STREAM["seconds"]]}
    (session / "aligned.json").write_text(json.dumps({"session": "m", "streams": [late], "unaligned": []}))
    record = session / "runs" / "Aligned.json"
    record.write_text(record.read_text().replace("sessions/m/", "sessions/m@late/"))
    assert first() == pytest.approx(109.0)


def test_nothing_is_looked_for_without_a_counter(tmp_path):
    assert clock_maps({"recordings": [{"session": "m", "first_sample": 0}]}, tmp_path / "m") == {}


def test_what_is_in_order_needs_no_word(results):
    assert clock_warnings(["m", "another"], results / "m-nidq") == []


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"after": 0.011}, "was changed since it was made, by its checksum; seconds are by what it says now"),
        (
            {"seconds": [10.0]},
            "is not used for seconds: it is damaged; make it again: neuroluigi run Aligned --session m",
        ),
        ({"seconds": [10.0, 9.0]}, "it is damaged"),
        ({"counters": [100, None]}, "it is damaged"),
        ({"counters": []}, "it is damaged"),
        ({"before": 0}, "it is damaged"),
        ({"clock": None}, ""),
    ],
)
def test_a_file_that_is_not_as_it_was_made_is_told_of(results, change, warning):
    file = results / "sessions" / "m" / "aligned.json"
    if "clock" in change:
        (results / "sessions" / "m" / "runs" / "Aligned.json").unlink()
        warning = "is not used for seconds: no run record tells of it"
    else:
        file.write_text(json.dumps({"session": "m", "streams": [{**STREAM, **change}], "unaligned": []}))
    (found,) = clock_warnings(["m"], results / "m-nidq")
    assert found.startswith("sessions/m/aligned.json ") or "/sessions/m/aligned.json " in found
    assert warning in found
    is_used = "not used" not in found
    assert (seconds(results)[0] == pytest.approx(8.8)) == is_used
