"""What Lines can be asked for: words, bits, a field, names; with a message before anything runs for what is none."""

import re
from typing import Any

import luigi

from neuroluigi.steps.config import RunStopped, WordsParameter

# In place of channels: the changes that a rig wrote as events.
TTL = "ttl"

_NAME = re.compile(r"(\d{1,6}|ttl)\.(\d{1,3})\s*:\s*(\S.*)", re.ASCII)


def is_number(text: str) -> bool:
    """Whether a text is a whole number from 0, as channels and bits are."""
    return text.isascii() and text.isdecimal() and len(text) < 7


class LineNumbers(WordsParameter):
    """Whole numbers from 0, each once; in luigi.cfg and on the command line with commas between them."""

    may_be: tuple[str, ...] = ()

    def __init__(self, what: str, **kwargs: Any):
        super().__init__(**kwargs)
        self._what = what

    def normalize(self, x):
        """Return the numbers as texts; RunStopped where one is none."""
        numbers = super().normalize(x if isinstance(x, str) else map(str, x))
        for one in numbers:
            if not is_number(one) and one not in self.may_be:
                raise RunStopped(f"luigi: {self._what} {one}: {self._what} are whole numbers, counted from 0")
        if len({*numbers}) < len(numbers):
            raise RunStopped(f"luigi: {self._what} {self.serialize(numbers)}: each is named once")
        return numbers


class LineWords(LineNumbers):
    """Channels from 0, or ttl alone."""

    may_be = (TTL,)

    def normalize(self, x):
        words = super().normalize(x)
        if TTL in words and len(words) > 1:
            raise RunStopped(f"luigi: words {self.serialize(words)}: it is either channels or {TTL}")
        return words


class LineField(LineNumbers):
    """The first bit, from 0, and the number of bits, from 1."""

    def normalize(self, x):
        # The two may be the same.
        field = WordsParameter.normalize(self, x if isinstance(x, str) else map(str, x))
        if field and not (len(field) == 2 and all(map(is_number, field)) and int(field[1])):
            raise RunStopped(
                f"luigi: field {self.serialize(field)}: a field is its first bit, from 0, and its number of bits: 0, 4"
            )
        return field


class LineNames(WordsParameter):
    """Names of bits, CHANNEL.BIT:NAME, with commas between them."""

    def normalize(self, x):
        """Return them; RunStopped where one has another form."""
        names = super().normalize(x)
        for one in names:
            if not _NAME.fullmatch(one):
                raise RunStopped(
                    f"luigi: names {one}: a name is CHANNEL.BIT:NAME, both from 0, such as 384.6:sync; for events of a"
                    f" rig {TTL}.0:camera"
                )
        return names


def names_by_bit(names: tuple[str, ...]) -> dict[tuple[str, int], str]:
    """Return the names that LineNames has, by channel (or ttl) and bit."""
    found = (_NAME.fullmatch(one) for one in names)
    return {(one[1] if one[1] == TTL else str(int(one[1])), int(one[2])): one[3] for one in found if one}


class SettleSamples(luigi.IntParameter):
    """A number of samples, from 1."""

    def normalize(self, x):
        """Return the number; RunStopped where it is none."""
        if x < 1:
            raise RunStopped(f"luigi: settle {x}: settle is a whole number of samples, from 1")
        return x


class PulseWidth(luigi.OptionalFloatParameter):
    """A time in ms, above 0."""

    def normalize(self, x):
        """Return the time; RunStopped where it is none."""
        value = super().normalize(x)
        if value is not None and not 0 < value < float("inf"):
            raise RunStopped(f"luigi: width {value:g}: width is a time in ms, above 0")
        return value
