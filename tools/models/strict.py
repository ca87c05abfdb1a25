"""Load models of transformers strictly: `from_pretrained` would fill missing tensors with random numbers."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tools.errors import UserError, first_line

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

Model = TypeVar("Model", bound="PreTrainedModel")

# Constant tables that follow from the architecture; old checkpoints have more of them than new ones.
_CONSTANTS = ("position_ids", "token_type_ids", "relative_position_index", "num_batches_tracked")


def load_strictly(
    kind: type[Model], title: str, path: Path, name: str | None, dtype: torch.dtype, **arguments: Any
) -> Model:
    """Load a model; every tensor must be used and present.

    Args:
        kind: Class of transformers.
        title: What the model is called, for messages.
        path: Where the weights are, for messages.
        name: First argument of `from_pretrained`: the folder; None if the other arguments suffice.
        dtype: Precision of the weights.
        **arguments: Further arguments of `from_pretrained`.

    Raises:
        UserError: It cannot be loaded, or tensors are missing, left over or of another shape.
    """
    from safetensors import SafetensorError
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        load = cast(Any, kind.from_pretrained)  # its annotation lacks output_loading_info
        model, report = load(
            name, dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True, **arguments
        )
    except (OSError, ValueError, RuntimeError, EOFError, SafetensorError, UnpicklingError) as error:
        raise UserError(f"{path}: {title} cannot be loaded ({first_line(error)})") from error
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
    for what, of in (
        ("missing", "missing"),
        ("unexpected", "unexpected"),
        ("of another shape", "mismatched"),
    ):
        keys = sorted(k for k in map(str, report[f"{of}_keys"]) if not k.endswith(_CONSTANTS))
        if keys:
            shown = ", ".join(keys[:5])
            raise UserError(f"{path}: does not fit {title}: {len(keys)} tensors {what}, such as {shown}")
    return model


def for_inference(model: Model, device: str) -> Model:
    """The model on a device, without gradients.

    Tensors are moved to the start of a cache line: CPU kernels round differently at other addresses.
    """
    cast(Any, model.eval().requires_grad_(False)).to(device)  # transformers' wrapper hides the signature
    for parameter in model.parameters():
        if parameter.data_ptr() % 64:
            parameter.data = parameter.data.clone()
    return model
