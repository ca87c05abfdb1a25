"""The table of rows in a real browser: only the rows on the screen are elements; keys and typing work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.page_support import wait_for
from tools.report.__main__ import main
from tools.table import write_table

ROWS = 400


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    table = pl.DataFrame(
        {
            "path": [f"/data/films {row % 7}/Clip_{row * 37 % ROWS:03}.mp4" for row in range(ROWS)],
            "text": ["<img src=x onerror='window.broken = 1'>"] * ROWS,
            "aes": [None if row % 11 == 0 else row * 37 % 101 / 10 for row in range(ROWS)],
        }
    )
    write_table(table, folder / "clips.csv")
    main([str(folder / "clips.csv"), "-o", str(folder / "report.html")])
    return folder / "report.html"


def test_only_rows_on_the_screen_are_elements_and_keys_reach_the_last(
    page: Path, open_page: Callable[..., Any]
) -> None:
    from selenium.webdriver import Keys

    browser = open_page(page)
    browser.find_element("id", "tab-rows").click()
    wait_for(browser, "return document.querySelector('tr[data-row]')")
    assert len(browser.find_elements("css selector", "tr[data-row]")) < 60
    header = browser.find_element("css selector", "table.rows thead tr")
    (aes,) = [head for head in header.find_elements("css selector", "th") if head.text == "aes"]
    aes.find_element("css selector", "button").send_keys(Keys.ENTER)
    assert aes.get_attribute("aria-sort") == "descending"
    scroller = browser.find_element("css selector", ".rows-scroll")
    scroller.send_keys(Keys.END)
    wait_for(
        browser, "return document.querySelector('#selected-row')?.getAttribute('aria-rowindex') === '401'"
    )
    row, view = browser.execute_script(
        "const bottom = (one) => document.querySelector(one).getBoundingClientRect().bottom;"
        "return [bottom('#selected-row'), bottom('.rows-scroll')]"
    )
    assert row <= view
    shown = browser.find_element("css selector", ".row-detail h3").text
    last = browser.execute_script(
        "return vidsieve.views.find((view) => view.id === 'rows').made.list.rows.at(-1)"
    )
    assert shown == browser.execute_script("return vidsieve.context.table.texts.path[arguments[0]]", last)
    assert last == max(
        row for row in range(ROWS) if row % 11 == 0
    )  # empty cells come last, in the table's order
    assert browser.execute_script("return window.broken") is None


def test_a_search_is_typed_and_the_page_is_not_wider_than_a_telephone(
    page: Path, open_page: Callable[..., Any]
) -> None:
    browser = open_page(page, width=390, height=844)
    browser.find_element("id", "tab-rows").click()
    browser.find_element("css selector", ".rows-bar input").send_keys("Clip_001")
    wait_for(
        browser, "return document.querySelector('.rows-bar [role=status]').textContent === '1 of 400 rows'"
    )
    assert "Clip_001.mp4" in browser.find_element("css selector", "tr[data-row] td.path").get_attribute(
        "title"
    )
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
