"""A pipeline whose report is read: by a parser and in a browser."""

import base64
import gzip
import html
import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from neuroluigi.provenance.record import read_record
from tests import commands
from tests.conftest import BIN, Pipeline, clean_environment

# What a page could take for markup, and a shell for anything: a text, and a name as strange as a folder's may be.
MARKUP = "<img src=x onerror=\"document.title='owned'\">"
NAME = "&lt;img src=x onerror='document.title=1'&gt;&'é"

EVEN, ODD = f"{NAME}-even", f"{NAME}-odd"


SETTINGS = ["--FakeRecording-sessions", NAME, "--FakeRecording-count", "2", "--matlab-engine", "numpy"]


def report(lab, *arguments, code=0, **options):
    done = commands.run(
        [BIN / "neuroluigi", "report", *SETTINGS, *arguments],
        cwd=lab.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


class Page(HTMLParser):
    """A page as a browser reads it: its elements with their attributes, and its text."""

    def __init__(self, lab):
        super().__init__()
        self.source = (lab.results / "report.html").read_text(encoding="utf-8")
        self.elements, self.texts, self.above = [], [], []
        self.feed(self.source)
        self.text = " ".join("".join(self.texts).split())

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.above.append(tag)

    def handle_endtag(self, tag):
        while self.above and self.above.pop() != tag:
            pass

    def handle_data(self, data):
        if "script" not in self.above and "style" not in self.above:
            self.texts.append(data)

    def all(self, tag, *names):
        return [attributes for found, attributes in self.elements if found == tag and set(names) <= attributes.keys()]

    def section(self, name):
        """Return the text of a section."""
        part = re.search(rf'<section id="{name}">(.*?)</section>', self.source, re.DOTALL)[1]
        return html.unescape(" ".join(re.sub(r"<title>.*?</title>|<[^>]*>", " ", part).split()))

    def details(self):
        """Return the lines on each result, and its record as text."""
        packed = re.search(r'id="details">([^<]*)<', self.source)[1]
        found = json.loads(gzip.decompress(base64.b64decode(packed)))
        return [{name: [found["lines"][n] for n in one[name]] for name in one} for one in found["results"]]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    lab = Pipeline(tmp_path_factory.mktemp("report") / "lab")
    lab.run("PlotAll", *SETTINGS)
    report(lab)
    return lab


@pytest.fixture
def lab(made, tmp_path):
    """A copy of the lab with all results and the report."""
    shutil.copytree(made.folder, tmp_path / "lab")
    copy = object.__new__(Pipeline)
    copy.folder = tmp_path / "lab"
    return copy


def stamp(lab):
    found = (lab.results / "report.html").stat()
    return found.st_ino, found.st_mtime_ns


RUN = {
    "schema": 1,
    "command": ["luigi", "--module", "tasks", "PlotAll", "--Edges-threshold", "0.5 <b>"],
    "folder": "/home/ada/lab",
    "root": "PlotAll",
    "host": {"name": "lab1", "platform": "Linux-6", "cpus": 2, "user": "ada"},
    "versions": {"python": "3.11"},
    "workers": 2,
    "git": {"commit": "ab" * 20, "is_clean": False},
    "settings": [{"name": "[Edges] threshold", "value": "0.5 <b>", "source": "command line"}],
    "made": {"Stats": 2},
    "unchanged": {},
    "failed": [],
    "log": "run.log",
}


def write_run(lab, **changes):
    made = [read_record(path) for path in lab.folder.rglob("runs/*.json")]
    times = {"started": min(one["started"] for one in made), "ended": max(one["ended"] for one in made)}
    run = {**RUN, **times, "seconds": 7.0, "exit_code": 0, **changes}
    text = json.dumps({name: value for name, value in run.items() if value is not None})
    (lab.results / "run.json").write_text(text)
