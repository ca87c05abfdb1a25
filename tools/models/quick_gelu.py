"""QuickGELU, x * sigmoid(1.702 x), with less traffic to memory.

PyTorch has no kernel for it and takes three, each of which reads and writes every number. On a GPU that is a
quarter of the time of ViT-L/14 in fp16; there it becomes one kernel, compiled by NVRTC, which comes with
PyTorch (no compiler needs to be installed). On a CPU the three work in place, with the same results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_KERNEL = "template <typename T> T quick_gelu(T x) { return x / (T(1) + ::exp(T(-1.702) * x)); }"


def use_fused_quick_gelu(model: torch.nn.Module, device: str) -> None:
    """Replace the QuickGELUs of a model, which is used for inference only.

    Args:
        model: Any model of transformers.
        device: Where it runs: ``cpu`` or ``cuda:N``.
    """
    import torch
    from transformers.activations import QuickGELUActivation

    class InPlace(torch.nn.Module):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return (input * 1.702).sigmoid_().mul_(input)

    class Compiled(torch.nn.Module):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return kernel(input)

    kernel: Any = None if device == "cpu" else torch.cuda.jiterator._create_jit_fn(_KERNEL)
    replacement = InPlace if device == "cpu" else Compiled
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, QuickGELUActivation):
                setattr(module, name, replacement())
