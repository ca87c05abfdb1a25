"""Meta tables on disk: read, write, name, merge. No media, no torch."""

from tools.columns import COLUMNS, PART_COLUMN, ROW_COLUMN
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
from tools.table.formats import table_extension, table_format
from tools.table.merge import concat_tables, expand_inputs, merge_tables, with_one_type
from tools.table.names import (
    failures_path,
    is_failures_file,
    name_bytes,
    output_path,
    part_path,
    shorten,
    split_part,
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
