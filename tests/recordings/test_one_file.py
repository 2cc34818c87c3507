"""Formats with a file per recording: session, index and stream by folder and names."""

from neuroluigi.recordings.formats.one_file import cut_warning, plain_channels, recordings_by_name
from neuroluigi.recordings.formats.reader import RecordedFile
from neuroluigi.recordings.recording import RecordingsError


def test_index_is_the_rank_of_a_name_as_people_sort(tmp_path):
    recordings = recordings_by_name(
        "x", str(tmp_path), ["rec10.x", "rec9.x"], lambda path, columns: RecordedFile("x", path, columns)
    )
    assert [(one.path, one.columns) for one in recordings] == [
        (str(tmp_path / "rec9.x"), {"session": tmp_path.name, "index": "0", "stem": "rec9"}),
        (str(tmp_path / "rec10.x"), {"session": tmp_path.name, "index": "1", "stem": "rec10"}),
    ]


def test_each_stream_counts_for_itself(tmp_path):
    names = ["b.ns2", "a.ns2", "a.ns5"]
    recordings = recordings_by_name(
        "x", str(tmp_path), names, lambda path, columns: RecordedFile("x", path, columns), stream=lambda name: name[-3:]
    )
    assert [(one.columns["stem"], one.columns["stream"], one.columns["index"]) for one in recordings] == [
        ("a", "ns2", "0"),
        ("a", "ns5", "0"),
        ("b", "ns2", "1"),
    ]


def test_a_bad_file_fails_alone(tmp_path):
    def describe(path, columns):
        if path.endswith("a.x"):
            raise RecordingsError(f"{path} is bad")
        return RecordedFile("x", path, columns)

    bad, good = recordings_by_name("x", str(tmp_path), ["a.x", "b.x"], describe)
    assert bad.problems == (f"{tmp_path / 'a.x'} is bad",)
    assert good.problems == ()


def test_the_folder_where_one_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (one,) = recordings_by_name("x", "", ["a.x"], lambda path, columns: RecordedFile("x", path, columns))
    assert (one.path, one.columns["session"]) == (str(tmp_path / "a.x"), tmp_path.name)


def test_plain_channels_are_called_by_their_number():
    assert [channel.name for channel in plain_channels(2)] == ["0", "1"]


def test_only_a_shorter_file_is_warned_of():
    assert cut_warning("a", 10, 10) == cut_warning("a", 11, 10) == ()
    assert "a has 9 bytes, 10 by its header" in cut_warning("a", 9, 10)[0]
