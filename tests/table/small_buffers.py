"""Buffers so small that tables of a test do not fit into them, and few hash partitions."""

import polars as pl
import pytest

from tools.table import external_join, row_files


def shrink_buffers(monkeypatch: pytest.MonkeyPatch, size: int, largest: int) -> None:
    """Let joins and files of rows hold so many bytes, in batches of a few rows.

    Args:
        monkeypatch: Undoes it.
        size: Bytes of a buffer.
        largest: Bytes of the largest one.
    """
    for place in (external_join, row_files):
        monkeypatch.setattr(place, "BUFFER", size)
        monkeypatch.setattr(place, "LARGEST_BUFFER", largest)
    monkeypatch.setattr(row_files, "_BATCH", 70)
    monkeypatch.setattr(external_join, "_LEAST", 60)
    monkeypatch.setattr(external_join, "_GROUPS", 4)
    monkeypatch.setattr(external_join, "_GROUP", pl.col(external_join._KEY).hash() % 4)
