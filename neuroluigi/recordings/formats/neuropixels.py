"""Neuropixels probes as SpikeGLX describes them: the gain of each channel, and where on the probe its site is.

Sources: the manual of SpikeGLX (https://billkarsh.github.io/SpikeGLX, "Metadata" and "imroTables"); the dimensions of
the probes are those of https://github.com/billkarsh/ProbeTable, as probeinterface has them.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from neuroluigi.recordings.formats.reader import MOST_CHANNELS, as_count, as_number

# A .meta as text, value by key.
Meta = Mapping[str, str]


class Site(NamedTuple):
    """Where a channel is: um along and up the shank, counted from the lowest, leftmost site; unknown is None."""

    x: float | None = None
    y: float | None = None
    shank: int | None = None
    used: bool | None = None


class _Layout(NamedTuple):
    """How the sites of a probe lie: how many side by side, and in um.

    `even` and `odd` are from the left edge of the shank to the first site of a row.
    """

    columns: int
    across: float
    up: float
    even: float
    odd: float
    between_shanks: float = 0

    def at(self, shank: float, column: float, row: float, used: bool | None) -> Site:
        """Return the site in a row, from 0."""
        start = self.odd if row % 2 else self.even
        return self.from_edge(shank, start + column * self.across, row * self.up, used)

    def from_edge(self, shank: float, x: float, y: float, used: bool | None) -> Site:
        """Return the site at so many um from the left edge of a shank."""
        across = x - self.odd + shank * self.between_shanks
        return Site(across, y, int(shank), used) if math.isfinite(across + y) else Site(used=used)


# By part number.
_LAYOUTS = {
    part: layout
    for parts, layout in {
        ("NP1000 NP1001 NP1010 NP1011 NP1012 NP1013 NP1014 PRB_1_2_0480_2 PRB_1_4_0480_1 PRB_1_4_0480_1_C"): _Layout(
            2, 32, 20, 27, 11
        ),
        "NP1015 NP1016 NP1017": _Layout(2, 32, 20, 27, 27),
        "NP1020 NP1021 NP1030 NP1031": _Layout(2, 87, 20, 27, 11),
        "NP1022 NP1032 NP1033 NP1040 NP1041 NP1042 NP1050 NP1051": _Layout(2, 103, 20, 11, 11),
        "NP1100": _Layout(8, 6, 6, 14, 14),
        "NP1110": _Layout(8, 6, 6, 15.5, 15.5),
        "NP1120": _Layout(2, 4.5, 4.5, 6.75, 6.75),
        "NP1121": _Layout(1, 0, 3, 6.25, 6.25),
        "NP1122": _Layout(16, 3, 3, 12.5, 12.5),
        "NP1123": _Layout(12, 4.5, 4.5, 10.25, 10.25),
        "NP1200 NP1210": _Layout(2, 32, 31, 56.5, 36.5),
        "NP1300 NP1400": _Layout(2, 48, 20, 11, 11),
        "NP2000 NP2003 NP2004 NP2005 NP3010 NP3011 NP3012 PRB2_1_2_0640_0": _Layout(2, 32, 15, 27, 27),
        "NP2006": _Layout(2, 32, 15, 27, 11),
        "NP2010 NP2013 NP2014 NP2020 NP2021 NP3020 NP3021 NP3022 NP3023 NP3024 PRB2_4_2_0640_0": _Layout(
            2, 32, 15, 27, 27, 250
        ),
        "NP2022": _Layout(2, 20, 15, 27, 11, 2141.45),
        "NP2300": _Layout(2, 48, 15, 11, 11),
        "NP3000": _Layout(1, 0, 15, 59, 59),
    }.items()
    for part in parts.split()
}

# What ~imroTbl has of each channel, by the first number or part of its header. Gains are per channel, or of all of them
# in the header, or fixed, as much for lf as for ap.
_GAIN_PER_CHANNEL = frozenset(["0", "1020", "1030", "1100", "1120", "1121", "1122", "1123", "1200", "1300"])
_GAIN_IN_HEADER = frozenset({"1110"})
_FIXED_GAINS = {
    "21": 80.0,
    "24": 80.0,
    **dict.fromkeys(["2003", "2013", "2020", "2021", "3010", "3020", "3022"], 100.0),
}
# Those with a column for the shank before the one for the bank.
_SEVERAL_SHANKS = frozenset(["24", "2013", "2020", "2021", "3020", "3022"])
_KIND_OF_PART = {
    **dict.fromkeys(["NP2000", "PRB2_1_2_0640_0"], "21"),
    **dict.fromkeys(["NP2010", "PRB2_4_2_0640_0"], "24"),
    **dict.fromkeys(["NP2003", "NP2004", "NP2005", "NP2006", "NP2300"], "2003"),
    **dict.fromkeys(["NP2013", "NP2014"], "2013"),
    **dict.fromkeys(["NP2020", "NP2021", "NP2022"], "2020"),
    **dict.fromkeys(["NP3010", "NP3011", "NP3012"], "3010"),
    **dict.fromkeys(["NP3020", "NP3021", "NP3022", "NP3023", "NP3024"], "3020"),
    "NP1110": "1110",
}


class Probe:
    """The probe of one .meta: gains and sites of its channels, which are counted from 0 on the probe."""

    def __init__(self, meta: Meta):
        self._meta = meta
        self._header, self._rows = table(meta.get("~imroTbl", ""))
        # Phase 3A begins with the serial number, and has an option in place of a part number.
        is_3a = len(self._header) == 3
        first = self._header[0] if self._header else ""
        self.kind = "0" if is_3a else _kind(first)
        self.part = meta.get("imDatPrb_pn", "") or ("NP1010" if is_3a else first)
        self._by_channel = {row[0]: row for row in self._rows if row}
        self._layout = _layout(meta) or _LAYOUTS.get(self.part)

    def gain(self, channel: int, is_lf: bool) -> float | None:
        """Return the gain of a channel; None where it can't be known."""
        if self.kind in _GAIN_PER_CHANNEL:
            row = self._by_channel.get(str(channel), [])
        else:
            row = self._header if self.kind in _GAIN_IN_HEADER else []
        said = row[4 if is_lf else 3] if len(row) > 4 else self._meta.get(f"imChan0{'lf' if is_lf else 'ap'}Gain")
        gain = as_number(said) or _FIXED_GAINS.get(self.kind)
        return gain if gain and gain > 0 else None

    @property
    def largest_count(self) -> float | None:
        """The count that stands for imAiRangeMax; where an old .meta does not say it, that of a probe of 10 bits."""
        if "imMaxInt" not in self._meta:
            return 512.0 if self.kind in _GAIN_PER_CHANNEL | _GAIN_IN_HEADER else None
        return as_number(self._meta["imMaxInt"])

    def sites(self, saved: Sequence[int]) -> list[Site]:
        """Return the site of each of the saved channels, by the map of sites, else by the table of electrodes."""
        for key, read in (("~snsGeomMap", self._of_geometry), ("~snsShankMap", self._of_shanks)):
            _, rows = table(self._meta.get(key, ""), ":")
            # A map has the channels that are saved.
            if rows and len(rows) == len(saved):
                return [read([as_number(value) for value in row]) for row in rows]
        return [self._of_electrode(self._by_channel.get(str(channel), [])) for channel in saved]

    def _of_geometry(self, row: list[float | None]) -> Site:
        """Return the site of a row of ~snsGeomMap: shank, x from its left edge, y, used."""
        match row:
            case [float(shank), float(x), float(y), float(used)]:
                # Of a part that is not known yet, x stays as it is, from the left edge of the first shank.
                layout = self._layout or _Layout(1, 0, 0, 0, 0, _between_shanks(self._meta) or 0)
                return layout.from_edge(shank, x, y, used != 0)
        return Site()

    def _of_shanks(self, row: list[float | None]) -> Site:
        """Return the site of a row of ~snsShankMap: shank, column, row, used."""
        match row:
            case [float(shank), float(column), float(line), float(used)]:
                is_used = used != 0
                return self._layout.at(shank, column, line, is_used) if self._layout else Site(used=is_used)
        return Site()

    def _of_electrode(self, row: list[str]) -> Site:
        """Return the site of a row of ~imroTbl, which says nothing of its use."""
        values = [as_count(value) for value in row]
        match values:
            case [int(channel), int(bank), *_] if self.kind in _GAIN_PER_CHANNEL:
                # Each bank has as many sites as there are channels.
                shank, electrode = 0, bank * len(self._rows) + channel
            case [int(), int(second), int(), *_, int(electrode)] if self.kind in _FIXED_GAINS:
                shank = second if self.kind in _SEVERAL_SHANKS else 0
            case _:
                return Site()
        if not self._layout:
            return Site()
        line, column = divmod(electrode, self._layout.columns)
        return self._layout.at(shank, column, line, None)


