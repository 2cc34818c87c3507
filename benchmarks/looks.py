"""Looks at many groups, `luigi` with nothing to do, `neuroluigi status` and `report`, and at a long table.

One group is made for real and multiplied, folders and run records, through the same record code. Beside it the same
shape in plain Luigi: four LocalTargets per group.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from table import BIN, Row, luigi, make_lab, plain_luigi, run

from neuroluigi.provenance.plain_data import digest

FIRST = "g000000"
SETTINGS = ("--recordings-root", "real", "--matlab-engine", "numpy")

# Of which most are the blocks of fourteen files.
_BYTES_OF_GROUP = 120_000

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
            yield from (kind(f"g{n:06}") for kind in (One, Two, Three, Four))
"""


def make_groups(lab: Path, count: int) -> None:
    """Make one group of one recording for real, and all others as copies of it, with records that say so."""
    make_lab(lab)
    (lab / "real" / FIRST).mkdir(parents=True)
    (lab / "real" / FIRST / "rec_0.bin").write_bytes(bytes(range(100)))
    luigi(lab, *SETTINGS)
    (lab / "plain.py").write_text(PLAIN)
    folders = [lab / "real" / FIRST, lab / "results" / FIRST]
    files = [(path, path.read_bytes(), path.stat().st_mtime_ns) for one in folders for path in one.rglob("*.*")]
    fingerprints = [json.loads(content)["fingerprint"] for path, content, _ in files if path.match("runs/*.json")]
    names = [_name(number) for number in range(count)]
    for name in names[1:]:
        # What records have of each other's fingerprints, in which there are paths.
        renamed = {digest(one): digest(json.loads(_renamed(json.dumps(one), name))) for one in fingerprints}
        for path, content, mtime_ns in files:
            if path.match("runs/*.json"):
                text = _renamed(content.decode(), name)
                for old, new in renamed.items():
                    text = text.replace(old, new)
                content = text.encode()
            copy = Path(_renamed(str(path), name))
            try:
                copy.write_bytes(content)
            except FileNotFoundError:
                copy.parent.mkdir(parents=True)
                copy.write_bytes(content)
            os.utime(copy, ns=(mtime_ns, mtime_ns))
    for name in names:
        folder = lab / "plain" / name
        folder.mkdir(parents=True)
        for step in ("One", "Two", "Three", "Four"):
            (folder / step).touch()


def _name(number: int) -> str:
    return f"g{number:06}"


def _renamed(text: str, name: str) -> str:
    return text.replace(FIRST, name)


def finished_groups(folder: Path, quick: bool) -> Iterator[Row]:
    """Nothing to do, at numbers that grow; the first look leaves an index of states for the second."""
    for count in (100,) if quick else (100, 1000, 10_000, 100_000):
        if shutil.disk_usage(folder).free < 1.5 * count * _BYTES_OF_GROUP:
            print(f"{count:,} groups need {1.5e-9 * count * _BYTES_OF_GROUP:.0f} GB, and there is less left")
            return
        lab = folder / str(count)
        make_groups(lab, count)
        plain = plain_luigi(lab, "plain", "--count", str(count)).seconds
        limits = {10_000: (10, 3), 100_000: (None, 30)}.get(count, (None, None))
        for work, at_most in zip(("luigi", "neuroluigi status"), limits, strict=True):
            is_luigi = work == "luigi"
            used = luigi(lab, *SETTINGS) if is_luigi else run([BIN / "neuroluigi", "status", *SETTINGS], lab)
            what, against = f"{work} on {count:,} finished groups", f"in s; as plain LocalTargets {plain:.1f} s"
            yield Row(what, f"{used.seconds:.1f} s", against, used.seconds, at_most)
            megabytes = used.peak_bytes / 1e6
            yield Row(f"{what}: memory", f"{megabytes:.0f} MB", "in MB", megabytes, None if is_luigi else 1000)
        if count <= 1000:
            report = run([BIN / "neuroluigi", "report", *SETTINGS], lab).seconds
            size = (lab / "results" / "report.html").stat().st_size / 1e6
            against = f"in s; a page of {size:.1f} MB"
            yield Row(f"neuroluigi report on {count:,} groups", f"{report:.1f} s", against, report, 20)
        shutil.rmtree(lab)


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
