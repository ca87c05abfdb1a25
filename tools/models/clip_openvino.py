"""CLIP's picture features in OpenVINO on a CPU: what PyTorch gives to rounding, in less time.

The graph is built from the weights in memory. It differs from the model's own in two ways that change no
value but by rounding: QuickGELU is part of the product before it, and the last layer computes the class
token alone, which is all that the feature is made of.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import UserError, check_choice
from tools.models.device import cpu_multiplies_bf16
from tools.models.openvino_cpu import (
    OPENVINO_ERRORS,
    openvino_computes,
    openvino_reason,
    openvino_settings,
    require_openvino,
)

if TYPE_CHECKING:
    import openvino
    import torch

CLIP_BACKENDS: dict[str, str] = {
    "auto": "openvino on a CPU where it is installed, else pytorch",
    "openvino": "OpenVINO, on a CPU",
    "pytorch": "PyTorch",
}
"""What can compute the features of pictures, by name."""

_PRECISIONS = {"fp32": "f32", "bf16": "bf16"}  # as OpenVINO calls them
_ACTIVATIONS = ("quick_gelu", "gelu", "gelu_pytorch_tanh", "gelu_new")


def choose_clip_backend(backend: str, device: str, precision: str, *, compile: bool = False) -> str:
    """Turn ``auto`` into the backend to use.

    Where the environment variable ONEDNN_MAX_CPU_ISA is set, OpenVINO does not compute bf16: it counts on the
    instructions that the CPU has, and would lack some.

    Args:
        backend: A name of `CLIP_BACKENDS`.
        device: What `tools.models.device.resolve_device` gave.
        precision: What `tools.models.device.resolve_precision` gave.
        compile: Whether ``torch.compile`` is asked for.

    Returns:
        ``openvino`` or ``pytorch``.

    Raises:
        UserError: It is not known or not installed, cannot compute here, or does not go together with the
            others.
    """
    check_choice("backend", backend, CLIP_BACKENDS)
    reasons = {
        f"--device {device}: it runs on the CPU": device != "cpu",
        f"--precision {precision} on this CPU": precision not in _PRECISIONS
        or (precision == "bf16" and not (cpu_multiplies_bf16() and "ONEDNN_MAX_CPU_ISA" not in os.environ)),
        "--compile, which is PyTorch's": compile,
    }
    against = [reason for reason, holds in reasons.items() if holds]
    if backend == "auto":
        return "openvino" if not against and openvino_computes("PyTorch") else "pytorch"
    if backend == "openvino" and against:
        raise UserError(f"--backend openvino does not go together with {against[0]}")
    if backend == "openvino":
        require_openvino("pytorch")
    return backend


def clip_backend_version(backend: str) -> str:
    """Name and version of a backend: ``OpenVINO 2026.4.1``."""
    name, package = {"openvino": ("OpenVINO", "openvino"), "pytorch": ("PyTorch", "torch")}[backend]
    return f"{name} {version(package).partition('+')[0]}"


class OpenVinoImages:
    """The vision transformer of a CLIP.

    Args:
        model: The CLIP of transformers, on the CPU.
        precision: ``fp32`` or ``bf16``.
        batch: Pictures in a pass.
        at_a_time: Passes that may be computed at the same time, each on one thread.

    Raises:
        UserError: The model has an activation that is not known, or OpenVINO cannot be imported, or cannot
            compile it for this CPU.
    """

    def __init__(self, model: Any, *, precision: str, batch: int, at_a_time: int) -> None:
        try:
            import openvino

            settings = openvino_settings(_PRECISIONS[precision], at_a_time=at_a_time)
            compiled = openvino.Core().compile_model(_VisionGraph(model, batch).model(), "CPU", settings)
        except OPENVINO_ERRORS as error:
            raise UserError(
                f"OpenVINO cannot compute CLIP here ({openvino_reason(error)}); use --backend pytorch"
            ) from error
        self._requests: SimpleQueue[openvino.InferRequest] = SimpleQueue()
        for _ in range(at_a_time):
            self._requests.put(compiled.create_infer_request())

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Image features, not normalised.

        Args:
            pixels: float32, shape (batch, 3, S, S), preprocessed.

        Returns:
            float32, shape (batch, D).
        """
        import torch

        request = self._requests.get()
        try:
            found = request.infer([pixels.contiguous().numpy()], share_inputs=True)[0]
            return torch.from_numpy(found.copy())  # the next one overwrites it
        finally:
            self._requests.put(request)