def _layout(meta: Meta) -> _Layout | None:
    """Return the layout that the .meta has itself, as those since 2025 do."""
    said = [as_number(meta.get(key)) for key in ("imColsPerShank", "imXPitch", "imZPitch", "imX0EvenRow", "imX0OddRow")]
    match (*said, _between_shanks(meta)):
        case (float(columns), float(across), float(up), float(even), float(odd), float(between)) if columns >= 1:
            return _Layout(int(columns), across, up, even, odd, between)
    return None


def _between_shanks(meta: Meta) -> float | None:
    """Return um between two shanks, by the header of the map: (part, shanks, um between, um wide)."""
    header, _ = table(meta.get("~snsGeomMap", ""), ":")
    return as_number(header[2]) if len(header) == 4 else None


def _kind(first: str) -> str:
    """Return the kind of ~imroTbl by the first field of its header: a number, or since 2026 a part number."""
    return _KIND_OF_PART.get(first, "0" if first in _LAYOUTS else first)


def table(text: str, between: str | None = None) -> tuple[list[str], list[list[str]]]:
    """Return the fields of header and rows of a table in a .meta, (header)(row)(row); blanks are `between`, or this."""
    header, *rows = re.findall(r"\(([^()]*)\)", text)[: MOST_CHANNELS + 1] or [""]
    return header.split(",") if header else [], [row.split(between) for row in rows]
