"""The crate of results: what it says is true of the files, and the profile's own validator takes it."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from neuroluigi.provenance import run_lock
from neuroluigi.provenance.files import write_json
from neuroluigi.provenance.record import describe_host, package_versions, read_record
from tests import commands
from tests.conftest import BIN, HAS_OCTAVE, clean_environment
from tests.lab import Lab

FAKES = ["--FakeRecording-sessions", "a b#1&,50%é", "--FakeRecording-count", "1", "--matlab-engine", "numpy"]
OCTAVE, NUMPY = "50%é-even", "a b#1&-even"
SECRETS = {"AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI", "PASSWORD": "correct-horse", "GITHUB_TOKEN": "ghp_16C7e42F"}
LICENCE, INSTITUTE = "https://creativecommons.org/licenses/by/4.0/", ("https://institute.example/", "An institute")
NAMED = ["--license", LICENCE, "--organization", *INSTITUTE]
STEPS = """

class Copy(GroupTask, CommandTask):
    command = "cp"
    home_page = "https://www.gnu.org/software/coreutils/"

    def requires(self):
        return Edges(self.group)

    def output(self):
        return self.result("copy.npy")

    def arguments(self, out):
        return [self.input().path, out]


class Database(luigi.ExternalTask):
    def output(self):
        return Row()


class Row(luigi.Target):
    table = "subjects"

    def exists(self):
        return True


class Folder(StudyTask):
    def requires(self):
        return Database()

    def output(self):
        return self.result_folder("folder")

    def make(self, out):
        (out / "a.txt").write_text("a")


