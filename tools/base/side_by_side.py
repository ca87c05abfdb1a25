"""Requests that wait for servers, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_WAITING = 64  # for each thread, so that millions are not in memory


def side_by_side(work: Callable[[T], R], over: Iterable[T], threads: int) -> Iterator[R]:
    """Results of a function for many values, in their order.

    Where one raises an exception, or the caller is interrupted, nothing more is begun.

    Args:
        work: The function.
        over: The values.
        threads: How many at a time.

    Yields:
        What it returns for each.
    """
    rest = iter(over)
    pool = ThreadPoolExecutor(threads)
    try:
        while some := list(islice(rest, threads * _WAITING)):
            yield from pool.map(work, some)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
