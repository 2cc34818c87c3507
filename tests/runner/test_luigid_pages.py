"""What luigid's pages show, in a browser."""

import functools
import http.server
import os
import re
import socket
import threading
import urllib.parse
from collections import Counter
from pathlib import Path

import pytest
from selenium.common.exceptions import NoAlertPresentException

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
    assert " ".join(error.split()).startswith("Edges(group=b-odd): ValueError: <b>no</b> edges (")
    assert f"{pipeline.results}/b-odd/runs/Edges.failed.log" in error
    modal = "document.querySelector('#errorModal .modal-dialog')"
    rerun = browser.run("return document.querySelectorAll('#errorModal pre')[1].innerText")
    assert rerun.startswith('luigi --module tasks Edges --group "b-odd" ') and ' --threshold "0.75" ' in rerun
    assert rerun.endswith(f' --results-root "{pipeline.results}"')
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


def give_work(luigid):
    """Have luigid know a worker, a resource, and tasks in all states that have buttons."""
    luigid.end()
    (luigid.folder / "luigi.cfg").write_text("[scheduler]\nworker_disconnect_delay = 600\n")
    luigid.start()
    task = {"worker": "w", "params": {}}
    luigid.order("add_worker", worker="w", info=[("workers", 2)])
    luigid.order("update_resource", resource="seats", amount=3)
    luigid.order("add_task", **task, task_id="Talks_1", family="Talks", accepts_messages=True, resources={"seats": 1})
    assert luigid.order("get_work", worker="w", current_tasks=[])["task_id"] == "Talks_1"
    luigid.order("set_task_status_message", task_id="Talks_1", status_message="half of it")
    for name in ("Forgiven", "Marked"):
        luigid.order("add_task", **task, task_id=f"{name}_1", family=name, status="FAILED", expl='"broken"')
    policy = {"retry_count": 1, "disable_hard_timeout": 9, "disable_window": 9}
    for status in ("PENDING", "FAILED"):
        luigid.order("add_task", **task, task_id="Off_1", family="Off", status=status, retry_policy_dict=policy)


def statuses(luigid):
    return {task["name"]: task["status"] for task in luigid.tasks().values()}


def wanted_workers(luigid):
    """Return how many processes the worker is told to have."""
    (message,) = wait_for(lambda: luigid.order("ping", worker="w")["rpc_messages"])
    assert message["name"] == "set_worker_processes"
    return message["kwargs"]["n"]


def alert_of(browser):
    """Return the text of a message box, "" where there is none, and close it."""
    try:
        box = browser.driver.switch_to.alert
    except NoAlertPresentException:
        return ""
    text = box.text
    box.accept()
    return text


@needs_browser
def test_every_button_works_with_the_link_that_luigid_printed_and_none_without(browser, luigid):
    give_work(luigid)
    before = statuses(luigid)
    assert before == {"Talks": "RUNNING", "Forgiven": "FAILED", "Marked": "FAILED", "Off": "DISABLED"}

    def open_tab(where):
        browser.open("about:blank")
        browser.open(f"{luigid.url}static/visualiser/index.html#{where}")
        wait_for(lambda: browser.run("return document.querySelectorAll('#taskTable tbody tr').length") >= 4)

    def click(selector):
        wait_for(lambda: browser.run("return $(arguments[0]).length", selector))
        browser.run("$(arguments[0])[0].click()", selector)

    def in_row(task, button):
        return f"#taskTable tbody tr:contains({task}) {button}"

    open_tab("tab=tasks")
    click("#pause-form .toggle")
    assert "no token was given; it is in the link that luigid printed" in wait_for(lambda: alert_of(browser))
    assert luigid.call("is_paused") == {"paused": False}

    browser.open("about:blank")
    browser.open(f"{luigid.url}#token={luigid.token}")
    wait_for(lambda: browser.run("return location.pathname").endswith("index.html"))
    # Neither the address nor what the browser remembers of it has the token, and no request had.
    assert luigid.token not in browser.run("return location.href")
    assert not [url for url in browser.requests() if luigid.token in url.partition("#")[0]]

    open_tab("tab=tasks")
    for paused in (True, False):
        click("#pause-form .toggle")
        wait_for(lambda paused=paused: luigid.call("is_paused") == {"paused": paused})
    click(in_row("Forgiven", ".showError"))
    wait_for(lambda: browser.run("return document.querySelector('#errorModal.in pre')?.innerText") == "broken")
    open_tab("tab=tasks")
    click(in_row("Forgiven", ".forgiveFailures"))
    wait_for(lambda: statuses(luigid)["Forgiven"] == "PENDING")
    click(in_row("Marked", ".markAsDone"))
    wait_for(lambda: statuses(luigid)["Marked"] == "DONE")
    click(in_row("Off", ".re-enable-button"))
    wait_for(lambda: statuses(luigid)["Off"] != "DISABLED")
    click(in_row("Talks", ".statusMessage"))
    wait_for(lambda: browser.run("return document.querySelector('#statusMessageModal.in pre')?.innerText"))
    open_tab("tab=tasks")
    click(in_row("Talks", ".schedulerMessage"))
    wait_for(lambda: browser.run("return $('#schedulerMessageModal.in #schedulerMessageInput').val('go on').length"))
    click("#schedulerMessageButton")
    (message,) = wait_for(lambda: luigid.order("ping", worker="w")["rpc_messages"])
    assert message["name"] == "dispatch_scheduler_message" and message["kwargs"]["content"] == "go on"

    open_tab("tab=workers")
    for button, count in (("#btn-increment-workers", 3), ("#btn-decrement-workers", 2)):
        click(button)
        assert wanted_workers(luigid) == count
        wait_for(lambda count=count: browser.run("return $('#label-n-workers').text()") == str(count))
    click("#btn-set-workers")
    wait_for(lambda: browser.run("return $('#setWorkersModal.in #setWorkersInput').val('7').length"))
    click("#setWorkersButton")
    assert wanted_workers(luigid) == 7
    open_tab("tab=workers")
    click(".btn-disable-worker")
    wait_for(lambda: browser.run("return $('#disableWorkerModal.in').length"))
    click("#disableWorkerButton")
    wait_for(lambda: luigid.call("worker_list")[0]["state"] == "disabled")

    open_tab("tab=resource")
    used_of = "return $('#resourceList .progress-bar').text()"
    for button, count in ((".btn-increment-resources", 4), (".btn-decrement-resources", 3)):
        click(button)
        wait_for(lambda count=count: luigid.call("resource_list")[0]["num_total"] == count)
        wait_for(lambda count=count: browser.run(used_of).endswith(f"/{count}"))
    click("a.btn-set-resources")
    wait_for(lambda: browser.run("return $('#setResourcesModal.in #setResourcesInput').val('9').length"))
    click("#setResourcesButton")
    wait_for(lambda: luigid.call("resource_list")[0]["num_total"] == 9)
    assert not alert_of(browser)


