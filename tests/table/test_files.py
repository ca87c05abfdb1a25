import csv
import gzip
import json
import os
import stat
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tools.datasets import datautil
from tools.datasets.datautil import run_datautil
from tools.errors import UserError
from tools.table import numeric, read_table, require_columns, scan_table, table_format, write_table
from tools.table.formats import FORMATS, TableFormat

HARD_CELLS = [
    "a,b",
    'he said "hi"',
    "two\nlines",
    "\U0001f600",
    "None",
    "NA",
    "007",
    "x" * 100_000,
    " ",
    "é\r\n",
]


@pytest.fixture
def hard_table() -> pl.DataFrame:
    rows = len(HARD_CELLS)
    return pl.DataFrame(
        {"path": [f"v{i}.mp4" for i in range(rows)], "text": HARD_CELLS, "id": ["007"] * rows}
    )


EXTENSIONS = [
    *("csv", "parquet", "jsonl", "csv.gz", "csv.zst", "jsonl.gz", "jsonl.zst", "CSV.GZ", "ndjson"),
    *("tsv", "json", "tsv.gz", "json.gz", "json.zst"),
]


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_text_survives_a_round_trip(tmp_path, hard_table, extension):
    path = write_table(hard_table, tmp_path / f"meta.{extension}")
    assert read_table(path).equals(hard_table)


def test_compressed_tables_are_those_of_gzip_and_zstd(tmp_path, hard_table):
    plain = write_table(hard_table, tmp_path / "meta.csv").read_bytes()
    packed = write_table(hard_table, tmp_path / "meta.csv.gz")
    assert gzip.decompress(packed.read_bytes()) == plain
    zstd = write_table(hard_table, tmp_path / "meta.csv.zst")
    assert pa.CompressedInputStream(pa.OSFile(str(zstd)), "zstd").read() == plain
    (tmp_path / "theirs.csv.gz").write_bytes(gzip.compress(plain[:40]) + gzip.compress(plain[40:]))
    assert read_table(tmp_path / "theirs.csv.gz").equals(hard_table)  # gzip files may be glued together


@pytest.mark.parametrize("name", ["m.txt", "m.gz", "m.parquet.gz", "m.csv.gz.gz", "csv", "m.csv.bz2"])
def test_other_names_are_refused(name):
    with pytest.raises(UserError, match=r"not a table; the name of a table ends in \.csv"):
        table_format(name)


@pytest.mark.parametrize("extension", [".csv", ".parquet", ".jsonl"])
def test_names_that_are_not_utf8_are_refused_in_words(tmp_path, extension):
    """Polars opens none of them."""
    folder = tmp_path / os.fsdecode(b"\xe9t\xe9")
    folder.mkdir()
    with pytest.raises(UserError, match="is not UTF-8; rename it"):
        read_table(folder / f"meta{extension}")


def test_csv_is_read_by_pandas_as_we_wrote_it(tmp_path, hard_table):
    path = write_table(hard_table, tmp_path / "meta.csv")
    frame = pd.read_csv(path, dtype=str, keep_default_na=False, lineterminator="\n")
    assert frame["text"].tolist() == HARD_CELLS


def test_empty_and_missing_cells_stay_apart(tmp_path):
    frame = pl.DataFrame({"path": ["a", "b"], "text": ["", None]})
    assert read_table(write_table(frame, tmp_path / "m.csv"))["text"].to_list() == ["", None]


def test_untouched_cells_keep_their_bytes(tmp_path):
    text = "path,id,fps,aes\na.mp4,007,30.0,5.50\nb.mp4,1e3,29.97002997002997,\n"
    (tmp_path / "in.csv").write_text(text)
    write_table(scan_table(tmp_path / "in.csv"), tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == text


def test_numbers_get_their_type_in_parquet_unless_a_cell_would_be_lost(tmp_path):
    frame = pl.DataFrame(
        {"path": ["a", "b"], "id": ["007", "1"], "num_frames": ["3", "4"], "aes": ["5.5", "n/a"]}
    )
    typed = read_table(write_table(frame, tmp_path / "m.parquet"))
    assert typed.schema == {"path": pl.String, "id": pl.String, "num_frames": pl.Int64, "aes": pl.String}
    assert typed["aes"].to_list() == ["5.5", "n/a"]


def test_numeric_knows_only_numbers():
    frame = pl.DataFrame({"x": ["5", " ", None, "NaN", "nan", "abc", "1e1", "-3.5"]})
    assert frame.select(numeric("x"))["x"].to_list() == [5.0, None, None, None, None, None, 10.0, -3.5]


def test_pandas_frames_are_written(tmp_path):
    path = write_table(pd.DataFrame({"path": ["a"], "aes": [5.5]}), tmp_path / "m.csv")
    assert path.read_text() == "path,aes\na,5.5\n"


def test_the_input_is_never_overwritten(tmp_path):
    path = write_table(pl.DataFrame({"path": ["a"]}), tmp_path / "m.csv")
    link = tmp_path / "link.csv"
    link.symlink_to(path)
    for output in (path, link):
        with pytest.raises(UserError, match="overwrite the input"):
            write_table(scan_table(path).head(0), output, inputs=[path])
    assert path.read_text() == "path\na\n"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "bad.csv").write_text("path,text\na,b\n" + "c,d\n" * 100_000 + "e,f,g\n")
    old = write_table(pl.DataFrame({"path": ["old"]}), tmp_path / "out.csv")
    with pytest.raises(UserError, match=r"bad\.csv: line 100003: 3 cells"):
        write_table(scan_table(tmp_path / "bad.csv"), old, inputs=[tmp_path / "bad.csv"])
    assert old.read_text() == "path\nold\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.csv", "out.csv"]


