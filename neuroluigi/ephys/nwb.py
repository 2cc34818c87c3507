"""NWB: all of a session in one file of Neurodata Without Borders, for archives and other programs."""

import importlib.util
import json
import uuid
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import luigi
from luigi.task import flatten

from neuroluigi.ephys.by_kind import kinds_of, step_called
from neuroluigi.ephys.nwb_file import Nwb, validate, write
from neuroluigi.ephys.nwb_group import Names, SessionGroup, check_group, labels_of, session_group
from neuroluigi.ephys.nwb_metadata import KEYS, Metadata, metadata_of
from neuroluigi.ephys.picture import read_events_of
from neuroluigi.ephys.ready_made import ReadyMadeName
from neuroluigi.ephys.session_clock import ClockedTask
from neuroluigi.provenance.record import package_versions, read_record
from neuroluigi.provenance.run_record import git_state
from neuroluigi.recordings.recording import Recording, RecordingsError
from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.steps.config import RunStopped, results_root
from neuroluigi.steps.discovery import groups_of_sessions, only_looks
from neuroluigi.steps.tasks import WrapperTask

if TYPE_CHECKING:
    from pynwb import NWBFile

RAW_NONE, RAW_COPY = RAWS = ("none", "copy")
# Of a run record, what the same inputs leave the same; names of people and machines are nobody's business.
_RECORDED = ("step", "parameters", "tool", "versions", "sources")
# The bytes of aggregate.json depend on where the recordings are; its checksum does not.
_OF_FILES = ("recording", "root", "path", "sha256")


def _said(key: str) -> luigi.Parameter:
    return luigi.Parameter(default="", significant=False, positional=False, description=KEYS[key])


