"""The report: what it says against the files, whether it is up to date, and how it stands in a real browser."""

import base64
import functools
import gzip
import html
import io
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from neuroluigi.provenance.files import hash_file
from neuroluigi.provenance.record import read_record
from neuroluigi.results.report import charts, facts, numbers
from neuroluigi.results.report.page import _thumbnail
from neuroluigi.results.table import Table
from tests.browser import needs_browser
from tests.conftest import BIN, REPOSITORY, Pipeline, clean_environment

# A name that a page could take for markup, and a shell for anything.
NAME = "<img src=x onerror=\"document.title='owned'\">&'é" if os.name == "posix" else "&'é"
EVEN, ODD = f"{NAME}-even", f"{NAME}-odd"
SETTINGS = ["--FakeRecording-sessions", NAME, "--FakeRecording-count", "2", "--matlab-engine", "numpy"]

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

# Overrides numpy_function of Stats; its group s-even fails.
BREAK = (
    "def numpy_function(data_file, *rest):",
    "    print('the last words')",
    "    if 'odd' not in data_file:",
    "        raise ValueError('</script><script>document.title=1</script>' * 300)",
    "    ephys.Stats.numpy_function(data_file, *rest)",
)


def report(lab, *arguments, code=0, **options):
    done = subprocess.run(
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
        packed = re.search(r'id="details">([^<]*)<', self.source)[1]
        return json.loads(gzip.decompress(base64.b64decode(packed)))


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


def test_before_the_first_run_it_shows_what_is_planned(pipeline):
    report(pipeline)
    page = Page(pipeline)
    assert "Nothing is made yet; 10 results are planned" in page.text and "The last run: not known" in page.text
    assert [text for text in re.findall(r"○ \d missing", page.section("pipeline"))] == ["○ 2 missing"] * 10
    assert "○ missing" in page.section("groups") and "make: 2 Stats: missing, stats.json is not there" in page.text
    assert "No plots yet" in page.text and page.section("failures") == "Failures None."
    assert [path.name for path in pipeline.results.iterdir()] == ["report.html"] and not list(
        pipeline.folder.glob("recordings")
    )


def test_it_says_what_status_results_and_records_say(made):
    page = Page(made)
    assert "All 10 results are done" in page.text
    assert page.section("groups").count("✓ done") == 10
    stats = json.loads((made.results / EVEN / "stats.json").read_text())
    edges = len(np.load(made.results / EVEN / "edges.npy"))
    row = re.search(re.escape(EVEN) + r" 100 (\d+) (\d+) (\S+) (\S+) (\d+)", page.section("numbers"))
    assert [float(cell) for cell in row.groups()] == pytest.approx(
        [stats["min"][0], stats["max"][0], stats["mean"][0], stats["std"][0], edges], rel=1e-5
    )
    assert f"{edges} edges" in page.section("plots")
    # What it keeps of each result is the whole record, and its checksums are those of the files.
    kept = [json.loads(one["record"]) for one in page.details()["results"]]
    files = sorted(made.folder.rglob("runs/*.json"))
    assert sorted(map(json.dumps, kept)) == sorted(json.dumps(json.loads(path.read_text())) for path in files)
    for output in (one for record in kept for one in record["outputs"]):
        assert hash_file(made.folder / output["root"] / output["path"]) == output["sha256"]


def test_every_number_of_the_methods_is_of_a_record(made):
    text = Page(made).section("methods")
    known = json.dumps([json.loads(path.read_text()) for path in made.folder.rglob("runs/*.json")])
    assert "2 recordings in 2 groups (uint8; channels: 1) were analysed with Python" in text
    numpy = f"NumPy {np.__version__}"
    assert f"Stats (2 results) was computed with a stand-in for computeStats.m in {numpy}." in text
    assert f"was computed with a stand-in for findRisingEdges.m in {numpy}, threshold 0.75." in text
    for version in re.findall(r"\d+(?:\.\d+)+", text):
        assert f'"{version}"' in known or version in known


def test_names_are_text_wherever_they_stand(made):
    page = Page(made)
    assert len(page.all("script")) == 2 and NAME in page.text
    assert all("onerror" not in attributes for _, attributes in page.elements)
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))
    addresses = [a["href"] for a in page.all("a") if not a["href"].startswith("#")]
    assert addresses and all((made.results / unquote(one)).is_file() for one in addresses)


