"""What is said of a session and its subject in an NWB file: by columns of its recordings, or else by settings."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from neuroluigi.ephys.nwb_start import StartUnknownError, session_start
from neuroluigi.recordings.recording import Recording, RecordingsError

# Names of columns and of settings in [NWB], and what each is for people.
SESSION_KEYS: Mapping[str, str] = {
    "session_description": "what was done, in a sentence",
    "session_start_time": "date and time in ISO 8601, in place of what headers say",
    "timezone": "zone of times without one, as those of SpikeGLX are: Europe/Zurich",
    "experimenter": "Last, First; several with semicolons",
    "lab": "the lab",
    "institution": "the institution",
    "keywords": "words to search for, with commas",
    "experiment_description": "what the experiment is about",
    "protocol": "protocol of animal use, by its number",
    "related_publications": "doi:10.1000/1; several with semicolons",
    "notes": "what else there is to say",
}
SUBJECT_KEYS: Mapping[str, str] = {
    "subject_id": "name of the animal or person, without slashes",
    "species": "Latin, such as Mus musculus, or an NCBITaxon link",
    "sex": "M, F, O (other) or U (unknown)",
    "age": "ISO 8601 duration, such as P90D, or a range: P90D/P120D",
    "date_of_birth": "2026-01-31, in place of the age or beside it",
    "strain": "strain of the animal",
    "genotype": "genotype of the animal",
    "weight": "a number and a unit: 21 g",
    "subject_description": "what else there is to say of the subject",
}
KEYS: Mapping[str, str] = {**SESSION_KEYS, **SUBJECT_KEYS}

# Without these, or a wrong one, archives (DANDI) refuse a file; each of these rows needs one.
_NEEDED = (("session_description",), ("subject_id",), ("species",), ("sex",), ("age", "date_of_birth"))

# The rules of nwbinspector 0.7.2.
_DURATION = r"P(?!$)(\d+(?:\.\d+)?Y)?(\d+(?:\.\d+)?M)?(\d+(?:\.\d+)?W)?(\d+(?:\.\d+)?D)?"
_DURATION += r"(T(?=\d)(\d+(?:\.\d+)?H)?(\d+(?:\.\d+)?M)?(\d+(?:\.\d+)?S)?)?"
_AGE = re.compile(rf"{_DURATION}|({_DURATION})?/({_DURATION})?", re.ASCII)
_SPECIES = re.compile(r"[A-Z][a-z]* [a-z]+|http://purl\.obolibrary\.org/obo/NCBITaxon_\d+", re.ASCII)
_WEIGHT = re.compile(r"\d+(\.\d+)? (kg|g|mg|ug|μg|ng|pg)", re.IGNORECASE)
_PERSON = re.compile(r"[\w\s\-.']+,\s+[\w\s\-.']+")
_SEXES, _SEXES_OF_WORMS = ("M", "F", "O", "U"), ("XO", "XX")
_WORMS = ("Caenorhabditis elegans", "C. elegans")
# Characters of a value in a message.
_MOST_SHOWN = 80
# What the parts of a duration are in days, as far as it matters which of two is longer.
_DAYS = (365.25, 30.44, 7, 1)


@dataclass(frozen=True)
class Metadata:
    """What is said of a session, by the names of KEYS, as text; `start` has its zone."""

    values: Mapping[str, str]
    start: datetime

    def texts(self, key: str, separator: str = ";") -> list[str] | None:
        """Return the several values of a key, None for none."""
        return [one.strip() for one in self.values.get(key, "").split(separator) if one.strip()] or None

    def text(self, key: str) -> str | None:
        """Return the value of a key, None for none."""
        return self.values.get(key)

    def subject(self) -> dict[str, Any]:
        """Return the arguments of pynwb's Subject."""
        found: dict[str, Any] = {name: self.text(name) for name in SUBJECT_KEYS if self.text(name)}
        if "date_of_birth" in found:
            born = _as_date(found["date_of_birth"])
            found["date_of_birth"] = born if born is None or born.tzinfo else born.replace(tzinfo=self.start.tzinfo)
        if "subject_description" in found:
            found["description"] = found.pop("subject_description")
        return found


