"""Looks at many groups, `luigi` with nothing to do, `neuroluigi status` and `report`, and at a long table.

One group is made for real and multiplied, folders and run records, through the same record code. Beside it the same
shape in plain Luigi: four LocalTargets per group.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from table import BIN, Row, luigi, make_lab, plain_luigi, run

from neuroluigi.provenance.files import write_json
from neuroluigi.provenance.plain_data import digest

FIRST = "g00000"
SETTINGS = ("--recordings-root", "real", "--matlab-engine", "numpy")

PLAIN = """
import luigi

class Step(luigi.Task):
    group = luigi.Parameter()
    below = None

    def requires(self):
        return self.below(self.group) if self.below else []

    def output(self):
        return luigi.LocalTarget(f"plain/{self.group}/{type(self).__name__}")

class One(Step): pass
class Two(Step): below = One
class Three(Step): below = Two
class Four(Step): below = Three

class PlotAll(luigi.WrapperTask):
    count = luigi.IntParameter()

    def requires(self):
        for n in range(self.count):
            # Every result is looked at, as a look of ours does.
            yield from (kind(f"g{n:05}") for kind in (One, Two, Three, Four))
"""


def make_groups(lab: Path, count: int) -> None:
    """Make one group of one recording for real, and all others as copies of it."""
    make_lab(lab)
    (lab / "real" / FIRST).mkdir(parents=True)
    (lab / "real" / FIRST / "rec_0.bin").write_bytes(bytes(range(100)))
    luigi(lab, *SETTINGS)
    for number in range(1, count):
        group = f"g{number:05}"
        for folder in ("real", "results"):
            shutil.copytree(lab / folder / FIRST, lab / folder / group)
        # They need not outlive a power cut.
        with mock.patch.object(os, "fsync"):
            runs = lab / "results" / group / "runs"
            records = {path.stem: json.loads(path.read_text().replace(FIRST, group)) for path in runs.glob("*.json")}
            for step, record in records.items():
                for one in record["requires"]:
                    if "fingerprint" in one:
                        one["fingerprint"] = digest(records[one["step"]]["fingerprint"])
                write_json(runs / f"{step}.json", record)
    for number in range(count):
        folder = lab / "plain" / f"g{number:05}"
        folder.mkdir(parents=True)
        for name in ("One", "Two", "Three", "Four"):
            (folder / name).touch()
    (lab / "plain.py").write_text(PLAIN)


def finished_groups(folder: Path, quick: bool) -> Iterator[Row]:
    """Nothing to do, at numbers that grow."""
    for count in (100,) if quick else (100, 1000, 10000):
        lab = folder / str(count)
        make_groups(lab, count)
        at_most = 10 if count == 10000 else None
        plain = plain_luigi(lab, "plain", "--count", str(count)).seconds
        ours = luigi(lab, *SETTINGS).seconds
        status = run([BIN / "neuroluigi", "status", *SETTINGS], lab).seconds
        for work, seconds in (("luigi", ours), ("neuroluigi status", status)):
            against = f"in s; as plain LocalTargets {plain:.1f} s"
            yield Row(f"{work} on {count:,} finished groups", f"{seconds:.1f} s", against, seconds, at_most)
        if count <= 1000:
            report = run([BIN / "neuroluigi", "report", *SETTINGS], lab).seconds
            size = (lab / "results" / "report.html").stat().st_size / 1e6
            against = f"in s; a page of {size:.1f} MB"
            yield Row(f"neuroluigi report on {count:,} groups", f"{report:.1f} s", against, report, 20)


def hundred_thousand_rows(folder: Path, quick: bool) -> Iterator[Row]:
    """A recordings.csv that long, of as many files, which are all asked for their size and their first bytes."""
    count = 1000 if quick else 100_000
    for per_group in (10, 1):
        lab = make_table(folder / str(per_group), count, per_group)
        for form in ([], ["--csv"], ["--json"]):
            used = run([BIN / "neuroluigi", "recordings", *form, "--recordings-root", "data"], lab)
            command = " ".join(["neuroluigi recordings", *form])
            work = f"{command}, {count:,} rows, {per_group} per group"
            yield Row(work, f"{used.seconds:.1f} s", "in s", used.seconds, 10)
            megabytes = used.peak_bytes / 1e6
            yield Row(f"{work}: memory", f"{megabytes:.0f} MB", "in MB", megabytes, 400)


def make_table(lab: Path, count: int, per_group: int) -> Path:
    """Make a lab of so many small files, and their table with three columns of its own."""
    make_lab(lab)
    rows = ["session,index,path,mouse,condition,probe"]
    for number in range(count):
        session, index = f"s{number // per_group:06}", number % per_group
        recording = lab / "data" / session / f"rec_{index}.bin"
        if not index:
            recording.parent.mkdir(parents=True)
        recording.write_bytes(b"0123456789")
        rows.append(f"{session},{index},{session}/{recording.name},m{number % 50},{'ab'[number % 2]},p{number % 3}")
    (lab / "data" / "recordings.csv").write_text("\n".join(rows) + "\n")
    return lab