class _VisionGraph:
    """Builds the graph, layer by layer; a tensor in it has the shape (batch, tokens, width)."""

    def __init__(self, model: Any, batch: int) -> None:
        self._vision, self._projection = model.vision_model, model.visual_projection
        config = model.config.vision_config
        self._batch, self._side, self._patch = batch, config.image_size, config.patch_size
        self._width, self._heads = config.hidden_size, config.num_attention_heads
        if config.hidden_act not in _ACTIVATIONS:
            raise UserError(f"OpenVINO's CLIP has no activation {config.hidden_act}; use --backend pytorch")
        self._activation_name: str = config.hidden_act

    def model(self) -> openvino.Model:
        """From float32 pixels (batch, 3, S, S) to features (batch, D)."""
        import openvino
        import openvino.opset13 as ops

        pixels = ops.parameter([self._batch, 3, self._side, self._side], np.float32)
        at = self._norm(self._embedded(pixels), self._vision.pre_layrnorm)
        *layers, last = self._vision.encoder.layers
        for layer in layers:
            at = self._layer(layer, at, class_only=False)
        at = self._layer(last, at, class_only=True)
        at = self._norm(ops.reshape(at, _shape(self._batch, self._width), False), self._vision.post_layernorm)
        features = ops.matmul(at, _constant(self._projection.weight), False, True)
        make: Any = openvino.Model  # whose base class the stubs take for another
        return make([features], [pixels])

    def _embedded(self, pixels: Any) -> Any:
        """The class token and the patches, each with its position."""
        import openvino.opset13 as ops

        parts, size = self._vision.embeddings, [self._patch] * 2
        kernel = _constant(parts.patch_embedding.weight)
        patches = ops.convolution(pixels, kernel, size, [0, 0], [0, 0], [1, 1])
        patches = ops.transpose(
            ops.reshape(patches, _shape(self._batch, self._width, -1), False), _shape(0, 2, 1)
        )
        first = _constant(parts.class_embedding.view(1, 1, -1).expand(self._batch, -1, -1))
        return ops.add(ops.concat([first, patches], 1), _constant(parts.position_embedding.weight[None]))

    def _layer(self, layer: Any, at: Any, *, class_only: bool) -> Any:
        import openvino.opset13 as ops

        attention, mlp = layer.self_attn, layer.mlp
        normed = self._norm(at, layer.layer_norm1)
        asking = _first(normed) if class_only else normed
        heads = [
            self._by_head(_linear(projection, source))
            for projection, source in (
                (attention.q_proj, asking),
                (attention.k_proj, normed),
                (attention.v_proj, normed),
            )
        ]
        mixed = ops.transpose(ops.scaled_dot_product_attention(*heads), _shape(0, 2, 1, 3))
        mixed = ops.reshape(mixed, _shape(self._batch, -1, self._width), False)
        at = ops.add(_first(at) if class_only else at, _linear(attention.out_proj, mixed))
        hidden = self._activation(_linear(mlp.fc1, self._norm(at, layer.layer_norm2)))
        return ops.add(at, _linear(mlp.fc2, hidden))

    def _by_head(self, at: Any) -> Any:
        """Shape (batch, heads, tokens, width of a head)."""
        import openvino.opset13 as ops

        apart = ops.reshape(at, _shape(self._batch, -1, self._heads, self._width // self._heads), False)
        return ops.transpose(apart, _shape(0, 2, 1, 3))

    def _norm(self, at: Any, norm: Any) -> Any:
        import openvino.opset13 as ops

        scaled = ops.mvn(at, _shape(-1), True, norm.eps, "inside_sqrt")
        return ops.add(ops.multiply(scaled, _constant(norm.weight)), _constant(norm.bias))

    def _activation(self, at: Any) -> Any:
        import openvino.opset13 as ops

        if self._activation_name == "quick_gelu":
            return ops.swish(at, np.float32(1.702))
        return ops.gelu(at, "erf" if self._activation_name == "gelu" else "tanh")


def _linear(linear: Any, at: Any) -> Any:
    import openvino.opset13 as ops

    return ops.add(ops.matmul(at, _constant(linear.weight), False, True), _constant(linear.bias))


def _first(at: Any) -> Any:
    """The class token: shape (batch, 1, width)."""
    import openvino.opset13 as ops

    return ops.slice(at, _shape(0), _shape(1), _shape(1), _shape(1))


def _constant(tensor: torch.Tensor) -> Any:
    import openvino.opset13 as ops

    return ops.constant(tensor.detach().float().contiguous().numpy(), shared_memory=True)


def _shape(*sizes: int) -> np.ndarray:
    return np.array(sizes, np.int64)
