"""Keys of rows in little memory, beside lists and dicts of Python; memory by Python's own counter."""

import random
import tracemalloc

import numpy as np
import pytest

from tools.stage.ledger import digest
from tools.stage.ledger.row_keys import RowKeys, RowValues


@pytest.mark.parametrize("count", [0, 1, 2, 7, 3000])
def test_keys_are_found_as_in_a_list(count):
    draw = random.Random(count)
    given = [digest(draw.randrange(1 + count // 2)) for _ in range(count)]  # many rows are the same
    keys = RowKeys(given)
    assert len(keys) == count and list(keys) == given and [keys[i] for i in range(count)] == given
    first: dict[str, int] = {}
    assert keys.firsts.tolist() == [first.setdefault(key, i) for i, key in enumerate(given)]
    assert [keys.number(key) for key in given] == keys.firsts.tolist()
    assert keys.digest() == digest(given)
    for other in (digest("other"), "", "a", "zz" * 12, "ab", None, 5):
        assert keys.number(other) is None and other not in keys


def test_keys_that_begin_alike_are_told_apart():
    given = [f"{'00' * start}{'11' * (12 - start)}" for start in range(13)] + ["ff" * 12, "ff" * 11 + "00"]
    keys = RowKeys(given)
    assert [keys.number(key) for key in given] == list(range(len(given)))
    assert keys.firsts.tolist() == list(range(len(given)))


def test_values_are_kept_as_in_a_dict():
    draw = random.Random(3)
    given = [digest(i) for i in range(50)]
    values, expected = RowValues(RowKeys(given + given[:9])), {}
    for _ in range(2000):
        key, what = draw.choice(given), draw.randrange(3)
        if what == 0:
            values.pop(key, None)
            expected.pop(key, None)
        else:
            values[key] = expected[key] = draw.randrange(100)
        assert len(values) == len(expected) and (key in values) == (key in expected)
        assert values.get(key) == expected.get(key)
    assert dict(values) == expected
    assert list(values) == [key for key in given if key in expected]  # in the order of the rows
    with pytest.raises(KeyError):
        values[digest("other")] = 1
    gone = next(key for key in given if key not in expected)
    for read in (lambda: values[gone], lambda: values.at(given.index(gone)), lambda: values.pop(gone)):
        with pytest.raises(KeyError):
            read()


def test_a_key_takes_a_few_bytes():
    tracemalloc.start()
    keys = RowKeys(digest(i) for i in range(20_000))
    taken = tracemalloc.get_traced_memory()[0] / len(keys)
    tracemalloc.stop()
    assert taken < 30
    assert keys.firsts.dtype == np.uint32
