"""What luigid's pages show, in a browser."""

import os
import re
import socket
import urllib.parse
from collections import Counter
from pathlib import Path

from tests import commands
from tests.browser import needs_browser
from tests.conftest import BIN, clean_environment
from tests.runner.luigid_lab import wait_for


def save_picture(browser, name: str, folder: Path) -> None:
    """Save a picture of the page, for people to look at, in NEUROLUIGI_PICTURES or else in `folder`."""
    pictures = Path(os.environ.get("NEUROLUIGI_PICTURES", folder))
    pictures.mkdir(parents=True, exist_ok=True)
    browser.driver.save_screenshot(str(pictures / f"luigid-{name}.png"))


BROKEN_GROUP = """

make_edges = Edges.make
def make(self, out):
    if self.group == "b-odd":
        raise ValueError("<b>no</b> edges")
    make_edges(self, out)
Edges.make = make
"""


@needs_browser
def test_the_visualiser_shows_the_graph_and_what_failed(browser, tmp_path, luigid, pipeline):
    config = pipeline.folder / "luigi.cfg"
    config.write_text(config.read_text().replace("sessions = a, b, c, d, e", "sessions = a, b"))
    (pipeline.folder / "tasks.py").open("a").write(BROKEN_GROUP)
    remote = ["--scheduler-port", str(luigid.port)]
    command = [BIN / "luigi", "--module", "tasks", "PlotAll", "--matlab-engine", "numpy", *remote]
    done = commands.run(command, cwd=pipeline.folder, env=clean_environment(), capture_output=True, text=True)
    assert done.returncode == 30, done.stderr
    asked, refused = [], []

    def look(name: str, where: str, is_there: str) -> None:
        browser.open("about:blank")
        browser.open(luigid.url + "static/visualiser/index.html#" + where)
        wait_for(lambda: browser.run(is_there))
        save_picture(browser, name, tmp_path)
        asked.extend(browser.requests())
        refused.extend(browser.errors())

    rows = "[...document.querySelectorAll('#taskTable tbody tr')]"
    look("steps", "order=1%2Casc&length=100", f"return {rows}.length > 20")
    shown = browser.run(f"return {rows}.map(row => row.innerText)")
    # 8 recordings, 4 groups of 4 steps, PlotAll
    assert Counter(re.search("DONE|[A-Z_]*FAILED", row)[0] for row in shown) == {
        "DONE": 22,
        "FAILED": 1,
        "UPSTREAM_FAILED": 2,
    }
    assert all(str(pipeline.results) in row and "matlab_command" not in row for row in shown)

    browser.run(f"{rows}.find(row => row.innerText.includes('FAILED')).querySelector('.showError').click()")
    error = wait_for(lambda: browser.run("return document.querySelector('#errorModal.in pre')?.innerText"))
    assert " ".join(error.split()).startswith(
        "Edges(group=b-odd, threshold=0.75, level=): ValueError: <b>no</b> edges ("
    )
    assert f"{pipeline.results}/b-odd/runs/Edges.failed.log" in error
    modal = "document.querySelector('#errorModal .modal-dialog')"
    rerun = browser.run("return document.querySelectorAll('#errorModal pre')[1].innerText")
    assert rerun == (
        f'luigi --module tasks Edges --group "b-odd" --threshold "0.75" --results-root "{pipeline.results}"'
    )
    wait_for(lambda: browser.run(f"return getComputedStyle({modal}).transform") == "matrix(1, 0, 0, 1, 0, 0)")
    save_picture(browser, "error", tmp_path)

    look("steps", "order=1%2Casc&length=100", f"return {rows}.length > 20")
    browser.run(f"{rows}.find(row => row.innerText.includes('group=b-odd')).querySelector('.statusMessage').click()")
    modal = "document.querySelector('#statusMessageModal.in .modal-dialog')"
    wait_for(
        lambda: browser.run(f"return {modal} && getComputedStyle({modal}).transform") == "matrix(1, 0, 0, 1, 0, 0)"
    )
    message = wait_for(lambda: browser.run(f"return {modal}.querySelector('pre').innerText"))
    assert message == f"{socket.gethostname()}: {pipeline.results}/b-odd/runs/Aggregate.log"
    save_picture(browser, "message", tmp_path)

    (root,) = [task["id"] for task in luigid.tasks().values() if task["name"] == "PlotAll"]
    nodes = "[...document.querySelectorAll('#graphPlaceholder svg .graph-node-a')]"
    look("graph", f"tab=graph&taskId={root}", f"return {nodes}.length == 25")
    shown = browser.run(f"return {nodes}.map(node => node.dataset.taskStatus)")
    assert Counter(shown) == {"DONE": 22, "FAILED": 1, "PENDING": 2}
    assert browser.run("return document.querySelectorAll('#graphPlaceholder svg line').length") == 8 + 4 + 8 + 12 + 4
    # Nothing comes from the net: what Luigi's page asks others for, the browser refuses.
    own = f"127.0.0.1:{luigid.port}"
    others = [url for url in asked if urllib.parse.urlsplit(url).netloc not in ("", own)]
    assert all(any(url in said and "Content Security Policy" in said for said in refused) for url in others), refused
