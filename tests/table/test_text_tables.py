"""Text tables as people have them: read as the csv and json modules read them, or the line is named."""

import csv
import gzip
import io
import json
import sys

import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.datasets.edit import run_datautil
from tools.errors import UserError
from tools.table import (
    concat_tables,
    count_rows,
    merge_tables,
    read_table,
    scan_table,
    write_and_count,
    write_table,
)

csv.field_size_limit(sys.maxsize)


def rows_of(path) -> list[tuple]:
    return read_table(path).rows()


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ('a,b\n1,"he said "hi" there"\n', 2, "a quote inside a quoted cell is not doubled"),
        ('a,b\n1,"x\ny" z\n', 3, "that begins in line 2 is not doubled"),
        ('a,b\n1,"he said \\"hi\\""\n', 2, "is not doubled"),
        ('a,b\n1,x\n2,"unclosed\n3,y\n4,z\n', 3, "never closed"),
        ('a,b\n1,x\n2,"line\none","never\n', 4, "never closed"),
        ("a,b\n1,2\n1,2,3\n", 3, "3 cells, but the header has 2 columns; a cell with a comma"),
        ("a\n1\n1,2\n", 3, "2 cells, but the header has 1 column;"),
        ("a,b\n1,x\0\n", 2, "NUL byte"),
        ("a,b\n1,x\n2,one\rtwo\n3,y\n", 3, "carriage return"),
        ("a,b\n1,x\n2,café\n".encode("latin-1"), 3, "not UTF-8 text .byte 0xE9.; convert.*iconv"),
        ("a,b\n1,é\n2,x\n".encode("utf-16-le"), 1, "NUL byte"),
        ("a,b\n" + "1,x\n" * 20_000 + '2,"x\n', 20_002, "never closed"),
    ],
)
def test_a_csv_that_may_be_read_in_two_ways_is_refused_with_its_line(tmp_path, content, line, message):
    path = tmp_path / "m.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for read in (read_table, scan_table, count_rows):
        with pytest.raises(UserError, match=rf"m\.csv: line {line}: .*{message}"):
            read(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('a,b\n1,a 5" nail\n2,6" and 7"\n', [("1", 'a 5" nail'), ("2", '6" and 7"')]),
        ('a,b\n1, "x"\n', [("1", ' "x"')]),
        ("a,b\n1,x\n\n2,y\n\n\n", [("1", "x"), ("2", "y")]),
        ("\n\na,b\n1,x\n", [("1", "x")]),
        ("a,b\r\n1,x\r\n\r\n2,\r\n", [("1", "x"), ("2", None)]),
        ("a,b\r\r\n1,x\r\r\n2,y\r\r\n", [("1", "x"), ("2", "y")]),  # a CSV written as text on Windows
        ("a,b\r1,x\r2,y", [("1", "x"), ("2", "y")]),  # line ends of old Macs
        ('a,b\n1\n,\n"",""\n', [("1", None), (None, None), ("", "")]),
        ('a,b\n"",5"\n,6"\n', [("", '5"'), (None, '6"')]),
        ("a\n1\n\n3\n", [("1",), ("3",)]),
        (" a , b\n1, x\n", [("1", " x")]),
        ("\ufeffa,b\n1,x\n", [("1", "x")]),
        ('\ufeff"a","b"\n1,x\n', [("1", "x")]),
        ("\ufeffa,b\n1,é漢\n".encode("utf-16-le"), [("1", "é漢")]),
        ("a,b\n1,é漢\n".encode("utf-32"), [("1", "é漢")]),
        ('a,b\n1,"x\n\n\ny"\n', [("1", "x\n\n\ny")]),
    ],
)
def test_rows_and_cells_are_those_of_the_csv_module(tmp_path, content, expected):
    path = tmp_path / "m.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    table = read_table(path)
    assert table.rows() == expected
    assert set(table.columns) <= {"a", "b"}
    assert count_rows(path) == len(expected)
    written = write_table(scan_table(path), tmp_path / "out.csv", inputs=[path])
    with written.open(newline="") as file:
        assert [tuple(cell or None for cell in row) for row in csv.reader(file)][1:] == [
            tuple(cell or None for cell in row) for row in expected
        ]
    assert rows_of(written) == expected


