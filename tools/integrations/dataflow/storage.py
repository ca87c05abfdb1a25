"""Where operators read and write tables: the files of a pipeline, named as DataFlow names them."""

from __future__ import annotations

import copy
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tools.base.disk import cannot_write, publish
from tools.base.temporary_files import temporary_file
from tools.errors import UserError, check_choice
from tools.integrations.cells import plain, refuse_twins

if TYPE_CHECKING:
    import pandas as pd

CACHE_TYPES = ("jsonl", "json", "csv", "parquet")
"""Kinds of file that a `FileStorage` reads and writes."""


class Storage(Protocol):
    """What an operator needs of a storage. DataFlow's classes have it, and so may any other."""

    def read(self, output_type: str) -> Any:
        """The table: a pandas DataFrame for ``dataframe``."""

    def write(self, data: Any) -> Any:
        """Keep a pandas DataFrame."""


class FileStorage:
    """The tables of a pipeline as files, one for each step.

    Step 0 is the input. The operator that runs after the n-th call of `step` reads step n - 1 and writes step
    n, ``<cache_path>/<file_name_prefix>_step<n>.<cache_type>``. The names and the order of the arguments are
    those of DataFlow's ``FileStorage``.

    In JSON a missing cell is null, and so is infinity, which JSON has not. In a CSV, dicts and lists are
    JSON, and a text becomes a number only when nothing is lost by it: 007 stays text.

    Args:
        first_entry_file_name: The input; its suffix says of what kind.
        cache_path: Folder of the other steps.
        file_name_prefix: How their names begin.
        cache_type: ``jsonl``, ``json`` (one list of records), ``csv`` or ``parquet``.

    Raises:
        UserError: The cache type is none of these.
    """

    def __init__(
        self,
        first_entry_file_name: str,
        cache_path: str = "./cache",
        file_name_prefix: str = "dataflow_cache",
        cache_type: Literal["jsonl", "json", "csv", "parquet"] = "jsonl",
    ) -> None:
        self.first_entry_file_name = str(first_entry_file_name)
        self.cache_path = str(cache_path)
        self.file_name_prefix = file_name_prefix
        self.cache_type = _kind(cache_type, "cache_type")
        self.operator_step = -1

    def step(self) -> FileStorage:
        """Go on to the next operator, for ``operator.run(storage=storage.step())``.

        Returns:
            The storage at this step, which stays there when this one goes on.
        """
        self.operator_step += 1
        return copy.copy(self)

    def reset(self) -> FileStorage:
        """Go back to the beginning."""
        self.operator_step = -1
        return self

    def file(self, step: int) -> str:
        """The file with the table after this number of operators; 0 is the input."""
        if step == 0:
            return self.first_entry_file_name
        name = f"{self.file_name_prefix}_step{step}.{self.cache_type}"
        return os.path.join(self.cache_path, name)  # noqa: PTH118  a Path would lose the leading ./

    def read(self, output_type: Literal["dataframe", "dict"] = "dataframe") -> Any:
        """Read the table of the current step.

        Args:
            output_type: ``dataframe`` for a pandas DataFrame, ``dict`` for a list of dicts.

        Raises:
            UserError: `step` was not called, the file is missing or unreadable, or of no known kind.
        """
        check_choice("output_type", output_type, ("dataframe", "dict"))
        path = Path(self.file(self._current()))
        kind = _kind(path.suffix[1:], f"{path}: file type") if self.operator_step == 0 else self.cache_type
        if not path.exists():
            raise UserError(
                f"{path}: there is no such file; step {self.operator_step} of the pipeline was to read it"
            )
        try:
            names, records = _READERS[kind](path)
        except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
            raise UserError(f"{path}: cannot be read as {kind}: {error}") from None
        return _frame(names, records) if output_type == "dataframe" else records

    def write(self, data: pd.DataFrame | list[dict[str, Any]]) -> str:
        """Write the table of the next step, whole or not at all.

        Args:
            data: A DataFrame (its index is not kept) or a list of dicts.

        Returns:
            The file.

        Raises:
            UserError: `step` was not called, or the data cannot be written in a file of this kind.
        """
        path = Path(self.file(self._current() + 1))
        columns, records = _records(data)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary_file(path) as temporary:
                _WRITERS[self.cache_type](temporary, records, columns)
                publish(temporary, path)
        except OSError as error:
            raise cannot_write(path, error, "the table") from None
        except (ValueError, TypeError, NotImplementedError, OverflowError) as error:
            raise UserError(f"{path}: the table cannot be written as {self.cache_type}: {error}") from None
        return self.file(self.operator_step + 1)

    def get_keys_from_dataframe(self) -> list[str]:
        """Names of the columns at the current step, for DataFlow's pipelines."""
        return [str(name) for name in self.read("dataframe").columns]

    def _current(self) -> int:
        if self.operator_step < 0:
            raise UserError("the storage is before its first step: pass storage.step() to the operator")
        return self.operator_step


