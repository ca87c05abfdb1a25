"""The page's counts against those of datautil for the same bounds: the page's scripts, run by Node.js."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.page_support import page_data, run_node
from tools.datasets import datautil
from tools.report.__main__ import main
from tools.table import read_table, write_table

LOGIC = ["logic/columns.js", "logic/crossfilter.js", "logic/setting.js"]

PROGRAM = """
    const about = (vidsieve.about = JSON.parse(given.about));
    const table = await vidsieve.unpack(about, given.data);
    const filter = new vidsieve.Crossfilter(table.columns, table.rows, table.seconds);
    const found = [];
    for (const setting of given.settings) {
        filter.clear();
        for (const [name, low, high] of setting) {
            if (Array.isArray(low)) {
                const column = table.columns.get(name);
                const code = (label) => (label === null ? 0 : 1 + column.values.indexOf(label));
                filter.setLabels(name, low.map(code));
            } else filter.setRange(name, low, high);
        }
        const fragment = vidsieve.toFragment(filter);
        const again = new vidsieve.Crossfilter(table.columns, table.rows, table.seconds);
        again.setAll(vidsieve.fromFragment(fragment, table.columns));
        found.push({
            kept: filter.kept(), steps: filter.steps(), command: vidsieve.command(filter, about.table),
            recipe: vidsieve.recipe(filter, 'a "title"'), again: again.kept().rows,
            ofAll: [...filter.bounds].map(([name, bound]) => table.columns.get(name).keptOfAll(bound)),
            histograms: [...table.columns.keys()].map((name) => {
                const { kept, lost } = filter.histogram(name);
                return [name, Array.from(kept), Array.from(lost), Array.from(filter.allRows(name))];
            }),
        });
    }
    return found;
