"""EDF and BDF, written and read by EDFlib (pyedflib) as well: values, scale, rates, and pauses."""

import numpy as np
import pyedflib
import pytest

from neuroluigi.recordings.formats import edf
from neuroluigi.recordings.formats.decoding import decoded_blocks
from neuroluigi.recordings.formats.reader import Gap
from tests.recordings.mutations import check_mutations

PACKAGED = ("test_generator.edf", "test_utf8.edf", "test_subsecond.edf", "test_legacy.edf")


def written(path, kind=pyedflib.FILETYPE_EDFPLUS, rates=(100, 100, 25), seconds=6) -> list[np.ndarray]:
    """Write random signals of these rates by EDFlib; return their digital values."""
    low, high = (
        (-(2**23), 2**23 - 1) if kind in (pyedflib.FILETYPE_BDF, pyedflib.FILETYPE_BDFPLUS) else (-(2**15), 2**15 - 1)
    )
    limits = {"digital_min": low, "digital_max": high, "physical_min": -500.0, "physical_max": 300.0}
    signals = [
        {"label": f"EEG {i}", "dimension": "uV", "sample_frequency": rate, "transducer": "", "prefilter": "", **limits}
        for i, rate in enumerate(rates)
    ]
    chance = np.random.default_rng(5)
    values = [chance.integers(low, high, rate * seconds, dtype=np.int32, endpoint=True) for rate in rates]
    with pyedflib.EdfWriter(str(path), len(rates), file_type=kind) as writer:
        writer.setSignalHeaders(signals)
        writer.writeSamples(values, digital=True)
        if kind in (pyedflib.FILETYPE_EDFPLUS, pyedflib.FILETYPE_BDFPLUS):
            writer.writeAnnotation(1.5, -1, "light on")
    return values


def recorded(path) -> list:
    return edf.recordings_in(str(path.parent), [path.name])


def decoded(recording) -> np.ndarray:
    return np.concatenate(list(decoded_blocks(recording)))


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (pyedflib.FILETYPE_EDF, "int16"), (pyedflib.FILETYPE_EDFPLUS, "int16"), (pyedflib.FILETYPE_BDF, "int32"),
        (pyedflib.FILETYPE_BDFPLUS, "int32"),
    ],
)  # fmt: skip
def test_a_recording_for_each_rate(tmp_path, kind, dtype):
    path = tmp_path / f"rat 1.{'edf' if dtype == 'int16' else 'bdf'}"
    values = written(path, kind)
    fast, slow = recorded(path)
    assert fast.columns == {"session": "rat 1", "index": "0", "stream": "100 Hz"}
    assert slow.columns["stream"] == "25 Hz"
    assert (fast.dtype, fast.sampling_rate_hz, fast.samples, fast.problems, fast.warnings) == (
        dtype,
        100.0,
        600,
        (),
        (),
    )
    assert (slow.sampling_rate_hz, slow.samples, len(slow.channels)) == (25.0, 150, 1)
    assert np.array_equal(decoded(fast), np.stack(values[:2], axis=1))
    assert np.array_equal(decoded(slow)[:, 0], values[2])
    check_scale(path, [*fast.channels, *slow.channels])


def check_scale(path, channels) -> None:
    """Compare physical values with those of EDFlib."""
    with pyedflib.EdfReader(str(path)) as reader:
        for channel in channels:
            number = reader.getSignalLabels().index(channel.name)
            counts = reader.readSignal(number, digital=True)
            np.testing.assert_allclose(counts * channel.scale + channel.offset, reader.readSignal(number), atol=1e-9)
            assert channel.unit == reader.getPhysicalDimension(number)


@pytest.mark.parametrize("name", PACKAGED)
def test_files_that_come_with_edflib(name):
    path = f"{pyedflib.__path__[0]}/tests/data/{name}"
    with pyedflib.EdfReader(path) as reader:
        rates, labels = reader.getSampleFrequencies(), reader.getSignalLabels()
        recordings = edf.recordings_in(path.rpartition("/")[0], [name])
        assert {one.sampling_rate_hz for one in recordings} == set(rates)
        for one in recordings:
            assert one.problems == ()
            values = decoded(one)
            for channel, column in zip(one.channels, values.T, strict=True):
                number = labels.index(channel.name)
                assert np.array_equal(column, reader.readSignal(number, digital=True)), channel
    check_scale(path, [channel for one in recordings for channel in one.channels])


def test_pauses_by_the_times_of_records(tmp_path):
    path = tmp_path / "x.edf"
    written(path, rates=(100, 25), seconds=4)
    content = bytearray(path.read_bytes())
    assert [one.gaps for one in recorded(path)] == [(), ()]
    at = content.index(b"EDF+C")
    content[at : at + 5] = b"EDF+D"
    # The third of the four records of a second.
    for old, new in ((b"+2\x14\x14", b"+5\x14\x14"), (b"+3\x14\x14", b"+6\x14\x14")):
        assert content.count(old) == 1
        content = content.replace(old, new)
    path.write_bytes(content)
    assert [one.gaps for one in recorded(path)] == [(Gap(200, 300),), (Gap(50, 75),)]
    path.write_bytes(content.replace(b"+6\x14\x14", b"+1\x14\x14"))
    assert recorded(path)[0].gaps == (Gap(200, 300), Gap(300))


def test_what_is_there_is_taken(tmp_path):
    path = tmp_path / "x.edf"
    written(path)
    path.write_bytes(path.read_bytes()[:-10])
    fast, _ = recorded(path)
    assert (fast.samples, len(decoded(fast))) == (500, 500)
    assert "has 5 whole records and" in fast.warnings[0]


def test_the_status_of_biosemi_is_digital(tmp_path):
    path = tmp_path / "x.bdf"
    written(path, pyedflib.FILETYPE_BDF, rates=(100,))
    path.write_bytes(path.read_bytes().replace(b"EEG 0 ", b"Status"))
    (channel,) = recorded(path)[0].channels
    assert (channel.name, channel.kind, channel.scale) == ("Status", "digital", None)


@pytest.mark.parametrize(
    ("at", "content", "words"),
    [
        (0, b"1       ", "no EDF or BDF file by its first bytes"),
        (184, b"99      ", "impossible header: 3 signals"),
        (244, b"0       ", "0 s per record"),
        (244, b"nan     ", "nan s per record"),
        (252, b"9999", "impossible header: 9999 signals"),
        (256 + 3 * 216, b"0       ", "0 samples per record of EEG 0"),
    ],
)
def test_bad_headers_have_a_problem_with_words(tmp_path, at, content, words):
    path = tmp_path / "x.edf"
    written(path, pyedflib.FILETYPE_EDF, rates=(10, 10, 10))
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + content + whole[at + len(content) :])
    (one,) = recorded(path)
    assert words in one.problems[0]
    path.write_bytes(whole[: int(whole[184:192])])
    assert "has no samples" in recorded(path)[0].problems[0]


def test_a_folder_with_such_files_is_claimed():
    assert edf.claims("", ["a.EDF"]) and edf.claims("", ["a.bdf"])
    assert not edf.claims("", ["edf", "a.edf.txt"])


@pytest.mark.parametrize(("name", "kind"), [("x.edf", pyedflib.FILETYPE_EDFPLUS), ("x.bdf", pyedflib.FILETYPE_BDFPLUS)])
def test_hostile_headers(tmp_path, name, kind):
    written(tmp_path / name, kind)
    content = (tmp_path / name).read_bytes()
    check_mutations(edf, {name: content}, name, tmp_path, most_bytes=1400)
    check_mutations(edf, {name: content.replace(b"+C", b"+D", 1)}, name, tmp_path)
