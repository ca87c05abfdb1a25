"""The output of a run on Daft: a folder of Parquet parts, each with a range of the input's rows.

Part k holds rows k * n to (k + 1) * n - 1 of the input, whoever computed them and in whatever order: so a
part is there or not, and no row can be lost or stand twice. A run that was killed goes on with the parts that
are missing, and the parts are those of an uninterrupted run. Only the process that was started writes; the
nodes of a cluster send it their values.
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
from tools.integrations.daft.places import Folder
from tools.integrations.daft.stage_udf import error_text, value_columns
from tools.stage.ledger_files import Outcome
from tools.stage.output import Provenance
from tools.stage.runner import count_remarks
from tools.stage.shards import STATE_FOLDER
from tools.stage.stage import FAILURES, Stage
from tools.table import PART_COLUMN, ROW_COLUMN

_PART_NAME = re.compile(r"part-(\d{5,})\.parquet")
_RECEIPT = "receipt.json"
_SAID = "vidsieve"  # key in a part's Parquet metadata


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
class Said:
    """What a part says of its rows beside their values.

    Attributes:
        rows: Rows of the input that it stands for, also those that were dropped.
        failed: Rows without values.
        failures: What failed.
        remarks: What was said of rows, and of how many.
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
        origin: What it is made of.

    Attributes:
        folder: See above.
        config: What decides the values on the machines that computed them; None until they have told.
    """

    def __init__(self, folder: Folder, state: Folder, provenance: Provenance) -> None:
        self.folder = folder
        self._state = state
        self._provenance = provenance
        self._layout: Layout | None = None
        self.config: str | None = None

    def clear_the_way(self, layout: Layout, *, overwrite: bool) -> Layout:
        """See what is there, and begin or go on.

        Args:
            layout: How a new run deals out the rows.
            overwrite: Whether parts that were made otherwise may be replaced.

        Returns:
            The layout; that of the earlier run where this one goes on with it.

        Raises:
            UserError: Something else stands in the way.
        """
        receipt = self._receipt()
        there = self.folder.names()
        why = self._provenance.differs_in(receipt["made"]) if receipt else "not by this command"
        if receipt and not why:
            self.config = receipt["config"]
            self._layout = Layout(layout.rows, receipt["part_rows"])
            return self._layout
        if there and not overwrite:
            raise UserError(
                f"{self.folder.place}: is in the way, it was made {why}; "
                "--overwrite replaces its parts, --output writes elsewhere"
            )
        for name in there:
            if _PART_NAME.fullmatch(name):
                self.folder.remove(name)
        self._layout = layout
        self._write_receipt()
        return layout

    def done(self) -> set[int]:
        """Numbers of the parts that are there."""
        found = (_PART_NAME.fullmatch(name) for name in self.folder.names())
        return {int(match[1]) for match in found if match}

    def drop_failed(self, kinds: Collection[str]) -> None:
        """Remove the parts in which a row failed in one of these ways, so that they are done again."""
        for part in sorted(self.done()):
            if any(failure.kind in kinds for failure in self.said(part).failures):
                self.folder.remove(_part_name(part))

    def agree(self, config: str) -> None:
        """Make sure that all machines mean the same: weights, options, precision.

        Raises:
            UserError: One differs from those before.
        """
        if self.config is None:
            self.config = config
            self._write_receipt()
        elif config != self.config:
            differs = _difference(json.loads(self.config)["config"], json.loads(config)["config"])
            raise UserError(
                f"{self.folder.place}: one machine computes otherwise than the others ({differs}); "
                "give them the same weights, and say --precision and --device"
            )

    def write(
        self, part: int, frame: pl.DataFrame, stage: Stage, outcomes: Sequence[Outcome], *, drop: bool
    ) -> None:
        """Write a part.

        Args:
            part: Its number.
            frame: The input's rows.
            stage: Who computed the values.
            outcomes: What became of each row; failures name their file.
            drop: Leave rows out that failed.
        """
        failures = [
            failure
            for outcome, row in zip(outcomes, _paths(frame), strict=True)
            for failure in _failures(outcome, row)
        ]
        said = {
            "rows": len(outcomes),
            "failed": sum(isinstance(outcome, MediaError) for outcome in outcomes),
            "failures": [[f.kind, f.path, f.message] for f in failures],
            "remarks": count_remarks(outcomes),
        }
        frame = self._filled(part, frame, stage, outcomes)
        if drop:
            frame = frame.filter(
                pl.Series([error_text(outcome) is None for outcome in outcomes], dtype=pl.Boolean)
            )
        buffer = io.BytesIO()
        frame.write_parquet(buffer, metadata={_SAID: json.dumps(said)})
        self.folder.write(_part_name(part), buffer.getvalue())

    def said(self, part: int) -> Said:
        """What a part that is there says of its rows.

        Raises:
            UserError: It is no part of a run.
        """
        try:
            with self.folder.open(_part_name(part)) as file:
                said = json.loads(pl.read_parquet_metadata(file)[_SAID])
        except (OSError, KeyError, ValueError, pl.exceptions.PolarsError) as error:
            file = self.folder / _part_name(part)
            raise UserError(f"{file}: is no part of this run, or damaged; remove it ({error})") from None
        return Said(said["rows"], said["failed"], [MediaError(*f) for f in said["failures"]], said["remarks"])

    @property
    def _chosen(self) -> Layout:
        assert self._layout is not None, "clear_the_way comes first"
        return self._layout

    def _filled(
        self, part: int, frame: pl.DataFrame, stage: Stage, outcomes: Sequence[Outcome]
    ) -> pl.DataFrame:
        values = [{} if isinstance(outcome, MediaError) else outcome for outcome in outcomes]
        numbers = self._chosen.rows_of(part)
        return frame.with_columns(
            *(
                pl.Series(name, [value.get(name) for value in values], dtype=dtype)
                for name, dtype in value_columns(stage).items()
            ),
            pl.Series(error_column(stage), [error_text(outcome) for outcome in outcomes], dtype=pl.String),
            pl.Series(ROW_COLUMN, numbers, dtype=pl.Int64),
            pl.lit(f"{part}/{self._chosen.parts}").alias(PART_COLUMN),
        )

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
            "part_rows": self._chosen.part_rows,
            "config": self.config,
        }
        self._state.write(_RECEIPT, json.dumps(receipt).encode())


def error_column(stage: Stage) -> str:
    """Column of the parts that says what failed in a row: ``aes_error``."""
    return f"{stage.name}_error"


def state_place(place: str | Path) -> str:
    """Folder of the receipt of a folder of parts: hidden, beside it, as for other outputs."""
    parent, _, name = str(place).rstrip("/").rpartition("/")
    return (
        f"{parent}/{STATE_FOLDER}/{name}"
        if parent or str(place).startswith("/")
        else f"{STATE_FOLDER}/{name}"
    )


def _part_name(part: int) -> str:
    return f"part-{part:05d}.parquet"


def _paths(frame: pl.DataFrame) -> list[str]:
    if "path" not in frame.columns:
        return [""] * frame.height
    return frame["path"].cast(pl.String).fill_null("").to_list()


def _failures(outcome: Outcome, path: str) -> list[MediaError]:
    if isinstance(outcome, MediaError):
        return [outcome]
    return [MediaError(kind, path, message) for kind, message in outcome.get(FAILURES) or ()]


def _difference(here: dict[str, Any], there: dict[str, Any]) -> str:
    names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
    return "; ".join(f"{name} {here.get(name)!s:.30}, there {there.get(name)!s:.30}" for name in names)
