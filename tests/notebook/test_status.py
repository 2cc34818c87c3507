"""The state of a lab as text and HTML; what it says is compared with the command in test_lab.py."""


def test_it_says_what_a_run_would_do(copied):
    (copied.folder / "results" / "n" / "edges.npy").unlink()
    status = copied.status()
    lines = ["Aggregate: 2 of 2 done", "Stats: 2 of 2 done", "Edges: 1 of 2 done"]
    assert repr(status).splitlines()[:3] == lines and "make: 1 Edges" in status.reasons[0]
    shown = status._repr_html_()
    assert "<td>✓ done</td>" in shown and "<td>○ missing</td>" in shown and "<td>1 of 2</td>" in shown
    assert f"<li>{status.reasons[0]}</li>" in shown and status.orphans == []


def test_folders_of_no_group(copied):
    table = copied.folder / "data" / "recordings.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    assert copied.status().orphans == ["n"]
