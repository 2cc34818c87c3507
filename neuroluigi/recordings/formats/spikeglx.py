"""SpikeGLX: a .bin of interleaved int16 for each stream of each trigger, and a .meta of key=value lines beside it.

Source: the manual of SpikeGLX, https://billkarsh.github.io/SpikeGLX ("Metadata"), and of CatGT for what that joins.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from neuroluigi.recordings.formats.mtscomp import decode, read_compressed
from neuroluigi.recordings.formats.neuropixels import Meta, Probe, Site, table
from neuroluigi.recordings.formats.reader import (
    ANALOG,
    AP,
    DIGITAL,
    LF,
    MOST_CHANNELS,
    Channel,
    Part,
    RecordedFile,
    Sync,
    as_count,
    as_number,
    as_text,
    described,
    read_text,
    size_of,
    split_bytes,
)
from neuroluigi.recordings.formats.starts import start_of_text
from neuroluigi.recordings.recording import RecordingsError

FORMAT = "spikeglx"
GROUP_BY = ("session", "gate", "stream")

# run_g0_t0.imec0.ap.bin; "cat" is what CatGT has joined; the probe of phase 3A has no number.
_NAME = re.compile(
    r"(?P<run>.+?)\.(?P<stream>(imec(?P<probe>\d{0,9})\.)?(ap|lf)|nidq|(obx\d{1,9}\.)?obx\d{0,9})\.(bin|cbin|meta)",
    re.ASCII,
)
_RUN = re.compile(r"(?P<session>.+?)(_g(?P<gate>\d{1,9}))?(_t(?P<trigger>\d{1,9}|cat))?", re.ASCII)
# Of the word of a probe, or of a OneBox.
_SYNC_BIT = 6
_WORD_BITS = 16
# In seconds: how far the starts of the devices of a run may be apart, at which all counters are 0.
_UNCERTAINTY = 0.1
# Values of syncSourceIdx and syncNiChanType.
_NO_SOURCE, _OF_WORD, _ANALOG = "0", "0", "1"
# That of 1,536 channels has 75,000 bytes.
_MOST_META_BYTES = 1 << 20


class _Kind(NamedTuple):
    """One kind of channels of a stream, in the order of the file."""

    letters: str
    kind: str
    unit: str


class _Stream(NamedTuple):
    """What the keys of a device are called, and its kinds of channels."""

    rate: str
    range: str
    largest: str
    acquired: str
    saved: str
    kinds: tuple[_Kind, ...]


_IMEC = _Stream(
    "imSampRate", "imAiRangeMax", "imMaxInt", "acqApLfSy", "snsApLfSy",
    (_Kind("AP", AP, "uV"), _Kind("LF", LF, "uV"), _Kind("SY", DIGITAL, "")),
)  # fmt: skip
_NIDQ = _Stream(
    "niSampRate", "niAiRangeMax", "niMaxInt", "acqMnMaXaDw", "snsMnMaXaDw",
    # Neural and other channels of a multiplexer, direct ones, and words.
    (_Kind("MN", AP, "uV"), _Kind("MA", ANALOG, "V"), _Kind("XA", ANALOG, "V"), _Kind("XD", DIGITAL, "")),
)  # fmt: skip
_OBX = _Stream(
    "obSampRate", "obAiRangeMax", "obMaxInt", "acqXaDwSy", "snsXaDwSy",
    (_Kind("XA", ANALOG, "V"), _Kind("XD", DIGITAL, ""), _Kind("SY", DIGITAL, "")),
)  # fmt: skip


def claims(folder: str, names: Sequence[str]) -> bool:
    """Whether there is a file of samples of SpikeGLX, or the .meta of one."""
    return any(_NAME.fullmatch(name) for name in names)


def recordings_in(folder: str, names: Sequence[str]) -> list[RecordedFile]:
    """Return the recordings of a folder, also those of which the .bin or the .meta is not there."""
    stems = dict.fromkeys(name.rpartition(".")[0] for name in names if _NAME.fullmatch(name))
    # The files of one run differ in nothing that concerns channels.
    known: dict[tuple, _Channels] = {}
    return [_recording(folder, stem, names, known) for stem in stems]


def _recording(folder: str, stem: str, names: Sequence[str], known: dict[tuple, "_Channels"]) -> RecordedFile:
    path = os.path.join(os.path.abspath(folder), stem)
    columns = _columns_of_name(stem)
    # What was compressed often lies beside it still.
    data = f"{path}.cbin" if f"{stem}.bin" not in names and f"{stem}.cbin" in names else f"{path}.bin"
    return described(FORMAT, data, columns, lambda: _read(data, columns, known))


def _columns_of_name(stem: str) -> dict[str, str]:
    match = _NAME.fullmatch(f"{stem}.bin")
    of_run = _RUN.fullmatch(match["run"]) if match else None
    said = {**match.groupdict(), **of_run.groupdict()} if match and of_run else {}
    trigger = said.get("trigger") or ""
    return {
        "session": said.get("session") or stem,
        "index": str(int(trigger)) if trigger.isdecimal() else "0",
        "gate": said.get("gate") or "",
        "trigger": trigger,
        "processing": "catgt" if trigger == "cat" else "none",
        "stream": said.get("stream") or "",
        "probe": said.get("probe") or "",
    }


def read_meta(path: str) -> dict[str, str]:
    """Return the values of a .meta by key. Raises RecordingsError where it can't be read."""
    lines = (line.partition("=") for line in read_text(path, _MOST_META_BYTES).split("\n"))
    return {key.strip(): value.strip() for key, is_value, value in lines if is_value}


