"""A folder of files is one table, as for Spark, Daft and Polars, which write such folders."""

import polars as pl
import pytest

from tools.datasets import datautil
from tools.datasets.datautil import run_datautil
from tools.errors import UserError
from tools.table import expand_inputs, merge_tables, read_table, scan_table


@pytest.fixture
def folder(tmp_path):
    """A folder as Polars writes it, with files that Spark adds; rows 0 to 249."""
    frame = pl.DataFrame({"path": [f"{i:03}.mp4" for i in range(250)], "num_frames": range(250)})
    place = tmp_path / "parts"
    frame.lazy().sink_parquet(pl.PartitionBy(place, max_rows_per_file=20), mkdir=True)
    (place / "_SUCCESS").touch()
    (place / ".part-0.parquet.crc").write_bytes(b"x")
    (place / "readme.txt").write_text("no table")
    return place


def test_a_folder_is_a_table(folder, capsys):
    assert len(expand_inputs([folder])) == 13
    assert datautil.main([f"{folder}/", "--fmin", "100"]) == 0
    output = folder.with_name("parts_fmin100.parquet")
    assert capsys.readouterr().out.split() == [str(output)]
    assert read_table(output)["num_frames"].sort().to_list() == list(range(100, 250))


def test_a_pattern_and_a_folder_are_alike(folder):
    tables = [merge_tables(expand_inputs([p])).collect() for p in (folder, f"{folder}/*.parquet")]
    assert tables[0].equals(tables[1])
    assert sorted(tables[0]["num_frames"]) == list(range(250))


def test_a_folder_in_parts_again(folder, tmp_path, monkeypatch):
    """Shards of a table larger than memory: the first that does not fit goes through a file."""
    monkeypatch.setattr("tools.datasets.outputs._IN_MEMORY", 100)
    result = run_datautil([folder], {"sort_ascending": "path"}, output=tmp_path / "o.parquet", shard=4)
    tables = [read_table(path) for path in result.outputs]
    assert [table.height for table in tables] == [63, 63, 62, 62]
    assert pl.concat(tables)["num_frames"].to_list() == list(range(250))
    assert not list(tmp_path.glob("vidsieve-*"))


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        ("other.parquet", ["path"], r"have different columns \(num_frames\)"),
        ("more.parquet", ["path", "num_frames", "aes"], r"have different columns \(aes\)"),
        ("other.csv", ["path", "num_frames"], "have different formats"),
        ("year=2024/a.parquet", ["path", "num_frames"], "holds a column, which is not read"),
    ],
)
def test_what_is_not_one_table_is_refused(folder, name, columns, message):
    from tools.table import write_table

    write_table(pl.DataFrame({column: ["1"] for column in columns}), folder / name)
    with pytest.raises(UserError, match=message):
        expand_inputs([folder])


def test_an_empty_folder_and_a_single_table(tmp_path):
    with pytest.raises(UserError, match="the folder holds no table"):
        expand_inputs([tmp_path])
    with pytest.raises(UserError, match=r"datautil .* --output meta\.parquet"):
        scan_table(tmp_path)


def test_types_that_differ_between_parts(tmp_path):
    (tmp_path / "p").mkdir()
    pl.DataFrame({"path": ["a"], "n": [1]}).write_parquet(tmp_path / "p/0.parquet")
    pl.DataFrame({"path": ["b"], "n": ["x"]}).write_parquet(tmp_path / "p/1.parquet")
    assert merge_tables(expand_inputs([tmp_path / "p"])).collect()["n"].to_list() == ["1", "x"]
