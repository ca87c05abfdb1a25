"""Recipes: what the files say, what datautil keeps by them, and how a file of the user's fails.

Counts are compared with those of pandas: the same thresholds, written once more with its own comparisons.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tools.columns import COLUMNS
from tools.datasets import datautil
from tools.datasets.datautil import filter_table, run_datautil
from tools.errors import UserError
from tools.table import read_table, write_table
from tools.table.recipes import load_recipe, recipe_names
from tools.table.where import columns_of

ROOT = Path(__file__).resolve().parents[2]
OURS = """
[recipe]
title = "Ours"
source = "our notes"

[[step]]
name = "aesthetics"
threshold = ">= 4.5"
where = '''
aes >= 4.5  # of three frames
and take == 'a  b' '''
scale = "LAION V2"

[[step]]
name = "watermarks"
left_out = "judged by eye"

[[step]]
name = "text"
where = "ocr_area <= 0.02"
source = "page 3"
"""


@pytest.fixture
def scored() -> pd.DataFrame:
    """20,000 rows with values on both sides of every threshold and on it; a tenth of each column is empty."""
    draw = np.random.default_rng(3)
    rows = 20_000
    columns = {
        "num_frames": draw.choice([0, 1, 47, 48, 300], rows),
        "height": draw.choice([360, 480, 512, 720, 864, 1080, 1280, 1920, 2160], rows),
        "width": draw.choice([480, 512, 720, 864, 1080, 1280, 1920, 3840], rows),
        "duration": draw.choice([1.9, 2.0, 3.0, 3.9, 4.0, 10.0, 10.1, 15.0, 60.0, 60.1], rows),
        "fps": draw.choice([15.0, 24000 / 1001, 24.0, 30.0], rows),
        "bitrate": draw.choice([499_999.0, 500_000.0, 2e6], rows),
        "aes": draw.choice([3.4, 3.5, 4.0, 4.3, 4.4, 4.5, 4.75, 5.0, 6.0], rows),
        "ocr_area": draw.choice([0.0, 0.01, 0.011, 0.02, 0.3, 0.31], rows),
        "luminance": draw.choice([19.9, 20.0, 90.0, 140.0, 140.1], rows),
    }
    table = pd.DataFrame({name: pd.Series(values, dtype=float) for name, values in columns.items()})
    table = table.mask(draw.random(table.shape) < 0.1)
    table.insert(0, "path", [f"{row}.mp4" for row in range(rows)])
    return table


def at_least(t, height, width):
    return ((t.height >= height) & (t.width >= width)) | ((t.height >= width) & (t.width >= height))


def goku(t, height, width, aes, text):
    raw = (t.duration >= 4) & (t[["height", "width"]].min(axis=1, skipna=False) >= 480)
    raw &= (t.bitrate >= 500_000) & (t.fps >= 23.976)
    return raw & at_least(t, height, width) & (t.aes >= aes) & (t.ocr_area <= text)


BY_PANDAS = {
    "cosmos": lambda t: (t.duration >= 2) & (t.duration <= 60) & (t.num_frames >= 48) & (t.aes >= 3.5),
    "goku-480p": lambda t: goku(t, 480, 864, 4.3, 0.02),
    "goku-720p": lambda t: goku(t, 720, 1280, 4.5, 0.01),
    "goku-1080p": lambda t: goku(t, 1080, 1920, 4.5, 0.01),
    "open-sora": lambda t: (t.num_frames >= 1) & (t.aes >= 5),
    "open-sora-panda": lambda t: t.aes >= 4.5,
    "open-sora-plan": lambda t: t.aes >= 4.75,
    "spatialvid": lambda t: (
        t.duration.between(3, 15) & (t.aes >= 4) & t.luminance.between(20, 140) & (t.ocr_area <= 0.3)
    ),
    "ultravideo": lambda t: (t.width >= 3840) & t.duration.between(3, 10),
    "videox-fun": lambda t: (
        (t.height * t.width >= 512 * 512) & t.duration.between(3, 10) & (t.ocr_area <= 0.02)
    ),
}


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_keeps_the_rows_that_pandas_keeps(scored, name):
    expected = scored[BY_PANDAS[name](scored)]
    assert 0 < len(expected) < len(scored) * 0.7
    assert filter_table(scored, recipe=name)["path"].tolist() == expected["path"].tolist()


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_cites_its_sources_and_uses_columns_of_the_toolkit(name):
    recipe = load_recipe(name)
    assert recipe.title and recipe.source and recipe.applied and str(recipe) == name
    for step in recipe.steps:
        assert (step.source and step.threshold) or "no threshold is given" in step.left_out, step.name
        assert step.scale or step.left_out, f"{step.name}: on which scale does it stand?"
        assert all(column in COLUMNS and COLUMNS[column].made_by for column in step.columns)


def test_columns_of_a_condition():
    text = "`odd name` > 1 and aes.between(2, col('x y')) and abs(flow) > 1 and not text.contains('aes2')"
    assert columns_of(text) == ["odd name", "aes", "x y", "flow", "text"]


def test_each_step_is_counted_and_a_dry_run_shows_the_funnel(scored, tmp_path, capsys):
    meta = write_table(pl.from_pandas(scored), tmp_path / "scored.csv")
    flags = [str(meta), "--recipe", "videox-fun", "--aesmin", "4"]
    assert datautil.main([*flags, "--dry-run"]) == 0
    shown = capsys.readouterr()
    assert [
        line.split(". ")[1] for line in shown.out.splitlines() if line.startswith("   ") and ". -" in line
    ] == [
        "--aesmin 4",
        "--recipe videox-fun: size: height * width >= 262144",
        "--recipe videox-fun: length: duration.between(3, 10)",
        "--recipe videox-fun: text: ocr_area <= 0.02",
    ]
    assert "      scripts/stage_1_video_splitting.sh, line 6; pixels of a frame" in shown.out
    assert "left out: motion (2 to 20): Farneback" in shown.err
    assert not list(tmp_path.glob("*recipe*"))

    rejected = tmp_path / "rejected.csv"
    assert datautil.main([*flags, "--explain", "--rejected", str(rejected)]) == 0
    shown = capsys.readouterr()
    kept = scored[scored.aes >= 4]
    counts = [len(scored), len(kept)]
    for passes in (kept.height * kept.width >= 262144, kept.duration.between(3, 10), kept.ocr_area <= 0.02):
        kept = kept[passes.reindex(kept.index)]
        counts.append(len(kept))
    lines = [line.rsplit(maxsplit=2) for line in shown.err.splitlines() if "%" in line]
    assert [int(line[1]) for line in lines] == [*counts[1:], counts[-1]]
    assert "left out: motion" in shown.err
    assert shown.out.strip() == str(tmp_path / "scored_aesmin4_recipe-videox-fun.csv")
    assert read_table(shown.out.strip()).height == counts[-1]
    reasons = dict(read_table(rejected)["rejected_by"].value_counts().iter_rows())
    assert reasons["--recipe videox-fun: text: ocr_area <= 0.02"] == counts[-2] - counts[-1]


def test_a_recipe_of_the_user(tmp_path):
    path = tmp_path / "ours.toml"
    path.write_text(OURS)
    recipe = load_recipe(path)
    assert [step.source for step in recipe.steps] == ["our notes", "our notes", "page 3"]
    assert [step.columns for step in recipe.steps] == [["aes", "take"], [], ["ocr_area"]]
    cells = {
        "aes": ["5", "5", "", "5", "4"],
        "take": ["a  b", "a b", "a  b", "a  b", "a  b"],
        "ocr_area": ["0.01", "0.01", "0.01", "", "0.01"],
    }
    meta = write_table(pl.DataFrame({"path": list("abcde"), **cells}), tmp_path / "m.csv")
    result = run_datautil([meta], {"recipe": path})
    assert result.outputs == [tmp_path / "m_recipe-ours.csv"] and result.rows_out == 1
    assert read_table(result.outputs[0])["path"].to_list() == ["a"]
    assert result.notes == ["recipe ours: Ours", "recipe ours: left out: watermarks: judged by eye"]


def test_missing_columns_are_named_with_their_steps_and_commands(scored):
    lacking = scored.drop(columns=["luminance", "duration"])
    with pytest.raises(UserError) as error:
        filter_table(lacking, recipe="spatialvid")
    assert str(error.value) == (
        "--recipe spatialvid: the table lacks 'duration' (for 'length', `python -m tools.datasets.datautil "
        "META --info` adds it), 'luminance' (for 'luminance', `python -m tools.scoring.technical.inference` "
        "adds it)"
    )


STEP = '[recipe]\ntitle = "x"\n[[step]]\nname = "a"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = ", "bad.toml: not TOML: "),
        (b"\xff", "bad.toml: the file is not UTF-8"),
        ('[[step]]\nname = "a"', r"bad.toml: \[recipe\] is missing"),
        ('[recipe]\nsource = "x"', r"bad.toml: \[recipe\] has no title"),
        ('[recipe]\ntitle = "x"', r"bad.toml: it has no \[\[step\]\]"),
        ('[recipe]\ntitle = "x"\ntiitle = "y"', r"Invalid key \(tiitle\). Supported values are kept"),
        (STEP, "step 'a': give either where, a condition, or left_out"),
        (STEP + 'where = "aes > 1"\nleft_out = "x"', "step 'a': give either where"),
        (STEP + 'left_out = "x"', "bad.toml: no step has a condition"),
        (STEP + "where = 5", "step 1: where must be a text in quotes, not 5"),
        (STEP + 'where = "aes >"', "bad.toml: step 'a': where: character 6.*invalid syntax"),
        (STEP + "where = \"aes >= 'x'\"", "bad.toml: step 'a': where: character"),
        (STEP + 'where = "open(aes)"', "bad.toml: step 'a': where: .*is not known here"),
        (STEP + 'where = "1 > 0"', "step 'a': where: .*it names no column"),
        (STEP + 'where = "aes > 1"\n[[step]]\nname = "a"\nwhere = "aes < 9"', "two steps are named 'a'"),
        (STEP + 'where = "aes > 1"\nwher = "x"', r"step 1: Invalid key \(wher\)"),
        ("step = 3\n" + '[recipe]\ntitle = "x"', r"it has no \[\[step\]\]"),
        (None, "bad.toml: cannot be read: No such file"),
    ],
)
def test_a_file_that_is_no_recipe_is_one_clear_line(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=message) as error:
        load_recipe(path)
    assert "\n" not in str(error.value)


def test_an_unknown_name_is_told_those_that_there_are(capsys):
    with pytest.raises(UserError, match=r"Invalid recipe \(goku-720\).*cosmos, goku.*mean goku-720p\?"):
        filter_table(pl.DataFrame({"aes": [1.0]}), recipe="goku-720")
    with pytest.raises(SystemExit) as ended:
        datautil.main(["--list-recipes"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"\n{name}: " in f"\n{shown}" for name in recipe_names())
    assert "    motion: left out: Farneback" in shown and "    aesthetics: aes >= 3.5" in shown
