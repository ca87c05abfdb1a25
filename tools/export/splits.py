"""Splits of a table for training and validation that no source video and no duplicate crosses.

Rows of one source video, and rows that are duplicates of one another, are one group, and a group is in one
split. Which one is decided by a hash of its name and the seed alone, whatever else is in the table:

* The same rows in another order, or fewer of them, give the same splits, on any machine.
* Rows that are added to a table do not move those that are there, whether they are of new source videos or
  of known ones, or duplicates from new source videos of rows that are there. The exception are new rows that
  say of two source videos what was not known: that one has a duplicate in the other, or that they share a
  file. Then rows of one of the two groups may come into the split of the other, as both are one group now.
* A share that grows at the expense of its neighbour in the list only takes from it.

The price is that shares are those asked for on average: with thousands of groups they are met to a percent,
in rows as in hours; with a few groups they cannot be met by whole groups at all, and a split may be empty.
`check_splits` says so.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

import numpy as np
import polars as pl

from tools.errors import UserError
from tools.table.source_videos import source_by_name

FLAG = "--split"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_EXAMPLE = "such as train:0.98,val:0.02"
_OFF = 0.5
"""A split is said to be off from this relative difference to the share asked for."""


def parse_splits(text: str) -> dict[str, Decimal]:
    """Names of splits and the share of each, in the order given.

    Args:
        text: Such as ``train:0.98,val:0.02``.

    Raises:
        UserError: A name is none that a file can have everywhere, or is given twice; a share is no number
            above 0; or the shares do not add up to 1.
    """
    shares: dict[str, Decimal] = {}
    for part in text.split(","):
        name, colon, number = (piece.strip() for piece in part.partition(":"))
        if not colon or not name or not number:
            raise UserError(f"{FLAG} {text}: must be NAME:SHARE with commas between, {_EXAMPLE}")
        if not _NAME.fullmatch(name):
            raise UserError(f"{FLAG}: {name!r} cannot name a split: letters, digits, - and _ only")
        if name.lower() in (known.lower() for known in shares):
            raise UserError(f"{FLAG}: {name!r} is given twice; some file systems do not tell A from a")
        shares[name] = _share(name, number)
    total = sum(shares.values(), Decimal(0))
    if total != 1:
        raise UserError(f"{FLAG} {text}: the shares add up to {total.normalize():f}, must be 1")
    return shares


def _share(name: str, number: str) -> Decimal:
    try:
        share = Decimal(number)
    except InvalidOperation:
        share = Decimal("nan")
    if not share.is_finite() or not 0 < share <= 1:
        raise UserError(f"{FLAG}: the share of {name} must be above 0 and at most 1, not {number}")
    return share


def split_rows(frame: pl.DataFrame, splits: str | Mapping[str, Decimal], seed: int = 0) -> np.ndarray:
    """The split of each row.

    Args:
        frame: With ``path``. Rows are of one group with the same ``source``; where that is empty or missing,
            with names that `tools.table.source_videos.source_by_name` takes for clips of one video; with the
            same ``path`` or the same ``original_path``; and where ``dup_of`` names the ``path`` of the other,
            or of a third row, be it in the table or not, also in chains.
        splits: As `parse_splits` takes or gives it.
        seed: Another one gives other splits.

    Returns:
        Names of splits, text (rows).

    Raises:
        UserError: See `parse_splits`; or there is neither ``path`` nor ``source``.
    """
    shares = parse_splits(splits) if isinstance(splits, str) else dict(splits)
    if not {"path", "source"} & set(frame.columns):
        raise UserError(f"{FLAG}: the table has neither a column 'path' nor 'source' to group rows by")
    names, group = group_names(frame)
    bounds, below = [], Decimal(0)
    for share in shares.values():
        below += share
        bounds.append(int(below * 2**64))
    places = np.array([_place(name, seed, bounds) for name in names], np.int64)
    return np.array(list(shares))[places[group]] if len(group) else np.array([], "U1")


def _place(name: str, seed: int, bounds: Sequence[int]) -> int:
    number = int.from_bytes(hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest(), "big")
    return next(place for place, bound in enumerate(bounds) if number < bound)


def group_names(frame: pl.DataFrame) -> tuple[list[str], np.ndarray]:
    """The groups of a table that may not be torn apart, see `split_rows`.

    A group is named by the first of its source videos in the order of their names, of those that have no
    duplicate in another: so duplicates from elsewhere do not rename it.

    Returns:
        The names of the groups, and the number of each row's group, int64 (rows).
    """
    keys = _keys(frame)
    texts = pl.concat(keys.get_columns())
    known = texts.drop_nulls().unique().sort()
    numbers = texts.rank("dense").fill_null(0).to_numpy().astype(np.int64).reshape(keys.width, -1)
    source, path, dup_of, dup_source, original = numbers
    none = len(known) + 1
    owner = np.full(none, none)  # source of each file in the table; of a file in two, the first by name
    np.minimum.at(owner, path, source)
    owner[0] = none
    kept = np.where(owner[dup_of] < none, owner[dup_of], np.where(dup_source > 0, dup_source, dup_of))
    follows = (dup_of > 0) & (kept != source)
    edges = [np.stack([source, others])[:, others > 0] for others in (path, original, kept)]
    labels = connected(none, np.concatenate(edges, 1))
    names = np.concatenate([source, kept[follows]])
    follower = np.zeros(none, bool)
    follower[source[follows]] = True
    # Numbers have the order of names; those of followers come after all others.
    smallest = np.full(none, 2 * none)
    np.minimum.at(smallest, labels[names], names + none * follower[names])
    components, group = np.unique(labels[source], return_inverse=True)
    chosen = smallest[components] % none
    return [name[1:] for name in known.gather(chosen - 1).to_list()], group.astype(np.int64)


def _keys(frame: pl.DataFrame) -> pl.DataFrame:
    """What rows have in common, as text; empty where there is nothing.

    The first letter tells sources (s), files (p) and original files (o) apart.
    """
    columns = frame.columns
    path, dup_of = _text("path", columns), _text("dup_of", columns)
    source = pl.coalesce(_text("source", columns), source_by_name(path), pl.lit(""))
    # Without a column of sources the name of a file that is not in the table tells its source as well.
    dup_source = source_by_name(dup_of) if "source" not in columns else pl.lit(None, pl.String)
    return (
        frame.lazy()
        .select(
            source=pl.lit("s") + source,
            path=pl.lit("p") + path,
            dup_of=pl.lit("p") + dup_of,
            dup_source=pl.lit("s") + dup_source,
            original_path=pl.lit("o") + _text("original_path", columns),
        )
        .collect()
    )


def _text(name: str, columns: Sequence[str]) -> pl.Expr:
    """A column of names; null where it is empty, and without ./ at the beginning."""
    if name not in columns:
        return pl.lit(None, pl.String)
    text = pl.col(name).cast(pl.String).str.replace(r"^(\./+)+", "")
    return pl.when(text.str.strip_chars().str.to_lowercase().is_in(["", "nan"])).then(None).otherwise(text)


def connected(nodes: int, edges: np.ndarray) -> np.ndarray:
    """Connected components: in each round roots that an edge joins hang below the smaller one.

    Args:
        nodes: How many nodes there are.
        edges: Pairs of nodes, int64 (2, edges).

    Returns:
        For each node the smallest node of its component, int64 (nodes).
    """
    labels = np.arange(nodes)
    first, second = edges
    while len(first):
        first, second = labels[first], labels[second]
        apart = first != second
        first, second = first[apart], second[apart]
        smaller = np.minimum(first, second)
        np.minimum.at(labels, np.maximum(first, second), smaller)
        while (labels[labels] != labels).any():
            labels = labels[labels]
    return labels


def check_splits(names: np.ndarray, splits: str | Mapping[str, Decimal]) -> list[str]:
    """What a user should know of splits: those that are empty, and those far from the share asked for.

    Args:
        names: As `split_rows` gives them.
        splits: What was asked for.

    Returns:
        One line for each such split.
    """
    shares = parse_splits(splits) if isinstance(splits, str) else splits
    notes = []
    for name, share in shares.items():
        rows, asked = int((names == name).sum()), float(share) * len(names)
        remedy = "ask for a larger share, or try another --seed"
        if len(names) and not rows:
            notes.append(f"split {name} is empty: there are too few groups for {float(share):g}; {remedy}")
        elif abs(rows - asked) > _OFF * asked:
            got = f"{rows:,} of {len(names):,} rows, {rows / len(names):.3g}"
            notes.append(f"split {name} has {got} for {float(share):g}: groups are few or large; {remedy}")
    return notes
