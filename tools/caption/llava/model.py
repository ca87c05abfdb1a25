"""Load a vision-language model: strictly, in a given precision, on one device or spread over a group."""

from __future__ import annotations

from typing import Any, cast

from tools.base.packages import require_package
from tools.caption.llava.checkpoint import Checkpoint
from tools.errors import UserError

ATTENTIONS = ("sdpa", "eager", "flash_attention_2")
"""Implementations of attention."""

_DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def choose_precision(precision: str, device: str, checkpoint: Checkpoint) -> str:
    """Turn ``auto`` into the precision to use.

    On a GPU that is the one in which the checkpoint was published: a model trained in bf16 may overflow in
    fp16. On a CPU it is fp32, in which a caption does not depend on the batch.

    Args:
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        device: As `tools.models.device.resolve_device` returns it.
        checkpoint: The model.
    """
    if precision != "auto":
        return precision
    published = {name: short for short, name in _DTYPES.items()}.get(checkpoint.dtype, "fp32")
    return "fp32" if device == "cpu" else published


def load_model(
    checkpoint: Checkpoint, *, device: str, precision: str, attention: str = "sdpa", tp_size: int = 1
) -> Any:
    """Load a model for generation.

    Args:
        checkpoint: The model.
        device: ``cpu`` or ``cuda:N``.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        attention: One of `ATTENTIONS`.
        tp_size: Over how many processes it is spread; they must have joined a group of that size, see
            `tools.caption.llava.parallel.Group`.

    Returns:
        The model, a ``PreTrainedModel`` that can ``generate``, in evaluation mode.

    Raises:
        UserError: transformers does not know the architecture, weights are missing or of wrong shape, the
            attention is not installed, or the model cannot be spread.
    """
    import torch
    from transformers import AutoModelForImageTextToText
    from transformers.utils import logging

    logging.disable_progress_bar()  # else there is one for every rank, between those of the run
    options: dict[str, Any] = {
        "dtype": getattr(torch, _DTYPES[precision]),
        "attn_implementation": attention,
        "local_files_only": True,
        "trust_remote_code": False,
        "output_loading_info": True,
    }
    if tp_size > 1:
        options |= _tensor_parallel(tp_size, device)
    try:
        load = cast(Any, AutoModelForImageTextToText.from_pretrained)  # for output_loading_info
        model, info = load(checkpoint.folder, **options)
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
        if type(error).__name__ == "OutOfMemoryError":
            raise UserError(
                f"{checkpoint.folder}: does not fit on {device}; spread it with --tp-size"
            ) from None
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        raise UserError(f"{checkpoint.folder}: transformers cannot load it: {reason}") from None
    for kind in ("missing_keys", "mismatched_keys"):  # such weights would be random
        if info.get(kind):
            named = ", ".join(sorted(map(str, info[kind]))[:3])
            raise UserError(f"{checkpoint.folder}: {len(info[kind])} weights are {kind[:-5]} ({named}, ...)")
    if tp_size > 1 and not getattr(model, "supports_tp_plan", False):
        raise UserError(
            f"{checkpoint.folder}: transformers has no plan to spread a {checkpoint.model_type} model; use "
            "--tp-size 1, or serve it with vLLM and use tools.caption.caption_api"
        )
    return model.eval() if tp_size > 1 else model.to(device).eval()


def _tensor_parallel(tp_size: int, device: str) -> dict[str, Any]:
    """Arguments of ``from_pretrained`` that spread a model."""
    import torch

    require_package("accelerate", "--tp-size")
    if device == "cpu" and torch.cuda.is_available():
        raise UserError("--tp-size with --device cpu: PyTorch takes the GPUs it sees; hide them or use them")
    try:
        from transformers.distributed.configuration_utils import DistributedConfig
    except ImportError:  # transformers before 5.18
        return {"tp_plan": "auto"}
    return {"distributed_config": DistributedConfig(tp_size=tp_size, tp_plan="auto")}
