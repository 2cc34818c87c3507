"""A real browser for tests of pages: Debian's chromium without a window, with its own network log and console."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="chromium or its driver is not installed (Debian: chromium chromium-driver)"
)


class Browser:
    """A browser with one page open; `driver` is Selenium's, for all that has no word here."""

    def __init__(self, profile: Path):
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        # A sandbox needs what containers don't give; /dev/shm is small there too.
        for word in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1280,900", "no-first-run"):
            options.add_argument(f"--{word}")
        for word in ("disable-background-networking", "disable-component-update", f"user-data-dir={profile}"):
            options.add_argument(f"--{word}")
        # Names of pages of other origins.
        options.add_argument("--host-resolver-rules=MAP *.example 127.0.0.1")
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))

    def open(self, page: str | Path) -> None:
        """Open a URL, or a file from disk, and wait until it is loaded; the logs begin anew."""
        self.requests()
        self.errors()
        self.driver.get(page.resolve().as_uri() if isinstance(page, Path) else page)

    def requests(self) -> list[str]:
        """Return the URLs that the page has asked for since the last call, its own first.

        Left out are data:, which is no request, and the pages of the browser itself.
        """
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = (e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent")
        return [url for url in urls if not url.startswith(("data:", "chrome:"))]

    def errors(self) -> list[str]:
        """Return what the console has said since the last call: errors and warnings."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def run(self, script: str, *arguments: object) -> object:
        """Run JavaScript in the page: the body of a function of `arguments`; return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def media(self, **features: str) -> None:
        """Emulate media features, such as prefers_color_scheme="dark"; none of them: as it was."""
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": listed})


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    """A browser for the tests of one file; mark these with needs_browser."""
    os.environ.setdefault("SE_AVOID_STATS", "true")
    opened = Browser(tmp_path_factory.mktemp("browser"))
    yield opened
    opened.driver.quit()