class NWB(ClockedTask):
    """All of a session in session.nwb: who and what, recordings, events, trials, and if asked for samples and units.

    Requires {"groups": {group: {"aggregate": an Aggregate, "events": a step that makes events, or a list of such,
    "units": one that makes a sorter's folder}}, "aligned": an Aligned, "trials": a Trials}, of which all but the groups
    and their aggregates may be left out; the second where has_several_streams. What is said of the session is that of
    the columns of its recordings, or else of these settings. Where something is lacking, it fails before anything that
    it requires is made.
    """

    raw = luigi.ChoiceParameter(
        default=RAW_NONE, choices=RAWS, positional=False, description="copy: the samples too, compressed"
    )
    location = luigi.Parameter(
        default="", significant=False, positional=False, description="where in the brain the electrodes are"
    )
    session_description = _said("session_description")
    session_start_time = _said("session_start_time")
    timezone = _said("timezone")
    experimenter = _said("experimenter")
    lab = _said("lab")
    institution = _said("institution")
    keywords = _said("keywords")
    experiment_description = _said("experiment_description")
    protocol = _said("protocol")
    related_publications = _said("related_publications")
    notes = _said("notes")
    subject_id = _said("subject_id")
    species = _said("species")
    sex = _said("sex")
    age = _said("age")
    date_of_birth = _said("date_of_birth")
    strain = _said("strain")
    genotype = _said("genotype")
    weight = _said("weight")
    subject_description = _said("subject_description")
    # They are in the fingerprint, with what columns say in place of them.
    deciding_settings = ("location", *KEYS)

    def __init_subclass__(cls, **kwargs):
        if declared := vars(cls).get("requires"):
            cls.requires = _where_all_is_said(declared)
        super().__init_subclass__(**kwargs)

    def kinds_of(self, group: str) -> tuple[str, ...]:
        """Return the kinds of a group's channels, as PlotAll takes them; digital also for events of lines."""
        return tuple(kinds_of(group))

    def is_set(self, step: type[luigi.Task], *names: str) -> bool:
        """Return whether any of these settings of another step, such as the table of Trials, has a value."""
        parameters = dict(step.get_params())
        return any(parameters[name].task_value(step.get_task_family(), name) for name in names)

    def output(self):
        # A folder may have a name that is too long for that of a file with an end.
        return self.result("session.nwb", Nwb)

    def recordings_problem(self) -> str:
        """Return what is wrong with the recordings, or what is lacking or wrong in what is said of them."""
        try:
            return super().recordings_problem() or self._lacks()
        except RecordingsError as error:
            return str(error)

    def _lacks(self) -> str:
        self._metadata()
        for group in self.groups.values():
            check_group(group, self.raw == RAW_COPY)
        return ""

    def fingerprint(self):
        metadata = self._metadata()
        return {
            "metadata": dict(metadata.values),
            "start": metadata.start.isoformat(),
            "locations": {group: self._location(group) for group in self.groups},
        }

    def make(self, out):
        metadata, groups = self._metadata(), self._session_groups()
        file = self._file(metadata)
        for sentence in self._fill(file, groups):
            print(f"note: {sentence}")
        write(file, out)
        validate(out)

    def _fill(self, file: "NWBFile", groups: Mapping[str, SessionGroup]) -> list[str]:
        """Add all that there is to a file, and return sentences on what is not known."""
        from neuroluigi.ephys.nwb_electrodes import add_electrodes
        from neuroluigi.ephys.nwb_events import add_events
        from neuroluigi.ephys.nwb_signals import add_signals
        from neuroluigi.ephys.nwb_tables import add_gaps, add_recordings, add_trials
        from neuroluigi.ephys.nwb_units import add_units
        from neuroluigi.signals.sorted_units import read_units

        given = self.input()
        sentences = add_electrodes(file, [(one, self._location(key)) for key, one in groups.items()])
        series, tables, sorted_groups = Names(), Names(), []
        for key, group in groups.items():
            of_group = given["groups"][key]
            if self.raw == RAW_COPY:
                add_signals(file, group, read_aggregate(of_group["aggregate"]["layout"].path), series)
            for target in _listed(of_group.get("events", [])):
                found = read_events_of(target)
                if not add_events(file, group, found, tables):
                    sentences.append(f"{key} has no {found.name}, so there is no table of them")
            if "units" in of_group:
                (folder,) = flatten(of_group["units"])
                sorted_groups.append((group, read_units(folder.path, group.samples)))
        add_recordings(file, [*groups.values()])
        add_gaps(file, [*groups.values()])
        if sorted_groups:
            add_units(file, sorted_groups)
        if "trials" in given:
            (trials,) = (one for one in flatten(given["trials"]) if one.path.endswith(".csv"))
            add_trials(file, trials.load())
        self._add_records(file)
        return sentences

    def _file(self, metadata: Metadata) -> "NWBFile":
        from pynwb import NWBFile
        from pynwb.file import Subject

        _, last = self.span()
        versions = package_versions(("pynwb",))
        return NWBFile(
            identifier=self._identifier(metadata),
            session_id=self.session,
            session_start_time=metadata.start,
            # When it was made is in its run record: by the same inputs it is the same file.
            file_create_date=metadata.start + timedelta(seconds=max(0.0, last)),
            session_description=metadata.values["session_description"],
            experimenter=metadata.texts("experimenter"),
            keywords=metadata.texts("keywords", ","),
            related_publications=metadata.texts("related_publications"),
            **{
                name: metadata.text(name)
                for name in ("lab", "institution", "experiment_description", "protocol", "notes")
            },
            subject=Subject(**metadata.subject()),
            source_script=_script(),
            source_script_file_name="tasks.py",
            was_generated_by=[[name, versions[name]] for name in ("neuroluigi", "pynwb") if name in versions],
        )

    def _identifier(self, metadata: Metadata) -> str:
        """Return a name that the same inputs, metadata and settings always give, and no others."""
        facts = {
            "session": self.session,
            "inputs": sorted(self.input_checksums().values()),
            "metadata": dict(metadata.values),
            "start": metadata.start.isoformat(),
            "raw": self.raw,
            "locations": {group: self._location(group) for group in self.groups},
        }
        return str(uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(facts, sort_keys=True)))

    def _add_records(self, file: "NWBFile") -> None:
        """Add what made each of the inputs, as its run record has it, without who made it where and when."""
        names = Names()
        for path in dict.fromkeys(one.record for one in flatten(self.input()) if getattr(one, "record", "")):
            record = read_record(path) or {}
            kept: dict[str, Any] = {name: record[name] for name in _RECORDED if name in record}
            for name in ("inputs", "outputs"):
                kept[name] = [{key: one[key] for key in _OF_FILES if key in one} for one in record.get(name, ())]
            place = Path(path)
            name = f"{place.stem}_{place.parent.parent.name}"
            text = json.dumps(kept, sort_keys=True, ensure_ascii=False)
            file.add_scratch(text, name=names.add(path, f"run_record_{name}"), description=f"JSON: what made {name}")

    def _session_groups(self) -> dict[str, SessionGroup]:
        given, labels = self.input()["groups"], labels_of(self.session, self.groups)
        return {
            key: session_group(
                self.session, group, labels[key], given[key]["aggregate"]["layout"].load(), self.times(key)
            )
            for key, group in self.groups.items()
            if key in given
        }

    def _metadata(self) -> Metadata:
        recordings = [one for key in self.groups for one in self._own_recordings(key)]
        return metadata_of(self.session, recordings, {key: getattr(self, key) for key in KEYS})

    def _own_recordings(self, group: str) -> list[Recording]:
        return [one for one in self.groups[group].recordings if one.session == self.session]

    def _location(self, group: str) -> str:
        return self._own_recordings(group)[0].columns.get("location", "").strip() or self.location


class NWBAll(ReadyMadeName, WrapperTask):
    """The NWB of every session; tasks.py has to have a class NWB."""

    def requires(self):
        step = step_called("NWB", type(self))
        return [step(session) for session in groups_of_sessions()]


def _where_all_is_said(declared: Any) -> Any:
    """Return a requires() that asks for nothing where the step will fail anyway. Raises RunStopped without pynwb."""

    def requires(step: NWB) -> dict[str, Any]:
        if not only_looks() and importlib.util.find_spec("pynwb") is None:
            raise RunStopped(
                "luigi: NWB files are written by pynwb, which is not installed: pip install 'neuroluigi[nwb]'"
            )
        step.lacks_recordings = bool(step.recordings_problem())
        return {} if step.lacks_recordings else declared(step)

    return requires


def _listed(events: Any) -> Iterator[Any]:
    """Yield the output of each step of events: one alone is a dict of targets, or a target."""
    yield from events if isinstance(events, (list, tuple)) else [events]


def _script() -> str:
    """Return what wrote the file: the step, and the state of the pipeline's folder if Git knows it."""
    state = git_state(Path.cwd(), [results_root()])
    clean = "" if state.get("is_clean") else ", with changes that were not committed"
    return f"neuroluigi run NWB; commit {state['commit']}{clean}" if state else "neuroluigi run NWB"
