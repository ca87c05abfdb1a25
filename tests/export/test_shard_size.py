"""Sizes as people type them, worked by hand."""

import pytest

from tools.export.shard_size import shard_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1GB", 10**9),
        ("1gb", 10**9),
        ("1G", 10**9),
        ("1GiB", 2**30),
        ("512 MiB", 2**29),
        ("1.5GB", 1_500_000_000),
        ("0.1KB", None),
        ("2kib", 2048),
        ("500000000", 5 * 10**8),
        ("500000000B", 5 * 10**8),
        ("1TB", 10**12),
        ("10TB", 10**13),
        ("11TB", None),
        ("0", None),
        ("", None),
        ("GB", None),
        ("-1GB", None),
        ("1e9", None),
        ("nan", None),
        ("1 G B", None),
        ("1PB", None),
        ("\u0661GB", None),
    ],
)
def test_sizes(text, size):
    if size is not None:
        assert shard_size(text) == size
        return
    with pytest.raises(ValueError, match="must"):
        shard_size(text)
