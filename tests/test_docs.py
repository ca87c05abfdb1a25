"""What the documents show runs."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl

from tests.support import make_video
from tools.table import read_table, write_table

ROOT = Path(__file__).resolve().parents[1]


def test_the_scorer_of_the_architecture_page(tmp_path):
    page = (ROOT / "docs" / "architecture.md").read_text()
    code = re.search(r"## Add a scorer.*?```python\n(.*?)```", page, re.DOTALL).group(1)
    assert code.count("\n") <= 55
    (tmp_path / "redness.py").write_text(code)
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[..., 0], picture[..., 1], picture[..., 2] = 200, 100, 50
    video = make_video(tmp_path / "v.mp4", pictures=[picture] * 5)
    meta = write_table(pl.DataFrame({"path": [str(video)]}), tmp_path / "meta.csv")
    command = [sys.executable, str(tmp_path / "redness.py"), str(meta), "--quiet"]
    run = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (redness,) = read_table(tmp_path / "meta_redness.csv")["redness"]
    assert abs(float(redness) - 125) < 4  # 200 - (100 + 50) / 2, but for the losses of h264


def test_links_between_the_pages_lead_somewhere():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md"]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
