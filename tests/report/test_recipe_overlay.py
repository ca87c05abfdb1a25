"""What a recipe keeps: compared with datautil, which applies it, and with pandas."""

import json
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tools.datasets.datautil import main as datautil
from tools.datasets.edit import filter_table
from tools.report.recipe_overlay import applicable, overlays
from tools.table import read_table, scan_table, write_table
from tools.table.recipes import known_recipes, load_recipe, recipe_names


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """400 clips with gaps, ties and texts among the numbers; duration is empty for some."""
    rng = np.random.default_rng(3)
    rows = 400
    frame = pd.DataFrame({"path": [f"clips/{i}.mp4" for i in range(rows)]})
    frame["duration"] = rng.choice([1.5, 3.96, 4.0, 12.25], rows).astype(object)
    frame["height"] = rng.choice([480, 720, 1280], rows)
    frame["width"] = rng.choice([640, 720, 1280], rows)
    frame["bitrate"] = rng.integers(300_000, 900_000, rows)
    frame["fps"] = rng.choice([23.976, 24, 15], rows)
    frame["aes"] = rng.choice([4.5, 4.49999999, 5.2, 3.0], rows).astype(object)
    frame["ocr_area"] = rng.choice([0.0, 0.01, 0.3], rows).astype(object)
    for column in ("duration", "aes", "ocr_area"):
        frame.loc[rng.choice(rows, 20, replace=False), column] = rng.choice(["", "nan", "no number"], 20)
    path = tmp_path_factory.mktemp("table") / "clips scored.csv"
    frame.to_csv(path, index=False)
    return path


def test_the_counts_are_those_that_datautil_explains(table, tmp_path, capsys):
    found = overlays(scan_table(table), [load_recipe("goku-720p")])[0]
    output = tmp_path / "kept.csv"
    assert (
        datautil([str(table), "--recipe", "goku-720p", "--explain", "--output", str(output), "--quiet"]) == 0
    )
    explained = {}
    for line in capsys.readouterr().err.splitlines():
        if match := re.match(r"--recipe goku-720p: ([^:]*): .* -(\d+) +-(\d+) +(\d+) \(", line):
            explained[match[1]] = [int(match[i]) for i in (2, 3, 4)]
    counted = {step.name: [step.alone.rows, step.in_turn.rows, step.left.rows] for step in found.applied}
    assert counted == explained and len(counted) == 7
    assert found.left.rows == read_table(output).height and found.total.rows == 400
    assert found.is_whole and 0 < found.left.rows < 400


def test_hours_are_those_of_the_rows_that_datautil_writes(table, tmp_path):
    found = overlays(scan_table(table), [load_recipe("goku-720p")])[0]
    datautil([str(table), "--recipe", "goku-720p", "--output", str(tmp_path / "kept.csv"), "--quiet"])
    kept = pd.read_csv(tmp_path / "kept.csv")
    assert found.left.hours == pytest.approx(kept["duration"].sum() / 3600)
    whole = pd.to_numeric(pd.read_csv(table)["duration"], errors="coerce")
    assert found.total.hours == pytest.approx(whole.sum() / 3600)
    long = found.steps[0]
    assert long.alone.hours == pytest.approx(whole[whole < 4].sum() / 3600)


@pytest.mark.parametrize("name", recipe_names())
def test_each_recipe_keeps_the_rows_that_datautil_keeps(name):
    recipe, rng, rows = load_recipe(name), np.random.default_rng(11), 2000
    columns = {column for step in recipe.applied for column in step.columns}
    table = {"path": [str(i) for i in range(rows)]}
    for column in sorted(columns):
        low, high = {"height": (300, 4500), "width": (300, 8000), "fps": (20, 32)}.get(column, (0, 12))
        low, high = (2e5, 9e5) if column == "bitrate" else (40, 80) if column == "num_frames" else (low, high)
        cells = rng.integers(low, high + 1, rows) if low else rng.uniform(0, high, rows)
        table[column] = [
            None if gap else cell for cell, gap in zip(cells.tolist(), rng.random(rows) < 0.02, strict=True)
        ]
    frame = pl.LazyFrame(table)
    found, kept = overlays(frame, [recipe])[0], filter_table(frame, recipe=name).collect()
    assert found.is_whole and found.left.rows == kept.height
    left = rows
    for step in found.applied:
        left -= step.in_turn.rows
        assert step.left.rows == left and step.alone.rows >= step.in_turn.rows


