"""Names of exported files."""

from __future__ import annotations

from tools.export.keys import keys_of


def test_keys_are_unique_without_dots_and_independent_of_order():
    paths = ["x/a.b.mp4", "y/a_b.mp4", "x/c.mp4", "x/c.mp4", "C.mkv", "x/d_w001.mp4", "", None, "x/ä é.mp4"]
    keys = keys_of(paths)
    assert len({key.casefold() for key in keys}) == len(paths)
    assert all(key and "." not in key and "/" not in key and " " not in key for key in keys)
    back = keys_of(paths[:3][::-1])
    assert keys_of(paths[:3]) == back[::-1]
    assert keys_of(["x/e.mp4"]) == ["e"]
