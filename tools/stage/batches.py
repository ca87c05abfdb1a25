"""Score prepared rows in batches that mix files; when a batch fails, find the row that is the cause."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from tools.base.disk import ALWAYS, disk_error
from tools.errors import MediaError, OrderError, UserError
from tools.stage.order_check import ROWS_PER_CHECK, OrderCheck
from tools.stage.outcomes import Outcome
from tools.stage.stage import Stage
from tools.stage.values import check_values

_FIRST_BATCH = 8  # until it is known how long a row takes
_SMALLEST_BATCH = 4  # but not smaller than this: cores idle at the end of every batch
_BATCHES_AHEAD = 2  # batches that wait for the device while workers go on decoding
_PATIENCE = 1.0  # seconds that a prepared row waits for others while the device has nothing to do


class BatchScorer:
    """Scores batches; when one fails it is halved, down to the row that is the cause.

    Attributes:
        fits: Most rows that fit into the memory of the device, as far as that is known.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.fits = sys.maxsize

    def score(self, prepared: Sequence[Any]) -> list[Outcome]:
        """Score rows.

        Args:
            prepared: What `Stage.prepare` returned for each.

        Returns:
            Values or a `MediaError` for each, in order.

        Raises:
            UserError: The stage says that the run as a whole cannot continue, or the device has failed.
        """
        if len(prepared) > self.fits:
            return self._in_pieces(prepared, self.fits)
        try:
            values = self._stage.score(list(prepared))
            if len(values) != len(prepared):
                raise ValueError(f"{len(values)} results for {len(prepared)} rows")
            return list(check_values(self._stage, values))
        except Exception as error:
            failure = self._failure(error, len(prepared))
        if len(prepared) == 1:
            return [failure]
        return self._in_pieces(prepared, (len(prepared) + 1) // 2)

    def _in_pieces(self, prepared: Sequence[Any], size: int) -> list[Outcome]:
        starts = range(0, len(prepared), size)
        return [outcome for start in starts for outcome in self.score(prepared[start : start + size])]

    def _failure(self, error: Exception, rows: int) -> MediaError:
        """The failure of a row that was scored alone with this error.

        Raises:
            UserError: The run as a whole cannot continue.
        """
        name = self._stage.name
        if isinstance(error, MediaError):
            return error
        if isinstance(error, UserError):
            raise error
        if (fault := disk_error(f"stage {name}", error, ALWAYS)) is not None:
            raise fault from error
        if os.environ.get("TOOLS_DEBUG") == "1":
            traceback.print_exception(error)
        if _is_out_of_memory(error):
            self.fits = min(self.fits, max(1, rows // 2))
            _free_device_memory()
            return MediaError("memory", "", f"stage {name}: {type(error).__name__}: {error}")
        if isinstance(error, RuntimeError) and "CUDA error" in str(error):
            # After such an error every further call fails, too, whatever the rows.
            first_line = str(error).strip().splitlines()[0]
            raise UserError(f"stage {name}: the GPU failed ({first_line}); run the same command again")
        return MediaError("internal", "", f"stage {name}: {type(error).__name__}: {error}")


def _is_out_of_memory(error: Exception) -> bool:
    # torch.cuda.OutOfMemoryError, by name: torch is not imported for stages that do not use it.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    signs = ("out of memory", "ALLOC_FAILED", "not enough memory")  # of CUDA, cuBLAS and the CPU
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)


def _free_device_memory() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


class Scoring:
    """Collects prepared rows and scores them in a thread, while the caller keeps the workers busy.

    A batch starts when it is full, or when the device is idle and a row has waited a second: then decoding
    takes most of the time, so a small batch costs nothing, and its finished rows are saved earlier.

    Args:
        stage: Scores the rows.
        largest: Most rows of a batch.
        finished: Called in the caller's thread with keys and outcomes.
        timed: Called before it with the keys of a batch, and the seconds and CPU seconds that it took.
    """

    def __init__(
        self,
        stage: Stage,
        largest: int,
        finished: Callable[[list[tuple[str, Outcome]]], None],
        timed: Callable[[list[str], float, float], None] | None = None,
    ) -> None:
        self._scorer = BatchScorer(stage)
        self._order = OrderCheck(stage, largest) if stage.checks_order else None
        self._until_check = 0  # rows until a batch is checked
        self._unchecked: list[str] = []  # finished since the order was last known to be right
        self._seconds = stage.batch_seconds
        self._largest = largest
        self._size = min(largest, _FIRST_BATCH)
        self._finished = finished
        self._timed = timed
        self._collected: list[tuple[str, Any]] = []
        self._waits_since = 0.0
        self._running: list[tuple[Future[tuple[list[tuple[str, Outcome]], float, float]], bool]] = []
        self._thread = ThreadPoolExecutor(max_workers=1)

    def __enter__(self) -> Scoring:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        done = False
        try:
            if kind is None:
                self._submit()
                self._take(0)
                done = True
        finally:  # the end of an interrupted run does not wait for a batch
            self._thread.shutdown(wait=done, cancel_futures=True)

    def add(self, key: str, prepared: Any) -> None:
        """Take a row; wait while too many batches wait for the device."""
        if not self._collected:
            self._waits_since = time.monotonic()
        self._collected.append((key, prepared))
        # The known row takes a place of a batch: one pass more on a GPU would cost much.
        taken = self._order is not None and self._order.has_row and self._until_check <= 0
        if len(self._collected) + taken >= self._size:
            self._submit()
        self.poll()

    def poll(self) -> None:
        """Report finished batches, and start a small one on an idle device."""
        self._take(_BATCHES_AHEAD)
        if not self._running and time.monotonic() - self._waits_since >= _PATIENCE:
            self._submit()

    def _submit(self) -> None:
        if self._collected:
            checked = self._order is not None and self._until_check <= 0
            self._until_check = ROWS_PER_CHECK if checked else self._until_check - len(self._collected)
            self._running.append((self._thread.submit(self._score, self._collected, checked), checked))
            self._collected = []

    def _score(
        self, batch: list[tuple[str, Any]], checked: bool
    ) -> tuple[list[tuple[str, Outcome]], float, float]:
        start, cpu = time.monotonic(), time.process_time()
        prepared = [row for _, row in batch]
        if checked and self._order is not None:
            outcomes = self._order.score(self._scorer.score, prepared)
        else:
            outcomes = self._scorer.score(prepared)
        seconds, cpu = time.monotonic() - start, time.process_time() - cpu
        return list(zip((key for key, _ in batch), outcomes, strict=True)), seconds, cpu

    def _take(self, waiting: int) -> None:
        """Report finished batches; wait until no more than ``waiting`` are left."""
        while self._running and (len(self._running) > waiting or self._running[0][0].done()):
            future, checked = self._running[0]
            try:
                outcomes, seconds, cpu = future.result()
            except OrderError as error:
                error.keys = tuple(self._unchecked)
                raise
            self._running.pop(0)
            if self._timed is not None:
                self._timed([key for key, _ in outcomes], seconds, cpu)
            self._finished(outcomes)
            if checked:
                self._unchecked.clear()
            elif self._order is not None:
                self._unchecked += [key for key, _ in outcomes]
            if len(outcomes) >= self._size:  # the time of a smaller batch is no guide
                fitting = max(_SMALLEST_BATCH, int(len(outcomes) / max(seconds, 1e-3) * self._seconds))
                self._size = min(self._largest, self._scorer.fits, 4 * len(outcomes), fitting)
