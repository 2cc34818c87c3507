"""The columns kind and digital of a table: what each channel of a recording is, in few words."""

from collections import Counter
from collections.abc import Mapping, Sequence

from neuroluigi.recordings.formats.reader import DIGITAL, KINDS
from neuroluigi.recordings.recording import RecordingsError


def kind_columns(kinds: Sequence[str]) -> dict[str, str]:
    """Return the columns of a row: the kind that all have but digital ones, or one each, and the places of these."""
    places = [str(place) for place, kind in enumerate(kinds) if kind == DIGITAL]
    kind = _shared(kinds) or "|".join(kinds)
    return {"kind": kind, **({"digital": "|".join(places)} if places else {})}


def read_kinds(row: Mapping[str, str], origin: str, known: Sequence[str]) -> list[str]:
    """Return the kind of each channel by its row; `known` has those that hold where the row says nothing.

    Raises RecordingsError for an unknown kind, another number of them than of channels, and a place without a channel.
    """
    kinds, count = list(known), len(known)
    if text := row.get("kind", ""):
        named = _parts(text)
        if not {*named} <= {*KINDS}:
            raise RecordingsError(f"{origin}, column kind: {text!r} is not one of {', '.join(KINDS)}, joined by |")
        if len(named) not in (1, count):
            raise RecordingsError(f"{origin}, column kind: {text!r} has {len(named)} kinds for {count} channels")
        kinds = named * count if len(named) == 1 else named
    if text := row.get("digital", ""):
        places = _parts(text)
        if not all(place.isdecimal() and place.isascii() and int(place) < count for place in places):
            raise RecordingsError(
                f"{origin}, column digital: {text!r} is not of the channels 0 to {count - 1}, several joined by |"
            )
        for place in places:
            kinds[int(place)] = DIGITAL
    return kinds


def matches_kind(text: str, wanted: str) -> bool:
    """Whether the text of a column kind is a wanted one, or has that for all channels but digital ones."""
    return wanted in (text, _shared(_parts(text)))


def kinds_in_words(kinds: Sequence[str]) -> str:
    """Return how many channels there are of each kind: 384 ap, 1 digital."""
    return ", ".join(f"{count} {kind}" for kind, count in Counter(kinds).items())


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split("|")]


def _shared(kinds: Sequence[str]) -> str:
    """Return the kind that all channels have but digital ones, "" where they differ."""
    found = {*kinds} - {DIGITAL} or {*kinds}
    return found.pop() if len(found) == 1 else ""