def test_large_cells_and_line_ends_in_quotes_on_the_borders_of_blocks(tmp_path):
    text = 'He said ""hi"",\r\n\n' * 9
    cells = [text * (n % 40) for n in range(3000)] + ["x" * 10_000_000, ",\n" * 200_000, '"' * 200_000]
    path = tmp_path / "m.csv"
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [["path", "text", "n"], *([f"{i}.mp4", cell, i] for i, cell in enumerate(cells))]
        )
    table = scan_table(path)
    assert table.select("path").collect(engine="streaming")["path"].to_list() == [
        f"{i}.mp4" for i in range(len(cells))
    ]
    assert table.select("text").collect(engine="streaming")["text"].fill_null("").to_list() == cells
    assert count_rows(path) == len(cells)


@pytest.mark.parametrize("name", ["m.csv.gz", "m.csv.zst", "m.csv"])
def test_compressed_tables_are_looked_through_too(tmp_path, name):
    content = b'a,b\n1,a 5" nail\n\n2,"x"\n'
    plain = tmp_path / "plain.csv"
    plain.write_bytes(content)
    packed = tmp_path / name
    if name.endswith("zst"):
        import pyarrow as pa

        with pa.CompressedOutputStream(str(packed), "zstd") as file:
            file.write(content)
    else:
        packed.write_bytes(gzip.compress(content))  # m.csv: the name does not tell
    assert rows_of(packed) == rows_of(plain) == [("1", 'a 5" nail'), ("2", "x")]