def test_a_second_time_there_is_nothing_to_do_until_something_changes(lab):
    before = stamp(lab)
    report(lab)
    os.utime(lab.results / EVEN / "stats.json")
    report(lab)
    out = lab.run("Report", *SETTINGS)
    assert stamp(lab) == before and "Nothing to make" in out
    verify = [BIN / "neuroluigi", "verify", *SETTINGS]
    said = subprocess.run(verify, cwd=lab.folder, capture_output=True, text=True, check=True).stdout
    assert said.endswith("all as recorded.\n") and "untracked" not in said
    (lab.results / EVEN / "stats.json").unlink()
    out = lab.run("Report", *SETTINGS)
    assert stamp(lab) != before and not (lab.results / EVEN / "stats.json").exists(), "the report ran a step"
    assert "Made: 1 Report." in out
    assert "7 of 10 results are done" in Page(lab).text
    before = stamp(lab)
    lab.run("Report", *SETTINGS)
    assert stamp(lab) == before and not list(lab.results.glob("*.part-*"))


def test_a_failure_stands_there_with_its_whole_error_and_the_end_of_its_log(lab):
    lab.override("Stats", *BREAK)
    for name in (EVEN, ODD):
        (lab.results / name / "stats.json").unlink()
    lab.run("PlotAll", *SETTINGS, code=30)
    report(lab)
    page = Page(lab)
    assert "1 of 10 results failed" in page.text and len(page.all("script")) == 2
    failed = page.section("failures")
    assert f"! Stats of {EVEN}" in failed and ODD not in failed
    assert failed.count("</script><script>document.title=1</script>") >= 300 and "ValueError" in failed
    assert "! failed" in page.section("groups") and "! 1 failed" in page.section("pipeline")


def write_run(lab, **changes):
    made = [read_record(path) for path in lab.folder.rglob("runs/*.json")]
    times = {"started": min(one["started"] for one in made), "ended": max(one["ended"] for one in made)}
    run = {**RUN, **times, "seconds": 7.0, "exit_code": 0, **changes}
    text = json.dumps({name: value for name, value in run.items() if value is not None})
    (lab.results / "run.json").write_text(text)


def test_the_last_run_and_what_becomes_of_its_record(lab):
    write_run(lab)
    report(lab)
    page = Page(lab)
    for told in ("luigi --module tasks PlotAll --Edges-threshold '0.5 <b>'", "/home/ada/lab", "lab1, Linux-6", "ada"):
        assert told in page.text
    assert f"git commit {'ab' * 20}, with changes" in page.text and "succeeded" in page.text
    assert "[Edges] threshold 0.5 <b> command line" in page.section("provenance")
    bars = page.source.count('class="bar"')
    assert bars == len(list(lab.folder.rglob("runs/*.json"))) == 10
    write_run(lab, exit_code=30)
    report(lab)
    assert "The last run failed with exit code 30" in Page(lab).text
    write_run(lab, exit_code=130)
    report(lab)
    assert "The last run was interrupted" in Page(lab).text
    write_run(lab, ended=None, seconds=None, exit_code=None)
    report(lab)
    assert "The last run was killed" in Page(lab).text
    for text in ('{"schema": 1, "comm', "[]", '{"command": 1, "started": 2}', "\x00"):
        (lab.results / "run.json").write_text(text)
        report(lab)
        assert "The last run: not known" in Page(lab).text


def test_while_another_run_is_at_work_the_task_is_done_with_what_it_saw(lab):
    stats = lab.results / EVEN / "stats.json"
    lab.add(
        "class Busy(Report):\n    def run(self):\n        super().run()\n"
        f"        __import__('pathlib').Path({str(stats)!r}).unlink()\n"
    )
    stats.unlink()
    lab.run("Stats", "--group", EVEN, *SETTINGS)
    assert "Made: 1 Busy." in lab.run("Busy", *SETTINGS) and not stats.exists()


def test_the_report_of_the_task_that_reports_is_that_of_the_pipeline(lab):
    done = subprocess.run(
        [BIN / "neuroluigi", "--task", "Report", "status", *SETTINGS], cwd=lab.folder, env=clean_environment(),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "Edges" in done.stdout


def test_what_can_not_be_written_is_one_line_and_leaves_the_page(lab):
    (lab.results / EVEN / "stats.json").unlink()
    before = stamp(lab)
    resource = pytest.importorskip("resource")
    # As a disk with little room left: no file may be longer than that.
    limit = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (4096, 4096))
    said = report(lab, code=1, preexec_fn=limit).stderr
    assert said.count("\n") == 1 and "can't write" in said and "report.html" in said
    assert stamp(lab) == before and not list(lab.results.glob("*.part-*"))
    (lab.folder / "file").touch()
    said = report(lab, "--results-root", "file/results", code=1).stderr
    assert said.count("\n") == 1 and "can't write" in said


