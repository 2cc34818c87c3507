"""The files of a new lab folder: luigi.cfg, tasks.py, .gitignore, and an M-function of the lab's own in matlab/."""

import configparser
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from luigi.configuration import LuigiConfigParser

from neuroluigi.engines.engine import EngineError, find_engine
from neuroluigi.provenance.files import write_text
from neuroluigi.steps.config import RunStopped
from neuroluigi.steps.settings_file import read_problem

_TASK = "PlotAll"

_SETTINGS = """\
# What differs from the defaults, and in comments what is often set. All settings: neuroluigi doctor, or
# docs/settings.md. A per cent sign in a value is written %%. Each is an option too: --Edges-threshold 0.6

[neuroluigi]
# The task that stands for the whole pipeline.
task = {task}

[recordings]
# Folder of the recordings, which are never written to; a relative one counts from this file.
{root}
# Which to look for: auto are all that a header describes; or by name, such as wav.
{format}
# Take these alone: column=value, with commas between several.
# select = stream=imec0.ap
# The columns whose values make a group; neuroluigi recordings shows the groups.
# group_by = session, stream
# More columns by session, such as subject.
# metadata = sessions.csv
# All of them as a table, to edit and keep: neuroluigi recordings --csv > recordings.csv
# table = recordings.csv
# Channels to leave out everywhere: names, or positions from 0; also a column of the table.
# bad_channels = 191
{raw}
[PlotAll]
# Steps of a group, by the kinds of its channels. Those of raw files are unknown, unless a column kind says otherwise.
# ap = Stats, SpikeTraces, SpikePlots
# lf = Stats, Traces, Spectrum
# analog = Stats, Traces
# aux = Stats, Traces
# digital = Lines
# unknown = Plot

[Spikes]
# Threshold crossings: at or below -5 standard deviations of the noise, from 300 to 6000 Hz.
# noise = 5
# low = 300
# high = 6000

[Edges]
# Level of a rising edge as a fraction of the channel's range, from 0 to 1 ...
# threshold = 0.75
# ... or in raw counts.
# level =

[Trials]
# A table of each session's trials below root, with the columns start_time and stop_time; each {{field}} is a column.
# table = {{session}}/trials.csv

[NWB]
# What is said of all sessions in files of NWB (neuroluigi export nwb), each also as a column of metadata, which wins.
# The first four and age or date_of_birth are needed. All names: docs/nwb.md
# session_description =
# subject_id =
# species = Mus musculus
# sex = F
# age = P90D
# Of times without a zone in headers.
# timezone = Europe/Zurich
# copy: the samples too.
# raw = none

[Plot]
# For every picture. Channels to show: names, or positions from 0; blank: some.
# channels =
# Seconds to show, such as 10-12.5; blank: all.
# window =

[matlab]
# auto: Matlab, or else Octave; numpy: NumPy functions in place of the M-functions.
{engine}
# Folders of your own M-files, with commas between several, the one that wins first: matlab/countAbove.m is an example.
# Those that come with neuroluigi are found after them.
# folder = matlab

[core]
# Steps that run at the same time.
# workers = 1
"""

_RAW = """\
# Raw files have no header that says what is in them: name it here, or in a table, recordings.csv.
# Where they are below root; each {field} becomes a column, and {session} and {index} must be there.
# pattern = {session}/rec_{index}.bin
# dtype: uint8, int8, uint16, int16, int32, float32 or float64.
# dtype = int16
# channels = 385
# sampling_rate_hz = 30000
"""