def test_steps_whose_columns_are_missing_are_left_out_and_say_what_adds_them(table, tmp_path):
    frame = read_table(table).drop("ocr_area", "bitrate", "height")
    small = write_table(frame, tmp_path / "small.csv")
    found = overlays(scan_table(small), [load_recipe("goku-720p")])[0]
    skipped = {step.name: dict(step.missing) for step in found.steps if step.skipped and step.where}
    assert skipped["text"] == {"ocr_area": "python -m tools.scoring.ocr.inference"}
    assert skipped["size"] == {"height": "python -m tools.datasets.datautil META --info"}
    assert set(skipped) == {"text", "size", "bitrate", "shorter side"} and not found.is_whole
    assert [step.name for step in found.steps if not step.where] == ["similarity of frames", "motion"]
    kept = tmp_path / "kept.csv"
    assert datautil([str(small), "--where", found.where, "--output", str(kept), "--quiet"]) == 0
    assert found.left.rows == read_table(kept).height


def test_a_table_with_none_of_the_columns_keeps_all_rows(tmp_path):
    found = overlays(pl.LazyFrame({"path": ["a", "b"]}), [load_recipe("goku-720p")])[0]
    assert (found.total.rows, found.left.rows, found.total.hours, found.where) == (2, 2, 0.0, "")


def test_a_condition_with_a_comment_can_be_joined_with_others(tmp_path):
    file = tmp_path / "own.toml"
    steps = ["aes >= 5 # pretty", "text.contains('#')", "aes < 9"]
    body = "".join(f'[[step]]\nname = "{i}"\nwhere = """{where}"""\n' for i, where in enumerate(steps))
    file.write_text(f'[recipe]\ntitle = "own"\n{body}')
    rows = {"path": list("abcd"), "aes": [4, 6, 7, 10], "text": ["#", "#", "", "#"]}
    table = write_table(pl.DataFrame(rows), tmp_path / "t.csv")
    found = overlays(scan_table(table), [load_recipe(file)])[0]
    datautil([str(table), "--where", found.where, "--output", str(tmp_path / "kept.csv"), "--quiet"])
    assert read_table(tmp_path / "kept.csv")["path"].to_list() == ["b"] and found.left.rows == 1


def test_a_column_of_another_type_leaves_its_step_out():
    frame = pl.LazyFrame({"path": ["a"], "aes": [[1.0, 2.0]], "num_frames": [3]})
    found = overlays(frame, [load_recipe("open-sora")])[0]
    step = next(step for step in found.steps if step.name == "aesthetics")
    assert "list" in step.skipped and not step.missing and found.left.rows == 1


def test_an_empty_table_and_json(table):
    empty = overlays(scan_table(table).head(0), [load_recipe("cosmos")])[0]
    assert empty.total.rows == empty.left.rows == 0
    whole = json.loads(
        json.dumps(overlays(scan_table(table), [load_recipe("cosmos")])[0].as_dict(), allow_nan=False)
    )
    assert whole["steps"][0]["missing"] == {"num_frames": "python -m tools.datasets.datautil META --info"}
    assert whole["steps"][-1]["left"]["rows"] == whole["left"]["rows"] and whole["is_whole"] is False


def test_recipes_fit_a_table_that_has_the_columns_of_a_step():
    """By the steps as their files state them."""
    schema = {"aes": pl.Float64(), "path": pl.String()}
    found = {recipe.given for recipe in applicable(known_recipes(), schema)}
    assert found == {
        recipe.given for recipe in known_recipes() if any(step.columns == ["aes"] for step in recipe.applied)
    }
    assert "goku-720p" in found and len(applicable(known_recipes(), {"path": pl.String()})) == 0
