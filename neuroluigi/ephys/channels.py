"""Which channels of a group a step looks at, by name, position and kind, and what their reference is."""

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from neuroluigi.recordings.concatenation import channels_of
from neuroluigi.recordings.formats.reader import AP, DIGITAL, KINDS, UNKNOWN
from neuroluigi.recordings.recording import Group, RecordingsError

Value = TypeVar("Value")

# From so many channels on, the reference "auto" is their median.
LEAST_REFERENCED = 16
# Of spikes, and of what nobody said the kind of; the median of others would take away what they have in common.
_REFERENCED = (AP, UNKNOWN)


class GroupChannels:
    """The channels of a group as its recordings describe them: a dict per channel, as in aggregate.json.

    `bad` are the 0-based positions that the column bad_channels of any of them names, or `also_bad`, those of a
    `section` of the settings. Those of all groups need not be there in each.
    """

    def __init__(self, group: Group, also_bad: Sequence[str] = (), section: str = ""):
        self.key, self.described = group.key, channels_of(group.recordings[0])
        # Kinds are of channels that are not bad, of which none is known yet.
        self.bad: set[int] = set()
        named = ((one, where.origin) for where in group.recordings for one in _words(where.columns.get("bad_channels")))
        self.bad = {
            *(place for word, origin in named for place in self._named(word, f"{origin}, column bad_channels")),
            *(place for word in also_bad for place in self._also_bad(word, section)),
        }

    def left(self, places: Sequence[int], described: Sequence[Mapping[str, Any]]) -> "GroupChannels":
        """Return the channels of samples that a step made of those at some places, as they are described now."""
        left = copy.copy(self)
        left.described = [dict(one) for one in described]
        left.bad = {number for number, place in enumerate(places) if place in self.bad}
        return left

    def of_kinds(self, *kinds: str) -> list[int]:
        """Return the channels of some kinds that are used and not bad."""
        return [place for place in self.usable() if self.kind(place) in kinds]

    def usable(self) -> list[int]:
        """Return the channels that are used and not bad."""
        return [n for n, one in enumerate(self.described) if one.get("used", True) and n not in self.bad]

    def kind(self, place: int) -> str:
        """Return the kind of a channel."""
        return self.described[place].get("kind", UNKNOWN)

    def choose(self, words: Sequence[str], default: Sequence[int], setting: str) -> list[int]:
        """Return the 0-based positions, sorted, of the channels that `words` choose, by default `default`.

        A word is a channel's name, a 0-based position, a range of these (0-15), or a kind; with a minus before it, it
        leaves out. Kinds are of channels that are used and not bad. Raises RecordingsError for a word that is none of
        these; `setting` says where it was set.
        """
        taken = [one for one in words if not one.startswith("-") or self._positions(one)]
        left_out = [one[1:] for one in words if one not in taken]
        chosen = {place for one in taken for place in self._named(one, setting)} if taken else {*default}
        return sorted(chosen - {place for one in left_out for place in self._named(one, setting)})

    def spread(self, value: Value, others: Mapping[str, Value], chosen: Sequence[int], setting: str) -> list[Value]:
        """Return a value for each chosen channel: that of the last of the words in `others` that names it, or `value`.

        Raises RecordingsError for a word that names none of them; `setting` says where it was set.
        """
        found = dict.fromkeys(chosen, value)
        for word, other in others.items():
            places = [place for place in self._named(word, setting) if place in found]
            if not places:
                raise RecordingsError(f"{setting}: {word!r} is none of the channels that group {self.key} looks at")
            found.update(dict.fromkeys(places, other))
        return [found[place] for place in chosen]

    def labels(self, chosen: Sequence[int], reference: str, per_shank: bool) -> list[int]:
        """Return the number of the reference of each chosen channel, 0 for none, by reference: none, auto, median.

        Raises RecordingsError where the median would be that of a single channel.
        """
        of_shank = {place: self.described[place].get("shank", 0) if per_shank else 0 for place in chosen}
        members: dict[int, list[int]] = {}
        for place in chosen:
            if reference != "none" and self.kind(place) in _REFERENCED:
                members.setdefault(of_shank[place], []).append(place)
        if reference == "auto":
            members = {shank: places for shank, places in members.items() if len(places) >= LEAST_REFERENCED}
        if single := [places[0] for places in members.values() if len(places) == 1]:
            raise RecordingsError(
                f"group {self.key}: reference = median would take channel {single[0]} off itself, as it is the only one"
                " that is chosen; choose more channels, or set reference = none"
            )
        numbers = {shank: number for number, shank in enumerate(sorted(members), start=1)}
        referenced = {place for places in members.values() for place in places}
        return [numbers[of_shank[place]] if place in referenced else 0 for place in chosen]

    def _also_bad(self, word: str, section: str) -> list[int]:
        return self._named(word, f"[{section}] bad_channels") if ":" in section else self._positions(word)

    def _named(self, word: str, setting: str) -> list[int]:
        found = self._positions(word)
        if not found and word not in {self.kind(place) for place in range(len(self.described))}:
            raise RecordingsError(
                f"{setting}: group {self.key} has no channel of the name, position or kind {word!r}; it has"
                f" {self.in_words()}"
            )
        return found

    def _positions(self, word: str) -> list[int]:
        count = len(self.described)
        if by_name := [n for n, one in enumerate(self.described) if one.get("name") == word]:
            return by_name
        if match := re.fullmatch(r"(\d+)(?:-(\d+))?", word, re.ASCII):
            first, last = int(match[1]), int(match[2] or match[1])
            return list(range(first, last + 1)) if first <= last < count else []
        return self.of_kinds(word) if word in KINDS else []

    def in_words(self) -> str:
        """Return how many channels there are, the first names, and all kinds."""
        names = [one.get("name", "") for one in self.described]
        shown = f" ({', '.join(filter(None, names[:3]))}, ...)" if any(names) else ""
        kinds = dict.fromkeys(self.kind(place) for place in range(len(names)))
        return f"channels 0 to {len(names) - 1}{shown} of kind {' and '.join(kinds)}"

    def flags(self, chosen: Iterable[int]) -> list[str]:
        """Return for each channel why it is not looked at; "" for the chosen ones."""
        taken = {*chosen}
        return ["" if n in taken else self._why_not(n, one) for n, one in enumerate(self.described)]

    def _why_not(self, place: int, channel: Mapping[str, Any]) -> str:
        if place in self.bad:
            return "bad"
        return "unused" if not channel.get("used", True) else DIGITAL if self.kind(place) == DIGITAL else "not chosen"


def _words(text: str | None) -> list[str]:
    """Return the words of a cell of a table, joined by | or commas."""
    return [word.strip() for word in re.split(r"[|,;]", text or "") if word.strip()]