def test_a_compressed_table_that_breaks_off_is_refused(tmp_path):
    whole = gzip.compress(b"a,b\n" + b"1,some text\n" * 10_000)
    (tmp_path / "m.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"m\.csv\.gz: cannot read the table"):
        read_table(tmp_path / "m.csv.gz")


def test_large_corrected_tables_are_kept_outside_memory_and_leave_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tools.table.opening._IN_MEMORY", 1000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    path = tmp_path / "m.csv"
    path.write_text("a,b\n" + '1,5"\n' * 5000)
    table = scan_table(path)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert table.select("b").collect(engine="streaming")["b"].to_list() == ['5"'] * 5000


def test_odd_and_plain_tables_are_merged(tmp_path):
    (tmp_path / "1.csv").write_text("path,text\na,1\n\n")
    (tmp_path / "2.csv").write_text('path,text\nb,"2"\n')
    (tmp_path / "3.tsv").write_text('path\ttext\nc\t3"\n')
    (tmp_path / "4.csv").write_text("path,text\nd,4\n")
    (tmp_path / "5.csv").write_text("path, text\ne,5\n")
    merged = merge_tables([tmp_path / n for n in ("1.csv", "2.csv", "3.tsv", "4.csv")]).collect()
    assert merged.rows() == [("a", "1"), ("b", "2"), ("c", '3"'), ("d", "4")]
    merged = merge_tables([tmp_path / "4.csv", tmp_path / "5.csv"]).collect()
    assert merged.rows() == [("d", "4"), ("e", "5")]


def test_a_lone_quote_costs_no_row_of_the_other_table(tmp_path):
    (tmp_path / "all.csv").write_text("path\n" + "".join(f"{i}.mp4\n" for i in range(25)))
    done = [f"{i}.mp4,{'a 5' + chr(34) + ' nail' if i in (4, 13) else 'x'},1\n" for i in range(20)]
    (tmp_path / "done.csv").write_text("path,text,aes\n" + "".join(done))
    result = run_datautil([tmp_path / "all.csv"], {"difference": str(tmp_path / "done.csv")})
    assert read_table(result.outputs[0])["path"].to_list() == [f"{i}.mp4" for i in range(20, 25)]
    assert (result.rows_in, result.rows_out) == (25, 5)


def test_a_table_with_tabs(tmp_path):
    path = tmp_path / "m.tsv"
    path.write_text('path\ttext\na.mp4\tx, y\nb.mp4\t"two\tcells"\n')
    assert rows_of(path) == [("a.mp4", "x, y"), ("b.mp4", "two\tcells")]
    written = run_datautil([path], {"append_text": "!"}).outputs[0]
    assert written.name == "m_appendtext.tsv" or written.suffix == ".tsv"
    theirs = pd.read_csv(written, sep="\t")
    assert theirs["text"].tolist() == ["x, y!", "two\tcells!"]
    path.write_text("path\ttext\na.mp4\tx\ty\n")
    with pytest.raises(UserError, match=r"m\.tsv: line 2: 3 cells.*a tab"):
        read_table(path)


def test_a_list_of_records(tmp_path):
    records = [{"path": "a", "n": 1, "c": [{"x": "é"}]}, {"path": "b", "n": None, "c": []}]
    path = tmp_path / "m.json"
    path.write_text(json.dumps(records, indent=1), encoding="utf-8-sig")
    assert read_table(path).to_dicts() == records
    written = write_table(scan_table(path), tmp_path / "out.json")
    assert json.loads(written.read_text()) == records
    assert json.loads(write_table(read_table(path).head(0), tmp_path / "none.json").read_text()) == []
    for lines in ('{"path": "a"}', '{"path": "a"}\n{"path": "b"}\n'):  # as DuckDB writes to .json
        path.write_text(lines)
        with pytest.raises(UserError, match=r"m\.json: a \.json table .*; one record per line is \.jsonl"):
            read_table(path)
    path.write_text('[{"path": "a"}, 5]')
    with pytest.raises(UserError, match=r"m\.json: entry 2 of the list: a record is expected, not 5"):
        read_table(path)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('\ufeff{"a": 1}\n{"a": 2}\n', [1, 2]),
        ('{"a": 1.5}\n{"a": NaN}\n\n', [1.5, None]),
        ('{"a": {"b": NaN, "c": "x"}}\n', [{"b": None, "c": "x"}]),
        ('{"a": "x \\ud83d y"}\n{"a": "\\ud83d\\ude00"}\n', ["x \ufffd y", "😀"]),
        ('{"a": "\\ude00\\ud83d"}\n', ["\ufffd\ufffd"]),
        ('{"a": "\\\\ud83d"}\n', ["\\ud83d"]),
        ('{"a": "x\\u0000"}\n', ["x\0"]),
        ('{"a": "Infinity and NaN"}\n{"a": "\\ud83d"}\n', ["Infinity and NaN", "\ufffd"]),
        ('{"a": 1}\r\n \r\n{"a": 2}', [1, 2]),
    ],
)
def test_json_lines_are_read_as_the_json_module_reads_them(tmp_path, lines, expected):
    path = tmp_path / "m.jsonl"
    path.write_text(lines, encoding="utf-8")
    assert read_table(path)["a"].to_list() == expected
    assert count_rows(path) == len(expected)
    path.write_text(lines.removeprefix("\ufeff"), encoding="utf-16")
    assert read_table(path)["a"].to_list() == expected


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('{"a": 1}\n{"a": 2,}\n', "line 2: no JSON: "),
        ('{"a": 1}\n\n{"a": "x\n', "line 3: no JSON: "),
        ('{"a": 1}\n5\n', "line 2: a record is expected, not 5"),
        ('[{"a": 1}]\n', "line 1: a record is expected, not .*named .json"),
        ('{\n "a": 1\n}\n', "line 1: no JSON: .*one record in each line"),
        ('{"a": 1.5}\n{"a": -Infinity}\n', "line 2: Infinity is no JSON"),
        ('{"a": true}\n{"a": 1}\n', "column 'a' holds true or false in record 1 and a number in record 2"),
        ('{"a": {"b": 1}}\n{"a": 2}\n', "column 'a' holds a record in record 1 and a number in record 2"),
        ('{"a": "é"}\n'.encode("latin-1"), "line 1: not UTF-8 text"),
        ("", "it is empty"),
        ("\n\n", "it is empty"),
    ],
)
def test_json_lines_that_cannot_be_read_name_the_line(tmp_path, lines, message):
    path = tmp_path / "m.jsonl"
    path.write_bytes(lines if isinstance(lines, bytes) else lines.encode())
    with pytest.raises(UserError, match=rf"m\.jsonl: (cannot read the table: )?{message}") as caught:
        read_table(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("extension", [".jsonl", ".json", ".jsonl.gz"])
def test_many_columns_of_json_stay_in_their_order(tmp_path, extension):
    """Of more than 32 keys in a record Polars forgets the order."""
    names = [f"c{number}" for number in range(40)]
    table = pl.DataFrame({name: [name, None] for name in names}).with_columns(pl.lit("x").alias("*"))
    path = write_table(table, tmp_path / f"wide{extension}")
    assert read_table(path).columns == [*names, "*"]
    assert read_table(path).equals(table)


def test_a_missing_cell_of_a_csv_of_one_column_is_no_blank_line(tmp_path):
    path = write_table(pl.DataFrame({"text": ["x", None, "", "y"]}), tmp_path / "m.csv")
    assert path.read_text() == 'text\nx\n""\n""\ny\n'
    assert list(csv.reader(io.StringIO(path.read_text())))[1:] == [["x"], [""], [""], ["y"]]
    assert count_rows(path) == 4


def test_a_table_that_loses_rows_on_the_way_is_not_written(tmp_path):
    with pytest.raises(UserError, match=r"m\.csv: 2 of 3 rows were read"):
        write_and_count(pl.DataFrame({"a": [1, 2]}), tmp_path / "o.csv", inputs=["m.csv"], rows=3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("extension", ["csv", "parquet", "jsonl"])
def test_rows_are_counted_where_the_first_column_says_the_same_in_all(tmp_path, extension):
    one = pl.LazyFrame({"id": ["a", "b"], "path": ["a.mp4", "b.mp4"]})
    other = pl.LazyFrame({"path": [f"{number}.mp4" for number in range(5)]})
    expected = pl.concat([one.collect(), other.collect()], how="diagonal")
    for frame, rows in (
        (concat_tables([one, other]), 7),
        (one.with_columns(pl.lit("x").alias("id")), 2),
        (one.select(pl.lit(None), "path"), 2),
        (one.select(pl.lit([[1]]).alias("frames"), "path"), 2),
    ):
        path = tmp_path / f"m.{extension}"
        assert write_and_count(frame, path, rows=rows) == count_rows(path) == rows
        if rows == 7:
            assert read_table(path).equals(expected)


def test_names_that_become_one_are_refused(tmp_path):
    for header, message in (
        ("path, path", "column 'path' stands twice"),
        ("a,,", "two columns have no name"),
    ):
        (tmp_path / "m.csv").write_text(header + "\n")
        with pytest.raises(UserError, match=message):
            read_table(tmp_path / "m.csv")


@pytest.mark.parametrize("name", ["m.jsonl.gz", "m.json.gz", "m.tsv.gz"])
def test_other_compressed_tables_that_break_off_are_refused(tmp_path, name):
    whole = gzip.compress(write_table(pl.DataFrame({"a": [*range(5000)]}), tmp_path / name[:-3]).read_bytes())
    (tmp_path / name).write_bytes(whole)
    assert count_rows(tmp_path / name) == 5000
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=rf"{name}: cannot read the table") as caught:
        read_table(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_header_with_other_separators_is_named(tmp_path):
    (tmp_path / "m.csv").write_text("path;aes\na.mp4;5\n")
    with pytest.raises(UserError, match="cells are separated by commas"):
        run_datautil([tmp_path / "m.csv"], {"aesmin": 1})


def whole(text: str) -> str:
    """With U+FFFD for what is half a character, as Python's decoder of UTF-16 has it."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


TEXTS = st.text(st.characters() | st.sampled_from('\ud83d\ude00\\u"\0\r\n'), max_size=8)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["a", "é", "c d"]), TEXTS), min_size=1), st.booleans())
def test_texts_of_json_lines_are_those_of_the_json_module(tmp_path_factory, records, ascii):
    records[0]["a"] = records[0].get("a", "")
    path = tmp_path_factory.getbasetemp() / "texts.jsonl"
    lines = "".join(json.dumps(record, ensure_ascii=ascii) + "\n" for record in records)
    path.write_bytes(lines.encode("utf-8", "surrogatepass"))
    try:
        table = read_table(path)
    except UserError as error:  # a lone surrogate that is not escaped is no UTF-8
        assert not ascii and "not UTF-8 text" in str(error)
        return
    names = dict.fromkeys(name for record in records for name in record)
    clean = [
        {n: r[n].encode("utf-16", "surrogatepass").decode("utf-16", "replace") for n in r} for r in records
    ]
    assert table.to_dicts() == [{name: record.get(name) for name in names} for record in clean]
