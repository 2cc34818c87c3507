"""What the table of recordings says is shown as it was written, in every form, and found as such."""

import csv
import io
import json
import re

import pytest

from tests.lab import Lab
from tests.results.conftest import ask

HEADER = "session,index,path,sampling_rate_hz,scale,subject,firmware,depth,huge,code"
ROWS = (
    "1.0,0,a.bin,30000.0,0.10,1E5,1.10,9,1e400,007",
    "1,0,b.bin,30000.123456789,1e-3,2E3,1.1,10,1e399,12",
    "day1.0,00,c.bin,3e4,0.195,3,1.9,-3,2,1_0",
    "01,0,d.bin,,,4,2,12345678901234567891.5,3,",
)
WANTED = ["--columns", "group,session,index,sampling_rate_hz,scale,subject,firmware,depth,huge,code"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A lab with four recordings, each a session, whose results are made."""
    lab = Lab(tmp_path_factory.mktemp("text") / "lab")
    real = lab.folder / "real"
    real.mkdir()
    (real / "recordings.csv").write_text("\n".join([HEADER, *ROWS]))
    for name in "abcd":
        (real / f"{name}.bin").write_bytes(bytes(range(100)))
    config = lab.folder / "luigi.cfg"
    text = re.sub(r"(?m)^(root|sampling_rate_hz) *=.*\n", "", config.read_text())
    config.write_text(text.replace("\n[recordings]\n", "\n[recordings]\nroot = real\nsampling_rate_hz = 25000\n"))
    lab.real = True
    lab.run("PlotAll", "--matlab-engine", "numpy")
    return lab


def groups(lab, *question):
    return [row[0] for row in csv.reader(io.StringIO(ask(lab, "results", *question, "--columns", "group", "--csv")))][
        1:
    ]


def test_no_field_is_rewritten(lab):
    out = ask(lab, "results", *WANTED, "--csv")
    names = HEADER.split(",")
    expected = []
    for row in ROWS:
        cells = dict(zip(names, row.split(","), strict=True)) | {"path": ""}
        cells["sampling_rate_hz"] = cells["sampling_rate_hz"] or "25000"
        expected.append([cells["session"], *(cells[name] for name in WANTED[1].split(",")[1:])])
    assert next(csv.reader(io.StringIO(out))) == WANTED[1].split(",")
    assert sorted(list(csv.reader(io.StringIO(out)))[1:]) == sorted(expected)
    for command in (["results", *WANTED], ["recordings"]):
        text = ask(lab, *command)
        for cell in ("30000.0", "30000.123456789", "3e4", "25000", "1.0", "day1.0", "00"):
            assert re.search(rf"(?<!\S){re.escape(cell)}(?!\S)", text), (command, cell)
    ask(lab, "report")
    page = (lab.results / "report.html").read_text()
    for cell in ("30000.0", "30000.123456789", "1E5", "1.10", "007", "1e400", "12345678901234567891.5"):
        assert f">{cell}</td>" in page, cell
    assert "30000.123456789 (" in re.search(r'<p id="paragraph">.*', page)[0], "the methods have all digits"


def test_json_has_numbers_where_no_digit_is_lost(lab):
    rows = {row["session"]: row for row in json.loads(ask(lab, "results", "--json"))}
    assert rows.keys() == {"1.0", "1", "day1.0", "01"}
    first = rows["1.0"]
    assert (first["firmware"], first["subject"], first["huge"], first["code"]) == ("1.10", "1E5", "1e400", "007")
    assert rows["01"]["depth"] == "12345678901234567891.5" and rows["01"]["code"] is None
    assert first["channels"] == 1 and first["sampling_rate_hz"] == "30000.0" and first["channel"] == 0
    assert first["mean"] == 49.5


@pytest.mark.parametrize(
    ("question", "found"),
    [
        (["--where", "session=1"], ["1"]),
        (["--where", "session=1.0"], ["1.0"]),
        (["--where", "session=01"], ["01"]),
        (["--where", "session=day1.0"], ["day1.0"]),
        (["--where", "group=1"], ["1"]),
        (["--where", "group!=1"], ["1.0", "day1.0", "01"]),
        (["--where", "subject=100000"], ["1.0"]),
        (["--where", "sampling_rate_hz=30000"], ["1.0", "day1.0"]),
        (["--where", "sampling_rate_hz>30000"], ["1"]),
        (["--where", "huge>1e399"], ["1.0"]),
        (["--where", "code=7"], []),
        (["--where", "code=007"], ["1.0"]),
        (["--where", "code="], ["01"]),
        (["--where", "depth>12345678901234567891"], ["01"]),
        (["--where", "depth<10"], ["1.0", "day1.0"]),
        (["--where", "mean=49.5"], ["1.0", "1", "day1.0", "01"]),
        (["--sort", "depth"], ["day1.0", "1.0", "1", "01"]),
        (["--sort", "-huge"], ["1.0", "1", "01", "day1.0"]),
        (["--sort", "session"], ["01", "1", "1.0", "day1.0"]),
        (["--sort", "code"], ["1.0", "1", "day1.0", "01"]),
    ],
)
def test_numbers_are_compared_in_columns_of_numbers_alone(lab, question, found):
    rows = groups(lab, *question)
    assert rows == found if "--sort" in question else sorted(rows) == sorted(found)