class Broken(GroupTask):
    def output(self):
        return self.result("broken.txt")

    def make(self, out):
        print("before it broke")
        raise ValueError("no <spikes> & 100 % noise")
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A lab with strange names, an engine per group, a failed step, and files that are dropped, gone and modified."""
    lab = Lab(tmp_path_factory.mktemp("crate") / "lab")
    lab.add(STEPS)
    engine = ["--matlab-engine", "octave"] if HAS_OCTAVE else []
    lab.run("Stats", "--group", OCTAVE, *FAKES[:4], *(engine or FAKES[4:]), env=SECRETS)
    lab.run("PlotAll", *FAKES, "--workers", "2", env=SECRETS)
    lab.run("Copy", "--group", NUMPY, *FAKES, env=SECRETS)
    lab.run("Broken", "--group", NUMPY, *FAKES, env=SECRETS, code=30)
    ask(lab.folder, "drop", "--step", "Aggregate", "--group", NUMPY, "--yes", *FAKES)
    (lab.results / NUMPY / "plot.png").unlink()
    (lab.results / OCTAVE / "stats.json").write_text('{"count": 1}')
    (lab.results / "run.json").write_text("{}")
    return lab


@pytest.fixture
def lab(done, tmp_path):
    return done.copied_to(tmp_path / "lab")


def ask(folder, *arguments, code=0):
    """Run `neuroluigi` in a folder; return its output, or the one line of its error."""
    done = commands.run(
        [BIN / "neuroluigi", *map(str, arguments)],
        cwd=folder,
        env={**clean_environment(), **SECRETS},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert done.returncode == code and "Traceback" not in done.stderr, done
    assert not done.stderr or len(done.stderr.splitlines()) == 1, done
    return done.stdout or done.stderr


def written(lab, *arguments):
    """Write the crate; return its entities by their @id."""
    ask(lab.folder, "export", "rocrate", *arguments)
    graph = json.loads((lab.results / "ro-crate-metadata.json").read_text(encoding="utf-8"))["@graph"]
    by_id = {one["@id"]: one for one in graph}
    assert len(by_id) == len(graph)
    return by_id


def ids(value):
    return [one["@id"] for one in (value if isinstance(value, list) else [value])]


def action(by_id, step, group):
    (found,) = [one for one in by_id.values() if one["@type"] == "CreateAction" and one["name"] == f"{step} in {group}"]
    return found


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_files_that_are_there_are_parts_with_their_size_and_checksum_and_no_others(lab):
    by_id = written(lab)
    parts = {unquote(one): by_id[one] for one in ids(by_id["./"]["hasPart"])}
    assert all(re.fullmatch(r"[\w.~/%-]+", one["@id"], re.ASCII) for one in parts.values())
    there = {path.relative_to(lab.results).as_posix() for path in lab.results.rglob("*.*") if path.is_file()}
    names = {name for name in there if not Path(name).name.startswith(".")}
    assert parts.keys() == names - {"ro-crate-metadata.json"}
    made = {name: one for name, one in parts.items() if "run" not in name}
    assert {name.split("/")[1] for name in made} >= {"aggregate.bin", "edges.npy", "copy.npy", "plot.png", "stats.json"}
    for name, one in made.items():
        path = lab.results / name
        assert (one["sha256"], one["contentSize"]) == (sha256(path), str(path.stat().st_size)), name
    assert "modified since Stats made it" in parts[f"{OCTAVE}/stats.json"]["description"]


def test_what_is_not_there_is_described_by_its_checksum_and_no_part(lab):
    by_id = written(lab)
    absent = {one["name"]: one for one in by_id.values() if one["@type"] == "File" and one["@id"].startswith("#")}
    assert {name: one["description"].split(" on ")[0] for name, one in absent.items() if "runs" not in name} == {
        f"{NUMPY}/aggregate.bin": "its bytes were dropped",
        f"{NUMPY}/aggregate.json": "its bytes were dropped",
        f"{NUMPY}/plot.png": "not in this crate: no file of this name has these bytes",
        f"{OCTAVE}/stats.json": "not in this crate: no file of this name has these bytes",
        "50%é/rec_0.bin": "not in this crate: it lies outside of the folder of results",
        "a b#1&/rec_0.bin": "not in this crate: it lies outside of the folder of results",
    }
    recording = lab.folder / "recordings" / "50%é" / "rec_0.bin"
    assert absent["50%é/rec_0.bin"]["sha256"] == sha256(recording) and str(lab.folder) not in json.dumps(absent)
    stats = action(by_id, "Stats", OCTAVE)
    assert absent[f"{OCTAVE}/stats.json"]["@id"] in ids(stats["result"])


def test_an_action_tells_who_made_what_from_what_with_which_tool(lab):
    by_id = written(lab)
    edges = action(by_id, "Edges", NUMPY)
    record = read_record(lab.results / NUMPY / "runs" / "Edges.json")
    objects = [by_id[one] for one in ids(edges["object"])]
    files = {one["name"].split("/")[1]: one["sha256"] for one in objects if one["@type"] == "File"}
    assert files == {Path(one["path"]).name: one["sha256"] for one in record["inputs"]}
    values = {one["name"]: one["value"] for one in objects if one["@type"] == "PropertyValue"}
    assert values.items() >= {"group": NUMPY, "threshold": 0.75, "polarity": "rising", "ends": False}.items()
    assert "level" not in values and "channels" not in values
    assert [unquote(one) for one in ids(edges["result"])] == [
        f"{NUMPY}/edges.npy",
        f"{NUMPY}/runs/Edges.log",
        f"{NUMPY}/runs/Edges.json",
    ]
    assert edges["actionStatus"] == "http://schema.org/CompletedActionStatus"
    assert edges["startTime"][:19] == record["started"][:19] and edges["endTime"] >= edges["startTime"]
    assert by_id[edges["agent"]["@id"]]["name"] == describe_host()["user"]
    tools = {
        step: by_id[ids(action(by_id, step, group)["instrument"])[0]]
        for step, group in (("Stats", OCTAVE), ("Edges", NUMPY), ("Plot", NUMPY), ("Copy", NUMPY))
    }
    first = "GNU Octave" if HAS_OCTAVE else "NumPy, standing in for M-functions"
    names = [first, "NumPy, standing in for M-functions", "Python", "cp"]
    assert [one["name"] for one in tools.values()] == names
    assert tools["Plot"]["softwareVersion"] == package_versions()["python"]
    assert tools["Copy"]["url"] == "https://www.gnu.org/software/coreutils/" and tools["Copy"]["softwareVersion"]
    if HAS_OCTAVE:
        code = [by_id[one] for one in ids(action(by_id, "Stats", OCTAVE)["instrument"])[1:]]
        (source,) = [one for one in code if one["name"] == "matlab/computeStats.m"]
        assert source["version"] == sha256(lab.folder / "matlab" / "computeStats.m")
        assert (source["@type"], source["programmingLanguage"]) == ("SoftwareSourceCode", "MATLAB")
        (source,) = [one for one in code if one["name"] == "tasks.py:Stats"]
        assert source["programmingLanguage"] == "Python"


def test_a_failed_step_is_a_failed_action_with_its_error_and_log(lab):
    by_id = written(lab)
    broken = action(by_id, "Broken", NUMPY)
    assert broken["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert broken["error"].startswith("ValueError: no <spikes> & 100 % noise (tasks.py, line ")
    log, _ = (lab.results / unquote(one) for one in ids(broken["result"]))
    assert log.name == "Broken.failed.log" and log.read_text(encoding="utf-8").startswith("before it broke")
    tool, *code = (by_id[one] for one in ids(broken["instrument"]))
    assert tool["name"] == "Python" and [one["name"] for one in code] == ["tasks.py:Broken"]


def test_nothing_else_is_written_and_the_same_records_give_the_same_crate(lab):
    def files():
        everything = (path for path in lab.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {path: path.read_bytes() for path in everything if not path.name.startswith(".")}

    before = files()
    out = ask(lab.folder, "export", "rocrate", *NAMED)
    path = lab.results / "ro-crate-metadata.json"
    first = path.read_bytes()
    assert "add --" not in out and "results and 1 failures" in out
    for one in before:
        os.utime(one)
    ask(lab.folder, "export", "rocrate", *NAMED)
    assert files() == {**before, path: first}


KILLED = """
import os, pathlib, sys
from neuroluigi.provenance.parts import part_path
from neuroluigi.provenance.register import Register
path = pathlib.Path(sys.argv[1])
Register.open(path.parent, {"command": "neuroluigi export rocrate"})
part_path(path).write_text("{")
os._exit(0)
"""


def test_a_crate_that_can_not_be_written_is_one_line_and_leaves_nothing(lab):
    (lab.results / "ro-crate-metadata.json").mkdir()
    assert "can't write to" in ask(lab.folder, "export", "rocrate", code=1)
    assert not list(lab.results.glob("*.part-*"))
    (lab.results / "ro-crate-metadata.json").rmdir()
    # What a run of it that was killed left behind.
    subprocess.run([sys.executable, "-c", KILLED, lab.results / "ro-crate-metadata.json"], check=True)
    assert list(lab.results.glob("*.part-*"))
    ask(lab.folder, "export", "rocrate")
    assert not list(lab.results.glob("*.part-*"))
    assert "'CC BY' is no URL, such as https://" in ask(lab.folder, "export", "rocrate", "--license", "CC BY", code=1)
    assert "there are no run records in" in ask(lab.folder, "export", "rocrate", "--results-root", "matlab", code=1)


def test_a_crate_that_was_moved_is_verified_without_recordings_or_pipeline(lab, tmp_path):
    ask(lab.folder, "export", "rocrate", *NAMED)
    there = tmp_path / "another machine" / "crate"
    there.parent.mkdir()
    shutil.move(lab.results, there)
    shutil.rmtree(lab.folder)
    # Two are as the fixture left them; nothing is said of the crate and the record of the run.
    out = ask(there, "verify", "--results-root", ".", code=1)
    assert [line.split(":")[0] for line in out.splitlines()[:-1]] == ["damaged", "missing"]
    content = bytearray((there / NUMPY / "edges.npy").read_bytes())
    content[-1] ^= 1
    (there / NUMPY / "edges.npy").write_bytes(content)
    assert f"changed: {NUMPY}/edges.npy has other bytes than its run record says" in ask(
        there, "verify", "--results-root", ".", code=1
    )
    # It can be written anew there, too.
    assert "results and 1 failures" in ask(there.parent, "export", "rocrate", "--results-root", "crate")


def test_no_secret_of_the_environment_is_in_any_file(lab):
    ask(lab.folder, "export", "rocrate")
    files = [path for path in lab.folder.rglob("*") if path.is_file()]
    assert len(files) > 40
    for path in files:
        content = path.read_bytes()
        assert not [name for name, value in SECRETS.items() if name.encode() in content or value.encode() in content]


def doctor_records(lab):
    """Leave a record that says next to nothing, one that can't be read, and a failure of an older version."""
    folder = lab.results / NUMPY / "runs"
    (folder / "Stats.json").write_text('{"schema": 1, "outputs": [], "parameters": {"x": [1], "y": NaN}}')
    (folder / "Edges.json").write_text("{")
    record = read_record(folder / "Plot.json")
    record["inputs"].append({**record["inputs"][0], "root": None, "path": "/far away/rec.bin"})
    write_json(folder / "Plot.json", record)
    failed = {"schema": 1, "step": "Old", "parameters": {}, "error": "so", "started": "then"}
    (folder / "Old.failed.json").write_text(json.dumps(failed))


