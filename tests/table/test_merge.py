import polars as pl
import pytest

from tools.datasets.edit import run_datautil
from tools.errors import UserError
from tools.table import expand_inputs, external_sort, merge_tables, part_path, row_files, write_table


def write_parts(folder, world, rows=7, stem="meta_aes"):
    """What W ranks write: rank r has the rows r, r + W, ..."""
    table = pl.DataFrame({"path": [f"v{i}" for i in range(rows)], "aes": [i / 10 for i in range(rows)]})
    paths = []
    for rank in range(world):
        part = table.with_row_index("_row").with_columns(pl.lit(f"{rank}/{world}").alias("_part"))
        part = part.filter(pl.col("_row") % world == rank).select("path", "aes", "_row", "_part")
        paths.append(write_table(part, part_path(folder / f"{stem}.csv", rank)))
    return table, paths


@pytest.mark.parametrize("world", [2, 3, 11])
def test_parts_come_back_in_the_rows_own_order(tmp_path, world):
    table, paths = write_parts(tmp_path, world)
    alone = write_table(table, tmp_path / "alone.csv")
    merged = write_table(merge_tables(list(reversed(paths))), tmp_path / "merged.csv", inputs=paths)
    assert merged.read_bytes() == alone.read_bytes()


@pytest.mark.parametrize("kind", [".csv", ".parquet", ".jsonl"])
def test_parts_larger_than_the_buffer(tmp_path, monkeypatch, kind):
    """Odd cells, ranks of different lengths, one without rows: rows come back in their order, from files."""
    monkeypatch.setattr(external_sort, "_BUFFER", 900)
    monkeypatch.setattr(external_sort, "_LARGEST_BUFFER", 1500)
    monkeypatch.setattr(row_files, "_BATCH", 30)
    cells = [None, "", 'say "hi"', "a, b", "é\nb", "007", "NaN"]
    rows = range(500)
    table = pl.DataFrame(
        {
            "path": [f"{i * 7919 % 500}.mp4" for i in rows],
            "text": [cells[i % len(cells)] for i in rows],
            "aes": [float("nan") if i % 9 == 0 else None if i % 5 == 0 else i / 8 for i in rows],
        }
    )
    rank = pl.when(pl.col("_row") < 300).then(0)
    rank = rank.when(pl.col("_row") % 3 == 0).then(1).otherwise(3)
    paths = []
    for part in range(4):
        some = table.with_row_index("_row").filter(rank == part).with_columns(_part=pl.lit(f"{part}/4"))
        paths.append(write_table(some.reverse(), part_path(tmp_path / f"meta{kind}", part)))
    paths = [paths[i] for i in (2, 3, 0, 1)]
    alone = write_table(table, tmp_path / f"alone{kind}")
    merged = merge_tables(paths, scratch=tmp_path)
    assert not list(tmp_path.glob("vidsieve-*"))  # nothing has been read
    output = write_table(merged, tmp_path / f"merged{kind}", inputs=paths)
    assert len(list(tmp_path.glob("vidsieve-*/*.arrow"))) > 5
    assert output.read_bytes() == alone.read_bytes()
    assert merged.select(pl.len()).collect(engine="streaming").item() == 500
    assert merged.select("path").head(41).collect().equals(table.select("path").head(41))
    del merged
    assert not list(tmp_path.glob("vidsieve-*"))


@pytest.mark.parametrize("kind", [".jsonl", ".json", ".jsonl.gz", ".json.zst", ".ndjson"])
def test_parts_without_rows_in_formats_without_a_header(tmp_path, kind):
    table, _ = write_parts(tmp_path, 1)
    numbered = table.with_row_index("_row")
    paths = []
    for rank, rows in enumerate([numbered.clear(), numbered, numbered.clear()]):
        part = rows.with_columns(pl.lit(f"{rank}/3").alias("_part"))
        paths.append(write_table(part, part_path(tmp_path / f"m{kind}", rank)))
    assert merge_tables(paths).collect().equals(table)
    run = run_datautil(paths, output=tmp_path / "out.csv")
    assert (run.rows_in, run.rows_out) == (7, 7)
    (tmp_path / "parts").mkdir()
    for path in paths:
        path.rename(tmp_path / "parts" / path.name)
    assert merge_tables(expand_inputs([tmp_path / "parts"])).collect().equals(table)
    odd = tmp_path / "parts" / paths[0].name
    with pytest.raises(UserError, match="is empty"):
        merge_tables([odd])
    # More shards than rows, as the tables of Spark have them, too.
    (tmp_path / "shards").mkdir()
    run = run_datautil([tmp_path / "out.csv"], output=tmp_path / "shards" / f"s{kind}", shard=9)
    assert len(run.outputs) == 9
    for inputs in ([tmp_path / "shards"], run.outputs[::-1], [*run.outputs[7:], tmp_path / "out.csv"]):
        again = run_datautil(inputs, output=tmp_path / "again.csv")
        assert again.rows_in == again.rows_out == 7


