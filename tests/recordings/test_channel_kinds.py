"""What each channel is, in the columns kind and digital of a table."""

import pytest

from neuroluigi.recordings.channel_kinds import kind_columns, kinds_in_words, matches_kind, read_kinds
from neuroluigi.recordings.recording import RecordingsError

UNKNOWN = ["unknown"] * 3


@pytest.mark.parametrize(
    ("kinds", "columns"),
    [
        (["ap", "ap", "digital"], {"kind": "ap", "digital": "2"}),
        (["digital", "analog", "digital"], {"kind": "analog", "digital": "0|2"}),
        (["ap", "lf", "digital"], {"kind": "ap|lf|digital", "digital": "2"}),
        (["digital"] * 3, {"kind": "digital", "digital": "0|1|2"}),
        (["ap", "lf", "ap"], {"kind": "ap|lf|ap"}),
        (UNKNOWN, {"kind": "unknown"}),
    ],
)
def test_what_is_written_is_read_again(kinds, columns):
    assert kind_columns(kinds) == columns
    assert read_kinds(columns, "row 2", UNKNOWN) == kinds


def test_a_row_is_right_in_place_of_what_is_known():
    known = ["ap", "ap", "digital"]
    assert read_kinds({}, "row 2", known) == known
    assert read_kinds({"kind": "lf"}, "row 2", known) == ["lf", "lf", "lf"]
    assert read_kinds({"digital": "0"}, "row 2", known) == ["digital", "ap", "digital"]
    assert read_kinds({"kind": " ap | lf |analog"}, "row 2", known) == ["ap", "lf", "analog"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"kind": "ap|lf"}, "row 2, column kind: 'ap|lf' has 2 kinds for 3 channels"),
        ({"kind": "wake"}, "row 2, column kind: 'wake' is not one of ap, lf, analog, aux, digital, unknown"),
        ({"digital": "3"}, "row 2, column digital: '3' is not of the channels 0 to 2"),
        ({"digital": "1|²"}, "row 2, column digital: '1|²' is not of the channels 0 to 2"),
    ],
)
def test_what_is_wrong_is_named(row, message):
    with pytest.raises(RecordingsError) as raised:
        read_kinds(row, "row 2", UNKNOWN)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "wanted", "matches"),
    [
        ("ap", "ap", True),
        ("ap|ap|digital", "ap", True),
        ("ap|ap|digital", "ap|ap|digital", True),
        ("ap|lf|digital", "ap", False),
        ("ap|ap|digital", "digital", False),
        ("digital|digital", "digital", True),
        ("", "", True),
        ("", "ap", False),
    ],
)
def test_digital_channels_aside_all_have_a_kind(text, wanted, matches):
    assert matches_kind(text, wanted) == matches


def test_kinds_are_counted_in_words():
    assert kinds_in_words(["ap"] * 384 + ["digital"]) == "384 ap, 1 digital"
