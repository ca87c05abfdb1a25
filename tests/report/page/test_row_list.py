"""The order, the search and the choice of rows against Python's own: the page's scripts, run by Node.js."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.page_support import page_data, run_node
from tools.report.__main__ import main
from tools.table import write_table

SCRIPTS = ["logic/columns.js", "logic/crossfilter.js", "logic/row_order.js", "logic/row_list.js"]
ROWS = 400
COLUMNS = ["path", "id", "text", "aes", "wide", "label"]
QUERIES = ["clip_1", "FILMS 3", "id7 films", "straße", "ärger", "<b>", "no such row", "  "]

PROGRAM = """
    const about = JSON.parse(given.about);
    const table = await vidsieve.unpack(about, given.data);
    const filter = new vidsieve.Crossfilter(table.columns, table.rows, table.seconds);
    const rows = (act) => {
        const list = new vidsieve.RowList({ table, filter });
        list.choose();
        act(list);
        return Array.from(list.rows);
    };
    const found = { sorted: {}, searched: {}, chosen: {} };
    for (const name of given.columns) {
        found.sorted[name] = [false, true].map((descending) => rows((list) => list.sortBy(name, descending)));
    }
    for (const query of given.queries) found.searched[query] = rows((list) => list.search(query));
    filter.setRange("aes", 5, null);
    filter.setLabels("label", [1 + table.columns.get("label").values.indexOf("c")]);
    for (const show of ["kept", "removed", "by aes", "by label", "all"]) {
        found.chosen[show] = rows((list) => list.choose(show));
    }
    found.by = rows((list) => list.sortBy("\\0kept", false)).map((row) => filter.failures[row]);
    return found;
"""


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    """Rows with gaps, ties, a column that needs many bytes, and texts that are hard to sort and to show."""
    rng = np.random.default_rng(5)
    odd = ["a,b", 'say "so"', "Straße\nzwei", " leading", "ÄRGER", "<b>bold</b>", "z", ""]
    return pl.DataFrame(
        {
            "path": [f"/data/films {row % 7}/Clip_{row * 37 % ROWS:03}.mp4" for row in range(ROWS)],
            "id": [f"id{row // 2}" for row in range(ROWS)],
            "text": [odd[row % len(odd)] for row in range(ROWS)],
            "aes": [None if row % 11 == 0 else round(float(rng.normal(5, 1)), 1) for row in range(ROWS)],
            "wide": [float(rng.normal() * 1e9) for row in range(ROWS)],
            "label": [None if row % 5 == 0 else str(rng.choice(["b", "a", "c", "c"])) for row in range(ROWS)],
        }
    )


@pytest.fixture(scope="module")
def found(table: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("rows")
    write_table(table, folder / "clips.csv")
    page = folder / "report.html"
    main([str(folder / "clips.csv"), "-o", str(page)])
    return run_node(SCRIPTS, PROGRAM, {**page_data(page), "columns": COLUMNS, "queries": QUERIES})


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("column", COLUMNS)
def test_rows_are_in_the_order_of_a_stable_sort_with_empty_cells_last(
    table: pl.DataFrame, found: dict[str, Any], column: str, descending: bool
) -> None:
    """Against Python's `sorted`, which is stable; texts are in the order of their UTF-16 characters."""
    cells = table[column].to_list()
    filled = [row for row in range(ROWS) if cells[row] not in (None, "")]
    key = (lambda row: cells[row].encode("utf-16-be")) if isinstance(cells[1], str) else cells.__getitem__
    # Python's reverse keeps the order of equal ones, as the page does.
    expected = sorted(filled, key=key, reverse=descending)
    assert found["sorted"][column][descending] == expected + [
        row for row in range(ROWS) if row not in set(filled)
    ]


@pytest.mark.parametrize("query", QUERIES)
def test_a_search_finds_rows_that_have_every_word_somewhere(
    table: pl.DataFrame, found: dict[str, Any], query: str
) -> None:
    """Against a search of each cell by itself."""
    cells = table.select("path", "id", "text").rows()
    words = query.lower().split()
    expected = [
        row for row in range(ROWS) if all(any(word in cell.lower() for cell in cells[row]) for word in words)
    ]
    assert found["searched"][query] == expected


def test_large_keys_and_small_ones_give_the_same_order() -> None:
    """Keys near 2^50 do not fit into one number with the row: numpy's stable sort is what they must give."""
    keys = np.random.default_rng(0).integers(0, 40, 500) * 2**44
    got = run_node(["logic/row_order.js"], "return Array.from(vidsieve.orderBy(given, false))", keys.tolist())
    ordered = np.where(keys == 0, 2**60, keys)
    assert got == np.argsort(ordered, kind="stable").tolist()


def test_kept_and_removed_rows_and_those_of_one_bound(table: pl.DataFrame, found: dict[str, Any]) -> None:
    """Against the bounds applied in Python: an empty cell does not pass."""
    aes, label = table["aes"].to_list(), table["label"].to_list()
    by_aes = {row for row in range(ROWS) if aes[row] is None or aes[row] < 5}
    by_label = {row for row in range(ROWS) if label[row] != "c"}
    everything = set(range(ROWS))
    expected = [everything - by_aes - by_label, by_aes | by_label, by_aes, by_label, everything]
    assert list(found["chosen"].values()) == [sorted(rows) for rows in expected]
    fails = [(row in by_aes) + (row in by_label) for row in range(ROWS)]
    assert found["by"] == sorted(fails)


def test_saved_rows_are_read_back_by_a_reader_of_csv(table: pl.DataFrame) -> None:
    """Cells with commas, quotes and lines; Python's csv module is the reader."""
    rows = [list(row) for row in table.select("path", "text").rows()]
    saved = run_node(["logic/row_order.js"], "return vidsieve.csv(given)", rows)
    assert list(csv.reader(io.StringIO(saved, newline=""))) == rows


def test_an_empty_table_has_no_rows_to_find() -> None:
    program = """
        const search = new vidsieve.RowSearch([[], []], 0);
        return [Array.from(vidsieve.orderBy([], true)), Array.from(search.find("a b")), search.find(" ")];
    """
    assert run_node(["logic/row_order.js"], program) == [[], [], None]
