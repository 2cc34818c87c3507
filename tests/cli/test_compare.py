"""What commands show of variants: results, compare, events, status and the report, after a run with two of them."""

import csv
import io
import json

import numpy as np
import pytest

from tests import commands
from tests.conftest import BIN, Pipeline, clean_environment
from tests.steps.test_group_settings import ask, declare

NUMPY = ("--matlab-engine", "numpy")

# At its end, each command writes how often it checked which result.
COUNTED = """
import atexit
from collections import Counter
from neuroluigi.provenance import state

checked, check_result = Counter(), state.check_result

def counted(expected, *others):
    checked[expected.record] += 1
    return check_result(expected, *others)

state.check_result = counted
atexit.register(lambda: Path("checked.json").write_text(json.dumps(checked)))
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Pipeline:
    """Two groups with the variants strict and loose; of none there is nothing."""
    lab = Pipeline(tmp_path_factory.mktemp("variants") / "lab")
    (lab.folder / "luigi.cfg").write_text("[neuroluigi]\ntask = PlotAll\n\n[FakeRecording]\nsessions = a\ncount = 2\n")
    lines = ("strict = Edges.threshold=0.9", "loose = Edges.threshold=0.5", "none = Edges.settle=2")
    declare(lab, "variants", *lines)
    lab.add(f"import json\nfrom pathlib import Path\n{COUNTED}")
    lab.run("PlotAll", *NUMPY, "--workers", "1", "--variants", "loose,strict")
    return lab


def edges(lab: Pipeline, row: str) -> int:
    return len(np.load(lab.results / row / "edges.npy"))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_results_of_a_variant_have_what_it_shares_with_the_base_too(lab):
    found = rows(ask(lab, "results", "--csv"))
    assert [(one["group"], one["variant"]) for one in found] == [
        (group, variant) for group in ("a-even", "a-odd") for variant in ("", "strict", "loose")
    ]
    for one in found:
        row = f"{one['group']}@{one['variant']}" if one["variant"] else one["group"]
        stats = json.loads((lab.results / one["group"] / "stats.json").read_text())
        assert (int(one["edges"]), float(one["mean"])) == (edges(lab, row), stats["mean"][0])
    chosen = json.loads(ask(lab, "results", "--where", "variant=strict", "--json"))
    assert [(one["group"], one["edges"]) for one in chosen] == [
        (group, edges(lab, f"{group}@strict")) for group in ("a-even", "a-odd")
    ]
    assert [one["variant"] for one in json.loads(ask(lab, "results", "--where", "variant=", "--json"))] == [None, None]


def test_numbers_are_compared_with_those_of_the_first_variant(lab):
    found = rows(ask(lab, "compare", "--csv"))
    assert list(found[0]) == ["group", "channel", "variant", "edges", "edges - base"]
    assert [one["variant"] for one in found] == ["base", "strict", "loose"] * 2
    base, strict, loose = (edges(lab, f"a-even{end}") for end in ("", "@strict", "@loose"))
    assert [one["edges - base"] for one in found[:3]] == ["", str(strict - base), str(loose - base)]
    # The settings come after the variants.
    words = ("compare", "strict", "base", "--results-root", "results", "--where", "group=a-odd", "--all", "--json")
    first, second = json.loads(ask(lab, *words))
    assert (first["variant"], second["variant"]) == ("strict", "base")
    assert second["edges - strict"] == edges(lab, "a-odd") - edges(lab, "a-odd@strict")
    assert second["mean - strict"] == 0 and first["mean - strict"] is None
    text = ask(lab, "compare", "--columns", "variant,edges - base", "--where", "edges - base<0", "--sort", "-edges")
    assert text.splitlines()[0] == "variant  edges - base" and "strict" in text and "base  " not in text[25:]
    assert "no number in which" not in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("compare", "base", "stric"), "there is no variant 'stric'; [variants] of luigi.cfg declares: strict, loose"),
        (("compare", "base", "none"), "variant none has no results yet; make them: neuroluigi run --variants none"),
        (("compare", "strict"), "with what is strict to be compared?"),
        (("compare", "--results-root", "nowhere"), "there are no results of variants; declare one in [variants]"),
        (("compare", "--where", "edgs>1"), "there is no column 'edgs'; did you mean edges?"),
        (("events", "a-odd@stric"), "there is no group 'a-odd@stric'; did you mean a-odd@strict?"),
    ],
)
def test_what_there_is_none_of_is_one_line(lab, words, message):
    out = ask(lab, *words, code=1)
    assert message in out and len(out.splitlines()) == 1


def test_events_of_a_variant_have_the_layout_of_the_base(lab):
    found = json.loads(ask(lab, "events", "a-odd@strict", "--json"))
    array = np.load(lab.results / "a-odd@strict" / "edges.npy")
    assert [[one["sample"], one["channel"]] for one in found] == array.tolist()
    assert {(one["session"], one["index"]) for one in found} == {("a", 1)}
    assert len(found) < len(json.loads(ask(lab, "events", "a-odd", "--json")))


def test_status_says_what_a_variant_would_cost(lab):
    assert "would make" not in ask(lab, "status")
    out = ask(lab, "status", "--variants", "none", code=1)
    assert "\na run of none would make 4 results (2 Edges, 2 Plot): about " in out and out.endswith(" by the base\n")
    (cost,) = json.loads(ask(lab, "status", "--variants", "none", "--json", code=1))["variants"]
    records = [
        json.loads((lab.results / f"a-{p}/runs/{s}.json").read_text())
        for p in ("even", "odd")
        for s in ("Edges", "Plot")
    ]
    assert cost["steps"] == {"Edges": 2, "Plot": 2} and cost["results"] == cost["known"] == 4
    assert cost["seconds"] == pytest.approx(sum(one["seconds"] for one in records), abs=1e-3)


def test_no_result_is_checked_twice(lab):
    ask(lab, "status", "--variants", "none", code=1)
    checked = json.loads((lab.folder / "checked.json").read_text())
    assert set(checked.values()) == {1}
    rows = [record.split("/runs/")[0].rpartition("/")[2] for record in checked if record.endswith("Edges.json")]
    names = ("", "@strict", "@loose", "@none")
    assert sorted(rows) == sorted(f"{group}{name}" for group in ("a-even", "a-odd") for name in names)
    assert len([record for record in checked if record.endswith("Stats.json")]) == 2


def test_the_report_has_a_section_on_variants(lab):
    ask(lab, "report")
    page = (lab.results / "report.html").read_text(encoding="utf-8")
    section = page[page.index('<section id="variants">') : page.index('<section id="numbers">')]
    assert "Edges.threshold = 0.9" in section and "Edges.settle" not in section
    assert [one in section for one in ('href="a-even%40strict/plot.png"', 'href="a-even/plot.png"')] == [True, True]
    plots = page[page.index('<section id="plots">') : page.index('<section id="variants">')]
    assert "a-even/plot.png" in plots and "%40" not in plots
    assert 'data-g="a-even@loose"' in page
    assert "4 results of variant strict were computed with Edges threshold 0.9." in page
    # A run that makes none of them has them in its report as well, and so finds that one up to date.
    done = commands.run(
        [BIN / "luigi", "--module", "tasks", "Report", "--local-scheduler"],
        cwd=lab.folder, env=clean_environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert '<section id="variants">' in (lab.results / "report.html").read_text(encoding="utf-8"), done.stderr
