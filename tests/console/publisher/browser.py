"""A headless Chromium for tests, driven by Selenium: Debian's, or whichever is on the PATH. Nothing is downloaded."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver
    from selenium.webdriver.remote.webelement import WebElement

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
)


def missing() -> str | None:
    """Say what is not there that the browser needs, or None if it can start. For skipping tests with a reason."""
    if find_spec("selenium") is None:
        return "selenium is not installed: it is one of the development packages"
    if not _first(_BROWSERS) or not shutil.which("chromedriver"):
        return f"there is no browser: none of {', '.join(_BROWSERS)} with chromedriver is on the PATH"
    return None


def _first(names: Sequence[str]) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser with one window."""

    driver: "WebDriver"

    def open(
        self, page: Path, *, width: int = 1280, height: int = 900, dark: bool = False, print_: bool = False
    ) -> None:
        """Open a file in a window of that size, in that scheme."""
        self.driver.get("about:blank")
        self.logs()
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        media = {"media": "print" if print_ else "", "features": [scheme]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        self.driver.get(page.as_uri())
        self.wait(lambda: self.run("return document.readyState") == "complete")

    def logs(self) -> list[str]:
        """Give what the console and the network showed since the last call: errors, and requests but for files."""
        found = [entry["message"] for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call] # Selenium's
        for entry in self.driver.get_log("performance"):  # type: ignore[no-untyped-call] # Selenium's
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                found += [url] if not url.startswith(("file:", "data:")) else []
        return found

    def all(self, selector: str) -> "list[WebElement]":
        """Find elements by a CSS selector."""
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> "WebElement":
        """Find an element by a CSS selector."""
        return self.driver.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        """Give the texts of elements, as they are seen."""
        script = "return JSON.stringify([...document.querySelectorAll(arguments[0])].map((each) => each.innerText))"
        return json.loads(self.run(script, selector))  # type: ignore[no-any-return] # what the script makes of it

    def run(self, script: str, *arguments: object) -> Any:  # noqa: ANN401 - what a script returns
        """Run a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition: Callable[[], object]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)


@contextmanager
def running(folder: Path, *, scripts: bool = True) -> Iterator[Browser]:
    """Run a browser with a profile of its own in the folder."""
    from selenium.webdriver import Chrome, ChromeOptions  # noqa: PLC0415 - is not installed everywhere
    from selenium.webdriver.chrome.service import Service  # noqa: PLC0415 - the same

    options = ChromeOptions()
    options.binary_location = _first(_BROWSERS) or ""
    for flag in (*_FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    if getattr(os, "geteuid", lambda: 1)() == 0:
        options.add_argument("--no-sandbox")  # Chromium refuses to run as root with one
    if not scripts:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options, Service(shutil.which("chromedriver")))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
