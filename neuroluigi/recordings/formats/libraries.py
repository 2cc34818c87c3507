"""Libraries that read a format, of the extra neuroluigi[formats]: whatever goes wrong in them is one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

from neuroluigi.recordings.formats.reader import as_text
from neuroluigi.recordings.recording import RecordingsError

_OF_THE_EXTRA = frozenset({"neo", "quantities", "dateutil", "h5py"})


@contextmanager
def read_by(library: str, path: str) -> Iterator[None]:
    """Turn whatever a library raises while it reads a file into a RecordingsError with the path.

    Of a library that is missing, it has the line to type.
    """
    try:
        yield
    except RecordingsError:
        raise
    except ImportError as error:
        text = as_text(str(error))
        if error.name is None:
            # The library says itself what it lacks.
            raise RecordingsError(f"{path} can't be read by {library}: {text}") from error
        needed = error.name.partition(".")[0]
        line = "'neuroluigi[formats]'" if needed in _OF_THE_EXTRA else needed
        raise RecordingsError(
            f"{path} is read by {library}, for which {needed} is needed ({text}): pip install {line}"
        ) from error
    # Files that are damaged raise errors of any class in libraries.
    except Exception as error:
        reason = as_text(str(error)) or "without a reason"
        raise RecordingsError(
            f"{path} can't be read by {library} ({type(error).__name__}: {reason}); it is damaged, or of a"
            " kind that it does not know"
        ) from error
