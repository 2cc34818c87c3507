"""What libraries raise becomes one sentence with the path, and with the line to type where one is missing."""

import pytest

from neuroluigi.recordings.formats.libraries import read_by
from neuroluigi.recordings.recording import RecordingsError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            ValueError("no\nlines"),
            "/x/a.abf can't be read by neo (ValueError: no?lines); it is damaged, or of a kind that",
        ),
        (AssertionError(), "can't be read by neo (AssertionError: without a reason);"),
        (MemoryError("8 GiB"), "(MemoryError: 8 GiB)"),
        (ImportError("sonpy is not there: pip install sonpy"), "by neo: sonpy is not there: pip install sonpy"),
        (RecordingsError("/y is known to be wrong"), "/y is known to be wrong"),
    ],
)
def test_errors_of_any_class(error, text):
    with pytest.raises(RecordingsError) as caught, read_by("neo", "/x/a.abf"):
        raise error
    assert text in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "line"), [("h5py._hl", "'neuroluigi[formats]'"), ("joblib.memory", "joblib")])
def test_packages_that_are_missing(name, line):
    with pytest.raises(RecordingsError, match="/x is read by neo, for which") as caught, read_by("neo", "/x"):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    assert str(caught.value).endswith(f": pip install {line}")


def test_what_ends_a_run_is_no_error_of_a_file():
    with pytest.raises(KeyboardInterrupt), read_by("neo", "/x"):
        raise KeyboardInterrupt
