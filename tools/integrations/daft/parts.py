"""The output of a run on Daft: a folder of Parquet parts, each with a range of the input's rows.

Part k has rows k * n to (k + 1) * n - 1 of the input, whichever node computed them and in whatever order: so
a part exists or not, and no row can be missing or occur twice. A run that was killed resumes with the parts
that are missing, and the parts are those of an uninterrupted run. Only the process that was started writes;
the nodes of a cluster send it their values.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tools.errors import MediaError, UserError
from tools.integrations.daft.storage import Folder
from tools.stage.outcomes import Outcome, count_remarks, error_text, failures_of
from tools.stage.plan import paths_of
from tools.stage.provenance import Provenance, config_difference
from tools.stage.results import value_series
from tools.stage.shards import STATE_FOLDER
from tools.stage.stage import Stage
from tools.table import PART_COLUMN, ROW_COLUMN

_PART_NAME = re.compile(r"part-(\d{5,})\.parquet")
_RECEIPT = "receipt.json"
_METADATA = "vidsieve"  # key in a part's Parquet metadata


@dataclass(frozen=True)
class Layout:
    """How the rows of a table are dealt out to parts.

    Attributes:
        rows: Rows of the table.
        part_rows: Rows of each part; the last may have fewer.
    """

    rows: int
    part_rows: int

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return -(-self.rows // self.part_rows)

    def rows_of(self, part: int) -> range:
        """The numbers of a part's rows."""
        return range(part * self.part_rows, min(self.rows, (part + 1) * self.part_rows))


@dataclass(frozen=True)
class PartSummary:
    """The metadata of a part.

    Attributes:
        rows: Rows of the input in its range, also those that were dropped.
        failed: Rows without values.
        failures: What failed.
        remarks: Remarks on rows, and how many rows each applies to.
    """

    rows: int
    failed: int
    failures: list[MediaError]
    remarks: dict[str, int]


class Parts:
    """The folder that a run writes.

    Args:
        folder: The folder.
        state: Folder of its receipt.
        provenance: What it is made from.
        layout: The parts of a new run.

    Attributes:
        folder: See above.
        layout: The parts; those of an earlier run after `check_existing`, where this one resumes it.
        config: The config of the machines that computed the values; None until the first values arrive.
    """

    def __init__(self, folder: Folder, state: Folder, provenance: Provenance, layout: Layout) -> None:
        self.folder = folder
        self.layout = layout
        self._state = state
        self._provenance = provenance
        self.config: str | None = None

    def check_existing(self, *, overwrite: bool) -> None:
        """Check the files that exist; then begin, or resume an earlier run.

        Args:
            overwrite: Whether parts with another provenance may be replaced.

        Raises:
            UserError: The folder has other files.
        """
        receipt = self._receipt()
        names = self.folder.names()
        why = self._provenance.differs_in(receipt["made"]) if receipt else "not by this command"
        if receipt and not why:
            self.config = receipt["config"]
            self.layout = Layout(self.layout.rows, receipt["part_rows"])
            return
        if names and not overwrite:
            raise UserError(
                f"{self.folder.url}: is in the way, it was made {why}; "
                "--overwrite replaces its parts, --output writes elsewhere"
            )
        for name in names:
            if _PART_NAME.fullmatch(name):
                self.folder.remove(name)
        self._write_receipt()

    def done(self) -> set[int]:
        """Numbers of the parts that exist."""
        found = (_PART_NAME.fullmatch(name) for name in self.folder.names())
        return {int(match[1]) for match in found if match}

    def drop_failed(self, kinds: Collection[str]) -> None:
        """Remove the parts with failures of these kinds, so that they are computed again."""
        for part in sorted(self.done()):
            if any(failure.kind in kinds for failure in self.summary(part).failures):
                self.folder.remove(_part_name(part))

    def check_config(self, config: str) -> None:
        """Check that all machines have the same weights, options and precision.

        Raises:
            UserError: This one differs from those before.
        """
        if self.config is None:
            self.config = config
            self._write_receipt()
        elif config != self.config:
            differs = config_difference(json.loads(self.config), json.loads(config), "there")
            raise UserError(
                f"{self.folder.url}: one machine computes other values than the rest ({differs}); "
                "give them the same weights, and say --precision, --device and --backend"
            )

    def write(
        self, part: int, frame: pl.DataFrame, stage: Stage, outcomes: Sequence[Outcome], *, drop: bool
    ) -> None:
        """Write a part.

        Args:
            part: Its number.
            frame: The input's rows.
            stage: The stage that computed the values.
            outcomes: The outcome of each row; failures have its path.
            drop: Leave out rows that failed.
        """
        failures = [
            failure
            for outcome, path in zip(outcomes, paths_of(frame), strict=True)
            for failure in failures_of(outcome, path)
        ]
        summary = {
            "rows": len(outcomes),
            "failed": sum(isinstance(outcome, MediaError) for outcome in outcomes),
            "failures": [[f.kind, f.path, f.message] for f in failures],
            "remarks": count_remarks(outcomes),
        }
        errors = [error_text(outcome, "\n") for outcome in outcomes]
        frame = frame.with_columns(
            *value_series(stage, outcomes),
            pl.Series(error_column(stage), errors, dtype=pl.String),
            pl.Series(ROW_COLUMN, self.layout.rows_of(part), dtype=pl.Int64),
            pl.lit(f"{part}/{self.layout.parts}").alias(PART_COLUMN),
        )
        if drop:
            frame = frame.filter(pl.Series([error is None for error in errors], dtype=pl.Boolean))
        buffer = io.BytesIO()
        frame.write_parquet(buffer, metadata={_METADATA: json.dumps(summary)})
        self.folder.write(_part_name(part), buffer.getvalue())

    def summary(self, part: int) -> PartSummary:
        """The metadata of a part that exists.

        Raises:
            UserError: It is no part of a run.
        """
        try:
            with self.folder.open(_part_name(part)) as file:
                found = json.loads(pl.read_parquet_metadata(file)[_METADATA])
        except (OSError, KeyError, ValueError, pl.exceptions.PolarsError) as error:
            file = self.folder / _part_name(part)
            raise UserError(f"{file}: is no part of this run, or damaged; remove it ({error})") from None
        failures = [MediaError(*failure) for failure in found["failures"]]
        return PartSummary(found["rows"], found["failed"], failures, found["remarks"])

    def _receipt(self) -> dict[str, Any] | None:
        content = self._state.read(_RECEIPT)
        try:
            receipt = json.loads(content or b"")
        except ValueError:
            return None
        return receipt if {"made", "part_rows", "config"} <= set(receipt) else None

    def _write_receipt(self) -> None:
        receipt = {
            "made": self._provenance.as_json(),
            "part_rows": self.layout.part_rows,
            "config": self.config,
        }
        self._state.write(_RECEIPT, json.dumps(receipt).encode())


def error_column(stage: Stage) -> str:
    """Column of the parts with the failures of a row: ``aes_error``."""
    return f"{stage.name}_error"


def state_folder(folder: str | Path) -> str:
    """Folder of the receipt of a folder of parts: hidden, beside it, as for other outputs."""
    parent, slash, name = str(folder).rstrip("/").rpartition("/")
    return f"{parent}{slash}{STATE_FOLDER}/{name}"


def _part_name(part: int) -> str:
    return f"part-{part:05d}.parquet"
