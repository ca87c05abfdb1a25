"""Forward passes whose results do not depend on what else is computed.

Matrix products of another shape, or split over another number of threads, differ in their last bits. So
every pass has the same shape: a batch, filled up where rows are missing. On a CPU it is small, often one row,
and on one thread; several are computed at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tools.models.device import exact_convolutions

if TYPE_CHECKING:
    import torch

Step = Callable[["torch.Tensor"], "torch.Tensor"]
"""From rows (n, …) to n results; on a GPU the rows are on the device already."""


class ForwardPasses:
    """Runs rows through a model.

    Args:
        device: ``cpu`` or ``cuda:N``.
        batch_size: Rows of a pass on a GPU.
        threads: Passes at a time on a CPU.
        cpu_batch_size: Rows of a pass on a CPU. With more than one, the result of a row must not depend on
            its place in the batch; kernels for float32 do not promise that.

    Attributes:
        batch_size: See above; halved whenever a pass does not fit into the memory of the GPU.
    """

    def __init__(self, device: str, *, batch_size: int, threads: int, cpu_batch_size: int = 1) -> None:
        self._device = device
        self._threads = threads
        self._cpu_batch_size = cpu_batch_size
        self.batch_size = batch_size

    def __call__(self, step: Step, rows: torch.Tensor) -> torch.Tensor:
        """Run rows through a forward pass.

        Args:
            step: The model's forward pass.
            rows: Shape (N, …) with N > 0, on the CPU.

        Returns:
            Results of all rows in order, on the CPU.
        """
        import torch

        with torch.inference_mode():
            parts = self._on_threads(step, rows) if self._device == "cpu" else self._what_fits(step, rows)
            return torch.cat(parts)

    def _on_threads(self, step: Step, rows: torch.Tensor) -> list[torch.Tensor]:
        import torch

        def one_pass(part: torch.Tensor) -> torch.Tensor:
            torch.set_num_threads(1)  # applies to the calling thread, as does inference_mode
            with torch.inference_mode():
                # a copy, because kernels round differently at other addresses
                return step(_filled(part, self._cpu_batch_size).clone())[: len(part)]

        parts = rows.split(self._cpu_batch_size)
        before = torch.get_num_threads()
        try:
            with ThreadPoolExecutor(min(self._threads, len(parts))) as pool:
                return list(pool.map(one_pass, parts))
        finally:
            torch.set_num_threads(before)

    def _what_fits(self, step: Step, rows: torch.Tensor) -> list[torch.Tensor]:
        import torch

        while True:
            try:
                return self._filled_up(step, rows)
            except torch.OutOfMemoryError:
                if self.batch_size == 1:
                    raise
            # after the except block: the exception keeps the memory of the pass allocated
            self.batch_size //= 2
            torch.cuda.empty_cache()

    def _filled_up(self, step: Step, rows: torch.Tensor) -> list[torch.Tensor]:
        """Batches of one size; the next one is copied while the GPU computes."""
        import torch

        copying, computing = torch.cuda.Stream(self._device), torch.cuda.current_stream(self._device)
        parts = rows.split(self.batch_size)

        def copied(part: torch.Tensor) -> torch.Tensor:
            pinned = _filled(part, self.batch_size).pin_memory()
            with torch.cuda.stream(copying):
                return pinned.to(self._device, non_blocking=True)

        results = []
        with exact_convolutions():
            ahead = copied(parts[0])
            for number, part in enumerate(parts, start=1):
                computing.wait_stream(copying)
                batch = ahead
                batch.record_stream(computing)
                results.append(step(batch)[: len(part)])
                if number < len(parts):
                    ahead = copied(parts[number])
        return [result.cpu() for result in results]


def _filled(part: torch.Tensor, count: int) -> torch.Tensor:
    """Rows, filled up with the last one: the model may not accept others (for example token positions)."""
    import torch

    if len(part) == count:
        return part
    return torch.cat([part, part[-1:].expand(count - len(part), *part.shape[1:])])
