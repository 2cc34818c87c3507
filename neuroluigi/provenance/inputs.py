"""The inputs of a result, as recorded and as they are today: what changed, what is gone, what only lies elsewhere."""

import functools
import os
from collections.abc import Iterator, Mapping, Sequence

from neuroluigi.provenance.checksums import Checksums
from neuroluigi.provenance.contents import Measure, measure
from neuroluigi.provenance.expected import Expected, Input, Reason
from neuroluigi.provenance.files import path_in_root
from neuroluigi.provenance.plain_data import digest_of_checksums

# A file of a record or of today: the name of its root (None for an absolute path), and its path there.
Key = tuple[str | None, str]

# In place of the checksum of a file that can't be read.
_UNREADABLE = ""


def key_of(file: Mapping) -> Key:
    """Return what tells a file of a record from all others."""
    return file.get("root"), file["path"]


class Inputs:
    """The inputs of a record beside those of today. A file of today is read only where size or time differ."""

    def __init__(self, recorded: Sequence[Mapping], expected: Expected, checksums: Checksums):
        self._recorded, self._expected, self._checksums = recorded, expected, checksums
        self._measures: dict[str, Measure | None] = {}
        # (old name, new path) of files that may be the same, and that are to be read to know.
        self._unchecked: list[tuple[str, str]] = []

    @functools.cached_property
    def missing(self) -> tuple[str, ...]:
        """The recordings of the record that can't be found, by name."""
        return () if self._are_as_recorded else tuple(self._missing())

    @functools.cached_property
    def reasons(self) -> tuple[Reason, ...]:
        """What changed."""
        return () if self._are_the_same else tuple(self._reasons())

    @property
    def unchecked(self) -> tuple[tuple[str, str], ...]:
        """The (old name, new path) of recordings that may only have moved; who may read them finds out."""
        return () if self._are_the_same else tuple(self._unchecked)

    @property
    def moved(self) -> dict[int, str]:
        """The path today of each recorded file that lies elsewhere now, by its position in the record."""
        if self._are_as_recorded or not self._are_the_same:
            return {}
        pairs = zip(self._recorded, self._today.items(), strict=True)
        return {place: one.path for place, (old, (key, one)) in enumerate(pairs) if key_of(old) != key}

    @property
    def digest(self) -> str | None:
        """The digest of the checksums of today; None where one of them is not known."""
        if self._are_as_recorded:
            return digest_of_checksums([old["sha256"] for old in self._recorded])
        known = [one for one in self._now.values() if one]
        return digest_of_checksums(known) if len(known) == len(self._expected.inputs) else None

    @functools.cached_property
    def _are_as_recorded(self) -> bool:
        """Whether the steps that make all of the inputs have told their checksums, and these are the recorded ones."""
        told = [None if one.is_pending else one.sha256 for one in self._expected.inputs]
        return told == [old["sha256"] for old in self._recorded]

    @functools.cached_property
    def _are_the_same(self) -> bool:
        return self._are_as_recorded or list(self._now.values()) == [old["sha256"] for old in self._recorded]

    @functools.cached_property
    def _before(self) -> dict[Key, Mapping]:
        return {key_of(old): old for old in self._recorded}

    @functools.cached_property
    def _today(self) -> dict[Key, Input]:
        return {key_of(path_in_root(one.path, self._expected.roots)): one for one in self._expected.inputs}

    @functools.cached_property
    def _now(self) -> dict[Key, str | None]:
        return {key: self._checksum(key, one) for key, one in self._today.items()}

    @property
    def measures(self) -> list[Measure | None]:
        """The measures of those inputs of today that no step makes, as they were when these were compared."""
        return [self._measures.get(one.path) for one in self._expected.inputs if one.sha256 is None]

    def _missing(self) -> Iterator[str]:
        elsewhere = {key_of(old) for old in (*self._same.values(), *self._replaced.values())}
        for key, old in self._before.items():
            one = self._today.get(key)
            # One that a step makes will be there again.
            if _is_recording(old) and key not in elsewhere and not (one and (one.is_made or one.is_pending)):
                path = one.path if one else _located(old, self._expected.roots)
                if self._measure(path) is None:
                    yield old["path"]

    @functools.cached_property
    def _same(self) -> dict[Key, Mapping]:
        """The recorded file that each new one of today is, by its key of today."""
        left = {k: old for k, old in self._before.items() if k not in self._today and _is_recording(old)}
        new = {k: one for k, one in self._today.items() if k not in self._before and not (one.is_made or one.sha256)}
        same: dict[Key, Mapping] = {}
        for key, one in new.items():
            alike = [old_key for old_key, old in left.items() if self._has_size_and_time(one, old)]
            rivals = [other for other in new.values() if alike and self._has_size_and_time(other, left[alike[0]])]
            named = [old_key for old_key in alike if os.path.basename(old_key[1]) == os.path.basename(key[1])]
            if len(named) == 1 or (len(alike) == 1 and len(rivals) == 1):
                same[key] = left.pop((named or alike)[0])
        for key, one in new.items():
            if key not in same and (matched := self._of_same_content(one, left)):
                same[key] = left.pop(matched)
        return same

    @functools.cached_property
    def _replaced(self) -> dict[Key, Mapping]:
        """The recorded file of the same recording that lay elsewhere and had other content, by the key of today."""
        same = {key_of(old) for old in self._same.values()}
        left = {
            old["recording"]: old
            for key, old in self._before.items()
            if old.get("recording") and key not in self._today and key not in same
        }
        return {
            key: left[one.recording]
            for key, one in self._today.items()
            if one.recording in left and key not in self._before and key not in self._same and self._measure(one.path)
        }

    def _of_same_content(self, one: Input, left: Mapping[Key, Mapping]) -> Key | None:
        found = self._measure(one.path)
        alike = [key for key, old in left.items() if found and found.bytes == old["bytes"]]
        if not alike:
            return None
        try:
            reads = self._expected.reads_moved
            sha256 = self._checksums.of(one.path) if reads else self._checksums.known(one.path)
        except OSError:
            return None
        if sha256 is None:
            self._unchecked.append((alike[0][1], one.path))
            return alike[0]
        return next((key for key in alike if left[key]["sha256"] == sha256), None)

    def _has_size_and_time(self, one: Input, old: Mapping) -> bool:
        found = self._measure(one.path)
        return found is not None and found.matches(old)

    def _checksum(self, key: Key, one: Input) -> str | None:
        """Return the sha256 of an input today, None where it is not known yet, or _UNREADABLE."""
        if one.is_pending or one.sha256:
            return None if one.is_pending else one.sha256
        if key in self._same:
            return None if any(path == one.path for _, path in self._unchecked) else self._same[key]["sha256"]
        old = self._before.get(key)
        if old and self._has_size_and_time(one, old):
            return old["sha256"]
        if old is None and key not in self._replaced and len(self._today) != len(self._recorded):
            # It is new, whatever is in it.
            return None
        try:
            return self._checksums.of(one.path)
        except OSError:
            return _UNREADABLE

    def _reasons(self) -> Iterator[Reason]:
        elsewhere = {key_of(old) for old in (*self._same.values(), *self._replaced.values())}
        for key, one in self._today.items():
            name, now = os.path.basename(one.path), self._now[key]
            old = self._before.get(key) or self._replaced.get(key)
            if now == _UNREADABLE:
                yield Reason("inputs", f"{name} can't be read")
            elif old is None and key not in self._same:
                yield Reason("inputs", f"{name} is new")
            elif old is not None and now not in (None, old["sha256"]):
                yield Reason("inputs", f"{name} changed", old_and_new(old["sha256"], now))
        for key in self._before:
            if key not in self._today and key not in elsewhere:
                yield Reason("inputs", f"{key[1]} is not used now")
        if self._before.keys() == self._today.keys() and list(self._before) != list(self._today):
            yield Reason("inputs", "the order of the inputs changed")

    def _measure(self, path: str) -> Measure | None:
        if path not in self._measures:
            self._measures[path] = measure(path)
        return self._measures[path]


def old_and_new(old: str | None, new: str | None) -> str:
    """Return two checksums, in short, as the detail of a reason."""
    old, new = (f"{sha256[:12]}..." if sha256 else "none" for sha256 in (old, new))
    return f"sha256 {old}, now {new}"


def _is_recording(recorded: Mapping) -> bool:
    """Whether the file that a record names is a recording, wherever it lies."""
    return "recording" in recorded or recorded.get("root") == "recordings"


def _located(recorded: Mapping, roots: Mapping[str, str]) -> str:
    return os.path.join(roots.get(recorded.get("root") or "", ""), recorded["path"].replace("/", os.sep))
