"""GMFlow with its weights, on a device: pictures in, flow out, each pair by itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tools.errors import UserError
from tools.models.compiled import CompiledForward
from tools.models.device import resolve_device, resolve_precision
from tools.models.forward import ForwardPasses
from tools.models.tensors import read_tensors

if TYPE_CHECKING:
    import torch

    from tools.models.gmflow.model import GMFlow

_GPU_BATCH = 8  # pairs in one forward pass, which takes 5 GB at 320 x 576


def load_gmflow(
    path: str | Path,
    *,
    device: str = "auto",
    precision: str = "auto",
    compile: bool = False,
    threads: int | None = None,
) -> GMFlowEstimator:
    """Load a checkpoint of GMFlow with two scales and six refinements.

    Args:
        path: State dict, or a checkpoint that contains one (as ``model`` in that of the authors).
        device: See `tools.models.device.resolve_device`.
        precision: ``auto`` and ``fp32`` compute as the weights were trained; ``bf16`` and ``fp16`` convolve
            and attend with fewer digits, and match in fp32 all the same.
        compile: Run the network through ``torch.compile``, which takes a minute or two to start.
        threads: Pairs computed at a time on a CPU; by default PyTorch's number of threads.

    Raises:
        UserError: The file cannot be read, or does not fit the network exactly.
    """
    from tools.models.gmflow.model import GMFlow

    device = resolve_device(device)
    precision = resolve_precision("fp32" if precision == "auto" else precision, device)
    model = GMFlow()
    _load_strictly(model, path)
    model = model.eval().requires_grad_(False).to(device)
    return GMFlowEstimator(model, device=device, precision=precision, compile=compile, threads=threads)


class GMFlowEstimator:
    """A loaded network; `load_gmflow` makes it.

    Args:
        model: The network, on its device, in fp32.
        device: ``cpu`` or ``cuda:N``.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        compile: Run it through ``torch.compile``.
        threads: Pairs computed at a time on a CPU.
    """

    def __init__(
        self,
        model: GMFlow,
        *,
        device: str,
        precision: str = "fp32",
        compile: bool = False,
        threads: int | None = None,
    ) -> None:
        import torch

        self._forward = CompiledForward(model) if compile else model
        self._passes = ForwardPasses(
            device, batch_size=_GPU_BATCH, threads=threads or torch.get_num_threads()
        )
        self.device, self.precision = device, precision

    def __call__(self, pairs: np.ndarray | Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """Flow of each pair; it does not depend on the other pairs, nor on the number of threads.

        Args:
            pairs: uint8 or float32 from 0 to 255, shape (N, 2, H, W, 3), RGB; H and W multiples of 32. Or
                the pictures of each pair.

        Returns:
            float32, shape (N, H, W, 2): how far each pixel moves to the right and down, in pixels.
        """
        import torch

        from tools.models.gmflow.model import MULTIPLE

        pairs = np.asarray(pairs)
        if pairs.ndim != 5 or pairs.shape[1] != 2 or pairs.shape[4] != 3:
            raise ValueError(f"Invalid pairs {pairs.shape}. Supported are (N, 2, H, W, 3).")
        height, width = pairs.shape[2:4]
        if height % MULTIPLE or width % MULTIPLE:
            raise ValueError(
                f"Invalid size {height} x {width}. Supported are multiples of {MULTIPLE}, such as 320 x 576."
            )
        if len(pairs) == 0:
            return np.empty((0, height, width, 2), np.float32)
        rows = torch.from_numpy(np.ascontiguousarray(pairs))
        if isinstance(self._forward, CompiledForward):
            self._forward.prepare(lambda: self._passes(self._step, rows[:1]))
        return self._passes(self._step, rows).numpy()

    def _step(self, rows: torch.Tensor) -> torch.Tensor:
        import torch

        half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision)
        pictures = rows.to(self.device).float().permute(1, 0, 4, 2, 3).contiguous()
        with torch.autocast(self.device.split(":")[0], dtype=half, enabled=half is not None):
            return self._forward(*pictures).float().permute(0, 2, 3, 1).contiguous()


def _load_strictly(model: GMFlow, path: str | Path) -> None:
    state = read_tensors(path, "a checkpoint of GMFlow", "backbone.conv1.weight")
    own = {name: tensor.shape for name, tensor in model.state_dict().items()}
    shapes = {name: tensor.shape for name, tensor in state.items()}
    for kind, names in (
        ("missing", own.keys() - shapes.keys()),
        ("unexpected", shapes.keys() - own.keys()),
        ("of another shape", {n for n in own.keys() & shapes.keys() if own[n] != shapes[n]}),
    ):
        if names:
            shown = ", ".join(sorted(map(str, names))[:5])
            raise UserError(
                f"{path}: does not fit GMFlow with two scales and six refinements: {len(names)} tensors "
                f"{kind}, such as {shown}"
            )
    model.load_state_dict(state, strict=True)