def test_make_run_reports_also_on_a_failure_and_keeps_its_exit_code(tmp_path):
    make = shutil.which("make")
    if not make:
        pytest.skip("make is not installed")
    for name, code in (("luigi", 30), ("neuroluigi", 1)):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $@" >> said.txt\nexit {code}\n')
        (tmp_path / name).chmod(0o755)
    command = [make, "-f", REPOSITORY / "Makefile", "run", f"BIN={tmp_path}", "-o", ".venv/installed"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "30" in done.stderr, done.stderr
    said = (tmp_path / "said.txt").read_text().splitlines()
    assert said == ["luigi --module tasks PlotAll --local-scheduler", "neuroluigi report"]


def facts_of(rows):
    columns, described = ["group", "sampling_rate_hz", "area", "channel", "count", "min", "max", "edges"], ["area"]
    table = Table(columns, ["sampling_rate_hz", *described], rows, ["a note"], ["edges"])
    return facts.Facts(None, {}, [], [], table, [], None)


def row(group, channel, **cells):
    return {"group": group, "sampling_rate_hz": 500, "area": "ctx", "channel": channel, "count": 1000, **cells}


def test_numbers_are_ranges_and_events_per_second_and_what_all_share_is_said_once():
    rows = [row("a", 0, min=-5, max=15, edges=7), row("a", 1, min=0, max=1, edges=1), row("b", 0, min=None, max=3)]
    found = numbers.numbers(facts_of(rows))
    assert [name for name, _ in found["columns"]] == ["group", "channel", "count", "min", "max", "edges"]
    assert found["rows"][0] == ("a", ["a", "0", "1000", "-5", "15", "7"]) and found["rows"][2][1][3:] == ["", "3", ""]
    assert found["notes"] == ["In all rows: sampling_rate_hz 500, area ctx.", "a note"]
    ranges, rates = found["pictures"]
    assert "<title>a: 20</title>" in ranges and "<title>a: 1</title>" in ranges and "<title>b" not in ranges
    # 7 events in 1000 samples at 500 Hz, which are 2 s
    assert "<strong>edges per second</strong> 0.5 to 3.5" in rates


def test_of_very_many_channels_the_median_of_each_group_is_shown():
    rows = [row(f"g{n}", c, min=0, max=c, edges=c) for n in range(15) for c in range(385)]
    found = numbers.numbers(facts_of(rows))
    assert len(found["rows"]) == 15 and found["rows"][3] == ("g3", ["g3", "1000", "0", "192", "192"])
    assert "Of the channels of each group the median is shown" in found["notes"][-1]
    assert "channel 385" in found["notes"][0]


def test_a_thumbnail_is_small_and_on_white_paper_and_a_damaged_picture_has_none(tmp_path):
    plot = tmp_path / "plot.png"
    for colour, expected in (((200, 0, 0, 255), (200, 0, 0)), ((0, 0, 0, 0), (255, 255, 255))):
        Image.new("RGBA", (1400, 340), colour).save(plot)
        kind, data = _thumbnail(plot).split(",")
        small = Image.open(io.BytesIO(base64.b64decode(data)))
        assert kind == "data:image/jpeg;base64" and small.size == (350, 85)
        assert small.getpixel((100, 40)) == pytest.approx(expected, abs=3)
    plot.write_bytes(plot.read_bytes()[:200])
    assert _thumbnail(plot) == ""


def test_bars_are_where_they_were_and_side_by_side_where_they_overlap():
    bars = [charts.Bar("A", "x", 0, 4), charts.Bar("A", "y", 2, 6), charts.Bar("A", "z", 4, 10, has_failed=True)]
    drawn = charts.gantt(bars, 10)
    found = re.findall(r'<rect class="(\w+)" x="([\d.]+)" y="(\d+)" width="([\d.]+)"', drawn)
    scale = float(found[0][3]) / 4
    assert [(kind, float(width) / scale) for kind, _, _, width in found] == [
        ("bar", pytest.approx(4)),
        ("failed", pytest.approx(6)),
        ("bar", pytest.approx(4)),
    ]
    begins = [(float(x) - float(found[0][1])) / scale for _, x, _, _ in found]
    assert begins == pytest.approx([0, 4, 2]) and found[0][2] == found[1][2] != found[2][2]
    assert "A z: 6 s, failed" in drawn and ">10 s</text>" in drawn
    assert [charts.span(s) for s in (0.234, 45, 125, 11400, 7200)] == [
        "0.23 s",
        "45 s",
        "2 min 5 s",
        "3 h 10 min",
        "2 h",
    ]


def test_dots_are_where_the_values_are():
    drawn = charts.dots("mean <x>", [("a", 1.0), ("b", float("nan")), ("c", 3.0), ("d", 2.0)])
    ys = [float(y) for y in re.findall(r'class="dot" d="M[\d.]+ ([\d.]+)h0"', drawn)]
    assert len(ys) == 3 and ys[1] < ys[2] < ys[0] and ys[0] - ys[2] == pytest.approx(ys[2] - ys[1], abs=0.11)
    assert "mean &lt;x&gt;</strong> 1 to 3, median 2" in drawn and "<title>c: 3</title>" in drawn
    assert charts.dots("none", [("a", float("inf"))]) == ""


@pytest.fixture
def page(lab, browser):
    """A report with states of all kinds, open in the browser."""
    (lab.results / EVEN / "plot.png").unlink()
    write_run(lab)
    report(lab)
    browser.open(lab.results / "report.html")
    yield browser
    browser.media()
    browser.driver.set_window_size(1280, 900)


@needs_browser
def test_in_a_browser_it_sorts_filters_and_shows_records_and_asks_for_nothing(page, lab):
    driver = page.driver
    rows = "return [...document.querySelectorAll('#numbers tbody tr:not([hidden]) th')].map(cell => cell.textContent)"
    assert page.run(rows) == [EVEN, ODD]
    columns = page.run("return [...document.querySelectorAll('#numbers thead th')].map(t => t.textContent)")
    means = {name: json.loads((lab.results / name / "stats.json").read_text())["mean"][0] for name in (EVEN, ODD)}
    button = driver.find_elements("css selector", "#numbers thead button")[columns.index("mean")]
    button.click()
    assert page.run(rows) == sorted(means, key=means.get)
    assert page.run("return document.querySelector('#numbers [aria-sort=ascending]').textContent") == "mean"
    button.send_keys("\ue007")  # Enter: by keyboard alone
    assert page.run(rows) == sorted(means, key=means.get, reverse=True)

    filter_ = driver.find_element("id", "filter")
    filter_.send_keys("MISSING")
    wait(page, "return document.getElementById('shown').textContent === '1 of 2'")
    assert page.run(rows) == [EVEN]
    assert page.run("return [...document.querySelectorAll('#plots figure')].map(f => f.hidden)") == [True]
    filter_.clear()
    filter_.send_keys("no such thing")
    wait(page, "return document.getElementById('shown').textContent === '0 of 2'")
    filter_.clear()
    filter_.send_keys(" ")
    wait(page, "return document.getElementById('shown').textContent === ''")
    assert len(page.run(rows)) == 2

    driver.find_element("css selector", "#groups tr:last-child td:last-child a").send_keys("\ue007")
    wait(page, "return document.getElementById('result').open")
    assert page.run("return document.getElementById('result-name').textContent").startswith("✓ Plot(group=")
    assert "Wrote" in page.run("return document.querySelector('#result .said').textContent")
    shown = json.loads(page.run("return document.querySelector('#result .record').textContent"))
    assert shown == json.loads((lab.results / ODD / "runs" / "Plot.json").read_text())
    driver.switch_to.active_element.send_keys("\ue00c")  # Escape
    wait(page, "return !document.getElementById('result').open")

    page.run("document.getElementById('checksums').open = true")
    wait(page, "return document.querySelector('#checksums pre').textContent")
    (lab.results / "sums").write_text(page.run("return document.querySelector('#checksums pre').textContent") + "\n")
    if shutil.which("sha256sum"):
        done = subprocess.run(
            ["sha256sum", "--check", "sums"], cwd=lab.results, capture_output=True, text=True, check=False
        )
        assert done.stdout.count(": OK") == 11 and "plot.png: FAILED" in done.stdout, done.stdout + done.stderr

    assert page.run("return document.title").startswith("○ PlotAll"), "a name was run"
    assert page.errors() == []
    assert page.requests() == [(lab.results / "report.html").as_uri()]


def wait(page, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(page.driver, 20).until(lambda driver: page.run(condition))


@needs_browser
def test_it_can_be_read_on_a_phone_in_the_dark_and_on_paper(page):
    def colour(of):
        return page.run(f"return getComputedStyle(document.body).{of}.match(/\\d+/g).map(Number)")

    for scheme, is_dark in (("light", False), ("dark", True)):
        page.media(prefers_color_scheme=scheme)
        ink, paper = sum(colour("color")), sum(colour("backgroundColor"))
        assert (ink > paper) == is_dark and abs(ink - paper) > 500
        assert page.run("return getComputedStyle(document.querySelector('.pipeline .name')).fill") == page.run(
            "return getComputedStyle(document.body).color"
        )
    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    )
    assert page.run("return document.documentElement.scrollWidth") <= 400
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert page.run("return [...document.querySelectorAll('.scroll')].every(e => e.scrollHeight <= e.clientHeight + 1)")
    assert not page.driver.find_element("id", "filter").is_displayed()
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
