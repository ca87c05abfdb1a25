"""What a stage is: the columns it reads and adds, the frames it takes, and how a row becomes values."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.base.log import LOG
from tools.columns import polars_type
from tools.errors import MediaError
from tools.media.reading.requests import FrameChoice, FrameRequest, Frames
from tools.options import check_options
from tools.stage.provenance import FILES_CHANGED

if TYPE_CHECKING:
    import polars as pl
    from typing_extensions import Self

    from tools.columns import PolarsType
    from tools.models.required import RequiredWeights

Row = dict[str, Any]
"""One row of a meta table: column name to cell. Cells of a CSV are text or None."""

Columns = Mapping[str, "str | PolarsType"]
"""Columns with their Polars types, or the names of these: ``Float64``.

A stage that names types lets its workers start without Polars. Columns of `SIDE_OUTPUTS` do not go to the
table."""

FAILURES = "failures"
"""Name in `Stage.output_columns` for what failed in a row that still has values: a list of [kind, message].

It goes to the failures file, not to the table."""

REMARKS = "remarks"
"""Name in `Stage.output_columns` for remarks on a row that has values: a list of texts.

The last lines of a run, and the log where there are none, say how many rows each remark applies to. Values
may leave it out."""

VECTOR = "embedding"
"""Name in `Stage.output_columns` for a numpy vector, float32, or None; it goes to `Stage.vector_file`."""

MADE_FILES = "made"
"""Name in `Stage.output_columns` for the files that a row left on disk.

