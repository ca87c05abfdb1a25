"""From a table with fingerprints to the columns ``dup_of`` and ``dup_score``.

Candidate pairs are found by their hashes (`candidates`), then verified: one clip is aligned with the other in
time and in the picture (`alignment`), and where both are static, their stills are compared in detail
(`difference`). Of several duplicates the best is kept (`selection`).
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tools import options
from tools.errors import UserError, check_choice
from tools.options import option
from tools.options.values import Choice, Number, Text
from tools.scoring.dedup.alignment import Track, align_closely
from tools.scoring.dedup.candidates import DEFAULT_VIEWS, decode_views, find_candidates
from tools.scoring.dedup.difference import mostly_static, still_similarity
from tools.scoring.dedup.features import FEATURE, decode_feature, find_similar
from tools.scoring.dedup.fingerprint import Fingerprint, decode, decode_info
from tools.scoring.dedup.hashing import hash_all, view_of
from tools.scoring.dedup.selection import (
    FILE_CRITERIA,
    KEEP,
    SURE,
    Match,
    check_keep,
    check_numbers,
    rank,
    select_duplicates,
)
from tools.scoring.dedup.stage import FINGERPRINT

if TYPE_CHECKING:
    import polars as pl

METHODS: dict[str, tuple[str, float]] = {"hash": (FINGERPRINT, 0.9), "clip": (FEATURE, 0.98)}
"""Name of a method to the column that it compares, and its default threshold."""

_DECIMALS = 4
_MIN_MOTION = 0.01  # energy of motion that proves a copy whose pictures differ in a part
_CACHE_BYTES = 1 << 29  # of unpacked fingerprints
_CACHED_TRACKS = 1024


@dataclasses.dataclass(frozen=True)
class DuplicateOptions:
    """How the fingerprints of a table are compared, and which of several duplicates is kept."""

    threshold: float | None = option(
        None,
        "minimum similarity of a duplicate",
        Number(0, 1, above=True, metavar="T"),
        shown=", ".join(f"{method} {threshold:g}" for method, (_, threshold) in METHODS.items()),
        aliases=("--thresh",),
        none=True,
    )
    keep: tuple[str, ...] = option(
        KEEP,
        f"which duplicate is kept: {', '.join(FILE_CRITERIA)}, or columns of numbers; the first that differs "
        "decides",
        Text("CRITERION"),
        shown=f"{' '.join(KEEP)}, without missing columns",
        many=True,
    )
    split: bool = option(False, "META_dedup.csv gets the kept rows, META_dup.csv the duplicates")
    search: str = option(
        "auto",
        "of method clip; exact: each row with all that are kept; index: random planes, may miss duplicates; "
        "auto: exact up to 100 000 rows",
        Choice(("auto", "exact", "index")),
        everyday=False,
    )

    def __post_init__(self) -> None:
        options.check_options(self)


def mark_duplicates(
    table: pl.DataFrame,
    *,
    method: str = "hash",
    threshold: float | None = None,
    keep: Sequence[str] = KEEP,
    search: str = "auto",
    device: str = "cpu",
) -> pl.DataFrame:
    """Find the duplicates among the rows of a table.

    Args:
        table: A table with columns path and fingerprint (method hash) or clip_feature (method clip). A row
            whose fingerprint is empty is not compared. Images are compared with images, videos with videos.
        method: ``hash`` or ``clip``.
        threshold: Minimum similarity of a duplicate; by default 0.9 (hash) or 0.98 (clip).
        keep: Which duplicate is kept, see `tools.scoring.dedup.selection.rank`.
        search: For clip, see `tools.scoring.dedup.features.find_similar`.
        device: For clip, where it is computed.

    Returns:
        The table without the column of fingerprints, with ``dup_of``, the path of the kept row that it
        duplicates, and ``dup_score``, their similarity, 0 to 1. Both are empty in kept rows.

    Raises:
        UserError: There is no such method or column, or a cell is not a fingerprint.
    """
    import polars as pl

    check_options(table.columns, method=method, threshold=threshold, keep=keep)
    check_numbers(table, keep)
    column, default = METHODS[method]
    threshold = default if threshold is None else threshold
    if column not in table.columns:
        raise UserError(f"no column '{column}' (there are: {', '.join(table.columns)})")
    cells = table[column].cast(pl.String).to_list()
    if method == "hash":
        read, info = _Reader(cells, decode), _Reader(cells, decode_info)
    else:
        read = _Reader(cells, decode_feature)
        info = _Reader(cells, lambda cell: decode_feature(cell).info)
    infos = [info(row) for row in range(len(cells))]
    order = rank(table, infos, keep)
    found: dict[int, Match] = {}
    if method == "hash":
        found = _in_rows(find_duplicates(lambda i: read(order[i]), len(order), threshold), order)
    else:
        for is_video in (False, True):
            some = [row for row in order if infos[row] is not None and infos[row].is_video == is_video]
            if some:
                vectors = _vectors(read, some, column)
                found |= _in_rows(find_similar(vectors, threshold, search=search, device=device), some)
    return _with_columns(table.drop(column), found)


def check_options(
    columns: Sequence[str],
    *,
    method: str = "hash",
    threshold: float | None = None,
    keep: Sequence[str] = KEEP,
) -> None:
    """Check what can be checked before any file is read; arguments as for `mark_duplicates`.

    Raises:
        UserError: There is no such method, threshold or column.
    """
    check_choice("method", method, METHODS)
    if threshold is not None and not 0 < threshold <= 1:
        raise UserError(f"Invalid threshold ({threshold}). It must be greater than 0 and at most 1.")
    check_keep(keep, columns)


class _Reader:
    """Fingerprints by the number of their row, unpacked on demand."""

    def __init__(self, cells: list[str | None], unpack: Callable[[str], Any]) -> None:
        self._cells, self._unpack = cells, unpack

    def __call__(self, row: int) -> Any:
        cell = self._cells[row]
        if not cell:
            return None
        try:
            return self._unpack(cell)
        except ValueError as error:
            raise UserError(f"row {row + 1}: {error}; make the fingerprints again") from None


def _vectors(read: _Reader, rows: list[int], column: str) -> np.ndarray:
    vectors = [read(row).vector for row in rows]
    if len({len(vector) for vector in vectors}) > 1:
        raise UserError(f"column {column}: features of different models; make them again")
    return np.stack(vectors)


def _in_rows(found: dict[int, Match], rows: Sequence[int]) -> dict[int, Match]:
    """From places in a list of rows to the numbers of the rows."""
    return {rows[place]: Match(rows[match.kept], match.similarity) for place, match in found.items()}


def _with_columns(table: pl.DataFrame, found: dict[int, Match]) -> pl.DataFrame:
    import polars as pl

    paths = table["path"].cast(pl.String).to_list()
    matches = [found.get(row) for row in range(table.height)]
    kept = [match and paths[match.kept] for match in matches]
    scores = [match and round(match.similarity, _DECIMALS) for match in matches]
    return table.with_columns(
        pl.Series("dup_of", kept, dtype=pl.String), pl.Series("dup_score", scores, dtype=pl.Float64)
    )


def find_duplicates(
    fingerprint: Callable[[int], Fingerprint | None], count: int, threshold: float
) -> dict[int, Match]:
    """Find the duplicates among fingerprints.

    Args:
        fingerprint: Gives the fingerprint of a row, or None for a row that has none. Rows are numbered from
            the best to the worst: of two duplicates, the one with the smaller number is kept.
        count: Number of rows.
        threshold: Minimum similarity of a duplicate.

    Returns:
        The rows that duplicate kept rows. A row is compared with that row itself, so not all of a chain of
        clips, each somewhat like the one before, are duplicates of its first.
    """
    found: dict[int, Match] = {}
    files: dict[bytes, int] = {}

    def read() -> Iterator[Fingerprint | None]:
        for row in range(count):
            known = fingerprint(row)
            if (
                known is not None and known.digest
            ):  # its pictures show nothing: only equal files are duplicates
                if known.digest in files:
                    found[row] = Match(files[known.digest], 1.0)
                files.setdefault(known.digest, row)
            yield known

    candidates = find_candidates(hash_all(read()), count)
    return found | select_duplicates(candidates, _Verification(fingerprint, threshold), threshold)


class _Verification:
    """The similarity of candidate pairs.

    Args:
        fingerprint: Gives the fingerprint of a row that has one.
        threshold: Similarity from which on stills are compared too.
    """

    def __init__(self, fingerprint: Callable[[int], Fingerprint | None], threshold: float) -> None:
        cache = _FingerprintCache(fingerprint)

        @lru_cache(_CACHED_TRACKS)
        def track(row: int, view: int, mirrored: bool) -> Track:
            return Track(cache(row), view_of(cache(row).info, view, mirrored=mirrored))

        self._fingerprint, self._track, self._threshold = cache, track, threshold

    def __call__(self, later: int, earlier: int, views: list[int]) -> float:
        """Similarity of two rows, 0 to 1, the best of several pairs of views."""
        if self._fingerprint(later).info.is_video != self._fingerprint(earlier).info.is_video:
            return 0.0
        best = 0.0
        different: set[bool] = set()
        for code in views or DEFAULT_VIEWS:
            (one, one_mirrored), (other, other_mirrored) = decode_views(code)
            mirrored = one_mirrored != other_mirrored
            if mirrored in different:
                continue
            short, long = self._track(later, one, one_mirrored), self._track(earlier, other, other_mirrored)
            found = align_closely(short, long)
            similarity = found.similarity
            if short.partial and found.energy < _MIN_MOTION and not mostly_static(short, long, found):
                continue
            if similarity >= self._threshold:
                similarity = min(similarity, still_similarity(short, long, found))
                if similarity < self._threshold:
                    different.add(mirrored)
            best = max(best, similarity)
            if best >= SURE:
                break
        return best


class _FingerprintCache:
    """The fingerprints that were used last, as many as fit."""

    def __init__(self, fingerprint: Callable[[int], Fingerprint | None]) -> None:
        self._read = fingerprint
        self._cache: OrderedDict[int, Fingerprint] = OrderedDict()
        self._bytes = 0

    def __call__(self, row: int) -> Fingerprint:
        if row in self._cache:
            self._cache.move_to_end(row)
            return self._cache[row]
        found = self._read(row)
        assert found is not None  # only rows with a fingerprint are candidates
        self._cache[row] = found
        self._bytes += found.pictures.nbytes
        while self._bytes > _CACHE_BYTES and len(self._cache) > 1:
            _, gone = self._cache.popitem(last=False)
            self._bytes -= gone.pictures.nbytes
        return found
