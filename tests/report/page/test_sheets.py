"""Contact sheets and the strip at the bound: which clips they show, and how their pictures play."""

from __future__ import annotations

import base64
import io
import math
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.page_support import run_node, wait_for
from tools.report.page import write_page
from tools.report.page.clips import Clips, link_to
from tools.report.page.contents import read_contents

HOSTILE = "</script><script>window.broken = 1</script><img src=x onerror='window.broken = 2'>"
CHOICE = """
    const column = new vidsieve.NumberColumn(given.about, Uint16Array.from(given.codes));
    const filter = new vidsieve.Crossfilter(new Map([["a", column]]), given.codes.length, column);
    const found = given.bounds.map(([low, high]) => {
        filter.setRange("a", low, high);
        const rows = Array.from(vidsieve.upTo(given.codes.length));
        const sides = [];
        if (low !== null) sides.push(vidsieve.around(filter, rows, "a", true, 5));
        if (high !== null) sides.push(vidsieve.around(filter, rows, "a", false, 5));
        return {sides, highest: vidsieve.extreme(column, rows, (row) => filter.passes(row), true, 4)};
    });
    const even = (row) => row % 2 === 0;
    const random = [1, 1, 2].map((seed) => vidsieve.randomly(vidsieve.upTo(500), even, 50, seed));
    return {found, random};
"""


def _picture(frames: int, link: str = "./a.mp4") -> dict[str, Any]:
    file = io.BytesIO()
    Image.new("RGB", (16 * frames, 9), (40, 90, 160)).save(file, "JPEG")
    jpeg = base64.b64encode(file.getvalue()).decode()
    return {"frames": frames, "width": 16, "height": 9, "jpeg": jpeg, "link": link}


