"""What computes the detection network: OpenVINO where it is installed, or ONNX Runtime.

OpenVINO is four times as fast on one core, see docs/ocr.md, and computes in float32, too: on CPUs with AMX or
AVX512-BF16 its own default is bfloat16, with which counts of regions change. The recognition network takes
lines of any length; for it OpenVINO is no faster, and ONNX Runtime stays.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tools.errors import UserError, check_choice
from tools.models.openvino_cpu import openvino_computes, openvino_settings, require_openvino
from tools.scoring.ocr.sessions import (
    import_onnxruntime,
    memory_errors,
    open_session,
    resolve_ocr_device,
    run_session,
)

if TYPE_CHECKING:
    from openvino import InferRequest

Network = Callable[[np.ndarray], np.ndarray]
"""A network with one input and one output."""

BACKENDS: dict[str, str] = {
    "auto": "openvino on a CPU where it is installed, else onnxruntime",
    "openvino": "OpenVINO, on a CPU",
    "onnxruntime": "ONNX Runtime",
}
"""What can compute the detection network, by name."""

_COMPILED = 3  # sizes that stay compiled; one of 1280 x 704 pixels takes 130 MB
_OWN_SIZE = 640 * 640  # pixels from which a size has a compiled network of its own


def choose_backend(device: str, backend: str) -> tuple[str, str]:
    """Turn what was asked for into the device and the backend to use.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; see `sessions.resolve_ocr_device`.
        backend: A name of `BACKENDS`.

    Returns:
        The device, and ``openvino`` or ``onnxruntime``.

    Raises:
        UserError: One is not known or not installed, or cannot compute here, or they do not go together.
    """
    check_choice("backend", backend, BACKENDS)
    device = resolve_ocr_device("cpu" if (device, backend) == ("auto", "openvino") else device)
    if backend == "auto":
        return device, "openvino" if device == "cpu" and openvino_computes("ONNX Runtime") else "onnxruntime"
    if backend == "openvino":
        if device != "cpu":
            raise UserError(f"--backend openvino runs on the CPU, not on --device {device}")
        require_openvino("onnxruntime")
    return device, backend


def backend_version(backend: str) -> str:
    """Name and version of a backend: ``OpenVINO 2026.4.1``."""
    if backend == "openvino":
        return f"OpenVINO {version('openvino')}"
    return f"ONNX Runtime {import_onnxruntime().__version__}"


def open_network(file: Path, device: str, backend: str) -> Network:
    """Load a network with one input, pictures as `sessions.standardise` makes them.

    Args:
        file: An .onnx file.
        device: What `choose_backend` gave.
        backend: Likewise; ``openvino`` or ``onnxruntime``.

    Raises:
        UserError: The GPU cannot be used.
        MemoryError: There is not enough.
    """
    return (
        OpenVinoNetwork(file) if backend == "openvino" else partial(run_session, open_session(file, device))
    )


class OpenVinoNetwork:
    """A network in OpenVINO, in float32 on one thread of the CPU.

    It is compiled for the size of the picture, which makes it an eighth faster and takes a quarter of a
    second; small pictures share one that takes any size. Which of them computes a picture follows from its
    size alone, and so do the last digits.

    Args:
        file: An .onnx file with one input of shape (1, 3, H, W) and one output.

    Raises:
        MemoryError: There is not enough.
    """

    def __init__(self, file: Path) -> None:
        import openvino

        with memory_errors():
            self._core = openvino.Core()
            self._model = self._core.read_model(file)
        self._compiled = lru_cache(_COMPILED)(self._compile)
        self._lock = threading.Lock()  # a request computes one picture at a time

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """The output for an input, both float32.

        Raises:
            MemoryError: There is not enough.
        """
        batch, channels, height, width = pixels.shape
        any_size = height * width < _OWN_SIZE
        with memory_errors(), self._lock:
            request = self._compiled((batch, channels, -1, -1) if any_size else pixels.shape)
            return request.infer([pixels], share_inputs=True)[0].copy()  # the next one overwrites it

    def _compile(self, shape: tuple[int, ...]) -> InferRequest:
        model = self._model.clone()
        model.reshape(list(shape))
        return self._core.compile_model(model, "CPU", openvino_settings()).create_infer_request()