_TASKS = '''\
"""The pipeline: what is made of each group of recordings, and from what; [PlotAll] of luigi.cfg says which of it.

neuroluigi run
"""

from neuroluigi import ReportTask, ephys, recording_task


class Aggregate(ephys.Aggregate):
    def requires(self):
        return [recording_task(recording) for recording in self.recordings]


class Flat(ephys.Flat):
    def requires(self):
        return Aggregate(self.group)


class Handover(ephys.Handover):
    def requires(self):
        return {"aggregate": Aggregate(self.group), "flat": Flat(self.group)}


class Stats(ephys.Stats):
    def requires(self):
        return Aggregate(self.group)


class Edges(ephys.Edges):
    def requires(self):
        return {"aggregate": Aggregate(self.group), "stats": Stats(self.group)}


class Crossings(ephys.Crossings):
    def requires(self):
        return Aggregate(self.group)


class Spikes(ephys.Spikes):
    def requires(self):
        return Aggregate(self.group)


class Snippets(ephys.Snippets):
    def requires(self):
        return {"aggregate": Aggregate(self.group), "events": Spikes(self.group)}


class Filtered(ephys.Filtered):
    def requires(self):
        return Aggregate(self.group)


class Downsampled(ephys.Downsampled):
    def requires(self):
        return Aggregate(self.group)


class Beats(ephys.Beats):
    def requires(self):
        return Aggregate(self.group)


class Photodiode(ephys.Photodiode):
    def requires(self):
        return Aggregate(self.group)


class Lines(ephys.Lines):
    def requires(self):
        return Aggregate(self.group)


class Pulses(ephys.Pulses):
    def requires(self):
        return Aggregate(self.group)


class Aligned(ephys.Aligned):
    def requires(self):
        return {
            group: {
                "aggregate": Aggregate(group),
                "pulses": Pulses(group) if self.is_analog(group) else Lines(group),
            }
            for group in self.groups_with_pulses
        }


class Trials(ephys.Trials):
    def requires(self):
        return {
            "groups": {group: {"aggregate": Aggregate(group)} for group in self.groups},
            "table": self.table_files,
            "moments": {
                group: Photodiode(group) if self.is_analog(group) else Lines(group) for group in self.groups_with_line
            },
            **({"aligned": Aligned(self.session)} if self.has_several_streams else {}),
        }


class Peri(ephys.Peri):
    def requires(self):
        spikes = {group: {"events": Spikes(group)} for group in self.groups_with_spikes}
        return {
            "groups": {group: {"aggregate": Aggregate(group), **spikes.get(group, {})} for group in self.groups},
            "moments": {
                group: Photodiode(group) if self.is_analog(group) else Lines(group) for group in self.groups_with_line
            },
            **({"trials": Trials(self.session)} if self.needs_trials else {}),
            **({"aligned": Aligned(self.session)} if self.has_several_streams else {}),
        }


class NWB(ephys.NWB):
    def requires(self):
        steps = {"ap": Spikes, "digital": Lines}
        of_groups = {
            group: {
                "aggregate": Aggregate(group),
                "events": [steps[kind](group) for kind in self.kinds_of(group) if kind in steps],
            }
            for group in self.groups
        }
        return {
            "groups": of_groups,
            **({"trials": Trials(self.session)} if self.is_set(Trials, "table", "line") else {}),
            **({"aligned": Aligned(self.session)} if self.has_several_streams else {}),
        }


class NWBAll(ephys.NWBAll):
    """The NWB of every session: neuroluigi export nwb."""


class Traces(ephys.Traces):
    def requires(self):
        return {"aggregate": Aggregate(self.group)}


class SpikeTraces(ephys.Traces):
    def requires(self):
        return {"aggregate": Aggregate(self.group), "events": Spikes(self.group)}


class SpikePlots(ephys.EventPlots):
    def requires(self):
        return {"aggregate": Aggregate(self.group), "events": Spikes(self.group), "snippets": Snippets(self.group)}


class Spectrum(ephys.Spectrum):
    def requires(self):
        return Aggregate(self.group)


class Plot(ephys.Plot):
    def requires(self):
        return {"aggregate": Aggregate(self.group), "stats": Stats(self.group), "edges": Edges(self.group)}


class PlotAll(ephys.PlotAll):
    """What [PlotAll] of luigi.cfg names, of every group."""


class Report(ReportTask):
    shows = PlotAll
'''

# For a step of the lab's own, as README.md has it.
_EXAMPLE = """\
function countAbove(aggregateFile, countFile, level)
  % COUNTABOVE writes how many values of all channels are at or above a level.
  aggregate = readAggregate(aggregateFile);
  above = 0;
  for first = 0:aggregate.blockSamples:aggregate.samples - 1
    above = above + sum(sum(readBlock(aggregate, first) >= level));  % channels x samples
  end
  fid = fopen(countFile, 'w');
  fprintf(fid, '{"above": %d}\\n', above);
  fclose(fid);
end
"""

# What a run makes, and what can be made again.
_IGNORED = ("/results/", "/results-*/", "/recordings/", "/luigid.pickle", "__pycache__/", "octave-workspace", ".venv/")


