"""The page of a report: time and memory to write it, to open it, and to repaint it while a bound is dragged.

    python benchmarks/report_page.py [--rows 10 3000 100000 1000000] [--keep FOLDER] [--json FILE]

Needs the extra report, selenium, Chromium and its driver (Debian: chromium, chromium-driver). The tables are
made with a seed: 20 scores with few and with many digits, whole numbers, ties, long tails and gaps; labels,
captions and paths beside them.

Printed for each table: seconds and peak memory of ``python -m tools.report``, the size of the page,
milliseconds from its opening until it is ready and until all charts in view are drawn, memory of its script,
and what 100 steps of a bound cost, median and 95th percentile. `work` is the time in which the page does not
react, from the new bound to the end of the next frame; `settled` the time until every chart in view shows it.
Frames come 60 times a second, so that `settled` has up to 17 ms of waiting in it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from measuring import finish, installed, make_parser, print_head, print_row, run, run_child

from tools.errors import UserError

STEPS = 100
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
HEADINGS = (
    "rows",
    "write, s",
    "peak, MiB",
    "page, MB",
    "ready, ms",
    "drawn, ms",
    "script, MB",
    "bound on",
    "work, ms: median, p95",
    "settled, ms: median, p95",
    "fetched",
)

OPENED = """
const requests = performance.getEntriesByType("resource").filter((entry) => !entry.name.startsWith("data:"));
return {
  ready: window.readyAt ?? null,
  drawn: window.drawnAt ?? null,
  script: performance.memory.usedJSHeapSize / 1e6,
  fetched: requests.length,
};
"""

WATCH = """
new MutationObserver((_, observer) => {
  if (document.documentElement?.dataset.ready !== "1") return;
  window.readyAt = performance.now();
  observer.disconnect();
}).observe(document, { attributes: true, childList: true, subtree: true });
document.addEventListener("vidsieve:painted", () => { window.drawnAt ??= performance.now(); });
"""

DRAG = """
const [column, bounds, finished] = arguments;
(async () => {
  const work = [], settled = [];
  for (const low of bounds) {
    const painted = new Promise((resolve) =>
      document.addEventListener("vidsieve:painted", () => resolve(performance.now()), { once: true }));
    // Asked for before the page asks, so it begins before the page's; the task after it ends the frame.
    const frame = new Promise((resolve) => requestAnimationFrame((_, begin = performance.now()) =>
      setTimeout(() => resolve(performance.now() - begin))));
    const start = performance.now();
    vidsieve.setBound(column, low, null);
    const reacted = performance.now() - start;
    work.push(reacted + await frame);
    settled.push(await painted - start);
  }
  vidsieve.setBound(column, null, null);
  return { work, settled };
})().then(finished, (error) => finished({ error: String(error) }));
"""


def make_table(path: Path, rows: int, seed: int = 1) -> dict[str, np.ndarray]:
    """Write a table; returns its scores."""
    draw = np.random.default_rng(seed)
    normal = lambda mean, deviation: draw.normal(mean, deviation, rows)  # noqa: E731
    scores = {
        "aes": np.round(normal(5.0, 0.7), 2),
        "quality": draw.beta(5, 3, rows),
        "match": normal(25.0, 4.0),
        "flow": np.round(draw.lognormal(0, 1.5, rows), 4),
        "motion": draw.lognormal(-3, 1, rows),
        "motion_camera": draw.exponential(0.05, rows),
        "ocr": draw.poisson(1.2, rows).astype(float),
        "ocr_area": np.where(draw.random(rows) < 0.7, 0.0, draw.beta(1, 12, rows)),
        "sharpness": np.round(draw.lognormal(5, 1.2, rows), 1),
        "luminance": np.round(np.clip(normal(110, 35), 0, 255), 1),
        "contrast": np.round(np.clip(normal(50, 15), 0, None), 1),
        "colorfulness": np.round(draw.gamma(4, 8, rows), 2),
        "blockiness": 1 + draw.exponential(0.08, rows),
        "upscaled": draw.choice([1.0, 1.0, 1.0, 1.5, 2.0], rows),
        "black_bars": np.where(draw.random(rows) < 0.9, 0.0, np.round(draw.random(rows) * 0.3, 3)),
        "static_ratio": np.where(draw.random(rows) < 0.5, 0.0, np.round(draw.random(rows), 3)),
        "true_fps": draw.choice([12.5, 23.976, 25.0, 29.97, 50.0, 59.94], rows),
        "logo": np.round(draw.random(rows) ** 4, 3),
        "audio_level": normal(-24, 8),
        "niqe": np.round(draw.gamma(6, 0.8, rows), 3),
    }
    for name, share in (("audio_level", 0.3), ("flow", 0.02), ("motion", 0.02), ("niqe", 0.001)):
        scores[name][draw.random(rows) < share] = np.nan
    numbers = np.arange(rows)
    labels = np.array(["static", "pan_left", "pan_right", "tilt_up", "zoom_in", "undetermined"])
    columns = {
        "path": [f"clips/source {i // 40:05}/{i:07}.mp4" for i in range(rows)],
        "id": [f"{i:07}" for i in range(rows)],
        "source": [f"source {i // 40:05}.mp4" for i in range(rows)],
        "text": [f'A caption of clip {i}, with <b>markup</b> & "quotes".' for i in range(rows)],
        "duration": np.round(draw.gamma(3, 2, rows) + 0.5, 3),
        "cmotion": labels[draw.integers(0, len(labels), rows)],
        "height": draw.choice([480, 720, 1080], rows),
        "num_frames": 24 * (1 + numbers % 20),
    }
    table = pl.DataFrame(columns | scores).with_columns(pl.col(list(scores)).fill_nan(None))
    table.write_csv(path)
    return scores


class Written(NamedTuple):
    """What writing a page cost."""

    seconds: float
    mebibytes: float


def write_page(table: Path, page: Path) -> Written:
    help_all = [sys.executable, "-m", "tools.report", "--help-all"]
    has_sprites = "--no-sprites" in run_child(help_all).output
    command = [sys.executable, "-m", "tools.report", str(table.resolve()), "-o", str(page.resolve())]
    child = run_child(command + ["--no-sprites"] * has_sprites)
    return Written(child.wall, child.peak / 2**20)


class Browser:
    """A Chromium of its own, with an empty profile.

    Args:
        binary: Its program.
        driver: The program of its driver.
        size: Width and height of the window.
    """

    def __init__(self, binary: str, driver: str, size: str) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        for flag in (*FLAGS, f"--user-data-dir={self._profile.name}", f"--window-size={size}"):
            options.add_argument(flag)
        self._driver = webdriver.Chrome(options, Service(driver))
        self._driver.set_script_timeout(300)
        self._driver.set_page_load_timeout(300)
        self._driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *error: object) -> None:
        self._driver.quit()
        self._profile.cleanup()

    def open(self, page: Path) -> dict[str, float]:
        """Open a page, and wait until its charts are drawn."""
        self._driver.get(page.resolve().as_uri())
        end = time.monotonic() + 120
        while time.monotonic() < end:
            found = self._driver.execute_script(OPENED)
            if found["ready"] is not None and found["drawn"] is not None:
                return found
            time.sleep(0.05)
        sys.exit(f"{page}: not ready within 120 s")

    def drag(self, column: str, bounds: list[float]) -> dict[str, list[float]]:
        """Move the lower bound of a column; milliseconds of each step."""
        found = self._driver.execute_async_script(DRAG, column, bounds)
        if "error" in found:
            sys.exit(f"{column}: {found['error']}")
        return found


def row_of(rows: int, folder: Path, browser: Browser, columns: list[str], seed: int) -> list[list[str]]:
    """The lines about one table, one for each column."""
    table, page = folder / f"scores_{rows}.csv", folder / f"scores_{rows}.html"
    scores = make_table(table, rows, seed)
    written = write_page(table, page)
    opened = browser.open(page)
    lines = []
    for column in columns:
        # From the least value to beyond the middle, as a person would drag it: evenly along the axis.
        low, high = np.nanquantile(scores[column], [0.01, 0.7])
        spent = browser.drag(column, np.linspace(low, high, STEPS).tolist())
        figures = [f"{rows:,}", f"{written.seconds:.1f}", f"{written.mebibytes:.0f}"]
        figures += [f"{page.stat().st_size / 1e6:.2f}", f"{opened['ready']:.0f}", f"{opened['drawn']:.0f}"]
        figures += [f"{opened['script']:.0f}", column]
        for name in ("work", "settled"):
            figures.append("{:.1f}, {:.1f}".format(*np.quantile(spent[name], [0.5, 0.95])))
        lines.append([*figures, str(opened["fetched"])])
    return lines


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10, 3000, 100_000, 1_000_000])
    parser.add_argument(
        "--columns", nargs="+", default=["aes", "quality", "flow"], help="whose bound is moved"
    )
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="leave tables and pages there")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", default="1280,900", help="of the window")
    parser.add_argument("--browser", default="/usr/bin/chromium")
    parser.add_argument("--driver", default="/usr/bin/chromedriver")
    args = parser.parse_args()
    if not installed("the browser", "selenium"):
        raise UserError("needs selenium")
    for program in (args.browser, args.driver):
        if not Path(program).exists():
            raise UserError(
                f"there is no {program}: --browser and --driver name others (Debian: chromium-driver)"
            )
    lines: list[dict[str, str]] = []
    print_head(*HEADINGS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for rows in args.rows:
            with Browser(args.browser, args.driver, args.size) as browser:
                for line in row_of(rows, folder, browser, args.columns, args.seed):
                    print_row(*line)
                    lines.append(dict(zip(HEADINGS, line, strict=True)))
    finish(args.json, lines)


if __name__ == "__main__":
    run(main)