def test_poor_records_are_described_as_far_as_they_go(lab):
    doctor_records(lab)
    by_id = written(lab)
    with run_lock.side_by_side(lab.results, {}, "luigi Stats"):
        out = ask(lab.folder, "export", "rocrate")
    assert f"left out: results/{NUMPY}/runs/Edges.json is no run record" in out
    assert "a run is working on these results, write the crate again after it: luigi Stats, process" in out
    old = action(by_id, "Old", NUMPY)
    assert by_id[old["instrument"]["@id"]]["name"] == "Old" and "startTime" not in old
    assert [one["name"] for one in by_id.values() if one["@id"].startswith("#None/")] == ["/far away/rec.bin"]


# The validator


@pytest.fixture
def validate(monkeypatch):
    """Return a function that gives what the profile's validator finds wrong; it reaches no network."""
    from rocrate_validator import services
    from rocrate_validator.models import Severity, ValidationSettings
    from rocrate_validator.utils.http import HttpRequester

    class Answer:
        status_code, headers = 200, {"Content-Type": "application/ld+json"}

        def __init__(self, content):
            self.content = content

        def json(self):
            return self.content

    contexts = json.loads((Path(__file__).parent / "ro_crate_contexts.json").read_text())
    monkeypatch.setattr(HttpRequester, "get", lambda self, url, **_: Answer(contexts[url]), raising=False)

    def validate(folder):
        settings = ValidationSettings(
            rocrate_uri=str(folder),
            profile_identifier="process-run-crate",
            requirement_severity=Severity.RECOMMENDED,
        )
        return {(one.severity.name, one.message) for one in services.validate(settings).get_issues()}

    return validate


