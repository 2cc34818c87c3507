"""When recordings began, by the headers of real files and texts of each form."""

import struct
from datetime import datetime

import pyedflib
import pytest

from neuroluigi.recordings.formats import brainvision, edf, nsx, nwb, openephys, spikeglx, starts
from tests.conftest import FORMATS, needs_formats
from tests.recordings.test_edf import written

CI0 = FORMATS / "spikeglx/CI0_overlap1/5-19-2022-CI0/5-19-2022-CI0_g1/5-19-2022-CI0_g1_imec0"
THREE = FORMATS / "openephys/three_streams_v0.6/Record Node 101/experiment1/recording1"
TWO = FORMATS / "openephys/two_recordings_v0.5/RecordNode103/experiment1/recording1"
REAL = [
    (spikeglx, CI0, {"2022-05-19T17:37:53"}),
    # Milliseconds since 1970, 1651600344618; settings.xml has 10:52:24, at -7 h.
    (openephys, THREE, {"2022-05-03T17:52:24.618000+00:00"}),
    # A count of nanoseconds, without a date.
    (openephys, TWO, {""}),
    (brainvision, FORMATS / "brainvision", {"2013-11-13T16:14:03.794232"}),
    (nwb, FORMATS / "nwb", {"2022-10-12T12:16:56.588593+02:00"}),
]


@needs_formats
@pytest.mark.parametrize(("reader", "folder", "expected"), REAL, ids=lambda one: getattr(one, "__name__", ""))
def test_real_files(reader, folder, expected):
    recordings = reader.recordings_in(str(folder), sorted(path.name for path in folder.iterdir()))
    assert {one.started for one in recordings} == expected


@needs_formats
def test_blackrock_by_the_time_of_its_clock(tmp_path):
    content = bytearray((FORMATS / "blackrock/pause_correct.ns2").read_bytes())
    # Year, month, day of the week, day, hour, minute, second, millisecond.
    assert struct.unpack_from("<8H", content, 294) == (2018, 3, 4, 1, 12, 36, 16, 678)
    # The first packet begins a second and a half after the clock.
    struct.pack_into("<I", content, 1370 + 1, 45000)
    (tmp_path / "a.ns2").write_bytes(content)
    (recording,) = nsx.recordings_in(str(tmp_path), ["a.ns2"])
    assert recording.started == "2018-03-01T12:36:18.178000+00:00"


def test_edf_by_day_and_time(tmp_path):
    path = tmp_path / "a.edf"
    written(path)
    (first, *_) = edf.recordings_in(str(tmp_path), ["a.edf"])
    with pyedflib.EdfReader(str(path)) as reader:
        assert datetime.fromisoformat(first.started) == reader.getStartdatetime()
    content = bytearray(path.read_bytes())
    content[168:184] = b"29.02.8508.15.00"
    path.write_bytes(content)
    # There was no such day.
    assert edf.recordings_in(str(tmp_path), ["a.edf"])[0].started == ""
    content[168:184] = b"28.02.8508.15.00"
    path.write_bytes(content)
    assert edf.recordings_in(str(tmp_path), ["a.edf"])[0].started == "1985-02-28T08:15:00"


def test_the_first_recording_of_an_experiment_began_when_its_settings_were_written(tmp_path):
    for experiment, date in (("", "3 May 2022 10:52:24"), ("_2", "4 May 2022 09:00:01")):
        (tmp_path / f"settings{experiment}.xml").write_text(f"<SETTINGS><INFO><DATE>{date}</DATE></INFO></SETTINGS>")
    found = {}
    for name in ("experiment1/recording1", "experiment1/recording2", "experiment2/recording1"):
        folder = tmp_path / name / "continuous" / "A"
        folder.mkdir(parents=True)
        (folder / "continuous.dat").write_bytes(bytes(8))
        stream = '{"folder_name": "A", "sample_rate": 10, "num_channels": 1, "channels": [{"channel_name": "CH1"}]}'
        (tmp_path / name / "structure.oebin").write_text(f'{{"continuous": [{stream}]}}')
        (found[name],) = (one.started for one in openephys.recordings_in(str(tmp_path / name), ["structure.oebin"]))
    assert list(found.values()) == ["2022-05-03T10:52:24", "", "2022-05-04T09:00:01"]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (starts.start_of_text("2026-01-31T14:30:00Z"), "2026-01-31T14:30:00+00:00"),
        (starts.start_of_text("2026-01-31"), ""),
        (starts.start_of_text("yesterday"), ""),
        # A clock that nobody has set.
        (starts.start_of_text("1970-01-01T00:00:05"), ""),
        (starts.start_of_digits("20261331000000000000"), ""),
        (starts.start_of_digits("2026"), ""),
        (starts.start_of_numbers(2026, 1, 31, 1, 2, 3, is_utc=True), "2026-01-31T01:02:03+00:00"),
        (starts.start_of_messages("Software time: 181888@1000000000Hz"), ""),
        (starts.later("2026-01-31T23:59:59", 1.5), "2026-02-01T00:00:00.500000"),
        (starts.later("", 1.5), ""),
        (starts.later("2026-01-31T23:59:59", 1e300), ""),
    ],
)
def test_texts(found, expected):
    assert found == expected
