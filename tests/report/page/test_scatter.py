"""The scatter of two columns: points and bounds against the table, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.page_support import wait_for
from tools.report.__main__ import main
from tools.table import write_table


@pytest.fixture(scope="module")
def page(paired: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scatter")
    write_table(paired, folder / "clips.parquet")
    main([str(folder / "clips.parquet"), "-o", str(folder / "report.html")])
    return folder / "report.html"


def test_points_bounds_and_a_drawn_rectangle(
    paired: pl.DataFrame, page: Path, open_page: Callable[..., Any]
) -> None:
    from selenium.webdriver import ActionChains

    browser = open_page(page)
    browser.execute_script("vidsieve.setBound('aes', 4, null)")
    browser.find_element("id", "tab-scatter").click()
    scatter = (
        "const [scatter] = vidsieve.views.filter((view) => view.id === 'scatter').map((view) => view.made); "
    )
    wait_for(browser, scatter + "return scatter.figure && document.querySelector('.scatter-plot').firstChild")
    known = paired.filter(pl.col("ties").is_not_null())
    kept = known.filter(pl.col("aes") >= 4).height
    note = browser.find_element("css selector", ".scatter .note").text
    assert note.startswith(
        f"{kept} of {kept} kept and {known.height - kept} of {known.height - kept} removed"
    )
    drawn = browser.execute_script(
        scatter + "return ['kept', 'lost'].map((name) => scatter.sources[name].data.x.length)"
    )
    assert drawn == [kept, known.height - kept]
    lines = scatter + "return scatter.spans.flat().map((span) => span.visible ? span.location : null)"
    assert browser.execute_script(lines) == [4, None, None, None]
    box = browser.find_element("css selector", ".scatter-bar label:last-child input")
    if not box.is_selected():
        box.click()
    browser.execute_script("scrollTo(0, 0)")
    wait_for(browser, scatter + "return scatter.view.then((view) => view && scatter.figure.inner_width > 0)")
    plot = browser.find_element("css selector", ".scatter-plot")
    drag = ActionChains(browser).move_to_element_with_offset(plot, -150, -80).click_and_hold()
    drag.move_by_offset(100, 60).move_by_offset(100, 60).release().perform()
    wait_for(browser, "return vidsieve.context.filter.bounds.size === 2")
    bounds = browser.execute_script("return Object.fromEntries(vidsieve.context.filter.bounds)")
    assert browser.execute_script(lines) == [
        bounds["aes"]["low"], bounds["aes"]["high"], bounds["ties"]["low"], bounds["ties"]["high"]
    ]  # fmt: skip
    inside = pl.col("aes").is_between(bounds["aes"]["low"], bounds["aes"]["high"]) & pl.col(
        "ties"
    ).is_between(bounds["ties"]["low"], bounds["ties"]["high"])
    shown = browser.find_element("css selector", ".kept strong").text
    assert 0 < int(shown) == paired.filter(inside).height < kept


def test_a_click_on_a_point_shows_its_row(
    paired: pl.DataFrame, page: Path, open_page: Callable[..., Any]
) -> None:
    """The point that lies farthest to the left, which has no other near it."""
    from selenium.webdriver import ActionChains

    browser = open_page(page)
    browser.find_element("id", "tab-scatter").click()
    scatter = "const scatter = vidsieve.views.find((view) => view.id === 'scatter').made; "
    wait_for(browser, scatter + "return scatter.view.then((view) => view && scatter.figure.inner_width > 0)")
    known = paired.filter(pl.col("ties").is_not_null()).sort("aes")
    row = known.row(0, named=True)
    x, y = browser.execute_script(
        scatter
        + """
        const {figure} = scatter;
        const box = document.querySelector(".scatter-plot").getBoundingClientRect();
        return scatter.view.then(({frame}) => [
          frame.x_scale.compute(arguments[0]) + box.left, frame.y_scale.compute(arguments[1]) + box.top,
        ]);
        """,
        row["aes"],
        row["ties"],
    )
    pointer = ActionChains(browser)
    pointer.w3c_actions.pointer_action.move_to_location(round(x), round(y)).click()
    pointer.perform()
    shown = wait_for(browser, "return document.querySelector('.scatter-clip .tile')?.ariaLabel")
    assert row["path"] in shown
