"""Forward passes through ``torch.compile``, whose failures are told in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tools.errors import UserError, first_line

if TYPE_CHECKING:
    import torch


class CompiledForward:
    """A function of tensors that ``torch.compile`` translates for the shapes it meets.

    Args:
        forward: The function.
    """

    def __init__(self, forward: Callable[..., torch.Tensor]) -> None:
        import torch

        self._forward = torch.compile(forward)
        self._ready = False

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """What the function returns, to rounding."""
        return self._forward(*inputs)

    def prepare(self, first_pass: Callable[[], object]) -> None:
        """Compile in one pass alone, before several threads run at a time; does nothing the second time.

        Raises:
            UserError: It cannot be compiled here.
        """
        if self._ready:
            return
        try:
            first_pass()
        except Exception as error:  # many kinds: no C++ compiler, an unsupported GPU, a failing pass
            raise UserError(
                f"torch.compile fails here ({first_line(error)}); do without --compile"
            ) from error
        self._ready = True