"""


def _ask(table: Path, settings: list[list[Any]], *flags: str) -> list[dict[str, Any]]:
    page = table.with_suffix(".html")
    main([str(table), "-o", str(page), *flags])
    return run_node(LOGIC, PROGRAM, {**page_data(page), "settings": settings})


def _run(command: str) -> pl.DataFrame:
    """Run a command that the page gave, as a shell splits it, and read what it wrote."""
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "tools.datasets.datautil"]
    output = Path(words[3]).with_name("kept.parquet")
    datautil.main([*words[3:], "--output", str(output), "--overwrite"])
    return read_table(output)


def _table(rows: int = 3000) -> pl.DataFrame:
    rng = np.random.default_rng(5)
    aes = rng.normal(5, 1, rows)
    return pl.DataFrame(
        {
            "path": [f"clips/{row}.mp4" for row in range(rows)],
            "id": [f"{row:05}" for row in range(rows)],
            "duration": np.round(rng.uniform(0.5, 20, rows), 3),
            "aes": np.where(rng.random(rows) < 0.1, np.nan, aes),
            "motion": rng.lognormal(-3, 1, rows),
            "ocr": rng.integers(0, 4, rows),
            "my score": np.round(rng.normal(0, 1, rows), 2),
            "class": rng.integers(-5, 5, rows) / 4,
            "cmotion": rng.choice(["pan_left", "static", "zoom+in", ""], rows),
            'maker\'s "own"': rng.choice(["a'b", 'c"d', "e\\f", "g$h", "ü<script>"], rows),
            "has_audio": [[True, False, None][pick] for pick in rng.integers(0, 3, rows)],
            "dup_of": [f"clips/{row - 1}.mp4" if row % 3 == 0 else "" for row in range(rows)],
        }
    )


SETTINGS = [
    [],
    [["aes", 5, None]],
    [["aes", 4.5, 5.5], ["motion", 0.0123, 0.21]],
    [["motion", None, 0.05], ["ocr", 0, 1], ["duration", 2, 10]],
    [["my score", -0.25, 0.25]],
    [["class", 0.25, None], ["my score", None, 0]],
    [["cmotion", ["pan_left", "zoom+in"], None]],
    [["cmotion", [None, "static"], None], ["aes", 3, None]],
    [['maker\'s "own"', ["a'b", 'c"d', "e\\f"], None]],
    [['maker\'s "own"', ["g$h", "ü<script>"], None], ["ocr", 2, 2]],
    [["has_audio", ["true"], None], ["dup_of", [None], None]],
    [["has_audio", [None, "false"], None], ["dup_of", ["filled"], None]],
    [["aes", 100, None]],
    [["aes", 6, 4]],
    [["cmotion", [], None]],
    [["motion", 1e-9, 1e9]],
]


@pytest.mark.parametrize("extension", ["csv", "parquet", "jsonl"])
def test_the_command_of_the_page_keeps_the_rows_that_the_page_counts(tmp_path: Path, extension: str) -> None:
    table = tmp_path / f"a table.{extension}"
    write_table(_table(), table)
    for setting, found in zip(SETTINGS, _ask(table, SETTINGS), strict=True):
        kept = _run(found["command"])
        assert found["kept"]["rows"] == kept.height, (setting, found["command"])
        length = kept["duration"].cast(pl.Float64).sum() if kept.height else 0
        assert found["kept"]["seconds"] == pytest.approx(length)
        assert found["again"] == kept.height, "the link keeps the setting"


def test_steps_and_histograms_against_a_count_of_all_rows(tmp_path: Path) -> None:
    """Against NumPy: alone, in turn, and the bins of a column under the bounds of the others."""
    data = _table()
    table = tmp_path / "t.parquet"
    write_table(data, table)
    setting = [["motion", 0.01, 0.2], ["aes", 4.5, None], ["ocr", None, 1]]
    found = _ask(table, [setting])[0]
    aes, motion, ocr = data["aes"].to_numpy(), data["motion"].to_numpy(), data["ocr"].to_numpy()
    passes = [(motion >= 0.01) & (motion <= 0.2), aes >= 4.5, ocr <= 1]
    left = np.ones(data.height, bool)
    for step, passed in zip(found["steps"], passes, strict=True):
        assert step["alone"] == (~passed).sum()
        assert step["inTurn"] == (left & ~passed).sum()
        left &= passed
        assert step["rowsLeft"] == left.sum()
        assert step["secondsLeft"] == pytest.approx(data["duration"].to_numpy()[left].sum())
    bins = {name: arrays for name, *arrays in found["histograms"]}
    kept, lost, everything = map(np.array, bins["aes"])
    assert kept.sum() == left.sum()
    assert lost.sum() == (passes[0] & ~passes[1] & passes[2]).sum()
    assert everything[0] == np.isnan(aes).sum()
    counted = np.bincount(ocr, minlength=4)
    assert np.array(bins["ocr"][2])[2:-1].tolist() == counted.tolist()


def test_a_saved_recipe_is_one_of_datautil(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    write_table(_table(), table)
    setting = [["aes", 4.5, None], ['maker\'s "own"', ["a'b", 'c"d', "e\\f"], None], ["dup_of", [None], None]]
    found = _ask(table, [setting])[0]
    (tmp_path / "mine.toml").write_text(found["recipe"])
    output = tmp_path / "kept.csv"
    datautil.main([str(table), "--recipe", str(tmp_path / "mine.toml"), "--output", str(output)])
    assert read_table(output).height == found["kept"]["rows"]


def test_numbers_that_are_none(tmp_path: Path) -> None:
    """Texts, NaN and infinities in a column of numbers are as datautil reads them."""
    table = tmp_path / "t.csv"
    cells = ["5", "nan", "inf", "-inf", "", "x", " 6", "7.5", "1e400", "-0.0", "0005"]
    table.write_text("path,aes\n" + "".join(f"{n}.mp4,{cell}\n" for n, cell in enumerate(cells)))
    settings = [[["aes", low, high]] for low, high in [(5, None), (None, 5), (-1e9, 1e9), (0, 0), (6, None)]]
    for found in _ask(table, settings):
        assert found["kept"]["rows"] == _run(found["command"]).height, found["command"]


def test_far_and_infinite_numbers_are_apart(tmp_path: Path) -> None:
    """Against NumPy: bounds beyond and between the numbers that are far from all others."""
    rng = np.random.default_rng(1)
    far = [1e12, 3e7, -4e15, np.inf, -np.inf, 1e300, -1e300, 3e7]
    columns = {
        "digits": np.r_[far, rng.uniform(0, 1, 500)],
        "tenths": np.r_[far, np.round(rng.uniform(0, 1, 500), 1)],
        "infinite": np.r_[np.inf, -np.inf, np.round(rng.uniform(0, 1, 506), 1)],
        "all": np.r_[[1e299, -1e299, 1e298, -1e298] * 127],
    }
    bounds = [(5e6, None), (3e7, 3e7), (None, -1e14), (2e12, None), (1e13, 1e301), (5, None), (None, -5)]
    bounds += [(-1e301, -1), (5, 6), (0.2, None), (0.5, 0.6), (1.5e298, 1e299), (None, 1e12), (-4e15, None)]
    settings = [[[name, low, high]] for name in columns for low, high in bounds]
    table = tmp_path / "t.parquet"
    write_table(pl.DataFrame({"path": [f"{row}.mp4" for row in range(508)], **columns}), table)
    for setting, found in zip(settings, _ask(table, settings, "--no-sprites"), strict=True):
        name, low, high = setting[0]
        least, most = -np.inf if low is None else low, np.inf if high is None else high
        kept = ((columns[name] >= least) & (columns[name] <= most)).sum()
        assert (found["kept"]["rows"], found["again"]) == (kept, kept), setting


def test_a_sample_of_a_large_table(tmp_path: Path) -> None:
    """The sample is the seed's, and the bars of all rows are those of the whole table."""
    table = tmp_path / "t.parquet"
    data = _table(5000)
    write_table(data, table)
    found = _ask(table, [[["aes", 5, None]]], "--max-rows", "1000", "--seed", "3")[0]
    share = float((data["aes"].fill_nan(None) >= 5).sum()) / data.height
    deviation = (share * (1 - share) / 1000) ** 0.5
    assert abs(found["kept"]["rows"] / 1000 - share) < 4 * deviation
    about = page_data(table.with_suffix(".html"))["about"]
    assert '"rows":5000,"embedded":1000' in about
    assert f'"empty":{int(data["aes"].is_nan().sum())}' in about
    again = tmp_path / "again.html"
    main([str(table), "-o", str(again), "--max-rows", "1000", "--seed", "3"])
    assert again.read_text() == table.with_suffix(".html").read_text()


def test_what_one_bound_keeps_is_counted_in_all_rows_of_a_sampled_table(tmp_path: Path) -> None:
    """Against Polars, for bounds at the steps of a handle; of others the page has an estimate only."""
    data = _table(5000)
    table = tmp_path / "t.parquet"
    write_table(data, table)
    bounds = [("motion", 0.03, None), ("motion", None, 0.08), ("aes", 4.5, 5.5), ("ocr", 1, 2)]
    settings = [[list(bound)] for bound in bounds]
    settings += [[["motion", 0.0312345, None]], [["cmotion", ["static", None], None]]]
    found = [one["ofAll"] for one in _ask(table, settings, "--max-rows", "1000")]
    for (column, low, high), kept in zip(bounds, found, strict=False):
        values = data[column].cast(pl.Float64).fill_nan(None)
        least, most = low if low is not None else -np.inf, high if high is not None else np.inf
        assert kept == [values.is_between(least, most).sum()]
    assert found[-2] == [None]
    assert found[-1] == [data["cmotion"].is_in(["static", ""]).sum()]