def test_permissions_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        path = write_table(pl.DataFrame({"path": ["a"]}), tmp_path / "m.csv")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.csv", None, "No such file"),
        ("empty.csv", b"", "cannot read the table"),
        ("twice.csv", b"path,path\na,b\n", "stands twice"),
        ("binary.csv", bytes(range(256)) * 4, "line 1: holds a NUL byte"),
        ("video.mp4", b"x", "not a table"),
        ("bad.parquet", b"PAR1 no", "cannot read the table"),
        ("bad.jsonl", b"not json\n", "line 1: no JSON"),
    ],
)
def test_what_is_not_a_table_is_one_line(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_table(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_a_named_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(UserError, match="not a table"):
        scan_table(tmp_path / "pipe.csv")


def test_a_missing_column_names_its_maker(tmp_path):
    frame = pl.DataFrame({"path": ["a"]})
    with pytest.raises(UserError, match=r"m\.csv: no column 'aes'; .*tools\.scoring\.aesthetic.*has: path"):
        require_columns(frame, ["path", "aes"], "m.csv")


def test_text_columns_are_text_in_typed_tables_too(tmp_path):
    (tmp_path / "m.jsonl").write_text(
        '{"path": "a", "text": null, "id": 7}\n{"path": "b", "text": null, "id": 8}\n'
    )
    table = read_table(tmp_path / "m.jsonl")
    assert table.schema == {"path": pl.String, "text": pl.String, "id": pl.String}
    assert table["id"].to_list() == ["7", "8"]


def test_lists_and_records_become_json_in_a_csv(tmp_path):
    cells = [{"clips": [{"aes": 5.5, "é": None}]}, None]
    path = write_table(pl.DataFrame({"path": ["a", "b"], "video_clips": cells}), tmp_path / "m.jsonl")
    flat = read_table(write_table(scan_table(path), tmp_path / "m.csv"))
    assert [cell and json.loads(cell) for cell in flat["video_clips"]] == cells


class ArrowFormat(TableFormat):
    """Arrow's file format, as a newcomer would add it."""

    name, title = "arrow", "Arrow"

    def scan(self, path):
        return pl.scan_ipc(path)

    def sink(self, frame, path):
        return frame.sink_ipc(path, lazy=True)


def test_a_new_format_is_one_class_and_one_line(tmp_path, hard_table, monkeypatch):
    monkeypatch.setitem(FORMATS, ".arrow", ArrowFormat())
    path = write_table(hard_table, tmp_path / "meta.arrow")
    assert pl.DataFrame(pa.ipc.open_file(path).read_all()).equals(
        hard_table
    )  # as Arrow's own library reads it
    assert read_table(path).equals(hard_table)
    other = write_table(hard_table.with_columns(aes=pl.lit("5.5")), tmp_path / "other.csv")
    (merged,) = run_datautil([path, other], {"head": 12}, output=tmp_path / "both.arrow").outputs
    assert read_table(merged).height == 12
    assert read_table(merged)["aes"].to_list() == [None] * 10 + ["5.5"] * 2
    with pytest.raises(UserError, match=r"not a table"):
        table_format("meta.arrow.gz")
    (tmp_path / "bad.arrow").write_bytes(b"ARROW1 no")
    with pytest.raises(UserError, match="cannot read the table"):
        read_table(tmp_path / "bad.arrow")


def test_datautil_writes_every_format():
    known = {extension.removeprefix(".") for extension in FORMATS}
    assert known == {*datautil.FORMATS, "ndjson"}  # another name of jsonl


@pytest.mark.parametrize("name", ["m.csv", "m.csv.gz"])
def test_a_nul_leaves_a_csv_readable(tmp_path, name):
    """JSON and Parquet have such texts; Python's csv module refuses the byte or keeps it, by version."""
    frame = pl.DataFrame({"path": ["a", None, "b"], "text": ["x\0y", "\0", None], "n": [1, 2, 3]})
    written = write_table(frame, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    texts = [["a", "x\ufffdy", "1"], ["", "\ufffd", "2"], ["b", "", "3"]]
    with (gzip.open if name.endswith(".gz") else open)(written, "rt", newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1:] == texts
    assert [[cell or "" for cell in row] for row in read_table(written).rows()] == texts
    write_table(frame, tmp_path / "m.parquet")
    assert read_table(tmp_path / "m.parquet")["text"].to_list() == frame["text"].to_list()


@pytest.mark.parametrize("kind", [str, Path])
def test_one_input_may_be_given_alone(tmp_path, kind):
    table = write_table(pl.DataFrame({"path": ["a"]}), tmp_path / "m.csv")
    with pytest.raises(UserError, match="overwrite the input"):
        write_table(pl.DataFrame({"path": ["b"]}), table, inputs=kind(table))
