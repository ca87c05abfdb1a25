"""Several scorers in one run: each file is decoded once, for all the frames that any of them needs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tools.errors import MediaError, UserError
from tools.media.reading.requests import FrameRequest, Frames, read_requests
from tools.media.workers.worker import call_guarded
from tools.scoring.clip_stage import setup_together
from tools.stage.batches import BatchScorer
from tools.stage.ledger import stage_config
from tools.stage.stage import FAILURES, REMARKS, Row, Stage

if TYPE_CHECKING:
    import polars as pl

    from tools.models.required import RequiredWeights

_LISTS = (FAILURES, REMARKS)
"""What several scorers may say of one row."""


@dataclasses.dataclass
class FusedStage(Stage):
    """Scorers side by side: the columns of all of them, with the values that each gives alone.

    A scorer that fails leaves its own cells empty, and says so in the failures file.

    Attributes:
        stages: The scorers, in the order of their columns.
        decoder: Decoder that reads the frames.

    Raises:
        UserError: Two of them add the same column, or an embedding.
    """

    stages: tuple[Stage, ...] = ()
    decoder: str = "pyav"

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        self.name = "+".join(stage.name for stage in self.stages)
        self.suffix = "".join(stage.suffix for stage in self.stages)
        self.required_columns = _union(stage.required_columns for stage in self.stages)
        self.optional_columns = _union(stage.optional_columns for stage in self.stages)
        self.takes_lists = any(stage.takes_lists for stage in self.stages)
        columns = [column for stage in self.stages for column in stage.output_columns if column not in _LISTS]
        if twice := {column for column in columns if columns.count(column) > 1}:
            raise UserError(f"scores {self.name}: more than one adds the column {', '.join(sorted(twice))}")
        self.output_columns = {
            column: dtype for stage in self.stages for column, dtype in stage.output_columns.items()
        }
        self.output_columns |= dict.fromkeys(_LISTS, "Object")
        self.checks_order = any(stage.checks_order for stage in self.stages)
        self.vector_file = next((stage.vector_file for stage in self.stages if stage.vector_file), None)

    def required_weights(self) -> list[RequiredWeights]:
        """The weights of all scorers."""
        return [weights for stage in self.stages for weights in stage.required_weights()]

    def find(self) -> None:
        """Let each scorer find its weights and device."""
        for stage in self.stages:
            stage.ready()

    def notes(self) -> list[str]:
        """The notes of all scorers, each once."""
        return list(dict.fromkeys(note for stage in self.stages for note in stage.notes()))

    def config(self) -> dict[str, Any]:
        """The configuration of each scorer."""
        return {"stages": [stage_config(stage) for stage in self.stages], "decoder": self.decoder}

    def plan(self, table: pl.DataFrame) -> pl.DataFrame:
        """Let each scorer derive its columns from the whole table."""
        for stage in self.stages:
            table = stage.plan(table)
        return table

    def outputs_exist(self, values: dict[str, Any]) -> bool:
        """Whether what each of them left on disk is still there."""
        return all(stage.outputs_exist(values) for stage in self.stages)

    @property
    def request(self) -> FrameRequest:
        """Nothing: `prepare` reads the file, since one request cannot express what several scorers need."""
        return FrameRequest()

    def prepare(self, row: Row, frames: Frames) -> list[Any]:
        """What each scorer prepares, or the `MediaError` that keeps it from doing so."""
        found = read_requests(row["path"], [stage.request for stage in self.stages], decoder=self.decoder)
        return [_prepare(stage, row, own) for stage, own in zip(self.stages, found, strict=True)]

    def as_other_row(self, prepared: list[Any], number: int) -> list[Any]:
        """The row as each scorer makes it another one."""
        return [
            row if isinstance(row, MediaError) else stage.as_other_row(row, number)
            for stage, row in zip(self.stages, prepared, strict=True)
        ]

    def setup(self) -> None:
        """Load the models of all."""
        setup_together(self.stages)
        self._scorers = [BatchScorer(stage) for stage in self.stages]

    def score(self, batch: list[list[Any]]) -> list[dict[str, Any] | MediaError]:
        """The values of all scorers for each row; an error where none of them has any."""
        outcomes = [
            _score(scorer, [row[number] for row in batch]) for number, scorer in enumerate(self._scorers)
        ]
        return [self._join(list(row)) for row in zip(*outcomes, strict=True)]

    def _join(self, outcomes: list[dict[str, Any] | MediaError]) -> dict[str, Any] | MediaError:
        if all(isinstance(outcome, MediaError) for outcome in outcomes):
            return outcomes[0]
        values: dict[str, Any] = dict.fromkeys(self.output_columns)
        lists: dict[str, list[Any]] = {name: [] for name in _LISTS}
        for stage, outcome in zip(self.stages, outcomes, strict=True):
            if isinstance(outcome, MediaError):
                outcome = {FAILURES: [[outcome.kind, f"{stage.name}: {outcome.message}"]]}
            for name, several in lists.items():
                several += outcome.get(name, [])
            values |= outcome
        return {**values, **lists}


def _union(names: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for several in names for name in several))


def _prepare(stage: Stage, row: Row, frames: Frames | MediaError) -> Any:
    if isinstance(frames, MediaError):
        return frames
    prepared = call_guarded(lambda: stage.prepare(row, frames), row["path"])
    if isinstance(prepared, UserError):
        raise prepared
    return prepared


def _score(scorer: BatchScorer, prepared: list[Any]) -> list[dict[str, Any] | MediaError]:
    """Score those that were prepared; the others keep their error."""
    ready = [one for one in prepared if not isinstance(one, MediaError)]
    scored = iter(scorer.score(ready) if ready else [])
    return [one if isinstance(one, MediaError) else next(scored) for one in prepared]