def _table(rows: int = 60) -> pl.DataFrame:
    rng = np.random.default_rng(7)
    return pl.DataFrame(
        {
            "path": [f"clips/{HOSTILE if row == 3 else row}.mp4" for row in range(rows)],
            "id": [str(row) for row in range(rows)],
            "aes": [None if row % 9 == 4 else float(np.round(rng.normal(5, 1), 2)) for row in range(rows)],
            "motion": np.round(rng.random(rows), 3),
            "text": [HOSTILE] * rows,
        }
    )


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page of 60 clips of four frames each, but for row 5, which has no picture."""
    pictures = {row: _picture(4) for row in range(60)} | {5: {"failure": f"missing: {HOSTILE}"}}
    write_page(
        tmp_path / "r.html", str(tmp_path / "m.csv"), read_contents(_table().lazy()), clips=Clips(pictures)
    )
    return tmp_path / "r.html"


def _show(browser: Any, view: str) -> None:
    browser.find_element("css selector", f"#tab-{view}").click()


def _rows_of(browser: Any, group: str) -> list[int]:
    script = (
        f"return [...document.querySelectorAll('[aria-label=\"{group}\"] .tile')].map((t) => +t.dataset.row)"
    )
    return browser.execute_script(script)


def test_rows_around_a_bound_are_the_nearest_ones() -> None:
    """Against sorting in Python, with ties and empty cells."""
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 40, 300)  # the number of a code is code - 1; 0 is an empty cell
    about = {"name": "a", "kind": "number", "decimals": 0, "exact": True, "least": 0}
    about |= {"below": [], "above": [], "edges": [0, 1]}
    bounds = [[10, None], [None, 20], [10, 20], [0, None], [38, 38], [500, None]]
    given = {"about": about, "codes": codes.tolist(), "bounds": bounds}
    answer = run_node(["logic/columns.js", "logic/crossfilter.js", "logic/choice.js"], CHOICE, given)
    values = np.where(codes > 0, codes - 1.0, np.nan)
    for (low, high), found in zip(bounds, answer["found"], strict=True):
        least, most = -math.inf if low is None else low, math.inf if high is None else high
        kept = [row for row in range(300) if least <= values[row] <= most]
        sides = []
        if low is not None:
            below = [row for row in range(300) if values[row] < low]
            sides.append(
                {
                    "kept": sorted(kept, key=lambda row: values[row])[:5],
                    "removed": sorted(below, key=lambda row: -values[row])[:5],
                }
            )
        if high is not None:
            above = [row for row in range(300) if values[row] > high]
            sides.append(
                {
                    "kept": sorted(kept, key=lambda row: -values[row])[:5],
                    "removed": sorted(above, key=lambda row: values[row])[:5],
                }
            )
        assert found["sides"] == sides
        assert found["highest"] == sorted(kept, key=lambda row: -values[row])[:4]
    first, again, other = answer["random"]
    assert first == again != other
    assert len(set(first)) == 50
    assert all(row % 2 == 0 for row in first)


def test_the_strip_follows_the_bound_just_moved(page: Path, open_page: Callable[..., Any]) -> None:
    browser = open_page(page)
    browser.execute_script("vidsieve.setBound('motion', 0.2, null); vidsieve.setBound('aes', 4.5, null)")
    wait_for(browser, "return document.querySelector('.strip strong')?.textContent.includes('aes ≥ 4.5')")
    table = _table().with_row_index("row").filter(pl.col("row") != 5, pl.col("motion") >= 0.2)
    kept = table.filter(pl.col("aes") >= 4.5).sort("aes", "row")["row"].to_list()
    removed = table.filter(pl.col("aes") < 4.5).sort("aes", "row", descending=[True, False])["row"].to_list()
    assert _rows_of(browser, "right of the bound") == kept[:6]
    assert _rows_of(browser, "left of the bound") == removed[:6][::-1]
    browser.execute_script("vidsieve.setBound('motion', 0.2, 0.8)")
    wait_for(browser, "return document.querySelector('.strip strong').textContent.includes('motion ≤ 0.8')")
    browser.execute_script("vidsieve.setBound('motion', null, null); vidsieve.setBound('aes', null, null)")
    wait_for(browser, "return document.querySelector('.strip').hidden")


def test_sheets_say_what_is_kept_in_words(page: Path, open_page: Callable[..., Any]) -> None:
    browser = open_page(page)
    browser.execute_script("vidsieve.setBound('aes', 4.5, null)")
    _show(browser, "clips")
    wait_for(browser, "return document.querySelectorAll('#view-clips .tile').length >= 24")
    texts = browser.execute_script(
        "const texts = (sheet, what) => [...sheet.querySelectorAll(what)].map((one) => one.textContent);"
        "return [...document.querySelectorAll('#view-clips .sheet:not([hidden])')]"
        ".map((sheet) => [texts(sheet, 'h3')[0], texts(sheet, '.mark')])"
    )
    marks = {title: set(texts) for title, texts in texts if texts}
    assert marks["Just kept by aes ≥ 4.5"] == {"✓ kept"}
    assert marks["Just removed by aes ≥ 4.5"] == {"✕ removed by aes"}
    before = _rows_of(browser, "Random, kept")
    assert len(before) == 12
    button = browser.find_element("xpath", "//h3[text()='Random, kept']/following-sibling::button")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    other = [row for row in _rows_of(browser, "Random, kept") if row not in before]
    assert other


def test_a_picture_plays_while_it_is_pointed_at(page: Path, open_page: Callable[..., Any]) -> None:
    from selenium.webdriver import ActionChains

    browser = open_page(page)
    _show(browser, "clips")
    wait_for(browser, "return document.querySelector('#view-clips .tile .frames')?.style.backgroundImage")
    tile = browser.find_element("css selector", "#view-clips .tile")
    position = "return document.querySelector('#view-clips .frames').style.backgroundPositionX"
    rest = browser.execute_script(position)
    ActionChains(browser).move_to_element(tile).perform()
    seen = f"(window.seen ??= new Set()).add((() => {{ {position} }})()); return window.seen.size >= 3"
    wait_for(browser, seen)
    heading = browser.find_element("css selector", "h1")
    ActionChains(browser).move_to_element(heading).perform()
    assert browser.execute_script(position) == rest
    browser.execute_script("window.seen = new Set(); document.querySelector('#view-clips .tile').focus()")
    wait_for(browser, seen)


def test_a_click_or_enter_opens_the_file(page: Path, open_page: Callable[..., Any]) -> None:
    from selenium.webdriver import Keys

    browser = open_page(page)
    browser.execute_script(
        "document.addEventListener('click', (event) => { const link = event.target.closest('a');"
        "if (link) { event.preventDefault(); (window.opened ??= []).push(link.href); } })"
    )
    _show(browser, "clips")
    wait_for(browser, "return document.querySelector('#view-clips .frames')")
    browser.find_element("css selector", "#view-clips .frames").click()
    browser.find_element("css selector", "#view-clips .tile").send_keys(Keys.ENTER)
    assert browser.execute_script("return window.opened") == [(page.parent / "a.mp4").as_uri()] * 2


def test_nothing_moves_by_itself_where_no_motion_is_wanted(page: Path, open_page: Callable[..., Any]) -> None:
    from selenium.webdriver import ActionChains

    browser = open_page(page)
    reduced = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", reduced)
    try:
        _show(browser, "clips")
        wait_for(browser, "return document.querySelector('#view-clips .frames')")
        frames = browser.find_element("css selector", "#view-clips .frames")
        position = "return document.querySelector('#view-clips .frames').style.backgroundPositionX"
        rest = browser.execute_script(position)
        ActionChains(browser).move_to_element(frames).pause(0.6).perform()
        assert browser.execute_script(position) == rest
        ActionChains(browser).click(frames).perform()
        assert browser.execute_script(position) != rest
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_markup_in_captions_and_paths_is_shown_and_not_run(page: Path, open_page: Callable[..., Any]) -> None:
    browser = open_page(page)
    for view in ("clips", "rate"):
        _show(browser, view)
        wait_for(browser, f"return document.querySelector('#view-{view} .caption')")
        assert HOSTILE in browser.execute_script(
            f"return document.querySelector('#view-{view} .caption').textContent"
        )
    assert browser.execute_script("return window.broken") is None
    links = browser.execute_script("return [...document.querySelectorAll('a')].map((a) => a.protocol)")
    assert set(links) == {"file:"}


def test_a_link_that_runs_a_script_is_no_link(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    pictures = {0: _picture(1, "javascript:window.broken=1"), 1: _picture(1, "//host/a.mp4")}
    write_page(tmp_path / "r.html", "m.csv", read_contents(_table(2).lazy()), clips=Clips(pictures))
    browser = open_page(tmp_path / "r.html")
    _show(browser, "clips")
    wait_for(browser, "return document.querySelectorAll('#view-clips .tile').length")
    assert browser.execute_script("return document.querySelectorAll('#view-clips a').length") == 0


def test_a_page_without_pictures_says_why_and_lists_rows(
    tmp_path: Path, open_page: Callable[..., Any]
) -> None:
    clips = Clips(note="No file could be read.")
    write_page(tmp_path / "r.html", "m.csv", read_contents(_table().lazy()), clips=clips)
    browser = open_page(tmp_path / "r.html")
    _show(browser, "clips")
    wait_for(browser, "return document.querySelectorAll('#view-clips .tile').length >= 12")
    assert "No file could be read." in browser.find_element("css selector", "#view-clips").text


def test_files_without_a_picture_are_linked_to(
    tmp_path: Path, open_page: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `link_to` does it in Python."""
    monkeypatch.chdir(tmp_path)
    names = [
        "a b.mp4",
        "50%25#?.mp4",
        "é漢/../x.mp4",
        "javascript:alert(1)",
        "/etc/x y",
        "s3://b/k",
        "../c.mp4",
    ]
    page = tmp_path / "out" / "r.html"
    write_page(page, "m.csv", read_contents(pl.LazyFrame({"path": names, "aes": [1.0] * len(names)})))
    browser = open_page(page)
    found = browser.execute_script(
        "return arguments[0].map((path) => vidsieve.linkOf(path))"
        ".map((link) => link && new URL(link, location.href).href)",
        names,
    )
    links = [link_to(name, page) for name in names]
    expected = [link and urllib.parse.urljoin(page.as_uri(), link) for link in links]
    unquoted = [[one and urllib.parse.unquote(one) for one in some] for some in (found, expected)]
    assert unquoted[0] == unquoted[1]


def test_a_value_beside_a_bound_is_told_from_it(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    table = pl.LazyFrame({"path": ["a", "b"], "aes": [4.9999996, 5.0000004]})
    write_page(tmp_path / "r.html", "m.csv", read_contents(table))
    browser = open_page(tmp_path / "r.html")
    browser.execute_script("vidsieve.setBound('aes', 5, null)")
    _show(browser, "clips")
    values = "return [...document.querySelectorAll('#view-clips .value')].map((one) => one.textContent)"
    wait_for(browser, f"return (() => {{ {values} }})().length >= 2")
    assert set(browser.execute_script(values)) == {"4.9999996", "5.0000004"}
