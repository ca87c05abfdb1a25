"""Limits of control groups, from files as the kernel documents them (cgroup-v1/memory.rst, cgroup-v2.rst)."""

import os

import pytest

from tools.base.memory import usable_memory

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
UNLIMITED = "9223372036854771712"  # what version 1 says of no limit


@pytest.mark.parametrize(
    ("own", "limits", "expected"),
    [
        ("0::/job/step", {"job/memory.max": "1048576", "job/step/memory.max": "max"}, 1 << 20),
        ("0::/job/step", {"job/memory.max": "4096", "job/step/memory.max": "8192"}, 4096),
        ("0::/", {"memory.max": "8192"}, 8192),  # in a container
        ("0::/job", {"other/memory.max": "4096"}, MACHINE),
        ("5:cpu:/a\n4:memory:/a\n0::/", {"memory/a/memory.limit_in_bytes": "4096"}, 4096),
        ("4:cpu,memory:/host/a", {"memory/memory.limit_in_bytes": "8192"}, 8192),  # of the host, not here
        ("4:memory:/", {"memory/memory.limit_in_bytes": UNLIMITED}, MACHINE),
        ("4:cpu:/a", {"memory/memory.limit_in_bytes": "4096"}, MACHINE),
        (None, {}, MACHINE),
    ],
)
def test_memory_is_what_the_groups_leave(tmp_path, own, limits, expected):
    for name, text in limits.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    file = tmp_path / "own"
    if own is not None:
        file.write_text(f"{own}\n")
    assert usable_memory(tmp_path, file) == expected


def test_this_machine():
    assert 0 < usable_memory() <= MACHINE
