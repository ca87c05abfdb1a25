"""How networks run in OpenVINO: on the CPU, with results that depend on neither its cores nor other work."""

from __future__ import annotations

import functools

from tools.base.log import LOG
from tools.base.packages import is_installed, require_package
from tools.errors import UserError

OPENVINO_ERRORS = (ImportError, AttributeError, RuntimeError)
"""What it raises where its libraries, its version or this CPU are not such that it can compute."""


def openvino_settings(precision: str = "f32", *, at_a_time: int = 1) -> dict[str, str | int | bool]:
    """Settings of a compiled network that computes each input on one thread.

    So workers share the cores, and a sum always has the same order.

    Args:
        precision: Of products and what is kept between layers: ``f32`` or ``bf16``. OpenVINO's own choice is
            bf16 on CPUs with AMX or AVX512-BF16.
        at_a_time: Inputs that are computed at the same time, each by a request of its own.
    """
    return {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": at_a_time,
        "NUM_STREAMS": at_a_time,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # else every worker would choose the first core
    }


def openvino_computes(instead: str) -> bool:
    """Whether OpenVINO is installed and computes on this machine; a warning where it is and does not.

    Args:
        instead: What computes then, for the warning.
    """
    if not is_installed("openvino"):
        return False
    if fault := _fault():
        warn_of_openvino(fault, instead)
    return not fault


def warn_of_openvino(fault: str, instead: str) -> None:
    """Say why OpenVINO does not compute, and what does."""
    LOG.warning("OpenVINO is installed and cannot compute here (%s): %s computes instead", fault, instead)


def require_openvino(instead: str) -> None:
    """Check that OpenVINO is installed and computes on this machine.

    Args:
        instead: Another backend, for the message.

    Raises:
        UserError: It is not, or does not.
    """
    require_package("openvino", "--backend openvino")
    if fault := _fault():
        raise UserError(f"--backend openvino: it cannot compute here ({fault}); use --backend {instead}")


def openvino_reason(error: BaseException) -> str:
    """One of `OPENVINO_ERRORS` in one line; it ends its own, which have several, with the reason."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]


@functools.cache
def _fault() -> str:
    """Why it cannot compile and compute a product of two numbers; empty if it can."""
    try:
        import numpy as np
        import openvino
        import openvino.opset13 as ops

        one = np.ones((1, 1), np.float32)
        given = ops.parameter([1, 1], np.float32)
        make: type = openvino.Model  # whose base class the stubs take for another
        model = make([ops.matmul(given, one, False, False)], [given])
        openvino.Core().compile_model(model, "CPU", openvino_settings()).create_infer_request().infer([one])
    except OPENVINO_ERRORS as error:
        return openvino_reason(error)
    return ""
