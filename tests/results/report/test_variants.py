"""The variants of the report."""

import re
from dataclasses import replace

from neuroluigi.results.report import variants
from neuroluigi.results.report.facts import Facts
from neuroluigi.results.table import Table
from neuroluigi.steps.variants import Variant
from tests.results.report.about import facts_of

ROWS = [
    {
        "group": group,
        "variant": variant,
        "channel": n,
        "unit": unit,
        "mean": 1,
        "noise": noise * (n + 1),
        "edges": n + 1,
    }
    for group, unit in (("a", "uV"), ("b", None))
    for variant, noise in ((None, 1.0), ("strict", 3.0))
    for n in range(2)
]


def facts() -> Facts:
    columns = ["group", "variant", "unit", "channel", "mean", "noise", "edges"]
    numeric = frozenset({"channel", "mean", "noise", "edges"})
    table = Table(columns, ["unit"], ROWS, [], ["edges"], numeric, in_units=["noise"], variant="variant")
    known = {"strict": Variant("strict", {"Spikes": {"noise": "6", "refractory": "1"}, "Plot": {"format": "svg"}})}
    return replace(facts_of(), table=table, variants=known)


def plot(group: str, variant: str = "", name: str = "plot.png") -> dict:
    return {"group": f"{group}@{variant}" if variant else group, "of_base": group, "variant": variant, "name": name}


def test_without_variants_there_is_nothing():
    assert variants.variants(facts_of(), [plot("a")], [], 0) == {}


def test_what_each_sets_and_the_numbers_that_differ_by_unit():
    found = variants.variants(facts(), [], [], 0)
    assert found["declared"] == [("strict", ["Spikes.noise = 6", "Spikes.refractory = 1", "Plot.format = svg"])]
    titles = [re.findall(r"<strong>(.*?)</strong>", one)[0] for one in found["pictures"]]
    assert titles == ["noise [uV]", "noise [counts]"]
    # The median of 1 and 2, and of 3 and 6.
    assert (
        "<title>a base: 1.5</title>" in found["pictures"][0] and "<title>a strict: 4.5</title>" in found["pictures"][0]
    )


def test_plots_lie_beside_those_of_the_base_of_the_same_name():
    plots = [plot("a"), plot("a", "", "other.png"), plot("a", "strict"), plot("b"), plot("c", "strict", "new.png")]
    of_base, of_variants = variants.shown_plots(plots)
    assert (of_base, of_variants) == ([plots[0], plots[1], plots[3]], [plots[2], plots[4]])
    groups = variants.variants(facts(), of_base, of_variants, 0)["groups"]
    assert [
        (one["group"], [(name, [p["variant"] for p in some]) for name, some in one["plots"]]) for one in groups
    ] == [
        ("a", [("plot.png", ["base", "strict"])]),
        ("c", [("new.png", ["strict"])]),
    ]


def test_of_many_groups_the_first_are_shown():
    plots = [one for n in range(100) for one in (plot(f"g{n}"), plot(f"g{n}", "strict"), plot(f"g{n}", "loose"))]
    of_base, of_variants = variants.shown_plots(plots)
    assert len(of_base) == 100 and len(of_variants) == 2 * 24 and of_variants[-1]["group"] == "g23@loose"
