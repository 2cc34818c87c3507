"""Lines: the rises and falls of digital lines, in words of bits or in the events that a rig wrote beside samples."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import luigi
from luigi.task import flatten

from neuroluigi.ephys import line_files
from neuroluigi.ephys.line_parameters import (
    TTL,
    LineField,
    LineNames,
    LineNumbers,
    LineWords,
    PulseWidth,
    SettleSamples,
    names_by_bit,
)
from neuroluigi.ephys.ready_made import ReadyMade
from neuroluigi.recordings.concatenation import count_channels
from neuroluigi.recordings.formats.reader import DIGITAL, UNKNOWN, LineFiles
from neuroluigi.recordings.recording import BYTES_PER_VALUE, Recording, RecordingsError
from neuroluigi.signals.lines import LineOptions, find_lines
from neuroluigi.signals.ttl import TtlRecording, find_ttl_lines
from neuroluigi.steps.describe import StepError
from neuroluigi.steps.matlab import MatlabTask
from neuroluigi.steps.spawn import CarriesSettings
from neuroluigi.steps.target import RecordingTarget
from neuroluigi.steps.tasks import OfRecording


class LineEvents(OfRecording, CarriesSettings, luigi.ExternalTask):
    """The files with the changes of digital lines that a rig wrote beside a recording.

    They are inputs of Lines alone: nothing else is made again when they change.
    """

    def output(self):
        recording = self.recording
        files = recording.recorded.line_files if recording.recorded else None
        name = f"{recording.session}/{recording.index}/lines"
        paths = files.paths if files else ()
        return [RecordingTarget(path, recording=f"{name}/{Path(path).name}") for path in paths]


class Lines(ReadyMade, MatlabTask):
    """The rises and falls of digital lines.

    Requires an Aggregate, and by itself the files of events (TTL) that a rig wrote beside the group's recordings, which
    it takes where there are some and no words are set. Makes lines.npy and lines.json; see line_files.
    """

    words = LineWords(
        "words",
        default=(),
        description="channels of the words, from 0, or ttl; blank: the TTL events of Open Ephys where there are some,"
        " else the digital channels",
    )
    bits = LineNumbers("bits", default=(), description="bits that are looked at, from 0; blank: all")
    settle = SettleSamples(default=1, description="samples that a new value has to last, of which the first counts")
    width = PulseWidth(default=None, description="ms: only high phases of this width, give or take a fifth")
    field = LineField(
        "field", default=(), description="first bit and number of bits: changes of their value, not of each bit"
    )
    names = LineNames(default=(), description="names of bits: CHANNEL.BIT:NAME, such as 384.6:sync")
    function = "findLines"
    numpy_function = find_lines

    def __init_subclass__(cls, **kwargs):
        if declared := vars(cls).get("requires"):
            cls.requires = _with_events(declared)
        super().__init_subclass__(**kwargs)

    def output(self):
        return {
            "lines": self.result("lines.npy", line_files.Lines),
            "summary": self.result("lines.json", line_files.LineSummary),
        }

    def _recordings_with_events(self) -> list[tuple[int, Recording, LineFiles]]:
        """Return the recordings whose events are taken, each with its place in the group; none where words are."""
        if self.words not in ((), (TTL,)):
            return []
        files = ((one, one.recorded.line_files if one.recorded else None) for one in self.recordings)
        return [(place, recording, found) for place, (recording, found) in enumerate(files) if found]

    def calls_engine(self) -> bool:
        return not self._recordings_with_events()

    def tool_label(self) -> tuple[str, str]:
        return super().tool_label() if self.calls_engine() else ("Python", "")

    def fingerprint(self):
        # What the header says of the events; the rest of it is in aggregate.json.
        said = [
            {
                "start_sample": one.recorded.start_sample,
                "gaps": [[gap.sample, gap.missing] for gap in one.recorded.gaps],
                "names": [list(name) for name in files.names],
            }
            for _, one, files in self._recordings_with_events()
            if one.recorded
        ]
        return {"events": said} if said else {}

    def make(self, out):
        if self.bits and self.field:
            raise StepError("[Lines] bits and field: it is either single bits, or a field of some next to each other")
        if self.width is not None and self.field:
            raise StepError("[Lines] width and field: a width is that of pulses of a bit, and a field has other values")
        content = self._layout().load()
        if not self.calls_engine():
            self._make_of_events(out, content)
        elif self.words == (TTL,):
            raise StepError("[Lines] words = ttl: there are no files of events beside the recordings of this group")
        else:
            super().make(out)

    def arguments(self, out):
        content = self._layout().load()
        words = self._chosen_words(content)
        options: dict[str, Any] = {
            "words": [word + 1 for word in words] if self.words else None,
            "bits": list(map(int, self.bits)),
            "settle": self.settle,
            "width": self.width,
            "field": list(map(int, self.field)),
            "names": self._names(content, words),
        }
        given = [one for name, value in options.items() if value not in (None, []) for one in (name, value)]
        return [self._layout().path, out["lines"], out["summary"], *given]

    def _layout(self) -> Any:
        return self.input()[0]["layout"]

    def _chosen_words(self, content: Mapping[str, Any]) -> list[int]:
        """Return the channels of the words, from 0. Raises StepError where there are none such."""
        count, channels = count_channels(content), content["channels"]
        kinds = [UNKNOWN] * count if isinstance(channels, int) else [one.get("kind", UNKNOWN) for one in channels]
        if self.words:
            if wrong := [word for word in self.words if int(word) >= count]:
                raise StepError(f"[Lines] words = {', '.join(wrong)}: the channels of this group are 0 to {count - 1}")
        elif {*kinds} == {UNKNOWN}:
            raise StepError(
                "no header says which channels of this group are words of bits: name them, counted from 0, in [Lines]"
                f" words (--Lines-words {count - 1}), or as channels of kind digital in the table of recordings"
            )
        if content["dtype"].startswith("float"):
            raise StepError(f"the samples are of {content['dtype']}, which have no bits: words are whole numbers")
        return sorted(map(int, self.words)) or [place for place, kind in enumerate(kinds) if kind == DIGITAL]

    def _names(self, content: Mapping[str, Any], words: list[int]) -> list[str]:
        """Return a name for each bit that is looked at, of the first word, then of the next; none without any."""
        known = names_by_bit(self.names)
        for word in words:
            said = content["channels"][word].get("bits") if isinstance(content["channels"], list) else None
            for bit, name in enumerate(said or ()):
                known.setdefault((str(word), bit), name)
        bits = sorted(map(int, self.field[:1] or self.bits)) or list(range(8 * BYTES_PER_VALUE[content["dtype"]]))
        names = [known.get((str(word), bit), "") for word in words for bit in bits]
        return names if any(names) else []

    def _make_of_events(self, out: Any, content: Mapping[str, Any]) -> None:
        given = self._recordings_with_events()
        names = {bit: name for _, _, files in reversed(given) for bit, name in files.names}
        names |= {bit: name for (channel, bit), name in names_by_bit(self.names).items() if channel == TTL}
        asked = LineOptions(
            bits=tuple(map(int, self.bits)) or None,
            settle=self.settle,
            width=self.width,
            field=tuple(map(int, self.field)) or None,
        )
        recordings = [
            _placed(recording, files, content["recordings"][place], self.words) for place, recording, files in given
        ]
        find_ttl_lines(recordings, out["lines"], out["summary"], asked, names, content.get("sampling_rate_hz"))


def _with_events(declared: Any) -> Any:
    """Return a requires() with the files of events beside what is declared."""

    def requires(lines: Lines) -> list[luigi.Task]:
        events = [LineEvents(*recording.identity) for _, recording, _ in lines._recordings_with_events()]
        # A class that subclasses one that has them already.
        return list(dict.fromkeys([*flatten(declared(lines)), *events]))

    return requires


def _placed(recording: Recording, files: LineFiles, row: Mapping[str, Any], words: tuple[str, ...]) -> TtlRecording:
    """Return the events of a recording with its place in the group. Raises RecordingsError where that is unknown."""
    recorded = recording.recorded
    hint = "" if words else "; for the words in its channels set [Lines] words"
    if recorded is None or recorded.start_sample is None:
        raise RecordingsError(
            f"{recording.path} has no counter, so which samples {files.states} tells of is unknown{hint}"
        )
    if any(gap.missing is None for gap in recorded.gaps):
        raise RecordingsError(
            f"the counter of {recording.path} runs back, so which samples {files.states} tells of is unknown{hint}"
        )
    gaps = [(gap.sample, gap.missing) for gap in recorded.gaps if gap.missing is not None]
    return TtlRecording(
        *(files.states, files.counters, files.words),
        start=recorded.start_sample,
        first_sample=row["first_sample"],
        samples=row["samples"],
        gaps=gaps,
    )