def _kind(name: str, where: str) -> str:
    if name.lower() not in CACHE_TYPES:
        raise UserError(f"{where} ({name}) is not supported. Supported values are {', '.join(CACHE_TYPES)}.")
    return name.lower()


def _records(data: Any) -> tuple[list[str], list[dict[str, Any]]]:
    """The names of the columns, which are texts in every file, and the rows."""
    if hasattr(data, "to_dict"):
        names = [str(name) for name in data.columns]
        refuse_twins(names)
        rows = data.set_axis(names, axis=1).to_dict(orient="records")
        return names, [plain(row) for row in rows]
    if not all(isinstance(row, dict) for row in data):
        raise UserError("a storage takes a DataFrame or a list of dicts")
    rows = [{str(name): plain(cell) for name, cell in row.items()} for row in data]
    return _names(rows), rows


def _names(records: list[dict[str, Any]]) -> list[str]:
    return [*dict.fromkeys(name for record in records for name in record)]


def _frame(names: list[str], records: list[dict[str, Any]]) -> pd.DataFrame:
    """A DataFrame in which whole numbers stay whole and missing cells are None, not NaN."""
    import pandas as pd

    columns = {}
    for name in names:
        values = [record.get(name) for record in records]
        kinds = {type(value) for value in values}
        columns[name] = pd.Series(values, dtype=None if kinds in ({int}, {float}, {bool}, {str}) else object)
    return pd.DataFrame(columns)


def _read_json(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    from tools.table.json_rows import json_records

    records = [plain(record) for record in json_records(path)]
    return _names(records), records


def _read_csv(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    from tools.table.csv_rows import csv_rows

    header, *rows = csv_rows(path)
    names = [name or "" for name in header]
    columns = [_values([cell or None for cell in column]) for column in zip(*rows, strict=True)]
    return names, [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(texts: list[str | None]) -> list[Any]:
    """The cells of a CSV column as what they were before they were written."""
    for convert in (_number, _truth):
        values = [None if text is None else convert(text) for text in texts]
        if all((value is None) == (text is None) for value, text in zip(values, texts, strict=True)):
            return values
    return [_decoded(text) for text in texts]


def _number(text: str) -> int | float | None:
    """The number, if the text is just what would be written for it."""
    for convert in (int, float):
        try:
            value = convert(text)
        except ValueError:
            continue
        if str(value) == text and math.isfinite(value):
            return value
    return None


def _truth(text: str) -> bool | None:
    return {"True": True, "False": False}.get(text)


def _decoded(text: str | None) -> Any:
    if text is None or text[:1] not in ("{", "["):
        return text
    try:
        return json.loads(text)
    except ValueError:  # a text that happens to begin with a bracket
        return text


def _read_parquet(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    return table.column_names, [plain(record) for record in table.to_pylist()]


def _write_jsonl(path: Path, records: list[dict[str, Any]], columns: list[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{_json(record)}\n" for record in records)


def _write_json(path: Path, records: list[dict[str, Any]], columns: list[str]) -> None:
    lines = ",".join(f"\n{_json(record)}" for record in records)
    path.write_text(f"[{lines}\n]\n", encoding="utf-8")


def _write_csv(path: Path, records: list[dict[str, Any]], columns: list[str]) -> None:
    from tools.table.csv_rows import csv_line

    def cell(value: Any) -> str | None:
        text = _json(value) if isinstance(value, (dict, list)) else str(value)
        return None if value is None else text.replace("\0", "\N{REPLACEMENT CHARACTER}") or None

    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(csv_line([*columns]))
        file.writelines(csv_line([cell(record.get(name)) for name in columns]) for record in records)


def _write_parquet(path: Path, records: list[dict[str, Any]], columns: list[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {name: pa.array([record.get(name) for record in records]) for name in columns}
    pq.write_table(pa.table(arrays), path)


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)
    except ValueError:  # of infinity; the commands and pandas write null, too
        return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, default=str)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


_READERS = {"jsonl": _read_json, "json": _read_json, "csv": _read_csv, "parquet": _read_parquet}
_WRITERS = {"jsonl": _write_jsonl, "json": _write_json, "csv": _write_csv, "parquet": _write_parquet}