def first_files(lab: Path, root: str, recordings: Iterable[str], format: str, are_raw: bool) -> dict[str, str]:
    """Return the text of each file of a new lab folder by its path in it.

    `root` is the absolute folder of the recordings, "" where there are none, `recordings` are their paths, and `format`
    is what luigi.cfg has to name; `are_raw`: it has to say what is in them. Raises RunStopped for a root that
    luigi.cfg can't hold.
    """
    return {
        "luigi.cfg": _settings(_seen_from(lab, root) if root else "", format, are_raw),
        "tasks.py": _TASKS,
        ".gitignore": "".join(f"{one}\n" for one in (*_IGNORED, *_raw_data_in(lab, recordings))),
        "matlab/countAbove.m": _EXAMPLE,
    }


def write_missing(lab: Path, files: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Write the files that are not there, each whole or not at all; return the names of these and of the others.

    Raises RunStopped where one can't be written.
    """
    written, kept = [], []
    for name, text in files.items():
        path = lab / name
        if os.path.lexists(path):
            kept.append(name)
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text)
        except OSError as error:
            raise RunStopped(
                f"neuroluigi: can't write {path}: {error.strerror}; mend that and give the same command again, or"
                " choose another folder: neuroluigi init --data RECORDINGS FOLDER"
            ) from error
        written.append(name)
    return written, kept


def words_left_to_say(lab: Path, root: str) -> tuple[list[str], list[str]]:
    """Return what luigi.cfg leaves to be said for a run on the recordings in `root`: the task, and options.

    Raises RunStopped for a luigi.cfg that was there and can't be read.
    """
    config = LuigiConfigParser()
    try:
        config.read(lab / "luigi.cfg", encoding="utf-8")
        task, declared = config.get("neuroluigi", "task", ""), config.get("recordings", "root", "")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise RunStopped(f"neuroluigi: {read_problem(error)}") from error
    is_declared = declared and os.path.abspath(lab / declared) == root  # noqa: PTH100 (resolve() would follow links)
    return [] if task else [_TASK], ["--recordings-root", root] if root and not is_declared else []


def command_in(lab: Path, words: Iterable[str]) -> str:
    """Return what is typed in the current folder for a command that is to run in `lab`."""
    command = " ".join(map(quoted, words))
    return command if lab == Path.cwd() else f"cd {quoted(str(lab))} && {command}"


def quoted(word: str) -> str:
    """Return a word as it is typed in a shell of this system."""
    return f'"{word}"' if os.name == "nt" and " " in word else word if os.name == "nt" else shlex.quote(word)


def has_engine() -> bool:
    """Whether Matlab or Octave is found where a run would look without settings."""
    try:
        find_engine("auto", {"matlab": ("matlab",), "octave": ("octave-cli",)}, may_use_numpy=False)
    except EngineError:
        return False
    return True


def _settings(root: str, format: str, are_raw: bool) -> str:
    text = _SETTINGS.format(
        task=_TASK,
        root=f"root = {root.replace('%', '%%')}" if root else "# root = /nas/raw",
        format="# format = auto" if format == "auto" else f"format = {format}",
        raw=_RAW if are_raw else "",
        engine="# engine = auto" if has_engine() else "# There was neither on this machine.\nengine = numpy",
    )
    config = LuigiConfigParser()
    try:
        text.encode()
        config.read_string(text)
        is_same = config.get("recordings", "root", "") == root
    except (configparser.Error, UnicodeEncodeError):
        is_same = False
    if not is_same:
        raise RunStopped(
            f"neuroluigi: luigi.cfg can't hold the name of the folder {root!r}; make a link to it with a plain name,"
            " and give that"
        )
    return text


def _seen_from(lab: Path, root: str) -> str:
    """Return a folder as luigi.cfg names it: relative where it is in the lab's, so that both can be moved together."""
    return str(Path(root).relative_to(lab)) if Path(root).is_relative_to(lab) else root


def _raw_data_in(lab: Path, recordings: Iterable[str]) -> list[str]:
    """Return a line of .gitignore for whatever lies in the lab folder itself and is, or has, recordings."""
    tops = {Path(one).relative_to(lab).parts[:2] for one in recordings if Path(one).is_relative_to(lab)}
    return sorted({f"/{_as_pattern(top[0])}{'/' * (len(top) > 1)}" for top in tops})


def _as_pattern(name: str) -> str:
    """Return what stands for a name in .gitignore: a backslash is for a space at the end too, `?` for a line end."""
    return re.sub(r"[\r\n]", "?", re.sub(r"([\\*?\[\]]| $)", r"\\\1", name))
