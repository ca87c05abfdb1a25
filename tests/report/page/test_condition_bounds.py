"""Bounds of a page for a condition: they keep the rows that the condition keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.page_support import page_data, run_node
from tools.report.__main__ import main
from tools.report.page.condition_bounds import Bound, bounds_of, joined
from tools.report.page.contents import Contents, read_contents
from tools.table import scan_table, write_table
from tools.table.where import parse_where

ROWS = 500
BOUNDS = [
    "aes >= 4.5",
    "4.5 <= aes",
    "aes <= 5 and tie >= 4",
    "(aes <= 5) & (tie >= 4)",
    "tie > 4.5",
    "tie < 4.5",
    "4 <= tie < 6",
    "tie > 4.53",
    "tie >= 4.53 and tie <= 5.57",
    "tie.between(4, 5.5)",
    "tie == 5",
    "tie in [5]",
    "whole > 3",
    "whole >= -2 and whole < 1e3",
    "aes >= 4 and aes >= 5 and aes <= 6",
    "col('my score') >= 0.5",
    "`my score` <= 0.5",
    "label == 'a'",
    "label in ['a', \"b'c\"]",
    "label in ['a', '']",
    "label in ['a', 'd'] and label in ['d', 'b']",
    "label.isin(['d'])",
    "label == 'nowhere'",
    "label.isna()",
    "dup_of.isna()",
    "dup_of.notna() and aes >= 5",
    "flag",
    "flag == False",
    "aes >= 5 # a remark",
]
NONE = [
    "aes > 4.5",  # numbers with all digits: none may lie just above the bound
    "aes >= 4.50000000001",
    "aes * tie >= 20",
    "aes >= tie",
    "aes >= 5 or tie >= 5",
    "not flag",
    "aes != 5",
    "tie in [4, 5]",
    "tie.isna()",
    "tie.between(4, 5, inclusive='left')",
    "abs(aes) >= 5",
    "path.contains('1')",
    "unknown >= 5",
    "label >= 'a'",
    "label not in ['a']",
    "aes >=",
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gaps everywhere, ties, texts that look like truth values, and a name that is no word."""
    rng = np.random.default_rng(2)

    def gaps(values: np.ndarray) -> list:
        empty = rng.random(ROWS) < 0.1
        return [None if empty[row] else value for row, value in enumerate(values.tolist())]

    frame = pl.DataFrame(
        {
            "path": [f"{row}.mp4" for row in range(ROWS)],
            "aes": gaps(rng.normal(5, 1, ROWS)),
            "tie": gaps(rng.integers(30, 70, ROWS) / 10),
            "whole": gaps(rng.integers(-5, 9, ROWS)),
            "my score": gaps(np.round(rng.random(ROWS), 3)),
            "label": gaps(rng.choice(["a", "b", "b'c", "d"], ROWS)),
            "dup_of": [f"{row - 1}.mp4" if row % 7 == 0 else None for row in range(ROWS)],
            "flag": gaps(rng.choice(["true", "false"], ROWS)),
        }
    )
    path = tmp_path_factory.mktemp("bounds") / "clips.csv"
    write_table(frame, path)
    return path


@pytest.fixture(scope="module")
def contents(table: Path) -> Contents:
    return read_contents(scan_table(table))


def test_bounds_keep_the_rows_that_the_condition_keeps(table: Path, contents: Contents) -> None:
    """Set in the page's own cross-filter, against the condition applied to the table as `datautil` does."""
    main([str(table), "-o", str(table.with_suffix(".html"))])
    found = [bounds_of(where, contents) for where in BOUNDS]
    assert [where for where, bounds in zip(BOUNDS, found, strict=True) if bounds is None] == []
    program = """
        const table = await vidsieve.unpack(JSON.parse(given.about), given.data);
        const filter = new vidsieve.Crossfilter(table.columns, table.rows, table.seconds);
        return given.settings.map((bounds) => {
            filter.setAll(new Map(bounds));
            return table.texts.path.filter((_, row) => filter.passes(row));
        });
    """
    settings = [[[name, bound.as_dict()] for name, bound in (bounds or {}).items()] for bounds in found]
    given = {**page_data(table.with_suffix(".html")), "settings": settings}
    kept = run_node(["logic/columns.js", "logic/crossfilter.js"], program, given)
    frame = scan_table(table)
    sizes = set()
    for where, paths in zip(BOUNDS, kept, strict=True):
        expected = frame.filter(parse_where(where, frame)).select("path").collect()["path"].to_list()
        assert paths == expected, where
        sizes.add(len(paths))
    assert len(sizes) > 15


@pytest.mark.parametrize("where", NONE)
def test_what_is_no_bound_of_one_column_has_none(contents: Contents, where: str) -> None:
    assert bounds_of(where, contents) is None


def test_bounds_of_the_same_column_are_met_at_once() -> None:
    """The intersection of two ranges, and of two sets of labels."""
    found = joined(
        [
            {"a": Bound(1, None), "b": Bound(labels=frozenset({0, 2}))},
            {"a": Bound(0, 5), "b": Bound(labels=frozenset({2, 3}))},
            {"a": Bound(None, 7)},
        ]
    )
    assert found == {"a": Bound(1, 5), "b": Bound(labels=frozenset({2}))}