def _read(data: str, columns: Mapping[str, str], known: dict[tuple, "_Channels"]) -> RecordedFile:
    """Return a recording by the path of its samples. Raises RecordingsError where it can't be read."""
    path, extension = os.path.splitext(data)
    meta_path = f"{path}.meta"
    meta, of_ap = read_meta(meta_path), _meta_of_ap(path)
    device = meta.get("typeThis") or columns["stream"]
    stream = _NIDQ if device == "nidq" else _OBX if device.startswith("obx") else _IMEC
    try:
        rate = as_number(meta.get(stream.rate))
        if not rate or rate <= 0:
            raise RecordingsError(f"has no sampling rate ({stream.rate})")
        key = (stream, _without_file(meta), _without_file(of_ap))
        described_channels = known.get(key) or known.setdefault(key, _Channels(meta, stream, of_ap))
    except RecordingsError as error:
        raise RecordingsError(
            f"{meta_path} {error}; correct the file, or describe the recording in a table (recordings.csv)"
        ) from None
    channels, warnings = described_channels.channels, list(described_channels.warnings)
    compressed = read_compressed(data, f"{path}.ch") if extension == ".cbin" else None
    if compressed and compressed.channels != len(channels):
        raise RecordingsError(
            f"{path}.ch says {compressed.channels} channels, {meta_path} {len(channels)}; one is of another recording"
        )
    size = 2 * len(channels) * compressed.samples if compressed else size_of(data)
    samples, rest = split_bytes(data, size, 0, 2 * len(channels))
    said = as_count(meta.get("fileSizeBytes"))
    if said is not None and said != size:
        warnings.append(f"says {said} bytes, {os.path.basename(data)} has {size}; the file counts")
    if rest:
        warnings.append(f"is of a file that ends in the middle of a sample, {rest} bytes after the last whole one")
    start = as_count(meta.get("firstSample"))
    if start is None:
        warnings.append("has no firstSample, as that of a run that was not ended: how it joins others is unknown")
    columns = {
        **columns,
        "probe_type": as_text(meta.get("imDatPrb_type", "3A" if "imProbeOpt" in meta else "")),
        "probe_serial": as_text(meta.get("imDatPrb_sn") or meta.get("imProbeSN")),
        "created": as_text(meta.get("fileCreateTime")),
    }
    clock = " ".join((FORMAT, columns["session"], columns["stream"], columns["probe_serial"])).strip()
    return RecordedFile(
        FORMAT,
        data,
        columns,
        sampling_rate_hz=rate,
        samples=samples,
        parts=() if compressed else (Part(data, 0, samples),),
        channels=channels,
        start_sample=start,
        clock="" if start is None else clock,
        rest_bytes=rest,
        sync=None if start is None else described_channels.sync(f"{FORMAT} {columns['session']}"),
        sidecars=(
            meta_path,
            *([f"{path}.ch"] if compressed else []),
            *([_path_of_ap(path)] if described_channels.uses_ap else []),
        ),
        warnings=tuple(f"{meta_path} {warning}" for warning in warnings),
        started=start_of_text(meta.get("fileCreateTime", "")),
        decode=partial(decode, compressed) if compressed else None,
    )


