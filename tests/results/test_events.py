"""The events of a group: arrays in blocks, with recording and seconds of each."""

import csv
import io
import json

import numpy as np
import pytest

from neuroluigi.results.events import EVENT_COLUMNS, read_events
from neuroluigi.results.output import write_csv, write_json, write_text
from neuroluigi.results.query import QueryError
from tests.conftest import FORMATS, needs_formats
from tests.recordings.test_found import found, layout_of


def write_events(folder, edges):
    np.save(folder / "edges.npy", edges)
    recordings = [{"session": "s,1", "index": i, "first_sample": f} for i, f in ((0, 0), (4, 100_000))]
    (folder / "aggregate.json").write_text(json.dumps({"sampling_rate_hz": 250.0, "recordings": recordings}))


@pytest.mark.parametrize("order", ["C", "F"])
def test_events_of_several_blocks(tmp_path, order):
    samples = np.arange(150_000)
    write_events(tmp_path, np.array(np.stack([samples, samples % 3], axis=1), order=order))
    columns, blocks = read_events(tmp_path, list(tmp_path.iterdir()), "edges")
    assert columns == list(EVENT_COLUMNS)
    blocks = list(blocks)
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
    _, ((*events,),) = read_events(tmp_path, list(tmp_path.iterdir()), "edges")
    assert [row[5:] for row in events] == [
        (0.0, 0.0), (0.09, 0.09), (0.1, 0.02), (0.19, 0.11), (1.2, 0.0), (1.75, 0.55), (1.79, 0.59),
        (None, 0.0), (None, 0.1), (None, 0.14),
    ]  # fmt: skip


def test_no_events_is_a_header_or_an_empty_list(tmp_path):
    write_events(tmp_path, np.empty((0, 2), np.int64))
    texts = []
    for write in (write_csv, write_json, write_text):
        out = io.StringIO()
        write(*read_events(tmp_path, list(tmp_path.iterdir()), "edges"), out)
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


@pytest.fixture
def probe(tmp_path):
    """Five spikes of a tetrode with names, one of them in counts, and their amplitudes."""
    known = {"scale": 0.5, "offset": 3.0, "unit": "uV", "kind": "ap"}
    channels = [*({**known, "name": f"AP{n}"} for n in range(2)), {"name": "SY", "kind": "digital", **known}, {}]
    layout = {
        "dtype": "int16",
        "sampling_rate_hz": 1000.0,
        "channels": channels,
        "recordings": [{"session": "s", "index": 7, "first_sample": 0, "samples": 100}],
    }
    (tmp_path / "aggregate.json").write_text(json.dumps(layout))
    rows = [[5, 0, 9, 6, -1], [5, 1, 8, 5, -1], [20, 3, 21, 20, 1], [50, 1, 60, 59, -1], [90, 0, 99, 92, -1]]
    np.save(tmp_path / "spikes.npy", np.array(rows))
    np.save(tmp_path / "spikes_amplitudes.npy", np.array([-100.0, -140.5, 60.0, -90.0, -101.0]))
    (tmp_path / "spikes.json").write_text(json.dumps({"band": [300, None]}))
    return tmp_path


def ask(folder, *arguments, **options):
    """Return the columns and all rows, as dicts."""
    columns, blocks = read_events(folder, list(folder.iterdir()), *arguments, **options)
    return columns, [dict(zip(columns, row, strict=True)) for block in blocks for row in block]


def test_spikes_have_names_ends_peaks_and_amplitudes_in_the_unit_of_their_channel(probe):
    columns, rows = ask(probe, "spikes")
    assert columns == [*EVENT_COLUMNS, "name", "end", "peak", "polarity", "amplitude", "unit"]
    assert rows[1] == {
        "session": "s", "index": 7, "sample": 5, "recording_sample": 5, "channel": 1, "seconds": 0.005,
        "recording_seconds": 0.005, "name": "AP1", "end": 8, "peak": 5, "polarity": -1, "amplitude": -70.25,
        "unit": "uV",
    }  # fmt: skip
    # A channel of which nothing is known.
    assert [rows[2][name] for name in ("name", "amplitude", "unit")] == [None, 60.0, None]


@pytest.mark.parametrize("band", [[None, None], [None, 20], [0, 20]])
def test_amplitudes_that_are_not_band_passed_have_the_offset_of_their_channel(probe, band):
    (probe / "spikes.json").write_text(json.dumps({"band": band}))
    assert [row["amplitude"] for row in ask(probe, "spikes")[1]] == [-47.0, -67.25, 60.0, -42.0, -47.5]


def test_amplitudes_are_in_counts_if_so_asked_and_without_a_band(probe):
    asked = ask(probe, "spikes", as_counts=True)
    (probe / "spikes.json").unlink()
    for columns, rows in (asked, ask(probe, "spikes")):
        assert "unit" not in columns and rows[1]["amplitude"] == -140.5


