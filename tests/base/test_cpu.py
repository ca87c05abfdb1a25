"""Cores that a process may run on."""

import os

from tools.base.cpu import allowed_cores


def test_all_cores_where_the_system_restricts_none(monkeypatch):
    """As macOS, whose Python lacks the function."""
    monkeypatch.delattr(os, "sched_getaffinity")
    assert allowed_cores() == os.cpu_count()
