"""Ratings that are given by keys in the page, as the commands read them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.page_support import wait_for
from tests.report.page.test_sheets import _picture, _show, _table
from tools.report.page import write_page
from tools.report.page.clips import Clips
from tools.report.page.contents import read_contents
from tools.report.ratings import match_ratings, read_ratings

UNSURE = pl.Series("suitability_std", [row / 100 for row in range(20)])


@pytest.fixture
def page(tmp_path: Path) -> Path:
    contents = read_contents(_table(20).with_columns(UNSURE).lazy())
    pictures = Clips({row: _picture(4) for row in range(20)})
    write_page(tmp_path / "r.html", str(tmp_path / "m.csv"), contents, clips=pictures)
    return tmp_path / "r.html"


def _keys(browser: Any, *keys: str) -> None:
    from selenium.webdriver import ActionChains

    for key in keys:
        ActionChains(browser).send_keys(key).perform()


def _lines(browser: Any) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in browser.execute_script("return vidsieve.ratings.lines()").splitlines()
    ]


def _saved(browser: Any) -> str:
    """What the button offers as a file."""
    browser.execute_script(
        "const make = URL.createObjectURL; window.blob = null;"
        "URL.createObjectURL = (blob) => { window.blob = blob; return make.call(URL, blob); };"
    )
    browser.find_element("xpath", "//button[text()='Save ratings']").click()
    wait_for(browser, "return window.blob")
    return browser.execute_async_script("window.blob.text().then(arguments[0])")


def test_keys_rate_the_clip_that_is_pointed_at(
    page: Path, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    """Read back by the reader of the commands, and matched with the table."""
    from selenium.webdriver import ActionChains, Keys

    browser = open_page(page)
    _show(browser, "clips")
    wait_for(browser, "return document.querySelectorAll('#view-clips .tile').length >= 12")
    tiles = browser.find_elements("css selector", "#view-clips .tile")
    rows = [int(tile.get_attribute("data-row")) for tile in tiles[:4]]
    assert len(set(rows)) == 4
    ActionChains(browser).move_to_element(tiles[0]).perform()
    _keys(browser, "2", "4")
    ActionChains(browser).move_to_element(tiles[1]).perform()
    _keys(browser, "k")
    ActionChains(browser).move_to_element(tiles[2]).perform()
    _keys(browser, "r", "too 1 dark", Keys.ENTER)
    browser.execute_script("arguments[0].focus()", tiles[2])
    _keys(browser, Keys.ARROW_RIGHT, "5")
    assert "★ 4" in tiles[0].text
    assert "reject: too 1 dark" in tiles[2].text
    _show(browser, "rate")
    file = tmp_path / "ratings.jsonl"
    file.write_text(_saved(browser))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    table = _table(20)
    told = [
        {"rating": 4},
        {"keep": True},
        {"keep": False, "reason": "too 1 dark"},
        {"rating": 5},
    ]
    expected = [
        {"path": table["path"][row], "id": table["id"][row], **verdict}
        for row, verdict in zip(rows, told, strict=True)
    ]
    assert [{k: v for k, v in line.items() if k != "time"} for line in lines] == expected
    matched = match_ratings(read_ratings([file]), table, "m.csv")
    assert [row for _, row in matched.pairs] == rows


def test_the_queue_begins_with_the_least_sure_and_can_be_undone(
    page: Path, open_page: Callable[..., Any]
) -> None:
    browser = open_page(page)
    _show(browser, "rate")
    shown = "return document.querySelector('#view-rate .name').title"
    paths = _table(20)["path"].to_list()[::-1]  # suitability_std grows with the row
    assert browser.execute_script(shown) == paths[0]
    _keys(browser, "1")
    assert browser.execute_script(shown) == paths[1]
    _keys(browser, "3")
    assert browser.execute_script("return document.querySelector('#view-rate progress').value") == 2
    _keys(browser, "u")
    assert browser.execute_script(shown) == paths[1]
    _keys(browser, "k")
    lines = _lines(browser)
    assert [(line["path"], line.get("rating"), line.get("keep")) for line in lines] == [
        (paths[0], 1, None),
        (paths[1], None, True),
    ]


def test_letters_of_a_field_and_shortcuts_of_the_browser_rate_nothing(
    page: Path, open_page: Callable[..., Any]
) -> None:
    from selenium.webdriver import Keys

    browser = open_page(page)
    _show(browser, "rate")
    name = browser.find_element("css selector", "#view-rate .buttons input[type=text]")
    name.send_keys("kr5")
    _keys(browser, Keys.TAB)
    _keys(browser, Keys.CONTROL + "u" + Keys.CONTROL)
    browser.execute_script("document.body.focus(); document.activeElement.blur()")
    _keys(browser, "2")
    line = json.loads(browser.execute_script("return vidsieve.ratings.lines()"))
    assert (line["rating"], line["rater"]) == (2, "kr5")


def test_ratings_survive_closing_the_page(page: Path, open_page: Callable[..., Any]) -> None:
    browser = open_page(page)
    _show(browser, "rate")
    _keys(browser, "4", "2")
    before = browser.execute_script("return vidsieve.ratings.lines()")
    browser = open_page(page)
    assert browser.execute_script("return vidsieve.ratings.lines()") == before != ""
    _show(browser, "rate")
    assert "2 ratings of before" in browser.find_element("css selector", "#view-rate").text


def test_an_earlier_file_is_gone_on_with(page: Path, open_page: Callable[..., Any], tmp_path: Path) -> None:
    """Lines about other clips and by other raters are saved again, lines that are no ratings are counted."""
    table = _table(20)
    known = {"path": table["path"][7], "id": "7", "rating": 2, "time": "2026-01-02T03:04:05Z"}
    other = {"path": "elsewhere.mp4", "keep": True}
    defects = {"path": table["path"][7], "id": "7", "defects": ["text"], "note": ""}
    lines = [json.dumps(known), json.dumps(other), json.dumps(defects), "{]", '{"path": "x", "rating": 9}']
    file = tmp_path / "earlier.jsonl"
    file.write_text("\n".join(lines))
    browser = open_page(page)
    _show(browser, "rate")
    browser.find_element("css selector", "#view-rate input[type=file]").send_keys(str(file))
    wait_for(browser, "return document.querySelector('#view-rate').textContent.includes('2 lines are no')")
    _keys(browser, "5")
    saved = _lines(browser)
    assert saved[:2] == [other, defects]
    assert saved[2] == known
    assert (saved[3]["path"], saved[3]["rating"]) == (table["path"][19], 5)
