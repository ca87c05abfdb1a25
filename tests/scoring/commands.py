"""A command as the ranks of `torchrun`, one after the other in this process.

Ranks need no process group, RANK and WORLD_SIZE are enough; tests/scoring/test_fused.py and
tests/test_workflow.py start them with `torchrun`, where each has to import PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest


def run_as_ranks(main: Callable[[list[str]], int | None], *arguments: object, ranks: int = 2) -> None:
    """Run a command once for each rank.

    Args:
        main: The command's function.
        arguments: Its command line.
        ranks: How many there are.
    """
    for rank in range(ranks):
        with pytest.MonkeyPatch.context() as patch:
            for name in ("RANK", "LOCAL_RANK"):
                patch.setenv(name, str(rank))
            for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
                patch.setenv(name, str(ranks))
            assert main([str(argument) for argument in arguments]) in (0, None), f"rank {rank}"
