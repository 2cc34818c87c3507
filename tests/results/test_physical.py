"""What is in counts, in the unit of its channel; all values are worked out by hand."""

import json

import pytest

from neuroluigi.recordings.groups import find_groups
from neuroluigi.recordings.recording import Declaration
from neuroluigi.results.own_files import OwnFile
from neuroluigi.results.physical import Measure, has_offset, in_units, measures_of, resolve_filtered
from neuroluigi.results.report.numbers import numbers
from neuroluigi.results.table import collect_table, select_rows
from tests.recordings.test_found import write_run
from tests.results.report.test_numbers import facts_showing
from tests.results.test_table import ask

IN_COUNTS = {"min": "sample", "max": "sample", "mean": "mean", "std": "spread"}
# 0.6 V * 1e6 / 512 / gain of SpikeGLX: 500 of ap, 250 of lf.
AP, LF = Measure("ap", 2.34375, 0.0, "uV"), Measure("lf", 4.6875, 0.0, "uV")


def groups_of(root):
    return find_groups(Declaration(root=str(root)), notify=lambda note: None)


def raw_table(folder, **columns):
    (folder / "a.bin").write_bytes(bytes(24))
    columns = {"session": "a", "index": "0", "path": "a.bin", "dtype": "int16", "channels": "2", **columns}
    (folder / "recordings.csv").write_text(f"{','.join(columns)}\n{','.join(columns.values())}\n")
    return groups_of(folder)["a"]


def test_the_measure_of_a_channel_is_that_of_its_header_and_of_words_there_is_none(tmp_path):
    write_run(tmp_path, "m_g0_t0.imec0.ap", saved="1,1,1")
    (group,) = groups_of(tmp_path).values()
    assert measures_of(group, 3, as_counts=False) == [AP, LF, Measure("digital")]
    assert measures_of(group, 3, as_counts=True) == [Measure("ap"), Measure("lf"), Measure("digital")]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"scale": "0.5", "offset": "-3", "unit": "mV"}, Measure("", 0.5, -3.0, "mV")),
        ({"scale": "0.5", "unit": "mV"}, Measure("", 0.5, 0.0, "mV")),
        ({"scale": "0.5"}, Measure()),
        ({"unit": "mV"}, Measure()),
        ({}, Measure()),
    ],
)
def test_the_measure_of_raw_samples_is_that_of_their_table(tmp_path, columns, expected):
    assert measures_of(raw_table(tmp_path, **columns), 2, as_counts=False) == [expected] * 2


def test_a_recording_that_contradicts_its_header_has_counts(tmp_path):
    write_run(tmp_path, "m_g0_t0.imec0.ap")
    (tmp_path / "recordings.csv").write_text("session,index,path,channels\nm,0,m_g0_t0.imec0.ap.bin,5\n")
    (group,) = groups_of(tmp_path).values()
    assert group.problems and measures_of(group, 5, as_counts=False) == [Measure()] * 5
    assert len(collect_table({"m": group}, {}, tmp_path).rows) == 5


def test_a_spread_has_no_offset_and_no_sign_and_ends_change_places_below_0():
    values = {"min": [-10, -10, 3], "max": [30, 30, 9], "mean": [2.5, 2.5, 4.5], "std": [4, 4, 1], "count": [7, 7, 7]}
    measures = [Measure("analog", 0.5, 1.0, "mV"), Measure("", -0.5, 1.0, "mV"), Measure("digital")]
    assert in_units(values, IN_COUNTS, measures) == {
        "min": [-4, -14, 3],
        "max": [16, 6, 9],
        "mean": [2.25, -0.25, None],
        "std": [2, 2, None],
        "count": [7, 7, 7],
    }


@pytest.mark.parametrize(
    ("said", "values"),
    [
        ({"band": [300, 6000]}, [-5, 5]),
        ({"band": [300, None], "parameters": {"polarity": "absolute"}}, [-5, -5]),
        ({"band": [None, 20]}, [-2, 8]),
        ({"band": [None, None], "parameters": {"polarity": "rising"}}, [-2, 8]),
        ({"parameters": 5}, [-2, 8]),
        ([], [-2, 8]),
    ],
)
def test_a_level_has_the_offset_of_its_channel_but_after_a_band_pass(said, values):
    measures = [Measure("ap", 0.5, 3.0, "uV"), Measure("ap", -0.5, 3.0, "uV")]
    in_counts = resolve_filtered({"level": "filtered", "noise": "spread"}, said)
    assert in_units({"level": [-10, -10], "noise": [4, 4]}, in_counts, measures) == {"level": values, "noise": [2, 2]}


def test_a_band_that_begins_above_0_takes_the_offset_away():
    assert [has_offset({"band": band}) for band in ([300, None], [None, 20], [0, 20], None, [])] == [False] + [True] * 4


