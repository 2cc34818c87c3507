"""The events of a group: arrays in blocks, with recording and seconds of each."""

import csv
import io
import json

import numpy as np
import pytest

from neuroluigi.results.events import EVENT_COLUMNS, read_events
from neuroluigi.results.output import write_csv, write_json, write_text
from neuroluigi.results.query import QueryError


def write_events(folder, edges):
    np.save(folder / "edges.npy", edges)
    recordings = [{"session": "s,1", "index": i, "first_sample": f} for i, f in ((0, 0), (4, 100_000))]
    (folder / "aggregate.json").write_text(json.dumps({"sampling_rate_hz": 250.0, "recordings": recordings}))


@pytest.mark.parametrize("order", ["C", "F"])
def test_events_of_several_blocks(tmp_path, order):
    samples = np.arange(150_000)
    write_events(tmp_path, np.array(np.stack([samples, samples % 3], axis=1), order=order))
    blocks = list(read_events(tmp_path, list(tmp_path.iterdir()), "edges"))
    assert len(blocks) == 3
    rows = [row for block in blocks for row in block]
    assert rows[99_999:100_001] == [
        ("s,1", 0, 99_999, 99_999, 0, 399.996, 399.996),
        ("s,1", 4, 100_000, 0, 1, 400.0, 0.0),
    ]
    assert [row[2] for row in rows] == samples.tolist() and [row[4] for row in rows] == (samples % 3).tolist()
    for write, read in ((write_csv, csv.reader), (write_json, None)):
        out = io.StringIO()
        write(EVENT_COLUMNS, iter(blocks), out)
        out.seek(0)
        if read:
            assert list(read(out))[100_001] == ["s,1", "4", "100000", "0", "1", "400.0", "0.0"]
        else:
            assert [tuple(row.values()) for row in json.load(out)] == rows


def test_seconds_have_what_is_missing_by_the_counters(tmp_path):
    np.save(tmp_path / "edges.npy", np.array([[k, 0] for k in (0, 9, 10, 19, 20, 25, 29, 30, 35, 39)]))
    rows = [(0, 0, {}), (1, 10, {"dropped_samples": 2}), (2, 20, {}), (3, 30, {})]
    layout = {
        "sampling_rate_hz": 100.0,
        "recordings": [{"session": "s", "index": k, "first_sample": first, **more} for k, first, more in rows],
        # A second between 1 and 2, half a second within 2; where 3 begins is not known, and 5 are missing within it.
        "gaps": [{"sample": at, "missing": many} for at, many in ((20, 100), (25, 50), (30, None), (35, 5))],
    }
    (tmp_path / "aggregate.json").write_text(json.dumps(layout))
    ((*events,),) = read_events(tmp_path, list(tmp_path.iterdir()), "edges")
    assert [row[5:] for row in events] == [
        (0.0, 0.0), (0.09, 0.09), (0.1, 0.02), (0.19, 0.11), (1.2, 0.0), (1.75, 0.55), (1.79, 0.59),
        (None, 0.0), (None, 0.1), (None, 0.14),
    ]  # fmt: skip


def test_no_events_is_a_header_or_an_empty_list(tmp_path):
    write_events(tmp_path, np.empty((0, 2), np.int64))
    texts = []
    for write in (write_csv, write_json, write_text):
        out = io.StringIO()
        write(EVENT_COLUMNS, read_events(tmp_path, list(tmp_path.iterdir()), "edges"), out)
        texts.append(out.getvalue())
    assert texts == [",".join(EVENT_COLUMNS) + "\n", "[]\n", "  ".join(EVENT_COLUMNS) + "\n"]


def test_events_that_are_none(tmp_path):
    write_events(tmp_path, np.zeros((5, 3), np.int64))
    with pytest.raises(QueryError, match=r"not int64 of shape \(events, 2\)"):
        read_events(tmp_path, list(tmp_path.iterdir()), "edges")
    write_events(tmp_path, np.zeros((5, 2), np.int64))
    whole = (tmp_path / "edges.npy").read_bytes()
    (tmp_path / "edges.npy").write_bytes(whole[:-1])
    with pytest.raises(QueryError, match="cut short"):
        read_events(tmp_path, list(tmp_path.iterdir()), "edges")


@pytest.mark.parametrize(
    "layout", ['{"recordings": [5]}', '{"recordings": [{"first_sample": 0}]}', '{"recordings": [], "x": 1}', "[1]"]
)
def test_a_malformed_layout_is_none(tmp_path, layout):
    np.save(tmp_path / "edges.npy", np.zeros((1, 2), np.int64))
    (tmp_path / "aggregate.json").write_text(layout)
    with pytest.raises(QueryError, match="describes where each recording begins"):
        read_events(tmp_path, list(tmp_path.iterdir()), "edges")
