"""Which device and which numbers, told from what the machine says about itself."""

from __future__ import annotations

import pytest
import torch

from tools.base.cpu import read_flags
from tools.errors import UserError
from tools.models.device import (
    cpu_multiplies_bf16,
    has_bf16,
    resolve_device,
    resolve_precision,
)

ZEN3 = "processor\t: 0\nflags\t\t: fpu sse2 avx avx2 fma vaes\n"
SAPPHIRE_RAPIDS = "processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 amx_bf16 avx512_fp16 amx_tile\n"
ZEN4 = "processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 avx512_vnni\n"


@pytest.mark.parametrize(
    ("cpuinfo", "expected"), [(ZEN3, False), (SAPPHIRE_RAPIDS, True), (ZEN4, True), ("", False)]
)
def test_bf16_is_told_from_the_flags_of_the_cpu(cpuinfo, expected):
    assert has_bf16(read_flags(cpuinfo)) is expected


def test_auto_precision():
    assert resolve_precision("auto", "cuda:0") == "fp16"
    assert resolve_precision("auto", "cpu") == ("bf16" if cpu_multiplies_bf16() else "fp32")
    assert resolve_precision("fp32", "cuda:0") == "fp32"
    with pytest.raises(UserError, match="must be one of auto, fp32, bf16, fp16"):
        resolve_precision("int8", "cpu")


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "auto:1", "cuda:"])
def test_unknown_devices_are_refused(device):
    with pytest.raises(UserError, match="must be auto, cpu, cuda or cuda:N"):
        resolve_device(device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="what is tested is a machine without CUDA")
def test_without_cuda():
    assert resolve_device("auto") == "cpu"
    with pytest.raises(UserError, match="sees 0 CUDA devices"):
        resolve_device("cuda")
