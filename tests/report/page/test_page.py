"""The page in a real browser: opened from a file, moved by pointer and keyboard, safe and readable."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.page_support import requests_of, wait_for
from tools.errors import UserError
from tools.report.__main__ import main
from tools.table import read_table, write_table

HOSTILE = "</script><script>window.broken = 1</script><img src=x onerror='window.broken = 2'>"


def _table(rows: int, kind: str) -> pl.DataFrame:
    rng = np.random.default_rng(11)
    aes = rng.normal(5, 1, rows)
    if kind == "ties":
        aes = np.round(aes * 2) / 2
    if kind == "gaps":
        aes = np.where(rng.random(rows) < 0.3, np.nan, aes)
    return pl.DataFrame(
        {
            "path": [f"clips/{row}.mp4" for row in range(rows)],
            "duration": np.round(rng.uniform(1, 9, rows), 2),
            "aes": aes,
            "motion": rng.lognormal(-3, 1, rows),
            "ocr": rng.integers(0, 5, rows),
            "cmotion": rng.choice(["static", "pan_left", "zoom_in"], rows),
            HOSTILE: rng.choice([HOSTILE, "'\"><svg onload=window.broken=3>"], rows),
            "text": [HOSTILE] * rows,
        }
    ).with_columns(pl.col("aes").fill_nan(None))


def _write(folder: Path, rows: int = 300, kind: str = "gaps") -> tuple[Path, Path]:
    table, page = folder / f"{kind}.csv", folder / "report.html"
    write_table(_table(rows, kind), table)
    main([str(table), "-o", str(page)])
    return table, page


def _kept(browser: Any) -> int:
    text = browser.execute_script("return document.querySelector('.kept strong').textContent")
    return int(text.replace(",", ""))


def _card(browser: Any, column: str) -> Any:
    return browser.find_element("css selector", f'[data-column="{column}"]')


def _painted(browser: Any) -> None:
    """Wait until everything on the screen has been drawn anew."""
    wait_for(
        browser,
        "const {cards} = vidsieve.context; return ![...cards.dirty].some((name) => cards.visible.has(name))",
    )


@pytest.mark.parametrize(("kind", "rows"), [("gaps", 300), ("ties", 3000), ("large", 100_000)])
def test_the_copied_command_keeps_as_many_rows_as_the_page_shows(
    tmp_path: Path, open_page: Callable[..., Any], kind: str, rows: int
) -> None:
    """Typed, dragged and unticked; the command runs in a shell as it stands on the page."""
    table, page = _write(tmp_path, rows, kind)
    browser = open_page(page)
    assert _kept(browser) == rows
    from selenium.webdriver import ActionChains, Keys

    field = _card(browser, "aes").find_element("css selector", "input")
    field.send_keys("4.6", Keys.ENTER)
    typed = _kept(browser)
    assert typed == int((read_table(table)["aes"] >= 4.6).sum())
    handle = _card(browser, "motion").find_elements("css selector", ".handle")[1]
    ActionChains(browser).drag_and_drop_by_offset(handle, -150, 0).perform()
    dragged = _kept(browser)
    assert dragged < typed
    box = _card(browser, "cmotion").find_elements("css selector", "input")[0]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", box)
    box.click()
    assert _kept(browser) < dragged
    command = browser.find_element("css selector", ".command").text
    output = tmp_path / "kept.csv"
    words = [sys.executable, *shlex.split(command)[1:], "--output", str(output)]
    subprocess.run(shlex.join(words), shell=True, check=True, capture_output=True)
    assert read_table(output).height == _kept(browser)


def test_the_copy_button_copies_the_command(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    _, page = _write(tmp_path)
    browser = open_page(page)
    browser.execute_script("vidsieve.setBound('aes', 5, null)")
    # Without a window there is no clipboard to read from.
    browser.execute_script("navigator.clipboard.writeText = async (text) => { window.copied = text }")
    browser.find_element("xpath", "//button[text()='Copy command']").click()
    command = browser.find_element("css selector", ".command").text
    assert wait_for(browser, "return window.copied") == command
    assert "--where" in command


def test_a_link_keeps_the_setting(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    _, page = _write(tmp_path)
    browser = open_page(page)
    browser.execute_script(
        "vidsieve.setBound('aes', 4.9, 6); vidsieve.context.filter.setLabels('cmotion', [1])"
    )
    kept = _kept(browser)
    wait_for(browser, "return location.hash")
    fragment = browser.current_url.partition("#")[2]
    browser = open_page(page, fragment=fragment)
    assert _kept(browser) == kept
    _painted(browser)
    field = _card(browser, "aes").find_element("css selector", "input")
    assert field.get_attribute("value") == "4.9"


def test_a_bound_is_moved_with_the_keyboard(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    _, page = _write(tmp_path)
    browser = open_page(page)
    from selenium.webdriver import Keys

    _painted(browser)
    handle = _card(browser, "aes").find_element("css selector", '[role="slider"]')
    handle.send_keys(Keys.ARROW_RIGHT)
    first = float(handle.get_attribute("aria-valuenow"))
    handle.send_keys(Keys.PAGE_UP)
    second = float(handle.get_attribute("aria-valuenow"))
    assert second > first > float(handle.get_attribute("aria-valuemin"))
    assert _kept(browser) < 300
    handle.send_keys(Keys.HOME)
    assert _kept(browser) == 300
    assert handle.get_attribute("aria-valuetext") == "no bound"
    says = "return document.getElementById('announcements').textContent"
    wait_for(browser, f"{says}.startsWith('300 rows left')")


def test_nothing_is_fetched_and_cells_run_no_script(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    _, page = _write(tmp_path)
    browser = open_page(page)
    for tab in browser.find_elements("css selector", '[role="tab"]'):
        tab.click()
    assert requests_of(browser) == []
    browser.execute_script(
        "const script = document.createElement('script'); script.textContent = 'window.broken = 4';"
        "document.body.append(script);"
        "const image = new Image(); image.src = 'http://127.0.0.1:9/x.png'; document.body.append(image);"
    )
    assert browser.execute_script("return window.broken ?? null") is None
    refused = [entry for entry in browser.get_log("browser") if "Content Security Policy" in entry["message"]]
    assert len(refused) == 2, "the script and the image of this test"


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out_at_the_side(tmp_path: Path, open_page: Callable[..., Any], width: int) -> None:
    _, page = _write(tmp_path)
    browser = open_page(page, width=width)
    browser.execute_script("vidsieve.setBound('aes', 4.9, 6); vidsieve.setBound('ocr', 1, 3)")
    _painted(browser)
    for tab in browser.find_elements("css selector", '[role="tab"]'):
        tab.click()
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_bars_are_drawn(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    """Pixels of the colour of kept rows are on the canvas of a histogram."""
    _, page = _write(tmp_path)
    browser = open_page(page)
    _painted(browser)
    blue = """
        const host = document.querySelector('[data-column="aes"] .plot > *');
        const canvas = host.shadowRoot.querySelector("*").getRootNode();
        const found = [];
        const walk = (root) => {
            for (const node of root.querySelectorAll("*")) {
                if (node.tagName === "CANVAS") found.push(node);
                if (node.shadowRoot) walk(node.shadowRoot);
            }
        };
        walk(canvas);
        for (const one of found) {
            const { data } = one.getContext("2d").getImageData(0, 0, one.width, one.height);
            for (let at = 0; at < data.length; at += 4) {
                if (data[at] === 0x2f && data[at + 1] === 0x6f && data[at + 2] === 0xb3) return true;
            }
        }
        return false;
    """
    wait_for(browser, blue)


def test_fields_and_buttons_have_names(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    """By what the browser tells a screen reader."""
    _, page = _write(tmp_path)
    browser = open_page(page)
    for tab in browser.find_elements("css selector", '[role="tab"]'):
        tab.click()
        for found in browser.find_elements("css selector", "button, input, select, [role=slider]"):
            if found.is_displayed():
                assert found.accessible_name.strip(), found.get_attribute("outerHTML")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_have_contrast(tmp_path: Path, open_page: Callable[..., Any], theme: str) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1 for text; 1.4.11: 3 to 1 for bars against the paper."""
    _, page = _write(tmp_path)
    browser = open_page(page)
    browser.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)

    def luminance(name: str) -> float:
        value = browser.execute_script("return vidsieve.colour(arguments[0])", name)
        channels = np.array([int(value[at : at + 2], 16) / 255 for at in (1, 3, 5)])
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    def contrast(one: str, other: str) -> float:
        high, low = sorted((luminance(one), luminance(other)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for text in ("ink", "quiet", "accent", "lost-ink"):
        assert contrast(text, "paper") >= 4.5
        assert contrast(text, "soft") >= 4.5
    assert contrast("kept", "paper") >= 3
    assert contrast("lost", "paper") >= 2.5  # also told apart by where it is: outside the bounds


def test_an_empty_table_and_one_without_scores(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    page = tmp_path / "report.html"
    for content in ("path,aes\n", "path\na.mp4\n", "path,text\na.mp4,\n"):
        (tmp_path / "t.csv").write_text(content)
        main([str(tmp_path / "t.csv"), "-o", str(page)])
        browser = open_page(page)
        assert _kept(browser) == content.count("\n") - 1


def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    table, page = _write(tmp_path)
    main([str(table), "-o", str(page)])  # a report replaces a report
    other = tmp_path / "mine.html"
    other.write_text("<!DOCTYPE html><p>mine")
    with pytest.raises(UserError, match=r"is in the way, it is no report of vidsieve; --overwrite"):
        main([str(table), "-o", str(other)])
    assert other.read_text() == "<!DOCTYPE html><p>mine"
    main([str(table), "-o", str(other), "--overwrite"])
    assert "vidsieve report" in other.read_text()
    with pytest.raises(UserError, match=r"-o report\.html"):
        main([str(table), "-o", str(tmp_path / "report.csv")])
    with pytest.raises(UserError):
        main([str(table), "-o", str(table)])


def test_without_the_charts_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is said before any clip is decoded."""
    monkeypatch.setitem(sys.modules, "bokeh", None)  # as if it were not installed
    with pytest.raises(UserError, match=r"bokeh is not installed: pip install 'vidsieve\[report\]'"):
        main([str(tmp_path / "there_is_no_table.csv"), "-o", str(tmp_path / "report.html")])
