"""The page of an audit: the clips that are drawn, and what is ticked, read back by the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.page_support import page_data, requests_of, wait_for
from tests.report.page.test_rating import _keys, _saved
from tests.report.page.test_sheets import HOSTILE
from tests.support import make_video
from tools.errors import UserError
from tools.report.__main__ import main
from tools.report.audit.sample import draw
from tools.report.chain import read_chain
from tools.report.page.audit import write_audit_page
from tools.stage.run_options import RunOptions
from tools.table import write_table

STATES = "return [...document.querySelectorAll('.tile .mark')].map((mark) => mark.textContent)"


@pytest.fixture
def audit(tmp_path: Path) -> tuple[pl.DataFrame, Path, Path]:
    """A table of 40 rows of three files, and the page of 12 of them."""
    for name in ("a b.mp4", "b.mp4"):
        make_video(tmp_path / name, 8)
    files = [str(tmp_path / name) for name in ("a b.mp4", "b.mp4", f"{HOSTILE.replace('/', '')}.mp4")]
    table = pl.DataFrame(
        {
            "path": [files[row % 3] for row in range(40)],
            "id": [f"clip {row}" for row in range(40)],
            "text": [HOSTILE] * 40,
        }
    )
    write_table(table, tmp_path / "meta.csv")
    page = tmp_path / "audit.html"
    chain = read_chain([str(tmp_path / "meta.csv")])
    write_audit_page(page, chain, 12, seed=3, options=RunOptions(num_workers=0))
    return table, tmp_path / "meta.csv", page


def test_the_drawn_clips_stand_in_the_order_of_the_sample(
    audit: tuple[pl.DataFrame, Path, Path],
) -> None:
    table, _, page = audit
    data = page_data(page)
    clips = json.loads(data["about"])["audit"]["clips"]
    rows = draw(40, 12, 3).rows.tolist()
    assert [clip["id"] for clip in clips] == [table["id"][row] for row in rows]
    sprites = json.loads(data["sprites"])
    assert {place: "jpeg" in sprites[str(place)] for place in range(12)} == {
        place: row % 3 < 2 for place, row in enumerate(rows)
    }


def test_what_is_ticked_is_read_back(
    audit: tuple[pl.DataFrame, Path, Path],
    open_page: Callable[..., Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Four clips, of which two are bad: the rates that the command prints are those by construction."""
    from selenium.webdriver import Keys

    table, meta, page = audit
    browser = open_page(page)
    _keys(browser, "2", "4", Keys.ENTER)  # text and bars
    _keys(browser, "n")
    _keys(browser, "1", "1", Keys.ENTER)  # ticked by mistake
    _keys(browser, Keys.ARROW_RIGHT, Keys.ARROW_LEFT, "0")
    note = browser.find_element("css selector", "input[aria-label=note]")
    note.send_keys("odd colours 5", Keys.ENTER)
    _keys(browser, Keys.ENTER)
    assert "4 of 12 seen, 2 with a defect (50.0 %)" in browser.find_element("css selector", "main").text
    file = tmp_path / "audit_ratings.jsonl"
    file.write_text(_saved(browser))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    rows = draw(40, 12, 3).rows.tolist()
    told = [(["text", "bars"], ""), ([], ""), ([], ""), (["other"], "odd colours 5")]
    expected = [
        {"path": table["path"][row], "id": table["id"][row], "defects": defects, "note": note}
        for row, (defects, note) in zip(rows, told, strict=False)
    ]
    assert [{k: v for k, v in line.items() if k != "time"} for line in lines] == expected
    capsys.readouterr()
    main([str(meta), "--audit", "12", "--seed", "3", "--ratings", str(file)])
    printed = capsys.readouterr().out
    bad = next(line for line in printed.splitlines() if line.startswith("bad "))
    assert bad.split()[1:3] == ["2", "50.00%"]


def test_an_audit_can_be_undone_and_seen_as_a_whole(
    audit: tuple[pl.DataFrame, Path, Path], open_page: Callable[..., Any]
) -> None:
    browser = open_page(audit[2])
    _keys(browser, "n", "3", "u", "u", "g")
    states = browser.execute_script(
        "return [...document.querySelectorAll('.tile .mark')].map((m) => m.textContent)"
    )
    assert states == ["not seen"] * 12
    browser.find_elements("css selector", ".tile")[4].click()
    assert browser.find_element("css selector", ".audit strong").text == "Clip 5 of 12"
    _keys(browser, "6", "g")
    states = browser.execute_script(
        "return [...document.querySelectorAll('.tile .mark')].map((m) => m.textContent)"
    )
    assert states[4] == "✕ blurred"


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fetches_nothing_runs_no_markup_and_fits(
    audit: tuple[pl.DataFrame, Path, Path], open_page: Callable[..., Any], width: int
) -> None:
    browser = open_page(audit[2], width=width)
    wait_for(browser, "return document.querySelector('.caption')")
    assert browser.execute_script("return document.querySelector('.caption').textContent") == HOSTILE
    assert browser.execute_script("return window.broken") is None
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert requests_of(browser) == []


def test_an_audit_needs_paths_and_does_not_replace_other_files(tmp_path: Path) -> None:
    write_table(pl.DataFrame({"id": ["a"], "aes": [1.0]}), tmp_path / "meta.csv")
    with pytest.raises(UserError, match="path"):
        main([str(tmp_path / "meta.csv"), "--audit", "5", "-o", str(tmp_path / "a.html")])
    write_table(pl.DataFrame({"path": ["gone.mp4"]}), tmp_path / "meta.csv")
    (tmp_path / "a.html").write_text("mine")
    with pytest.raises(UserError, match="in the way"):
        main([str(tmp_path / "meta.csv"), "--audit", "5", "-o", str(tmp_path / "a.html")])
    main([str(tmp_path / "meta.csv"), "--audit", "5", "-o", str(tmp_path / "b.html")])
    about = json.loads(page_data(tmp_path / "b.html")["about"])
    assert about["audit"]["describe"] == "all 1 rows; 5 were asked for"


def test_without_pictures_names_lead_to_the_files(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    write_table(pl.DataFrame({"path": [str(tmp_path / "a b.mp4")]}), tmp_path / "meta.csv")
    main([str(tmp_path / "meta.csv"), "--audit", "5", "--no-sprites", "-o", str(tmp_path / "b.html")])
    browser = open_page(tmp_path / "b.html")
    link = browser.find_element("css selector", "a.name").get_attribute("href")
    assert link == (tmp_path / "a b.mp4").as_uri()
    assert "--no-sprites" in browser.find_element("css selector", "header").text
