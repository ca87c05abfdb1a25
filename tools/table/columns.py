from tools.columns import COLUMNS, PART_COLUMN, ROW_COLUMN

__all__ = ["COLUMNS", "PART_COLUMN", "ROW_COLUMN"]