def test_what_is_not_finite_or_blank_stays_so():
    values = {"min": ["-Infinity", None], "max": ["Infinity", "high"]}
    down, up = Measure("", -2.0, 1.0, "V"), Measure("", 2.0, 1.0, "V")
    assert in_units(values, IN_COUNTS, [down, up]) == {"min": ["-Infinity", None], "max": ["Infinity", "high"]}
    assert in_units({"max": ["Infinity"]}, IN_COUNTS, [down]) == {"max": ["-Infinity"]}


@pytest.fixture
def probe(tmp_path):
    """A group with a channel of ap, one of lf and one of words, raw samples without a scale, and results of both."""
    write_run(tmp_path / "data" / "probe", "m_g0_t0.imec0.ap", saved="1,1,1")
    (tmp_path / "data" / "raw.bin").write_bytes(bytes(8))
    rows = ["m,0,probe/m_g0_t0.imec0.ap.bin,spikeglx,,,", "raw,0,raw.bin,,int16,1,100"]
    header = "session,index,path,format,dtype,channels,sampling_rate_hz"
    (tmp_path / "data" / "recordings.csv").write_text("\n".join([header, *rows]))
    groups = find_groups(Declaration(root=str(tmp_path / "data"), group_by=("session",)), notify=lambda note: None)
    stats = {"m": {"min": [-8, -8, 0], "max": [16, 16, 64], "mean": [2, 2, 9], "std": [4, 4, 30]}, "raw": {"min": [5]}}
    files = {}
    for key, content in stats.items():
        path = tmp_path / key / "stats.json"
        path.parent.mkdir()
        path.write_text(json.dumps({**content, "count": 10}))
        files[key] = [OwnFile(path, "", IN_COUNTS)]
    return groups, files, tmp_path


def columns_of(table, *names):
    return [tuple(row.get(name) for name in names) for row in table.rows]


def test_a_table_is_in_the_unit_of_each_channel_and_searched_by_what_it_shows(probe):
    table = collect_table(*probe)
    assert "unit" in table.described
    expected = [("uV", -18.75, 37.5, 4.6875, 9.375), ("uV", -37.5, 75, 9.375, 18.75), (None, 0, 64, None, None)]
    assert columns_of(table, "unit", "min", "max", "mean", "std")[:3] == expected
    assert columns_of(table, "unit", "min")[3] == (None, 5)
    _, found = select_rows(table, ["unit=uV", "max>40"])
    assert [row["channel"] for row in found] == [1]


def test_a_table_in_counts_has_no_unit_and_no_mean_of_words_either(probe):
    table = collect_table(*probe, as_counts=True)
    assert "unit" not in table.columns
    assert columns_of(table, "min", "max", "mean", "std")[:3] == [(-8, 16, 2, 4), (-8, 16, 2, 4), (0, 64, None, None)]


def test_the_report_has_a_picture_for_each_unit(probe):
    table = collect_table(*probe)
    pictures = numbers(facts_showing(table))["pictures"]
    titles = [one.partition("<strong>")[2].partition("</strong>")[0] for one in pictures]
    assert titles == ["range [uV]", "range [counts]", "mean [uV]", "std [uV]"]
    # 24 counts of 2.34375 and 4.6875 uV
    assert "<strong>range [uV]</strong> 56.25 to 112.5" in pictures[0]


def test_the_command_shows_the_units_of_what_steps_say_is_in_counts(pipeline):
    write_run(pipeline.folder / "data", "m_g0_t0.imec0.ap", samples=3)
    pipeline.add(
        "class Rms(ResultTarget):\n    in_counts = {'rms': 'spread'}\n\n"
        "class Power(GroupTask):\n    def requires(self):\n        return Aggregate(self.group)\n\n"
        "    def output(self):\n        return self.result('power.json', Rms)\n\n"
        '    def make(self, out):\n        out.write_text(\'{"rms": [2, 2, 2], "order": 2}\')\n\n'
        "class All(WrapperTask):\n    def requires(self):\n"
        "        return [task(group) for group in groups() for task in (Stats, Power)]\n"
    )
    settings = ["--recordings-root", "data", "--matlab-engine", "numpy"]
    pipeline.run("All", *settings)
    # Samples count up over the channels: 0 1 2, 3 4 5, 6 7 8.
    columns = ["--columns", "unit,min,max,mean,std,rms,order"]
    shown = ask(pipeline.folder, "--task", "All", "results", *columns, "--csv", *settings).splitlines()
    ap = ["uV,0.0,14.0625,7.03125,7.03125,4.6875,2", "uV,2.34375,16.40625,9.375,7.03125,4.6875,2"]
    assert shown[1:] == [*ap, ",2,8,,,,2"]
    counts = ask(pipeline.folder, "--task", "All", "results", "--counts", "--csv", *settings).splitlines()
    assert [line.rpartition(",ap,2,")[2] for line in counts[1:3]] == ["0,2,2,3,0,6,3,3", "1,2,2,3,1,7,4,3"]