def metadata_of(session: str, recordings: Sequence[Recording], settings: Mapping[str, str]) -> Metadata:
    """Return what is said of a session, by the columns of its recordings, or else by the settings of NWB.

    Raises RecordingsError, which names all that is lacking or wrong, with where to write it.
    """
    values, origins = _resolved(session, recordings, settings)
    wrong = [f"{key} ({origins[key]}): {why}" for key, why in _mistakes(values).items()]
    lacking = [" or ".join(f"{key} ({KEYS[key]})" for key in row) for row in _NEEDED if not any(map(values.get, row))]
    try:
        start = session_start(recordings, values.get("session_start_time", ""), values.get("timezone", ""))
        born = _as_date(values.get("date_of_birth", ""))
        if born and born.date() > start.date():
            wrong.append(f"date_of_birth ({origins['date_of_birth']}): it is after the session, of {start:%Y-%m-%d}")
    except StartUnknownError as error:
        if error.key in origins:
            wrong.append(f"{error.key} ({origins[error.key]}): {error}")
        else:
            lacking.append(f"{error.key} ({error})")
    sentences = []
    if lacking:
        sentences.append(
            f"session {session}: NWB lacks {'; '.join(lacking)}: write each into [NWB] of luigi.cfg"
            f" ({_first_name(lacking)} = ..., or --NWB-{_first_name(lacking).replace('_', '-')} ...), or as a column of"
            " that name into the table of recordings or the one of [recordings] metadata"
        )
    if wrong:
        sentences.append(f"session {session}: NWB can't take {'; '.join(wrong)}")
    if sentences:
        raise RecordingsError("\n".join(sentences))
    return Metadata(values, start)


def _first_name(lacking: Sequence[str]) -> str:
    return lacking[0].partition(" ")[0]


def _resolved(
    session: str, recordings: Sequence[Recording], settings: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the value of each key that has one, and who says so."""
    values, origins = {}, {}
    for key in KEYS:
        said = {_clean(one.columns.get(key, "")): one.origin for one in reversed(recordings)}
        said.pop("", None)
        if len(said) > 1:
            (first, origin), (second, other) = list(said.items())[:2]
            raise RecordingsError(
                f"session {session}: the column {key} says {_shown(second)} ({other}) and {_shown(first)} ({origin}); a"
                " session has one of these"
            )
        if said:
            values[key], origins[key] = next(iter(said)), f"column {key}"
        elif text := _clean(settings.get(key, "")):
            values[key], origins[key] = text, f"[NWB] {key}"
    return values, origins


def _clean(text: str) -> str:
    """Return a text without what can't be seen but for ends of lines and tabs: HDF5 ends a text at a zero."""
    return "".join(one for one in text if one in "\n\t" or unicodedata.category(one) != "Cc").strip()


def _mistakes(values: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong with each value that archives would refuse."""
    found = {}
    sexes = _SEXES_OF_WORMS if values.get("species") in _WORMS else _SEXES
    rules: dict[str, tuple[Callable[[str], object], str]] = {
        "species": (_SPECIES.fullmatch, "is no Latin name of two words, such as Mus musculus"),
        "sex": (sexes.__contains__, f"is none of {', '.join(sexes)}"),
        "age": (_is_age, "is no duration such as P90D (P2Y, P8W), nor a range of them, the shorter one first"),
        "date_of_birth": (_as_date, "is no date such as 2026-01-31"),
        "weight": (_WEIGHT.fullmatch, "is no number with a unit, such as 21 g"),
        "subject_id": (lambda text: "/" not in text, "has a slash, which archives take for a folder"),
    }
    for key, (is_right, why) in rules.items():
        if key in values and not is_right(values[key]):
            found[key] = f"{_shown(values[key])} {why}"
    for person in filter(None, (one.strip() for one in values.get("experimenter", "").split(";"))):
        if not _PERSON.fullmatch(person):
            found["experimenter"] = f"{_shown(person)} is not as in 'Last, First'; several have semicolons between"
    return found


def _shown(text: str) -> str:
    return repr(text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}...")


def _as_date(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None


def _is_age(text: str) -> bool:
    if not _AGE.fullmatch(text) or text == "/":
        return False
    shorter, is_range, longer = text.partition("/")
    return not (is_range and shorter and longer) or _days(shorter) < _days(longer)


def _days(duration: str) -> float:
    match = re.match(_DURATION, duration)
    parts = match.groups()[:4] if match else ()
    return sum(float(part[:-1]) * days for part, days in zip(parts, _DAYS, strict=False) if part)
