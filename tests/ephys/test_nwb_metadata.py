"""What is said of session and subject: columns before settings, and all that is lacking or wrong in one message."""

from types import SimpleNamespace

import pytest

from neuroluigi.ephys.nwb_metadata import KEYS, Metadata, metadata_of
from neuroluigi.recordings.recording import RecordingsError

GOOD = {"session_description": "d", "subject_id": "m1", "species": "Mus musculus", "sex": "F", "age": "P90D"}
GOOD |= {"session_start_time": "2026-01-31T14:30:00+01:00"}


def recording(**columns) -> SimpleNamespace:
    return SimpleNamespace(columns=columns, origin="recordings.csv, row 2", path="a.bin", recorded=None)


def said(*recordings, **settings) -> Metadata:
    return metadata_of("s", recordings or [recording()], {**GOOD, **settings})


def refusal(*recordings, **settings) -> str:
    with pytest.raises(RecordingsError) as caught:
        said(*recordings, **settings)
    return str(caught.value)


def test_columns_come_before_settings():
    found = said(recording(sex="M", lab=""), recording(sex="M", strain="C57BL/6J"), lab="L", notes="a\0b\nc")
    assert (found.values["sex"], found.values["lab"], found.values["strain"]) == ("M", "L", "C57BL/6J")
    assert found.text("notes") == "ab\nc" and found.text("protocol") is None
    assert found.start.isoformat() == "2026-01-31T14:30:00+01:00"
    subject = said(date_of_birth="2025-11-01", subject_description="tame").subject()
    assert subject["description"] == "tame" and subject["date_of_birth"].isoformat() == "2025-11-01T00:00:00+01:00"


def test_several_values():
    found = said(experimenter="Doe, Jane; Müller-Li, Xu A.;", keywords="a b, c")
    assert found.texts("experimenter") == ["Doe, Jane", "Müller-Li, Xu A."]
    assert found.texts("keywords", ",") == ["a b", "c"] and found.texts("related_publications") is None


def test_all_that_is_lacking_is_named_once_with_where_to_write_it():
    text = refusal(**dict.fromkeys(GOOD, ""))
    assert "\n" not in text
    for key in ("session_description", "subject_id", "species", "sex", "age", "date_of_birth", "session_start_time"):
        assert f"{key} (" in text
    assert "age (ISO 8601 duration, such as P90D, or a range: P90D/P120D) or date_of_birth (" in text
    assert "[NWB] of luigi.cfg" in text and "--NWB-session-description" in text and "[recordings] metadata" in text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("species", "mouse"),
        ("species", "Mus Musculus"),
        ("sex", "female"),
        ("age", "90 days"),
        ("age", "P"),
        ("age", "/"),
        ("age", "P120D/P90D"),
        ("date_of_birth", "spring"),
        ("weight", "21"),
        ("subject_id", "a/b"),
        ("experimenter", "Jane Doe"),
        ("session_start_time", "noon"),
    ],
)
def test_what_archives_refuse(key, value):
    text = refusal(**{key: value})
    assert f"{key} ([NWB] {key}): '{value}'" in text and "NWB lacks" not in text
    assert f"{key} (column {key})" in refusal(recording(**{key: value}))


@pytest.mark.parametrize("age", ["P90D", "P2Y", "P8W", "P1.5M", "P90D/P120D", "P90Y/", "P1DT12H"])
def test_ages_as_archives_take_them(age):
    assert said(age=age).subject()["age"] == age


def test_nobody_is_born_after_the_session():
    assert "date_of_birth ([NWB] date_of_birth): it is after the session, of " in refusal(date_of_birth="2999-01-31")
    assert said(date_of_birth="1999-01-31").subject()["date_of_birth"].year == 1999


def test_what_can_not_be_seen_is_left_out():
    assert said(session_description="a\x01\x1b[31m\nb\0").values["session_description"] == "a[31m\nb"


def test_worms_have_other_sexes():
    assert said(species="Caenorhabditis elegans", sex="XX").values["sex"] == "XX"
    assert "none of XO, XX" in refusal(species="Caenorhabditis elegans", sex="F")
    assert said(species="http://purl.obolibrary.org/obo/NCBITaxon_10090")


def test_a_session_has_one_value():
    text = refusal(recording(sex="M"), recording(sex="F"))
    assert "the column sex says 'M' (recordings.csv, row 2) and 'F' (recordings.csv, row 2)" in text


def test_each_key_is_a_setting():
    from neuroluigi.ephys import NWB

    assert set(KEYS) <= set(vars(NWB))
