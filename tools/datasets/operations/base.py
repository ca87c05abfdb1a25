"""What an operation on a table is, and what it may know of the run it is part of."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import polars as pl

    from tools.errors import MediaError
    from tools.stage.run_options import RunOptions


TRUTHS = "true|false"
"""The metavar of an operation whose value is a truth value."""


class Number(float):
    """A number that remembers how it was typed, for the names of outputs.

    Args:
        typed: A finite number, as text or as a number.

    Raises:
        ValueError: It is not one.
    """

    typed: str

    def __new__(cls, typed: str | float) -> Number:  # noqa: D102  (see the class)
        try:
            number = super().__new__(cls, typed)
        except ValueError:
            number = None
        if number is None or not math.isfinite(number):
            raise ValueError(f"must be a finite number, not {typed}")
        number.typed = str(typed).strip()
        return number

    def __str__(self) -> str:
        return self.typed


def count(text: str) -> int:
    """A number of rows.

    Raises:
        ValueError: It is not a whole number from 1 on.
    """
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"must be a whole number from 1 on, not {text}")
    return int(text)


class Phase(enum.IntEnum):
    """When an operation is carried out, whatever the order of the flags.

    What reads cells alone comes before what opens files, filters come before edits, and captions are cleaned
    before anything is appended to them. Within a phase the order is that of the modules.
    """

    TABLES = enum.auto()  # joins with another table
    CAPTION_FILES = enum.auto()  # text is loaded
    EMPTY_CELLS = enum.auto()  # filters of empty cells
    CELLS = enum.auto()  # filters by the content of a cell
    COSTLY = enum.auto()  # filters that check files or detect a language
    REPEATED_PATHS = enum.auto()  # the first row of each path
    FILES = enum.auto()  # files are opened, before path is rewritten
    BOUNDS = enum.auto()  # filters by a number or a word in a column
    PATHS = enum.auto()  # path is rewritten
    CAPTIONS = enum.auto()  # text is cleaned, then extended
    TOKENS = enum.auto()  # text is final, and counted
    EMPTIED = enum.auto()  # filters of what an edit has emptied
    EXPRESSION = enum.auto()  # the user's own filter
    SORTING = enum.auto()
    REPEATED_TEXTS = enum.auto()  # the first row of each text, which after sorting is the best
    AMOUNT = enum.auto()  # as much as is asked for, of what the filters have left
    CHOICE = enum.auto()  # shuffling, and some of the rows
    COLUMNS = enum.auto()  # columns are chosen


class Part(NamedTuple):
    """One of several steps of an operation: a table goes through all of them, in their order.

    Attributes:
        label: What the step does, in a few words.
        value: What `Operation.apply` gets for it.
        details: What ``--dry-run`` shows below it.
    """

    label: str
    value: Any
    details: str = ""


DETAIL_COLUMN = "detail\0"
"""Why a row is removed, where the operation alone does not say it: a text column of `Split.removed`."""


class Split(NamedTuple):
    """Both halves of a table from which rows are removed, so that the removed ones can be written too.

    ``removed`` may have the column `DETAIL_COLUMN`.
    """

    kept: pl.LazyFrame
    removed: pl.LazyFrame


def split_rows(frame: pl.LazyFrame, keep: np.ndarray) -> Split:
    """Keep rows by their number: for each row whether it stays, Boolean (rows)."""
    from tools.table.row_files import rows_where

    return Split(rows_where(frame, keep), rows_where(frame, ~keep))


def split_by(frame: pl.LazyFrame, keep: pl.Expr) -> Split:
    """Keep the rows for which an expression is true; those where it is unknown go."""
    return Split(frame.filter(keep), frame.filter(~keep.fill_null(False)))


@dataclass
class Context:
    """What operations share in one run.

    Attributes:
        source: What the table is called in error messages.
        options: Workers, time limit and progress of operations that open files or work on texts.
        seed: For what is random.
        scratch: Folder for temporary files of what does not fit into memory; None for that of the system.
        table: The input, if it is one file and no operation has changed it: its frame and its path.
        lang_threshold: Least confidence for --lang, 0 to 1; None for its default.
        per_source: Rows that --sample and --balance take of one source video at most; None for any number.
        failures: Files that could not be read; operations add to it.
        notes: Lines for the user; operations add to it.
        probed: Results of `--info`, by path, so that no file is opened twice.
        sizes: Bytes of files at addresses, or why they are not known, so that no server is asked twice.
        condition: The ``--where`` condition that keeps the rows which --keep-hours and its kind keep; empty
            when it is all of them, None when there is no such operation.
    """

    source: str
    options: RunOptions
    seed: int = 42
    scratch: Path | None = None
    table: tuple[pl.LazyFrame, Path] | None = None
    lang_threshold: float | None = None
    per_source: int | None = None
    failures: list[MediaError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    probed: dict[tuple[str | None, bool], Any] = field(default_factory=dict)
    sizes: dict[str, int | MediaError] = field(default_factory=dict)
    condition: str | None = None

    @property
    def scratch_folder(self) -> Path:
        """Where temporary files go."""
        from tools.table.row_files import scratch_folder

        return scratch_folder(self.scratch)


@dataclass(frozen=True)
class Operation:
    """One thing that datautil does to a table.

    Attributes:
        name: Name of its flag, with underscores.
        help: What it does, in one line of ``--help``.
        apply: Function of frame, value and context that returns the new frame, or a `Split` if the operation
            removes rows.
        phase: When it is carried out.
        suffix: What output names get; ``{}`` is replaced by the value.
        parse: From the text of its value, or of each of them, to the value; raises ValueError with a message
            that begins with "must be". None for a switch.
        metavar: Name of its value in ``--help``.
        many: It takes one value or more, and gets a list.
        requires: Columns that must be there; or a function of the value that names them.
        adds: Columns that it adds or changes; or a function of the value.
        check: Function of the value and the schema that raises UserError when they do not fit.
        chooses: Function of the value and the columns that names those that stay; None when all do.
        opens_files: It may find files that cannot be read.
        aliases: Further names of its flag, with underscores: those of Open-Sora 1.3.
        again: A later phase in which it is carried out once more, if its columns have changed since.
        everyday: ``--help`` shows it; the others are shown by ``--help-all``.
        details: What ``--help-all`` adds to `help`.
        takes_lists: Cells of the required columns may hold lists and records.
        parts: Function of the value that gives the steps it consists of; None when it is one step,
            labelled as typed.
        remarks: Function of the value that gives what the user is to know of it, a line each.
    """

    name: str
    help: str
    apply: Callable[[pl.LazyFrame, Any, Context], pl.LazyFrame | Split]
    phase: Phase
    suffix: str = ""
    parse: Callable[[str], Any] | None = None
    metavar: str | None = None
    many: bool = False
    requires: tuple[str, ...] | Callable[[Any], Iterable[str]] = ()
    adds: tuple[str, ...] | Callable[[Any], Iterable[str]] = ()
    check: Callable[[Any, Mapping[str, pl.DataType]], object] | None = None
    chooses: Callable[[Any, Sequence[str]], list[str]] | None = None
    opens_files: bool = False
    aliases: tuple[str, ...] = ()
    again: Phase | None = None
    everyday: bool = True
    details: str = ""
    takes_lists: bool = False
    parts: Callable[[Any], Sequence[Part]] | None = None
    remarks: Callable[[Any], Sequence[str]] = lambda value: ()

    @property
    def flag(self) -> str:
        """``--fmin``."""
        return "--" + self.name.replace("_", "-")

    @property
    def flags(self) -> list[str]:
        """All names of its flag, its own first."""
        return [self.flag, *("--" + name.replace("_", "-") for name in self.aliases)]

    def words(self, value: Any) -> list[str]:
        """As typed, one argument each: ``--fmin``, ``48``. A value with `words` of its own gives them."""
        if self.parse is None:
            return [self.flag]
        return [self.flag, *getattr(value, "words", map(str, value if self.many else [value]))]

    def label(self, value: Any) -> str:
        """As typed: ``--fmin 48``."""
        return " ".join(self.words(value))

    def steps(self, value: Any) -> list[Part]:
        """The steps of a value, labelled as typed: ``--fmin 48``, or ``--recipe cosmos: motion: …``."""
        return [Part(self.label(value), value)] if self.parts is None else list(self.parts(value))

    def suffix_for(self, value: object) -> str:
        """The suffix with this value."""
        return self.suffix.format(value)

    def needed(self, value: object) -> tuple[str, ...]:
        """Columns that must be there for this value."""
        return tuple(self.requires(value)) if callable(self.requires) else self.requires

    def added(self, value: object) -> tuple[str, ...]:
        """Columns that are there afterwards, and may have changed."""
        return tuple(self.adds(value)) if callable(self.adds) else self.adds
