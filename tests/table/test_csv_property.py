"""Whatever stands in a CSV, the rows and cells are those of Python's csv module, or the line is named."""

import csv
import io
import re
import sys

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tools.errors import UserError
from tools.table import count_rows, read_table, scan_table
from tools.table.csv_check import check_csv

csv.field_size_limit(sys.maxsize)
PIECES = [
    *'ab"",,,\n\n', '""', '"a"', ',"', '",', '"\n', "\\", '\\"', " ", "\r", "\r\n", "\t", "\ufeff", "é",
    "漢", "😀", "a,b,c\n", "\n\n", '"a ""b""",', "'", ";", "\x0b", "\u2028", "x" * 50, '"x\ny",',
]  # fmt: skip
ENCODINGS = ["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"]


@st.composite
def hostile_files(draw):
    """Bytes of a file: free text, or rows of a writer with some of its characters replaced."""
    if draw(st.booleans()):
        text = "".join(draw(st.lists(st.sampled_from(PIECES), max_size=40)))
    else:
        cell = st.lists(st.sampled_from(PIECES), max_size=3).map("".join)
        width = draw(st.integers(1, 4))
        rows = draw(st.lists(st.lists(cell, min_size=width, max_size=width), max_size=6))
        file = io.StringIO()
        ends = draw(st.sampled_from(["\n", "\r\n", "\n", "\r"]))
        csv.writer(file, lineterminator=ends, quoting=draw(st.sampled_from([0, 1]))).writerows(
            [[f"c{i}" for i in range(width)], *rows]
        )
        text = file.getvalue()
        for _ in range(draw(st.integers(0, 2))):
            at = draw(st.integers(0, len(text)))
            text = text[:at] + draw(st.sampled_from(PIECES)) + text[at + draw(st.integers(0, 1)) :]
    if draw(st.integers(0, 9)) == 0:
        text += "\0"
    return text.encode(draw(st.sampled_from(ENCODINGS)), "replace")


def with_csv(data: bytes, separator: str = ",") -> list[list[str]] | None:
    """Rows of Python's csv module without blank lines, filled up; None where it refuses the file."""
    marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    encoding = "utf-8-sig"
    if marked:
        encoding = "utf-32" if data.startswith(b"\xff\xfe\0\0") else "utf-16"
    try:
        text = data.decode(encoding)
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row]
    except (UnicodeDecodeError, csv.Error):
        return None
    if not rows:
        return None
    width = len(rows[0])
    return [[name.strip() for name in rows[0]], *(row + [""] * (width - len(row)) for row in rows[1:])]


def refused(path, data: bytes, error: UserError) -> None:
    """A refusal is one line that names the file and a line that is in it (or says what is wrong with all)."""
    assert "\n" not in str(error) and str(path) in str(error)
    found = re.search(r": line (\d+): ", str(error))
    if found:
        assert 1 <= int(found[1]) <= 1 + data.count(b"\n") + data.count(b"\r")
    else:
        assert re.search(r"it is empty|stands twice|no name", str(error)), str(error)


def check(path, data: bytes) -> None:
    path.write_bytes(data)
    expected = with_csv(data, "\t" if path.suffix == ".tsv" else ",")
    try:
        table = read_table(path)
    except UserError as error:
        refused(path, data, error)
        return
    assert [table.columns, *([cell or "" for cell in row] for row in table.iter_rows())] == expected
    assert count_rows(path) == table.height
    lazy = scan_table(path)
    for name in table.columns:  # leaving out columns must not lose a row
        assert lazy.select(name).collect(engine="streaming")[name].equals(table[name])
    assert lazy.select(pl.len()).collect(engine="streaming").item() == table.height


@settings(max_examples=120, deadline=None)
@given(hostile_files())
@example(b'path,text\na.mp4,a 5" nail\nb.mp4,"x"\n')
@example(b'a\n\n\n""\n')
@example(b"a,b\r\n1,2\r\r\n3,4\r\r\n")
def test_rows_are_those_of_the_csv_module_or_refused(tmp_path_factory, data):
    check(tmp_path_factory.getbasetemp() / "hostile.csv", data)


@settings(max_examples=120, deadline=None)
@given(hostile_files(), st.integers(2, 30))
def test_blocks_and_pieces_may_end_anywhere(tmp_path_factory, data, size):
    """What is decided about a file does not depend on where its blocks, and the pieces of threads, end."""
    path = tmp_path_factory.getbasetemp() / "blocks.csv"
    path.write_bytes(data)
    try:
        whole = check_csv(path)
    except UserError:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tools.table.opening._BLOCK", size)
        patch.setattr("tools.table.csv_check._PIECE", 3 * size)
        patch.setattr("os.sched_getaffinity", lambda process: range(4))
        assert check_csv(path) == whole
    if whole.source == path:  # Polars reads it as it is
        assert whole.rows == len(with_csv(data)) - 1
        assert all(
            len(row) == len(whole.names)
            for row in csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        )
