"""Correlations of two columns against scipy's: the page's scripts, run by Node.js."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from tests.page_support import page_data, run_node
from tools.report.__main__ import main
from tools.table import write_table

SCRIPTS = ["logic/columns.js", "logic/crossfilter.js", "logic/correlation.js"]
PAIRS = [("aes", "ties"), ("aes", "skewed"), ("ties", "skewed"), ("aes", "offset")]


@pytest.fixture(scope="module")
def found(paired: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Of each pair, the correlations of all rows and of those with aes from 4 to 6."""
    folder = tmp_path_factory.mktemp("scatter")
    write_table(paired, folder / "clips.parquet")
    page = folder / "report.html"
    main([str(folder / "clips.parquet"), "-o", str(page)])
    program = """
        const table = await vidsieve.unpack(JSON.parse(given.about), given.data);
        const filter = new vidsieve.Crossfilter(table.columns, table.rows, table.seconds);
        filter.setRange("aes", 4, 6);
        return given.pairs.map((pair) => {
            const [x, y] = pair.map((name) => table.columns.get(name));
            return [vidsieve.correlations(x, y), vidsieve.correlations(x, y, (row) => filter.passes(row))];
        });
    """
    return run_node(SCRIPTS, program, {**page_data(page), "pairs": PAIRS})


@pytest.mark.parametrize("pair", PAIRS)
def test_correlations_are_those_of_scipy(
    paired: pl.DataFrame, found: list[Any], pair: tuple[str, str]
) -> None:
    """Over rows with a finite number in both, all of them and those with aes from 4 to 6."""
    known = paired.select(pl.all().exclude("path").cast(pl.Float64))
    known = known.filter(*(pl.col(name).is_finite().fill_null(False) for name in pair))
    both = (known, known.filter(pl.col("aes").is_between(4, 6)))
    for got, rows in zip(found[PAIRS.index(pair)], both, strict=True):
        x, y = rows[pair[0]].to_numpy(), rows[pair[1]].to_numpy()
        assert got["rows"] == rows.height
        assert got["pearson"] == pytest.approx(stats.pearsonr(x, y)[0], abs=1e-6)
        assert got["spearman"] == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-9)


def test_correlations_at_the_edges() -> None:
    """By definition; NaN comes out of JSON as None."""
    cases: list[tuple[list[float], list[float], float | None]] = [
        ([], [], None),
        ([1], [2], None),
        ([1, 2, 3], [0.1, 0.1, 0.1], None),  # no spread: not defined
        ([1, 2, 3], [-1, -2, -3], -1),
        ([1e200, 2e200, 3e200], [1, 2, 3], 1),  # squares would be infinite
        ([1, 2, 3, 4], [1, 3, 2, 4], 0.8),  # 1 - 6 * 2 / (4 * 15)
    ]
    program = "return given.map(([x, y]) => [vidsieve.pearson(x, y), vidsieve.spearman(x, y)])"
    found = run_node(["logic/correlation.js"], program, [case[:2] for case in cases])
    for got, (_, _, expected) in zip(found, cases, strict=True):
        assert got == [expected if expected is None else pytest.approx(expected, abs=1e-12)] * 2


def test_a_seed_gives_the_same_order_with_every_row_once() -> None:
    """Of 300 seeds, each tenth of the rows is first for 30, within 5 standard deviations."""
    program = """
        const order = (seed) => Array.from(vidsieve.shuffled(1000, seed));
        return [[1, 1, 2].map(order), Array.from({ length: 300 }, (_, seed) => order(seed)[0])];
    """
    orders, firsts = run_node(["logic/correlation.js"], program)
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == list(range(1000))
    counts = np.histogram(firsts, bins=10, range=(0, 1000))[0]
    assert (np.abs(counts - 30) < 5 * np.sqrt(300 * 0.1 * 0.9)).all()
