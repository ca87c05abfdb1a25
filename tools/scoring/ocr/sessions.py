"""The networks of PP-OCR, which the wheel of rapidocr carries, as sessions of ONNX Runtime."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from tools.base.packages import how_to_install, require_package
from tools.errors import UserError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_CUDA = "CUDAExecutionProvider"
_MEMORY_SIGNS = ("bad_alloc", "allocate memory", "out of memory", "Resource temporarily unavailable")
"""In messages; the last is a thread of OpenVINO that gets no stack."""


@dataclass(frozen=True)
class OcrModels:
    """Files of the networks.

    Attributes:
        detection: Finds regions of text: PP-OCR's DB network.
        recognition: Reads a line of text; its metadata have the characters.
    """

    detection: Path
    recognition: Path


def import_onnxruntime() -> ModuleType:
    """ONNX Runtime; it sends nothing to its maker, and leaves no file among the temporary ones for that."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def find_models() -> OcrModels:
    """The networks in the installed package rapidocr. Nothing is imported, and nothing downloaded.

    Raises:
        UserError: A package is not installed, or its wheel carries no networks.
    """
    for name in ("onnxruntime", "rapidocr", "shapely"):
        require_package(name, "ocr")
    spec = find_spec("rapidocr")
    folder = Path((spec and spec.origin) or "").parent / "models"
    found = {kind: sorted(folder.glob(f"*_{kind}_*.onnx")) for kind in ("det", "rec")}
    for kind, files in found.items():
        if len(files) != 1:
            names = ", ".join(file.name for file in files) or "none"
            raise UserError(
                f"ocr: one network *_{kind}_*.onnx is expected in {folder}, not {names}: "
                f"{how_to_install('rapidocr')}"
            )
    return OcrModels(found["det"][0], found["rec"][0])


def resolve_ocr_device(device: str) -> str:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` into the device to use.

    ``auto`` is a GPU where ONNX Runtime has its CUDA provider and PyTorch sees a GPU, else the CPU.

    Raises:
        UserError: Another name, or a GPU that cannot be used.
    """
    from tools.models.device import resolve_device

    if device == "cpu":
        return "cpu"
    if _CUDA in import_onnxruntime().get_available_providers():
        return resolve_device(device)
    if device == "auto":
        return "cpu"
    resolve_device(device)  # whether there is such a device is the first thing to know
    raise UserError(
        f"device {device}: this ONNX Runtime has no CUDA; pip uninstall onnxruntime, then "
        "pip install onnxruntime-gpu (both at once hide each other)"
    )


def open_session(file: Path, device: str) -> InferenceSession:
    """Load a network.

    On a CPU a session computes on one thread: the workers share the cores, and a sum always has the
    same order.

    Args:
        file: An .onnx file.
        device: What `resolve_ocr_device` gave.

    Raises:
        UserError: The GPU cannot be used.
        MemoryError: There is not enough.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # frames come in many sizes; an arena keeps the largest of each
    options.log_severity_level = 4
    providers: list = ["CPUExecutionProvider"]
    if device != "cpu":
        # Every size of frame is a new shape, and an exhaustive search takes seconds for each.
        settings = {"device_id": int(device.partition(":")[2]), "cudnn_conv_algo_search": "HEURISTIC"}
        providers.insert(0, (_CUDA, settings))
    with memory_errors():
        session = onnxruntime.InferenceSession(str(file), options, providers=providers)
    if device != "cpu" and session.get_providers()[0] != _CUDA:
        raise UserError(
            f"device {device}: ONNX Runtime {onnxruntime.__version__} cannot load its CUDA provider; "
            "are CUDA and cuDNN of its version installed?"
        )
    return session


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise Python's error for a lack of memory: ONNX Runtime and OpenVINO have no such error."""
    try:
        yield
    except Exception as error:
        if any(sign in str(error) for sign in _MEMORY_SIGNS):
            raise MemoryError(str(error)) from error
        raise


def run_session(session: InferenceSession, pixels: np.ndarray) -> np.ndarray:
    """The only output of a network for its only input.

    Raises:
        MemoryError: There is not enough.
    """
    with memory_errors():
        return np.asarray(session.run(None, {session.get_inputs()[0].name: pixels})[0])


def standardise(image: np.ndarray) -> np.ndarray:
    """Pixels as PP-OCR's networks take them.

    Args:
        image: uint8, shape (H, W, 3), RGB.

    Returns:
        float32, shape (1, 3, H, W), channels blue, green, red, from -1 to 1.
    """
    bgr = image[..., ::-1].transpose(2, 0, 1)
    return np.ascontiguousarray(bgr, dtype=np.float32)[None] / 127.5 - 1.0