def _path_of_ap(path: str) -> str:
    return f"{path.removesuffix('.lf')}.ap.meta"


def _meta_of_ap(path: str) -> Meta:
    """Return the .meta of the ap file of the probe of an lf file; {} for others, and where there is none."""
    try:
        return read_meta(_path_of_ap(path)) if path.endswith(".lf") else {}
    except RecordingsError:
        return {}


def _without_file(meta: Meta) -> tuple[tuple[str, str], ...]:
    """Return what a .meta says, but for what is of its file alone."""
    return tuple(item for item in meta.items() if not item[0].startswith(("file", "first")))


class _Channels:
    """The channels that a .meta describes, in the order of the file.

    `of_ap` is the .meta of the ap file of the same probe, which has the map of sites that one of an lf file lacks;
    `uses_ap` says whether that was needed. Raises RecordingsError with what is wrong, without the path.
    """

    def __init__(self, meta: Meta, stream: _Stream, of_ap: Meta):
        self._meta, self._stream, self._of_ap = meta, stream, of_ap
        self.uses_ap = False
        self.warnings: list[str] = []
        # Where in the file the channels are, by their numbers among the acquired ones.
        self._places: dict[int, int] = {}
        self.channels = tuple(self._channels())

    def sync(self, run: str) -> Sync:
        """Return what is said of the pulses that all devices of a run get: a bit of a word, or an analog channel."""
        words = ((place, one.bits) for place, one in enumerate(self.channels) if one.bits)
        channel, bits = next(words, (None, ()))
        threshold = None
        if channel is None and self._stream is _NIDQ and self._meta.get("syncNiChanType") == _ANALOG:
            # Analog channels are counted through all kinds, as they were acquired.
            number = as_count(self._meta.get("syncNiChan"))
            channel = None if number is None else self._places.get(number)
            threshold = as_number(self._meta.get("syncNiThresh"))
        source = self._meta.get("syncSourceIdx")
        is_on = None if source is None else source != _NO_SOURCE
        return Sync(
            *(run, 0, 0.0, _UNCERTAINTY),
            channel=channel,
            bit=len(bits) - 1 if bits else None,
            threshold=threshold,
            period=as_number(self._meta.get("syncSourcePeriod")) if is_on else None,
            is_on=is_on,
        )

    def _channels(self) -> Iterator[Channel]:
        saved = self._counts(self._stream.saved)
        total = as_count(self._meta.get("nSavedChans"))
        if not saved or total != sum(saved) or not 0 < total <= MOST_CHANNELS:
            raise RecordingsError(
                f"has nSavedChans={as_text(self._meta.get('nSavedChans'))}, which is not the sum of"
                f" {self._stream.saved}={as_text(self._meta.get(self._stream.saved))}"
            )
        acquired = self._counts(self._stream.acquired) or saved
        subset = self._subset(total, sum(acquired))
        names = self._names()
        position = first = 0
        for kind, count, of_kind in zip(self._stream.kinds, saved, acquired, strict=True):
            numbers = subset[position : position + count] if subset else list(range(first, first + count))
            self._places |= {number: position + place for place, number in enumerate(numbers)}
            # What CatGT makes of the full band has other kinds than what was acquired.
            own = [number - first if first <= number < first + of_kind else number for number in numbers]
            yield from self._of_kind(kind, own, [names.get(number, "") for number in numbers])
            position, first = position + count, first + of_kind

    def _of_kind(self, kind: _Kind, own: list[int], names: list[str]) -> Iterator[Channel]:
        """Yield the channels of one kind; `own` are their numbers among those of that kind that were acquired."""
        probe = Probe(self._meta) if self._stream is _IMEC and kind.kind != DIGITAL and own else None
        sites = self._sites(probe, kind, own) if probe else [Site()] * len(own)
        scales = [None if kind.kind == DIGITAL else self._scale(probe, kind, number) for number in own]
        if kind.kind != DIGITAL and None in scales:
            of_probe = f" of the probe {as_text(probe.part)} (~imroTbl {as_text(probe.kind)})" if probe else ""
            self.warnings.append(
                f"does not say the gain of channels {kind.letters}{of_probe} as far as is known: they stay counts"
            )
        for number, name, site, scale in zip(own, names, sites, scales, strict=True):
            yield Channel(
                name or f"{kind.letters}{number}",
                kind.kind,
                scale,
                None if scale is None else 0.0,
                "" if scale is None else kind.unit,
                *site,
                bits=self._names_of_bits(kind, number),
            )

    def _names_of_bits(self, kind: _Kind, number: int) -> tuple[str, ...] | None:
        """Return the names of the bits of a word, from 0, up to the one of the pulses that all devices get."""
        sync: int | None = None
        if kind.letters == "SY":
            sync = _SYNC_BIT
        elif kind.letters == "XD" and self._meta.get("syncNiChanType") == _OF_WORD:
            line = as_count(self._meta.get("syncNiChan"))
            # Lines are counted through all words.
            sync = line % _WORD_BITS if line is not None and line // _WORD_BITS == number else None
        return None if sync is None else ("",) * sync + ("sync",)

    def _scale(self, probe: Probe | None, kind: _Kind, number: int) -> float | None:
        """Return what one count is in the unit of the kind; None where range, counts or gain are not known."""
        highest = as_number(self._meta.get(self._stream.range))
        if probe:
            counts, gain = probe.largest_count, probe.gain(number, kind.kind == LF)
        else:
            # Both devices have 16 bits.
            counts = as_number(self._meta.get(self._stream.largest, "32768"))
            gain = as_number(self._meta.get(f"ni{kind.letters}Gain")) if kind.letters in ("MN", "MA") else 1.0
        if not highest or not counts or not gain or min(highest, counts, gain) <= 0:
            return None
        scale = highest / counts / gain * (1e6 if kind.unit == "uV" else 1)
        return scale if 0 < scale < float("inf") else None

    def _sites(self, probe: Probe, kind: _Kind, own: list[int]) -> list[Site]:
        """Return the sites of channels, by the map of the ap file where there is none of their own."""
        sites, other = probe.sites(own), self._of_ap
        has_map = "~snsShankMap" in self._meta or "~snsGeomMap" in self._meta
        if kind.kind != LF or has_map or not other or other.get("~imroTbl") != self._meta.get("~imroTbl"):
            return sites
        self.uses_ap = True
        saved = expand(other.get("snsSaveChanSubset", ""), MOST_CHANNELS) or range(len(own))
        of_ap = as_count(other.get("snsApLfSy", "").partition(",")[0]) or 0
        known = dict(zip(saved, Probe(other).sites(saved[:of_ap]), strict=False))
        return [known.get(number, site) for number, site in zip(own, sites, strict=True)]

    def _counts(self, key: str) -> list[int]:
        """Return how many channels there are of each kind of the stream, [] where that is not said."""
        counts = [as_count(text) for text in self._meta.get(key, "").split(",")]
        known = [count for count in counts if count is not None and count <= MOST_CHANNELS]
        return known if len(known) == len(counts) == len(self._stream.kinds) else []

    def _subset(self, total: int, acquired: int) -> list[int]:
        """Return the numbers of the saved channels among the acquired ones, [] for all of the kinds that are saved."""
        text = self._meta.get("snsSaveChanSubset", "all")
        if text in ("", "all"):
            return []
        subset = expand(text, max(total, acquired))
        if len(subset) != total:
            raise RecordingsError(f"has nSavedChans={total}, but other channels in snsSaveChanSubset={as_text(text)}")
        return subset

    def _names(self) -> dict[int, str]:
        """Return the names of channels, by their numbers among the acquired ones: (name;number:place)."""
        _, rows = table(self._meta.get("~snsChanMap", ""), ";")
        named = [(as_count(row[1].partition(":")[0]), as_text(row[0])) for row in rows if len(row) == 2]
        return {number: name for number, name in named if number is not None}


def expand(text: str, most: int) -> list[int]:
    """Return the numbers of a list of ranges, 0:383,768; [] where it is none, or has others than 0 to most - 1."""
    numbers: list[int] = []
    for piece in text.split(","):
        first, _, last = piece.partition(":")
        low, high = as_count(first), as_count(last or first)
        if low is None or high is None or not low <= high < most or len(numbers) > most:
            return []
        numbers += range(low, high + 1)
    return numbers
