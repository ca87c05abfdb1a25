"""How networks run in OpenVINO: on the CPU, with results that depend on neither its cores nor other work."""

from __future__ import annotations


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
