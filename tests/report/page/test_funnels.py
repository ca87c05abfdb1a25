"""The chain of tables and recipes on the page, in a browser: counts by construction, and hostile texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.page_support import wait_for
from tools.report.__main__ import main
from tools.table import write_table
from tools.table.recipes import known_recipes

HOSTILE = "<img src=x onerror='window.broken = 1'>"
RECIPE = f"""
[recipe]
title = "Ours {HOSTILE}"
source = "our notes"
kept = "7 of 36"

[[step]]
name = "aesthetics"
threshold = ">= 4"
where = "aes >= 4"
scale = "LAION V2"

[[step]]
name = "long enough"
where = "duration > 2 and duration <= 8"

[[step]]
name = "area"
where = "width * height >= 100"

[[step]]
name = "text"
where = "ocr_area <= 0.02"

[[step]]
name = "watermarks"
threshold = "none"
left_out = "judged by eye"
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 videos of 1 to 10 s; 12 are of 1 to 6 s and stay; of these, those with width 20 are large enough."""
    folder = tmp_path_factory.mktemp("chain")
    videos = pl.DataFrame(
        {
            "path": [f"{row}.mp4" for row in range(20)],
            "duration": [1 + row % 10 for row in range(20)],
            "width": [20 if row % 2 else 5 for row in range(20)],
            "height": [10] * 20,
        }
    )
    write_table(videos, folder / "meta.csv")
    kept = videos.filter(pl.col("duration") <= 6).with_columns(aes=pl.col("duration").cast(pl.Float64))
    write_table(kept, folder / "meta_aes.csv")
    failed = videos.filter(pl.col("duration") > 9).select(
        "path", kind=pl.lit("unreadable"), message=pl.lit(f"no frame {HOSTILE}")
    )
    write_table(failed, folder / "meta_aes.failures.csv")
    (folder / "ours.toml").write_text(RECIPE)
    page = folder / "report.html"
    main(
        [
            str(folder / "meta.csv"),
            str(folder / "meta_aes.csv"),
            "-o",
            str(page),
            "--recipe",
            str(folder / "ours.toml"),
        ]
    )
    return page


def _open(browser: Any, view: str) -> str:
    browser.find_element("id", f"tab-{view}").click()
    return wait_for(browser, f"return document.getElementById('view-{view}').innerText")


def test_the_chain_shows_rows_hours_losses_and_failures(page: Path, open_page: Callable[..., Any]) -> None:
    browser = open_page(page)
    text = _open(browser, "chain")
    first, second = browser.find_elements("css selector", ".steps > li")
    assert "meta.csv" in first.text and "20 rows" in first.text and "110.0 s" in first.text
    assert "meta_aes.csv" in second.text and "12 rows" in second.text and "42.0 s" in second.text
    assert "8 rows" in second.text and "40.0 %" in second.text and "adds aes" in second.text
    reasons = [one.text.split("\n") for one in second.find_elements("css selector", ".reasons li")]
    assert [[one[0], one[-1]] for one in reasons] == [
        ["aesthetic *", "6 (48.0 s)"],
        ["failed: unreadable", "2 (20.0 s)"],
    ]
    widths = browser.execute_script(
        "const bars = [...document.querySelectorAll('.steps .amount .bar')];"
        "return bars.map((bar) => parseFloat(bar.style.width))"
    )
    assert widths == pytest.approx([100, 100 * 42 / 110])
    (row,) = browser.find_elements("css selector", ".failures tbody tr")
    assert "unreadable" in row.text and "2" in row.text and f"9.mp4 no frame {HOSTILE}" in row.text
    assert HOSTILE in text and browser.execute_script("return window.broken") is None


def test_a_recipe_is_counted_and_its_bounds_are_applied(page: Path, open_page: Callable[..., Any]) -> None:
    """aes is the duration: 4 to 6 for 6 of 12 rows; all of them are longer than 2; 4 of them are large."""
    browser = open_page(page, width=390, height=844)
    text = _open(browser, "recipes")
    assert "keeps 33.3 % of your rows (4 of 12" in text and "its source kept 7 of 36" in text
    rows = {
        row.text.split("\n")[0].split(" ")[0]: row
        for row in browser.find_elements("css selector", ".recipe tbody tr")
    }
    numbers = [cell.text.split("\n")[-1] for cell in rows["aesthetics"].find_elements("css selector", "td")]
    assert numbers[:3] == ["6", "6", "6 (50.0 %)"]
    assert "no column ocr_area" in rows["text"].text and "python -m tools.scoring.ocr" in rows["text"].text
    assert "judged by eye" in rows["watermarks"].text and "LAION V2" in rows["aesthetics"].text
    (button,) = [
        one for one in browser.find_elements("css selector", ".recipe button") if "Apply" in one.text
    ]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    assert browser.find_element("css selector", ".kept strong").text == "6"
    bounds = browser.execute_script("return Object.fromEntries(vidsieve.context.filter.bounds)")
    assert bounds == {"aes": {"low": 4, "high": None}, "duration": {"low": 3, "high": 8}}
    said = browser.find_element("css selector", ".recipe [role=status]").text
    assert said.startswith("2 bounds are set") and said.endswith(": area.")
    assert browser.execute_script("return window.broken") is None
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390


def test_the_page_has_all_recipes_that_fit_a_table(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    """Of a table with `aes` alone: every recipe with a step on it, closed until its name is pressed."""
    table = tmp_path / "t.csv"
    write_table(pl.DataFrame({"path": ["a", "b", "c"], "aes": [4.4, 4.6, 6.0]}), table)
    main([str(table), "-o", str(tmp_path / "r.html")])
    browser = open_page(tmp_path / "r.html")
    text = _open(browser, "recipes")
    names = [one.given for one in known_recipes() if any(step.columns == ["aes"] for step in one.applied)]
    assert len(names) > 3 and all(name in text for name in names)
    details = browser.find_elements("css selector", "details.recipe")
    assert len(details) == len(names) and not any(one.get_attribute("open") for one in details)
    browser.find_element("xpath", "//button[text()='goku-720p']").click()
    (shown,) = [one for one in details if one.get_attribute("open")]
    assert "keeps 66.7 % of your rows (2 of 3)" in shown.text


def test_one_table_without_failures_has_neither_view(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    write_table(pl.DataFrame({"path": ["a", "b"], "mine": [1.5, 2.5]}), tmp_path / "a b.csv")
    main([str(tmp_path / "a b.csv"), "-o", str(tmp_path / "r.html")])
    browser = open_page(tmp_path / "r.html")
    tabs = [tab.text for tab in browser.find_elements("css selector", "[role=tab]")]
    assert "Rows" in tabs and "Chain" not in tabs and "Recipes" not in tabs


def test_the_command_names_all_parts_of_a_table(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    """Two ranks wrote the rows in turn; the page shows them in the order of their input."""
    names = []
    for rank in range(2):
        rows = list(range(rank, 10, 2))
        frame = pl.DataFrame({"path": [f"{row}.mp4" for row in rows], "aes": [float(row) for row in rows]})
        names.append(str(tmp_path / f"meta_aes_part{rank}.csv"))
        write_table(frame.with_columns(_row=pl.Series(rows), _part=pl.lit(f"{rank}/2")), Path(names[-1]))
    main([*names, "-o", str(tmp_path / "r.html")])
    browser = open_page(tmp_path / "r.html")
    assert (
        browser.find_element("css selector", ".command code").text
        == f"python -m tools.datasets.datautil {' '.join(names)}"
    )
    paths = browser.execute_script("return vidsieve.context.table.texts.path")
    assert paths == [f"{row}.mp4" for row in range(10)]
