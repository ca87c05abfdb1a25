"""JSON Lines, and JSON as one list of records."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from pathlib import Path

import polars as pl
import polars.selectors as cs

from tools.base.temporary_files import rewriting
from tools.errors import UserError
from tools.table.formats.base import Compression, TableFormat, compression
from tools.table.formats.types import contract_types
from tools.table.json_rows import corrected_json, has_half_characters, json_records, mixed_kinds

_IN_ORDER = 32  # keys of a record; of more Polars forgets the order, and gives another one in each process
_NAMING = 1000  # records that are looked at for the order of columns
_NO_RECORDS = 64  # bytes of a file without any, perhaps compressed, at most


class JsonLinesFormat(TableFormat):
    """A record in each line."""

    name, title, is_text, reads_whole = "jsonl", "JSON Lines", True, True

    def __init__(self) -> None:
        self._scanned: set[Path] = set()

    def scan(self, path: Path) -> pl.LazyFrame:
        """As Polars reads it, or as Python's json module does if Polars fails, or would be wrong."""
        self._scanned.add(path)
        if not has_half_characters(path):
            frame = pl.scan_ndjson(path, infer_schema_length=None)
            try:
                frame.collect_schema()
            except pl.exceptions.PolarsError:
                pass
            else:
                return _in_order(
                    frame, path
                )  # but Polars may still meet values that it did not expect: see `find_fault`
        return self._scan_corrected(path)

    def _scan_corrected(self, path: Path) -> pl.LazyFrame:
        source = corrected_json(path)
        if source == b"":
            raise UserError(f"{path}: cannot read the table: it is empty")
        return _in_order(pl.scan_ndjson(source, infer_schema_length=None), path)

    def column_names(self, path: Path) -> list[str]:
        """None where there are no records, as in what a rank without rows writes."""
        return [] if self.known_rows(path) == 0 else super().column_names(path)

    def known_rows(self, path: Path) -> int | None:
        """0 where there are no records."""
        if path.stat().st_size > _NO_RECORDS:
            return None
        return None if any(True for _ in json_records(path)) else 0

    def sink(self, frame: pl.LazyFrame, path: Path) -> pl.LazyFrame:
        """Text columns get their type in the contract where that loses no cell."""
        return self._sink_lines(frame, path, compression(path))

    def _sink_lines(self, frame: pl.LazyFrame, path: Path, packed: Compression) -> pl.LazyFrame:
        # .GZ is an extension too, which Polars would refuse.
        typed = contract_types(frame)
        return typed.sink_ndjson(path, lazy=True, compression=packed, check_extension=False)

    def find_fault(self, names: Collection[str]) -> UserError | None:
        """The column that has values of different kinds."""
        try:
            for path in [path for path in self._scanned if str(path) in names]:
                if mixed := mixed_kinds(path):
                    return UserError(f"{path}: {mixed}")
        except UserError as fault:
            return fault
        return None


def _in_order(frame: pl.LazyFrame, path: Path) -> pl.LazyFrame:
    """Columns in the order in which the first records name them; further ones by name."""
    columns = frame.collect_schema().names()
    if len(columns) <= _IN_ORDER:
        return frame
    named: dict[str, None] = {}
    for record in islice(json_records(path), _NAMING):
        named |= dict.fromkeys(record)
        if len(named) == len(columns):
            break
    named |= dict.fromkeys(sorted(set(columns) - set(named)))
    return frame.select(cs.by_name(*named, require_all=False))


class JsonFormat(JsonLinesFormat):
    """One list of records, written with a line for each."""

    name, title = "json", "JSON"

    def scan(self, path: Path) -> pl.LazyFrame:
        """As Python's json module reads it."""
        self._scanned.add(path)
        return self._scan_corrected(path)

    def sink(self, frame: pl.LazyFrame, path: Path) -> pl.LazyFrame:
        """JSON Lines, of which `finish` makes a list."""
        return self._sink_lines(frame, path, "uncompressed")

    def finish(self, path: Path) -> None:
        """Turn a file of JSON Lines into one list of records, a line for each."""
        import pyarrow as pa

        packing = None if compression(path) == "uncompressed" else compression(path)
        with (
            rewriting(path) as new,
            path.open("rb") as records,
            pa.output_stream(str(new), compression=packing) as target,
        ):
            target.write(b"[")
            before = b"\n"
            for record in records:
                target.write(before + record.rstrip(b"\n"))
                before = b",\n"
            target.write(b"\n]\n")
