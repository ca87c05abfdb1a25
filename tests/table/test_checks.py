"""Columns of all types: what a format cannot hold is told in one line, the rest comes back."""

import datetime as dt
import decimal
import json

import polars as pl
import pytest

from tools.caption.checks.stage import CaptionCheckStage
from tools.datasets import datautil
from tools.errors import UserError
from tools.report.summary import summarize
from tools.stage.runner import run_stage
from tools.table import read_table, scan_table, write_table

MOMENT = dt.datetime(2024, 2, 29, 1, 2, 3, 4)
HELD = {
    "u64": (pl.Series([2**64 - 1, None], dtype=pl.UInt64), "18446744073709551615", 18446744073709551615),
    "i128": (pl.Series([2**70, None], dtype=pl.Int128), str(2**70), 2**70),
    "decimal": (pl.Series([decimal.Decimal("1.10"), None]), "1.10", "1.10"),
    "category": (pl.Series(["x", None], dtype=pl.Categorical), "x", "x"),
    "enum": (pl.Series(["x", None], dtype=pl.Enum(["x"])), "x", "x"),
    "date": (pl.Series([dt.date(2024, 2, 29), None]), "2024-02-29", "2024-02-29"),
    "datetime": (pl.Series([MOMENT, None]), "2024-02-29T01:02:03.000004", "2024-02-29 01:02:03.000004"),
    "zone": (
        pl.Series([MOMENT, None]).dt.replace_time_zone("Europe/Berlin"),
        "2024-02-29T01:02:03.000004+0100",
        "2024-02-29T01:02:03.000004+01:00",
    ),
    "bool": (pl.Series([True, None]), "true", True),
    "list": (pl.Series([["a", 'b, "c"'], None]), '["a", "b, \\"c\\""]', ["a", 'b, "c"']),
    "array": (pl.Series([[1, 2], None], dtype=pl.Array(pl.Int64, 2)), "[1, 2]", [1, 2]),
    "record": (pl.Series([{"a": 1, "b": None}, None]), '{"a": 1, "b": null}', {"a": 1, "b": None}),
    "nothing": (pl.Series([None, None]), None, None),
}
BYTES, SPAN = pl.Series([b"\0\xff", None]), pl.Series([dt.timedelta(seconds=1.5), None])
NOT_HELD = {
    "bytes": (BYTES, "bytes"),
    "picture": (pl.Series([{"bytes": b"\0", "path": "x"}, None]), "bytes"),
    "pictures": (pl.Series([[b"\0"], None]), "bytes"),
    "span": (SPAN, "durations"),
    "spans": (pl.Series([[{"s": dt.timedelta(1)}], None]), "durations"),
}


@pytest.mark.parametrize("name", HELD)
def test_a_column_comes_back(tmp_path, name):
    column, as_text, as_json = HELD[name]
    frame = pl.DataFrame({"path": ["a", "b"], name: column})
    text = read_table(write_table(frame, tmp_path / "m.csv"))
    assert text[name].to_list() == [as_text, None]
    for extension in ("jsonl", "json"):
        path = write_table(frame, tmp_path / f"m.{extension}")
        content = path.read_text()
        records = (
            json.loads(content) if extension == "json" else [json.loads(x) for x in content.splitlines()]
        )
        assert [record[name] for record in records] == [as_json, None]
        assert read_table(path)[name].to_list() == [as_json, None]
    assert read_table(write_table(frame, tmp_path / "m.parquet")).equals(frame)


@pytest.mark.parametrize("extension", ["csv", "tsv", "jsonl", "json"])
@pytest.mark.parametrize("name", NOT_HELD)
def test_a_column_that_a_format_cannot_hold_is_named(tmp_path, name, extension, capfd):
    column, what = NOT_HELD[name]
    frame = pl.DataFrame({"path": ["a", "b"], name: column})
    source = write_table(frame, tmp_path / "m.parquet")
    assert read_table(source).equals(frame)
    with pytest.raises(UserError, match=rf"column '{name}' holds {what}, which .* cannot hold; .*parquet"):
        write_table(frame, tmp_path / f"o.{extension}")
    with pytest.raises(UserError, match=rf"column '{name}' holds {what}"):  # told before the work
        datautil.main([str(source), "--info", "--format", extension])
    assert [p.name for p in tmp_path.iterdir()] == ["m.parquet"]
    assert capfd.readouterr().err == ""
    assert (
        datautil.main([str(source), "--drop-columns", name, "--output", str(tmp_path / f"o.{extension}")])
        == 0
    )
    assert read_table(tmp_path / f"o.{extension}").rows() == [("a",), ("b",)]


def test_records_without_fields_have_no_place_in_parquet(tmp_path):
    (tmp_path / "m.jsonl").write_text('{"path": "a", "extra": {}}\n')
    with pytest.raises(UserError, match="column 'extra' holds records without fields, which Parquet cannot"):
        datautil.main([str(tmp_path / "m.jsonl"), "--format", "parquet"])
    assert datautil.main([str(tmp_path / "m.jsonl"), "--format", "csv"]) == 0


LISTS = {
    "text": (pl.Series([["one", "two"], ["three"]]), ["--append-text", "!"], "holds lists, .* one text"),
    "path": (
        pl.Series([{"bytes": b"", "path": "a"}, None]),
        ["--vid-only"],
        r"holds records \(bytes, path\)",
    ),
    "num_frames": (BYTES, ["--fmin", "1"], "holds bytes, .* one number"),
    "duration": (SPAN, ["--durationmin", "1"], "holds durations, .* one number"),
}


@pytest.mark.parametrize("name", LISTS)
def test_an_operation_on_what_is_no_single_value_is_refused(tmp_path, name):
    column, flags, message = LISTS[name]
    frame = pl.DataFrame({"path": ["a", "b"], "text": ["x", "y"]}).with_columns(column.alias(name))
    source = write_table(frame, tmp_path / "m.parquet")
    with pytest.raises(UserError, match=rf"m\.parquet: {flags[0]}: column '{name}' {message}"):
        datautil.main([str(source), *flags])
    assert datautil.main([str(source), "--head", "1"]) == 0
    assert read_table(tmp_path / "m_first_1_data.parquet").equals(frame.head(1))


def test_captions_in_lists_are_summed_up_and_not_worked_on(tmp_path):
    frame = pl.DataFrame({"path": ["a", "b"], "text": [["one", "two"], None]})
    source = write_table(frame, tmp_path / "m.parquet")
    assert summarize(scan_table(source)).text.filled == 1
    with pytest.raises(UserError, match="column 'text' holds lists"):
        run_stage(CaptionCheckStage(), source)