@pytest.mark.parametrize(
    ("where", "samples"),
    [
        (["channel=1"], [5, 50]),
        (["name=AP1"], [5, 50]),
        (["name="], [20]),
        (["name!=AP1"], [5, 20, 90]),
        (["amplitude<-50"], [5, 90]),
        (["amplitude<=-50", "channel=0"], [5, 90]),
        (["amplitude<-50.25", "name=AP0"], [90]),
        (["seconds >= .05"], [50, 90]),
        (["sample>5.5"], [20, 50, 90]),
        (["sample<=1e400"], [5, 5, 20, 50, 90]),
        (["index=7", "session=s", "unit=uV"], [5, 5, 50, 90]),
        (["polarity=1"], [20]),
        (["channel=AP1"], []),
        (["channel!="], [5, 5, 20, 50, 90]),
        (["channel>1", "channel<3"], []),
    ],
)
def test_events_are_searched_as_results_are(probe, where, samples):
    assert [row["sample"] for row in ask(probe, "spikes", where)[1]] == samples


def test_a_blank_time_is_neither_before_nor_after_anything(probe):
    layout = json.loads((probe / "aggregate.json").read_text())
    (probe / "aggregate.json").write_text(json.dumps({**layout, "gaps": [{"sample": 30, "missing": None}]}))
    for where, count in (("seconds>0", 3), ("seconds<100", 3), ("seconds=", 2), ("seconds!=", 3), ("seconds!=0.02", 4)):
        assert len(ask(probe, "spikes", [where])[1]) == count, where


@pytest.mark.parametrize(
    ("where", "message"), [("chanel=1", "did you mean channel?"), ("amplitude", "is not a condition")]
)
def test_a_mistake_in_a_condition_is_said_before_anything_is_read(probe, where, message):
    with pytest.raises(QueryError, match=message):
        read_events(probe, list(probe.iterdir()), "spikes", [where])


def test_several_arrays_are_named(probe):
    np.save(probe / "edges.npy", np.zeros((1, 2), np.int64))
    with pytest.raises(QueryError, match=r"Choose with --name one of: (edges, spikes|spikes, edges)$"):
        ask(probe, "")
    (probe / "edges.npy").unlink()
    assert len(ask(probe, "")[1]) == 5


def test_amplitudes_of_other_events_are_refused(probe):
    np.save(probe / "spikes_amplitudes.npy", np.zeros(4))
    with pytest.raises(QueryError, match=r"spikes_amplitudes.npy has shape \(4,\), and spikes.npy 5 events"):
        ask(probe, "spikes")


def test_lines_have_bit_value_and_their_name(probe):
    np.save(probe / "lines.npy", np.array([[10, 2, 6, 1], [20, 2, 6, 0], [30, 2, 15, 1], [40, 4, 0, 1]]))
    bits = [{"channel": 2, "bit": 6, "name": "sync", "rises": 1}, {"channel": 2, "bit": 15, "name": "", "rises": 1}]
    (probe / "lines.json").write_text(json.dumps({"bits": bits, "initial": [{"sample": 0, "channel": 2, "bits": [1]}]}))
    columns, rows = ask(probe, "lines")
    assert columns == [*EVENT_COLUMNS, "name", "bit", "value", "line"]
    assert [[row[name] for name in ("name", "bit", "value", "line")] for row in rows] == [
        ["SY", 6, 1, "sync"], ["SY", 6, 0, "sync"], ["SY", 15, 1, None], [None, 0, 1, None],
    ]  # fmt: skip
    assert [row["sample"] for row in ask(probe, "lines", ["line=sync", "value=1"])[1]] == [10]


def test_blocks_without_events_that_are_asked_for_are_left_out(probe):
    rows = np.zeros((200_000, 5), np.int64)
    rows[150_000, 1] = 1
    np.save(probe / "spikes.npy", rows)
    (probe / "spikes_amplitudes.npy").unlink()
    columns, blocks = read_events(probe, list(probe.iterdir()), "spikes", ["channel=1"])
    out = io.StringIO()
    write_text(columns, blocks, out)
    header, row = out.getvalue().splitlines()
    assert len(header) == len(row) and "amplitude" not in header and row.split()[4] == "1"


@needs_formats
def test_seconds_of_a_probe_have_the_pause_that_its_counter_knows_of(tmp_path):
    # The second file of 300 samples begins 30000 samples after the end of the first.
    layout = layout_of(found(FORMATS / "spikeglx/CI2_gap1s")["5-19-2022-CI2-0-imec0.ap"])
    (tmp_path / "aggregate.json").write_text(json.dumps(layout))
    (gap,) = layout["gaps"]
    first = gap["sample"]
    np.save(tmp_path / "edges.npy", np.array([[0, 0], [first - 1, 3], [first, 384]]))
    _, rows = ask(tmp_path, "edges")
    rate = layout["sampling_rate_hz"]
    assert [row["seconds"] * rate for row in rows] == pytest.approx([0, first - 1, first + 30_000])
    assert [row["recording_seconds"] for row in rows][::2] == [0, 0] and rows[2]["name"] == "SY0"
