"""Forward passes whose results do not depend on what else is computed.

Matrix products of another shape, or split over another number of threads, differ in their last bits. So
every pass has the same shape: on a CPU one row on one thread, several at a time; on a GPU a filled-up batch.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Step = Callable[["torch.Tensor"], "torch.Tensor"]
"""From (n, …) rows on the CPU to n results."""


def forward_rows(
    step: Step, rows: torch.Tensor, *, device: str, batch_size: int, threads: int
) -> torch.Tensor:
    """Run rows through a model.

    Args:
        step: The model's forward pass; it moves its rows to the device.
        rows: Shape (N, …) with N > 0, on the CPU.
        device: ``cpu`` or ``cuda:N``.
        batch_size: Rows of a pass on a GPU.
        threads: Passes at a time on a CPU.

    Returns:
        Results of all rows in order, on the CPU.
    """
    import torch

    with torch.inference_mode():
        parts = _one_by_one(step, rows, threads) if device == "cpu" else _padded(step, rows, batch_size)
        return torch.cat(parts)


def _one_by_one(step: Step, rows: torch.Tensor, threads: int) -> list[torch.Tensor]:
    import torch

    def single(row: torch.Tensor) -> torch.Tensor:
        torch.set_num_threads(1)  # holds for the calling thread, as does inference_mode
        with torch.inference_mode():
            return step(row.clone())  # into memory of its own: kernels round differently at other addresses

    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(min(threads, len(rows))) as pool:
            return list(pool.map(single, rows.split(1)))
    finally:
        torch.set_num_threads(before)


def _padded(step: Step, rows: torch.Tensor, batch_size: int) -> list[torch.Tensor]:
    import torch

    results = []
    # by default PyTorch convolves fp32 with 11 significant bits (TF32)
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        for part in rows.split(batch_size):
            padding = part.new_zeros(batch_size - len(part), *part.shape[1:])
            results.append(step(torch.cat([part, padding]))[: len(part)].cpu())
    return results
