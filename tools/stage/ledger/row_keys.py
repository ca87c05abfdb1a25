"""The keys of the rows of a run, and what is kept of each row, in little memory.

A key is a fingerprint of 24 hexadecimal digits. As a `str` it takes 73 bytes, its places in a list, a set and
a dict 120 more; here it takes 24 bytes with all that is needed to find it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar, overload

import numpy as np

_BYTES = 12  # of a key
_HEAD_BITS = 32  # of a key, by which it is found: there are fewer rows than that

Value = TypeVar("Value")


class RowKeys(Sequence[str]):
    """The keys of rows, in the order of the rows.

    Args:
        keys: Of each row; rows that are the same have the same key.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        raw = bytearray()
        for key in keys:
            raw += bytes.fromhex(key)
        self._raw = bytes(raw)
        parts = np.frombuffer(self._raw, np.uint8).reshape(-1, _BYTES)
        heads = parts[:, :8].copy().view(">u8").ravel().astype(np.uint64)
        tails = parts[:, 8:].copy().view(">u4").ravel()
        order = np.lexsort((tails, heads))  # of the same keys the first row comes first
        # Keys are evenly spread: about one of them begins with the same bits, as many as tell their number.
        bits = max(1, len(parts).bit_length())
        buckets = (heads[order] >> np.uint64(64 - bits)).astype(np.int64)
        begins = np.searchsorted(buckets, np.arange((1 << bits) + 1))
        self._shift = _HEAD_BITS - bits
        self._order = order.astype(np.uint32).data  # whose elements are `int`
        self._begins = begins.astype(np.uint32).data

    def number(self, key: object) -> int | None:
        """The first row with a key; None if there is none."""
        try:
            wanted = bytes.fromhex(key)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return None
        bucket = int.from_bytes(wanted[:4], "big") >> self._shift
        for place in range(self._begins[bucket], self._begins[bucket + 1]):
            number = self._order[place]
            if self._raw[_BYTES * number : _BYTES * (number + 1)] == wanted:
                return number
        return None

    def row(self, key: str) -> int:
        """The same.

        Raises:
            KeyError: There is none.
        """
        number = self.number(key)
        if number is None:
            raise KeyError(key)
        return number

    @cached_property
    def firsts(self) -> np.ndarray:
        """For each row the first one with its key: uint32."""
        parts = np.frombuffer(self._raw, f"S{_BYTES}")  # zeros at the end do not count in both alike
        order = np.asarray(self._order)
        is_first = np.ones(len(parts), bool)
        is_first[1:] = parts[order[1:]] != parts[order[:-1]]
        found = np.empty(len(parts), np.uint32)
        found[order] = order[is_first][np.cumsum(is_first) - 1]
        return found

    def digest(self) -> str:
        """What `tools.stage.ledger.digest` says of a list of the keys."""
        whole = hashlib.sha256(b"[")
        for number, key in enumerate(self):
            whole.update(f'{", " if number else ""}"{key}"'.encode())
        whole.update(b"]")
        return whole.hexdigest()[:24]

    def __contains__(self, key: object) -> bool:
        return self.number(key) is not None

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> list[str]: ...
    def __getitem__(self, number: int | slice) -> str | list[str]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        number = range(len(self))[number]
        return self._raw[_BYTES * number : _BYTES * (number + 1)].hex()

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self._raw), _BYTES):
            yield self._raw[start : start + _BYTES].hex()

    def __len__(self) -> int:
        return len(self._raw) // _BYTES


_ABSENT: Any = object()


class RowValues(MutableMapping[str, Value], Generic[Value]):
    """Something about rows, by their keys: eight bytes for each row, and the values.

    Args:
        keys: Of all rows; values of others cannot be kept.
    """

    def __init__(self, keys: RowKeys) -> None:
        self._keys = keys
        self._values: list[Value] = [_ABSENT] * len(keys)
        self._count = 0

    def __setitem__(self, key: str, value: Value) -> None:
        number = self._keys.row(key)
        self._count += self._values[number] is _ABSENT
        self._values[number] = value

    def __getitem__(self, key: str) -> Value:
        if self._count and (value := self._values[self._keys.row(key)]) is not _ABSENT:
            return value
        raise KeyError(key)

    def at(self, row: int) -> Value:
        """The value of a row by its number.

        Raises:
            KeyError: It has none.
        """
        if (value := self._values[row]) is _ABSENT:
            raise KeyError(self._keys[row])
        return value

    def __delitem__(self, key: str) -> None:
        self[key]
        self._values[self._keys.row(key)] = _ABSENT
        self._count -= 1

    def __contains__(self, key: object) -> bool:
        number = self._keys.number(key) if self._count else None
        return number is not None and self._values[number] is not _ABSENT

    def __iter__(self) -> Iterator[str]:
        return (self._keys[i] for i, value in enumerate(self._values) if value is not _ABSENT)

    def __len__(self) -> int:
        return self._count