# Each way in which a page can call another server: what it is told, "" for nothing. A browser that blocks a frame does
# not always say that it has.
ATTACK = """
const [server, done] = arguments, answers = {}, attempts = [];
const data = new URLSearchParams({data: JSON.stringify({worker: "w", task_id: "Evil_1", family: "Evil", n: 1})});
const attempt = (name, call) => attempts.push(call().catch(() => "").then(text => { answers[name] = text || ""; }));
const shown = one => { try { return one.contentDocument.body.innerText; } catch { return ""; } };
const loads = (one, start) => Promise.race([
    new Promise(resolve => { one.onload = one.onerror = () => resolve(shown(one)); start(); }),
    new Promise(resolve => setTimeout(() => resolve(shown(one)), 3000)),
]);
for (const method of ["pause", "add_task", "disable_worker", "task_list", "worker_list"]) {
    const url = `${server}/api/${method}`;
    for (const mode of ["cors", "no-cors", "same-origin"]) {
        for (const options of [{}, {method: "POST", body: data}, {method: "POST", body: data,
             headers: {Authorization: "Bearer x"}}, {method: "POST", body: data, credentials: "include"}]) {
            attempt(`${method} ${mode} ${JSON.stringify(options)}`, async () => {
                const answer = await fetch(options.method ? url : `${url}?${data}`, {mode, ...options});
                return answer.ok ? answer.text() : "";
            });
        }
    }
    for (const kind of ["img", "script", "iframe"]) {
        const one = document.createElement(kind);
        attempt(`${method} ${kind}`, () => loads(one, () => {
            one.src = `${url}?${data}`;
            document.body.append(one);
        }));
    }
    const form = document.createElement("form"), target = document.createElement("iframe");
    target.name = `of ${method}`;
    Object.assign(form, {action: url, method: "POST", target: target.name});
    form.append(Object.assign(document.createElement("input"), {name: "data", value: data.get("data")}));
    document.body.append(target, form);
    attempt(`${method} form`, () => loads(target, () => form.submit()));
    navigator.sendBeacon(url, data);
}
Promise.all(attempts).then(() => done(answers));
"""


@pytest.fixture
def other_server(tmp_path):
    """The address of a server of other pages on this machine."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.html").write_text("<body>a page</body>")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "pages")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"localhost:{server.server_port}"
        server.shutdown()


@needs_browser
def test_a_page_of_another_origin_changes_nothing_and_reads_nothing(browser, luigid, other_server):
    give_work(luigid)
    browser.open(f"{luigid.url}#token={luigid.token}")
    known = luigid.call("task_list"), luigid.call("worker_list"), luigid.call("resource_list")
    # Another port of this machine, another site, and luigid itself under the name of another site (DNS rebinding).
    port = other_server.partition(":")[2]
    for page in (f"http://{other_server}/", f"http://evil.example:{port}/", f"http://evil.example:{luigid.port}/"):
        browser.open(page)
        own = urllib.parse.urlsplit(page).netloc
        for host in ("127.0.0.1", "localhost", "evil.example"):
            answers = browser.driver.execute_async_script(ATTACK, f"http://{host}:{luigid.port}")
            told = {name: text for name, text in answers.items() if text and "luigid: " not in text}
            assert len(answers) == 5 * (3 * 4 + 3 + 1) and not told, own
    now = luigid.call("task_list"), luigid.call("worker_list"), luigid.call("resource_list")
    for one in (*known[1], *now[1]):
        one.pop("last_active")
    assert now == known and luigid.call("is_paused") == {"paused": False}
    log = (luigid.folder / "luigid.log").read_text()
    assert "403 POST /api/pause (127.0.0.1): pages of other origins are refused" in log
    assert "403 POST /api/add_task (127.0.0.1): this host is not allowed: name it in [scheduler] hosts" in log


@needs_browser
def test_the_visualiser_is_in_no_frame_of_another_page(browser, luigid, other_server, tmp_path):
    page = f"<iframe src='http://localhost:{luigid.port}/static/visualiser/index.html'></iframe>"
    (tmp_path / "pages" / "frame.html").write_text(page)
    browser.open(f"http://{other_server}/frame.html")
    wait_for(lambda: any("frame-ancestors" in line for line in browser.errors()))
