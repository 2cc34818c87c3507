"""What all readers of headers share: numbers, paths and sizes that are right or refused."""

import pytest

from neuroluigi.recordings.formats import reader
from neuroluigi.recordings.formats.reader import RecordedFile
from neuroluigi.recordings.recording import RecordingsError


@pytest.mark.parametrize(
    ("text", "number"),
    [("30000.061088", 30000.061088), (" 5 ", 5.0), ("-1e-3", -0.001), (2, 2.0), ("nan", None), ("inf", None),
     ("1e999", None), ("1_000", None), ("٣", None), ("", None), (None, None), (True, None), ("5.5.5", None),
     (10**400, None), (float("nan"), None), ([], None)],
)  # fmt: skip
def test_numbers(text, number):
    assert reader.as_number(text) == number


@pytest.mark.parametrize(
    ("text", "count"),
    [("385", 385), ("0", 0), (7, 7), ("-1", None), (-1, None), ("1.0", None), (1.0, None), ("9" * 19, None),
     (10**18, None), ("9" * 5000, None), ("٣", None), (True, None), (None, None)],
)  # fmt: skip
def test_counts(text, count):
    assert reader.as_count(text) == count


def test_a_path_of_a_header_stays_in_its_folder(tmp_path):
    folder = str(tmp_path)
    assert reader.path_inside(folder, "Mäuse 1/continuous.dat") == str(tmp_path / "Mäuse 1/continuous.dat")
    assert reader.path_inside(folder, "Probe A/") == str(tmp_path / "Probe A")
    for name in (
        "",
        ".",
        "..",
        "../x",
        "a/../../x",
        "a\\..\\..\\x",
        "/etc/passwd",
        "\\\\host\\x",
        "C:/x",
        "C:x",
        "a\0b",
    ):
        assert reader.path_inside(folder, name) is None, name


def test_a_header_is_read_up_to_a_limit(tmp_path):
    path = tmp_path / "x.meta"
    path.write_bytes(b"\xef\xbb\xbfa=\xc2\xb5\r\n")
    assert reader.read_text(str(path)) == "a=µ\n"
    path.write_bytes(b"a=\xb5\n")
    assert reader.read_text(str(path)) == "a=µ\n"
    with path.open("wb") as file:
        file.truncate(1 << 33)
    with pytest.raises(RecordingsError, match=r"x\.meta has more than"):
        reader.read_text(str(path))
    assert len(reader.read_header(str(path), 64)) == 64


def test_what_cannot_be_read_is_named_with_the_reason(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for name, reason in {"x": "not there", "link": "DataLad", "": "is"}.items():
        path = str(tmp_path / name) if name else str(tmp_path)
        for read in (reader.read_header, reader.size_of):
            with pytest.raises(RecordingsError) as caught:
                read(path)
            assert path in str(caught.value) and reason in str(caught.value)


def test_samples_and_the_rest():
    assert reader.split_bytes("x", 21, 1, 6) == (3, 2)
    for size in (0, 5, 6, 1):
        with pytest.raises(RecordingsError, match="x has no samples"):
            reader.split_bytes("x", size, 1, 6)


def test_an_error_becomes_the_problem_of_that_recording():
    def fail():
        raise RecordingsError("x.bin is broken")

    found = reader.described("spikeglx", "/x.bin", {"session": "a"}, fail)
    assert found == RecordedFile("spikeglx", "/x.bin", {"session": "a"}, problems=("x.bin is broken",))


def test_natural_order():
    names = ["m_g10", "m_g2", "M_g1", "m_g1", "m", "10", "9", "a02", "a2"]
    assert sorted(names, key=reader.natural_key) == ["9", "10", "a02", "a2", "m", "M_g1", "m_g1", "m_g2", "m_g10"]
