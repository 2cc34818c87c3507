"""The report: what it says against the files, whether it is up to date, and how it stands in a real browser."""

import base64
import functools
import io
import json
import os
import re
import shutil
from importlib import metadata
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from neuroluigi.provenance.files import hash_file
from neuroluigi.results.report.page import _thumbnail
from tests import commands
from tests.conftest import BIN, REPOSITORY, clean_environment
from tests.results.report.conftest import EVEN, MARKUP, NAME, ODD, SETTINGS, Page, report, stamp, write_run

# Overrides numpy_function of Stats; its group s-even fails.
BREAK = (
    "def numpy_function(data_file, *rest):",
    "    print('the last words')",
    "    if 'odd' not in data_file:",
    "        raise ValueError('</script><script>document.title=1</script>' * 300)",
    "    ephys.Stats.numpy_function(data_file, *rest)",
)


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
    kept = [json.loads("\n".join(one["record"])) for one in page.details()]
    files = sorted(made.folder.rglob("runs/*.json"))
    assert sorted(map(json.dumps, kept)) == sorted(json.dumps(json.loads(path.read_text())) for path in files)
    for output in (one for record in kept for one in record["outputs"]):
        assert hash_file(made.folder / output["root"] / output["path"]) == output["sha256"]


def test_every_number_of_the_methods_is_of_a_record(made):
    text = Page(made).section("methods")
    known = json.dumps([json.loads(path.read_text()) for path in made.folder.rglob("runs/*.json")])
    assert "2 recordings in 2 groups (uint8; channels: 1) were analysed with Python" in text
    numpy = f"NumPy {np.__version__}"
    assert f"Stats (2 results) was computed with the counterpart of computeStats.m in {numpy}." in text
    (edges,) = re.findall(rf"counterpart of findRisingEdges.m in {re.escape(numpy)}, ([^;]*?)\. Plot", text)
    # Those that are blank or off are left out.
    assert "threshold 0.75" in edges and "level" not in edges and "False" not in edges and "channels" not in edges
    for version in re.findall(r"\d+(?:\.\d+)+", text):
        assert f'"{version}"' in known or version in known


def test_the_methods_name_all_that_the_code_imports(lab):
    records = sorted(lab.folder.rglob("runs/*.json"))
    text = Page(lab).section("methods")
    used = {name for path in records for name in json.loads(path.read_text())["versions"]}
    assert used == {"python", "neuroluigi", "luigi", "numpy", "matplotlib"}
    assert f"NumPy {np.__version__}" in text and f"Matplotlib {metadata.version('matplotlib')}" in text
    record = json.loads(records[0].read_text())
    record["versions"] |= {"scipy": "1.11.4", "labtools": "0.3"}
    records[0].write_text(json.dumps(record))
    report(lab)
    sentence = Page(lab).section("methods").split(" were analysed with ")[1].split(". ")[0]
    assert "SciPy 1.11.4" in sentence and "labtools 0.3" in sentence


def test_names_are_text_wherever_they_stand(lab):
    write_run(lab, settings=[{"name": "[Edges] threshold", "value": MARKUP, "source": MARKUP}], folder=MARKUP)
    report(lab)
    page = Page(lab)
    assert len(page.all("script")) == 2 and NAME in page.text and page.text.count(MARKUP) == 3
    assert all("onerror" not in attributes for _, attributes in page.elements)
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))
    addresses = [a["href"] for a in page.all("a") if not a["href"].startswith("#")]
    assert addresses and all((lab.results / unquote(one)).is_file() for one in addresses)


def test_a_second_time_there_is_nothing_to_do_until_something_changes(lab):
    before = stamp(lab)
    report(lab)
    os.utime(lab.results / EVEN / "stats.json")
    report(lab)
    out = lab.run("Report", *SETTINGS)
    assert stamp(lab) == before and "Nothing to make" in out
    verify = [BIN / "neuroluigi", "verify", *SETTINGS]
    said = commands.run(verify, cwd=lab.folder, capture_output=True, text=True, check=True).stdout
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
    done = commands.run(
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
    said = report(lab, code=1, preexec_fn=limit, forks=False).stderr
    assert said.count("\n") == 1 and "can't write" in said and "report.html" in said
    assert stamp(lab) == before and not list(lab.results.glob("*.part-*"))
    (lab.folder / "file").touch()
    said = report(lab, "--results-root", "file/results", code=1).stderr
    assert said.count("\n") == 1 and "can't write" in said


def test_make_run_reports_also_on_a_failure_and_keeps_its_exit_code(tmp_path):
    make = shutil.which("make")
    if not make:
        pytest.skip("make is not installed")
    program = tmp_path / "neuroluigi"
    program.write_text('#!/bin/sh\necho "neuroluigi $@" >> calls.txt\n[ "$1" = report ] || exit 30\nexit 1\n')
    program.chmod(0o755)
    command = [make, "-f", REPOSITORY / "Makefile", "run", f"BIN={tmp_path}", "-o", ".venv/installed"]
    done = commands.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "30" in done.stderr, done.stderr
    calls = (tmp_path / "calls.txt").read_text().splitlines()
    assert calls == ["neuroluigi run", "neuroluigi report"]


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


def test_a_small_drawing_is_its_own_thumbnail(tmp_path):
    plot = tmp_path / "plot.SVG"
    content = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'
    plot.write_bytes(content)
    kind, data = _thumbnail(plot).split(",")
    assert kind == "data:image/svg+xml;base64" and base64.b64decode(data) == content
    for other in (b"no drawing", content + b" " * 100_000):
        plot.write_bytes(other)
        assert _thumbnail(plot) == ""
