"""How a stage is run: workers, limits, what becomes of failures. Nothing here changes a value."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Collection
from typing import Any

from tools.cli import OptionalValue, advanced
from tools.errors import UserError, failure_kinds
from tools.media.reading.limits import MAX_PIXELS, VARIABLE
from tools.options import Option, check_options, option, option_field
from tools.options.values import Choice, Number, Text, Whole


@dataclasses.dataclass(frozen=True)
class _RetryOption(Option):
    """``--retry-failed``, with or without kinds of failures."""

    def check(self, name: str, value: Any, default: Any) -> frozenset[str]:
        """The kinds as a set."""
        return failure_kinds(value)

    def add(self, group: Any, name: str, default: Any) -> None:
        """Add the flag, which leaves the name of a table after it alone."""
        group.add_argument(
            "--retry-failed",
            action=OptionalValue,
            is_value=_may_be_kinds,
            const="all",
            type=_kinds,
            default=frozenset(),
            metavar="KIND,...",
            help=self.help,
        )


@dataclasses.dataclass(frozen=True)
class _ProgressOption(Option):
    """``--quiet``: commands show a progress bar unless told otherwise, library calls print nothing."""

    def add(self, group: Any, name: str, default: Any) -> None:
        """Add the flag."""
        advanced(group.add_argument("--quiet", dest=name, action="store_false", help="no progress bar"))


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """How a stage is run; nothing here changes a value.

    Its fields are the flags that per-row commands share. ``retry_failed`` is what `failure_kinds` takes, and
    a set of kinds once the options are made. With ``limit`` the output has the rows that are finished.

    Raises:
        UserError: A value that is not supported.
    """

    batch_size: int = option(64, "rows scored at once", Whole(1), flag="bs", aliases=("--batch-size",))
    num_workers: int = option(16, "worker processes, at most one per core; 0: none, without guards", Whole(0))
    timeout: float | None = option(
        600.0, "seconds one file may take", Number(0, above=True, metavar="S"), none=True, everyday=False
    )
    memory_gb: float | None = option(
        4.0,
        "GiB one worker may take",
        Number(0, above=True, metavar="GB"),
        flag="max-memory",
        none=True,
        everyday=False,
    )
    max_pixels: int | None = option(
        None,
        "pixels one picture may have, checked before it is decoded",
        Whole(1),
        shown=f"{MAX_PIXELS}, or ${VARIABLE}",
        none=True,
        everyday=False,
    )
    on_error: str = option(
        "keep", "rows that failed: keep with empty cells, or drop", Choice(("keep", "drop")), everyday=False
    )
    strict: bool = option(False, "exit with 1 when a row failed", everyday=False)
    overwrite: bool = option(False, "replace an output made from another input or with other options")
    retry_failed: bool | str | Collection[str] = option_field(
        False,
        _RetryOption(
            "process rows again that failed before, as a whole or in part; only these kinds of failures (all)"
        ),
    )
    limit: int | None = option(
        None,
        "process only the first N rows that are left; the same command without it processes the rest",
        Whole(1),
    )
    cache: str | None = option(
        None,
        "keep the files of rows whose path is an address in this folder, for later runs",
        Text("DIR"),
        shown="removed after use",
        none=True,
    )
    cache_size: float = option(
        100.0,
        "GB of the cache, from which files that were not used for longest are removed",
        Number(0, above=True, metavar="GB"),
        everyday=False,
    )
    fetch_ahead: int | None = option(
        None,
        "files from addresses on the disk at once, apart from a cache",
        Whole(1),
        shown="two for each worker, at least 8",
        none=True,
        everyday=False,
    )
    progress: bool = option_field(False, _ProgressOption("show a progress bar", everyday=False))

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def retried_kinds(self) -> frozenset[str]:
        """The kinds of failures that are processed again."""
        return failure_kinds(self.retry_failed)


def _may_be_kinds(text: str) -> bool:
    """Whether it may be kinds of failures, rightly written or not; the name of a table has a dot."""
    return re.fullmatch(r"[A-Za-z_]+(,[A-Za-z_]*)*", text) is not None


def _kinds(text: str) -> frozenset[str]:
    try:
        return failure_kinds(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
