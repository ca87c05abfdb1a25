"""Outcomes that are kept packed come back as they were; the memory is what Python's own counter says."""

import math
import tracemalloc

import polars as pl
import pytest

from tools.errors import MediaError
from tools.stage.ledger import digest
from tools.stage.ledger.packed_outcomes import PackedOutcomes, RowOutcomes
from tools.stage.ledger.row_keys import RowKeys

VALUES = {
    "plain": {"number": math.nextafter(1, 2), "words": "a\u2028b", "none": None, "yes": True},
    "odd": {"number": -0.0, "list": [5e-324, [1, "x"]], "dict": {"a": {"b": [1.5]}}, "big": 2**200},
    "text": {"surrogate": "\udc80", "empty": "", "line": '\x85 \r "quoted", '},
    "remarks": {"number": 1.0, "_remarks": ["cut"]},
    "nothing": {},
}


def test_values_come_back_to_the_last_bit_and_in_their_order():
    outcomes = PackedOutcomes()
    outcomes.update(VALUES)
    assert outcomes == VALUES
    for key, values in VALUES.items():
        assert list(outcomes[key]) == list(values)
    assert math.copysign(1, outcomes["odd"]["number"]) == -1
    assert type(outcomes["plain"]["yes"]) is bool
    outcomes["nan"] = {"number": math.nan, "infinite": -math.inf}
    assert math.isnan(outcomes["nan"]["number"]) and outcomes["nan"]["infinite"] == -math.inf


def test_failures_come_back():
    outcomes = PackedOutcomes()
    outcomes["a"] = MediaError("decode", "a b.mp4", "no picture")
    found = outcomes["a"]
    assert isinstance(found, MediaError)
    assert (found.kind, found.path, found.message) == ("decode", "a b.mp4", "no picture")
    outcomes["a"] = {"x": 1}
    assert outcomes["a"] == {"x": 1}


def test_it_is_a_mapping():
    outcomes = PackedOutcomes()
    assert not outcomes and outcomes.get("a") is None
    outcomes["a"], outcomes["b"] = {"x": 1}, {"x": 2}
    assert list(outcomes) == ["a", "b"] and "a" in outcomes and "c" not in outcomes
    assert outcomes.pop("a") == {"x": 1} and outcomes.pop("a", None) is None
    assert len(outcomes) == 1
    with pytest.raises(KeyError):
        outcomes["a"]


def test_what_can_be_changed_afterwards_is_not_what_is_kept():
    outcomes, values = PackedOutcomes(), {"list": [1]}
    outcomes["a"] = values
    values["list"].append(2)
    outcomes["a"]["list"].append(3)
    assert outcomes["a"] == {"list": [1]}


def test_twelve_scores_of_a_row_take_a_quarter_of_their_dict():
    keys = [f"{i:024}" for i in range(5000)]
    taken = []
    for container in ({}, PackedOutcomes()):
        tracemalloc.start()
        for i, key in enumerate(keys):
            container[key] = {f"score{column}": i + column / 16 for column in range(12)}
        taken.append(tracemalloc.get_traced_memory()[0] / len(keys))
        tracemalloc.stop()
    assert taken[1] < taken[0] / 3 and taken[1] < 300


def test_the_outcomes_of_rows_name_their_files_and_may_be_read_again():
    keys = RowKeys([digest(name) for name in "aba"])
    outcomes = PackedOutcomes(keys)
    outcomes[keys[0]], outcomes[keys[1]] = {"x": 1}, MediaError("decode", "/tmp/copy", "no")
    rows = RowOutcomes(outcomes, keys.firsts, pl.Series(["1.mp4", "2.mp4", "3.mp4"]))
    for _ in range(2):
        first, second, third = rows
        assert first == third == {"x": 1} and len(rows) == 3
        assert isinstance(second, MediaError) and second.path == "2.mp4"
