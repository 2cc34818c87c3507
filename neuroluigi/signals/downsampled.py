"""Fewer samples per second: low-pass and every so many samples, as writeDownsampled.m writes them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from neuroluigi.signals.aggregate import AggregateFile, read_aggregate
from neuroluigi.signals.filtered import Signal
from neuroluigi.signals.filtered_file import FilteredOptions, sample_bytes
from neuroluigi.signals.signal_options import options_of

# Of the new rate: -6 dB there, -53 dB from 0.6 of it on, which is what would be taken for less than 0.4.
_CORNER = 0.4
# What a rate that is written in decimals may lack of a whole quotient.
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class DownsampledOptions(FilteredOptions):
    """Which channels, of which samples every `factor`-th is kept; the names are those of writeDownsampled.m."""

    factor: int = 0

    def check(self) -> None:
        """Raise ValueError for options that are wrong."""
        super().check()
        if self.factor < 2 or self.factor != int(self.factor):
            raise ValueError(f"factor {self.factor:g} is not a whole number from 2 on")
        if self.low is not None or self.high is not None or self.reference != "none":
            raise ValueError("low, high and reference are no options of what is downsampled: its factor says the band")

    def signal(self, aggregate: AggregateFile) -> Signal:
        """Return the signal of which samples are taken. Raises ValueError for options that are wrong for a group."""
        if aggregate.sampling_rate_hz is None:
            raise ValueError("downsampling needs the sampling rate, which is not known; set sampling_rate_hz")
        return replace(super().signal(aggregate), high=_CORNER * aggregate.sampling_rate_hz / self.factor)


def write_downsampled(aggregate_file: str, data_file: str, *options: object) -> None:
    """Write every `factor`-th sample of each stretch without a seam, from its first on, as writeDownsampled.m does.

    Of the signal below 0.4 of the new rate (-6 dB). The file is as that of write_filtered. `options` are names and
    values in turn; see DownsampledOptions. Raises ValueError for options that are wrong, and what read_aggregate() and
    blocks() raise.
    """
    chosen, _ = options_of(DownsampledOptions, options)
    chosen.check()
    signal, factor = chosen.signal(read_aggregate(aggregate_file)), int(chosen.factor)
    begin = 0
    begins = {first for first, _ in signal.stretches}
    with Path(data_file).open("wb") as file:
        for first, piece in signal.pieces():
            begin = first if first in begins else begin
            file.write(sample_bytes(piece[:, (begin - first) % factor :: factor], chosen.dtype))


def factor_of(rate: float | None, wanted: float) -> int:
    """Return by which whole number a rate has to be divided for the wanted one, both in Hz.

    Raises ValueError where there is none, with the nearest.
    """
    if rate is None:
        raise ValueError("downsampling needs the sampling rate, which is not known; set sampling_rate_hz")
    if not 0 < wanted <= rate / 2:
        raise ValueError(f"rate {wanted:g} Hz is not above 0 and at most half of {rate:g} Hz")
    quotient = rate / wanted
    factor = round(quotient)
    if abs(quotient - factor) > _TOLERANCE * quotient:
        below = int(quotient)
        near = " or ".join(f"{one} ({rate / one:.10g} Hz)" for one in (below, below + 1))
        raise ValueError(f"{rate:.10g} Hz is not a whole number of times {wanted:.10g} Hz; give factor = {near}")
    return factor


def kept_samples(samples: int, segments: Sequence[int], factor: int) -> list[tuple[int, int]]:
    """Return the first sample of each stretch, and its new number where every `factor`-th is kept; last, the ends."""
    begins, place, found = sorted({0, *segments}), 0, []
    for begin, end in zip(begins, [*begins[1:], samples], strict=True):
        found.append((begin, place))
        place += -(-(end - begin) // factor)
    return [*found, (samples, place)]
