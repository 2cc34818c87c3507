"""What aggregate.json says of samples that a step worked out of those of a group: filtered, or fewer of them."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from neuroluigi.recordings.formats.reader import AP, LF
from neuroluigi.signals.downsampled import kept_samples

# Of all channels, where nothing says what each is; of derived samples each is described.
_OF_ALL = ("scale", "offset", "unit", "channel_names")


def filtered_channels(
    channels: Sequence[Mapping[str, Any]], chosen: Sequence[int], has_offset: Sequence[bool]
) -> list[dict[str, Any]]:
    """Return what is to be said of chosen channels, 0-based, of a filtered signal.

    Counts are in the same scale; what a band-pass, or a reference, took away was the offset.
    """
    return [
        {name: value for name, value in channels[one].items() if keeps or name != "offset"}
        for one, keeps in zip(chosen, has_offset, strict=True)
    ]


def downsampled_channels(channels: Sequence[Mapping[str, Any]], chosen: Sequence[int]) -> list[dict[str, Any]]:
    """Return what is to be said of chosen channels, 0-based, of downsampled ones: of ap, the local field is left."""
    kinds = ({"kind": LF} if channels[one].get("kind") == AP else {} for one in chosen)
    return [{**channels[one], **kind} for one, kind in zip(chosen, kinds, strict=True)]


def derived_content(
    content: Mapping[str, Any], channels: Sequence[Mapping[str, Any]], dtype: str, data_name: str, factor: int = 1
) -> dict[str, Any]:
    """Return the content of an aggregate.json of samples that are in one file beside it.

    Of each stretch without a seam, every `factor`-th sample is there from its first on. Then a recording begins at the
    first of these that it has; counters and missing samples are divided and rounded, half up, gaps so that the errors
    don't add up.
    """
    samples = sum(row["samples"] for row in content["recordings"])
    places = kept_samples(samples, content["segments"], factor)
    derived = {name: value for name, value in content.items() if name not in (*_OF_ALL, "roots", "parts")}
    derived |= {"dtype": dtype, "channels": list(channels), "segments": [new for _, new in places[:-1]]}
    derived["recordings"] = list(content["recordings"])
    if factor > 1:
        derived["recordings"] = [_shortened(row, places, factor) for row in content["recordings"]]
        derived["sampling_rate_hz"] = content["sampling_rate_hz"] / factor
        if "gaps" in content:
            derived["gaps"] = _gaps(content["gaps"], places, factor)
    part = {"path": data_name, "offset": 0, "first_sample": 0, "samples": places[-1][1]}
    return {**derived, "roots": {}, "parts": [part]}


def _new_place(sample: int, places: Sequence[tuple[int, int]], factor: int) -> int:
    """Return the new number of the first sample that is kept at or after a sample."""
    begin, new = places[bisect_right(places, sample, key=itemgetter(0)) - 1]
    return new + -(-(sample - begin) // factor)


def _shortened(row: Mapping[str, Any], places: Sequence[tuple[int, int]], factor: int) -> dict[str, Any]:
    """Return a recording of an aggregate.json with its samples, and counters, at the new rate."""
    first, end = (_new_place(row["first_sample"] + passed, places, factor) for passed in (0, row["samples"]))
    divided = {name: _divided(row[name], factor) for name in ("dropped_samples", "start_sample") if name in row}
    return {**row, "first_sample": first, "samples": end - first, **divided}


def _gaps(gaps: Sequence[Mapping[str, Any]], places: Sequence[tuple[int, int]], factor: int) -> list[dict[str, Any]]:
    """Return gaps at the new rate."""
    found: list[dict[str, Any]] = []
    # Samples that are there less those that passed, before and at the new rate, since it was last unknown how many did.
    origin = new_origin = 0
    for gap in gaps:
        sample, new, missing = gap["sample"], _new_place(gap["sample"], places, factor), gap["missing"]
        if missing is None:
            origin, new_origin = sample, new
        else:
            origin -= missing
            # What is missing is all that passed but what is there: errors don't add up.
            missing = max(0, _divided(sample - origin, factor) - (new - new_origin))
            new_origin -= missing
        found.append({**gap, "sample": new, "missing": missing})
    return found


def _divided(count: int, factor: int) -> int:
    return (2 * count + factor) // (2 * factor)
