"""A real browser for the tests of the page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.page_support import wait_for

SWITCHES = (
    "--headless=new",
    "--no-sandbox",  # which root cannot have
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1280,900",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium without a window, one for all tests of a process."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        missing = "no chromium and chromedriver here; on Debian: apt install chromium chromium-driver"
        if os.environ.get("FAIL_WITHOUT_BROWSER"):
            pytest.fail(missing)
        pytest.skip(missing)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for switch in SWITCHES:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    started.set_script_timeout(60)
    yield started
    started.quit()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a page as a double click does, and wait until it is ready; at the end no error may be logged."""

    def open_(page: Path, *, width: int = 1280, height: int = 900, fragment: str = "") -> Any:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get("about:blank")  # or a fragment alone would not load the page again
        browser.get_log("browser"), browser.get_log("performance")
        browser.get(page.resolve().as_uri() + (f"#{fragment}" if fragment else ""))
        wait_for(browser, "return document.documentElement.dataset.ready")
        return browser

    yield open_
    messages = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert messages == []


@pytest.fixture(scope="session")
def paired() -> pl.DataFrame:
    """Columns that go together: one with ties and gaps, one that is skewed, one of large numbers."""
    rng = np.random.default_rng(8)
    first = rng.normal(5, 1, 600)
    ties = np.round(first + rng.normal(0, 1, 600))
    return pl.DataFrame(
        {
            "path": [f"{row}.mp4" for row in range(600)],
            "aes": first,
            "ties": [None if row % 9 == 0 else float(ties[row]) for row in range(600)],
            "skewed": np.exp(2 * first),
            "offset": 1e9 + first,
        }
    )
