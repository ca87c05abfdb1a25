"""Forward passes on a CPU: the rows that come back, and what a pass is given."""

from __future__ import annotations

import pytest
import torch

from tools.models.forward import ForwardPasses


@pytest.mark.parametrize("count", [1, 3, 4, 5, 9])
@pytest.mark.parametrize("size", [1, 4])
def test_every_pass_has_the_same_shape_and_rows_come_back_in_order(count, size):
    rows = torch.arange(count * 6).reshape(count, 2, 3)
    shapes = set()

    def step(part: torch.Tensor) -> torch.Tensor:
        shapes.add(tuple(part.shape))
        return part.sum(dim=2)

    passes = ForwardPasses("cpu", batch_size=64, threads=2, cpu_batch_size=size)
    assert torch.equal(passes(step, rows), rows.sum(dim=2))
    assert shapes == {(size, 2, 3)}


def test_a_pass_is_filled_up_with_a_row_that_is_there():
    seen = []

    def step(part: torch.Tensor) -> torch.Tensor:
        seen.append(part.flatten().tolist())
        return part

    ForwardPasses("cpu", batch_size=64, threads=1, cpu_batch_size=4)(step, torch.tensor([[5], [6]]))
    assert seen == [[5, 6, 6, 6]]
