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
            "text": ["<img src=x onerror='window.broken = 1'>", "قطة تمشي"] * (ROWS // 2),
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
    cell = "document.querySelector(`tr[data-row='${arguments[0]}'] td:nth-child(3)`)"
    cut = f"return getComputedStyle({cell}).direction"
    assert [browser.execute_script(cut, row) for row in (0, 1)] == ["ltr", "rtl"]  # where a long text is cut
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


def test_of_many_columns_those_on_the_screen_are_elements(
    tmp_path: Path, open_page: Callable[..., Any]
) -> None:
    """A cell says its row and column by value; scrolled to the side, it stands below its column's head."""
    columns = {f"c{column}": [float(100 * row + column) for row in range(100)] for column in range(100)}
    write_table(
        pl.DataFrame({"path": [f"{row}.mp4" for row in range(100)], **columns}), tmp_path / "wide.csv"
    )
    main([str(tmp_path / "wide.csv"), "-o", str(tmp_path / "r.html")])
    browser = open_page(tmp_path / "r.html")
    browser.find_element("id", "tab-rows").click()
    wait_for(browser, "return document.querySelector('tr[data-row]')")
    browser.execute_script(
        "Object.assign(document.querySelector('.rows-scroll'), {scrollLeft: 4000, scrollTop: 900})"
    )
    cells = """
        const left = (node) => node.getBoundingClientRect().left;
        const row = document.querySelector("tr[data-row='35']");
        if (!row) return null;
        const heads = [...document.querySelectorAll("table.rows th")];
        const below = new Map(heads.map((head) => [left(head), head.textContent]));
        const numbers = [...row.querySelectorAll("td.number")];
        return numbers.map((cell) => [below.get(left(cell)), cell.textContent]);
    """
    shown = wait_for(browser, cells)  # the row is there after it was scrolled to
    assert 5 < len(shown) < 40
    assert all(int(value) == 3500 + int(name[1:]) for name, value in shown)
    assert browser.execute_script("return document.querySelectorAll('table.rows td').length") < 1500