A list of [path, bytes, modification time in nanoseconds]. When one of them is gone or was changed, the row is
processed again; see `made_file`."""

ORIGIN = "_origin"
"""Name in a `Row` for the address of its file, where ``path`` is a copy on this machine."""


def origin(row: Row) -> str:
    """The path of a row as it stands in the table: what a stage writes into a column, or derives names from.

    ``row["path"]`` is what it opens.
    """
    return row.get(ORIGIN) or row["path"]


SIDE_OUTPUTS = (FAILURES, REMARKS, VECTOR, MADE_FILES)
"""Names in `Stage.output_columns` that are no columns of the table."""


def made_file(path: str | Path) -> list[Any]:
    """The entry of a file in `MADE_FILES`.

    Raises:
        OSError: There is no such file.
    """
    status = Path(path).stat()
    return [str(path), status.st_size, status.st_mtime_ns]


_WEIGHTS_LATER: ContextVar[bool] = ContextVar("weights_later", default=False)


@contextmanager
def weights_later() -> Iterator[None]:
    """Within it, creating a stage checks its options alone; `Stage.ready` does the rest.

    So a command reports wrong options at once, and missing columns of the table before any weights; then all
    missing weights together; and only then is anything hashed or PyTorch imported.
    """
    token = _WEIGHTS_LATER.set(True)
    try:
        yield
    finally:
        _WEIGHTS_LATER.reset(token)


class StageContract:
    """What the runner may know of a stage; a stage sets what differs, on the class or in `Stage.configure`.

    Attributes:
        name: Short name, used for the progress bar and the ledger (``aes``).
        suffix: What the output's name gets (``_aes``).
        version: Raised whenever the same options would give other values: finished rows are then redone.
        required_columns: Columns that must be in the table. ``path`` is the file that the row is about.
        optional_columns: Columns that change the result when they are there.
        takes_lists: Cells of the required columns other than ``path`` may hold lists.
        output_columns: Columns that the stage fills, with the names of their Polars types (``Float64``), or
            with these types. A failed row leaves them all empty; one of which only a part failed says so in
            `FAILURES`.
        sampling: Frames that `Stage.prepare` gets: a `Sampling`, or another rule. None for none.
        thumbnails: Width and height of the small grey pictures of all frames that `Stage.prepare` gets; None
            for none.
        decoder: Decoder that reads these frames.
        one_to_many: A row of the input becomes any number of rows of the output (clips of a video). The
            `output_columns` are then ``rows``, a list of dicts with the columns of `row_columns`, and
            `FAILURES`.
        row_columns: For such a stage, the columns of its output rows, with their types.
        vector_file: File for the `VECTOR` of each row, a name that ends in .npy or .parquet; None for none.
        no_trial: Why the time cannot be estimated from a few rows on trial; empty where it can.
        spent_how: How `spent` was found out on trial, as the end of a sentence.
        checks_order: Whether a known row is scored among others now and then, to prove the order of the
            results (`tools.stage.order_check`): for stages with a model. Then `Stage.score` must not do more
            than score, as it gets that row several times.
        batch_seconds: Batches that take longer are made smaller: a kill loses at most that much work.
        rows_changed: What a message says of an earlier table that has the same options, but was made of other
            rows or files than `Stage.plan` is given now: ``from files that have changed since``.
    """

    name: str
    suffix: str
    version: int = 2
    required_columns: tuple[str, ...] = ("path",)
    optional_columns: tuple[str, ...] = ()
    takes_lists: bool = False
    output_columns: Columns = {}
    sampling: FrameChoice | None = None
    thumbnails: tuple[int, int] | None = None
    decoder: str = "pyav"
    one_to_many: bool = False
    row_columns: Columns = {}
    vector_file: str | None = None
    no_trial: str = ""
    spent_how: str = ""
    checks_order: bool = False
    batch_seconds: float = 10.0
    rows_changed: str = FILES_CHANGED
    _rows_here: Sequence[int] | None = None
    _arguments: tuple[tuple[Any, ...], dict[str, Any]] | None = None
    _is_ready: bool = False


@dataclasses.dataclass
class Stage(StageContract):
    """Base of all per-row work: scorers, detectors, cutters.

    A stage is a dataclass whose public fields are its options (`tools.options.option`). It knows nothing of
    CSV, ranks, retries or processes: the runner (`tools.stage.runner`) calls `prepare` in guarded worker
    processes, and `setup` and `score` in the parent, which owns the device. Attributes that start with an
    underscore (models) stay behind when the stage travels to a worker.
    """

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Keep the arguments, so that the stage can be created again elsewhere; see `tools.stage.spec`."""
        stage = super().__new__(cls)
        stage._arguments = (args, options)
        return stage

    def __post_init__(self) -> None:
        """Check the options; then find weights and devices, except within `weights_later`."""
        check_options(self)
        self.configure()
        if not _WEIGHTS_LATER.get():
            self.ready()

    def configure(self) -> None:
        """Check options that must go together, and set what follows from them (`output_columns`).

        Each option alone has been checked already.

        Raises:
            UserError: They do not go together.
        """

    def ready(self, *, report: bool = False) -> None:
        """Find weights and devices, once; see `find`.

        Args:
            report: Name all missing weights in one error, and log the stage's `notes`.

        Raises:
            UserError: Weights are missing or wrong, or a device is not there.
        """
        if self._is_ready:
            return
        if report and (weights := self.required_weights()):
            from tools.models.required import require_weights

            require_weights(weights)
        self.find()
        self._is_ready = True
        for note in self.notes() if report else ():
            word, _, text = note.partition(": ")
            LOG.log(logging.WARNING if word == "warning" else logging.INFO, "%s", text)

    def required_weights(self) -> list[RequiredWeights]:
        """The weights that `find` will look for; from the options alone, nothing is read."""
        return []

    def find(self) -> None:
        """Find and verify weights and devices: whatever takes time, or imports PyTorch.

        Raises:
            UserError: Something is missing or wrong.
        """

    def notes(self) -> list[str]:
        """What the user should know before the run, as ``warning: ...`` or ``note: ...``; after `find`."""
        return []

    @property
    def request(self) -> FrameRequest:
        """What is read of a file for `prepare`; with an empty request nothing is, and no file is opened."""
        return FrameRequest(self.sampling, self.thumbnails)

    def input_columns(self, columns: Sequence[str]) -> list[str]:
        """Columns of a table that the stage reads, of those that the table has."""
        return [name for name in (*self.required_columns, *self.optional_columns) if name in columns]

    @property
    def added_columns(self) -> dict[str, PolarsType]:
        """The columns of the output table that the stage fills, with their types."""
        columns = self.row_columns if self.one_to_many else self.output_columns
        return {name: polars_type(kind) for name, kind in columns.items() if name not in SIDE_OUTPUTS}

    def config(self) -> dict[str, Any]:
        """Everything that changes the values, as JSON: by default all public fields.

        Override to leave out what changes nothing (a device) and to add what does (a digest of weights).
        """
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if not f.name.startswith("_")}

    def prepare(self, row: Row, frames: Frames) -> Any:
        """Turn a row and its frames into what `score` takes. Runs in a worker process, on the CPU.

        Args:
            row: The cells of the `required_columns` and `optional_columns`.
            frames: The frames of `sampling`, in order, with ``times`` and ``thumbnails`` of all frames.

        Returns:
            For a stage without a device part, the finished values: a dict with the `output_columns` columns.
            Otherwise anything that pickles; numpy arrays travel through shared memory.

        Raises:
            MediaError: This row cannot be processed.
        """
        raise NotImplementedError  # the one method that every stage writes

    def take_rows(self, numbers: Sequence[int]) -> None:
        """Learn which rows of the table this rank processes, before `plan`."""
        self._rows_here = numbers

    def own_rows(self, total: int) -> Sequence[int]:
        """Numbers of the rows that this rank processes, of a table with so many rows."""
        return range(total) if self._rows_here is None else self._rows_here

    def plan(self, table: pl.DataFrame) -> pl.DataFrame:
        """Derive from the whole table what a single row cannot know, as further optional columns.

        Called in the parent before rows are dealt out; the columns do not go to the output.
        """
        return table

    def stale_columns(self, columns: Sequence[str]) -> list[str]:
        """Columns of the input that say nothing true about the output's rows, and are left out.

        Those that the stage fills itself may be among them.
        """
        return []

    def claim(self, table: pl.DataFrame, output: Path) -> pl.DataFrame:
        """Choose the names of the files that the stage writes, apart from those of other tables.

        Called after `plan`, where a table is written; nothing may be written yet, `setup` does that.

        Args:
            table: What `plan` returned.
            output: The table that will be written, without a rank's part.

        Returns:
            The table with the names in its columns.

        Raises:
            UserError: There is no name for a file.
        """
        return table

    def outputs_exist(self, values: dict[str, Any]) -> bool:
        """Whether what a finished row left on disk is still there; if not, the row is done again."""
        if (
            MADE_FILES in self.output_columns and MADE_FILES not in values
        ):  # of a ledger that does not say what was made
            return False
        try:
            return all(made_file(path) == [path, *state] for path, *state in values.get(MADE_FILES) or ())
        except (OSError, ValueError):
            return False

    def write_under(self, folder: Path) -> None:
        """Write into this folder instead: a dry run leaves nothing behind."""

    def setup(self) -> None:
        """Load models. Called once in the parent, before the first `score`."""

    def score(self, batch: list[Any]) -> list[dict[str, Any] | MediaError]:
        """Turn prepared rows into values: for each, in order, its `output_columns`, or why there are none.

        Runs in the parent; a batch mixes rows of many files. The default returns what `prepare` returned.
        """
        return batch

    def spent(self) -> tuple[int, dict[str, float]]:
        """Tokens and the like that were used so far: for how many rows, and how much of each."""
        return 0, {}

    def as_other_row(self, prepared: Any, number: int) -> Any:
        """A copy of a prepared row, made so that it is computed anew and not remembered.

        Override where `score` knows rows again that it has had before.

        Args:
            prepared: What `prepare` returned.
            number: Of the copy.
        """
        return prepared

    def __getstate__(self) -> dict[str, Any]:
        """Leave models behind: what starts with an underscore does not travel to workers."""
        return {key: value for key, value in self.__dict__.items() if not key.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the state of another stage, but not the arguments of its class: they may be outdated."""
        self.__dict__.update(state, _arguments=None)
