"""The report in a browser."""

import json
import shutil
import subprocess

import pytest

from tests.browser import needs_browser
from tests.results.report.conftest import EVEN, ODD, report, write_run


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
    assert "Wrote" in page.run("return document.querySelector('#result .lines').textContent")
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
