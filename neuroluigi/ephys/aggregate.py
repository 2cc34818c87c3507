"""Aggregate: the recordings of a group as one, read where they lie or copied into one file."""

import contextlib
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import luigi
from luigi.task import flatten

from neuroluigi.ephys.ready_made import ReadyMade
from neuroluigi.ephys.targets import Concatenation
from neuroluigi.provenance.commit import rewrite
from neuroluigi.provenance.files import path_in_root, read_json
from neuroluigi.recordings.concatenation import is_concatenation, is_described_by_headers
from neuroluigi.recordings.recording import Recording, RecordingsError
from neuroluigi.signals import numpy_functions
from neuroluigi.steps.config import declared_roots, recordings, roots_of_paths, setting
from neuroluigi.steps.describe import StepError
from neuroluigi.steps.matlab import MatlabTask
from neuroluigi.steps.target import RecordingTarget, ResultTarget

# What has places in aggregate.json.
_PLACED = ("parts", "recordings", "excluded")


class Aggregate(ReadyMade, MatlabTask):
    """The group's recordings, one after the other, and what is where in them.

    Requires the tasks of the group's recordings, in order. Makes aggregate.json ("layout"; see targets.Concatenation),
    which names the files in which the samples lie, and their parts. Where these are copied, it makes aggregate.bin too
    ("data"; the raw samples, channels interleaved, little-endian).
    """

    copy = luigi.ChoiceParameter(
        default="auto",
        choices=("auto", "always", "never"),
        significant=False,
        positional=False,
        description="whether the samples are copied into aggregate.bin; auto: those of recordings without a header",
    )
    deciding_settings = ("copy",)
    function = "concatenateFiles"
    numpy_function = numpy_functions.concatenate_files

    def is_copied(self) -> bool:
        """Return whether the samples are copied into aggregate.bin, and not read where they lie."""
        return self.copy == "always" or (self.copy == "auto" and not is_described_by_headers(self._group()))

    def calls_engine(self) -> bool:
        return self.is_copied()

    def tool_label(self) -> tuple[str, str]:
        return super().tool_label() if self.is_copied() else ("Python", "")

    def output(self):
        if self.is_copied():
            return {"data": self.result("aggregate.bin"), "layout": self.result("aggregate.json", Concatenation)}
        return _InPlace(self, self.result("aggregate.json", Concatenation, beside=self.files_of_samples()))

    def flat_target(self) -> Any:
        """Return the target of a file that has the group's samples and nothing else; None where there is none."""
        if self.is_copied():
            return self.output()["data"]
        targets = flatten(self.input())
        if len(targets) == 1 and isinstance(targets[0], ResultTarget):
            return targets[0] if self._is_made_flat(self._group().recordings[0]) else None
        if self._bytes_around() != (0, 0):
            return None
        # Without its header, on which the samples don't depend.
        return RecordingTarget(targets[0].path, targets[0].sha256, targets[0].recording)

    def is_in_one_file(self) -> bool:
        """Return whether all samples lie in one file, in order: after a header perhaps, and with none after them."""
        if self.is_copied() or self.flat_target():
            return True
        around = self._bytes_around()
        return around is not None and around[1] < self._group().recordings[0].bytes_per_sample

    def _bytes_around(self) -> tuple[int, int] | None:
        """Return how many bytes are in front of the samples in their file, and after them; None if it is not one."""
        try:
            parts = self.parts_of_concatenation()
            if len(parts) != 1:
                return None
            path, offset, size = parts[0]
            return offset, os.path.getsize(path) - offset - size  # noqa: PTH202
        except (RecordingsError, OSError):
            # The steps that need the recordings fail with the reason.
            return None

    def _is_made_flat(self, recording: Recording) -> bool:
        """Return whether what a step makes as, or of, a recording has nothing but samples, known before it is made."""
        if recording.made and recording.header_bytes:
            return False
        # What is decoded has whole samples; of anything else, the bytes of an incomplete one may be left at the end.
        return recording.is_encoded or setting(recordings).partial_sample != "drop"

    def arguments(self, out):
        paths, offsets, sizes = map(list, zip(*self.parts_of_concatenation(), strict=True))
        return [paths, out["data"], offsets, sizes]

    def make(self, out):
        if self.is_copied():
            super().make(out)
            Concatenation.save(out["layout"], self.concatenation())
        else:
            Concatenation.save(out["layout"], self._in_place(self.input_checksums()))

    def fingerprint(self):
        layout, parts = self._layout_and_parts()
        return {"layout": layout if self.is_copied() else {**layout, "parts": parts}}

    def _layout_and_parts(self) -> tuple[dict, list[dict]]:
        """Return the content of aggregate.json, and its parts, which have absolute paths alone."""
        layout, parts = self._concatenation_and_parts()
        firsts = itertools.accumulate((one.samples for one in parts), initial=0)
        return layout, [
            {"path": one.path, "offset": one.offset, "first_sample": first, "samples": one.samples}
            for one, first in zip(parts, firsts, strict=False)
        ]

    def _in_place(self, checksums: Mapping[str, str]) -> dict:
        """Return the content of aggregate.json with parts, by the sha256 of each file."""
        layout, parts = self._layout_and_parts()
        described = [{"sha256": checksums[one["path"]], **one} for one in parts]
        return _with_places({**layout, "parts": described}, layout, parts, declared_roots(self.folder))

    def update_places(self, is_moved):
        """Write into aggregate.json where its parts lie today, if they lie elsewhere; it counts as the same."""
        if self.is_copied():
            return
        layout_file, roots = self.output()["layout"], declared_roots(self.folder)
        path, head = Path(layout_file.path), Concatenation.as_text({"roots": roots}).removesuffix("\n}\n").encode()
        with path.open("rb") as file:
            if file.read(len(head)) == head and not is_moved:
                return
        content = read_json(path)
        with contextlib.suppress(RecordingsError):
            layout, parts = self._layout_and_parts()
            # What somebody has edited has places too.
            if content and is_concatenation(content) and _sizes(content) == _sizes({**layout, "parts": parts}):
                content = _with_places(content, layout, parts, roots)
                rewrite(self.record_path, path, Concatenation.as_text(content), layout_file.ignore, roots_of_paths())


def _with_places(content: Mapping, layout: Mapping, parts: Sequence[Mapping], roots: Mapping[str, str]) -> dict:
    """Return the content of aggregate.json with the places of today, by layout and parts of today."""
    absolute = roots_of_paths()
    placed = [
        {**path_in_root(today["path"], absolute), **_without(part, "root", "path")}
        for part, today in zip(content["parts"], parts, strict=True)
    ]
    named = {
        name: [{**row, "path": today["path"]} for row, today in zip(content.get(name, ()), layout[name], strict=True)]
        for name in _PLACED[1:]
    }
    return {"roots": dict(roots), **_without(content, "roots"), **named, "parts": placed}


def _sizes(content: Mapping) -> list[int]:
    return [len(content.get(name, ())) for name in _PLACED]


def _without(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


class _InPlace(dict):
    """The targets of an aggregate whose samples are not copied: who asks for the copy is told what there is instead."""

    def __init__(self, aggregate: Aggregate, layout: ResultTarget):
        super().__init__(layout=layout)
        self._aggregate = aggregate

    def __missing__(self, name: str) -> Any:
        if name != "data":
            raise KeyError(name)
        raise StepError(
            f"{self._aggregate} has no aggregate.bin: its samples are read where they lie, which aggregate.json says;"
            " a step that needs them in one flat file has Flat(self.group) in its requires(), and to have all copied"
            " set [Aggregate] copy = always (--Aggregate-copy always)"
        )
