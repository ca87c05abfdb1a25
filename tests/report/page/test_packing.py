"""Packed numbers: what is read back, and that bounds separate the rows that they separate in the table."""

from __future__ import annotations

import numpy as np
import pytest

from tools.report.page.packing import PackedNumbers, pack_numbers


def _codes(packed: PackedNumbers, rows: int) -> np.ndarray:
    planes = np.frombuffer(packed.planes, np.uint8).reshape(packed.width, rows).astype(np.int64)
    return sum((plane << (8 * place) for place, plane in enumerate(planes)), np.zeros(rows, np.int64))


def _columns() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    normal = rng.normal(5, 1, 30_000)
    return {
        "four decimals": np.round(normal, 4),
        "all digits": normal,
        "all digits, few rows": normal[:100],
        "skewed": rng.lognormal(0, 3, 30_000),
        "whole": rng.integers(0, 2_000_000_000, 30_000).astype(float),
        "ties": rng.integers(0, 3, 30_000) / 10,
        "negative": -np.round(normal, 2),
        "gaps": np.where(rng.random(30_000) < 0.3, np.nan, normal),
        "outliers": np.r_[normal, 1e300, -1e30, 1e18],
        "infinite": np.r_[normal[:50], np.inf, -np.inf, np.nan],
        "small": normal * 1e-12,
        "large": normal * 1e15,
        "large beside their spread": 1e9 + normal[:600],
        "one value": np.full(7, 0.1),
    }


@pytest.mark.parametrize("name", _columns())
def test_bounds_on_the_grid_separate_the_same_rows(name: str) -> None:
    """Against a comparison of the numbers themselves."""
    values = _columns()[name]
    packed = pack_numbers(values)
    codes = _codes(packed, values.size)
    assert np.array_equal(codes > 0, ~np.isnan(values))
    keys = codes - 1 + packed.least
    finite = values[np.isfinite(values)]
    for quantile in np.linspace(0.001, 0.999, 41):
        steps = round(float(np.quantile(finite, quantile)) * 10.0**packed.decimals)
        bound = float(f"{steps}e{-packed.decimals}")  # as a program reads the decimal
        key = steps if packed.exact else 2 * steps
        assert np.array_equal((codes > 0) & (keys >= key), values >= bound)
        assert np.array_equal((codes > 0) & (keys <= key), values <= bound)


@pytest.mark.parametrize("name", ["four decimals", "whole", "ties", "negative", "one value"])
def test_decimals_are_kept_exactly(name: str) -> None:
    values = _columns()[name]
    packed = pack_numbers(values)
    assert packed.exact
    steps = _codes(packed, values.size) - 1 + packed.least
    assert [float(f"{step}e{-packed.decimals}") for step in steps.tolist()] == values.tolist()


def test_keys_are_in_the_order_of_the_numbers() -> None:
    for values in _columns().values():
        known = values[~np.isnan(values)]
        codes = _codes(pack_numbers(known), known.size)[np.argsort(known, kind="stable")]
        assert (np.diff(codes) >= 0).all()


def test_a_column_of_all_digits_takes_three_bytes_a_row() -> None:
    values = np.random.default_rng(0).normal(size=100_000)
    assert pack_numbers(values).width == 3
    spread = np.quantile(values, 0.99) - np.quantile(values, 0.01)
    assert spread * 10.0 ** pack_numbers(values).decimals >= 2e5


def test_empty_columns() -> None:
    assert pack_numbers(np.array([])).width == 0
    assert pack_numbers(np.array([np.nan, np.nan])).planes == b""


def test_far_numbers_are_listed_with_all_their_digits() -> None:
    """By construction: all others lie between 0 and 1."""
    values = np.r_[
        np.random.default_rng(2).uniform(0, 1, 500), 1e300, -np.inf, 3e7 / 7, np.nan, 1e300, np.inf
    ]
    packed = pack_numbers(values)
    assert (packed.below, packed.above) == ((-np.inf,), (3e7 / 7, 1e300, np.inf))
    codes = _codes(packed, values.size)
    assert codes[500:].tolist() == [codes.max() - 1, 1, codes.max() - 2, 0, codes.max() - 1, codes.max()]
    assert packed.as_dict()["below"] == ["-Infinity"] and packed.as_dict()["above"][-1] == "Infinity"
