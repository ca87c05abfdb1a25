"""Run a function over many captions: each distinct one once, on several cores, a chunk at a time."""

from __future__ import annotations

import contextlib
import pickle
import traceback
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import polars as pl

BatchFunction = Callable[[list[str]], list[Any]]
"""From texts to one result for each; importable by name, so that workers find it."""

_SMALL = 2000  # texts; so few are done before the first worker has started
_CHUNK_TEXTS = 1000
_CHUNK_BYTES = 1 << 20


def map_texts(function: BatchFunction, texts: pl.Series, *, num_workers: int) -> list[Any]:
    """Results of a function for a column of texts.

    Each distinct text is given to the function once. Besides the results, only the chunks that workers are
    busy with are Python objects.

    Args:
        function: See `BatchFunction`; the same text must always give the same result.
        texts: Column of strings; null stays without a result.
        num_workers: Worker processes, at most one for each core; with 0 or 1, or few texts, the work is done
            in this process.

    Returns:
        One result for each row, in order; None for null.

    Raises:
        MediaError: A worker died.
        Exception: Whatever the function raised; the worker's traceback is its cause.
    """
    import polars as pl

    texts = texts.cast(pl.String)
    distinct = texts.drop_nulls().unique(maintain_order=True)
    results = _map_distinct(function, distinct, num_workers)
    if len(distinct) == len(texts):
        return results
    numbers = texts.to_frame("text").join(
        distinct.to_frame("text").with_row_index("number"), on="text", how="left", maintain_order="left"
    )["number"]
    return [None if number is None else results[number] for number in numbers]


def _map_distinct(function: BatchFunction, texts: pl.Series, num_workers: int) -> list[Any]:
    from tools.stage.progress import Progress

    results: list[Any] = [None] * len(texts)
    inline = num_workers <= 1 or len(texts) <= _SMALL
    done = _inline(function, texts) if inline else _in_workers(function, texts, num_workers)
    with Progress(len(texts), "texts") as bar, contextlib.closing(done):
        for start, values in done:
            results[start : start + len(values)] = values
            bar.count([("", {})] * len(values))
    return results


def _inline(function: BatchFunction, texts: pl.Series) -> Generator[tuple[int, list[Any]]]:
    for start, chunk in _chunks(texts):
        yield start, _checked(function, chunk)


def _in_workers(
    function: BatchFunction, texts: pl.Series, num_workers: int
) -> Generator[tuple[int, list[Any]]]:
    from tools.errors import MediaError
    from tools.media.workers.pool import WorkerPool

    jobs = ((start, f"texts {start} to {start + len(chunk)}", chunk) for start, chunk in _chunks(texts))
    with WorkerPool(num_workers) as pool:
        for start, result in pool.imap_unordered(partial(_attempt, function), jobs):
            if isinstance(result, MediaError):
                raise result
            if isinstance(result, _Raised):
                raise result.error from RuntimeError("in a worker process:\n" + result.where)
            yield start, result


def _chunks(texts: pl.Series) -> Iterator[tuple[int, list[str]]]:
    """Start and texts of each chunk: limited in number, and in bytes where texts are long."""
    mean_bytes = max(1, texts.str.len_bytes().sum() / max(1, len(texts)))
    size = max(1, min(_CHUNK_TEXTS, int(_CHUNK_BYTES / mean_bytes)))
    for start in range(0, len(texts), size):
        yield start, texts.slice(start, size).to_list()


class _Raised(NamedTuple):
    """An exception on its way from a worker; the pool would make it the error of a file."""

    error: Exception
    where: str


def _attempt(function: BatchFunction, texts: list[str]) -> list[Any] | _Raised:
    """In a worker: the results, or the exception."""
    try:
        return _checked(function, texts)
    except Exception as error:
        where = traceback.format_exc()
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            error = RuntimeError(f"{type(error).__name__}: {error}")
        return _Raised(error, where)


def _checked(function: BatchFunction, texts: list[str]) -> list[Any]:
    results = list(function(texts))
    if len(results) != len(texts):
        raise ValueError(f"{function} gave {len(results)} results for {len(texts)} texts")
    return results
