"""The tutorial prints what it shows, on the videos that it takes; its pictures can be made again."""

import contextlib
import io
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tutorial_pictures
from PIL import Image

from tests.test_docs import as_bash_reads, lines_of, type_line

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "tutorial.md").read_text()
PICTURES = ROOT / "docs" / "pictures"
STEPS = re.findall(r"(<!-- not typed: [^\n]*\n)?```bash\n(.*?)```\n(?:\n```text\n(.*?)```)?", PAGE, re.DOTALL)


def assert_same_output(printed: list[str], shown: list[str]) -> None:
    """Words are the same, numbers the same within 5 %: other decoders and CPUs differ in the last digits."""
    assert len(printed) == len(shown), "\n".join(printed)
    for mine, page in zip(printed, shown, strict=True):
        if "rows/s" in page:  # the time that it took
            assert "rows/s" in mine
            continue
        words, expected = mine.split(), page.split()
        assert len(words) == len(expected), (mine, page)
        for word, other in zip(words, expected, strict=True):
            try:
                same = math.isclose(
                    float(word.strip(",;")), float(other.strip(",;")), rel_tol=0.05, abs_tol=0.02
                )
            except ValueError:
                same = word == other or (other.startswith("/home/") and word.endswith(Path(other).name))
            assert same, (mine, page)


def test_the_page_shows_every_picture_once_and_they_are_small():
    shown = re.findall(r"!\[([^\]]+)\]\(pictures/([^)]+)\)", PAGE)
    files = list(PICTURES.glob("tutorial_*"))
    assert sorted(name for _, name in shown) == sorted(file.name for file in files)
    assert all(len(alt) > 20 for alt, _ in shown)  # a description for those who cannot see it
    assert all(file.stat().st_size < 60_000 for file in files)
    assert sum(file.stat().st_size for file in files) < 400_000


def assert_same_pictures(folder: Path) -> None:
    """The script makes pictures of the same names, sizes and (but for losses of encoders) pixels."""
    pytest.importorskip("matplotlib", reason="one of the pictures is a plot (extra report)")
    made = list(tutorial_pictures.make_pictures(folder))
    assert {path.name for path in made} == {path.name for path in PICTURES.glob("tutorial_*")}
    for path in made:
        with Image.open(path) as mine, Image.open(PICTURES / path.name) as page:
            assert mine.size == page.size, path.name
            difference = np.asarray(mine.convert("L"), float) - np.asarray(page.convert("L"), float)
        assert abs(difference).mean() < 4, f"{path.name}: scripts/tutorial_pictures.py makes it anew"


def test_the_tutorial_prints_and_draws_what_it_shows(videos_dir, tmp_path, monkeypatch):
    (tmp_path / "videos").mkdir()
    for name in ("bikes.mp4", "carphone_pristine.mp4"):
        shutil.copy(videos_dir / f"skv_{name}", tmp_path / "videos" / name)
    monkeypatch.chdir(tmp_path)
    compared = 0
    for not_typed, block, shown in STEPS:
        if not_typed or "--save-img" in block:  # forty plots take long; test_docs draws them, too
            continue
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            for line in lines_of(block):
                assert type_line(as_bash_reads(line)) in (0, None), said.getvalue()
        printed = [
            line
            for line in said.getvalue().splitlines()
            if not re.match(r"[\w+]+: \d+ of \d+ rows(,|$)", line)
        ]
        if shown:
            assert_same_output(printed, shown.splitlines())
            compared += 1
    assert compared == PAGE.count("```text") - 1  # and the failures file, which is no output
    (failures,) = re.findall(r"```text\n(path,kind,message\n.*?)```", PAGE, re.DOTALL)
    assert (tmp_path / "meta_clips_flow_technical.failures.csv").read_text() == failures
    assert_same_pictures(tmp_path / "pictures")
