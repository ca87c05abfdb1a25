"""Device and precision of a model."""

from __future__ import annotations

import os
from collections.abc import Set
from contextlib import AbstractContextManager

from tools.base.cpu import cpu_flags
from tools.errors import UserError

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
"""Values of a ``precision`` argument."""


def check_names(device: str, precision: str = "auto") -> None:
    """Check the names of a device and a precision, not whether the device exists.

    Raises:
        UserError: A name is invalid.
    """
    kind, colon, index = device.partition(":")
    if (device != "cpu" and kind not in ("auto", "cuda")) or (kind == "auto" and colon):
        raise UserError(f"device {device}: must be auto, cpu, cuda or cuda:N")
    if colon and not index.isdecimal():
        raise UserError(f"device {device}: must be auto, cpu, cuda or cuda:N")
    if precision not in PRECISIONS:
        raise UserError(f"precision {precision}: must be one of {', '.join(PRECISIONS)}")


def resolve_device(device: str = "auto") -> str:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` into the device to use.

    ``auto`` is a GPU if PyTorch finds one, else the CPU. Under ``torchrun``, ``auto`` and ``cuda`` mean the
    GPU of this rank (LOCAL_RANK, modulo the number of GPUs).

    Raises:
        UserError: The name is invalid, or there is no such GPU.
    """
    if device == "cpu":
        return "cpu"
    check_names(device)
    kind, colon, index = device.partition(":")
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "auto" and count == 0:
        return "cpu"
    if count == 0 or (colon and int(index) >= count):
        raise UserError(f"device {device}: PyTorch {torch.__version__} sees {count} CUDA devices here")
    return device if colon else f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % count}"


def resolve_precision(precision: str, device: str) -> str:
    """Turn ``auto`` into the precision to use on a device from `resolve_device`.

    On a GPU ``auto`` is fp16: OpenAI's weights are published in it, and its 11 significant bits move a
    feature less than the 8 of bf16. On a CPU it is bf16 if it has instructions for it (AMX,
    AVX512-BF16), else fp32.

    Raises:
        UserError: Not one of `PRECISIONS`.
    """
    check_names("auto", precision)
    if precision != "auto":
        return precision
    if device != "cpu":
        return "fp16"
    return "bf16" if cpu_multiplies_bf16() else "fp32"


def exact_convolutions() -> AbstractContextManager[None]:
    """A context in which convolutions on a GPU are reproducible, and fp32 has all 24 significant bits.

    By default PyTorch uses TF32, which has 11.
    """
    import torch

    return torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)


def cpu_multiplies_bf16() -> bool:
    """Whether this CPU has bf16 matrix instructions (without, bf16 runs a hundred times slower than fp32)."""
    return has_bf16(cpu_flags())


def cpu_has_matrix_units() -> bool:
    """Whether this CPU has AMX for bf16, which multiplies larger matrices faster than small ones."""
    return "amx_bf16" in cpu_flags()


def has_bf16(flags: Set[str]) -> bool:
    """Whether flags of a CPU name AMX with bf16, or AVX512-BF16."""
    return not flags.isdisjoint({"amx_bf16", "avx512_bf16"})