def test_the_validator_of_the_profile_finds_nothing_to_require_or_recommend(lab, validate):
    lab.run("Folder", *FAKES)
    by_id = written(lab, *NAMED)
    assert by_id["study/folder/"]["@type"] == "Dataset" and "study/folder/" in ids(by_id["./"]["hasPart"])
    (other,) = [by_id[one] for one in ids(action(by_id, "Folder", "study")["object"])]
    assert (other["@type"], other["name"]) == ("CreativeWork", "subjects")
    assert validate(lab.results) == set()


def test_without_a_licence_and_with_poor_records_the_validator_only_recommends(lab, validate):
    doctor_records(lab)
    out = ask(lab.folder, "export", "rocrate")
    assert "no licence" in out and "add --license URL" in out and "add --organization URL NAME" in out
    # So that something is required.
    (lab.results / OCTAVE / "edges.npy").unlink()
    found = validate(lab.results)
    (required,) = [message for severity, message in found if severity == "REQUIRED"]
    assert "does not include the Data Entity" in required and "edges.npy" in required
    assert any("representing the schema_org:license" in message for _, message in found)


def test_results_of_a_variant_are_in_it_with_its_name(lab, validate):
    with (lab.folder / "luigi.cfg").open("a", encoding="utf-8") as settings:
        settings.write("\n[variants]\nstrict = Edges.threshold=0.9\n")
    lab.run("Edges", "--group", NUMPY, *FAKES, "--variants", "strict")
    by_id = written(lab, *NAMED)
    edges = action(by_id, "Edges", f"{NUMPY}@strict")
    parameters = {
        by_id[one]["name"]: by_id[one]["value"] for one in ids(edges["object"]) if one.startswith("#parameter")
    }
    assert (parameters["variant"], parameters["threshold"]) == ("strict", 0.9)
    assert edges["description"].startswith("Edges of variant strict, ")
    assert f"{NUMPY}@strict/edges.npy" in [unquote(one) for one in ids(edges["result"])]
    assert "of variant" not in action(by_id, "Edges", NUMPY)["description"]
    assert validate(lab.results) == set()
