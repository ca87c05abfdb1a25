"""Meta tables on disk: read, write, name, merge. No media, no torch.

A name is loaded when it is first used: what only names tables does not import Polars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.base.lazy import loader
from tools.columns import COLUMNS, PART_COLUMN, ROW_COLUMN

if TYPE_CHECKING:
    from tools.table.checks import check_types, require_single_values
    from tools.table.files import (
        count_rows,
        numeric,
        pick_rows,
        read_table,
        require_columns,
        scan_table,
        to_lazy,
    )
    from tools.table.formats import table_format
    from tools.table.merge import concat_tables, expand_inputs, merge_tables, with_one_type
    from tools.table.names import (
        failures_path,
        is_failures_file,
        name_bytes,
        output_path,
        part_path,
        shorten,
        split_part,
        table_extension,
        table_stem,
    )
    from tools.table.writing import refuse_inputs, refuse_loss, write_and_count, write_table

__all__ = [
    "COLUMNS",
    "PART_COLUMN",
    "ROW_COLUMN",
    "check_types",
    "concat_tables",
    "count_rows",
    "expand_inputs",
    "failures_path",
    "is_failures_file",
    "merge_tables",
    "name_bytes",
    "numeric",
    "output_path",
    "part_path",
    "pick_rows",
    "read_table",
    "refuse_inputs",
    "refuse_loss",
    "require_columns",
    "require_single_values",
    "scan_table",
    "shorten",
    "split_part",
    "table_extension",
    "table_format",
    "table_stem",
    "to_lazy",
    "with_one_type",
    "write_and_count",
    "write_table",
]

_HOMES = {
    "check_types": "tools.table.checks",
    "concat_tables": "tools.table.merge",
    "count_rows": "tools.table.files",
    "expand_inputs": "tools.table.merge",
    "failures_path": "tools.table.names",
    "is_failures_file": "tools.table.names",
    "merge_tables": "tools.table.merge",
    "name_bytes": "tools.table.names",
    "numeric": "tools.table.files",
    "output_path": "tools.table.names",
    "part_path": "tools.table.names",
    "pick_rows": "tools.table.files",
    "read_table": "tools.table.files",
    "refuse_inputs": "tools.table.writing",
    "refuse_loss": "tools.table.writing",
    "require_columns": "tools.table.files",
    "require_single_values": "tools.table.checks",
    "scan_table": "tools.table.files",
    "shorten": "tools.table.names",
    "split_part": "tools.table.names",
    "table_extension": "tools.table.names",
    "table_format": "tools.table.formats",
    "table_stem": "tools.table.names",
    "to_lazy": "tools.table.files",
    "with_one_type": "tools.table.merge",
    "write_and_count": "tools.table.writing",
    "write_table": "tools.table.writing",
}

__getattr__ = loader(__name__, _HOMES)