def test_a_missing_part_is_named(tmp_path):
    _, paths = write_parts(tmp_path, 3)
    with pytest.raises(UserError, match=r"meta_aes_part1\.csv: missing, 2 of 3 parts"):
        merge_tables([paths[0], paths[2]])


def test_the_last_part_is_missed_too(tmp_path):
    _, paths = write_parts(tmp_path, 2, rows=1)  # part 1 has no rows, part 0 alone holds the whole table
    with pytest.raises(UserError, match=r"meta_aes_part1\.csv: missing"):
        merge_tables(paths[:1])
    assert merge_tables(paths).collect().height == 1


def test_parts_of_two_runs_are_not_mixed(tmp_path):
    _, two = write_parts(tmp_path / "two", 2)
    _, three = write_parts(tmp_path / "three", 3)
    with pytest.raises(UserError, match="different numbers of ranks"):
        merge_tables([two[0], three[1]])
    with pytest.raises(UserError, match="holds part 0/2"):
        merge_tables([two[0], write_table(pl.read_csv(two[0]), tmp_path / "copy.csv")])
    with pytest.raises(UserError, match="not a part"):
        merge_tables([*two, write_table(pl.DataFrame({"path": ["x"]}), tmp_path / "other.csv")])


def test_tables_are_joined_with_the_union_of_their_columns(tmp_path):
    one = write_table(pl.DataFrame({"path": ["a"], "aes": ["5.50"]}), tmp_path / "1.csv")
    two = write_table(pl.DataFrame({"path": ["b"], "flow": [2.5]}), tmp_path / "2.parquet")
    three = write_table(pl.DataFrame({"path": ["c"], "flow": ["3.0"]}), tmp_path / "3.csv")
    assert merge_tables([one, two, three]).collect().to_dict(as_series=False) == {
        "path": ["a", "b", "c"],
        "aes": ["5.50", None, None],
        "flow": [None, "2.5", "3.0"],
    }


def test_patterns_are_strict_and_in_natural_order(tmp_path):
    for name in ("m_part10.csv", "m_part2.csv", "m.failures.csv", "[x].csv"):
        (tmp_path / name).write_text("path\n")
    assert [p.name for p in expand_inputs([f"{tmp_path}/m_part*.csv"])] == ["m_part2.csv", "m_part10.csv"]
    assert [p.name for p in expand_inputs([f"{tmp_path}/m*"])] == ["m_part2.csv", "m_part10.csv"]
    assert [p.name for p in expand_inputs([f"{tmp_path}/[x].csv"])] == ["[x].csv"]
    with pytest.raises(UserError, match="the pattern matches no table"):
        expand_inputs([f"{tmp_path}/nothing*.csv"])
    with pytest.raises(UserError, match="there is no such table"):
        expand_inputs([f"{tmp_path}/nothing.csv"])
    with pytest.raises(UserError, match="named twice"):
        merge_tables([tmp_path / "m_part2.csv", tmp_path / "m_part2.csv"])


def test_lists_of_different_kinds_stand_under_each_other(tmp_path):
    (tmp_path / "1.jsonl").write_text('{"path": "a", "tags": [], "clip": {"start": 1}, "odd": [1]}\n')
    (tmp_path / "2.jsonl").write_text('{"path": "b", "tags": ["x"], "clip": {"start": 0.5}, "odd": "x"}\n')
    merged = merge_tables([tmp_path / "1.jsonl", tmp_path / "2.jsonl"]).collect()
    assert merged["tags"].to_list() == [[], ["x"]]
    assert merged["clip"].to_list() == [{"start": 1.0}, {"start": 0.5}]
    assert merged["odd"].to_list() == ["[1]", "x"]
    pl.DataFrame({"path": ["c"], "odd": [b"\0"]}).write_parquet(tmp_path / "3.parquet")
    with pytest.raises(UserError, match="column 'odd' holds bytes in one of the tables"):
        merge_tables([tmp_path / "1.jsonl", tmp_path / "3.parquet"])


def test_a_column_without_cells_takes_the_type_of_the_others(tmp_path):
    (tmp_path / "1.jsonl").write_text('{"path": "a", "mine": null, "tags": null, "none": null}\n')
    (tmp_path / "2.jsonl").write_text('{"path": "b", "mine": 0.5, "tags": ["x"], "none": null}\n')
    (tmp_path / "3.jsonl").write_text('{"path": "c", "tags": ["y"], "none": null}\n')
    merged = merge_tables([tmp_path / f"{number}.jsonl" for number in (1, 2, 3)]).collect()
    assert merged["mine"].to_list() == [None, 0.5, None]
    assert merged["tags"].to_list() == [None, ["x"], ["y"]]
    assert merged["none"].to_list() == [None, None, None]
